--- client:optimistic: what a program expects, laid over what the book knows, until the server says something new.

local world = require "spec.support.world"

after_each(world.close)

local client, server

local function tell(order_id, stage, second)
  local due = client:health().total_events + 1
  server:publish {
    type = "stage_change", order_id = order_id, data = { newStage = stage },
    timestamp = ("2026-11-22T10:00:%02d.000Z"):format(second),
  }
  world.await(function() return client:health().total_events == due end)
end

before_each(function()
  server = world.server()
  client = world.connect(server)
  world.await_state(client)
  tell("A", "open", 1)
end)

describe("optimistic", function()
  it("shows the patch at once, over what is known", function()
    local promise = client:optimistic("A", { orderStage = "billed", note = "at table 4" })
    local order = client:order("A")
    assert.same({ "billed", "at table 4", true }, { order.orderStage, order.note, order.optimistic })
    assert.equal("stream", order.source)
    assert.equal("pending", promise.state)
    assert.is_nil(client:order("B"))
  end)

  it("shows an order that nobody else knows", function()
    client:optimistic("NEW", { orderStage = "initiated" })
    local order = client:order("NEW")
    assert.same({ "NEW", "initiated", "optimistic", true }, {
      order.orderID, order.orderStage, order.source, order.optimistic,
    })
  end)

  it("counts in client:orders", function()
    client:optimistic("A", { orderStage = "billed" })
    assert.equal(1, #client:orders { stage = "billed" })
    assert.equal(0, #client:orders { stage = "open" })
  end)

  it("rollback shows what the server said last", function()
    local promise = client:optimistic("A", { orderStage = "billed" })
    promise:rollback()
    local order = client:order("A")
    assert.equal("open", order.orderStage)
    assert.is_nil(order.optimistic)
    assert.equal("rolled_back", promise.state)
    promise:commit()
    assert.equal("rolled_back", promise.state)
    promise:rollback()
  end)

  it("commit goes on showing it until the server speaks", function()
    local promise = client:optimistic("A", { orderStage = "billed" })
    promise:commit()
    assert.equal("committed", promise.state)
    assert.equal("billed", client:order("A").orderStage)
    tell("A", "paid", 2)
    assert.equal("paid", client:order("A").orderStage)
    world.await(function() return promise.state == "settled" end)
  end)

  it("ends with the server's word about that order, and no other", function()
    local mine = client:optimistic("A", { orderStage = "billed" })
    local other = client:optimistic("B", { orderStage = "billed" })
    tell("A", "paid", 2)
    world.await(function() return mine.state == "settled" end)
    assert.equal("paid", client:order("A").orderStage)
    assert.is_nil(client:order("A").optimistic)
    assert.equal("pending", other.state)
    assert.equal("billed", client:order("B").orderStage)
    mine:rollback()
    assert.equal("settled", mine.state)
  end)

  it("lies over others, the latest on top, and each can be taken away", function()
    local first = client:optimistic("A", { orderStage = "billed", note = "first" })
    local second = client:optimistic("A", { note = "second" })
    assert.same({ "billed", "second" }, { client:order("A").orderStage, client:order("A").note })
    first:rollback()
    assert.same({ "open", "second" }, { client:order("A").orderStage, client:order("A").note })
    second:rollback()
    assert.is_nil(client:order("A").note)
  end)

  it("keeps its own copy of the patch", function()
    local patch = { orderStage = "billed" }
    client:optimistic("A", patch)
    patch.orderStage = "paid"
    assert.equal("billed", client:order("A").orderStage)
  end)

  it("raises for what cannot be meant, and says when the client is closed", function()
    assert.error_matches(function() client:optimistic(1, {}) end, "client:optimistic: expected an order id, got a number")
    assert.error_matches(function() client:optimistic("A") end, "client:optimistic: expected a table, got a nil")
    local promise = client:optimistic("A", { orderStage = "billed" })
    client:close()
    promise:rollback()
    assert.equal("rolled_back", promise.state)
    assert.equal("CLOSED", (select(3, client:optimistic("A", {}))))
  end)
end)
