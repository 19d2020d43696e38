--- A server's orders and the two ways to see them, on virtual time: a stream whose events take their time, and polls that
-- read each order at a moment of its own between asking and coming. A drift watches both.
--
-- What it does is decided by its dice alone. It keeps the conditions under which there must be no false alarm; whoever
-- wants a fault sets `on_event` or `on_listing`.

local dice = require "spec.support.dice"
local drift = require "sync.drift"
local virtual_time = require "spec.support.virtual_time"

local two_sources = {}

local STAGES = { "empty", "initiated", "open", "billed", "paid" }
local PAYMENTS = { "pending", "paid", "failed", "refunded", "cash" }

---@class spec.support.TwoSources
---@field truth table<string, {fields: table, version: integer}>
---@field drift sync.Drift
---@field time spec.support.VirtualTime
---@field on_event (fun(event: table): table|nil)|nil what becomes of an event before it is sent; nil: it is lost
---@field on_listing (fun(order_id: string, order: table): table|nil)|nil the same for an order of a poll
---@field quiet table<string, true> orders that are left alone
local TwoSources = {}
TwoSources.__index = TwoSources

local DEFAULTS = {
  orders = 25,
  stream_ms = { 0, 2000 }, -- how long an event is on its way
  request_ms = { 0, 400 }, -- how long it is until an order is read, and then until the answer comes
  poll_every_ms = 500,
  settle_ms = 2000,
}

---@param seed integer
---@param options table|nil see DEFAULTS
---@return spec.support.TwoSources
function two_sources.new(seed, options)
  local self = setmetatable({
    die = dice.new(seed), time = virtual_time.new(), truth = {}, ids = {}, quiet = {}, changes = 0, last_arrival_ms = 0,
    is_open = false, backlog = {}, connection = 0,
  }, TwoSources)
  for name, value in pairs(DEFAULTS) do self[name] = value end
  for name, value in pairs(options or {}) do self[name] = value end
  for number = 1, self.orders do self.ids[number] = "O" .. number end
  self.drift = drift.new {
    now = function() return self.time.now_ms end,
    epoch_ms = function() return 1e12 + self.time.now_ms end,
    settle_ms = self.settle_ms,
  }
  return self
end

local function copy(fields)
  local other = {}
  for name, value in pairs(fields) do other[name] = value end
  return other
end

local function latency(self, range)
  return self.die:between(range[1], range[2])
end

-- ---- the stream ----------------------------------------------------------------------------------------------------

-- Arrives in order, on the connection it was sent on.
local function send(self, event)
  local connection = self.connection
  self.last_arrival_ms = math.max(self.last_arrival_ms, self.time.now_ms + latency(self, self.stream_ms))
  self.backlog[#self.backlog + 1] = event
  self.time.timers:at(self.last_arrival_ms, function()
    if connection ~= self.connection then return end
    table.remove(self.backlog, 1)
    self.drift:heard(event.order_id, event)
  end)
end

---Tell the stream's listeners.
---@param event table {order_id=, fields=, version=, deleted=}
function TwoSources:emit(event)
  if self.on_event then event = self.on_event(event) end
  if not event then return end
  if self.is_open then return send(self, event) end
  self.backlog[#self.backlog + 1] = event
end

---Open the stream. What was on its way when it broke, and what happened since, is sent again, or lost.
---@param replays boolean
function TwoSources:open(replays)
  local missed = self.backlog
  self.backlog, self.is_open, self.connection = {}, true, self.connection + 1
  self.last_arrival_ms = self.time.now_ms
  self.drift:stream_opened(replays)
  if not replays then return end
  for _, event in ipairs(missed) do send(self, event) end
end

function TwoSources:break_stream()
  self.is_open, self.connection = false, self.connection + 1
  self.drift:stream_lost()
end

-- ---- what happens to orders ----------------------------------------------------------------------------------------

-- An event names what changed, and sometimes everything.
local function announce(self, order_id, changed)
  local order = self.truth[order_id]
  local named = self.die:chance(0.2) and order.fields or changed
  self:emit { order_id = order_id, fields = copy(named), version = order.version }
end

---Change fields of an order.
---@param order_id string
---@param changed table<string, any>
function TwoSources:change(order_id, changed)
  local order = self.truth[order_id]
  order.version = order.version + 1
  for name, value in pairs(changed) do order.fields[name] = value end
  announce(self, order_id, changed)
end

---Make an order; its event may name little of it.
---@param order_id string
function TwoSources:create(order_id)
  self.truth[order_id] = {
    version = 1,
    fields = { orderStage = "empty", paymentStatus = "pending", totalAmount = self.die:between(1, 5), items = { 1, { 2 } } },
  }
  announce(self, order_id, self.die:chance(0.5) and { orderStage = "empty" } or {})
end

---@param order_id string
function TwoSources:delete(order_id)
  self.truth[order_id] = nil
  self:emit { order_id = order_id, deleted = true }
end

-- Something happens to some order.
local function happen(self)
  local id = self.die:pick(self.ids)
  if self.quiet[id] then return end
  self.changes = self.changes + 1
  local throw = self.die:fraction()
  if not self.truth[id] then
    self:create(id)
  elseif throw < 0.05 then
    self:delete(id)
  elseif throw < 0.4 then
    self:change(id, { orderStage = self.die:pick(STAGES) })
  elseif throw < 0.7 then
    self:change(id, { paymentStatus = self.die:pick(PAYMENTS), totalAmount = self.die:between(1, 5) })
  else
    self:change(id, { items = { self.die:between(1, 3), { self.die:between(1, 2) } } })
  end
end

-- ---- polls ---------------------------------------------------------------------------------------------------------

-- Each order is read at a moment of its own; the answer comes after the last, in two pieces.
local function poll(self, poll_done)
  local timers, asked, listed = self.time.timers, self.die:chance(0.95), {}
  self.drift:begin_poll()
  local latest_ms = 0
  for _, id in ipairs(self.ids) do
    local read_ms = latency(self, self.request_ms)
    latest_ms = math.max(latest_ms, read_ms)
    timers:after(read_ms, function()
      local order = self.truth[id]
      if not order then return end
      local shown = { fields = copy(order.fields), version = order.version }
      if self.on_listing then shown = self.on_listing(id, shown) end
      if shown then listed[#listed + 1] = { id = id, order = shown } end
    end)
  end
  local function list(first, last)
    for index = first, last do self.drift:listed(listed[index].id, listed[index].order) end
  end
  timers:after(latest_ms + latency(self, self.request_ms), function()
    if not asked then
      self.drift:abandon_poll()
      return poll_done()
    end
    local half = math.floor(#listed / 2)
    list(1, half)
    timers:after(self.die:between(0, 50), function()
      list(half + 1, #listed)
      self.drift:end_poll()
      poll_done()
    end)
  end)
end

-- ---- time ----------------------------------------------------------------------------------------------------------

---Start: polls one after the other, and something happening every `every_ms` on average, for `duration_ms`.
---@param duration_ms number
---@param every_ms number
function TwoSources:play(duration_ms, every_ms)
  local end_ms = self.time.now_ms + duration_ms
  local function go_on()
    if self.time.now_ms >= end_ms then return end
    happen(self)
    self.time.timers:after(self.die:between(0, 2 * every_ms), go_on)
  end
  go_on()
  self:watch(duration_ms)
end

---Poll, while nothing happens that is not on its way already.
---@param duration_ms number
function TwoSources:watch(duration_ms)
  local end_ms = self.time.now_ms + duration_ms
  local function poll_again()
    if self.time.now_ms < end_ms then poll(self, function() self.time.timers:after(self.poll_every_ms, poll_again) end) end
  end
  poll_again()
  self.time:finish()
  assert(self.time.failures[1] == nil, self.time.failures[1])
end

---What was found: "class order" of each difference, in order.
---@return string[]
function TwoSources:found()
  local list = {}
  for index, difference in ipairs(self.drift:report().recent) do
    list[index] = difference.class .. " " .. difference.order_id
  end
  return list
end

return two_sources
