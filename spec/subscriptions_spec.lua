--- Subscriptions: who gets which event, in which order, and what a subscription knows.

local world = require "spec.support.world"

after_each(world.close)

-- A server and a client that is connected to it.
local function pair(options)
  local server = world.server()
  local client, seen = world.connect(server, options)
  world.await_state(client)
  return server, client, seen
end

-- Publish events given as {type, order_id, data} and await that the client has handled them.
local function publish(server, client, ...)
  local is_last
  local sentinel = client:on_event("sentinel", function() is_last = true end)
  for _, each in ipairs { ... } do
    server:publish { type = each[1], order_id = each[2], data = each[3] }
  end
  server:publish { type = "sentinel" }
  world.await(function() return is_last end)
  sentinel:cancel()
end

-- A handler that notes the order ids it is called with, and the list of them.
local function noting()
  local noted = {}
  return noted, function(event) noted[#noted + 1] = event.order_id or event.type end
end

describe("client:subscribe", function()
  it("gets every order event, in order", function()
    local server, client = pair()
    local noted, note = noting()
    client:subscribe(note, { event_types = { "a", "b", "c" } })
    local all, note_all = noting()
    client:subscribe(note_all)
    publish(server, client, { "a", "1" }, { "b", "2" }, { "c" }, { "a", "3" })
    assert.same({ "1", "2", "c", "3" }, noted)
    assert.same({ "1", "2", "c", "3", "sentinel" }, all)
  end)

  it("takes a filter: order ids, types, both", function()
    local server, client = pair()
    local by_order, note_order = noting()
    local by_type, note_type = noting()
    local by_both, note_both = noting()
    client:subscribe(note_order, { order_id = { "1", "3" } })
    client:subscribe(note_type, { event_types = "b" })
    client:subscribe(note_both, { order_id = "3", event_types = { "a", "b" } })
    publish(server, client, { "a", "1" }, { "b", "2" }, { "a", "3" }, { "c", "3" }, { "b", "3" })
    assert.same({ "1", "3", "3", "3" }, by_order)
    assert.same({ "2", "3" }, by_type)
    assert.same({ "3", "3" }, by_both)
  end)

  it("takes a predicate, which counts nothing that it refuses", function()
    local server, client = pair()
    local noted, note = noting()
    local sub = client:subscribe(note, { event_types = "a", where = function(event) return event.data.total > 10 end })
    publish(server, client, { "a", "1", { total = 5 } }, { "a", "2", { total = 50 } }, { "b", "3", { total = 50 } })
    assert.same({ "2" }, noted)
    assert.equal(1, sub.delivered)
  end)

  it("raises for misuse in the name of its caller", function()
    local client = world.connect(world.black_hole())
    local function misuse(...)
      local arguments = { ... }
      local ok, message = pcall(function() client:subscribe(arguments[1], arguments[2]) end)
      assert.is_false(ok)
      return (message:match("^spec/subscriptions_spec%.lua:%d+: (.*)$"))
    end
    assert.equal("client:subscribe: expected a function, got nil", misuse())
    assert.matches("^client:subscribe: filter: expected a table", misuse(print, "A"))
    assert.equal("client:subscribe: filter.order_ID: unknown (did you mean 'order_id'?)", misuse(print, { order_ID = "A" }))
    assert.matches("^client:subscribe: filter.order_id: expected a string or a list", misuse(print, { order_id = 7 }))
    assert.matches("^client:subscribe: filter.order_id: expected strings", misuse(print, { order_id = { "A", 7 } }))
    assert.matches("^client:subscribe: filter.event_types: expected strings", misuse(print, { event_types = "" }))
    assert.matches("^client:subscribe: filter.where: expected a function", misuse(print, { where = true }))
    assert.matches("^client:subscribe: filter.limit: expected a number", misuse(print, { limit = "1" }))
    assert.matches("^client:subscribe: filter.since: expected a number", misuse(print, { since = -1 }))
  end)

  it("on a closed client gives CLOSED", function()
    local client = world.connect(world.black_hole())
    client:close()
    local sub, message, code = client:subscribe(print)
    assert.is_nil(sub)
    assert.equal("CLOSED", code)
    assert.matches("^CLOSED: ", message)
  end)
end)

describe("client:on_order", function()
  it("gets the events of one order, of several, or of any", function()
    local server, client = pair()
    local one, note_one = noting()
    local several, note_several = noting()
    local any, note_any = noting()
    client:on_order("2", note_one)
    client:on_order({ "1", "3" }, note_several)
    client:on_order("*", note_any)
    publish(server, client, { "a", "1" }, { "a", "2" }, { "b", "3" }, { "b", "4" })
    assert.same({ "2" }, one)
    assert.same({ "1", "3" }, several)
    assert.same({ "1", "2", "3", "4", "sentinel" }, any)
  end)

  it("matches ids byte for byte", function()
    local server, client = pair()
    local noted, note = noting()
    client:on_order({ "é", "a%", "ORDER-1", "x\0y" }, note)
    publish(server, client, { "a", "é" }, { "a", "a%" }, { "a", "order-1" }, { "a", "ORDER-10" }, { "a", "x\0y" }, { "a", "x" })
    assert.same({ "é", "a%", "x\0y" }, noted)
  end)

  it("raises without an id or a function", function()
    local client = world.connect(world.black_hole())
    assert.error_matches(function() client:on_order(nil, print) end, "client:on_order: expected an order id")
    assert.error_matches(function() client:on_order("A") end, "client:on_order: expected a function, got nil")
    assert.error_matches(function() client:on_order({}, print) end, "client:on_order: .*order_id")
  end)
end)

describe("client:on_event", function()
  it("gets one type, several, or any", function()
    local server, client = pair()
    local one, note_one = noting()
    local several, note_several = noting()
    local any, note_any = noting()
    client:on_event("b", note_one)
    client:on_event({ "a", "c" }, note_several)
    client:on_event("*", note_any)
    publish(server, client, { "a", "1" }, { "b", "2" }, { "c", "3" }, { "d", "4" })
    assert.same({ "2" }, one)
    assert.same({ "1", "3" }, several)
    assert.same({ "1", "2", "3", "4", "sentinel" }, any)
  end)

  it("alone hears connected and heartbeat, and only by their names (C10)", function()
    local server = world.server()
    local client = world.connect(server)
    local named, rest = {}, {}
    client:on_event({ "connected", "heartbeat" }, function(event) named[#named + 1] = event.type end)
    client:on_event("*", function(event) rest[#rest + 1] = event.type end)
    client:on_order("*", function(event) rest[#rest + 1] = event.type end)
    client:subscribe(function(event) rest[#rest + 1] = event.type end)
    world.await(function() return #named == 1 end)
    server:heartbeat()
    world.await(function() return #named == 2 end)
    assert.same({ "connected", "heartbeat" }, named)
    assert.same({}, rest)
    assert.equal(1, client:metrics().heartbeats)
    assert.equal(0, client:metrics().total_events)
  end)

  it("reads what connected and heartbeat say", function()
    local server = world.server()
    local client = world.connect(server)
    local connected, heartbeat
    client:on_event("connected", function(event) connected = event end)
    client:on_event("heartbeat", function(event) heartbeat = event end)
    world.await(function() return connected end)
    server:heartbeat()
    world.await(function() return heartbeat end)
    assert.matches("^client_%d+_%w+$", connected.data.clientId)
    assert.equal(1, heartbeat.data.activeConnections)
    assert.equal(heartbeat.timestamp, heartbeat.data.timestamp)
  end)
end)

describe("client:on_stage_change", function()
  it("gets event, previous and new stage of both names of a stage change", function()
    local server, client = pair()
    local changes = {}
    client:on_stage_change("*", function(event, previous, new)
      changes[#changes + 1] = { event.type, event.order_id, previous, new }
    end)
    publish(server, client,
      { "stage_change", "1", { previousStage = "open", newStage = "billed" } },
      { "payment_update", "1", { previousStage = "x", newStage = "y" } },
      { "order_stage_change", "2", { previous_stage = "billed", new_stage = "paid" } },
      { "stage_change", "3", { newStage = "initiated" } })
    assert.same({
      { "stage_change", "1", "open", "billed" }, { "order_stage_change", "2", "billed", "paid" },
      { "stage_change", "3", nil, "initiated" },
    }, changes)
  end)

  it("gets those of one order only", function()
    local server, client = pair()
    local noted, note = noting()
    client:on_stage_change("2", note)
    client:on_stage_change({ "3", "4" }, note)
    publish(server, client, { "stage_change", "1" }, { "stage_change", "2" }, { "a", "2" }, { "stage_change", "4" })
    assert.same({ "2", "4" }, noted)
  end)
end)

describe("delivery", function()
  it("goes to the oldest subscription first, whatever it asked for", function()
    local server, client = pair()
    local calls = {}
    local function called(name)
      return function(event) calls[#calls + 1] = event.order_id .. name end
    end
    client:on_event("a", called "-type")
    client:on_order("2", called "-order")
    client:subscribe(called "-all", { where = function(event) return event.order_id end })
    client:on_order({ "1", "2" }, called "-orders")
    client:subscribe(called "-both", { order_id = "2", event_types = "a" })
    publish(server, client, { "a", "1" }, { "a", "2" })
    assert.same({
      "1-type", "1-all", "1-orders", "2-type", "2-order", "2-all", "2-orders", "2-both",
    }, calls)
  end)

  it("gives all handlers of an event the same table", function()
    local server, client = pair()
    local first, second
    client:on_order("1", function(event) first, event.note = event, "seen" end)
    client:on_event("a", function(event) second = event end)
    publish(server, client, { "a", "1" })
    assert.equal(first, second)
    assert.equal("seen", second.note)
  end)

  it("reaches a subscription once, even if its lists meet the event twice", function()
    local server, client = pair()
    local noted, note = noting()
    client:on_order({ "1", "1", "2" }, note)
    client:subscribe(note, { order_id = { "1" }, event_types = { "a", "a" } })
    publish(server, client, { "a", "1" })
    assert.same({ "1", "1" }, noted)
  end)

  it("does not bring the event under way to a subscription made by its handler", function()
    local server, client = pair()
    local late, note = noting()
    local is_made
    client:on_order("*", function()
      if not is_made then client:on_order("*", note) end
      is_made = true
    end)
    publish(server, client, { "a", "1" }, { "a", "2" })
    assert.same({ "2", "sentinel" }, late)
  end)

  it("finds one order among ten thousand subscriptions", function()
    local server, client = pair()
    local noted, note = noting()
    local subs = {}
    for number = 1, 10000 do subs[number] = client:on_order("ORDER-" .. number, note) end
    publish(server, client, { "a", "ORDER-5000" }, { "a", "ORDER-10001" }, { "a", "ORDER-1" }, { "a", "ORDER-10000" })
    assert.same({ "ORDER-5000", "ORDER-1", "ORDER-10000" }, noted)
    assert.equal(1, subs[5000].delivered)
    assert.equal(0, subs[5001].delivered)
    for number = 1, 10000, 2 do subs[number]:cancel() end
    publish(server, client, { "a", "ORDER-1" }, { "a", "ORDER-2" })
    assert.same({ "ORDER-5000", "ORDER-1", "ORDER-10000", "ORDER-2" }, noted)
  end)
end)

describe("a subscription", function()
  it("ends by cancel() or by being called; again does nothing", function()
    local server, client = pair()
    local noted, note = noting()
    local other, note_other = noting()
    local first, second = client:on_order("1", note), client:on_order("1", note_other)
    publish(server, client, { "a", "1" })
    first:cancel()
    first:cancel()
    second()
    second()
    publish(server, client, { "a", "1" })
    assert.same({ "1" }, noted)
    assert.same({ "1" }, other)
    assert.matches("1 delivered", tostring(first))
  end)

  it("may end inside its own handler (C09)", function()
    local server, client, seen = pair()
    local calls, after = 0, 0
    local sub
    sub = client:on_order("*", function()
      calls = calls + 1
      sub:cancel()
    end)
    client:on_order("1", function() after = after + 1 end)
    publish(server, client, { "a", "1" }, { "a", "1" })
    assert.equal(1, calls)
    assert.equal(2, after)
    assert.equal(1, sub.delivered)
    assert.same({}, seen.codes)
  end)

  it("gets nothing more once another handler has ended it, the event under way included", function()
    local server, client, seen = pair()
    local noted, note = noting()
    local later
    client:on_order("1", function() later:cancel() end)
    later = client:on_order("1", note)
    local last, note_last = noting()
    client:on_order("1", note_last)
    publish(server, client, { "a", "1" }, { "a", "1" })
    assert.same({}, noted)
    assert.same({ "1", "1" }, last)
    assert.same({}, seen.codes)
  end)

  it("may end after its client", function()
    local client = world.connect(world.black_hole())
    local sub = client:subscribe(print)
    client:close()
    sub:cancel()
    sub()
    assert.same({}, sub:events())
    assert.is_nil(sub:latest())
  end)

  it("counts what it got", function()
    local server, client = pair()
    local sub = client:on_order({ "1", "2" }, function() end)
    assert.equal(0, sub.delivered)
    publish(server, client, { "a", "1" }, { "a", "2" }, { "a", "3" })
    assert.equal(2, sub.delivered)
  end)
end)
