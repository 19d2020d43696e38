-- Callbacks that wait for their time, on a clock that is passed in. They wait for nothing themselves: whoever owns the
-- clock is told when the earliest of them is due, and calls run() then.
--
-- A binary heap; each timer knows its place in it, so that cancelling takes it out at once: an order that leaves a stage
-- must not leave a timer behind for the next ten minutes.

local raised = require "sync.raised"

---@class sync.Timer one callback that waits
---@field at_ms number when it is due
---@field number integer in the order they were made
---@field place integer|nil its index in the heap; nil: it has run, is running, or was cancelled
---@field timers sync.Timers
---@field fn function
---@field argument any
local Timer = {}
Timer.__index = Timer

---@class sync.Timers
---@field now fun(): number milliseconds of a clock that never goes back
---@field heap sync.Timer[]
---@field made integer how many timers were made
---@field armed_ms number|nil what `arm` was told last
local Timers = {}
Timers.__index = Timers

local timers = {}

-- ---- the heap ------------------------------------------------------------------------------------------------------

-- Timers of one time run in the order in which they were made.
local function is_before(a, b)
  if a.at_ms ~= b.at_ms then return a.at_ms < b.at_ms end
  return a.number < b.number
end

local function put(heap, place, timer)
  heap[place] = timer
  timer.place = place
end

local function rise(heap, timer)
  local place = timer.place
  while place > 1 do
    local above = math.floor(place / 2)
    if not is_before(timer, heap[above]) then break end
    put(heap, place, heap[above])
    place = above
  end
  put(heap, place, timer)
end

local function sink(heap, timer)
  local place = timer.place
  while true do
    local below = 2 * place
    if not heap[below] then break end
    if heap[below + 1] and is_before(heap[below + 1], heap[below]) then below = below + 1 end
    if not is_before(heap[below], timer) then break end
    put(heap, place, heap[below])
    place = below
  end
  put(heap, place, timer)
end

local function take_out(heap, timer)
  local last = heap[#heap]
  heap[#heap] = nil
  if last ~= timer then
    put(heap, timer.place, last)
    rise(heap, last)
    sink(heap, last)
  end
  timer.place = nil
end

-- ---- made, cancelled, run ------------------------------------------------------------------------------------------

local function tell_earliest(self)
  local first = self.heap[1]
  local at_ms = first and first.at_ms
  if at_ms == self.armed_ms then return end
  self.armed_ms = at_ms
  self.arm(at_ms)
end

---@class sync.TimersOptions
---@field now fun(): number milliseconds of a clock that never goes back
---@field arm fun(at_ms: number|nil) told whenever another time becomes the earliest; nil: nothing waits. A time that has
--- passed means: run() has something to do
---@field on_failure fun(message: string) a callback raised; the message says where

---@param given sync.TimersOptions
---@return sync.Timers
function timers.new(given)
  return setmetatable({ now = given.now, arm = given.arm, on_failure = given.on_failure, heap = {}, made = 0 }, Timers)
end

--- Calls `fn(argument)` in the first run() at `at_ms` or later.
---@param at_ms number of the clock; a time that has passed is now
---@param fn function may raise; may yield out of run()
---@param argument? any so that many timers can share one function
---@return sync.Timer
function Timers:at(at_ms, fn, argument)
  self.made = self.made + 1
  local timer = setmetatable({
    at_ms = math.max(at_ms, self.now()), number = self.made, timers = self, fn = fn, argument = argument,
  }, Timer)
  put(self.heap, #self.heap + 1, timer)
  rise(self.heap, timer)
  tell_earliest(self)
  return timer
end

--- Calls `fn(argument)` in the first run() after `delay_ms` or later.
---@param delay_ms number 0 or less: the next run()
---@param fn function
---@param argument? any
---@return sync.Timer
function Timers:after(delay_ms, fn, argument)
  return self:at(self.now() + delay_ms, fn, argument)
end

--- Forgets the timer. Safe anywhere, its own callback included; again does nothing.
function Timer:cancel()
  if not self.place then return end
  take_out(self.timers.heap, self)
  tell_earliest(self.timers)
end

--- Calls what is due, in order of time. What a callback adds for now is left for the next run, so this one ends: it cannot
--- come before what was due already, for the clock does not go back. A callback may yield: it is off the heap by then, and
--- another coroutine may run the others meanwhile.
---@param spent? fun(): boolean asked after each callback: whether to stop here and leave the rest to the next run
function Timers:run(spent)
  local now_ms, last = self.now(), self.made
  local first = self.heap[1]
  while first and first.at_ms <= now_ms and first.number <= last do
    take_out(self.heap, first)
    tell_earliest(self)
    local ok, message = xpcall(first.fn, raised.traced, first.argument)
    if not ok then self.on_failure(message) end
    if spent and spent() then return end
    first = self.heap[1]
  end
end

return timers
