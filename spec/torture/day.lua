--- A day of orders, made from a seed: who orders what, and what the server does to its clients meanwhile. It is a list of
-- beats; within a beat everything happens at once, and the next begins when the client has had all of it, or has died.

local dice = require "spec.support.dice"

local day = {}

local STAGES = { "empty", "initiated", "open", "billed", "paid" }
local TABLES = 4 -- an order each
local MOST_AT_ONCE = 5

-- What happens half-way through a beat. Each comes up in every day of nine beats.
local TROUBLES = { "again", "cut", "again", "rebirth", "again", "reset", "none", "clean", "again" }

---@class spec.torture.Beat
---@field trouble string "none"; "clean", "cut", "reset": how the server drops its streams; "again": it sends what it has
---  sent; "rebirth": it ends, and another one takes up its ring
---@field events table[] for the server's `publish`; `data.number` counts through the day

-- The whole order, as the server has it: so the book needs no snapshot.
local function order_of(walk, timestamp)
  return {
    orderID = walk.id, orderStage = STAGES[walk.stage], paymentStatus = walk.stage == #STAGES and "paid" or "pending",
    overallStatus = "pending", totalAmount = walk.amount, qrCodeGenerated = false, whatsappLinked = false,
    createdAt = walk.created_at, updatedAt = timestamp,
    customer = { name = 'Ünal "' .. walk.id .. '"', items = { 1, 2, { walk.amount } } },
  }
end

local function created(walk, timestamp)
  return { type = "order_created", data = { order = order_of(walk, timestamp) } }
end

local function advanced(walk, timestamp)
  local previous = STAGES[walk.stage]
  walk.stage = walk.stage + 1
  local data = { previousStage = previous, newStage = STAGES[walk.stage], order = order_of(walk, timestamp) }
  return { type = "stage_change", data = data }
end

-- What happens to an order that is at a table: it is taken down, it goes on to its next stage, it is cleared away.
local function move(walk, timestamp)
  if not walk.created_at then
    walk.created_at = timestamp
    return created(walk, timestamp)
  end
  if walk.stage < #STAGES then return advanced(walk, timestamp) end
  walk.gone = true
  return { type = "order_deleted", data = {} }
end

-- One thing after the other that happens in the shop.
local function make_shop(chance)
  local walks, orders = {}, 0
  return function(number)
    local at = chance:between(1, TABLES)
    if not walks[at] or walks[at].gone then
      orders = orders + 1
      walks[at] = { id = ("ORDER-%03d"):format(orders), stage = 1, amount = chance:between(100, 9999) }
    end
    local timestamp = ("2026-01-01T%02d:%02d:00.000Z"):format(8 + math.floor(number / 60), number % 60)
    local event = move(walks[at], timestamp)
    event.order_id, event.timestamp, event.data.number = walks[at].id, timestamp, number
    return event
  end
end

---A day. The same seed and count give the same one on every VM.
---@param seed integer
---@param count integer how many events, less than 16 hours of a minute each
---@return spec.torture.Beat[]
function day.new(seed, count)
  local chance = dice.new(seed)
  local happen, beats, number = make_shop(chance), {}, 0
  while number < count do
    local beat = { trouble = TROUBLES[#beats % #TROUBLES + 1], events = {} }
    for _ = 1, math.min(chance:between(1, MOST_AT_ONCE), count - number) do
      number = number + 1
      beat.events[#beat.events + 1] = happen(number)
    end
    beats[#beats + 1] = beat
  end
  return beats
end

return day
