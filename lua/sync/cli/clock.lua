--- The time of day, as events carry it.

local uv = require "luv"

local clock = {}

---@return integer milliseconds since the epoch
function clock.wall_ms()
  local second, microsecond = uv.gettimeofday()
  return second * 1000 + math.floor(microsecond / 1000)
end

return clock
