--- Time that a spec owns: a clock that stands until it is advanced, and the timers on it. Nothing is waited for.
--
-- The clock moves only to where the timers asked to be woken, so a module that arms its timers wrongly is found out here.

local timers = require "sync.timers"

local virtual_time = {}

---@class spec.support.VirtualTime
---@field now_ms number
---@field armed_ms number|nil when the timers want to be run; nil: never
---@field timers sync.Timers
---@field failures string[] what callbacks raised
local VirtualTime = {}
VirtualTime.__index = VirtualTime

---@return spec.support.VirtualTime
function virtual_time.new()
  local self = setmetatable({ now_ms = 0, failures = {} }, VirtualTime)
  self.timers = timers.new {
    now = function() return self.now_ms end,
    arm = function(at_ms) self.armed_ms = at_ms end,
    on_failure = function(message) self.failures[#self.failures + 1] = message end,
  }
  return self
end

---Let time pass. What is due on the way runs, each at its time; 0 runs what is due now.
---@param ms number
function VirtualTime:advance(ms)
  local target_ms = self.now_ms + ms
  while self.armed_ms and self.armed_ms <= target_ms do
    self.now_ms = math.max(self.now_ms, self.armed_ms)
    self.timers:run()
  end
  self.now_ms = target_ms
end

---Let time pass until no timer waits.
function VirtualTime:finish()
  while self.armed_ms do self:advance(math.max(0, self.armed_ms - self.now_ms)) end
end

return virtual_time
