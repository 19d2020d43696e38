--- One accepted TCP connection: reads requests one after the other, writes, and knows every way to end.
-- It does not know what a request means (`on_request` does) nor what an event is.
-- The connection owns its socket; whoever answers a request calls `respond`, or writes and then calls `done`.

local http = require "sync.server.http"

-- What a peer may send ahead while one of its requests is being answered: one more request of the largest size.
local AHEAD_BYTES = http.limits.head_bytes + http.limits.body_bytes

local connection = {}

---@class sync.server.Connection
---@field number integer counts from 1 in the order of acceptance
---@field request table|nil the request being answered
---@field on_close function|nil called once, when the socket is gone for whatever reason
local Connection = {}
Connection.__index = Connection

---Take an accepted socket over and start to read.
---@param uv table luv
---@param socket userdata `uv_tcp_t`
---@param number integer
---@param on_request fun(connection: sync.server.Connection, request: table)
---@param on_gone fun(connection: sync.server.Connection) for the owner of the set of connections
---@return sync.server.Connection
function connection.new(uv, socket, number, on_request, on_gone)
  local self = setmetatable({
    uv = uv, socket = socket, number = number, parser = http.new_parser(), closed = false,
    on_request = on_request, on_gone = on_gone,
  }, Connection)
  uv.tcp_nodelay(socket, true) -- an event, and each piece of a split one, leaves at once
  uv.read_start(socket, function(err, bytes) self:read(err, bytes) end)
  return self
end

function Connection:read(err, bytes)
  if err or not bytes then return self:destroy() end
  if self.ending then return end
  self.parser:feed(bytes)
  if not self.request then return self:advance() end
  if self.parser:buffered_bytes() > AHEAD_BYTES then self:destroy() end
end

-- Takes the next request, if the last one is answered and a complete one is there.
function Connection:advance()
  local request, status, reason = self.parser:next()
  if request then
    self.request = request
    return self.on_request(self, request)
  end
  if status then
    self.request = { method = "GET", keep_alive = false } -- what the peer meant is unknown; what it gets is certain
    return self:respond(status, { { "Content-Type", "text/plain" } }, reason .. "\n")
  end
  if self.parser:wants_continue() then self:write(http.head(100, {})) end
end

---Write bytes. One write of this call is one write to the socket.
---@param data string|string[]
---@param on_written fun(err: string|nil)|nil
function Connection:write(data, on_written)
  if self.closed or self.ending then return end
  self.uv.write(self.socket, data, on_written)
end

---Answer the current request with a complete response, and go on with the next one.
---@param status integer
---@param headers table[] ordered list of `{name, value}`, without those that frame the body
---@param body string|nil
function Connection:respond(status, headers, body)
  local request = self.request
  body = body or ""
  local list = {}
  for _, header in ipairs(headers) do list[#list + 1] = header end
  if not http.is_bodiless(status) then http.set_header(list, "Content-Length", tostring(#body)) end
  if not request.keep_alive then http.set_header(list, "Connection", "close") end
  if http.is_bodiless(status) or request.method == "HEAD" then body = "" end
  self:write(http.head(status, list) .. body, function(err)
    if not err then self:done() end
  end)
end

---The current request is answered: go on with the next, or end the connection.
---@param must_close boolean|nil the end of the connection is the end of the response
function Connection:done(must_close)
  if self.closed then return end
  local keep_alive = self.request.keep_alive and not must_close
  self.request, self.on_close = nil, nil
  if not keep_alive then return self:finish() end
  self:advance()
end

---Stop reading and writing, but keep the socket: the peer hears nothing more and is never told.
function Connection:freeze()
  if self.closed then return end
  self.uv.read_stop(self.socket)
  self.frozen = true
end

---End with FIN, after what is written has left. The socket is closed when the peer has closed its side: closing
---earlier, with bytes of the peer unread, would send RST, which can take away the answer that is on its way
---(RFC 9112, section 9.6).
function Connection:finish()
  if self.closed or self.ending then return end
  self.ending = true
  self.uv.shutdown(self.socket, function(err)
    if err then self:destroy() end
  end)
end

---Close the socket now. What has reached the kernel is still delivered, then FIN.
function Connection:destroy()
  self:close_with(function() self.uv.close(self.socket) end)
end

---Close the socket now with RST (SO_LINGER with a time of 0).
function Connection:reset()
  self:close_with(function()
    -- libuv refuses a reset while a FIN is on its way; then the FIN has to do.
    if not self.uv.tcp_close_reset(self.socket) then self.uv.close(self.socket) end
  end)
end

function Connection:close_with(close)
  if self.closed then return end
  self.closed = true
  close()
  local on_close = self.on_close
  if on_close then on_close() end
  self.on_gone(self)
end

return connection
