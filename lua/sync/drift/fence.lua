-- A poll under way, from asking to coming: it weighs what the poll lists against the pictures of the orders. What it finds
-- goes to the ledger. Why a difference may be one, and when it is, is said in drift.lua.

local picture = require "sync.drift.picture"

---@class sync.DriftFence
---@field drift sync.Drift
---@field number integer
---@field asked_ms number
---@field settled_ms number a suspicion that arose then or before has had time enough to be cleared
---@field is_baseline boolean it is the first since the stream may have missed something: strangers are none
---@field has_news boolean it says something that the stream has not said
---@field deleted table<string, true> orders that the stream deleted meanwhile
local Fence = {}
Fence.__index = Fence

local fence = {}

-- Field names that polls are known by to list; more are no order's.
local NAMES = 1000

---@param drift sync.Drift
---@param number integer
---@param is_baseline boolean
---@return sync.DriftFence
function fence.new(drift, number, is_baseline)
  local now_ms = drift.now()
  return setmetatable({
    drift = drift, number = number, asked_ms = now_ms, settled_ms = now_ms - drift.settle_ms, is_baseline = is_baseline,
    has_news = false, deleted = {},
  }, Fence)
end

local function count_in_flight(self)
  self.drift.ledger:count "in_flight"
end

-- The difference has stood since then.
local function tell(self, order_id, class, since_ms, difference)
  difference.class, difference.order_id, difference.stood_ms = class, order_id, self.drift.now() - since_ms
  self.drift.ledger:found(difference)
end

-- ---- an order that both know ---------------------------------------------------------------------------------------

-- Only a field that polls do list can be missing from what they say.
local function note_name(drift, name)
  if drift.listed_names[name] or drift.listed_name_count >= NAMES then return end
  drift.listed_names[name] = true
  drift.listed_name_count = drift.listed_name_count + 1
end

-- Gives whether stream and poll agree, and adds to `standing` (made with the first) what has to be told.
local function weigh(self, known, name, value, standing)
  local weight, difference = known:weigh(name, value, self, self.drift.now())
  if weight == "agrees" then return true, standing end
  if weight == "in_flight" then
    count_in_flight(self)
    return false, standing
  end
  self.has_news = true
  if difference then
    standing = standing or {}
    standing[name] = difference
  end
  return weight == "taken", standing
end

local function tell_standing(self, order_id, standing)
  local since_ms, fields = {}, {}
  for name, difference in pairs(standing) do
    local class = name == self.drift.stage_field and "stage_differs" or "field_differs"
    fields[class] = fields[class] or {}
    fields[class][name] = { stream = difference.stream, poll = difference.poll }
    since_ms[class] = math.min(since_ms[class] or math.huge, difference.since_ms)
  end
  for class, named in pairs(fields) do tell(self, order_id, class, since_ms[class], { fields = named }) end
end

-- Gives whether every field agrees.
local function compare(self, order_id, known, fields)
  local ignored, listed_names = self.drift.ignored, self.drift.listed_names
  local all_agree, standing = true, nil
  for name, value in pairs(fields) do
    if not ignored[name] then
      note_name(self.drift, name)
      local agrees
      agrees, standing = weigh(self, known, name, value, standing)
      all_agree = all_agree and agrees
    end
  end
  for name in pairs(known.fields) do
    if fields[name] == nil and listed_names[name] then
      local agrees
      agrees, standing = weigh(self, known, name, nil, standing)
      all_agree = all_agree and agrees
    end
  end
  if standing then tell_standing(self, order_id, standing) end
  return all_agree
end

local function list_known(self, order_id, known, order)
  local drift = self.drift
  known.listed_in, known.unlisted_ms = self.number, nil
  local went_back = known:show_version(order.version, self, drift.now())
  if went_back then
    tell(self, order_id, "version_goes_back", went_back.since_ms, {
      source = "poll", from = went_back.from, to = went_back.to,
    })
  end
  local agrees = compare(self, order_id, known, order.fields)
  known.whole = known.whole or known.born_in ~= self.number
  if agrees and known.changed_ms then
    drift.ledger:lead(drift.now() - known.changed_ms)
    known.changed_ms = nil
  end
end

-- ---- an order that only one of them knows --------------------------------------------------------------------------

local function admit(self, order_id, order)
  local drift, fields = self.drift, {}
  for name, value in pairs(order.fields) do
    if not drift.ignored[name] then
      note_name(drift, name)
      fields[name] = value
    end
  end
  drift.orders:watch(order_id, picture.of_poll(fields, order.version, self.number))
end

local function list_stranger(self, order_id, order)
  if self.deleted[order_id] then return count_in_flight(self) end
  self.has_news = true
  local orders = self.drift.orders
  local stranger = orders.strangers[order_id]
  if stranger and stranger.since_ms > self.settled_ms then
    stranger.listed_in = self.number
  elseif stranger then
    admit(self, order_id, order)
    tell(self, order_id, "missing_in_stream", stranger.since_ms, {})
  elseif self.is_baseline or orders.overflowed then
    admit(self, order_id, order)
  else
    orders:watch_stranger(order_id, { since_ms = self.drift.now(), listed_in = self.number })
  end
end

local function miss(self, order_id, known)
  if known.heard_in == self.number then return count_in_flight(self) end
  self.has_news = true
  if not known.unlisted_ms then
    known.unlisted_ms = self.drift.now()
  elseif known.unlisted_ms <= self.settled_ms then
    self.drift.orders:forget(order_id)
    tell(self, order_id, "missing_in_poll", known.unlisted_ms, {})
  end
end

-- ---- the poll ------------------------------------------------------------------------------------------------------

--- The poll lists this order. Between its orders the stream may go on.
---@param order_id string
---@param order sync.DriftOrder
function Fence:list(order_id, order)
  local known = self.drift.orders.pictures[order_id]
  if known then return list_known(self, order_id, known, order) end
  list_stranger(self, order_id, order)
end

--- The poll has listed all of its orders.
function Fence:close()
  local orders = self.drift.orders
  for order_id, known in pairs(orders.pictures) do
    if known.listed_in ~= self.number then miss(self, order_id, known) end
  end
  for order_id, stranger in pairs(orders.strangers) do
    if stranger.listed_in ~= self.number then orders:forget(order_id) end
  end
end

return fence
