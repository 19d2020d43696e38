--- The harness as an HTTP server: endpoints under paths of their own, which play event-stream servers and mailboxes.
-- What a request means is the endpoint's matter. The server owns the port and every socket; an endpoint that is closed
-- drops what it has under way, and its path answers 404 from then on, as in the public harness.

local http = require "sync.server.http"
local listener = require "sync.server.listener"
local message = require "spec.contract.message"
local uv = require "luv"

local server = {}

-- ---- one request and its answer -----------------------------------------------------------------------------------

---@class contract.Exchange
---@field connection integer number of the connection, in the order of acceptance
---@field method string
---@field path string what follows the endpoint's own path
---@field headers table<string, string> by lower-case name
---@field body string
---@field is_gone boolean the peer has ended the connection
local Exchange = {}
Exchange.__index = Exchange

function Exchange:write(data)
  if not uv.is_closing(self.peer.socket) then uv.write(self.peer.socket, data) end
end

---Answer at once.
---@param status integer
---@param headers table[]|nil list of `{name, value}`
---@param body string|nil
function Exchange:respond(status, headers, body)
  headers = headers or {}
  if not http.is_bodiless(status) then http.set_header(headers, "Content-Length", tostring(#(body or ""))) end
  self:write(http.head(status, headers) .. (body or ""))
  self.peer:advance()
end

---Begin an event stream, as the public harness does unless told otherwise.
---@param content_type string|false|nil false: none
---@return contract.Exchange self
function Exchange:open(content_type)
  local headers = {
    { "Content-Type", "text/event-stream; charset=utf-8" },
    { "Cache-Control", "no-cache, no-store, must-revalidate" },
    { "Transfer-Encoding", "chunked" },
  }
  if content_type ~= nil then http.set_header(headers, "Content-Type", content_type) end
  self:write(http.head(200, headers))
  return self
end

---Send pieces, each in a chunk and a write of its own.
---@param ... string
---@return contract.Exchange self
function Exchange:send(...)
  for _, piece in ipairs { ... } do
    if piece ~= "" then self:write(http.chunk(piece)) end -- an empty chunk would be the last one
  end
  return self
end

---Whether the peer still waits for the answer, or for its end.
---@return boolean
function Exchange:is_under_way()
  return self.peer.exchange == self and not self.is_gone
end

---End the stream cleanly; the connection lives on.
function Exchange:finish()
  self:write(http.last_chunk)
  self.peer:advance()
end

---End the connection in the middle of the stream.
function Exchange:cut()
  self.peer:close()
end

-- ---- one connection -----------------------------------------------------------------------------------------------

local Peer = {}
Peer.__index = Peer

function Peer:read(bytes)
  if not bytes then return self:close() end
  self.reader:feed(bytes)
  if not self.exchange then self:advance() end
end

-- The exchange under way is over: on to the next, if it is there.
function Peer:advance()
  self.exchange = nil
  local request, problem = self.reader:next()
  if problem then return self:close() end
  if not request then return end
  self.exchange = setmetatable({
    peer = self, connection = self.number, is_gone = false,
    method = request.method, headers = request.headers, body = request.body,
  }, Exchange)
  self.server:route(request.target, self.exchange)
end

function Peer:close()
  if self.exchange then self.exchange.is_gone = true end
  self.server.peers[self] = nil
  if not uv.is_closing(self.socket) then uv.close(self.socket) end
end

-- ---- endpoints ----------------------------------------------------------------------------------------------------

---@class contract.Endpoint
---@field url string
local Endpoint = {}
Endpoint.__index = Endpoint

---From now on the path answers 404; what is under way is dropped. Again does nothing.
function Endpoint:close()
  if self.server.endpoints[self.path] ~= self then return end
  self.server.endpoints[self.path] = nil
  for peer in pairs(self.server.peers) do
    if peer.exchange and peer.exchange.endpoint == self then peer:close() end
  end
end

-- ---- the server ---------------------------------------------------------------------------------------------------

---@class contract.Server
---@field url string
local Server = {}
Server.__index = Server

---Listen on any free port of 127.0.0.1.
---@return contract.Server
function server.start()
  local self = setmetatable({ endpoints = {}, count = 0, peers = {}, accepted = 0 }, Server)
  self.listener = assert(listener.new(uv, "127.0.0.1", 0, function(socket) self:accept(socket) end))
  assert(self.listener:open())
  self.url = ("http://127.0.0.1:%d"):format(self.listener.port)
  -- A service that leaves while it is written to must not take the harness with it.
  self.pipe_guard = uv.new_signal()
  uv.signal_start(self.pipe_guard, "sigpipe", function() end)
  uv.unref(self.pipe_guard)
  return self
end

function Server:accept(socket)
  self.accepted = self.accepted + 1
  local peer = setmetatable({
    server = self, socket = socket, number = self.accepted, reader = message.reader("request"),
  }, Peer)
  self.peers[peer] = true
  uv.tcp_nodelay(socket, true)
  uv.read_start(socket, function(_, bytes) peer:read(bytes) end)
end

function Server:route(target, exchange)
  local path, rest = target:match("^(/endpoints/%d+)(.*)$")
  local endpoint = path and self.endpoints[path]
  if not endpoint then return exchange:respond(404) end
  exchange.endpoint, exchange.path = endpoint, rest
  endpoint.on_request(exchange)
end

---An endpoint of its own path.
---@param on_request fun(exchange: contract.Exchange) answers, now or later
---@return contract.Endpoint
function Server:endpoint(on_request)
  self.count = self.count + 1
  local path = ("/endpoints/%d"):format(self.count)
  local endpoint = setmetatable({
    server = self, path = path, url = self.url .. path, on_request = on_request,
  }, Endpoint)
  self.endpoints[path] = endpoint
  return endpoint
end

---Drop every connection and refuse new ones, until `resume`.
function Server:refuse()
  assert(self.listener:refuse())
  for peer in pairs(self.peers) do peer:close() end
end

---Accept again, on the same port.
function Server:resume()
  assert(self.listener:open())
end

---End everything.
function Server:close()
  self.listener:close()
  for peer in pairs(self.peers) do peer:close() end
  uv.close(self.pipe_guard)
end

return server
