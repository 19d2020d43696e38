--- The history: the latest events, for whoever comes late.

local world = require "spec.support.world"

after_each(world.close)

local function numbers_of(events)
  local numbers = {}
  for index, event in ipairs(events) do numbers[index] = event.data.number end
  return numbers
end

-- A client that has heard stage changes 1 to `count`.
local function listening(count, options)
  local server = world.server()
  local client = world.connect(server, options)
  world.await_state(client)
  world.publish(server, 1, count)
  world.await(function() return client:metrics().total_events == count end)
  return client, server
end

describe("client:events", function()
  it("are the latest, oldest first, whether anybody subscribed or not", function()
    local client = listening(5, { event_history_limit = 3 })
    assert.same({ 3, 4, 5 }, numbers_of(client:events()))
    assert.equal(5, client:latest().data.number)
  end)

  it("can be filtered", function()
    local client, server = listening(6)
    assert.same({ 2 }, numbers_of(client:events { order_id = "ORDER-2" }))
    assert.same({ 1, 6 }, numbers_of(client:events { order_id = { "ORDER-6", "ORDER-1" } }))
    assert.same({}, client:events { event_types = "payment_update" })
    assert.same({ 5, 6 }, numbers_of(client:events { limit = 2 }))
    assert.same({}, client:events { limit = 0 })
    local function even(event) return event.data.number % 2 == 0 end
    assert.same({ 4, 6 }, numbers_of(client:events { where = even, limit = 2 }))
    local sixth = client:latest()
    server:publish { type = "stage_change", order_id = "LATER", data = { number = 7 } }
    world.await(function() return client:latest() ~= sixth and client:latest().order_id == "LATER" end)
    assert.same({ 7 }, numbers_of(client:events { order_id = "LATER", since = sixth.received_at }))
    assert.same({}, client:events { since = client:latest().received_at + 1 })
    assert.equal(3, client:latest({ order_id = "ORDER-3" }).data.number)
    assert.is_nil(client:latest { order_id = "nobody" })
  end)

  it("leave connected and heartbeat out", function()
    local client, server = listening(1)
    server:heartbeat()
    world.await(function() return client:metrics().heartbeats == 1 end)
    assert.same({ 1 }, numbers_of(client:events()))
  end)

  it("raise for a filter that is none", function()
    local client = world.connect(world.black_hole())
    assert.error_matches(function() client:events { type = "a" } end, "client:events: filter%.type: unknown")
    assert.error_matches(function() client:latest "A" end, "client:latest: filter: expected a table, got a string")
  end)

  it("are none once the client is closed", function()
    local client = listening(2)
    client:close()
    assert.same({}, client:events())
    assert.is_nil(client:latest())
  end)

  it("outlive the client in the hands of who has them", function()
    local client = listening(2)
    local events = client:events()
    client:close()
    client = nil -- luacheck: ignore
    collectgarbage()
    collectgarbage()
    assert.same({ 1, 2 }, numbers_of(events))
    assert.equal("billed", events[2].new_stage)
  end)

  it("follow a change of event_history_limit", function()
    local client, server = listening(5, { event_history_limit = 4 })
    assert.is_true(client:configure { event_history_limit = 2 })
    assert.same({ 4, 5 }, numbers_of(client:events()))
    assert.is_true(client:configure { event_history_limit = 3 })
    assert.same({ 4, 5 }, numbers_of(client:events()))
    world.publish(server, 6, 7)
    world.await(function() return client:metrics().total_events == 7 end)
    assert.same({ 5, 6, 7 }, numbers_of(client:events()))
  end)
end)

describe("a subscription's history", function()
  it("is that of its filter", function()
    local client = listening(4)
    local sub = client:on_order({ "ORDER-2", "ORDER-3" }, function() end)
    assert.same({ 2, 3 }, numbers_of(sub:events()))
    assert.equal(3, sub:latest().data.number)
    local none = client:on_event("payment_update", function() end)
    assert.same({}, none:events())
    assert.is_nil(none:latest())
  end)

  it("obeys its limit and predicate", function()
    local client = listening(4)
    local sub = client:subscribe(function() end, { limit = 2 })
    assert.same({ 3, 4 }, numbers_of(sub:events()))
    assert.equal(4, sub:latest().data.number)
    local odd = client:subscribe(function() end, { where = function(event) return event.data.number % 2 == 1 end })
    assert.same({ 1, 3 }, numbers_of(odd:events()))
  end)
end)
