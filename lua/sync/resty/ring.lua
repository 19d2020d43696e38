-- The latest events in shared memory, numbered without a hole: what one worker publishes and all workers read.
--
-- An entry is committed by the one operation that adds it, and it has the upstream's id in it: so whoever takes the
-- stream over knows exactly what was published. A number is given once: of two who publish at the same time (one was
-- stopped, and does not know that its lease has lapsed) the second finds what the first has written, and sees whether
-- it is the same.

local event = require "sync.resty.event"

---@class sync.resty.Ring
---@field limit integer entries that are kept
---@field epoch string of this memory: numbers of another mean nothing here
---@field private dict table
---@field private data_name string
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
    dict = dict, limit = limit, data_name = data_name, epoch = dict:get "epoch", recent = {},
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

-- Room for an entry, at the price of the oldest ones. nil: the dictionary is too small.
local function add_or_trim(self, number, text)
  local added, problem = self.dict:safe_add("e:" .. number, text)
  local oldest = number - self.limit
  while not added and problem == "no memory" and oldest < number do
    oldest = oldest + 1
    self.dict:delete("e:" .. oldest)
    added, problem = self.dict:safe_add("e:" .. number, text)
  end
  return added, problem
end

local function is_same(known, source)
  return known ~= nil and known.id == source.id and known.type == source.type and known.raw == source.raw
end

--- Publishes an event behind `number`.
---@param number integer the latest that the publisher knows
---@param source sync.Event
---@param text string of event.pack
---@return integer|nil number its own; nil: there is no memory for it
function Ring:publish(number, source, text)
  while true do
    number = number + 1
    local added, problem = add_or_trim(self, number, text)
    if added then break end
    if problem ~= "exists" then return nil end
    if is_same(self:entry(number), source) then return number end
  end
  self.dict:set("head", number)
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
