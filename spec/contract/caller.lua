--- Calls of one HTTP server: one after the other, in the order they were made, over one connection for as long as the
-- server keeps it. The service sends its reports this way, the harness its requests. It knows nothing of either.
-- The caller owns its socket until `close`.

local message = require "spec.contract.message"

local caller = {}

---@class contract.Caller
---@field host string
---@field port integer
---@field base string path of the url it was made with; every call's path is added to it
---@field connections integer how many were made so far
local Caller = {}
Caller.__index = Caller

---A caller; nothing is connected before the first call.
---@param uv table luv
---@param url string `http` with a name or an address; what calls add to its path comes right behind it
---@return contract.Caller|nil
---@return string|nil problem
function caller.new(uv, url)
  local authority, base = url:match("^http://([^/?#]+)([^?#]*)$")
  local host, port = (authority or ""):match("^%[(.+)%]:?(%d*)$")
  if not host then host, port = (authority or ""):match("^([^:]+):?(%d*)$") end
  if not host then return nil, "expected an http url without a query, got " .. url end
  return setmetatable({
    uv = uv, authority = authority, host = host, port = tonumber(port) or 80, base = base,
    waiting = {}, first = 1, last = 0, connections = 0,
  }, Caller)
end

local function head_of(self, method, path, body)
  local target = self.base .. path
  local lines = { ("%s %s HTTP/1.1"):format(method, target == "" and "/" or target), "Host: " .. self.authority }
  if body then
    lines[#lines + 1] = "Content-Type: application/json"
    lines[#lines + 1] = "Content-Length: " .. #body
  end
  return table.concat(lines, "\r\n") .. "\r\n\r\n"
end

---Call; calls that are under way or wait come first.
---@param method string
---@param path string added to the url's path
---@param body string|nil JSON
---@param on_answer fun(answer: contract.Message|nil, problem: string|nil) not called any more after `close`
function Caller:call(method, path, body, on_answer)
  if self.closed then return end
  local bytes = { head_of(self, method, path, body), body }
  self.last = self.last + 1
  self.waiting[self.last] = { bytes = bytes, on_answer = on_answer }
  self:advance()
end

function Caller:advance()
  if self.closed or self.current or self.first > self.last then return end
  self.current, self.waiting[self.first] = self.waiting[self.first], nil
  self.first = self.first + 1
  if self.socket then self:send() else self:connect() end
end

function Caller:connect()
  self.is_fresh = true
  local ok, err = self.uv.getaddrinfo(self.host, nil, { socktype = "stream" }, function(err, addresses)
    if self.closed then return end
    if err then self:finish(nil, err) else self:try(addresses, 1) end
  end)
  if not ok then self:finish(nil, err) end
end

-- A name may have several addresses, such as ::1 and 127.0.0.1, of which the server has only one.
function Caller:try(addresses, index)
  local socket = self.uv.new_tcp()
  self.socket = socket
  local function on_connected(err)
    if socket ~= self.socket then return end
    if not err then return self:established() end
    self:drop()
    if addresses[index + 1] then self:try(addresses, index + 1) else self:finish(nil, err) end
  end
  local ok, err = self.uv.tcp_connect(socket, addresses[index].addr, self.port, on_connected)
  if not ok then on_connected(err) end
end

function Caller:established()
  local socket = self.socket
  self.connections = self.connections + 1
  self.reader = message.reader("response")
  self.uv.tcp_nodelay(socket, true)
  self.uv.read_start(socket, function(err, bytes)
    if socket == self.socket then self:read(err, bytes) end
  end)
  self:send()
end

function Caller:send()
  local socket = self.socket
  self.uv.write(socket, self.current.bytes, function(err)
    if err and socket == self.socket then self:lose(err) end
  end)
end

function Caller:read(err, bytes)
  if not bytes then
    local answer = self.reader:finish()
    if answer then return self:finish(answer) end
    return self:lose(err or "the connection was closed")
  end
  self.reader:feed(bytes)
  local answer, problem = self.reader:next()
  if problem then return self:lose(problem) end
  if answer then self:finish(answer) end
end

-- A server may end a connection that is idle just when the next call is on its way: then not a byte comes back, and the
-- call is made again. On a connection made for this very call that is the server's answer to it.
function Caller:lose(problem)
  local is_unanswered = not self.reader:has_begun()
  self:drop()
  if not self.current then return end
  if is_unanswered and not self.is_fresh then return self:connect() end
  self:finish(nil, problem)
end

function Caller:finish(answer, problem)
  local on_answer = self.current and self.current.on_answer
  self.current, self.is_fresh = nil, false
  if not (answer and answer.keep_alive) then self:drop() end
  if on_answer then on_answer(answer, problem) end
  self:advance()
end

function Caller:drop()
  local socket = self.socket
  self.socket = nil
  if socket and not self.uv.is_closing(socket) then self.uv.close(socket) end
end

---End the connection and forget what waits: nothing is sent any more. Again does nothing.
function Caller:close()
  self.closed, self.waiting, self.current = true, nil, nil
  self:drop()
end

return caller
