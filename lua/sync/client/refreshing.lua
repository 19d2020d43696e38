-- Fetching anew what events have made old: client:auto_refresh and client:on_dashboard. Methods of sync.Client.

local checks = require "sync.client.checks"
local refresh = require "sync.refresh"

local methods = {}

local AUTO_NAMES = { event_types = true, debounce_ms = true, max_wait_ms = true, enabled = true }
local DASHBOARD_NAMES = { debounce_ms = true, max_wait_ms = true }

local DEBOUNCE_MS = 1000

-- A function that fails is tried again like a connect.
local RETRY = { base_ms = 1000, cap_ms = 30000 }

---@class sync.Refresher what auto_refresh and on_dashboard give
---@field cancel fun(self) ends it; so does calling it
local Refresher = {}
Refresher.__index = Refresher

--- Ends it. Safe inside the function itself; again does nothing.
function Refresher:cancel()
  self.refresh:cancel()
  self.subscription:cancel()
  self.client.refreshers[self] = nil
end

Refresher.__call = Refresher.cancel

local function new(self, method, fn, given, enabled)
  return refresh.new {
    timers = self.loop.timers, fn = fn, enabled = enabled, retry = RETRY, random = math.random,
    debounce_ms = checks.integer(method, "debounce_ms", given.debounce_ms, 0, DEBOUNCE_MS),
    max_wait_ms = checks.integer(method, "max_wait_ms", given.max_wait_ms, 0),
    on_failure = function(message) self:tell_handler_error(method .. ": " .. message) end,
  }
end

local function join(self, refreshing, filter)
  local refresher = setmetatable({ client = self, refresh = refreshing }, Refresher)
  refresher.subscription = self:subscribe(function() refreshing:touch "event" end, filter)
  self.refreshers[refresher] = refreshing
  return refresher
end

--- Calls `fn()` once for every burst of events of an order, of several, or of any ("*"), when it has been quiet for
--- debounce_ms, and after every poll. The last event of a burst is never forgotten, two calls never run at once, and a call
--- that fails is tried again with backoff. `fn` may yield.
---@param order_id string|string[]
---@param fn fun(news: sync.RefreshNews)
---@param given? {event_types: string|string[]|nil, debounce_ms: integer|nil, max_wait_ms: integer|nil, enabled: any}
---@return sync.Refresher|nil, string|nil message, string|nil code
function methods:auto_refresh(order_id, fn, given)
  if order_id == nil then checks.misuse("auto_refresh", "expected an order id, a list of them or \"*\", got nil") end
  checks.fn("auto_refresh", fn)
  given = checks.options("auto_refresh", given, AUTO_NAMES)
  if not self.core then return self.closed() end
  local filter = { order_id = order_id, event_types = given.event_types }
  checks.filter("auto_refresh", filter)
  return join(self, new(self, "auto_refresh", fn, given, given.enabled), filter)
end

--- Calls `fn()` at once, and then once for every burst of order events, after every resync and after every poll.
---@param fn fun(news: sync.RefreshNews)
---@param given? {debounce_ms: integer|nil, max_wait_ms: integer|nil}
---@return sync.Refresher|nil, string|nil message, string|nil code
function methods:on_dashboard(fn, given)
  checks.fn("on_dashboard", fn)
  given = checks.options("on_dashboard", given, DASHBOARD_NAMES)
  if not self.core then return self.closed() end
  local refresher = join(self, new(self, "on_dashboard", fn, given))
  refresher.refresh:now "start"
  return refresher
end

--- Something other than an event has made every picture old: "poll" or "resync".
---@param reason string
function methods:touch_refreshers(reason)
  for _, refreshing in pairs(self.refreshers) do refreshing:touch(reason) end
end

return methods
