-- One order as the stream tells it, and the suspicions against it. A poll's word enters where the stream has said nothing
-- yet, and where a difference has been counted.

local comparison = require "sync.drift.comparison"

---@class sync.Suspicion
---@field since_ms number
---@field value any what the poll said

---@class sync.Picture
---@field fields table<string, any>
---@field whole boolean a poll has filled in what the stream had not said
---@field version number|nil the stream's
---@field poll_version number|nil
---@field suspicions table<string, sync.Suspicion> by field
---@field unlisted_ms number|nil since when polls have not listed it
---@field went_back {since_ms: number, from: number, to: number}|nil a poll showed it older than one before
---@field changed_ms number|nil when the stream brought news of it that no poll has shown yet
---@field born_in integer|nil the poll under way when the stream first spoke of it
---@field heard_in integer|nil the poll under way when the stream last spoke of it
---@field heard table<string, true> the fields it spoke of during that
---@field listed_in integer|nil the last poll that listed it
local Picture = {}
Picture.__index = Picture

local picture = {}

local NONE = {} -- never written to

--- Of an order that the stream names for the first time.
---@param poll sync.DriftFence|nil the one under way
---@return sync.Picture
function picture.of_stream(poll)
  return setmetatable({
    fields = {}, whole = false, suspicions = NONE, heard = NONE, born_in = poll and poll.number,
  }, Picture)
end

--- Of an order that a poll has brought.
---@param fields table<string, any> kept
---@param version number|nil
---@param number integer of the poll
---@return sync.Picture
function picture.of_poll(fields, version, number)
  return setmetatable({
    fields = fields, whole = true, suspicions = NONE, heard = NONE, poll_version = version, listed_in = number,
  }, Picture)
end

-- ---- what the stream says ------------------------------------------------------------------------------------------

-- Takes one field. Gives whether that changes it, whether it clears a suspicion, and when a poll showed the same.
local function hear_field(self, name, value)
  local suspicion, changed = self.suspicions[name], not comparison.same(self.fields[name], value)
  self.fields[name] = value
  if not suspicion then return changed, false, nil end
  self.suspicions[name] = nil
  return changed, true, comparison.same(suspicion.value, value) and suspicion.since_ms or nil
end

--- The stream says this of the order.
---@param fields table<string, any>
---@param ignored table<string, true> fields that are not compared
---@param poll sync.DriftFence|nil the one under way
---@return boolean changed it is something else than it was
---@return integer cleared how many suspicions that clears
---@return number|nil shown_ms when a poll showed the same, if one did
function Picture:hear(fields, ignored, poll)
  if poll and self.heard_in ~= poll.number then self.heard_in, self.heard = poll.number, {} end
  local any_changed, cleared_count, shown_first_ms = false, 0, nil
  for name, value in pairs(fields) do
    if not ignored[name] then
      if poll then self.heard[name] = true end
      local changed, cleared, shown_ms = hear_field(self, name, value)
      any_changed = any_changed or changed
      if cleared then cleared_count = cleared_count + 1 end
      if shown_ms then shown_first_ms = math.min(shown_first_ms or math.huge, shown_ms) end
    end
  end
  if self.unlisted_ms then
    self.unlisted_ms, cleared_count = nil, cleared_count + 1
  end
  return any_changed, cleared_count, shown_first_ms
end

-- ---- what a poll says ----------------------------------------------------------------------------------------------

---@alias sync.Weight
---| "agrees"
---| "in_flight" the stream spoke of it while the poll was under way
---| "taken" the poll's word is taken: the stream has said nothing yet
---| "suspected"
---| "differs" it has stood: to be counted, and the poll's word is taken

--- Weighs a poll's word on one field.
---@param name string
---@param value any
---@param poll sync.DriftFence
---@param now_ms number
---@return sync.Weight
---@return {stream: any, poll: any, since_ms: number}|nil difference
function Picture:weigh(name, value, poll, now_ms)
  local known = self.fields[name]
  if comparison.same(known, value) then
    if self.suspicions[name] then self.suspicions[name] = nil end -- NONE is not written to
    return "agrees"
  end
  if self.heard_in == poll.number and self.heard[name] then return "in_flight" end
  if not self.whole and comparison.is_absent(known) then
    if self.born_in == poll.number then return "in_flight" end -- as for versions, below
    self.fields[name] = value
    return "taken"
  end
  local suspicion = self.suspicions[name]
  if suspicion and suspicion.since_ms <= poll.settled_ms then
    self.suspicions[name] = nil
    self.fields[name] = value
    self.version = nil -- what the stream says next is news, whatever its version
    return "differs", { stream = known, poll = value, since_ms = suspicion.since_ms }
  end
  if self.suspicions == NONE then self.suspicions = {} end
  self.suspicions[name] = suspicion or { since_ms = now_ms, value = value }
  return "suspected"
end

--- A poll shows this version. One that is older than a poll's before is told of when it has stood: an order may have been
--- deleted and made anew under its id, with the stream about to say so.
---@param version number|nil
---@param poll sync.DriftFence
---@param now_ms number
---@return {since_ms: number, from: number, to: number}|nil went_back
function Picture:show_version(version, poll, now_ms)
  local told
  if self.went_back and self.went_back.since_ms <= poll.settled_ms then
    told, self.went_back = self.went_back, nil
  end
  -- What first was heard of during this poll may be new under an old id: the poll may mean the one before.
  if not version or self.born_in == poll.number then return told end
  if self.poll_version and version < self.poll_version then
    self.went_back = self.went_back or { since_ms = now_ms, from = self.poll_version, to = version }
  end
  self.poll_version = version
  return told
end

--- The stream was away, and replays what it said meanwhile: nothing is suspected of what it had said before.
function Picture:acquit()
  self.suspicions, self.unlisted_ms, self.went_back, self.changed_ms = NONE, nil, nil, nil
end

--- How many suspicions there are.
---@return integer
function Picture:pending()
  local count = self.unlisted_ms and 1 or 0
  for _ in pairs(self.suspicions) do count = count + 1 end
  return count
end

return picture
