-- The latest events in shared memory, numbered without a hole: what one worker publishes and all workers read.
--
-- An entry is committed by the one operation that adds it, and it has the upstream's id in it: so whoever takes the
-- stream over knows exactly what was published. A number is given once: of two who publish at the same time (one was
-- stopped, and does not know that its lease has lapsed) the second finds what the first has written, and sees whether
-- it is the same.

local event = require "sync.resty.event"

-- So much of the dictionary is left to leases, bells and reports: where there is nothing left, nginx makes room for
-- them by throwing away what was used least recently, whatever that is.
local LEFT_PART, LEFT_LEAST = 0.05, 16384

-- An event that takes more of the dictionary is not worth all the others.
local LARGEST_PART = 0.25

---@class sync.resty.Ring
---@field limit integer entries that are kept
---@field epoch string of this memory: numbers of another mean nothing here
---@field private dict table
---@field private data_name string
---@field private oldest integer of a publisher: entries with lower numbers are gone
---@field private recent table<integer, sync.resty.Event> by number modulo limit; what this worker has read
local Ring = {}
Ring.__index = Ring

local ring = {}

---@param dict table
---@param limit integer
---@param data_name string what the wire calls its data
---@return sync.resty.Ring
function ring.new(dict, limit, data_name)
  dict:add("epoch", ("%x"):format(ngx.now() * 1000))
  return setmetatable({
    dict = dict, limit = limit, data_name = data_name, epoch = dict:get "epoch", recent = {}, oldest = 1,
  }, Ring)
end

--- The number of the latest entry; 0: there is none. `from`: a number that was there already.
---@param from integer|nil
---@return integer
function Ring:head(from)
  local head = math.max(self.dict:get "head" or 0, from or 0)
  while self.dict:ttl("e:" .. head + 1) do head = head + 1 end -- its publisher did not come to say so
  return head
end

--- An event; nil: it is not there any more, or not yet.
---@param number integer
---@return sync.resty.Event|nil
---@return string|nil record of the order, if it was not read before
function Ring:entry(number)
  local known = self.recent[number % self.limit]
  if known and known.seq == number then return known end
  local text = self.dict:get("e:" .. number)
  if not text then return nil end
  local read, record = event.unpack(text, number, self.data_name)
  self.recent[number % self.limit] = read
  return read, record
end

--- Whether a reader that has read up to `number` has missed something: what comes next is gone.
---@param number integer
---@return boolean
function Ring:has_lost(number)
  return self:head() > number and not self.dict:ttl("e:" .. number + 1) -- in this order: it may come meanwhile
end

-- Gives up the oldest entry before `number`, unless somebody has still to read it. How long it was, or nil.
local function give_up_oldest(self, number, read)
  if self.oldest >= number or self.oldest > read then return nil end
  local key = "e:" .. self.oldest
  local text = self.dict:get(key)
  self.dict:delete(key)
  self.oldest = self.oldest + 1
  return text and #text or 0
end

local function is_short_of_memory(dict)
  return dict:free_space() < math.max(LEFT_LEAST, dict:capacity() * LEFT_PART)
end

-- Where memory is short an entry takes the place of older ones.
local function make_room(self, number, text, read)
  local left = is_short_of_memory(self.dict) and #text or 0
  while left > 0 and self.oldest < number do
    local freed = give_up_oldest(self, number, read)
    if not freed then return false end
    left = left - freed
  end
  return true
end

-- Adds an entry, at the price of older ones.
local function add_or_trim(self, number, text, read)
  if not make_room(self, number, text, read) then return false, "no memory" end
  local added, problem = self.dict:safe_add("e:" .. number, text)
  while not added and problem == "no memory" and give_up_oldest(self, number, read) do
    added, problem = self.dict:safe_add("e:" .. number, text)
  end
  return added, problem
end

local function is_same(known, source)
  return known ~= nil and known.id == source.id and known.type == source.type and known.raw == source.raw
end

--- Whether such a text will never find room.
---@param text string of event.pack
---@return boolean
function Ring:is_too_large(text)
  return #text > self.dict:capacity() * LARGEST_PART
end

--- Publishes an event behind `number`.
---@param number integer the latest that the publisher knows
---@param source sync.Event
---@param text string of event.pack
---@param read number entries up to this one may be given up for it: all have read them
---@return integer|nil number its own; nil: there is no room before more is read, or another publishes, and is far ahead
function Ring:publish(number, source, text, read)
  if self:has_lost(number) then return nil end
  self.oldest = math.max(self.oldest, number + 1 - self.limit)
  while true do
    number = number + 1
    local added, problem = add_or_trim(self, number, text, read)
    if added then break end
    if problem ~= "exists" then return nil end
    if is_same(self:entry(number), source) then return number end
  end
  self.dict:set("head", math.max(number, self.dict:get "head" or 0))
  self.dict:delete("e:" .. number - self.limit)
  return number
end

--- What a browser is told to come back with.
---@param number integer
---@return string
function Ring:id(number)
  return self.epoch .. ":" .. number
end

--- The number that such an id stands for; nil: none of this ring.
---@param id string
---@return integer|nil
function Ring:number_of(id)
  local epoch, number = id:match "^(%x+):(%d+)$"
  return epoch == self.epoch and tonumber(number) or nil
end

return ring
