-- The life of an order as this client watches over it: client:on_violation and client:on_overdue, and the gate that events
-- pass when a step that the declared life does not have may be held, dropped or asked about. Methods of sync.Client.

local checks = require "sync.client.checks"
local overdue = require "sync.overdue"
local raised = require "sync.raised"
local stages = require "sync.stages"
local violations = require "sync.violations"

local methods = {}

local OVERDUE_NAMES = { stage = true, after_ms = true }

-- ---- the gate ------------------------------------------------------------------------------------------------------

-- Whoever asks gets what the next poll makes of the order; without one to come, what is known.
local function ask_snapshot(self, order_id, reply)
  local function answer()
    local order = self.core and self.librarian.order(order_id)
    reply(order and order.orderStage)
  end
  if not self.core:poll() then return answer() end
  self.awaiting_poll[#self.awaiting_poll + 1] = answer
end

-- As many orders as the book keeps by default; beyond it their stages are learned anew.
local STAGES_KEPT = 100000

-- What has been delivered is what the next step is judged by: the event's own word for it may be of a step that is still
-- held, or was dropped.
local function remember_stage(self, event)
  local stages_of = self.delivered_stages
  if event.type == "order_deleted" then
    stages_of[event.order_id] = nil
  elseif stages.is_change(event.type) and event.new_stage then
    if not stages_of[event.order_id] then self.delivered_count = self.delivered_count + 1 end
    if self.delivered_count > STAGES_KEPT then self.delivered_stages, self.delivered_count = {}, 1 end
    self.delivered_stages[event.order_id] = event.new_stage
  end
end

local function new_gate(self)
  return violations.new {
    timers = self.loop.timers,
    machine = stages.check(self.options.stages or stages.default),
    policy = violations.check(self.options.violations),
    deliver = function(event)
      remember_stage(self, event)
      if self.passing then self.passing[#self.passing + 1] = event else self.delivery:add(event) end
    end,
    discard = function(event)
      if self.core then self.core:done(event.seq) end
    end,
    on_violation = function(violation) self:call_listeners("violation", violation) end,
    ask_snapshot = function(order_id, reply) ask_snapshot(self, order_id, reply) end,
  }
end

--- Whether every event has to pass the gate.
---@return boolean
function methods:is_gated()
  return self.listeners.violation ~= nil or self.options.violations ~= nil
end

--- The rules have changed: what waits by the old ones waits no longer.
function methods:renew_gate()
  if self.gate then self.gate:finish() end
  self.gate = nil
end

--- Whether an event may be delivered now, in the engine's turn. One that may not is delivered later, or never, or at once
--- but together with others: then the engine is told when it is done.
---@param event sync.Event
---@return boolean
function methods:passes_gate(event)
  if not event.order_id or not self:is_gated() then return true end
  self.gate = self.gate or new_gate(self)
  local passing = {}
  self.passing = passing
  local new = stages.is_change(event.type) and event.new_stage or nil
  self.gate:take(event, event.order_id, new, self.delivered_stages[event.order_id] or event.previous_stage)
  self.passing = nil
  if not self.core then return false end
  if passing[1] == event and not passing[2] then return true end
  self.core:hold()
  for _, each in ipairs(passing) do self.delivery:add(each) end
  return false
end

-- ---- what users ask for --------------------------------------------------------------------------------------------

--- Calls `fn{kind=, order_id=, previous=, new=, missing=, action=, event=}` for a step that the order's declared life does not
--- have: "repeated", "skipped", "late" or "impossible". What becomes of the event is for the option `violations` to say.
---@param fn fun(violation: sync.Violation)
---@return sync.Listener|nil, string|nil message, string|nil code
function methods:on_violation(fn)
  checks.fn("on_violation", fn)
  local was_gated = self:is_gated()
  local listener, message, code = self:listen("violation", fn)
  if listener and not was_gated then self:configure {} end
  return listener, message, code
end

---@class sync.Watch what client:on_overdue gives
---@field cancel fun(self) ends it; so does calling it
local Watch = {}
Watch.__index = Watch

--- Ends it. Safe inside its function; again does nothing.
function Watch:cancel()
  self.overdue:cancel()
  self.subscription:cancel()
  self.on_poll:cancel()
  self.client.watches[self] = nil
end

Watch.__call = Watch.cancel

-- What an event of the order means for a watch; the book may know the stage where the event does not say it.
local function follow(self, stays, event)
  if event.type == "order_deleted" then return stays:tell(event.order_id, nil, event.received_at) end
  if stages.is_change(event.type) then return stays:tell(event.order_id, event.new_stage, event.received_at) end
  local order = event.order_id and self.librarian.order(event.order_id)
  if order then stays:tell(event.order_id, order.orderStage, event.received_at) end
end

-- Orders that are in the stage already count from when the book heard of it.
local function tell_known(self, stays)
  for _, order in ipairs(self:orders { stage = stays.stage }) do stays:tell(order.orderID, stays.stage, order.as_of) end
end

--- Calls `fn(order_id, stage, since)` once for every order that stays in a stage for longer than `after_ms`.
---@param given {stage: string, after_ms: integer}
---@param fn fun(order_id: string, stage: string, since: integer)
---@return sync.Watch|nil, string|nil message, string|nil code
function methods:on_overdue(given, fn)
  checks.fn("on_overdue", fn)
  given = checks.options("on_overdue", given, OVERDUE_NAMES)
  if type(given.stage) ~= "string" then checks.misuse("on_overdue", "stage: expected a string, got %s", type(given.stage)) end
  local after_ms = checks.integer("on_overdue", "after_ms", given.after_ms, 0)
  if not after_ms then checks.misuse("on_overdue", "after_ms: required") end
  if not self.core then return self.closed() end
  local stays = overdue.new {
    timers = self.loop.timers, epoch_ms = function() return self.loop:wall_ms() end,
    stage = given.stage, after_ms = after_ms,
    fn = function(...)
      local ok, message = xpcall(fn, raised.traced, ...)
      if not ok then self:tell_handler_error("on_overdue: " .. message) end
    end,
  }
  tell_known(self, stays)
  local subscription = self:subscribe(function(event) follow(self, stays, event) end)
  local on_poll = self:listen("poll", function() tell_known(self, stays) end) -- the first tells no events
  local watch = setmetatable({ client = self, overdue = stays, subscription = subscription, on_poll = on_poll }, Watch)
  self.watches[watch] = true
  return watch
end

--- The client is closed: nothing is told or delivered any more.
function methods:end_steps()
  for watch in pairs(self.watches) do watch.overdue:cancel() end
  if self.gate then self.gate:cancel() end
end

return methods
