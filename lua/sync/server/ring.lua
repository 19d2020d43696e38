--- The ids of events and the last few events themselves: what a client that was away can have again.
-- It is not a queue: who has received what is known by the streams alone.
--
-- An id is `<epoch>-<sequence>`, both decimal. Within an epoch the sequence is 1, 2, 3, ... without holes, so that a
-- client can see that it misses something; an epoch is the time in ms at which the server lost its past, so that ids of
-- different epochs never meet and later epochs are greater.

local ring = {}

---@class sync.server.Ring
---@field epoch integer
---@field newest integer sequence of the newest event, 0 before the first
local Ring = {}
Ring.__index = Ring

---@param epoch integer
---@param limit integer how many events are kept; 0: none
---@return sync.server.Ring
function ring.new(epoch, limit)
  return setmetatable({ epoch = epoch, limit = limit, newest = 0, slots = {} }, Ring)
end

---The id of a sequence in this epoch.
---@param sequence integer
---@return string
function Ring:id(sequence)
  return ("%d-%d"):format(self.epoch, sequence)
end

---The sequence that the next event gets.
---@return integer
function Ring:next_sequence()
  return self.newest + 1
end

---Keep an event; the oldest one may have to go.
---@param event table its `sequence` is `next_sequence()`
function Ring:append(event)
  self.newest = event.sequence
  if self.limit > 0 then self.slots[event.sequence % self.limit] = event end
end

---Leave out ids, as a server does that lost events.
---@param count integer
function Ring:skip(count)
  for sequence = self.newest + 1, self.newest + math.min(count, self.limit) do
    self.slots[sequence % self.limit] = nil
  end
  self.newest = self.newest + count
  -- A long jump has passed over every slot; a short one has left alone the slots that are still in reach.
end

---Lose the past.
---@param epoch integer greater than the present one
function Ring:restart(epoch)
  self.epoch, self.newest, self.slots = epoch, 0, {}
end

---The oldest sequence that could still be here.
---@return integer
function Ring:oldest()
  return math.max(1, self.newest - self.limit + 1)
end

---An event by its sequence.
---@param sequence integer
---@return table|nil event nil: gone, skipped or not yet
function Ring:at(sequence)
  if sequence < self:oldest() or sequence > self.newest then return nil end
  return self.slots[sequence % self.limit]
end

---All events, oldest first.
---@return fun(): table|nil
function Ring:events()
  local sequence = self:oldest() - 1
  return function()
    local event
    repeat
      sequence = sequence + 1
      event = self:at(sequence)
    until event or sequence > self.newest
    return event
  end
end

---The last events, oldest first.
---@param count integer
---@return table[]
function Ring:last(count)
  local events = {}
  local sequence = self.newest
  while sequence >= self:oldest() and #events < count do
    local event = self:at(sequence)
    if event then table.insert(events, 1, event) end
    sequence = sequence - 1
  end
  return events
end

---Where a stream starts whose client has seen `last_event_id`.
---@param last_event_id string|nil
---@return integer position the sequence after which events are due
---@return string|nil gap why events may be missing: "too_old", "other_epoch" or "unknown_id"
function Ring:resume(last_event_id)
  if not last_event_id or last_event_id == "" then return self.newest end
  local start = self:oldest() - 1
  local epoch, sequence = last_event_id:match("^(%d+)%-(%d+)$")
  if not epoch then return start, "unknown_id" end
  if tonumber(epoch) ~= self.epoch then return start, "other_epoch" end
  sequence = tonumber(sequence)
  if sequence > self.newest then return start, "unknown_id" end
  if sequence < start then return start, "too_old" end
  return sequence
end

return ring
