-- The orders that are watched: a picture of each that the stream has named or a baseline has brought, and the strangers,
-- which only polls list. There are so many at most, and none is forgotten to make room: an order that is not watched must
-- not be taken for one that the stream never named.

local orders = {}

---@class sync.Stranger
---@field since_ms number
---@field listed_in integer the last poll that listed it

---@class sync.WatchedOrders
---@field pictures table<string, sync.Picture>
---@field strangers table<string, sync.Stranger>
---@field count integer of both
---@field limit integer
---@field overflowed boolean there was no room once: an order that only polls list may be one of those
local Orders = {}
Orders.__index = Orders

---@param limit integer
---@return sync.WatchedOrders
function orders.new(limit)
  local self = setmetatable({ limit = limit }, Orders)
  self:clear()
  return self
end

--- Forgets everything: there was a gap, and nothing of what the stream said before it still has to be true.
function Orders:clear()
  self.pictures, self.strangers, self.count, self.overflowed = {}, {}, 0, false
end

local function take_room(self)
  if self.count >= self.limit then
    self.overflowed = true
    return false
  end
  self.count = self.count + 1
  return true
end

--- Watches an order, which is no stranger any more.
---@param order_id string
---@param picture sync.Picture
---@return sync.Picture|nil picture nil: there is no room
function Orders:watch(order_id, picture)
  if self.strangers[order_id] then
    self.strangers[order_id] = nil
  elseif not take_room(self) then
    return nil
  end
  self.pictures[order_id] = picture
  return picture
end

--- Watches a stranger, if there is room.
---@param order_id string
---@param stranger sync.Stranger
function Orders:watch_stranger(order_id, stranger)
  if take_room(self) then self.strangers[order_id] = stranger end
end

--- Safe while either of them is traversed.
---@param order_id string
function Orders:forget(order_id)
  if not self.pictures[order_id] and not self.strangers[order_id] then return end
  self.pictures[order_id], self.strangers[order_id] = nil, nil
  self.count = self.count - 1
end

--- Drops every suspicion: the stream was away, and replays what it said meanwhile.
function Orders:acquit()
  for _, picture in pairs(self.pictures) do picture:acquit() end
  for order_id in pairs(self.strangers) do self:forget(order_id) end
end

--- How many suspicions there are.
---@return integer
function Orders:pending()
  local count = 0
  for _, picture in pairs(self.pictures) do count = count + picture:pending() end
  for _ in pairs(self.strangers) do count = count + 1 end
  return count
end

return orders
