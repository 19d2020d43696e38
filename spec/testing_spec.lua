--- sync.testing: the real client against a server that the spec plays, in time that the spec lets pass.

local sync = require "sync"
local testing = require "sync.testing"
local world = require "spec.support.world"

local HOUR_MS = 60 * 60 * 1000

local mocks = {}

local function new(options)
  local mock = testing.new(options)
  mocks[#mocks + 1] = mock
  return mock
end

after_each(function()
  for _, mock in ipairs(mocks) do mock:close() end
  mocks = {}
  world.close()
end)

local function codes(mock)
  local list = {}
  for index, problem in ipairs(mock.errors) do list[index] = problem.code end
  return list
end

local function state(mock)
  return mock.client:health().state
end

-- The list that a handler of every order event fills: "type order_id".
local function heard(client)
  local list = {}
  client:subscribe(function(event) list[#list + 1] = event.type .. " " .. (event.order_id or "-") end)
  return list
end

-- A list of "milliseconds since the mock began: text".
local function diary(mock)
  local list, begun_at = {}, mock:now()
  return list, function(text) list[#list + 1] = ("%d: %s"):format(mock:now() - begun_at, text) end
end

describe("a mock's stream", function()
  it("is open as soon as the spec says anything", function()
    local mock = new()
    local states = {}
    mock.client:on_state(function(to) states[#states + 1] = to end)
    assert.equal("connecting", state(mock))
    mock:advance()
    assert.same({ "connecting", "connected" }, states)
    assert.equal(mock:now(), mock.client:health().last_connected_at)
  end)

  it("brings an event as the order server would have written it", function()
    local mock = new()
    local event
    mock.client:on_stage_change("ORDER-1", function(given) event = given:plain() end)
    mock:emit { type = "stage_change", order_id = "ORDER-1", id = "7", data = { newStage = "open", list = { 1, "ü\n" } } }
    assert.equal("stage_change", event.type)
    assert.equal("ORDER-1", event.order_id)
    assert.equal("7", event.id)
    assert.equal("open", event.new_stage)
    assert.same({ newStage = "open", list = { 1, "ü\n" } }, event.data)
    assert.equal("2026-01-01T00:00:00.000Z", event.timestamp)
    assert.equal(mock:now(), event.received_at)
  end)

  it("takes the names of the option `fields`", function()
    local mock = new { fields = { order_id = "ticket", type = "kind" } }
    local events = heard(mock.client)
    mock:emit { type = "order_created", order_id = "T-1" }
    assert.same({ "order_created T-1" }, events)
    assert.matches('"ticket":"T-1"', mock.client:latest().raw, 1, true)
  end)

  it("brings bytes as they are, in pieces", function()
    local mock = new()
    local events = heard(mock.client)
    mock:send 'data: {"eventType":"queue_upd'
    assert.same({}, events)
    mock:send 'ate","orderID":"ORDER-1"}\n\ndata: no json\n\n'
    assert.same({ "queue_update ORDER-1" }, events)
    assert.same({ "EVENT_JSON" }, codes(mock))
  end)

  it("brings comments and heartbeats", function()
    local mock = new()
    local comments = {}
    mock.client:on_comment(function(text) comments[#comments + 1] = text end)
    mock:comment "one\ntwo"
    mock:heartbeat()
    assert.same({ "one", "two" }, comments)
    assert.equal(1, mock.client:metrics().heartbeats)
  end)

  it("holds what a full queue has no room for until it is pulled", function()
    local mock = new { queue_limit = 2 }
    assert.is_nil((mock.client:next(0)))
    for number = 1, 20 do mock:emit { type = "order_created", order_id = "ORDER-" .. number } end
    assert.is_true(mock.client:metrics().queue_depth <= 2)
    for number = 1, 20 do assert.equal("ORDER-" .. number, mock.client:next(0).order_id) end
    assert.is_nil((mock.client:next(0)))
  end)
end)

describe("a mock's connects", function()
  it("come back with backoff, an hour of it at once", function()
    local mock = new { max_reconnect_attempts = 3, stream_retry_interval_ms = 10 * 60 * 1000 }
    mock:advance()
    mock:refuse { times = math.huge }
    mock:drop()
    mock:advance(HOUR_MS)
    local waits = {}
    for index = 2, #mock.requests do waits[index - 1] = mock.requests[index].at - mock.requests[index - 1].at end
    for attempt, most in ipairs { 1000, 2000, 4000 } do assert.is_true(waits[attempt] <= most, waits[attempt]) end
    assert.is_true(#waits >= 3 + 4 and #waits <= 3 + 12, #waits)
    assert.equal("error", state(mock))
    mock:accept()
    mock:advance(20 * 60 * 1000)
    assert.is_true(mock.client:health().total_reconnects >= 1)
  end)

  it("say where to resume", function()
    local mock = new()
    mock:emit { type = "order_created", order_id = "ORDER-1", id = "41" }
    mock:emit { type = "order_created", order_id = "ORDER-2", id = "42" }
    mock:drop()
    mock:advance(1000)
    assert.is_nil(mock.requests[1].last_event_id)
    assert.equal("42", mock.requests[2].last_event_id)
    assert.equal("http://orders.test/api/v1/sync/events", mock.requests[2].url)
    assert.same({ "STREAM_CUT" }, codes(mock))
  end)

  it("get a status, then a stream", function()
    local mock = new()
    mock:status(503, { retry_after_ms = 20000, body = "closed for lunch" })
    assert.equal(503, mock.errors[1].status)
    assert.matches("closed for lunch", mock.errors[1].message, 1, true)
    mock:advance(19999)
    assert.equal("reconnecting", state(mock))
    mock:advance(60000)
    assert.equal("connected", state(mock))
    assert.equal(2, #mock.requests)
  end)

  it("follow a redirect", function()
    local mock = new { headers = { ["X-Api-Key"] = "secret" } }
    mock:status(307, { location = "http://other.test/events" })
    assert.equal("connected", state(mock))
    assert.same({ ["X-Api-Key"] = "secret" }, mock.requests[1].headers)
    assert.equal("http://other.test/events", mock.requests[2].url)
    assert.same({}, mock.requests[2].headers)
  end)

  it("hang until they time out, or are answered", function()
    local mock = new { connect_timeout_ms = 5000 }
    mock:hang()
    mock:advance(4999)
    assert.equal("connecting", state(mock))
    mock:advance(1)
    assert.same({ "CONNECT_TIMEOUT" }, codes(mock))
    mock:hang()
    mock:advance(1000)
    assert.equal(2, #mock.requests)
    mock:status(200)
    assert.equal("connected", state(mock))
    assert.equal(2, #mock.requests)
  end)

  it("fail in any way there is a code for", function()
    local mock = new()
    mock:refuse { code = "DNS" }
    mock:advance(5000)
    mock:drop "NETWORK"
    mock:advance(5000)
    mock:finish()
    assert.same({ "DNS", "NETWORK", "STREAM_ENDED" }, codes(mock))
  end)

  it("time out in silence, and not with heartbeats", function()
    local mock = new { idle_timeout_ms = 60000 }
    for _ = 1, 10 do
      mock:advance(30000)
      mock:heartbeat()
    end
    assert.same({}, codes(mock))
    mock:advance(59999)
    assert.equal("connected", state(mock))
    mock:advance(1)
    assert.same({ "IDLE_TIMEOUT" }, codes(mock))
  end)

  it("have a fresh token before the old one is over, without a gap", function()
    local given = 0
    local mock = new { token = function()
      given = given + 1
      return "secret-" .. given, HOUR_MS
    end }
    local events, states = heard(mock.client), {}
    for number = 1, 125 do
      mock:emit { type = "order_created", order_id = "ORDER-" .. number, id = tostring(number) }
      if number == 1 then mock.client:on_state(function(to) states[#states + 1] = to end) end
      mock:advance(60000)
    end
    assert.equal(125, #events)
    assert.same({}, states)
    assert.is_true(mock.client:metrics().renewals >= 2)
    assert.equal("Bearer secret-1", mock.requests[1].headers.Authorization)
    assert.equal("Bearer secret-2", mock.requests[2].headers.Authorization)
    assert.is_true(mock.requests[2].renewal)
    assert.is_true(mock.requests[2].at - mock.requests[1].at < HOUR_MS)
  end)
end)

describe("a mock's orders", function()
  it("are in the book when the event's handler runs, and after", function()
    local mock = new()
    local data = { previousStage = "initiated", newStage = "open", order = { orderID = "ORDER-1", orderStage = "open" } }
    mock:emit { type = "stage_change", order_id = "ORDER-1", data = data }
    assert.equal("open", mock.client:order("ORDER-1").orderStage)
    assert.equal(1, #mock.client:orders { stage = "open" })
  end)

  it("are refreshed once for a burst, when it has been quiet", function()
    local mock = new()
    local noted, note = diary(mock)
    mock.client:auto_refresh("*", function() note "refresh" end, { debounce_ms = 500 })
    for number = 1, 5 do
      mock:emit { type = "order_created", order_id = "ORDER-" .. number }
      mock:advance(100)
    end
    assert.same({}, noted)
    mock:advance(10000)
    assert.same({ "900: refresh" }, noted)
  end)

  it("are polled while the stream is away, and brought by it again", function()
    local mock = new { max_reconnect_attempts = 2, polling = { url = "/orders", interval_ms = 10000 } }
    mock:snapshot { { orderID = "ORDER-1", orderStage = "open" } }
    mock:advance(1000)
    assert.equal("open", mock.client:order("ORDER-1").orderStage)
    mock:refuse { times = math.huge }
    mock:drop()
    mock:advance(10000)
    assert.equal("polling_fallback", state(mock))
    local seen = {}
    mock.client:on_stage_change("*", function(event, previous, stage)
      seen[#seen + 1] = ("%s %s -> %s"):format(event.source, previous, stage)
    end)
    mock:snapshot { { orderID = "ORDER-1", orderStage = "billed" } }
    mock:advance(11000)
    assert.same({ "poll open -> billed" }, seen)
    mock:accept()
    while state(mock) ~= "connected" do mock:advance(1000) end
    local polls = mock.client:metrics().polls
    mock:emit { type = "stage_change", order_id = "ORDER-1", data = { newStage = "paid" } }
    assert.equal("stream billed -> paid", seen[2])
    mock:advance(30000)
    assert.equal(polls, mock.client:metrics().polls)
  end)

  it("are asked for by polls whose failures are told", function()
    local mock = new { mode = "poll", polling = { url = "/orders", interval_ms = 10000 } }
    mock:snapshot(503)
    mock:advance(1000)
    assert.equal(503, mock.errors[1].status)
    assert.is_true(mock.requests[1].poll)
    assert.equal("http://orders.test/orders", mock.requests[1].url)
    mock:snapshot "[]"
    mock:advance(60000)
    assert.equal(1, mock.client:metrics().poll_failures)
    assert.is_true(mock.client:metrics().polls > 2)
  end)

  it("are polled of a function too", function()
    local mock = new { mode = "poll", polling = { interval_ms = 10000, fetch = function()
      return { { orderID = "ORDER-9" } }
    end } }
    mock:advance()
    assert.equal("ORDER-9", mock.client:order("ORDER-9").orderID)
    assert.same({}, mock.requests)
  end)
end)

describe("a mock's time", function()
  it("is the same every time, whatever is spread", function()
    local function hour()
      local mock = new { polling = { url = "/orders" } }
      local noted, note = diary(mock)
      mock.client:on_state(function(to) note(to) end)
      mock.client:on_error(function(problem) note(problem.code) end)
      mock:advance()
      mock:refuse { times = 12 }
      mock:drop()
      mock:advance(HOUR_MS)
      return noted
    end
    local first = hour()
    assert.is_true(#first > 20)
    assert.same(first, hour())
  end)

  it("passes in client:next()", function()
    local mock = new { idle_timeout_ms = 60000 }
    local begun_at = mock:now()
    local event, _, code = mock.client:next(100000)
    assert.is_nil(event)
    assert.equal("TIMEOUT", code)
    assert.is_true(mock:now() - begun_at >= 100000 and mock:now() - begun_at <= 100001)
    assert.same({ "IDLE_TIMEOUT" }, codes(mock))
    mock:emit { type = "order_created", order_id = "ORDER-1" }
    assert.equal("ORDER-1", mock.client:next().order_id)
  end)

  it("does not pass for a timer that sets itself again for now: that is said", function()
    local mock = new()
    local function again() mock.client.loop.timers:after(0, again) end
    again()
    assert.error_matches(function() mock:advance(1) end, "time cannot pass")
  end)
end)

describe("mocks", function()
  it("do not disturb each other, nor a real client", function()
    local server = world.server()
    local real = world.connect(server)
    world.await_state(real)
    local one, other = new(), new()
    local ones, others = heard(one.client), heard(other.client)
    one:emit { type = "order_created", order_id = "ORDER-1" }
    other:emit { type = "order_created", order_id = "ORDER-2" }
    one:advance(HOUR_MS)
    world.publish(server, 3, 3)
    world.await(function() return real:metrics().total_events == 1 end)
    assert.same({ "order_created ORDER-1" }, ones)
    assert.same({ "order_created ORDER-2" }, others)
    assert.same({}, codes(other))
    assert.equal("connected", real:health().state)
    assert.equal(HOUR_MS, one:now() - other:now())
  end)

  it("are no default client", function()
    new()
    assert.error_matches(function() sync.health() end, "no client is open")
  end)

  it("leave no descriptor behind when they are closed", function()
    local function count()
      local pipe = assert(io.popen("ls /proc/$PPID/fd | wc -l"))
      local number = tonumber(pipe:read "*a")
      pipe:close()
      return number
    end
    collectgarbage() -- what other specs have left
    collectgarbage()
    local before = count()
    for _ = 1, 50 do
      local mock = testing.new()
      mock:emit { type = "order_created" }
      mock:close()
    end
    assert.equal(before, count())
  end)

  it("can be closed by a handler, and again", function()
    local mock = new()
    local events = heard(mock.client)
    local refresher = mock.client:auto_refresh("*", function() end)
    mock.client:on_event("order_created", function() mock:close() end)
    mock:send('data: {"eventType":"order_created"}\n\ndata: {"eventType":"order_deleted"}\n\n')
    assert.same({ "order_created -" }, events)
    assert.equal("closed", state(mock))
    refresher:cancel()
    mock:close()
    assert.is_number(mock:now())
    assert.error_matches(function() mock:advance(1) end, "mock:advance: the client is closed")
  end)

  it("can be told something by a handler: it happens when that has returned", function()
    local mock = new()
    local events = heard(mock.client)
    mock.client:on_event("order_created", function()
      mock:emit { type = "queue_update", order_id = "ORDER-2" }
      events[#events + 1] = "returned"
    end)
    mock:emit { type = "order_created", order_id = "ORDER-1" }
    assert.same({ "order_created ORDER-1", "returned", "queue_update ORDER-2" }, events)
  end)

  it("catch what handlers raise, and show it", function()
    local mock = new()
    mock.client:on_order("*", function() error "kitchen on fire" end)
    mock:emit { type = "order_created", order_id = "ORDER-1" }
    assert.same({ "HANDLER" }, codes(mock))
    assert.matches("kitchen on fire", mock.errors[1].message, 1, true)
  end)

  it("say what is wrong with a call", function()
    local mock = new()
    for pattern, call in pairs {
      ["mock:emit: type: expected a string, got a nil"] = function() mock:emit {} end,
      ["mock:emit: orderID: unknown field"] = function() mock:emit { type = "a", orderID = "1" } end,
      ["mock:emit: id: a line cannot hold"] = function() mock:emit { type = "a", id = "1\n2" } end,
      ["mock:status: retry_after: unknown option"] = function() mock:status(503, { retry_after = 1 }) end,
      ["mock:refuse: 'NOPE' is no code"] = function() mock:refuse { code = "NOPE" } end,
      ["mock:advance: expected milliseconds"] = function() mock:advance(-1) end,
      ["polling.intervall_ms: unknown option"] = function() testing.new { polling = { intervall_ms = 1 } } end,
    } do
      assert.error_matches(call, pattern, 1, true)
    end
    mock:advance()
    mock:drop()
    assert.error_matches(function() mock:emit { type = "a" } end, "no stream is open, the client is reconnecting", 1, true)
    assert.error_matches(function() mock:finish() end, "no stream is open", 1, true)
  end)
end)
