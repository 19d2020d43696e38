-- Durations that are given as arguments.

local duration = {}

-- A day, as for the durations among the options; longer is a mistake in units.
local LONGEST_MS = 24 * 60 * 60 * 1000

--- Whole milliseconds, rounded up, a day at most. Raises in the name of the caller of the function that asks.
---@param call string for the message, "sync.step"
---@param name string of the argument
---@param value any
---@param default? integer for nil
---@return integer|nil
function duration.check(call, name, value, default)
  if value == nil then return default end
  if type(value) ~= "number" or value ~= value then
    error(("%s: %s: expected milliseconds, got %s"):format(call, name, tostring(value)), 3)
  end
  return math.floor(math.max(0, math.min(value, LONGEST_MS)) + 0.999)
end

return duration
