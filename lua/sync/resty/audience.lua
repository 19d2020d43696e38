-- Who wants to hear of orders in this worker. To the methods of sync.Client that make subscriptions it looks like a
-- client; its events come from the ring.

local filter = require "sync.filter"
local handlers = require "sync.client.handlers"
local raised = require "sync.raised"

---@class sync.resty.Audience
---@field core table what a subscription enters its wishes into
---@field subscriptions table<integer, sync.Subscription>
---@field wishes table<integer, table> checked filters of theirs, without `where`
---@field last integer the number of the latest subscription
---@field ring sync.resty.Ring|nil where the events of a subscription's history are
---@field failures integer handlers that have raised
local Audience = {}
Audience.__index = Audience

for _, name in ipairs { "subscribe", "on_order", "on_event", "on_stage_change" } do Audience[name] = handlers[name] end

local audience = {}

---@return sync.resty.Audience
function audience.new()
  local self = setmetatable({ subscriptions = {}, wishes = {}, last = 0, failures = 0 }, Audience)
  self.core = {
    subscribe = function(_, order_ids, types)
      self.last = self.last + 1
      self.wishes[self.last] = { order_ids = order_ids, types = types }
      return self.last
    end,
    unsubscribe = function(_, id) self.wishes[id] = nil end,
  }
  return self
end

---@return boolean
function Audience:is_empty()
  return next(self.subscriptions) == nil
end

--- What a subscription's `events` and `latest` ask for: those of the ring that a checked filter means, oldest first.
---@param checked table
---@return sync.resty.Event[]
function Audience:select(checked)
  local ring, newest_first = self.ring, {}
  local number = ring and ring:head() or 0
  local event = number > 0 and ring:entry(number)
  while event and #newest_first < (checked.limit or math.huge) do
    if filter.accepts(checked, event) then newest_first[#newest_first + 1] = event end
    number = number - 1
    event = ring:entry(number)
  end
  local events, count = {}, #newest_first
  for index = 1, count do events[index] = newest_first[count + 1 - index] end
  return events
end

local function tell(self, sub, event)
  sub.delivered = sub.delivered + 1
  local ok, message = xpcall(function() sub.invoke(event) end, raised.traced)
  if ok then return end
  self.failures = self.failures + 1
  ngx.log(ngx.ERR, "ordersync: a handler failed with ", tostring(event), ": ", message)
end

--- Calls the handlers that want an event, in the order in which they subscribed. They may yield.
---@param event sync.resty.Event
function Audience:deliver(event)
  for id = 1, self.last do
    local sub = self.subscriptions[id]
    if sub and filter.accepts(self.wishes[id], event) then tell(self, sub, event) end
  end
end

return audience
