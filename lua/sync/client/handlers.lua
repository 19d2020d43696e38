-- A client's handlers: of events, and of what else there is to hear. Methods of sync.Client.

local checks = require "sync.client.checks"
local filter = require "sync.filter"
local listeners = require "sync.listeners"
local stages = require "sync.stages"
local subscription = require "sync.subscription"

local methods = {}

local function subscribe(self, fn, checked, adapt)
  if not self.core then return self.closed() end
  return subscription.new(self, fn, checked, adapt)
end

--- Calls `fn(event)` for every order event, or for those that `filter` means.
---@param fn fun(event: sync.Event)
---@param given? sync.Filter
---@return sync.Subscription|nil, string|nil message, string|nil code
function methods:subscribe(fn, given)
  checks.fn("subscribe", fn)
  return subscribe(self, fn, checks.filter("subscribe", given))
end

--- Calls `fn(event)` for every event of an order, or of several; "*": of any.
---@param order_id string|string[]
---@param fn fun(event: sync.Event)
---@return sync.Subscription|nil, string|nil message, string|nil code
function methods:on_order(order_id, fn)
  if order_id == nil then checks.misuse("on_order", "expected an order id, a list of them or \"*\", got nil") end
  checks.fn("on_order", fn)
  return subscribe(self, fn, checks.filter("on_order", { order_id = order_id }))
end

--- Calls `fn(event)` for every event of a type, or of several. `connected` and `heartbeat` are heard only this way.
---@param event_type string|string[]
---@param fn fun(event: sync.Event)
---@return sync.Subscription|nil, string|nil message, string|nil code
function methods:on_event(event_type, fn)
  if event_type == nil then checks.misuse("on_event", "expected an event type, a list of them or \"*\", got nil") end
  checks.fn("on_event", fn)
  return subscribe(self, fn, checks.filter("on_event", { event_types = event_type }))
end

local STEP_NAMES = { from = true, to = true }

local function adapt_stage_change(step)
  return function(fn)
    return function(event)
      local previous, new = event.previous_stage, event.new_stage
      if filter.means(step.from, previous) and filter.means(step.to, new) then return fn(event, previous, new) end
    end
  end
end

--- Calls `fn(event, previous, new)` when an order, or one of several, changes its stage; "*": any order. `previous` is what
--- the event says, or else what the order book knew.
---@param order_id string|string[]
---@param fn fun(event: sync.Event, previous: string|nil, new: string|nil)
---@param step? {from: string|string[]|nil, to: string|string[]|nil} only steps from and to these stages
---@return sync.Subscription|nil, string|nil message, string|nil code
function methods:on_stage_change(order_id, fn, step)
  if order_id == nil then checks.misuse("on_stage_change", "expected an order id, a list of them or \"*\", got nil") end
  checks.fn("on_stage_change", fn)
  local checked = checks.filter("on_stage_change", { order_id = order_id, event_types = stages.CHANGES })
  return subscribe(self, fn, checked, adapt_stage_change(checks.options("on_stage_change", step, STEP_NAMES)))
end

--- Adds a function to those who listen to `name`.
---@param name string
---@param fn function
---@return sync.Listener|nil, string|nil message, string|nil code
function methods:listen(name, fn)
  if not self.core then return self.closed() end
  self.listeners[name] = self.listeners[name] or {}
  return listeners.add(self.listeners[name], fn)
end

--- Calls `fn(state, previous)` at every change of the state.
---@param fn fun(state: string, previous: string)
---@return sync.Listener
function methods:on_state(fn)
  checks.fn("on_state", fn)
  return self:listen("state", fn)
end

--- Calls `fn(health)` at every change of the state.
---@param fn fun(health: table)
---@return sync.Listener
function methods:on_health(fn)
  checks.fn("on_health", fn)
  return self:listen("health", fn)
end

--- Calls `fn{code=, message=, hint=, retryable=, status=, attempt=, next_retry_at=}` for everything that goes wrong.
---@param fn fun(problem: table)
---@return sync.Listener
function methods:on_error(fn)
  checks.fn("on_error", fn)
  return self:listen("error", fn)
end

--- Calls `fn(text)` for every comment of the stream.
---@param fn fun(text: string)
---@return sync.Listener
function methods:on_comment(fn)
  checks.fn("on_comment", fn)
  local listener, message, code = self:listen("comment", fn)
  self:want()
  return listener, message, code
end

return methods
