--- The shop of the demo: posts events to the server, one after the other, and waits for each answer.
-- An event waits in line until the server has answered for it. When the connection breaks, the first in line may have been
-- published or not; `settle` says which, and without it the event would be posted again, or never.

local cjson = require "cjson"
local uv = require "luv"

local publisher = {}

local REQUEST = "POST /api/v1/sync/events HTTP/1.1\r\nHost: 127.0.0.1\r\nContent-Length: %d\r\n\r\n%s"

---@class sync.cli.Publisher
---@field acknowledged integer events that the server has answered for
local Publisher = {}
Publisher.__index = Publisher

---@param port integer of the server
---@param on_acknowledged fun(id: string) the server has published an event
---@return sync.cli.Publisher
function publisher.new(port, on_acknowledged)
  return setmetatable({
    port = port, on_acknowledged = on_acknowledged, line = {}, acknowledged = 0, queued = 0, limit = 0,
  }, Publisher)
end

---Let so many events out, counted from the first.
---@param limit integer
function Publisher:allow(limit)
  self.limit = limit
  self:send_next()
end

---Put an event in line.
---@param spec {type: string, order_id: string|nil, data: table|nil}
function Publisher:post(spec)
  self.queued = self.queued + 1
  self.line[self.queued] = cjson.encode { eventType = spec.type, orderID = spec.order_id, data = spec.data }
  self:send_next()
end

---The server is there: go on. Without this, everything waits.
function Publisher:connect()
  local socket = uv.new_tcp()
  self.socket, self.received = socket, ""
  uv.tcp_connect(socket, "127.0.0.1", self.port, function(err)
    if err then return self:disconnect() end
    uv.read_start(socket, function(read_err, bytes)
      if read_err or not bytes then return self:disconnect() end
      self:read(bytes)
    end)
    self.is_idle = true
    self:send_next()
  end)
end

---Let the connection go; what is in line stays there.
function Publisher:disconnect()
  if self.socket and not uv.is_closing(self.socket) then uv.close(self.socket) end
  self.is_idle = false
end

function Publisher:send_next()
  local body = self.line[self.acknowledged + 1]
  if not self.is_idle or not body or self.acknowledged >= self.limit then return end
  self.is_idle = false
  uv.write(self.socket, REQUEST:format(#body, body))
end

function Publisher:read(bytes)
  self.received = self.received .. bytes
  local head, rest = self.received:match("^(.-\r\n)\r\n(.*)$")
  if not head or #rest < tonumber(head:lower():match("\r\ncontent%-length: (%d+)\r\n")) then return end
  assert(head:find("^HTTP/1.1 201 "), rest)
  self.received, self.is_idle = "", true
  self:acknowledge(cjson.decode(rest).id)
  self:send_next()
end

function Publisher:acknowledge(id)
  self.acknowledged = self.acknowledged + 1
  self.on_acknowledged(id)
end

---After the server has died: what it wrote down decides about the event that it has not answered for.
---@param ring sync.server.Ring what is in its file; only we post to it, so that its sequence counts our events
function Publisher:settle(ring)
  if ring.newest > self.acknowledged then self:acknowledge(ring:id(ring.newest)) end
end

return publisher
