--- The life of orders as a client watches over it: client:on_violation with its policies, and client:on_overdue, on
-- events that really arrive. What a violation is, is tested in stages_spec.lua; the policies in violations_spec.lua and
-- overdue_spec.lua, on a virtual clock.

local world = require "spec.support.world"

after_each(world.close)

local function at(second) return ("2026-11-22T10:00:%02d.000Z"):format(second) end

local function step(server, order_id, new, second, previous)
  server:publish {
    type = "stage_change", order_id = order_id, data = { newStage = new, previousStage = previous },
    timestamp = second and at(second),
  }
end

-- A connected client; what reaches handlers as "id previous>new", and violations as "kind previous>new action".
local function connect(options)
  local server = world.server()
  local client = world.connect(server, options)
  world.await_state(client)
  local events, told = {}, {}
  client:on_stage_change("*", function(event, previous, new)
    events[#events + 1] = ("%s %s>%s"):format(event.order_id, previous or "", new)
  end)
  client:on_violation(function(violation)
    told[#told + 1] = ("%s %s>%s %s"):format(violation.kind, violation.previous or "", violation.new, violation.action)
  end)
  return client, server, events, told
end

local function await_count(list, count)
  world.await(function() return #list >= count end)
  assert.equal(count, #list)
end

describe("on_violation", function()
  it("hears nothing of a life as declared", function()
    local _, server, events, told = connect()
    for second, new in ipairs { "initiated", "open", "billed", "paid" } do step(server, "A", new, second) end
    await_count(events, 4)
    assert.same({}, told)
  end)

  it("hears of skipped, late and impossible steps, which are delivered", function()
    local client, server, events, told = connect()
    local violation
    client:on_violation(function(given) violation = given end)
    step(server, "A", "initiated", 1)
    step(server, "A", "billed", 2)
    step(server, "A", "open", 3)
    step(server, "A", "gone", 4)
    await_count(events, 4)
    assert.same({
      "skipped initiated>billed delivered", "late billed>open delivered", "impossible open>gone delivered",
    }, told)
    assert.equal("A", violation.order_id)
    assert.equal("gone", violation.event.new_stage)
  end)

  it("names what was skipped", function()
    local client, server = connect()
    local missing
    client:on_violation(function(violation) missing = violation.missing end)
    step(server, "A", "initiated", 1)
    step(server, "A", "paid", 2)
    world.await(function() return missing end)
    assert.same({ "open", "billed" }, missing)
  end)

  it("can be cancelled, and one that raises harms nobody", function()
    local client, server, events, told = connect()
    local calls = 0
    local listener = client:on_violation(function()
      calls = calls + 1
      error("broken")
    end)
    step(server, "A", "initiated", 1)
    step(server, "A", "billed", 2)
    await_count(events, 2)
    listener:cancel()
    step(server, "A", "open", 3)
    await_count(events, 3)
    assert.equal(1, calls)
    assert.equal(2, #told)
    assert.equal(1, client:metrics().handler_errors)
  end)

  it("follows a declaration of the user's", function()
    local _, server, events, told = connect {
      stages = { initial = { "new" }, final = { "done" }, steps = { new = { "done" } } },
    }
    step(server, "A", "new", 1)
    step(server, "A", "done", 2)
    step(server, "A", "new", 3)
    await_count(events, 3)
    assert.same({ "late done>new delivered" }, told)
  end)
end)

describe("the policy", function()
  it("drop keeps an event from every handler and from next()", function()
    local client, server, events, told = connect { violations = { impossible = "drop" } }
    local all = world.collect(client)
    step(server, "A", "initiated", 1)
    step(server, "A", "gone", 2)
    step(server, "B", "initiated", 3)
    await_count(events, 2)
    assert.same({ "A >initiated", "B >initiated" }, events)
    assert.same({ "impossible initiated>gone dropped" }, told)
    assert.equal(2, #all)
  end)

  it("hold puts a step that was overtaken where it belongs, and what waits behind it", function()
    local client, server, events, told = connect { violations = { skipped = "hold", hold_ms = 60000 } }
    local types = {}
    client:subscribe(function(event) types[#types + 1] = event.type end)
    step(server, "A", "initiated", 1)
    step(server, "A", "billed", 3)
    server:publish { type = "payment_update", order_id = "A", data = { newStatus = "cash" }, timestamp = at(4) }
    step(server, "B", "initiated", 5)
    await_count(events, 2)
    step(server, "A", "open", 2)
    await_count(events, 4)
    assert.same({ "A >initiated", "B >initiated" }, { events[1], events[2] })
    assert.matches("^A .*>open$", events[3])
    assert.matches("^A .*>billed$", events[4])
    world.await(function() return #types == 5 end)
    assert.equal("payment_update", types[5])
    assert.same({}, told)
  end)

  it("hold ends after its time", function()
    local _, server, events, told = connect { violations = { skipped = "hold", hold_ms = 1 } }
    step(server, "A", "initiated", 1)
    step(server, "A", "billed", 2)
    await_count(events, 2)
    assert.same({ "skipped initiated>billed delivered" }, told)
  end)

  it("nothing that is held outlives the client", function()
    local client, server, events = connect { violations = { skipped = "hold", hold_ms = 86400000 } }
    step(server, "A", "initiated", 1)
    step(server, "A", "billed", 2)
    world.await(function() return client:health().total_events == 2 and client.gate.held == 1 end)
    client:close()
    world.turn()
    assert.is_true(world.is_at_rest())
    assert.same({ "A >initiated" }, events)
  end)

  it("snapshot asks, and hands the event on when the snapshot has it, too", function()
    local client, server, events, told = connect {
      violations = { impossible = "snapshot", hold_ms = 60000 }, polling = { url = "/api/v1/orders", interval_ms = 86400000 },
    }
    world.await(function() return client:metrics().polls == 1 end)
    step(server, "A", "initiated", 1)
    step(server, "A", "gone", 2)
    await_count(events, 2)
    assert.same({ "impossible initiated>gone asked" }, told)
    assert.is_true(client:metrics().polls >= 2)
  end)

  it("is checked", function()
    assert.error_matches(function() connect { violations = { skiped = "hold" } } end, "violations.skiped: unknown option")
    assert.error_matches(function() connect { stages = { initial = {} } } end, "stages.steps")
  end)
end)

describe("on_overdue", function()
  it("hears of an order that stays, once, and not of one that left", function()
    local client, server = connect()
    local told = {}
    client:on_overdue({ stage = "open", after_ms = 5 }, function(order_id, stage, since)
      told[#told + 1] = order_id .. " " .. stage
      assert.is_true(since <= client.loop:wall_ms())
    end)
    step(server, "A", "open")
    step(server, "B", "open")
    step(server, "B", "billed")
    world.await(function() return #told == 1 end)
    step(server, "C", "open")
    world.await(function() return #told == 2 end)
    assert.same({ "A open", "C open" }, told)
  end)

  it("knows those that the book knew", function()
    local client, server, events = connect()
    step(server, "A", "open")
    await_count(events, 1)
    local told
    client:on_overdue({ stage = "open", after_ms = 0 }, function(order_id) told = order_id end)
    world.await(function() return told end)
    assert.equal("A", told)
  end)

  it("learns of orders from the first snapshot, and of those that are created in the stage", function()
    local server = world.server()
    step(server, "A", "open")
    local client = world.connect(server, { polling = { url = "/api/v1/orders" } })
    local told = {}
    client:on_overdue({ stage = "open", after_ms = 1 }, function(order_id) told[#told + 1] = order_id end)
    world.await(function() return told[1] end)
    server:publish { type = "order_created", order_id = "B", data = { order = { orderStage = "open" } } }
    world.await(function() return told[2] end)
    assert.same({ "A", "B" }, told)
  end)

  it("tells its own client of a function that raises, and no other", function()
    local client, server = connect()
    local other = world.connect(server)
    client:on_overdue({ stage = "open", after_ms = 1 }, function() error "broken" end)
    step(server, "A", "open")
    world.await(function() return client:metrics().handler_errors == 1 end)
    assert.matches("^on_overdue: .*broken", client:health().handler_error.message)
    assert.equal(0, other:metrics().handler_errors)
  end)

  it("ends when it is cancelled, and with the client", function()
    local client, server, events = connect()
    local called = false
    local function call() called = true end
    local watch = client:on_overdue({ stage = "open", after_ms = 86400000 }, call)
    client:on_overdue({ stage = "open", after_ms = 86400000 }, call)
    step(server, "A", "open")
    await_count(events, 1)
    watch:cancel()
    client:close()
    world.turn()
    assert.is_true(world.is_at_rest())
    assert.is_false(called)
  end)

  it("is checked", function()
    local client = connect()
    assert.error_matches(function() client:on_overdue({ after_ms = 1 }, print) end, "stage: expected a string")
    assert.error_matches(function() client:on_overdue({ stage = "open" }, print) end, "after_ms: required")
    assert.error_matches(function() client:on_overdue({ stage = "open", after_ms = 1 }) end, "expected a function")
  end)
end)
