-- What hands the events of the ring to the handlers of this worker, in a light thread of its own, so that handlers
-- may yield. nginx's worker number 2, say, has one place in the ring, which outlives the process: the next process
-- with that number goes on where the one before has stopped, when it has stopped. So across reloads and crashes the
-- handlers of a number get every event, and get it once; only one that was under way in a process that was killed is
-- handed over again.

---@class sync.resty.Reader
---@field position integer|nil the latest event whose handlers have returned
---@field missed integer events that were gone before they were read
---@field private dict table
---@field private ring sync.resty.Ring
---@field private audience sync.resty.Audience
---@field private lease sync.resty.Lease
---@field private key string
---@field private worker sync.resty.Worker
local Reader = {}
Reader.__index = Reader

-- While the process before has the place.
local RETRY_S = 0.05

-- News are rung for; this is for the case that they are not.
local PATIENCE_S = 5

local reader = {}

local function key(number) return "cursor:" .. number end

--- Gives every worker its place, whoever comes first for all: at the start one may be there, and publish, before
--- another.
---@param dict table
---@param head integer
---@param ttl_ms integer by then they are there
function reader.reserve_places(dict, head, ttl_ms)
  for number = 0, ngx.worker.count() - 1 do
    if dict:add(key(number), head) then dict:set("expected:" .. number, true, ttl_ms / 1000) end
  end
end

--- Up to where all workers have read: what comes behind must stay. Those that are gone do not count.
---@param dict table
---@return number
function reader.slowest(dict)
  local least = math.huge
  for number = 0, ngx.worker.count() - 1 do
    local is_there = dict:get("lease:worker:" .. number) or dict:get("expected:" .. number)
    local position = is_there and dict:get(key(number))
    if position and position < least then least = position end
  end
  return least
end

---@param worker sync.resty.Worker
---@param lease sync.resty.Lease
---@param number integer of nginx's worker
---@return sync.resty.Reader
function reader.new(worker, lease, number)
  return setmetatable({
    worker = worker, dict = worker.dict, ring = worker.ring, audience = worker.audience, lease = lease,
    key = key(number), missed = 0,
  }, Reader)
end

local function move_to(self, position)
  self.position = position
  self.dict:set(self.key, position)
end

-- A place that was left long ago is as good as none.
local function take_place(self)
  if self.lease:is_held() and self.position then return true end
  if not self.lease:acquire() then return false end
  local left_at = self.dict:get(self.key)
  if not left_at or left_at > self.ring:head() or self.ring:has_lost(left_at) then left_at = self.ring:head() end
  move_to(self, left_at)
  return true
end

-- Only a process that stood still for longer than its leases last gets here: nobody waited for it.
local function skip_lost(self)
  local head = self.ring:head()
  local oldest = math.max(self.position + 1, head - self.ring.limit + 1)
  while oldest <= head and not self.ring:entry(oldest) do oldest = oldest + 1 end
  local lost = oldest - 1 - self.position
  self.missed = self.missed + lost
  ngx.log(ngx.ERR, "ordersync: the handlers of this worker missed ", lost, " events: it had stood still")
  move_to(self, oldest - 1)
end

local function read_one(self)
  local event = self.ring:entry(self.position + 1)
  if event then
    self.audience:deliver(event)
    move_to(self, event.seq)
    return true
  end
  if not self.ring:has_lost(self.position) then return false end
  skip_lost(self)
  return true
end

-- Reads until nothing is left; other requests have their turn once in a millisecond.
local function read_all(self)
  local clock_ms = self.worker.clock_ms
  local began = clock_ms()
  while not self.worker.exiting and self.lease:is_held() and read_one(self) do
    if clock_ms() > began then
      self.worker:give_way()
      began = clock_ms()
    end
  end
end

--- Hands over events until the worker exits.
function Reader:run()
  while not self.worker.exiting do
    if take_place(self) then
      read_all(self)
      if not self.worker.exiting and self.lease:is_held() then self.worker:await_news(PATIENCE_S) end
    else
      self.worker:await_news(RETRY_S)
    end
  end
  self.lease:release()
end

return reader
