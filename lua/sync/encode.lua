-- JSON text of a Lua value, for what a fetch function gives: orders as tables.

local core = require "sync.core"

local encode

local ESCAPES = { ['"'] = '\\"', ["\\"] = "\\\\" }

local function quote(text)
  return '"' .. text:gsub('[%z\1-\31"\\]', function(char)
    return ESCAPES[char] or ("\\u%04x"):format(char:byte())
  end) .. '"'
end

-- Whole numbers without a point: ids and counts must not become 1.0.
local function number(value)
  if value ~= value or value == math.huge or value == -math.huge then error("a number that JSON does not have", 0) end
  if value == math.floor(value) and value > -2 ^ 53 and value < 2 ^ 53 then return ("%d"):format(value) end
  return (("%.17g"):format(value):gsub(",", ".")) -- the host's locale may have a comma
end

local function list(value, depth)
  local items, members = {}, 0
  for _ in pairs(value) do members = members + 1 end
  if members ~= #value then error("a list with other keys, or with holes", 0) end
  for index = 1, #value do items[index] = encode(value[index], depth + 1) end
  return "[" .. table.concat(items, ",") .. "]"
end

local function object(value, depth)
  local members = {}
  for name, item in pairs(value) do
    if type(name) ~= "string" then error("a table with keys that are neither 1, 2, 3 ... nor strings", 0) end
    members[#members + 1] = quote(name) .. ":" .. encode(item, depth + 1)
  end
  return "{" .. table.concat(members, ",") .. "}"
end

-- As deep as the reader goes.
local DEPTH = 128

function encode(value, depth)
  local kind = type(value)
  if value == nil or value == core.null then return "null" end
  if kind == "string" then return quote(value) end
  if kind == "number" then return math.type and math.type(value) == "integer" and ("%d"):format(value) or number(value) end
  if kind == "boolean" then return tostring(value) end
  if kind ~= "table" then error("a " .. kind, 0) end
  if depth > DEPTH then error("a table that is too deep", 0) end
  if value[1] ~= nil or next(value) == nil and depth == 0 then return list(value, depth) end
  return object(value, depth)
end

--- Raises, and says what it met, for a value that JSON does not have. An empty table is a list at the top, an object below.
---@param value any
---@return string
return function(value)
  return encode(value, 0)
end
