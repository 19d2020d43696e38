-- What the worker does that holds the stream: a client of its own, whose events it publishes to the ring, and whose
-- order book it copies into shared memory. It takes no event off the client's queue that it cannot publish, so what
-- is not read by the workers yet holds the server back.
--
-- Whoever follows goes on exactly behind the last event that was published. Its client begins with the book of the one
-- before, so that an event that names two members of an order does not make it forget the others.

local book = require "sync.resty.book"
local buffer = require "string.buffer"
local client = require "sync.client"
local encode = require "sync.encode"
local event = require "sync.resty.event"

-- Events that may wait in the client: the ring behind it holds more, and what is spent on reading is not spent on
-- handing over.
local QUEUE_LIMIT = 1000

-- Orders of a first snapshot that are copied in one step: of them no event tells.
local COPIED_MOST = 100

---@class sync.resty.Holder
---@field client sync.Client
---@field private given table complete options of the user's
---@field private ring sync.resty.Ring
---@field private dict table
---@field private loop sync.Loop
---@field private lease sync.resty.Lease of the stream
---@field private too_large integer events that cannot be had in shared memory
---@field private inherited_gaps integer
---@field private writer sync.resty.BookWriter
---@field private last integer the number of the latest event
---@field private seeding boolean the book of the one before is being taken in
---@field private echoes boolean the event that tells of that is still to come
---@field private known table<string, true>|nil what may come again although it was published
---@field private copying string[]|nil ids of orders that are still to be copied
---@field private state_changed boolean
---@field private waiting sync.Event|nil taken, and not published: there was no room
local Holder = {}
Holder.__index = Holder

local holder = {}

-- ---- beginning ------------------------------------------------------------------------------------------------------

-- What a server may send again that does not begin exactly where it was asked to.
local function fingerprint(item)
  return item.id and table.concat({ item.id, item.type, item.raw }, "\n")
end

local function published_before(self)
  local known, number = {}, self.last
  local item = self.ring:entry(number)
  while item do
    local print = fingerprint(item)
    if print then known[print] = true end
    number = number - 1
    item = self.ring:entry(number)
  end
  return next(known) and known or nil
end

-- The one before may have been killed between an event and its order.
local function repair_book(self)
  local text = self.dict:get("e:" .. self.last)
  if not text then return end
  local item, record = event.unpack(text, self.last)
  if not item.order_id then return end
  if record then self.writer:put(item.order_id, record) else self.writer:remove(item.order_id) end
end

-- The book in shared memory as a snapshot.
local function snapshot_of(self)
  local texts = {}
  self.book:each_json(function(json) texts[#texts + 1] = json end)
  return "[" .. table.concat(texts, ",") .. "]"
end

local function last_event_id(self)
  local item = self.ring:entry(self.last)
  while item and not item.id do item = self.ring:entry(item.seq - 1) end
  return item and item.id
end

-- Events and orders of another server say nothing about this one. A url may have a password in it: its digest will do.
local function is_same_server(self)
  local url = type(self.given.url) == "table" and table.concat(self.given.url, " ") or self.given.url
  local digest, before = ngx.md5(url), self.dict:get "server"
  if digest == before then return true end
  if before then self.writer:clear() end
  self.dict:set("server", digest)
  return false
end

local function options_at_first(self, resumes)
  local given = { queue_limit = QUEUE_LIMIT }
  for name, value in pairs(self.given) do given[name] = value end
  if resumes then given.last_event_id = last_event_id(self) or given.last_event_id end
  if self.seeding then
    given.auto_connect = false
    given.polling = { fetch = function() return snapshot_of(self) end }
  end
  return given
end

local function connect(self)
  self.seeding, self.echoes = false, true
  assert(self.client:configure { polling = self.given.polling or false })
  if self.given.auto_connect ~= false then assert(self.client:connect()) end
end

-- The first snapshot of a book that was empty is copied: it brings no events.
local function copy_first_snapshot(self)
  local ids = {}
  local place, _, _, _, _, id = self.client.librarian.next()
  while place do
    ids[#ids + 1] = id
    place, _, _, _, _, id = self.client.librarian.next(place)
  end
  self.copying = ids
end

-- Gaps that the one before knew of, and that nothing has closed: our client does not know of them.
local function gaps_before(self)
  local text = self.dict:get "state"
  return text and buffer.decode(text).health.open_gaps or 0
end

local function on_poll(self)
  if self.seeding then return connect(self) end
  local polling = self.given.polling
  if polling and not polling.partial then self.inherited_gaps = 0 end
  if not self.has_book then
    self.has_book = true
    copy_first_snapshot(self)
  end
end

local function tell_change(self)
  self.state_changed = true
  self:tell_health()
  self.dict:incr("states", 1, 0)
end

local function listen(self)
  local of = self.client
  of:listen("poll", function() on_poll(self) end) -- on_poll() would make itself a source of polls where there is none
  of:on_state(function() tell_change(self) end)
  of:on_gap(function(gap)
    ngx.log(ngx.WARN, "ordersync: gap ", gap.number, ": ", gap.cure or gap.reason)
    tell_change(self)
  end)
  of:on_error(function(problem)
    ngx.log(ngx.WARN, "ordersync: ", problem.code, ": ", problem.message)
    if self.seeding then connect(self) end -- with the book that the server will tell
  end)
end

--- Opens the stream, behind what was published last.
---@param parts {dict: table, ring: sync.resty.Ring, book: sync.resty.Book, loop: sync.Loop, lease: sync.resty.Lease,
---  given: table}
---@return sync.resty.Holder|nil, string|nil message, string|nil code
function holder.new(parts)
  local self = setmetatable({
    dict = parts.dict, ring = parts.ring, book = parts.book, loop = parts.loop, given = parts.given,
    lease = parts.lease, too_large = 0, inherited_gaps = 0,
    writer = book.writer(parts.dict), last = parts.ring:head(), state_changed = false,
  }, Holder)
  local resumes = is_same_server(self)
  if resumes then
    repair_book(self)
    self.known = published_before(self)
    self.inherited_gaps = gaps_before(self)
  end
  self.writer:settle(self.last)
  self.has_book = resumes and (self.dict:get "orders" or 0) > 0
  self.seeding = self.has_book
  local made, message, code = client.new(options_at_first(self, resumes), self.loop)
  if not made then return nil, message, code end
  self.client = made
  made.pulls = true
  made:want()
  listen(self)
  if self.seeding then assert(made.core:poll()) end
  return self
end

-- Of the stream, not of the orders: they would push orders' events out of the ring.
local HOUSEKEEPING = { connected = true, heartbeat = true }

-- ---- publishing -----------------------------------------------------------------------------------------------------

local function was_published(self, item)
  local print = self.known and fingerprint(item)
  return print ~= nil and self.known[print] ~= nil
end

-- The event as the ring takes it, and its text. In the place of one that no dictionary of this size can have stands
-- another: it makes pages ask for everything again.
local function fitting(self, item, record)
  local has_own_data = self.given.decode ~= nil and self.given.decode ~= "order"
  local text = event.pack(item, record and book.pack(record), has_own_data)
  if not self.ring:is_too_large(text) then return item, text end
  local other = { type = "resync", id = item.id, raw = encode { reason = "too large" }, received_at = item.received_at,
    source = item.source }
  return other, event.pack(other, nil, false)
end

local function tell_too_large(self, item)
  self.too_large = self.too_large + 1
  ngx.log(ngx.ERR, "ordersync: ", tostring(item), " is too large for the shared dictionary: ", #item.raw, " bytes")
end

-- false: it must wait.
local function publish(self, item, read)
  if self.seeding or HOUSEKEEPING[item.type] or was_published(self, item) then return true end
  if self.echoes and item.type == "polling_data_refresh" then
    self.echoes = false
    return true
  end
  if item.type == "polling_data_refresh" and not self.has_book then on_poll(self) end -- it may be told of later
  if self.copying then return false end
  local record = item.order_id and book.record_of(self.client.core, item.order_id, self.last + 1)
  local published, text = fitting(self, item, record)
  local number = self.ring:publish(self.last, published, text, read)
  if not number then return false end
  if published ~= item then tell_too_large(self, item) end
  self.last = number
  if record then
    record.seq = number
    self.writer:put(item.order_id, record)
  elseif item.order_id then
    self.writer:remove(item.order_id)
  end
  self.writer:settle(number)
  return true
end

local function copy_some(self)
  local ids = self.copying
  for _ = 1, math.min(#ids, COPIED_MOST) do
    local id = table.remove(ids)
    local record = book.record_of(self.client.core, id, 0)
    if record then self.writer:put(id, record) end
  end
  if #ids > 0 then return end
  self.copying = nil
  self.writer:announce()
end

-- Publishes what the client has, for as long as that is ours to do: a process can stand still anywhere.
local function drain(self, read)
  while self.last < read + self.ring.limit and self.lease:is_held() do
    local item = self.waiting or self.client.delivery:pull()
    if not item then return self.loop.engine:spent() end
    self.waiting = nil
    if not publish(self, item, read) then
      self.waiting = item
      return true
    end
  end
  return true
end

--- Does what is due, within a budget, and publishes as far as the slowest reader allows.
---@param budget_ms number
---@param read number all have read up to there
---@return boolean more something is left to be done
---@return boolean told there is something new for the workers
function Holder:step(budget_ms, read)
  local before = self.last
  if before >= read + self.ring.limit then return true, false end
  self.loop:step(0, budget_ms)
  if self.copying then copy_some(self) end
  local more = drain(self, read)
  local told = self.last > before or self.state_changed
  self.state_changed = false
  return more or self.copying ~= nil or self.loop:timeout_ms() == 0, told
end

-- ---- what others see of it ------------------------------------------------------------------------------------------

--- Writes down how the stream is, for all workers.
function Holder:tell_health()
  local health = self.client:health()
  health.open_gaps = health.open_gaps + self.inherited_gaps
  health.complete = health.complete and self.inherited_gaps == 0
  local state = { health = health, metrics = self.client:metrics(), at = self.loop:wall_ms(),
    left_out = self.writer.left_out, too_large = self.too_large }
  self.dict:safe_set("state", buffer.encode(state))
end

--- Ends the stream. What is not published the next holder gets from the server again.
function Holder:close()
  self.client:close()
end

return holder
