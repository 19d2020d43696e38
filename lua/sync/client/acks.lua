-- Acknowledging events: what this program, or the person in front of it, has dealt with. With a journal that is known
-- after a restart; with ack = "manual" it is what makes an event done. Methods of sync.Client.

local checks = require "sync.client.checks"

local methods = {}

-- So many acknowledged events are remembered before those are looked for that the history has forgotten.
local SWEEP_LEAST = 256

-- ---- remembering ---------------------------------------------------------------------------------------------------

-- The number of the oldest event of the history; math.huge: it is empty. Its length is not known, so that is found first.
local function oldest_seq(self)
  local last, absent = -1, 0
  while self.history(absent) do last, absent = absent, 2 * absent + 1 end
  while absent - last > 1 do
    local middle = math.floor((last + absent) / 2)
    if self.history(middle) then last = middle else absent = middle end
  end
  return last >= 0 and self.history(last).seq or math.huge
end

-- Beyond the history only whoever holds the event itself can ask, and that has it written on it.
local function forget_old(self)
  local oldest, kept = oldest_seq(self), 0
  for seq in pairs(self.acknowledged) do
    if seq < oldest then self.acknowledged[seq] = nil else kept = kept + 1 end
  end
  self.ack_count, self.sweep_at = kept, math.max(SWEEP_LEAST, 2 * kept)
end

local function remember(self, event)
  self.acknowledged[event.seq] = true
  rawset(event, "acknowledged", true)
  self.ack_count = self.ack_count + 1
  if self.ack_count >= (self.sweep_at or SWEEP_LEAST) then forget_old(self) end
end

-- ---- what users say ------------------------------------------------------------------------------------------------

--- Acknowledges an event. With ack = "manual" it is done by that, and so is, whatever `ack` says, an event that next()
--- gave. true, or false: it was acknowledged before.
---@param event sync.Event
---@return boolean|nil, string|nil message, string|nil code
function methods:ack(event)
  checks.event("ack", event)
  if not self.core then return self.closed() end
  local ok, message, code = self.core:ack(event.seq)
  if not ok then return nil, message, code end
  if self.pulls then self.core:done(event.seq) end
  local is_new = not (event.acknowledged or self.acknowledged[event.seq])
  if is_new then remember(self, event) end
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
    local is_new, message, code = self:ack(event)
    if is_new == nil then return nil, message, code end
    if is_new then count = count + 1 end
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
    if not event.acknowledged then list[#list + 1] = event end
  end
  while limit and #list > limit do table.remove(list, 1) end
  return list
end

return methods
