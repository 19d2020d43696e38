--- A member's text inside JSON text, byte for byte: decoding and encoding again would change numbers, the order of
-- names and empty lists. It checks nothing: the text must be known to be valid JSON (RFC 8259).

local json_text = {}

-- Where the string ends whose opening quote is at `at`.
local function string_end(json, at)
  local stop = json:find('["\\]', at + 1)
  while json:sub(stop, stop) == "\\" do stop = json:find('["\\]', stop + 2) end
  return stop
end

local function container_end(json, at)
  local depth = 0
  repeat
    local mark
    at, mark = json:match('()(["%[%]{}])', at)
    if mark == '"' then
      at = string_end(json, at)
    else
      depth = depth + ((mark == "{" or mark == "[") and 1 or -1)
    end
    at = at + 1
  until depth == 0
  return at - 1
end

local function value_end(json, at)
  local first = json:sub(at, at)
  if first == '"' then return string_end(json, at) end
  if first == "{" or first == "[" then return container_end(json, at) end
  return (json:find("[%s,%]}]", at) or #json + 1) - 1
end

---The text of a member of an object; of its last one, as JSON decoders have it, when there are several.
---@param json string valid JSON
---@param name string without characters that JSON escapes
---@return string|nil # nil: no object, or no such member
function json_text.member(json, name)
  local found
  local at = json:match('^%s*{%s*()"')
  while at do
    local key_end = string_end(json, at)
    local start = json:match("^%s*:%s*()", key_end + 1)
    local stop = value_end(json, start)
    if json:sub(at + 1, key_end - 1) == name then found = json:sub(start, stop) end
    at = json:match('^%s*,%s*()"', stop + 1)
  end
  return found
end

---The same JSON on one line: outside of strings a line end is white space, and inside of them there is none.
---@param json string valid JSON
---@return string
function json_text.one_line(json)
  return (json:gsub("[\r\n]", " "))
end

return json_text
