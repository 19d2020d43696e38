-- What the client's methods say to wrong arguments. These raise in the name of the method's caller: what the user wrote is
-- wrong there.

local filter = require "sync.filter"

local checks = {}

---@param method string
---@param text string a format
function checks.misuse(method, text, ...)
  error(("client:%s: " .. text):format(method, ...), 3)
end

---@param method string
---@param fn any
function checks.fn(method, fn)
  if type(fn) ~= "function" then
    error(("client:%s: expected a function, got %s"):format(method, fn == nil and "nil" or "a " .. type(fn)), 3)
  end
end

--- An event, or a plain copy of one.
---@param method string
---@param event any
function checks.event(method, event)
  if type(event) ~= "table" or type(event.seq) ~= "number" then
    error(("client:%s: expected an event"):format(method), 3)
  end
end

---@param method string
---@param given any
---@return table checked
function checks.filter(method, given)
  local ok, checked = pcall(filter.check, given)
  if not ok then error(("client:%s: %s"):format(method, checked), 3) end
  return checked
end

--- Whether `value` is a whole number, `least` or more; nil: `default`.
---@param method string
---@param name string
---@param value any
---@param least integer
---@param default integer|nil
---@return integer|nil
function checks.integer(method, name, value, least, default)
  if value == nil then return default end
  if type(value) ~= "number" or value ~= math.floor(value) or value < least or value == math.huge then
    error(("client:%s: %s: expected an integer, %d or more, got %s"):format(method, name, least, tostring(value)), 3)
  end
  return value
end

--- A table of options with known names.
---@param method string
---@param given any nil: none
---@param names table<string, true>
---@return table
function checks.options(method, given, names)
  if given == nil then return {} end
  if type(given) ~= "table" then error(("client:%s: expected a table of options, got a %s"):format(method, type(given)), 3) end
  for name in pairs(given) do
    if not names[name] then error(("client:%s: %s: unknown option"):format(method, tostring(name)), 3) end
  end
  return given
end

return checks
