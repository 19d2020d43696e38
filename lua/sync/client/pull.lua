-- The pull style: client:next() and client:stream(), on the same queue as the handlers. Methods of sync.Client.

local checks = require "sync.client.checks"
local core = require "sync.core"
local delivery = require "sync.delivery"
local duration = require "sync.duration"

local methods = {}

-- Pulls until an order event comes out.
local function pull_order_event(self)
  local event = self.delivery:pull()
  while event and delivery.HOUSEKEEPING[event.type] do event = self.delivery:pull() end
  return event
end

--- The next order event; handlers that want it run first. Waits up to `timeout_ms` (nil: as long as it takes). From the
--- first call on, everything of this client waits for next(): steps serve the other clients only. With a journal the event
--- is done when next() is called again, or ack(event): not by close(), for who knows whether it was worked on.
---@param timeout_ms? integer milliseconds
---@return sync.Event|nil, string|nil message, string|nil code TIMEOUT or CLOSED
function methods:next(timeout_ms)
  timeout_ms = duration.check("client:next", "timeout_ms", timeout_ms)
  if self.busy then checks.misuse("next", "called inside a handler of the same client") end
  self.pulls = true
  self:want()
  local deadline = timeout_ms and self.loop:clock_ms() + timeout_ms
  while self.core do
    self.busy = true
    local event = pull_order_event(self)
    self.busy = false
    if event then return event end
    local left = deadline and deadline - self.loop:clock_ms()
    if left and left < 0 then return nil, "TIMEOUT: " .. core.codes.TIMEOUT.text, "TIMEOUT" end
    local ok, message, code = self.loop:wait(left)
    if not ok then return nil, message, code end
  end
  return self.closed()
end

--- for event in client:stream() do ... end: every order event, until the client is closed.
---@return fun(): sync.Event|nil
function methods:stream()
  return function()
    return (self:next())
  end
end

return methods
