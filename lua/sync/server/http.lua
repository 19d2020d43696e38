--- HTTP/1.1 as far as the order server needs it: requests are parsed, response heads and chunks are made as text.
-- It is not a socket and not a router: bytes come in by `feed`, requests come out by `next`.
-- Follows RFC 9112 (messages) and RFC 9110 (fields). A request body needs a Content-Length; a transfer coding gets 501.

local http = {}

-- One request must never cost much memory, whoever sends it.
http.limits = {
  request_line_bytes = 8192, -- RFC 9112, section 3, asks for at least 8000
  head_bytes = 32768,
  headers = 100,
  body_bytes = 1024 * 1024,
}

local reasons = {
  [100] = "Continue", [200] = "OK", [201] = "Created", [204] = "No Content", [206] = "Partial Content",
  [301] = "Moved Permanently", [302] = "Found", [303] = "See Other", [304] = "Not Modified",
  [307] = "Temporary Redirect", [308] = "Permanent Redirect",
  [400] = "Bad Request", [401] = "Unauthorized", [403] = "Forbidden", [404] = "Not Found",
  [405] = "Method Not Allowed", [408] = "Request Timeout", [410] = "Gone", [413] = "Content Too Large",
  [414] = "URI Too Long", [429] = "Too Many Requests", [431] = "Request Header Fields Too Large",
  [500] = "Internal Server Error", [501] = "Not Implemented", [502] = "Bad Gateway",
  [503] = "Service Unavailable", [504] = "Gateway Timeout", [505] = "HTTP Version Not Supported",
}

local TOKEN = "[%w!#$%%&'*+%-.^_`|~]+"

---The reason phrase of a status.
---@param status integer
---@return string
function http.reason(status)
  return reasons[status] or "Unassigned"
end

---Undo percent-encoding.
---@param text string
---@return string
function http.decode_uri(text)
  return (text:gsub("%%(%x%x)", function(hex) return string.char(tonumber(hex, 16)) end))
end

---Parse a query string. A repeated name keeps all its values, joined by commas as repeated fields are.
---@param text string without the question mark
---@return table<string, string>
function http.parse_query(text)
  local query = {}
  for pair in text:gmatch("[^&]+") do
    local name, value = pair:gsub("+", " "):match("^([^=]*)=?(.*)$")
    name, value = http.decode_uri(name), http.decode_uri(value)
    query[name] = query[name] and query[name] .. "," .. value or value
  end
  return query
end

---Set a field in an ordered list of `{name, value}`; the name is matched without regard to case.
---@param list table[]
---@param name string
---@param value string|string[]|false a list repeats the field, false removes it
function http.set_header(list, name, value)
  local lower = name:lower()
  for index = #list, 1, -1 do
    if list[index][1]:lower() == lower then table.remove(list, index) end
  end
  for _, each in ipairs(type(value) == "table" and value or { value or nil }) do
    list[#list + 1] = { name, each }
  end
end

---The head of a response, blank line included.
---@param status integer
---@param headers table[] ordered list of `{name, value}`
---@return string
function http.head(status, headers)
  local lines = { ("HTTP/1.1 %d %s"):format(status, http.reason(status)) }
  for _, header in ipairs(headers) do
    lines[#lines + 1] = header[1] .. ": " .. header[2]
  end
  return table.concat(lines, "\r\n") .. "\r\n\r\n"
end

---One chunk (RFC 9112, section 7.1) as the list of buffers that a gathering write takes: the payload is not copied.
---@param payload string not empty: an empty chunk would end the body
---@return string[]
function http.chunk(payload)
  return { ("%x\r\n"):format(#payload), payload, "\r\n" }
end

http.last_chunk = "0\r\n\r\n"

---Whether a status never has a body (RFC 9110, section 6.4.1).
---@param status integer
---@return boolean
function http.is_bodiless(status)
  return status < 200 or status == 204 or status == 304
end

local function parse_request_line(line)
  local method, target, major, minor = line:match("^(" .. TOKEN .. ") (%S+) HTTP/(%d)%.(%d)$")
  if not method then return nil, 400, "malformed request line" end
  if major ~= "1" then return nil, 505, "only HTTP/1.0 and HTTP/1.1 are served" end
  local path, query = target:match("^(/[^?]*)%??(.*)$")
  if not path then return nil, 400, "the request target must be a path" end
  return {
    method = method, target = target, path = path, query = http.parse_query(query),
    headers = {}, body = "", minor_version = tonumber(minor),
  }
end

local function parse_header(headers, line)
  local name, value = line:match("^(" .. TOKEN .. "):[ \t]*(.-)[ \t]*$")
  if not name or value:gsub("\t", " "):find("%c") then return nil, 400, "malformed header field" end
  name = name:lower()
  headers[name] = headers[name] and headers[name] .. ", " .. value or value
  return true
end

-- Decides, from the fields, how long the body is and whether the connection outlives the exchange.
local function frame_request(request)
  local headers = request.headers
  if request.minor_version > 0 and not headers.host then return nil, 400, "HTTP/1.1 needs a Host field" end
  if headers["transfer-encoding"] then return nil, 501, "request bodies need a Content-Length" end
  local length = headers["content-length"] or "0"
  if not length:match("^%d+$") then return nil, 400, "malformed Content-Length" end
  length = tonumber(length)
  if length > http.limits.body_bytes then return nil, 413, "the body is too large" end
  local connection = (headers.connection or ""):lower()
  request.keep_alive = request.minor_version > 0 and not connection:find("close", 1, true)
  return request, length
end

local function parse_head(head)
  local line, rest = head:match("^(.-)\r\n(.*)$")
  if #line > http.limits.request_line_bytes then return nil, 414, "the request line is too long" end
  local request, status, reason = parse_request_line(line)
  if not request then return nil, status, reason end
  local count = 0
  for field in rest:gmatch("(.-)\r\n") do
    count = count + 1
    if count > http.limits.headers then return nil, 431, "too many header fields" end
    local ok
    ok, status, reason = parse_header(request.headers, field)
    if not ok then return nil, status, reason end
  end
  return frame_request(request)
end

---@class sync.server.Parser
local Parser = {}
Parser.__index = Parser

---A parser for the requests of one connection.
---@return sync.server.Parser
function http.new_parser()
  return setmetatable({ buffer = "" }, Parser)
end

---Take bytes of the peer.
---@param bytes string
function Parser:feed(bytes)
  self.buffer = self.buffer .. bytes
end

---How many bytes wait to become requests.
---@return integer
function Parser:buffered_bytes()
  return #self.buffer
end

-- Moves a complete head from the buffer to `self.request`, where it waits for its body.
function Parser:read_head()
  local buffer = self.buffer:gsub("^[\r\n]+", "") -- RFC 9112, section 2.2: blank lines before a request are ignored
  local last = buffer:find("\r\n\r\n", 1, true)
  self.buffer = buffer
  if #buffer > http.limits.head_bytes and (not last or last > http.limits.head_bytes) then
    return nil, 431, "the head is too large"
  end
  if not last then return nil end
  local request, length, reason = parse_head(buffer:sub(1, last + 1))
  if not request then return nil, length, reason end
  self.buffer = buffer:sub(last + 4)
  self.request, self.length = request, length
  return true
end

---The next complete request.
---@return table|nil request `{method, target, path, query, headers, body, minor_version, keep_alive}`; nil: more bytes
---  are needed, or, with the two values that follow, the peer broke the protocol
---@return integer|nil status that tells the peer so
---@return string|nil reason
function Parser:next()
  if not self.request then
    local ok, status, reason = self:read_head()
    if not ok then return nil, status, reason end
  end
  if #self.buffer < self.length then return nil end
  local request = self.request
  request.body = self.buffer:sub(1, self.length)
  self.buffer = self.buffer:sub(self.length + 1)
  self.request = nil
  return request
end

---Whether the peer waits for `100 Continue` before it sends the body. True once per request.
---@return boolean
function Parser:wants_continue()
  local request = self.request
  if not request or request.continued or #self.buffer > 0 then return false end
  request.continued = (request.headers.expect or ""):lower() == "100-continue"
  return request.continued
end

return http
