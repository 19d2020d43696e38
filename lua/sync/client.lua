-- A client: the Lua side of one event stream. Hands what the core queued to handlers; owns the subscriptions.

local core = require "sync.core"
local decoder = require "sync.decoder"
local delivery = require "sync.delivery"
local listeners = require "sync.listeners"
local options = require "sync.options"
local raised = require "sync.raised"

---@class sync.Client
---@field core userdata the engine's client
---@field loop sync.Loop
---@field options table complete
---@field subscriptions table<integer, sync.Subscription> by number; 0 and -1 are the client's own
---@field delivery sync.Delivery
---@field drain fun() calls handlers until there is nothing left to do, or something has to wait
---@field busy boolean a handler of this client is under way, or has yielded
local Client = {}
Client.__index = Client

local client = {}

-- What it can do, by subject; each a table of methods.
for _, subject in ipairs { "commands", "handlers", "history", "gaps", "pull", "orders", "polling", "refreshing", "acks",
  "effects", "dead_letters", "steps", "comparison" } do
  for name, method in pairs(require("sync.client." .. subject)) do Client[name] = method end
end

-- Entries of `subscriptions` that are not handlers of the user's; the core knows these numbers.
local SIGNALS, DECODER = 0, -1

-- What users of the old client call the states.
local STATUS = {
  connected = "healthy", connecting = "connecting", reconnecting = "connecting", polling_fallback = "polling",
  error = "error", disconnected = "disconnected", closed = "disconnected",
}

-- ---- failures ------------------------------------------------------------------------------------------------------

local function failure(code, message)
  local row = core.codes[code]
  return { code = code, class = row.class, message = message, hint = row.hint, retryable = row.retryable }
end

--- What every method of a closed client gives.
function Client.closed()
  return nil, "CLOSED: " .. core.codes.CLOSED.text, "CLOSED"
end

local closed = Client.closed

local function log(self, level, message, fields)
  if self.options.log then pcall(self.options.log, level, message, fields) end
end

-- Tells the error handlers; one that fails itself is only logged, or it would be told about itself for ever.
local function tell_error(self, problem)
  log(self, problem.retryable and "warn" or "error", problem.code .. ": " .. problem.message, problem)
  listeners.call(self.listeners.error, function(message)
    log(self, "error", "HANDLER: on_error: " .. message, {})
  end, problem)
end

--- Something has gone wrong that the engine does not tell of.
---@param code string
function Client:tell_failure(code)
  tell_error(self, failure(code, core.codes[code].text))
end

---@param message string
---@param event? sync.Event
---@param attempt? integer how often the event has been delivered, this time included
function Client:tell_handler_error(message, event, attempt)
  self.handler_errors = self.handler_errors + 1
  local problem = failure("HANDLER", message)
  problem.event, problem.attempt = event, attempt
  self.last_handler_error = problem
  tell_error(self, problem)
end

--- Tells all who listen to `name`.
---@param name string
function Client:call_listeners(name, ...)
  listeners.call(self.listeners[name], function(message)
    self:tell_handler_error("on_" .. name .. ": " .. message)
  end, ...)
end

-- ---- signals: what the engine says that is not an event ----------------------------------------------------------

-- The token or headers function may take its time and may fail; the connect waits for it.
local function answer(self)
  local ok, headers, ttl_ms = pcall(options.asked_headers, self.options)
  if not self.core then return end
  if ok then
    local sent, message = self.core:answer(headers, ttl_ms)
    if not sent then self.core:refuse(message) end
  else
    self.core:refuse(raised.text(headers))
  end
end

local SIGNAL = {
  ask = answer,
  asked = Client.compare,
  comment = function(self, signal) self:call_listeners("comment", signal.text) end,
  error = function(self, signal)
    signal.kind = nil
    tell_error(self, signal)
  end,
  fetch = function(self) self:fetch_snapshot() end,
  gap = function(self, signal)
    local gap = signal.gap
    log(self, gap.open and "warn" or "info", ("gap %d: %s"):format(gap.number, gap.cure or gap.reason), gap)
    self:call_listeners("gap", gap)
  end,
  heard = Client.compare,
  listed = Client.compare,
  polled = function(self, signal)
    signal.kind = nil
    self:call_listeners("poll", signal)
    self:touch_refreshers(signal.source == "backfill" and "resync" or "poll")
    local answers = self.awaiting_poll
    self.awaiting_poll = {}
    for _, tell in ipairs(answers) do tell() end
  end,
  state = function(self, signal)
    log(self, "info", ("%s -> %s"):format(signal.from, signal.to), signal)
    self:compare(signal)
    self:call_listeners("state", signal.to, signal.from)
    if self.core then self:call_listeners("health", self:health()) end
  end,
}

local function signal_subscription(self)
  return { own = true, delivered = 0, invoke = function(signal) SIGNAL[signal.kind](self, signal) end }
end

-- ---- events that pass through our hands before anybody gets them ---------------------------------------------------

-- The event, or nil: it is for nobody.
local function decode(self, event)
  if type(self.options.decode) ~= "function" then return event end
  local ok, kept = pcall(decoder.apply, self.options.decode, event)
  if ok then return kept end
  self.decode_errors = self.decode_errors + 1
  tell_error(self, failure("EVENT_DECODE", ("event id '%s': %s"):format(event.id or "", raised.text(kept))))
end

local function decoder_subscription(self)
  return { own = true, delivered = 0, invoke = function(event)
    self.core:route() -- nobody gets it unless it can be decoded, and may pass
    local kept = decode(self, event)
    if not self.core then return false end
    if not kept then
      self.core:done(event.seq) -- nobody can acknowledge what nobody gets
      return false
    end
    if not self:passes_gate(event) then return false end
    if self.core then self.core:route(event.type, event.order_id) end
    return kept
  end }
end

-- ---- made and ended ----------------------------------------------------------------------------------------------

--- Makes a client of complete options on a loop. See sync.connect.
---@param complete table
---@param loop sync.Loop
---@return sync.Client|nil, string|nil message, string|nil code
function client.new(complete, loop)
  local flat = options.flatten(complete, complete.violations ~= nil)
  local engine, message, code = loop:new_client(flat)
  if not engine then return nil, message, code end
  local self = setmetatable({
    core = engine,
    loop = loop,
    options = complete,
    subscriptions = {},
    listeners = {}, -- what is heard of -> list, made with its first listener
    handler_errors = 0,
    decode_errors = 0,
    busy = false,
    promises = {},      -- order id -> what optimistic() has promised of it
    refreshers = {},    -- sync.Refresher -> its sync.Refresh
    watches = {},       -- sync.Watch -> true
    acknowledged = {},  -- numbers of events of the history -> true
    ack_count = 0,
    effects = {},       -- those that are under way -> true
    delivered_stages = {}, -- order id -> the stage that its handlers heard last, for the gate
    delivered_count = 0,
    awaiting_poll = {}, -- functions that wait for the end of the next poll
  }, Client)
  self.subscriptions[SIGNALS] = signal_subscription(self)
  self.take = engine:taker(self.subscriptions)
  self.history = engine:historian()
  local order, next_order = engine:librarian()
  self.librarian = { order = order, next = next_order }
  self.delivery = delivery.new(self)
  self.drain = self.delivery.drain
  self:want()
  self:follow_mode(flat.mode)
  loop:add(self)
  return self
end

--- Ends the client at once, wherever it is: its connection is dropped, no handler is called any more, but the error of a
--- handler that closed it is still told. What is undelivered is gone, or, with a journal, comes first of all to the next
--- client that opens it; the event whose handler calls this counts as done. Again does nothing.
---@return true
function Client:close()
  if not self.core then return true end
  self.final = { health = self:health(), metrics = self:metrics() }
  for refresher in pairs(self.refreshers) do refresher.refresh:cancel() end
  self:end_steps()
  self.delivery:close()
  self.loop:remove(self)
  self.core:close()
  self.core = nil
  return true
end

Client.__close = Client.close
Client.__gc = Client.close

function Client:__tostring()
  local url = options.first_url(self.options):gsub("[?#].*$", ""):gsub("//[^/]*@", "//") -- a token or a password may be in it
  return ("sync.client %s (%s)"):format(url, self:health().state)
end

-- ---- what the engine queues ------------------------------------------------------------------------------------------

-- Tells the engine what to queue beyond what subscriptions want.
function Client:want()
  if not self.core then return end
  local decodes = type(self.options.decode) == "function" or self:is_gated()
  if decodes and not self.subscriptions[DECODER] then self.subscriptions[DECODER] = decoder_subscription(self) end
  self.core:want(self.pulls or decodes, self.listeners.comment ~= nil, self.pulls or self.held)
end

-- Out of the ring of the ready until the handler under way, which has yielded or waits, is done: else the loop would spin.
function Client:hold()
  self.held = true
  self:want()
end

--- Back among the ready, if something waits.
function Client:release()
  self.held = false
  self:want()
end

-- ---- what the user wants -----------------------------------------------------------------------------------------

-- Raises in the name of the method's caller.
local function checked_options(self, method, given)
  local ok, complete = pcall(options.check, given, self.options)
  if not ok then error(("client:%s: %s"):format(method, complete), 3) end
  return complete
end

-- `given`: what is new in it.
local function configure(self, complete, given)
  if not self.core then return closed() end
  local flat = options.flatten(complete, self:is_gated())
  local ok, message, code = self.core:configure(flat)
  if not ok then return nil, message, code end
  self.options = complete
  self:follow_mode(flat.mode)
  self:want()
  if given.stages or given.violations then self:renew_gate() end
  return true
end

--- Opens the stream if it is neither open nor opening; with options, configures it first.
---@param given? table
---@return true|nil, string|nil message, string|nil code
function Client:connect(given)
  if not self.core then return closed() end
  if given ~= nil then
    local ok, message, code = configure(self, checked_options(self, "connect", given), given)
    if not ok then return nil, message, code end
  end
  return self.core:connect()
end

--- Changes options. What changes the request (url, filter, headers, ...) reconnects an open stream.
---@param given table
---@return true|nil, string|nil message, string|nil code
function Client:configure(given)
  return configure(self, checked_options(self, "configure", given), given)
end

-- ---- what it knows -----------------------------------------------------------------------------------------------

local function copy(fields)
  local other = {}
  for name, value in pairs(fields) do other[name] = value end
  return other
end

--- How it is, now; no I/O. Times are milliseconds since the epoch, durations milliseconds. Of a closed client: how it was.
---@return sync.Health
function Client:health()
  local health = self.core and self.core:health() or copy(self.final.health)
  if not self.core then health.state, health.uptime_ms, health.next_retry_at = "closed", 0, nil end
  health.complete = health.complete and self.core ~= nil
  health.status = STATUS[health.state]
  health.is_connected = health.state == "connected"
  health.is_connecting = health.status == "connecting"
  health.is_polling_fallback = health.state == "polling_fallback"
  health.stale = not health.is_connected and not (health.is_polling_fallback and health.failed_polls == 0)
  health.handler_error = self.last_handler_error
  return health
end

--- Counters since the client was made, and in `lifetime` since the journal was; no I/O. Of a closed client: the last ones.
---@return sync.Metrics
function Client:metrics()
  if not self.core then return copy(self.final.metrics) end
  local metrics = self.core:metrics()
  metrics.uptime_ms = self.core:health().uptime_ms
  metrics.handler_errors = self.handler_errors
  metrics.decode_errors = self.decode_errors
  metrics.violations = self.gate and self.gate:report() or {}
  metrics.lifetime = self.core:totals()
  return metrics
end

return client
