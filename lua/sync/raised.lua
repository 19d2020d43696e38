-- What was raised, as text: error() takes any value, and one with a __tostring of its own may raise again.

local raised = {}

--- Never raises.
---@param value any
---@return string
function raised.text(value)
  local ok, text = pcall(tostring, value)
  if ok and type(text) == "string" then return text end
  return "an error of type " .. type(value) .. " that cannot be shown"
end

--- The message handler for xpcall: the text, and where it was raised.
---@param value any
---@return string
function raised.traced(value)
  return debug.traceback(raised.text(value), 2)
end

return raised
