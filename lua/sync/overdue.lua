-- Orders that stay in a stage for too long: what is behind client:on_overdue. Told once per stay; an order that leaves and
-- comes back begins another.
--
-- It believes what it is told of stages and looks nothing up. Stays are counted on the wall clock, which events speak of;
-- waiting is the timers' business.

---@class sync.Stay an order in the stage
---@field order_id string
---@field since_ms number milliseconds since the epoch
---@field timer sync.Timer until it is told
---@field older sync.Stay|nil
---@field newer sync.Stay|nil

---@class sync.Overdue
---@field stays table<string, sync.Stay>
---@field count integer of stays
---@field oldest sync.Stay|nil the stays are a list, in the order in which they were heard of
---@field newest sync.Stay|nil
---@field told integer how many orders were overdue
local Overdue = {}
Overdue.__index = Overdue

local overdue = {}

-- As many orders as the book keeps by default. Orders that never leave the stage would add up otherwise.
local LIMIT = 100000

---@class sync.OverdueOptions
---@field timers sync.Timers
---@field epoch_ms fun(): number the wall clock, milliseconds since the epoch
---@field stage string
---@field after_ms integer
---@field fn fun(order_id: string, stage: string, since_ms: number) may raise, may yield
---@field limit? integer how many orders in the stage are known, default 100000; beyond it the longest known is forgotten

---@param given sync.OverdueOptions
---@return sync.Overdue
function overdue.new(given)
  local self = setmetatable({
    timers = given.timers, epoch_ms = given.epoch_ms, stage = given.stage, after_ms = given.after_ms, fn = given.fn,
    limit = given.limit or LIMIT, stays = {}, count = 0, told = 0,
  }, Overdue)
  self.expire = function(stay)
    self.told = self.told + 1
    self.fn(stay.order_id, self.stage, stay.since_ms)
  end
  return self
end

local function link(self, stay)
  stay.older = self.newest
  if self.newest then self.newest.newer = stay else self.oldest = stay end
  self.newest = stay
end

local function unlink(self, stay)
  if stay.older then stay.older.newer = stay.newer else self.oldest = stay.newer end
  if stay.newer then stay.newer.older = stay.older else self.newest = stay.older end
end

local function finish(self, stay)
  stay.timer:cancel()
  unlink(self, stay)
  self.stays[stay.order_id] = nil
  self.count = self.count - 1
end

local function begin(self, order_id, since_ms)
  local stay = { order_id = order_id, since_ms = since_ms }
  local waited_ms = math.max(0, self.epoch_ms() - since_ms) -- a server's clock may be ahead of ours
  stay.timer = self.timers:after(self.after_ms - waited_ms, self.expire, stay)
  self.stays[order_id] = stay
  self.count = self.count + 1
  link(self, stay)
  if self.count > self.limit then finish(self, self.oldest) end
end

--- The stage of an order, as an event or a snapshot says. Again the same stage is the same stay. An order that has been
--- in the stage for too long already is told in the next run of the timers.
---@param order_id string
---@param stage string|nil nil: the order is gone
---@param since_ms? number since when, milliseconds since the epoch; default now
function Overdue:tell(order_id, stage, since_ms)
  local stay = self.stays[order_id]
  if stage ~= self.stage then
    if stay then finish(self, stay) end
  elseif not stay and not self.cancelled then
    begin(self, order_id, since_ms or self.epoch_ms())
  end
end

--- Ends it: nothing is told any more. Again does nothing.
function Overdue:cancel()
  while self.oldest do finish(self, self.oldest) end
  self.cancelled = true
end

return overdue
