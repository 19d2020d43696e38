--- A client for the specs of the server: bytes in, bytes out, nothing interpreted that a spec did not ask for.
-- It is not the client of this project, on purpose: the server is judged by what is on the wire.

local uv = require "luv"

local client = {}

---@class spec.server.Client
---@field bytes string all that was received
---@field ended string|nil "EOF", or the error that ended the connection, such as "ECONNRESET"
local Client = {}
Client.__index = Client

---Run the loop until a condition holds.
---@param condition fun(): any
---@return any # what the condition gave
function client.await(condition)
  local result = condition()
  while not result do
    local is_alive = uv.run("once")
    result = condition()
    assert(result or is_alive, "nothing is left on the loop that could make the condition true")
  end
  return result
end

---Connect.
---@param port integer
---@return spec.server.Client|nil, string|nil err such as "ECONNREFUSED"
function client.connect(port)
  local self = setmetatable({ socket = uv.new_tcp(), bytes = "" }, Client)
  local outcome
  uv.tcp_connect(self.socket, "127.0.0.1", port, function(err) outcome = err or "connected" end)
  client.await(function() return outcome end)
  if outcome ~= "connected" then
    uv.close(self.socket)
    return nil, outcome
  end
  uv.tcp_nodelay(self.socket, true) -- what is sent first arrives first, also before what another connection sends
  self:resume_reading()
  return self
end

function Client:resume_reading()
  uv.read_start(self.socket, function(err, bytes)
    if bytes then self.bytes = self.bytes .. bytes else self.ended = err or "EOF" end
  end)
end

function Client:pause_reading()
  uv.read_stop(self.socket)
end

---@param bytes string
---@return spec.server.Client self
function Client:send(bytes)
  uv.write(self.socket, bytes)
  return self
end

---Send a request.
---@param method string
---@param target string
---@param headers table|nil
---@param body string|nil
---@return spec.server.Client self
function Client:request(method, target, headers, body)
  local lines = { method .. " " .. target .. " HTTP/1.1", "Host: localhost" }
  for name, value in pairs(headers or {}) do lines[#lines + 1] = name .. ": " .. value end
  if body then lines[#lines + 1] = "Content-Length: " .. #body end
  return self:send(table.concat(lines, "\r\n") .. "\r\n\r\n" .. (body or ""))
end

---Close this side for writing: the server sees the end of the stream.
function Client:shut_down()
  local is_done = false
  uv.shutdown(self.socket, function() is_done = true end)
  client.await(function() return is_done end)
end

function Client:close()
  if not uv.is_closing(self.socket) then uv.close(self.socket) end
end

---Wait for the end of the connection.
---@return string # "EOF" or an error name
function Client:await_end()
  client.await(function() return self.ended end)
  if self.ended == "EOF" then
    -- libuv reports a reset that arrives together with data as an end; the socket still has the error for a write.
    local _, _, name = uv.try_write(self.socket, "\r\n")
    if name == "ECONNRESET" then self.ended = name end
  end
  return self.ended
end

---Wait until the bytes received contain a plain text.
---@param text string
---@return spec.server.Client self
function Client:await_bytes(text)
  client.await(function()
    if self.bytes:find(text, 1, true) then return true end
    assert(not self.ended, "the connection ended before '" .. text .. "' came; it brought:\n" .. self.bytes)
  end)
  return self
end

---The head of the first response.
---@return integer|nil status nil: it has not come yet
---@return table headers by lower-case name
---@return string rest
function Client:head()
  local head, rest = self.bytes:match("^(.-\r\n)\r\n(.*)$")
  if not head then return nil, {}, "" end
  local headers = {}
  for name, value in head:gmatch("\r\n([^:]+): ([^\r]*)") do headers[name:lower()] = value end
  return tonumber(head:match("^HTTP/1%.1 (%d+)")), headers, rest
end

---The chunks of a chunked body as far as they are complete.
---@return string[] chunks
---@return boolean is_complete the last chunk was there
function Client:chunks()
  local chunks = {}
  local _, _, rest = self:head()
  local at = 1
  while true do
    local size, after = rest:match("^(%x+)\r\n()", at)
    size = size and tonumber(size, 16)
    if size == 0 then return chunks, rest:sub(at) == "0\r\n\r\n" end
    if not size or #rest < after + size + 1 then return chunks, false end
    chunks[#chunks + 1] = rest:sub(after, after + size - 1)
    at = after + size + 2
  end
end

---The body of a chunked response as far as it has come.
---@return string body
---@return boolean is_complete
function Client:body()
  local chunks, is_complete = self:chunks()
  return table.concat(chunks), is_complete
end

---Wait until the decoded body contains a plain text, and give the body.
---@param text string
---@return string
function Client:await_body(text)
  return client.await(function()
    local body = self:body()
    if body:find(text, 1, true) then return body end
    assert(not self.ended, "the connection ended before '" .. text .. "' came; it brought:\n" .. self.bytes)
  end)
end

---Wait for the end of a chunked body, and give it.
---@return string
function Client:await_complete_body()
  return client.await(function()
    if self.bytes:sub(-5) == "0\r\n\r\n" then -- else decoding would be for nothing, and there may be megabytes
      local body, is_complete = self:body()
      if is_complete then return body end
    end
    assert(not self.ended, "the connection ended before the body did:\n" .. self.bytes)
  end)
end

---Ask and wait for a whole answer with a Content-Length.
---@param port integer
---@param method string
---@param target string
---@param headers table|nil
---@param body string|nil
---@return integer status
---@return table headers
---@return string body
function client.fetch(port, method, target, headers, body)
  local self = assert(client.connect(port)):request(method, target, headers, body)
  local status, fields, rest
  client.await(function()
    status, fields, rest = self:head()
    local wanted = method ~= "HEAD" and tonumber(fields["content-length"]) or 0
    if status and #rest >= wanted then return true end
    assert(not self.ended, "the connection ended before the answer came")
  end)
  self:close()
  return status, fields, rest
end

return client
