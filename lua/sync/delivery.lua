-- How a client's handlers get what the engine has queued, one item after another, and what becomes of an event that a
-- handler failed at: the handler is called again after a while, as the option `retry` says, and in the end the event is
-- a dead letter. The handlers that did their work are not called again.
--
-- While an event waits for that, those behind it wait too: whoever handles "paid" must have handled "billed" before.
-- The core never calls Lua, so a handler may yield: the run waits in its coroutine.
--
-- Most events never leave the engine's turn. Those that do are in `rounds`, the next one first: they are over before the
-- engine's turn goes on.

local backoff = require "sync.backoff"
local filter = require "sync.filter"
local raised = require "sync.raised"

---@class sync.Round an event that is delivered outside of the engine's turn
---@field event sync.Event
---@field subs sync.Subscription[]|nil who has still to take it; nil: whoever wants it when its time comes
---@field attempts integer how often it has been delivered
---@field ready boolean it may be delivered now
---@field timer sync.Timer|nil until then
---@field held boolean the engine waits to hear that it is done
---@field problem string|nil what the handler said that failed last

---@class sync.Delivery
---@field client sync.Client
---@field rounds sync.Round[]
---@field random fun(): number 0 <= it < 1
---@field under_way sync.Round|nil the round whose handlers are being called
---@field event fun(): table|nil what the engine's turn is at, for as long as its handlers are being called
---@field runner thread|nil the coroutine of the last drain; nil: the main one, on some VMs
---@field owed sync.Event|nil what next() gave, and the engine waits to hear of
---@field waking sync.Timer|nil
local Delivery = {}
Delivery.__index = Delivery

local delivery = {}

--- Types of events that are about the connection: nothing of them is owed to anybody.
delivery.HOUSEKEEPING = { connected = true, heartbeat = true }

local DEFAULTS = { attempts = 5, delay_ms = 1000, max_delay_ms = 30000 }

-- ---- failures ------------------------------------------------------------------------------------------------------

local function retry_option(client, name)
  return client.options.retry[name] or DEFAULTS[name]
end

-- Puts the round off to its next attempt. false: it has had them all.
local function postpone(self, round)
  local client = self.client
  if not client.options.retry or round.attempts >= retry_option(client, "attempts") then return false end
  local ceilings = { base_ms = retry_option(client, "delay_ms"), cap_ms = retry_option(client, "max_delay_ms") }
  local delay_ms = backoff.delay_ms(ceilings, round.attempts, self.random)
  round.timer = client.loop.timers:after(delay_ms, function()
    round.timer, round.ready = nil, true
    self:wake()
  end)
  return true
end

-- Without a journal there is nowhere to keep it: its handlers' errors have been told, and that was all.
local function bury(self, round)
  local ok, _, code = self.client.core:bury(round.event, round.problem, round.attempts)
  if not ok and code ~= "NO_JOURNAL" then self.client:tell_failure(code) end
end

-- A handler failed in the engine's turn. Its event is a round from now on, which begins when the others have had it.
local function fail(self, event, sub, message)
  local client, rounds = self.client, self.rounds
  client:tell_handler_error(message, event, 1)
  if not client.core or delivery.HOUSEKEEPING[event.type] then return end
  if not rounds[1] or rounds[1].event ~= event then
    table.insert(rounds, 1, { event = event, subs = {}, attempts = 1, ready = false, held = false })
  end
  table.insert(rounds[1].subs, sub)
  rounds[1].problem = message
end

-- ---- rounds --------------------------------------------------------------------------------------------------------

-- Those that want an event now, oldest first: handlers may add and cancel others.
local function subscribers(client, event)
  local list = {}
  for id, sub in pairs(client.subscriptions) do
    if id > 0 and filter.accepts(sub.filter, event) then list[#list + 1] = sub end
  end
  table.sort(list, function(a, b) return a.id < b.id end)
  return list
end

-- Gives the event to those who have still to take it; who fails has so again.
local function attempt(self, round)
  local client, failed = self.client, {}
  local subs = round.subs or subscribers(client, round.event)
  round.attempts, round.subs = round.attempts + 1, failed
  for _, sub in ipairs(subs) do
    if client.core and client.subscriptions[sub.id] == sub then
      if round.attempts == 1 then sub.delivered = sub.delivered + 1 end
      local ok, message = xpcall(sub.invoke, raised.traced, round.event)
      if not ok then
        failed[#failed + 1], round.problem = sub, message
        client:tell_handler_error(message, round.event, round.attempts)
      end
    end
  end
end

-- With ack = "manual" an event is done when the user says so, and not before.
local function finish(self, round)
  if not round.held or self.client.options.ack == "manual" then return end
  if self.client.pulls then self.owed = round.event else self.client.core:done(round.event.seq) end
end

-- Goes on with the first round. Gives it when it is over; nil: it waits, or the client has been closed.
local function go_on(self)
  local rounds = self.rounds
  local round = rounds[1]
  if round.ready then
    round.ready = false
    self.under_way = round
    attempt(self, round)
    self.under_way = nil
  end
  if not self.client.core or round.timer then return nil end
  if round.subs[1] and postpone(self, round) then return nil end
  table.remove(rounds, 1)
  if round.subs[1] then bury(self, round) end
  finish(self, round)
  return round
end

--- Somebody has to look after the rounds. In the pull style that is next(), whose wait has just ended.
function Delivery:wake()
  local client = self.client
  if client.core and not client.busy and not client.pulls then client.drain() end
end

--- Delivers an event that the engine holds, behind those that wait already. Safe anywhere.
---@param event sync.Event
function Delivery:add(event)
  if not self.client.core then return end
  table.insert(self.rounds, { event = event, attempts = 0, ready = true, held = true })
  if self.client.busy or self.waking then return end
  self.waking = self.client.loop.timers:after(0, function()
    self.waking = nil
    self:wake()
  end)
end

-- ---- the engine's turn ---------------------------------------------------------------------------------------------

-- One run of handlers. The protected call is around the run, not around each handler: when one raises, the run is
-- entered again where it was left. With a round to come, `take` gives the event once more, for nobody, when all have had
-- it, and the run ends there.
local function make_drain(self)
  local client, rounds, take = self.client, self.rounds, self.client.take
  local event, sub
  local function run()
    event, sub = take(event, rounds[1])
    while sub do
      sub.delivered = sub.delivered + 1
      sub.invoke(event)
      event, sub = take(event, rounds[1])
    end
  end
  -- false: nothing is left, or something has to wait.
  local function step()
    if rounds[1] and not event then return go_on(self) ~= nil end
    local ok, message = xpcall(run, raised.traced)
    if ok then
      local has_more = event ~= nil
      event = nil
      return has_more
    end
    if not sub or sub.own then client:tell_handler_error(message) else fail(self, event, sub, message) end
    return true
  end
  function self.event() return event end
  return function()
    client.busy = true
    self.runner = coroutine.running()
    while step() and client.core do end
    event, sub = nil, nil
    client.busy = false
    if rounds[1] then client:hold() elseif client.held then client:release() end
  end
end

-- As a run, but for one event, which is given back. nil: there is none, or a round comes first.
local function pull_one(self)
  local take, rounds = self.client.take, self.rounds
  local event, sub
  local function run()
    event, sub = take(event, true)
    while sub do
      sub.delivered = sub.delivered + 1
      local kept = sub.invoke(event)
      if sub.own and not kept then event = nil end -- a signal, or an event that goes no further
      if rounds[1] and not event then return end
      event, sub = take(event, true)
    end
  end
  repeat
    local ok, message = xpcall(run, raised.traced)
    if not ok and (not sub or sub.own) then
      self.client:tell_handler_error(message)
      event = nil
    elseif not ok then
      fail(self, event, sub, message)
    end
  until ok
  return event
end

--- The next event, whose handlers have had it, for the caller of next(). nil: nothing is there, or something waits. The
--- one before is done.
---@return sync.Event|nil
function Delivery:pull()
  local client, rounds = self.client, self.rounds
  if self.owed then
    client.core:done(self.owed.seq)
    self.owed = nil
  end
  while client.core do
    if rounds[1] then
      local round = go_on(self)
      return round and round.event
    end
    local event = pull_one(self)
    if not rounds[1] then return event end
  end
end

-- ---- made and ended ------------------------------------------------------------------------------------------------

-- The event whose handler calls us, unless one of its handlers has failed.
local function event_of_caller(self)
  if not self.client.busy or self.client.pulls or self.runner ~= coroutine.running() then return nil end
  local round = self.under_way
  if round then return not round.subs[1] and round.event or nil end
  local event, first = self.event(), self.rounds[1]
  if event and not (first and first.event == event) then return event end
end

--- The client is about to be closed. Inside a handler that counts as its return: the event is done, or a program that
--- stops at "closing time" would find that event first whenever it starts again. What has failed and waits comes again.
function Delivery:close()
  local event = event_of_caller(self)
  if event and event.seq and self.client.options.ack ~= "manual" then self.client.core:done(event.seq) end
  if self.waking then self.waking:cancel() end
  for _, round in ipairs(self.rounds) do
    if round.timer then round.timer:cancel() end
  end
end

---@param client sync.Client with its taker
---@return sync.Delivery
function delivery.new(client)
  local self = setmetatable({ client = client, rounds = {}, random = math.random }, Delivery)
  self.drain = make_drain(self)
  return self
end

return delivery
