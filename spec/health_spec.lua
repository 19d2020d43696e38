--- What a client knows of itself: health, metrics, and the log.

local uv = require "luv"
local world = require "spec.support.world"

after_each(world.close)

local function wall_ms()
  local second, microsecond = uv.gettimeofday()
  return second * 1000 + math.floor(microsecond / 1000)
end

-- Time passes while nobody turns a loop, as in a handler that computes.
local function let_pass(duration_ms)
  local start = uv.hrtime()
  while (uv.hrtime() - start) / 1e6 < duration_ms do end -- luacheck: ignore 542
end

describe("health", function()
  it("is told apart by status and state in every state", function()
    local server = world.server()
    local client, seen = world.connect(server, { auto_connect = false })
    local function assert_health(state, status, is_connected, is_connecting)
      local health = client:health()
      assert.equal(state, health.state)
      assert.equal(status, health.status)
      assert.equal(is_connected, health.is_connected)
      assert.equal(is_connecting, health.is_connecting)
      assert.equal(not is_connected, health.stale)
      assert.is_false(health.is_polling_fallback)
    end
    assert_health("disconnected", "disconnected", false, false)
    client:connect()
    assert_health("connecting", "connecting", false, true)
    world.await_state(client)
    assert_health("connected", "healthy", true, false)
    server:behave { status = 404 }
    server:drop()
    world.await_error(seen, "STREAM_ENDED")
    assert_health("reconnecting", "connecting", false, true)
    world.await_error(seen, "HTTP_STATUS")
    assert_health("error", "error", false, false)
    client:close()
    assert_health("closed", "disconnected", false, false)
  end)

  it("counts events and reconnects, and knows the last event ID", function()
    local server = world.server()
    local client = world.connect(server)
    assert.is_nil(client:health().last_event_id)
    world.await_state(client)
    world.publish(server, 1, 3)
    world.await(function() return client:health().total_events == 3 end)
    assert.equal(server.ring:id(3), client:health().last_event_id)
    server:drop()
    world.await(function() return client:health().total_reconnects == 1 end)
    assert.equal(3, client:health().total_events)
    assert.equal(server.ring:id(3), client:health().last_event_id)
  end)

  it("tells when it was connected, for how long, and how old the data is", function()
    local server = world.server()
    local before = wall_ms()
    local client = world.connect(server)
    local health = client:health()
    assert.equal(0, health.uptime_ms)
    assert.is_nil(health.last_connected_at)
    assert.is_nil(health.data_age_ms)
    world.await_state(client)
    let_pass(5)
    health = client:health()
    assert.is_true(health.last_connected_at >= before and health.last_connected_at <= wall_ms())
    assert.is_true(health.uptime_ms >= 4)
    assert.is_true(health.data_age_ms >= 4)
    client:disconnect()
    assert.equal(0, client:health().uptime_ms)
  end)

  it("has the last error until a stream is open again", function()
    local server = world.server()
    server:behave { status = 503, headers = { ["Retry-After"] = "3600" } }
    local client, seen = world.connect(server)
    local problem = world.await_error(seen, "HTTP_STATUS")
    local health = client:health()
    assert.equal("HTTP_STATUS", health.error.code)
    assert.equal(problem.message, health.error.message)
    assert.equal(503, health.error.status)
    assert.equal(1, health.error.attempt)
    assert.is_true(#health.error.hint > 0)
    client:reconnect()
    world.await_state(client)
    assert.is_nil(client:health().error)
  end)

  it("has a next_retry_at that stands still while time passes", function()
    local server = world.server()
    server:behave { status = 503, headers = { ["Retry-After"] = "3600" } }
    local client, seen = world.connect(server)
    local problem = world.await_error(seen, "HTTP_STATUS")
    local first = client:health().next_retry_at
    assert.is_true(math.abs(first - problem.next_retry_at) <= 1)
    let_pass(10)
    assert.is_true(math.abs(client:health().next_retry_at - first) <= 1)
  end)

  it("reaches on_health at every change of the state", function()
    local server = world.server()
    local client = world.connect(server)
    local states = {}
    client:on_health(function(health) states[#states + 1] = health.state end)
    client:on_health(function(health) assert(health.status) end)
    world.await_state(client)
    client:disconnect()
    world.await(function() return #states == 3 end)
    assert.equal("connected", states[2])
    assert.equal("disconnected", states[3])
    assert.equal(0, client:metrics().handler_errors)
  end)

  it("is told apart by on_state: the new state and the one before", function()
    local server = world.server()
    local client = world.connect(server)
    local changes = {}
    client:on_state(function(state, previous) changes[#changes + 1] = previous .. ">" .. state end)
    world.await_state(client)
    server:drop()
    world.await(function() return server:request_count() == 2 and client:health().is_connected end)
    assert.same({
      "disconnected>connecting", "connecting>connected", "connected>reconnecting", "reconnecting>connected",
    }, changes)
  end)
end)

describe("metrics", function()
  it("count what came, by type", function()
    local server = world.server()
    local client = world.connect(server)
    world.await_state(client)
    world.publish(server, 1, 3)
    server:publish { type = "payment_update", order_id = "A" }
    server:publish { type = "something_new" }
    server:heartbeat()
    server:comment("x")
    server:comment("y")
    world.await(function() return client:metrics().comments == 2 end)
    local metrics = client:metrics()
    assert.equal(5, metrics.total_events)
    assert.equal(3, metrics.event_counts.stage_change)
    assert.equal(1, metrics.event_counts.payment_update)
    assert.equal(1, metrics.event_counts.something_new)
    assert.equal(1, metrics.heartbeats)
    assert.equal(0, metrics.parse_errors)
    assert.equal(0, metrics.too_large)
    assert.equal(0, metrics.duplicates)
    assert.equal(0, metrics.renewals)
    assert.equal(0, metrics.handler_errors)
    assert.is_true(metrics.total_bytes > 500)
  end)

  it("count types without end in bounded memory, and none of them twice", function()
    local server = world.server()
    local client = world.connect(server)
    world.await_state(client)
    for number = 1, 3000 do server:publish { type = ("type_%d"):format(number) } end
    world.await(function() return client:metrics().total_events == 3000 end)
    local types, sum = 0, 0
    for type, count in pairs(client:metrics().event_counts) do
      if type ~= "connected" then types, sum = types + 1, sum + count end
    end
    assert.is_true(types <= 3000)
    assert.is_true(sum <= 3000)
  end)

  it("count connections, reconnects and failures", function()
    local server = world.server()
    server:behave { { { status = 503 } }, { { stream = 0 } } }
    local client = world.connect(server)
    world.await(function() return server:request_count() == 3 and client:health().is_connected end)
    local metrics = client:metrics()
    assert.equal(2, metrics.total_connections)
    assert.equal(1, metrics.total_reconnects)
    assert.equal(2, metrics.failures)
  end)

  it("know the queue", function()
    local server = world.server()
    local client = world.connect(server)
    world.await_state(client)
    local deepest = 0
    client:subscribe(function() deepest = math.max(deepest, client:metrics().queue_depth) end)
    world.publish(server, 1, 50)
    world.await(function() return client:metrics().total_events == 50 and client:metrics().queue_depth == 0 end)
    assert.is_true(client:metrics().queue_peak > 1)
    assert.is_true(deepest < client:metrics().queue_peak)
  end)

  it("know how long streams were open, the present one included", function()
    local server = world.server()
    local client = world.connect(server)
    world.await_state(client)
    let_pass(3)
    server:drop()
    world.await(function() return client:metrics().total_reconnects == 1 end)
    let_pass(3)
    world.turn()
    assert.is_true(client:metrics().connected_ms >= 4)
    assert.is_true(client:metrics().uptime_ms <= client:metrics().connected_ms)
  end)
end)

describe("the log", function()
  it("hears states and errors with a level, a message and fields", function()
    local server = world.server()
    local lines = {}
    server:behave { { { stream = 0 } }, { { status = 404 } } }
    local _, seen = world.connect(server, { log = function(level, message, fields)
      assert.is_table(fields)
      lines[#lines + 1] = level .. " " .. message
    end })
    world.await_error(seen, "HTTP_STATUS")
    world.turn()
    assert.equal(table.concat({
      "info disconnected -> connecting", "info connecting -> connected",
      "warn STREAM_ENDED: the server ended the stream", "info connected -> reconnecting",
      "error HTTP_STATUS: the server answered 404", "info reconnecting -> error",
    }, "\n"), table.concat(lines, "\n"))
  end)
end)
