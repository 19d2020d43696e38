--- Before the network is there, and without it: the order book and the history of the day before, marked stale.

local shop = require "spec.support.shop"

local place

before_each(function() place = shop.new() end)
after_each(function() place:close() end)

-- The day before: three orders, of which one is paid and one deleted.
local function day_before(options)
  local mock = place:open(options)
  mock:snapshot {
    { orderID = "A", orderStage = "open", totalAmount = 12.5 }, { orderID = "B", orderStage = "open" },
    { orderID = "C", orderStage = "billed" },
  }
  mock:advance()
  mock:emit { type = "stage_change", order_id = "A", data = { previousStage = "open", newStage = "paid" }, id = "1" }
  mock:emit { type = "order_deleted", order_id = "B", id = "2" }
  mock:close()
end

local WITH_SNAPSHOT = { polling = { url = "/api/v1/orders" } }

local function cold(options)
  local complete = { auto_connect = false }
  for name, value in pairs(options or {}) do complete[name] = value end
  return place:open(complete)
end

describe("a client that has not been connected", function()
  it("knows the orders, and says that they may be old", function()
    day_before(WITH_SNAPSHOT)
    local client = cold().client
    local stages = {}
    for _, order in ipairs(client:orders()) do
      stages[order.orderID] = order.orderStage
      assert.is_true(order.stale)
    end
    assert.same({ A = "paid", C = "billed" }, stages)
    local order = client:order "A"
    assert.same({ 12.5, "stream", true }, { order.totalAmount, order.source, order.stale })
    assert.is_nil(client:order "B")
    assert.is_true(client:health().stale)
    assert.is_true(client:health().journal.ok)
  end)

  it("knows the latest events, and what was said of them", function()
    day_before()
    local client = cold().client
    local events = client:events()
    assert.same({ "stage_change", "order_deleted" }, { events[1].type, events[2].type })
    assert.equal("paid", events[1].new_stage)
    assert.is_false(events[1].redelivered)
    assert.equal("A", client:latest({ order_id = "A" }).order_id)
    assert.equal(0, client:metrics().total_events)
    assert.equal(2, client:metrics().lifetime.events)
  end)

  it("is no longer stale once it is connected", function()
    day_before()
    local mock = cold()
    assert.is_true(mock.client:order("A").stale)
    mock.client:connect()
    mock:advance()
    assert.is_false(mock.client:order("A").stale)
    assert.equal("2", mock.requests[1].last_event_id)
  end)

  it("watches over orders that were in a stage already", function()
    day_before(WITH_SNAPSHOT)
    local mock = cold()
    local overdue
    mock.client:on_overdue({ stage = "billed", after_ms = 1000 }, function(order_id) overdue = order_id end)
    mock:advance(1000)
    assert.equal("C", overdue)
  end)
end)
