--- Mode `compare` over real sockets: the stream and the polls of a client come from two servers, so that each can say what
-- the other does not. How differences are told from changes in flight: spec/drift_spec.lua.

local world = require "spec.support.world"

-- Polls come as fast as they can, and events have hardly any time to be late.
local SETTLE_MS = 5

local streaming, polled, client, seen

-- One server for both where nothing is said.
local function connect(options)
  local complete = {
    mode = "compare", polling = { url = polled.url .. "/api/v1/orders", interval_ms = 1 },
    compare = { settle_ms = SETTLE_MS },
  }
  for name, value in pairs(options or {}) do complete[name] = value end
  client, seen = world.connect(streaming, complete)
end

local function both(event)
  streaming:publish(event)
  if polled ~= streaming then polled:publish(event) end
end

local function created(id, order)
  return { type = "order_created", order_id = id, data = { order = order } }
end

local function staged(id, stage)
  return { type = "stage_change", order_id = id, data = { newStage = stage } }
end

local function await_count(name, count)
  world.await(function() return client:drift()[name] >= count end)
end

-- Whatever was said before is in the comparison when these polls are.
local function await_polls(count)
  await_count("polls", client:drift().polls + count)
end

local function await_difference()
  await_count("differences", 1)
  return client:drift().recent[1]
end

-- Both servers have order A, open.
local function begin_with_order(options)
  connect(options)
  await_count("baselines", 1)
  both(created("A", { orderStage = "open", version = 5 }))
  await_polls(2)
  assert.equal(0, client:drift().differences)
end

before_each(function()
  streaming, polled = world.server(), world.server()
end)

after_each(world.close)

describe("a difference between stream and polls is found:", function()
  before_each(function() begin_with_order() end)

  it("an order that the stream never told of", function()
    polled:publish(created("B", {}))
    local found = await_difference()
    assert.equal("missing_in_stream", found.class)
    assert.equal("B", found.order_id)
    assert.is_true(found.stood_ms >= SETTLE_MS)
    assert.same({ "B" }, client:drift().classes.missing_in_stream.orders)
  end)

  it("an order that polls do not list", function()
    streaming:publish(created("B", {}))
    local found = await_difference()
    assert.equal("missing_in_poll", found.class)
    assert.equal("B", found.order_id)
  end)

  it("an order that only polls know to be gone", function()
    polled:publish { type = "order_deleted", order_id = "A", data = {} }
    local found = await_difference()
    assert.equal("missing_in_poll", found.class)
    assert.equal("A", found.order_id)
  end)

  it("a stage that only the stream has", function()
    streaming:publish(staged("A", "billed"))
    local found = await_difference()
    assert.equal("stage_differs", found.class)
    assert.same({ orderStage = { stream = "billed", poll = "open" } }, found.fields)
  end)

  it("a stage that only polls have", function()
    polled:publish(staged("A", "billed"))
    local found = await_difference()
    assert.equal("stage_differs", found.class)
    assert.same({ orderStage = { stream = "open", poll = "billed" } }, found.fields)
  end)

  it("a field that differs", function()
    streaming:publish { type = "payment_update", order_id = "A", data = { newStatus = "paid" } }
    polled:publish { type = "payment_update", order_id = "A", data = { newStatus = "failed" } }
    local found = await_difference()
    assert.equal("field_differs", found.class)
    assert.same({ paymentStatus = { stream = "paid", poll = "failed" } }, found.fields)
    assert.same({ paymentStatus = 1 }, client:drift().classes.field_differs.fields)
  end)

  it("a version that goes back in the stream", function()
    streaming:publish(created("A", { version = 4 }))
    local found = await_difference()
    assert.equal("version_goes_back", found.class)
    assert.equal("stream", found.source)
    assert.equal(5, found.from)
    assert.equal(4, found.to)
  end)

  it("a version that goes back in polls", function()
    polled:publish(created("A", { version = 4 }))
    local found = await_difference()
    assert.equal("version_goes_back", found.class)
    assert.equal("poll", found.source)
    assert.equal(5, found.from)
    assert.equal(4, found.to)
  end)
end)

describe("versions", function()
  it("are times where orders have no number", function()
    connect()
    both(created("A", {}))
    await_count("polls", 1)
    streaming:publish(created("A", { updatedAt = "2026-01-01T10:00:00.5Z" }))
    streaming:publish(created("A", { updatedAt = "2026-01-01T12:00:00+02:00" })) -- half a second earlier
    assert.equal("version_goes_back", await_difference().class)
  end)
end)

describe("without a fault there is no difference", function()
  it("however fast the orders change", function()
    polled = streaming
    connect { compare = { settle_ms = 1000 } }
    await_count("baselines", 1)
    local stages, payments, round = { "open", "billed", "paid" }, { "pending", "paid" }, 0
    world.await(function()
      round = round + 1
      local id = ("ORDER-%d"):format(round % 7)
      streaming:publish(staged(id, stages[round % 3 + 1]))
      streaming:publish { type = "payment_update", order_id = id, data = { newStatus = payments[round % 2 + 1] } }
      if round % 50 == 0 then streaming:publish { type = "order_deleted", order_id = id, data = {} } end
      world.turn()
      return client:drift().polls >= 200
    end)
    local report = client:drift()
    assert.same({}, report.recent)
    assert.is_true(report.events > 200)
    assert.is_true(report.lead_ms.samples > 0)
  end)

  it("when a poll is ahead of the stream, which then tells the same", function()
    begin_with_order { compare = { settle_ms = 60000 } }
    local events = world.collect(client, { order_id = "A" })
    local before = client:drift()
    polled:publish(staged("A", "billed"))
    world.await(function() return events[1] end)
    assert.equal("poll", events[1].source)
    await_polls(3) -- some milliseconds: a lead of none counts for the stream
    streaming:publish(staged("A", "billed"))
    await_count("settled", before.settled + 1)
    assert.equal(before.poll_first + 1, client:drift().poll_first)
    assert.equal(0, client:drift().differences)
    assert.equal(1, #events) -- the stream's word is no news, and is compared all the same
  end)

  it("when a poll fails", function()
    local answers = 0
    begin_with_order { polling = { interval_ms = 1, fetch = function()
      answers = answers + 1
      if answers == 1 or answers > 20 then return polled.orders:snapshot() end
      if answers % 2 == 0 then return nil, "the till is off" end
      return polled.orders:snapshot()
    end }, stream_retry_interval_ms = 1 }
    await_count("failed_polls", 3)
    await_polls(2)
    assert.equal(0, client:drift().differences)
    assert.equal("POLL_FAILED", seen.codes[1])
  end)

  it("when the stream broke off and replays what was missed", function()
    begin_with_order()
    streaming:drop()
    both(staged("A", "billed"))
    world.await(function() return client:metrics().total_reconnects == 1 end)
    await_polls(5)
    assert.equal(0, client:drift().differences)
    assert.equal(1, client:drift().baselines)
  end)

  it("when it broke off and does not: the next poll says anew which orders there are", function()
    streaming = world.server { ids = false }
    begin_with_order()
    streaming:drop()
    both(staged("A", "billed"))
    both(created("B", {}))
    world.await(function() return client:metrics().total_reconnects == 1 end)
    await_count("baselines", 2)
    await_polls(5)
    assert.equal(0, client:drift().differences)
  end)

  it("when the server has ids and says that it cannot replay", function()
    streaming = world.server { replay_limit = 1 }
    begin_with_order()
    streaming:drop()
    for _, stage in ipairs { "open", "billed", "paid" } do both(staged("A", stage)) end
    both(created("B", {}))
    both(staged("B", "open"))
    world.await(function() return client:metrics().total_reconnects == 1 end)
    await_count("baselines", 2)
    await_polls(5)
    assert.equal(0, client:drift().differences)
  end)

  it("in a field that is not to be compared", function()
    begin_with_order { compare = { settle_ms = SETTLE_MS, ignore = { "paymentStatus" } } }
    polled:publish { type = "payment_update", order_id = "A", data = { newStatus = "paid" } }
    world.await(function() return client:order("A").paymentStatus == "paid" end)
    await_polls(20)
    assert.equal(0, client:drift().differences)
  end)

  it("in orders that the stream was asked not to tell of", function()
    begin_with_order { order_id = "A" }
    both(created("B", {}))
    both(staged("B", "billed"))
    world.await(function() return client:order("B") end)
    await_polls(20)
    assert.equal(0, client:drift().differences)
  end)
end)

describe("mode compare", function()
  it("runs both sources, and its state is the stream's", function()
    begin_with_order()
    world.await_state(client)
    assert.is_true(client:health().is_connected)
    assert.equal(1, client:metrics().poll_sessions)
    streaming:drop()
    world.await(function() return seen.states[#seen.states] == "polling_fallback" end)
    world.await_state(client)
  end)

  it("delivers what polls find as events", function()
    begin_with_order()
    local events = world.collect(client, { order_id = "B" })
    polled:publish(created("B", {}))
    world.await(function() return events[1] end)
    assert.equal("poll", events[1].source)
  end)

  it("asks for everything each time: \"nothing new\" lists no order", function()
    begin_with_order()
    for _, request in ipairs(polled.requests) do
      assert.is_nil(request.headers["if-none-match"])
      assert.is_nil(request.headers["if-modified-since"])
    end
    assert.equal(0, client:metrics().polls_unchanged)
  end)

  it("says how many polls brought nothing, and how far ahead the stream is", function()
    begin_with_order()
    local events = world.collect(client, { event_types = "stage_change" })
    local before = client:drift()
    streaming:publish(staged("A", "billed"))
    world.await(function() return events[1] end)
    polled:publish(staged("A", "billed"))
    await_count("stream_first", before.stream_first + 1)
    await_polls(2)
    local report = client:drift()
    assert.is_true(report.empty_polls >= before.empty_polls + 2)
    assert.is_true(report.lead_ms.p50 >= 0)
    assert.is_true(report.lead_ms.p99 >= report.lead_ms.p50)
  end)

  it("can be entered and left at run time; what was found stays", function()
    connect { mode = "stream" }
    local nothing, message, code = client:drift()
    assert.is_nil(nothing)
    assert.matches("^OPTION: nothing has been compared", message)
    assert.equal("OPTION", code)
    world.await_state(client)
    assert(client:configure { mode = "compare" })
    await_count("polls", 1)
    polled:publish(created("B", {}))
    await_difference()
    assert(client:configure { mode = "stream" })
    world.turn()
    local polls = client:metrics().polls
    streaming:publish(staged("A", "open"))
    world.await(function() return client:order("A") end)
    assert.equal(polls, client:metrics().polls)
    assert.equal(1, client:drift().differences)
    local _, doubts = client:ready_to_switch { hours = 0, events = 0 }
    assert.equal("the stream is not open", doubts[#doubts])
    client:close()
    assert.equal(1, client:drift().differences)
  end)

  local function refused(options)
    local complete = { url = streaming.url, mode = "compare", auto_connect = false }
    for name, value in pairs(options) do complete[name] = value end
    local made, message, code = require("sync").connect(complete)
    assert.is_nil(made)
    assert.equal("OPTION", code)
    return message
  end

  it("needs something to poll that lists every order, and an order book", function()
    local polling = { url = "/api/v1/orders" }
    assert.matches("^OPTION: mode: compare needs something to poll: give polling.url or polling.fetch", refused {})
    assert.matches("compare needs polls that list every order", refused {
      polling = { url = "/api/v1/orders", partial = true },
    })
    assert.matches("compare needs an order book", refused { polling = polling, book_limit = 0 })
    assert.matches("compare needs an order book", refused { polling = polling, decode = "json" })
  end)
end)

describe("client:ready_to_switch", function()
  it("says why not, and then yes", function()
    begin_with_order()
    local ready, doubts = client:ready_to_switch { hours = 0, events = 3 }
    assert.is_false(ready)
    assert.same({ "compared without a difference for 1 of 3 events" }, doubts)
    for _, stage in ipairs { "billed", "paid" } do both(staged("A", stage)) end
    await_count("events", 3)
    assert.is_true((client:ready_to_switch { hours = 0, events = 3 }))
  end)

  it("begins anew after a difference, and names it", function()
    begin_with_order()
    polled:publish(created("B", {}))
    await_difference()
    local ready, doubts = client:ready_to_switch { hours = 0, events = 1 }
    assert.is_false(ready)
    assert.same({
      "compared without a difference for 0 of 1 events", "differences so far: missing_in_stream 1 (latest B)",
    }, doubts)
    both(staged("A", "billed"))
    await_count("clean_events", 1)
    assert.is_true((client:ready_to_switch { hours = 0, events = 1 }))
  end)

  it("asks for a day and a thousand events, and raises for what cannot be meant", function()
    begin_with_order()
    local _, doubts = client:ready_to_switch()
    assert.same({
      "compared without a difference for 0.0 of 24 hours", "compared without a difference for 1 of 1000 events",
    }, doubts)
    assert.has_error(function() client:ready_to_switch { days = 1 } end)
    local _, message = pcall(client.ready_to_switch, client, { hours = -1 })
    assert.matches("client:ready_to_switch.hours: expected a number", message, 1, true)
  end)
end)
