-- A subscription: what client:subscribe, on_order, on_event and on_stage_change give.

---@class sync.Subscription
---@field id integer its number in the client's index
---@field delivered integer how many events it got
---@field client sync.Client
---@field filter table checked
---@field invoke fun(event: sync.Event) how an event reaches the handler
local Subscription = {}
Subscription.__index = Subscription

local subscription = {}

--- Enters `fn` into the index of `client`. `adapt` (optional) makes the call that an event becomes.
---@param client sync.Client
---@param fn function
---@param checked table a checked filter
---@param adapt? fun(fn: function): fun(event: sync.Event)
---@return sync.Subscription|nil, string|nil message, string|nil code
function subscription.new(client, fn, checked, adapt)
  local id, message, code = client.core:subscribe(checked.order_ids, checked.types)
  if not id then return nil, message, code end
  local invoke = adapt and adapt(fn) or fn
  local where = checked.where
  local self = setmetatable({ id = id, delivered = 0, client = client, filter = checked }, Subscription)
  self.invoke = not where and invoke or function(event)
    if where(event) then return invoke(event) end
    self.delivered = self.delivered - 1
  end
  client.subscriptions[id] = self
  return self
end

--- Ends it. Safe anywhere, its own handler included; again does nothing.
function Subscription:cancel()
  if self.client.subscriptions[self.id] ~= self then return end
  self.client.subscriptions[self.id] = nil
  if self.client.core then self.client.core:unsubscribe(self.id) end
end

Subscription.__call = Subscription.cancel

--- The events of the client's history that this subscription is for, oldest first.
---@return sync.Event[]
function Subscription:events()
  return self.client:select(self.filter)
end

--- The latest of them, or nil.
---@return sync.Event|nil
function Subscription:latest()
  local events = self:events()
  return events[#events]
end

Subscription.__tostring = function(self)
  return ("sync.subscription %d (%d delivered)"):format(self.id, self.delivered)
end

return subscription
