--- client:ack, ack_all and unacknowledged: what has been dealt with, among the events of the history.

local world = require "spec.support.world"

after_each(world.close)

local client, server

-- A client with events 1 to `count`.
local function connect(count, options)
  server = world.server()
  client = world.connect(server, options)
  world.await_state(client)
  world.publish(server, 1, count)
  world.await(function() return client:health().total_events == count end)
end

local function numbers(events)
  local list = {}
  for index, event in ipairs(events) do list[index] = event.data.number end
  return list
end

describe("acknowledgement", function()
  it("begins with nothing acknowledged", function()
    connect(3)
    assert.same({ 1, 2, 3 }, numbers(client:unacknowledged()))
    for _, event in ipairs(client:events()) do assert.is_false(event.acknowledged) end
  end)

  it("of one event is known to the history", function()
    connect(3)
    assert.is_true(client:ack(client:events()[2]))
    assert.same({ 1, 3 }, numbers(client:unacknowledged()))
    local flags = {}
    for index, event in ipairs(client:events()) do flags[index] = event.acknowledged end
    assert.same({ false, true, false }, flags)
    assert.is_false(client:ack(client:events()[2]))
  end)

  it("takes the event that a handler got, and its plain copy", function()
    connect(0)
    local kept
    client:subscribe(function(event)
      client:ack(event)
      kept = event
    end)
    world.publish(server, 1, 1)
    world.await(function() return kept end)
    assert.is_true(kept.acknowledged)
    assert.same({}, client:unacknowledged())
    world.publish(server, 2, 2)
    world.await(function() return kept.data.number == 2 end)
    assert.is_false(client:ack(kept:plain()))
  end)

  it("of all counts those that were not", function()
    connect(4)
    client:ack(client:latest())
    assert.equal(3, client:ack_all())
    assert.equal(0, client:ack_all())
    assert.same({}, client:unacknowledged())
  end)

  it("follows a filter", function()
    connect(4)
    assert.same({ 3, 4 }, numbers(client:unacknowledged { limit = 2 }))
    assert.same({ 2 }, numbers(client:unacknowledged { order_id = "ORDER-2" }))
    assert.same({}, client:unacknowledged { event_types = "payment_update" })
    assert.equal(4, #client:unacknowledged { since = client:events()[1].received_at })
    assert.same({}, client:unacknowledged { since = client:latest().received_at + 60000 })
    assert.equal(1, client:ack_all { order_id = { "ORDER-2", "ORDER-9" } })
    assert.equal(1, client:ack_all { limit = 1 })
    assert.same({ 1, 3 }, numbers(client:unacknowledged()))
    assert.equal(1, client:ack_all { where = function(event) return event.data.number == 3 end })
    assert.same({ 1 }, numbers(client:unacknowledged { limit = 1 }))
  end)

  it("forgets what the history has forgotten", function()
    connect(2000, { event_history_limit = 10, queue_limit = 5000 })
    local acknowledged = 0
    client:subscribe(function(event)
      client:ack(event)
      acknowledged = acknowledged + 1
    end)
    world.publish(server, 2001, 4000)
    world.await(function() return acknowledged == 2000 end)
    local kept = 0
    for _ in pairs(client.acknowledged) do kept = kept + 1 end
    assert.is_true(kept <= 10 + 256, kept)
    assert.same({}, client:unacknowledged())
  end)

  it("raises for what is no event, and says when the client is closed", function()
    connect(1)
    local event = client:latest()
    assert.error_matches(function() client:ack(1) end, "client:ack: expected an event")
    assert.error_matches(function() client:ack {} end, "client:ack: expected an event")
    assert.error_matches(function() client:ack_all { order = "A" } end, "client:ack_all: filter.order: unknown")
    assert.error_matches(function() client:unacknowledged { limit = -1 } end, "client:unacknowledged: filter.limit")
    client:close()
    assert.equal("CLOSED", (select(3, client:ack(event))))
    assert.equal("CLOSED", (select(3, client:ack_all())))
  end)
end)
