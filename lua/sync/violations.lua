-- What is done about a step that an order's declared life does not have: it is delivered, dropped, held until the step
-- before it came, or kept until the snapshot has been asked. What is a violation is decided in stages.lua.
--
-- Of one order, nothing overtakes what is held but the steps that belong before it: later news of that order waits behind.
-- Nothing waits longer than hold_ms, whatever happens: each has a timer of its own. Nothing is kept of an order of which
-- nothing is held; its stage is the caller's to know.

local stages = require "sync.stages"
local suggest = require "sync.suggest"

local violations = {}

---@alias sync.ViolationAction "deliver" | "drop" | "hold" | "snapshot"

---@class sync.ViolationPolicy
---@field repeated sync.ViolationAction
---@field skipped sync.ViolationAction
---@field late sync.ViolationAction
---@field impossible sync.ViolationAction
---@field hold_ms integer how long something is held, or an answer of the snapshot awaited

---@class sync.Violation
---@field kind sync.StageVerdict
---@field order_id string
---@field previous string|nil the stage that was delivered last
---@field new string
---@field missing string[]|nil skipped: the stages in between
---@field action "delivered" | "dropped" | "asked" asked: the snapshot decides
---@field event sync.Event

---@class sync.HeldChange something that waits
---@field event any
---@field new string|nil nil: other news of the order
---@field verdict sync.StageVerdict|nil why it waits; nil: because something before it does
---@field told sync.StageVerdict|nil what on_violation has heard of it
---@field timer sync.Timer|nil nil: it does not wait any more

---@class sync.HeldOrder an order of which something waits
---@field id string
---@field stage string|nil as delivered
---@field queue sync.HeldChange[] in the order in which they are to be delivered

---@class sync.Violations
---@field orders table<string, sync.HeldOrder>
---@field held integer changes that wait, of all orders
---@field counts table<string, integer>
local Violations = {}
Violations.__index = Violations

-- Beyond so many held changes no more are: a stream that is nothing but disorder must not fill the memory.
local LIMIT = 1000

local HOLD_MS = 1000

local ACTIONS = { deliver = true, drop = true, hold = true, snapshot = true }
local NAMES = { "hold_ms", "impossible", "late", "repeated", "skipped" }

-- ---- the policy ----------------------------------------------------------------------------------------------------

local function fail(path, text, ...)
  error(("%s: " .. text):format(path, ...), 0)
end

local function check_action(path, kind, action)
  if not ACTIONS[action] then
    local shown = type(action) == "string" and ("%q"):format(action) or "a " .. type(action)
    fail(path, "expected one of deliver, drop, hold, snapshot, got %s", shown)
  end
  if action == "hold" and kind ~= "skipped" then
    fail(path, "nothing that could still come would make it right; only a skipped step can be held")
  end
end

--- Checks a policy and completes it: what is not named is delivered. Raises for whatever cannot be meant.
---@param given table|nil {repeated=, skipped=, late=, impossible=, hold_ms=}
---@param path? string of the option, default "violations"
---@return sync.ViolationPolicy
function violations.check(given, path)
  path = path or "violations"
  if given ~= nil and type(given) ~= "table" then fail(path, "expected a table, got a %s", type(given)) end
  local policy = { repeated = "deliver", skipped = "deliver", late = "deliver", impossible = "deliver", hold_ms = HOLD_MS }
  for name, value in pairs(given or {}) do
    local place = path .. "." .. tostring(name)
    if policy[name] == nil then
      fail(place, "unknown option%s", suggest.hint(tostring(name), NAMES))
    elseif name ~= "hold_ms" then
      check_action(place, name, value)
    elseif type(value) ~= "number" or value ~= math.floor(value) or value < 0 or value == math.huge then
      fail(place, "expected an integer (milliseconds), 0 or more, got %s", tostring(value))
    end
    policy[name] = value
  end
  return policy
end

---@class sync.ViolationsOptions
---@field timers sync.Timers
---@field machine sync.StageMachine
---@field policy sync.ViolationPolicy
---@field deliver fun(event: any, previous: string|nil, new: string|nil) hands an event on. Neither raises nor yields; if
--- it does raise, what waits behind goes when its time is over
---@field discard fun(event: any) an event is handed on to nobody; likewise
---@field on_violation fun(violation: sync.Violation) likewise
---@field ask_snapshot fun(order_id: string, reply: fun(stage: string|nil)) asks which stage the order is in; nil: not known
---@field limit? integer how many changes may wait, default 1000

---@param given sync.ViolationsOptions
---@return sync.Violations
function violations.new(given)
  local self = setmetatable({
    timers = given.timers, machine = given.machine, policy = given.policy, deliver = given.deliver,
    discard = given.discard, on_violation = given.on_violation, ask_snapshot = given.ask_snapshot, limit = given.limit or LIMIT,
    orders = {}, held = 0,
    counts = { repeated = 0, skipped = 0, late = 0, impossible = 0, reordered = 0, refuted = 0, dropped = 0 },
  }, Violations)
  self.expire = function(change) self:release(change.order, change) end
  return self
end

-- ---- one change ----------------------------------------------------------------------------------------------------

local function count(self, name)
  self.counts[name] = self.counts[name] + 1
end

local function verdict_of(self, order, change)
  return change.new and stages.judge(self.machine, order.stage, change.new) or "ok"
end

local function tell(self, order, change, kind, action)
  count(self, kind)
  change.told = kind
  if action == "dropped" then count(self, action) end
  self.on_violation {
    kind = kind, order_id = order.id, previous = order.stage, new = change.new, action = action, event = change.event,
    missing = kind == "skipped" and stages.between(self.machine, order.stage, change.new) or nil,
  }
end

-- The change is delivered, or dropped, and its verdict told if it has not been.
local function settle(self, order, change, verdict)
  local drops = self.policy[verdict] == "drop"
  if verdict ~= "ok" then
    if change.told ~= verdict then tell(self, order, change, verdict, drops and "dropped" or "delivered") end
  elseif change.verdict then
    count(self, "reordered")
  end
  if drops then return self.discard(change.event) end
  local previous = order.stage
  order.stage = change.new or previous
  self.deliver(change.event, previous, change.new)
end

-- ---- waiting -------------------------------------------------------------------------------------------------------

-- Before the first that lies ahead of it in the order's life, for it was overtaken by that; otherwise at the end.
local function place_for(self, queue, new)
  for index, change in ipairs(queue) do
    local overtook = new and change.new and stages.leads(self.machine, new, change.new)
    if overtook and not stages.leads(self.machine, change.new, new) then return index end
  end
  return #queue + 1
end

local function remove(self, order, index)
  local change = table.remove(order.queue, index)
  change.timer:cancel()
  change.timer = nil
  self.held = self.held - 1
  return change
end

-- The snapshot confirms that nothing has changed: then the event was wrong. Whatever else it says, the event is handed on,
-- for the snapshot may be the older of the two.
local function make_reply(self, order, change)
  return function(stage)
    if not change.timer then return end
    if stage == nil or stage ~= order.stage then return self:release(order, change) end
    for index, candidate in ipairs(order.queue) do
      if candidate == change then remove(self, order, index) end
    end
    count(self, "refuted")
    self.discard(change.event)
    self:go_on(order)
  end
end

local function ask(self, order, change)
  tell(self, order, change, change.verdict, "asked")
  self.ask_snapshot(order.id, make_reply(self, order, change))
end

local function wait(self, order, change)
  self.orders[order.id] = order
  table.insert(order.queue, place_for(self, order.queue, change.new), change)
  change.order = order
  change.timer = self.timers:after(self.policy.hold_ms, self.expire, change)
  self.held = self.held + 1
  if self.held > self.limit then return self:release(order, change) end
  if self.policy[change.verdict] == "snapshot" then ask(self, order, change) end
end

-- The head of the queue may go now, or stays. Gives whether it went.
local function move_head(self, order)
  local change = order.queue[1]
  local verdict = verdict_of(self, order, change)
  if verdict == change.verdict then return false end -- what it waits for has not come
  local action = self.policy[verdict]
  if action == "hold" or action == "snapshot" then
    change.verdict = verdict
    if action == "snapshot" then ask(self, order, change) end
    return false -- an answer that came at once has gone on by itself
  end
  settle(self, order, remove(self, order, 1), verdict)
  return true
end

---@private
--- Delivers from the head of the queue as far as it may go.
function Violations:go_on(order)
  while order.queue[1] and move_head(self, order) do end
  if not order.queue[1] and self.orders[order.id] == order then self.orders[order.id] = nil end
end

---@private
--- The time is over for a change, and so for what is before it: all of it is delivered, unless it would be dropped anyway.
function Violations:release(order, last)
  while last.timer do
    local change = remove(self, order, 1)
    settle(self, order, change, verdict_of(self, order, change))
  end
  self:go_on(order)
end

-- ---- what comes in -------------------------------------------------------------------------------------------------

-- A step of an order that is not the next one, or news of one of which something waits.
local function meet(self, order, change)
  local verdict = verdict_of(self, order, change)
  local action = self.policy[verdict]
  if action == "hold" or action == "snapshot" or not change.new then
    change.verdict = change.new and verdict
    return wait(self, order, change)
  end
  settle(self, order, change, verdict)
  self:go_on(order)
end

--- An event has come. It is delivered before this returns, or later, or never, as the policy says.
---@param event any is handed on
---@param order_id string
---@param new string|nil the stage it brings; nil: it is other news of the order
---@param previous string|nil the stage of the order as it was delivered last, or else as the event says
function Violations:take(event, order_id, new, previous)
  local order = self.orders[order_id]
  if not order then
    if not new or stages.judge(self.machine, previous, new) == "ok" then return self.deliver(event, previous, new) end
    order = { id = order_id, stage = previous, queue = {} }
  end
  meet(self, order, { event = event, new = new })
end

--- The time is over for all that waits.
function Violations:finish()
  for _, order in pairs(self.orders) do self:release(order, order.queue[#order.queue]) end
end

--- Forgets all that waits: nothing is delivered any more.
function Violations:cancel()
  for _, order in pairs(self.orders) do
    while order.queue[1] do remove(self, order, 1) end
  end
  self.orders = {}
end

--- How many of each kind there were; `reordered`: held, and the step before it came; `refuted`: the snapshot said no;
--- `dropped`; `held`: waiting now.
---@return table<string, integer>
function Violations:report()
  local report = { held = self.held }
  for name, value in pairs(self.counts) do report[name] = value end
  return report
end

return violations
