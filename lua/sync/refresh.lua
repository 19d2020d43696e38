-- A function that fetches anew what events have made old: what is behind client:auto_refresh and client:on_dashboard.
-- One call per burst of touches; the last touch is never forgotten; never two calls at once.
--
-- It hears of touches and of time. What a touch is, and which events are meant, is its owner's business.

local backoff = require "sync.backoff"
local raised = require "sync.raised"

---@class sync.Refresh
---@field fn fun(news: sync.RefreshNews): any
---@field first_ms number|nil when the first touch came that no call has answered
---@field last_ms number|nil when the last one did
---@field call_at_ms number|nil when to call whatever comes: asked for, or tried again
---@field reason string|nil of the first touch that no call has answered
---@field count integer how many of them there are
---@field busy boolean a call is under way, or has yielded
---@field failures integer in a row
---@field timer sync.Timer|nil
local Refresh = {}
Refresh.__index = Refresh

local refresh = {}

-- Under a steady stream that never pauses for debounce_ms, a picture may be this many of them old.
local MAX_WAIT_DEBOUNCES = 5

-- Nobody says when an `enabled` function changes its mind, so it is asked again; not more often than this.
local LOOK_AGAIN_MS = 1000

---@class sync.RefreshNews what a call is for
---@field reason string of the first touch: "event", "poll", "resync" or "start"
---@field count integer of touches

---@class sync.RefreshOptions
---@field timers sync.Timers
---@field fn fun(news: sync.RefreshNews): any may yield; it has failed if it raises, or gives nil or false and a message
---@field debounce_ms integer quiet time after the last touch before the call
---@field max_wait_ms? integer a touch waits no longer than this, however many follow; default 5 x debounce_ms
---@field enabled? boolean|fun(): boolean while a function says no, the touches wait; false: there is nothing to do ever
---@field retry sync.Backoff after failures
---@field random fun(): number 0 <= it < 1
---@field on_failure fun(message: string, failures: integer, retry_in_ms: integer)

---@param given sync.RefreshOptions
---@return sync.Refresh
function refresh.new(given)
  local self = setmetatable({
    timers = given.timers, fn = given.fn, enabled = given.enabled, retry = given.retry, random = given.random,
    debounce_ms = given.debounce_ms, max_wait_ms = given.max_wait_ms or MAX_WAIT_DEBOUNCES * given.debounce_ms,
    on_failure = given.on_failure, count = 0, failures = 0, busy = false,
  }, Refresh)
  self.look = function() self:look_whether_due() end
  return self
end

-- ---- when ----------------------------------------------------------------------------------------------------------

local function due_ms(self)
  local due = self.call_at_ms or math.huge
  if not self.last_ms then return due end
  return math.min(due, self.last_ms + self.debounce_ms, self.first_ms + self.max_wait_ms)
end

-- A touch does not move the timer, which would cost a turn of the heap for each: when the timer comes too early, it looks
-- again. During a call there is none: what became due meanwhile is seen when the call is done.
local function set_timer(self)
  local due = due_ms(self)
  if self.busy or due == math.huge then return end
  if self.timer then
    if self.timer.at_ms <= due then return end
    self.timer:cancel()
  end
  self.timer = self.timers:at(due, self.look)
end

local function call_by(self, at_ms)
  self.call_at_ms = math.min(self.call_at_ms or math.huge, at_ms)
end

-- ---- the call ------------------------------------------------------------------------------------------------------

-- What was not answered is given back, ahead of what came during the call.
local function give_back(self, news)
  self.reason = news.reason
  self.count = self.count + news.count
end

local function fail(self, message, news)
  self.failures = self.failures + 1
  local delay_ms = backoff.delay_ms(self.retry, self.failures, self.random)
  give_back(self, news)
  call_by(self, self.timers.now() + delay_ms)
  set_timer(self)
  self.on_failure(message, self.failures, delay_ms)
end

local function postpone(self, news)
  give_back(self, news)
  call_by(self, self.timers.now() + math.max(self.debounce_ms, LOOK_AGAIN_MS))
  set_timer(self)
end

-- False: it is not wanted now. Otherwise true, and what fn gave.
local function attempt(self, news)
  if type(self.enabled) == "function" and not self.enabled() then return false end
  return true, self.fn(news)
end

local function call(self)
  local news = { reason = self.reason, count = self.count }
  self.first_ms, self.last_ms, self.call_at_ms, self.reason, self.count = nil, nil, nil, nil, 0
  self.busy = true
  local ok, called, result, problem = xpcall(attempt, raised.traced, self, news)
  self.busy = false
  if self.cancelled then return end
  if not ok then return fail(self, called, news) end
  if not called then return postpone(self, news) end
  if not result and problem ~= nil then return fail(self, raised.text(problem), news) end
  self.failures = 0
  set_timer(self)
end

---@private
function Refresh:look_whether_due()
  self.timer = nil
  if due_ms(self) <= self.timers.now() then return call(self) end
  set_timer(self)
end

-- ---- what the owner says -------------------------------------------------------------------------------------------

local function note(self, reason)
  self.reason = self.reason or reason
  self.count = self.count + 1
end

--- Something has changed: one call follows, debounce_ms after the last touch. During a call: one more after it.
---@param reason? string default "event"
function Refresh:touch(reason)
  if self.cancelled or self.enabled == false then return end
  note(self, reason or "event")
  self.last_ms = self.timers.now()
  self.first_ms = self.first_ms or self.last_ms
  set_timer(self)
end

--- One call in the next run of the timers, without waiting for quiet. During a call: one more after it.
---@param reason? string default "start"
function Refresh:now(reason)
  if self.cancelled or self.enabled == false then return end
  note(self, reason or "start")
  call_by(self, self.timers.now())
  set_timer(self)
end

--- Ends it. A call that has yielded goes on, and is the last. Safe inside the function itself; again does nothing.
function Refresh:cancel()
  self.cancelled = true
  if self.timer then self.timer:cancel() end
end

return refresh
