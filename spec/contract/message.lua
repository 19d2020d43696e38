--- HTTP/1.1 messages as they arrive: requests and responses, of any size, in any pieces (RFC 9112).
-- It is not the order server's parser (sync.server.http), which takes requests only, and small ones: a report of an
-- event may have tens of megabytes, and the harness must not read the service's mistakes with the service's own eyes.

local http = require "sync.server.http"

local message = {}

---@class contract.Message
---@field method string|nil of a request
---@field target string|nil of a request
---@field status integer|nil of a response
---@field headers table<string, string> by lower-case name; repeated fields are joined by commas
---@field body string
---@field keep_alive boolean whether the connection outlives the exchange

---@class contract.Reader
local Reader = {}
Reader.__index = Reader

local START_LINES = {
  request = function(text)
    local method, target, minor = text:match("^(%S+) (%S+) HTTP/1%.(%d)\r\n")
    return method and { method = method, target = target }, minor
  end,
  response = function(text)
    local minor, status = text:match("^HTTP/1%.(%d) (%d%d%d)[^\r\n]*\r\n")
    return status and { status = tonumber(status) }, minor
  end,
}

local function parse_fields(text)
  local fields = {}
  for name, value in text:gmatch("\n([^:\r\n]+):[ \t]*([^\r\n]-)[ \t]*\r") do
    name = name:lower()
    fields[name] = fields[name] and fields[name] .. ", " .. value or value
  end
  return fields
end

local function outlives(minor, connection)
  if minor == "0" then return connection:find("keep-alive", 1, true) ~= nil end
  return not connection:find("close", 1, true)
end

-- Where a body ends: after so many bytes, with the last chunk, or with the connection.
local function framing_of(head)
  if head.status and http.is_bodiless(head.status) then return 0 end
  if head.headers["transfer-encoding"] then return "chunks" end
  local length = head.headers["content-length"]
  if length then return length:match("^%d+$") and tonumber(length) end
  return head.method and 0 or "connection"
end

-- The payload of a complete chunked body and what follows it; nil: it is not complete.
local function decode_chunks(text)
  local parts, at = {}, 1
  while true do
    local size, after = text:match("^(%x+)[^\r\n]*\r\n()", at)
    size = size and tonumber(size, 16)
    if size == 0 then
      local rest = text:match("^\r\n()", after) or text:match("^.-\r\n\r\n()", after) -- trailer fields are skipped
      return rest and table.concat(parts), rest and text:sub(rest)
    end
    if not size or #text < after + size + 1 then return nil end
    parts[#parts + 1] = text:sub(after, after + size - 1)
    at = after + size + 2
  end
end

---A reader for one side of one connection.
---@param kind "request"|"response"
---@return contract.Reader
function message.reader(kind)
  return setmetatable({ parse_start = START_LINES[kind], pieces = {}, size = 0 }, Reader)
end

---Take bytes of the peer.
---@param bytes string
function Reader:feed(bytes)
  self.pieces[#self.pieces + 1] = bytes
  self.size = self.size + #bytes
end

---Whether bytes have come that are not yet a message.
---@return boolean
function Reader:has_begun()
  return self.head ~= nil or self.size > 0
end

function Reader:join()
  local text = table.concat(self.pieces)
  self.pieces = { text }
  return text
end

function Reader:keep(rest)
  self.pieces, self.size = { rest }, #rest
end

-- Moves a head to `self.head`, where it waits for its body. Interim responses (1xx) are passed over.
function Reader:read_head()
  local text = self:join()
  local last = text:find("\r\n\r\n", 1, true)
  if not last then return nil end
  local head, minor = self.parse_start(text)
  if not head then return nil, "malformed start line: " .. text:match("^[^\r\n]*") end
  self:keep(text:sub(last + 4))
  if head.status and head.status < 200 then return self:read_head() end
  head.headers = parse_fields(text:sub(1, last))
  head.keep_alive = outlives(minor, (head.headers.connection or ""):lower())
  local framing = framing_of(head)
  if not framing then return nil, "malformed Content-Length: " .. head.headers["content-length"] end
  self.head, self.framing = head, framing
  return true
end

-- A body of known length is joined once, whatever its size.
function Reader:take_body()
  if self.framing == "connection" or type(self.framing) == "number" and self.size < self.framing then return nil end
  local text = self:join()
  local body, rest
  if self.framing == "chunks" then
    body, rest = decode_chunks(text)
  else
    body, rest = text:sub(1, self.framing), text:sub(self.framing + 1)
  end
  if body then self:keep(rest) end
  return body
end

---The next complete message.
---@return contract.Message|nil # nil: more bytes are needed, or, with the text that follows, it is no HTTP
---@return string|nil problem
function Reader:next()
  if not self.head then
    local ok, problem = self:read_head()
    if not ok then return nil, problem end
  end
  local body = self:take_body()
  if not body then return nil end
  local complete = self.head
  complete.body, self.head = body, nil
  return complete
end

---The connection has ended: the message that ends with it, if there is one.
---@return contract.Message|nil
function Reader:finish()
  if not self.head or self.framing ~= "connection" then return nil end
  local complete = self.head
  complete.body, complete.keep_alive, self.head = self:join(), false, nil
  return complete
end

return message
