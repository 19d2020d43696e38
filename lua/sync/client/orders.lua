-- The order book as users see it: the engine's orders, with what this program expects laid over them. Methods of
-- sync.Client.

local checks = require "sync.client.checks"
local core = require "sync.core"
local filter = require "sync.filter"

local methods = {}

local FILTER_NAMES = {
  stage = true, payment = true, status = true, updated_since = true, limit = true, sort = true, where = true,
}

-- ---- one order -----------------------------------------------------------------------------------------------------

-- What optimistic() has promised of an order, the oldest promise first.
local function lay_over(self, order_id, order)
  if self.promises[order_id] then self:settle_promises(order_id) end
  for _, promise in ipairs(self.promises[order_id] or {}) do
    order = order or { orderID = order_id, source = "optimistic", as_of = promise.at_ms }
    for name, value in pairs(promise.patch) do order[name] = value end
    order.optimistic = true
  end
  return order
end

local function known_order(self, order_id, stale)
  local order = self.core and lay_over(self, order_id, self.librarian.order(order_id))
  if order then order.stale = stale end
  return order or nil
end

--- The latest known state of an order: its own members, and `as_of` (milliseconds since the epoch), `source` ("stream",
--- "poll" or "backfill"), `stale` (neither the stream nor polling keeps it up to date now) and `optimistic`. nil: not known.
---@param order_id string
---@return table|nil
function methods:order(order_id)
  if type(order_id) ~= "string" then checks.misuse("order", "expected an order id, got a %s", type(order_id)) end
  if not self.core then return nil end
  return known_order(self, order_id, self:health().stale)
end

-- ---- many ----------------------------------------------------------------------------------------------------------

local function by_id(a, b) return tostring(a.orderID) < tostring(b.orderID) end

-- Numbers come before texts, texts before what has no order; last of all, either way, the orders without the member.
local RANKS = { number = 1, string = 2 }
local UNRANKED, ABSENT = 3, 4

local function rank_of(value)
  if value == nil or value == core.null then return ABSENT end
  return RANKS[type(value)] or UNRANKED
end

local function sorter(sort)
  if type(sort) == "function" then return sort end
  if sort == "id" then return by_id end
  if sort == nil or sort == "changed" then return nil end -- as the book has them
  local descending = sort:sub(1, 1) == "-"
  local name = descending and sort:sub(2) or sort
  return function(a, b)
    local first, second = a[name], b[name]
    local rank, other = rank_of(first), rank_of(second)
    if rank ~= other then return rank < other end
    if rank >= UNRANKED or first == second then return by_id(a, b) end
    if descending then return second < first end
    return first < second
  end
end

-- Promises may change what the filter asks for, so such orders are looked at themselves.
local function is_meant(self, wanted, id, stage, payment, status, updated_ms)
  if self.promises[id] then
    local order = known_order(self, id, false)
    stage, payment, status = order.orderStage or stage, order.paymentStatus or payment, order.overallStatus or status
  end
  return filter.means(wanted.stage, stage) and filter.means(wanted.payment, payment)
    and filter.means(wanted.status, status)
    and (not wanted.updated_since or updated_ms >= wanted.updated_since)
end

-- The ids of what the filter's fields mean, the most recently changed first. The walk is done before anybody else's code
-- runs, which might step and change the book under it.
local function ids_of(self, wanted)
  local ids = {}
  if not self.core then return ids end
  local place, stage, payment, status, updated_ms, id = self.librarian.next()
  while place do
    if is_meant(self, wanted, id, stage, payment, status, updated_ms) then ids[#ids + 1] = id end
    place, stage, payment, status, updated_ms, id = self.librarian.next(place)
  end
  return ids
end

--- The orders that a filter means: `stage`, `payment`, `status` (a value or a list), `updated_since` (milliseconds since the
--- epoch, by the server's clock), `where` (a function of the order), `limit`, and `sort`: "changed" (the default: the most
--- recently changed first), "id", the name of a member ("-totalAmount": the largest first), or a function of two orders.
---@param wanted? table
---@return table[]
function methods:orders(wanted)
  wanted = checks.options("orders", wanted, FILTER_NAMES)
  local sort, since = wanted.sort, wanted.updated_since
  if sort ~= nil and type(sort) ~= "string" and type(sort) ~= "function" then
    checks.misuse("orders", "sort: expected a string or a function, got a %s", type(sort))
  end
  if wanted.where ~= nil and type(wanted.where) ~= "function" then
    checks.misuse("orders", "where: expected a function, got a %s", type(wanted.where))
  end
  if since ~= nil and type(since) ~= "number" then
    checks.misuse("orders", "updated_since: expected a number, got a %s", type(since))
  end
  local limit = checks.integer("orders", "limit", wanted.limit, 0, math.huge)
  local compare = sorter(sort)
  local list, stale = {}, self:health().stale
  for _, id in ipairs(ids_of(self, wanted)) do
    if not compare and #list >= limit then break end
    local order = known_order(self, id, stale)
    if order and (not wanted.where or wanted.where(order)) then list[#list + 1] = order end
  end
  if compare then table.sort(list, compare) end
  while #list > limit do list[#list] = nil end
  return list
end

-- ---- promises ------------------------------------------------------------------------------------------------------

---@class sync.Promise what client:optimistic gives
---@field order_id string
---@field patch table
---@field state "pending"|"committed"|"rolled_back"|"settled" settled: the server has spoken
local Promise = {}
Promise.__index = Promise

local function withdraw(promise, state)
  if promise.state ~= "pending" and promise.state ~= "committed" then return end
  promise.state = state
  promise.subscription:cancel()
  local list = promise.client.promises[promise.order_id] or {}
  for index, candidate in ipairs(list) do
    if candidate == promise then table.remove(list, index) end
  end
  if #list == 0 then promise.client.promises[promise.order_id] = nil end
end

--- What was promised has been done, as far as this program knows: the book goes on showing it until the server speaks.
function Promise:commit()
  if self.state == "pending" then self.state = "committed" end
end

--- It has not: the book shows what the server said last.
function Promise:rollback()
  withdraw(self, "rolled_back")
end

-- The number of the latest event that has come, of one order or of any (nil), delivered or not; 0: none is known.
local function latest_seq(self, order_id)
  local event = self:latest { order_id = order_id }
  return event and event.seq or 0
end

-- The book is ahead of the handlers, so what waits to be delivered when a promise is made is no answer to it.
local function settle_by_event(promise)
  return function(event)
    if event.seq > promise.seq then withdraw(promise, "settled") end
  end
end

--- Shows `patch` in the book at once, over what the server has said of the order, until it says something new.
---@param order_id string
---@param patch table members of the order
---@return sync.Promise|nil, string|nil message, string|nil code
function methods:optimistic(order_id, patch)
  if type(order_id) ~= "string" then checks.misuse("optimistic", "expected an order id, got a %s", type(order_id)) end
  if type(patch) ~= "table" then checks.misuse("optimistic", "expected a table, got a %s", type(patch)) end
  if not self.core then return self.closed() end
  local copy = {}
  for name, value in pairs(patch) do copy[name] = value end
  local promise = setmetatable({
    client = self, order_id = order_id, patch = copy, state = "pending", at_ms = self.loop:wall_ms(), seq = latest_seq(self),
  }, Promise)
  local message, code
  promise.subscription, message, code = self:on_order(order_id, settle_by_event(promise))
  if not promise.subscription then return nil, message, code end
  self.promises[order_id] = self.promises[order_id] or {}
  table.insert(self.promises[order_id], promise)
  return promise
end

-- The server's word ends every promise about an order: for those who look at the book, when it comes, and not when the
-- handler that ends the promise has its turn.
function methods:settle_promises(order_id)
  local list, seq = self.promises[order_id], latest_seq(self, order_id)
  for index = #list, 1, -1 do
    if list[index].seq < seq then withdraw(list[index], "settled") end
  end
end

return methods
