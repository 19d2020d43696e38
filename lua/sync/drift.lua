-- Mode `compare`: what the stream says of the orders against what polls say. It hears of events, of polls and of time, and
-- asks neither source for anything.
--
-- A poll is a fence. What the stream says of a field between asking and coming makes this poll's word on that field worth
-- nothing: it may be the older or the newer one. Where they differ otherwise there is a suspicion, for the event may be on
-- its way. It is cleared by the stream speaking of that field, or by a poll that agrees. It is a difference when a later
-- poll, asked settle_ms after it arose or later, still disagrees. So there is no false alarm as long as
--   - the stream delivers in order, settle_ms after the change at the latest;
--   - a poll lists every order, each as it was at one moment between asking and coming;
--   - an event names the fields that it changes.
-- For what a poll showed when the suspicion arose was then delivered, by the stream, before the second poll was asked.
-- A difference is counted once: from then on the poll's word is the picture.

local fence = require "sync.drift.fence"
local ledger = require "sync.drift.ledger"
local orders = require "sync.drift.orders"
local picture = require "sync.drift.picture"

---@class sync.Drift
---@field orders sync.WatchedOrders
---@field ledger sync.DriftLedger
---@field poll sync.DriftFence|nil the one under way
---@field is_open boolean the stream is
---@field baseline_due boolean nothing is known yet, or not any more: the next poll says which orders there are
---@field compared_to_ms number|nil up to where stream and polls were compared without a break
---@field ignored table<string, true> fields that are not compared
---@field listed_names table<string, true> fields that polls have listed of any order
local Drift = {}
Drift.__index = Drift

local drift = {}

local SETTLE_MS = 5000
local LIMIT = 100000 -- as many as the order book keeps by default

-- They identify an order or its version; versions are compared in a way of their own.
local NOT_COMPARED = {
  "orderID", "orderId", "order_id", "updatedAt", "updated_at", "version", "sequence", "seq",
}

---@class sync.DriftOptions
---@field now fun(): number milliseconds of a clock that never goes back
---@field epoch_ms fun(): number the wall clock, milliseconds since the epoch
---@field settle_ms? integer how late an event may be, default 5000
---@field stage_field? string default "orderStage"
---@field ignore? string[] fields that are not compared either: those that no event ever tells
---@field limit? integer how many orders are watched, default 100000

---@param given sync.DriftOptions
---@return sync.Drift
function drift.new(given)
  local self = setmetatable({
    now = given.now, settle_ms = given.settle_ms or SETTLE_MS, stage_field = given.stage_field or "orderStage",
    orders = orders.new(given.limit or LIMIT), ledger = ledger.new(given.epoch_ms), polls_begun = 0,
    ignored = {}, listed_names = {}, listed_name_count = 0, is_open = false, baseline_due = true,
  }, Drift)
  for _, names in ipairs { NOT_COMPARED, given.ignore or {} } do
    for _, name in ipairs(names) do self.ignored[name] = true end
  end
  return self
end

-- ---- what the stream says ------------------------------------------------------------------------------------------

-- Nothing follows from the poll under way, if there is one.
local function give_up_poll(self, as)
  if self.poll then self.ledger:count(as) end
  self.poll = nil
end

--- The stream is open, or has just said that there is a gap. What it says is compared from now on; if it may have missed
--- something, everything is forgotten, and the next poll says which orders there are.
---@param gapless boolean it goes on where it was, and replays what was missed
function Drift:stream_opened(gapless)
  give_up_poll(self, "unjudged_polls")
  self.is_open, self.compared_to_ms = true, nil
  if gapless then return self.orders:acquit() end
  self.orders:clear()
  self.baseline_due = true
end

--- The stream is not open. Polls are not compared meanwhile.
function Drift:stream_lost()
  give_up_poll(self, "unjudged_polls")
  self.is_open, self.compared_to_ms = false, nil
end

-- The stream names an order that it has not named before. Gives nil if there is no room for it, and when a poll listed it.
local function meet(self, order_id)
  local stranger = self.orders.strangers[order_id]
  local order = self.orders:watch(order_id, picture.of_stream(self.poll))
  if stranger then
    self.ledger:count "settled"
  elseif order then
    order.changed_ms = self.now()
  end
  return order, stranger and stranger.since_ms
end

local function hear(self, order, change, listed_ms)
  local changed, cleared, shown_ms = order:hear(change.fields or {}, self.ignored, self.poll)
  -- What a snapshot brought may be ahead of events that are still on their way.
  if not change.replayed then order.version = change.version or order.version end
  for _ = 1, cleared do self.ledger:count "settled" end
  shown_ms = listed_ms or shown_ms
  if shown_ms then
    self.ledger:lead(shown_ms - self.now()) -- the poll was first
  elseif changed then
    order.changed_ms = self.now()
  end
end

local function hear_deletion(self, order_id, order)
  if self.poll then self.poll.deleted[order_id] = true end
  self.orders:forget(order_id)
  if order and order.unlisted_ms then
    self.ledger:count "settled"
    self.ledger:lead(order.unlisted_ms - self.now())
  end
end

-- An event with an older version than one before says nothing. In a stream that replays, or tells what a snapshot brought,
-- that is as it should be.
local function is_older(self, order_id, order, change)
  if not (order and order.version and change.version and change.version < order.version) then return false end
  if not change.replayed then
    self.ledger:found {
      class = "version_goes_back", order_id = order_id, source = "stream", from = order.version, to = change.version,
      stood_ms = 0,
    }
  end
  return true
end

---@class sync.DriftChange
---@field fields table<string, any>|nil the fields that the event names, the stage among them, with their new values
---@field version number|nil grows with every change of the order; all of one order are of one kind
---@field deleted boolean|nil
---@field replayed boolean|nil delivered again, or made of a snapshot: it may be older than what was said before

--- The stream says this of an order.
---@param order_id string
---@param change sync.DriftChange
function Drift:heard(order_id, change)
  self.ledger:event()
  local order, listed_ms = self.orders.pictures[order_id], nil
  if is_older(self, order_id, order, change) then return end
  if change.deleted then return hear_deletion(self, order_id, order) end
  if not order then order, listed_ms = meet(self, order_id) end
  if order then hear(self, order, change, listed_ms) end
end

-- ---- what a poll says ----------------------------------------------------------------------------------------------

--- A poll is about to be asked. One that is under way is given up.
function Drift:begin_poll()
  give_up_poll(self, "failed_polls")
  if not self.is_open then return self.ledger:count "unjudged_polls" end
  self.polls_begun = self.polls_begun + 1
  self.poll = fence.new(self, self.polls_begun, self.baseline_due)
end

--- The poll failed.
function Drift:abandon_poll()
  give_up_poll(self, "failed_polls")
end

---@class sync.DriftOrder
---@field fields table<string, any>
---@field version number|nil

--- The poll under way lists this order. Between its orders the stream may go on.
---@param order_id string
---@param order sync.DriftOrder
function Drift:listed(order_id, order)
  if self.poll then self.poll:list(order_id, order) end
end

--- The poll has listed all of its orders.
function Drift:end_poll()
  local poll = self.poll
  if not poll then return end
  poll:close()
  self.poll, self.baseline_due = nil, false
  self.ledger:poll(poll.is_baseline, poll.has_news)
  if self.compared_to_ms then self.ledger:compared(self.now() - self.compared_to_ms) end
  self.compared_to_ms = self.now()
end

-- ---- what it says --------------------------------------------------------------------------------------------------

--- What stream and polls disagree on, and how far ahead the stream is.
---@return sync.DriftReport
function Drift:report()
  local report = self.ledger:report()
  report.orders, report.overflowed, report.pending = self.orders.count, self.orders.overflowed, self.orders:pending()
  return report
end

--- Whether the stream can be trusted alone: it was compared for `hours` and for `events` without a difference.
---@param given? {hours: number|nil, events: integer|nil} default 24 and 1000
---@return boolean ready
---@return string[]|nil doubts why not
function Drift:ready(given)
  local doubts = self.ledger:doubts(ledger.check_enough(given, "ready_to_switch"))
  if not self.is_open then doubts[#doubts + 1] = "the stream is not open" end
  if self.orders.overflowed then
    doubts[#doubts + 1] = ("there are more orders than the %d that are compared"):format(self.orders.limit)
  end
  if doubts[1] then return false, doubts end
  return true
end

return drift
