-- Acknowledging events: what this program, or the person in front of it, has dealt with. Methods of sync.Client.

local checks = require "sync.client.checks"

local methods = {}

-- Events are known by their number among the client's.
local function is_acknowledged(self, event)
  return self.acknowledged[event.seq] == true
end

local function forget_old(self)
  local oldest = self:events { limit = nil }[1]
  for seq in pairs(self.acknowledged) do
    if oldest and seq < oldest.seq then self.acknowledged[seq] = nil end
  end
end

--- Acknowledges an event. true, or false: it was acknowledged before.
---@param event sync.Event
---@return boolean|nil, string|nil message, string|nil code
function methods:ack(event)
  if type(event) ~= "table" or type(event.seq) ~= "number" then checks.misuse("ack", "expected an event") end
  if not self.core then return self.closed() end
  local is_new = not self.acknowledged[event.seq]
  self.acknowledged[event.seq] = true
  rawset(event, "acknowledged", true)
  self.ack_count = self.ack_count + (is_new and 1 or 0)
  if self.ack_count % 256 == 0 then forget_old(self) end
  return is_new
end

--- Acknowledges the events of the history that a filter means; how many it were.
---@param given? sync.Filter
---@return integer|nil, string|nil message, string|nil code
function methods:ack_all(given)
  checks.filter("ack_all", given)
  if not self.core then return self.closed() end
  local count = 0
  for _, event in ipairs(self:unacknowledged(given)) do
    if self:ack(event) then count = count + 1 end
  end
  return count
end

--- The events of the history that have not been acknowledged, oldest first.
---@param given? sync.Filter
---@return sync.Event[]
function methods:unacknowledged(given)
  local checked = checks.filter("unacknowledged", given)
  local limit = checked.limit
  checked.limit = nil
  local list = {}
  for _, event in ipairs(self:select(checked)) do
    if not is_acknowledged(self, event) then list[#list + 1] = event end
  end
  while limit and #list > limit do table.remove(list, 1) end
  return list
end

return methods
