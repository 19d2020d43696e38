--- Orders that walk through their stages: a source of lifelike events for demos and tests.
-- The same seed gives the same walk on every Lua. It publishes to the server and knows nothing of streams.

local simulate = {}

local stages = { "empty", "initiated", "open", "billed", "paid" }
local rank = {}
for index, stage in ipairs(stages) do rank[stage] = index end

-- What else happens when an order reaches a stage.
local companions = {
  initiated = { type = "qr_generated", data = { qrCodeGenerated = true } },
  open = { type = "status_update", data = { previousStatus = "pending", newStatus = "in_progress" } },
  paid = { type = "payment_update", data = { previousStatus = "pending", newStatus = "paid" } },
}

---@class sync.server.Simulation
local Simulation = {}
Simulation.__index = Simulation

---Begin a walk; events come with each `step`, and by themselves after `start`.
---@param publish fun(spec: table)
---@param options {orders: integer, seed: integer} `orders`: how many are on their way at any moment
---@param timestamp nil|fun(): string the time, for `createdAt` of the orders; without it they say nothing about that
---@return sync.server.Simulation
function simulate.new(publish, options, timestamp)
  local state = options.seed % 2147483646 + 1 -- 0 would stay 0
  local self = setmetatable({
    publish = publish, timestamp = timestamp, state = state, created = 0, walking = {},
  }, Simulation)
  for slot = 1, options.orders do self.walking[slot] = false end
  return self
end

-- Park and Miller's generator: its products stay below 2^53, so that every Lua counts alike.
function Simulation:random(limit)
  self.state = self.state * 16807 % 2147483647
  return self.state % limit + 1
end

function Simulation:create(slot)
  self.created = self.created + 1
  local order = {
    orderID = ("ORDER-%03d"):format(self.created), orderStage = "empty", totalAmount = self:random(9900) + 99,
    createdAt = self.timestamp and self.timestamp(),
  }
  self.walking[slot] = order
  self.publish { type = "order_created", order_id = order.orderID, data = { order = order } }
end

function Simulation:advance(order)
  local previous = order.orderStage
  order.orderStage = stages[rank[previous] + 1]
  self.publish {
    type = "stage_change", order_id = order.orderID,
    data = { previousStage = previous, newStage = order.orderStage, order = order },
  }
  local companion = companions[order.orderStage]
  if companion then self.publish { type = companion.type, order_id = order.orderID, data = companion.data } end
end

---Move one order on: create it, take it to its next stage, or, when it is paid, delete it and make room for a new one.
function Simulation:step()
  local slot = self:random(#self.walking)
  local order = self.walking[slot]
  if not order then return self:create(slot) end
  if order.orderStage ~= "paid" then return self:advance(order) end
  self.publish { type = "order_deleted", order_id = order.orderID }
  self:create(slot)
end

---Step by itself.
---@param uv table luv
---@param interval_ms integer
function Simulation:start(uv, interval_ms)
  self.uv, self.timer = uv, uv.new_timer()
  uv.timer_start(self.timer, interval_ms, interval_ms, function() self:step() end)
end

---Stop stepping by itself.
function Simulation:stop()
  if self.timer then self.uv.close(self.timer) end
  self.timer = nil
end

return simulate
