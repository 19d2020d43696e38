-- The order book in shared memory: the latest known state of each order, written by the worker that holds the stream
-- and read by all. There is one copy, whatever the number of workers; each has a list of the ids, the most recently
-- changed first, which it brings up to date from the ring when somebody asks.
--
-- Keys: o:ID the record; n:1, n:2 ... the ids, without a hole; orders: how many; moved: bumped when an id changes its
-- place; book: bumped when orders came or went that no event tells of; settled: up to here the book has what the ring
-- says.

local buffer = require "string.buffer"
local core = require "sync.core"
local orders = require "sync.client.orders"

local FIELDS = { "json", "stage", "payment", "status", "updated_ms", "as_of", "source", "seq", "place" }
local codec = buffer.new(0, { dict = FIELDS })

-- New orders stay out when less of the dictionary is free: the ring must go on.
local LEAST_FREE_PART = 0.3

-- So often a list is read again because ids changed their places meanwhile; then it is taken as it is.
local READINGS_MOST = 5

local book = {}

local function unpack_record(text)
  return codec:set(text):decode()
end

-- ---- writing -------------------------------------------------------------------------------------------------------

---@class sync.resty.BookWriter
---@field left_out integer orders that found no room
---@field private dict table
local Writer = {}
Writer.__index = Writer

---@param dict table
---@return sync.resty.BookWriter
function book.writer(dict)
  return setmetatable({ dict = dict, left_out = 0 }, Writer)
end

--- The record of an order as a client knows it now; nil: it does not know it.
---@param client_core userdata
---@param order_id string
---@param seq integer of the event that it belongs to
---@return table|nil
function book.record_of(client_core, order_id, seq)
  local json, stage, payment, status, updated_ms, as_of, source = client_core:record(order_id)
  if not json then return nil end
  return {
    json = json, stage = stage, payment = payment, status = status, updated_ms = updated_ms, as_of = as_of,
    source = source, seq = seq,
  }
end

---@param record table
---@return string
function book.pack(record)
  return codec:reset():encode(record):get()
end

local function add(self, order_id, record)
  local dict = self.dict
  record.place = (dict:get "orders" or 0) + 1
  local kept = dict:free_space() > dict:capacity() * LEAST_FREE_PART
    and dict:safe_set("o:" .. order_id, book.pack(record))
    and dict:safe_set("n:" .. record.place, order_id)
  if kept then
    dict:set("orders", record.place)
  else
    dict:delete("o:" .. order_id)
    self.left_out = self.left_out + 1
  end
end

-- The last id takes its place.
local function forget(self, order_id, place)
  local dict = self.dict
  local last = dict:get "orders"
  local moving = dict:get("n:" .. last)
  dict:incr("moved", 1, 0)
  if moving and moving ~= order_id then
    local text = dict:get("o:" .. moving)
    local record = text and unpack_record(text)
    if record then
      record.place = place
      dict:safe_set("o:" .. moving, book.pack(record))
    end
    dict:safe_set("n:" .. place, moving)
  end
  dict:delete("n:" .. last)
  dict:set("orders", last - 1)
  dict:delete("o:" .. order_id)
end

--- Keeps a record; a packed one too.
---@param order_id string
---@param record table|string
function Writer:put(order_id, record)
  if type(record) == "string" then record = unpack_record(record) end
  local known = self.dict:get("o:" .. order_id)
  if not known then return add(self, order_id, record) end
  known = unpack_record(known)
  if known.seq > record.seq then return end -- we stood still for a while, and another holder has gone on
  record.place = known.place
  if self.dict:safe_set("o:" .. order_id, book.pack(record)) then return end
  forget(self, order_id, record.place) -- the dictionary has: it frees the old record before it looks for room
  self.left_out = self.left_out + 1
end

--- Forgets an order.
---@param order_id string
function Writer:remove(order_id)
  local known = self.dict:get("o:" .. order_id)
  if known then forget(self, order_id, unpack_record(known).place) end
end

--- Forgets all orders.
function Writer:clear()
  for place = self.dict:get "orders" or 0, 1, -1 do self:remove(self.dict:get("n:" .. place)) end
  self:announce()
end

--- Says that the book has what the ring says, up to number `number`: an event is in the ring before its order is here.
---@param number integer
function Writer:settle(number)
  self.dict:set("settled", number)
end

--- Tells readers that orders came, or went, that no event tells of.
function Writer:announce()
  self.dict:incr("book", 1, 0)
end

-- ---- reading -------------------------------------------------------------------------------------------------------

---@class sync.resty.Book
---@field private dict table
---@field private ring sync.resty.Ring
---@field private at integer the list has what the ring says up to here
---@field private version integer of `book` in the dictionary
---@field private next table<string, string> from each id to the one that changed before it; "" is before the first
---@field private previous table<string, string>
local Book = {}

local methods = { order = orders.order, orders = orders.orders }

-- A ring of ids: the end of the list is its beginning.
local END = ""

local function unlink(self, id)
  local before, behind = self.previous[id], self.next[id]
  if not before then return end
  self.next[before], self.previous[behind] = behind, before
  self.next[id], self.previous[id] = nil, nil
end

local function put_first(self, id)
  unlink(self, id)
  local first = self.next[END]
  self.next[END], self.previous[id], self.next[id], self.previous[first] = id, END, first, id
end

local function read_list(dict)
  local list = {}
  for place = 1, dict:get "orders" or 0 do
    local id = dict:get("n:" .. place)
    local text = id and dict:get("o:" .. id)
    if text then list[#list + 1] = { id = id, seq = unpack_record(text).seq } end
  end
  return list
end

local function read_settled_list(dict)
  local list
  for _ = 1, READINGS_MOST do
    local moved = dict:get "moved"
    list = read_list(dict)
    if dict:get "moved" == moved then break end
  end
  table.sort(list, function(a, b) return a.seq < b.seq end)
  return list
end

local function load_all(self)
  self.version = self.dict:get "book"
  self.at = self:position()
  self.next, self.previous = { [END] = END }, { [END] = END }
  for _, item in ipairs(read_settled_list(self.dict)) do put_first(self, item.id) end
end

-- The list as of the latest event.
local function catch_up(self)
  if not self.at or self.version ~= self.dict:get "book" or self.ring:has_lost(self.at) then return load_all(self) end
  local settled = self:position()
  local event = self.at < settled and self.ring:entry(self.at + 1)
  while event do
    self.at = event.seq
    if event.order_id then put_first(self, event.order_id) end
    event = self.at < settled and self.ring:entry(self.at + 1)
  end
end

local function record_of(self, order_id)
  local text = self.dict:get("o:" .. order_id)
  return text and unpack_record(text)
end

-- The table that handlers and pages get, made afresh.
local function order_of(self, order_id)
  local record = record_of(self, order_id)
  local order = record and core.decode(record.json)
  if not order then return nil end
  order.as_of, order.source = record.as_of, record.source
  return order
end

-- One step of a walk, as the engine's librarian takes it.
local function next_order(self, place)
  if not place then catch_up(self) end
  local id = self.next[place or END]
  while id ~= END do
    local record = record_of(self, id)
    if record then return id, record.stage, record.payment, record.status, record.updated_ms, id end
    local behind = self.next[id]
    unlink(self, id) -- it is gone
    id = behind
  end
end

--- The book as a worker reads it: with the methods `order` and `orders` of a client.
---@param dict table
---@param ring sync.resty.Ring
---@param health fun(): sync.Health
---@return sync.resty.Book
function book.reader(dict, ring, health)
  local self = setmetatable({ dict = dict, ring = ring, promises = {}, core = true }, { __index = Book })
  self.health = health
  self.librarian = {
    order = function(order_id) return order_of(self, order_id) end,
    next = function(place) return next_order(self, place) end,
  }
  return self
end

for name, method in pairs(methods) do Book[name] = method end

--- The number of the latest event that is in the book for certain. Whoever asks for it before the orders, and goes on
--- behind it, misses nothing.
---@return integer
function Book:position()
  return self.dict:get "settled" or 0
end

--- Calls `fn(json)` for each order, the most recently changed first.
---@param fn fun(json: string)
function Book:each_json(fn)
  catch_up(self)
  local id = self.next[END]
  while id ~= END do
    local record = record_of(self, id)
    if record then fn(record.json) end
    id = self.next[id]
  end
end

return book
