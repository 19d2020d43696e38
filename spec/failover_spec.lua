--- Several urls: tried in order when one fails, and back to the first when it has recovered.

local world = require "spec.support.world"

after_each(world.close)

local EVENTS = "/api/v1/sync/events"
local HOUR_MS = 3600000

-- A client of several servers, with the first one tried first.
local function connect(servers, options)
  local urls = {}
  for index, each in ipairs(servers) do urls[index] = type(each) == "string" and each or each.url end
  return world.connect({ url = urls }, options)
end

-- Two servers that have the same events under the same ids, as replicas do.
local function replicas()
  local first, second = world.server(), world.server()
  second.ring:restart(first.ring.epoch)
  return first, second
end

local function publish_to_both(first, second, from, to)
  for number = from, to do
    local spec = { type = "stage_change", order_id = "ORDER-" .. number, data = { number = number } }
    spec.timestamp = first:publish(spec).timestamp
    second:publish(spec)
  end
end

-- How many requests each of the servers has seen.
local function counts(...)
  local list = {}
  for index, each in ipairs { ... } do list[index] = each:request_count() end
  return list
end

describe("of several urls", function()
  it("the first one is asked, and no other, as long as it answers", function()
    local first, second = world.server(), world.server()
    first:behave { { { stream = 0 } }, { { stream = 0 }, { cut = true } } }
    local client = connect { first, second }
    world.await(function() return first:request_count() == 3 and client:health().is_connected end)
    assert.equal(0, second:request_count())
  end)

  it("each gets the path and the filters when it has none", function()
    local first, second = world.server(), world.server()
    first:behave { status = 503 }
    world.connect({ url = { first.url, second.url .. "/" } }, { order_id = "A" })
    world.await(function() return second:request_count() == 1 end)
    assert.equal(EVENTS .. "?orderID=A", first.requests[1].target)
    assert.equal(EVENTS .. "?orderID=A", second.requests[1].target)
  end)

  it("the next is tried at once, in order, whatever is wrong with the one before", function()
    local last = world.server()
    for _, script in ipairs {
      { status = 503 }, { status = 404 }, { status = 401 }, { html = 200 }, { refuse = true },
      { status = 302, headers = { Location = "mailto:a@b" } },
    } do
      local first, second = world.server(), world.server()
      first:behave { script }
      assert(second:stop())
      local before = last:request_count()
      local client, seen = connect({ first, second, last }, { reconnect_delay_ms = HOUR_MS, max_reconnect_delay_ms = HOUR_MS })
      world.await_state(client)
      assert.same({ 1, 0, before + 1 }, counts(first, second, last))
      assert.same({ "connecting", "connected" }, seen.states)
      assert.equal(2, #seen.codes)
      assert.equal("REFUSED", seen.codes[2])
      assert.is_nil(client:health().error)
      client:close()
    end
  end)

  it("the next is tried when one does not answer in time", function()
    local hole, second = world.black_hole(), world.server()
    local client, seen = connect({ hole, second }, { connect_timeout_ms = 20 })
    world.await_state(client)
    assert.same({ "CONNECT_TIMEOUT" }, seen.codes)
  end)

  it("the next is tried when one accepts the stream and ends it at once, over and over", function()
    local first, second = world.server(), world.server()
    for _ = 1, 3 do first:behave { { { stream = 0 } } } end
    local client, seen = connect { first, second }
    world.await(function() return second:request_count() == 1 and client:health().is_connected end)
    assert.same({ "STREAM_ENDED", "STREAM_ENDED", "TIGHT_LOOP" }, seen.codes)
    assert.equal(3, first:request_count())
  end)

  it("a 204 of any ends it: it is no outage but an instruction", function()
    for _, case in ipairs { { { 204 }, { 1, 0 } }, { { 503, 204 }, { 1, 1 } } } do
      local servers = { world.server(), world.server() }
      for index, status in ipairs(case[1]) do servers[index]:behave { status = status } end
      local client, seen = connect(servers)
      world.await_error(seen, "HTTP_NO_CONTENT")
      assert.equal("error", client:health().state)
      assert.is_true(world.is_at_rest())
      assert.same(case[2], counts((table.unpack or unpack)(servers)))
      world.close()
    end
  end)

  it("none is asked without credentials, when the function has none to give", function()
    local first, second = world.server(), world.server()
    local client, seen = connect({ first, second }, { token = function() error "vault is sealed" end })
    world.await(function() return #seen.codes == 3 end)
    assert.same({ "CREDENTIALS", "CREDENTIALS", "CREDENTIALS" }, seen.codes)
    for attempt, problem in ipairs(seen.errors) do assert.equal(attempt, problem.attempt) end
    assert.same({ 0, 0 }, counts(first, second))
    assert.equal("reconnecting", client:health().state)
  end)

  it("each is asked for its own credentials, once more where they are refused", function()
    local first, second = world.server(), world.server()
    first:behave { { { status = 401 } }, { { status = 401 } } }
    second:behave { status = 401 }
    local calls = 0
    local client, seen = connect({ first, second }, { token = function()
      calls = calls + 1
      return "t" .. calls
    end })
    world.await_state(client)
    assert.same({ "HTTP_AUTH", "HTTP_AUTH", "HTTP_AUTH" }, seen.codes)
    assert.same({ 2, 2 }, counts(first, second))
    assert.equal("Bearer t2", first.requests[2].headers.authorization)
    assert.equal("Bearer t4", second.requests[2].headers.authorization)
  end)

  it("none is tried after the first with auto_reconnect = false", function()
    local second = world.server()
    local client, seen = connect({ world.refusing_url(), second }, { auto_reconnect = false })
    world.await_state(client, "error")
    assert.same({ "REFUSED" }, seen.codes)
    assert.is_true(world.is_at_rest())
    assert.equal(0, second:request_count())
  end)
end)

describe("when all urls fail", function()
  it("that is one attempt, and backoff comes after the last of them", function()
    local client, seen = connect({ world.refusing_url(), world.refusing_url() }, { max_reconnect_attempts = 3 })
    world.await_error(seen, "EXHAUSTED")
    local refused = "REFUSED"
    assert.same({ refused, refused, refused, refused, refused, refused, "EXHAUSTED" }, seen.codes)
    for index = 2, 6, 2 do assert.equal(index / 2, seen.errors[index].attempt) end
    assert.equal("error", client:health().state)
    assert.equal("EXHAUSTED", client:health().error.code)
  end)

  it("the first that is up again is taken, with the order as it was", function()
    local first, second = world.server(), world.server()
    assert(first:stop())
    assert(second:stop())
    local client, seen = connect({ first, second }, { max_reconnect_attempts = 1000 })
    world.await(function() return #seen.codes >= 4 end)
    assert(second:restart())
    world.await_state(client)
    assert.same({ 0, 1 }, counts(first, second))
    assert.equal("healthy", client:health().status)
    assert.is_nil(client:health().next_retry_at)
    assert(second:stop())
    world.await(function() return client:health().state == "reconnecting" end)
    assert(first:restart())
    world.await_state(client)
    assert.same({ 1, 1 }, counts(first, second))
  end)

  it("the client goes on as long as one of them may come back", function()
    local first, second = world.server(), world.server()
    for _ = 1, 3 do first:behave { { { status = 404 } } } end
    assert(second:stop())
    local client, seen = connect({ first, second }, { max_reconnect_attempts = 1000 })
    world.await_state(client)
    local status, refused = "HTTP_STATUS", "REFUSED"
    assert.same({ status, refused, status, refused, status, refused }, seen.codes)
    assert.same({ "connecting", "reconnecting", "connected" }, seen.states)
    assert.equal(4, first:request_count())
  end)

  it("and none of them may come back, it gives up", function()
    local first, second = world.server(), world.server()
    first:behave { status = 404 }
    second:behave { html = 200 }
    local client, seen = connect { first, second }
    world.await_state(client, "error")
    assert.same({ "HTTP_STATUS", "CONTENT_TYPE" }, seen.codes)
    assert.is_nil(seen.errors[2].next_retry_at)
    assert.is_true(world.is_at_rest())
    assert.same({ 1, 1 }, counts(first, second))
  end)

  it("the longest Retry-After of them is the least to wait", function()
    local first, second = world.server(), world.server()
    first:behave { status = 503, headers = { ["Retry-After"] = "600" } }
    second:behave { status = 503, headers = { ["Retry-After"] = "60" } }
    local client, seen = connect { first, second }
    local received_at = world.await(function() return seen.errors[2] end).next_retry_at
    assert.is_true(received_at - seen.errors[1].next_retry_at >= 599000)
    assert.is_number(client:health().next_retry_at)
  end)

  it("reconnect() begins with the first", function()
    local first, second = world.server(), world.server()
    first:behave { { { status = 404 } } }
    second:behave { { { status = 404 } } }
    local client = connect { first, second }
    world.await_state(client, "error")
    client:reconnect()
    world.await_state(client)
    assert.same({ 2, 1 }, counts(first, second))
  end)
end)

describe("a failover", function()
  it("goes on behind the last event: each event once and in order, from whichever server", function()
    local first, second = replicas()
    local client = connect({ first, second }, { stream_retry_interval_ms = HOUR_MS })
    local numbers = world.collect_numbers(client)
    world.await_state(client)
    publish_to_both(first, second, 1, 5)
    world.await(function() return #numbers == 5 end)
    assert(first:stop())
    publish_to_both(first, second, 6, 10)
    world.await(function() return #numbers >= 10 end)
    publish_to_both(first, second, 11, 15)
    world.await(function() return #numbers >= 15 end)
    world.assert_in_order(numbers, 15)
    assert.equal(first.ring:id(5), second.requests[1].headers["last-event-id"])
    assert.equal("connected", client:health().state)
  end)

  it("is undone as soon as the first is back: its stream is opened before the other one is closed", function()
    local first, second = replicas()
    assert(first:stop())
    local client, seen = connect({ first, second }, { stream_retry_interval_ms = 10 })
    local numbers = world.collect_numbers(client)
    world.await_state(client)
    publish_to_both(first, second, 1, 5)
    world.await(function() return #numbers == 5 end)
    assert(first:restart())
    publish_to_both(first, second, 6, 10)
    world.await(function() return client:metrics().renewals == 1 end)
    publish_to_both(first, second, 11, 15)
    world.await(function() return #numbers >= 15 end)
    world.assert_in_order(numbers, 15)
    assert.same({ "connecting", "connected" }, seen.states)
    assert.equal(0, client:health().total_reconnects)
    world.await(function() return second:stream_count() == 0 end)
    assert.equal(1, first:stream_count())
  end)

  it("is undone as well where events have no ids", function()
    local first, second = world.server { ids = false }, world.server { ids = false }
    assert(first:stop())
    local client, seen = connect({ first, second }, { stream_retry_interval_ms = 10 })
    local numbers = world.collect_numbers(client)
    world.await_state(client)
    assert(first:restart())
    world.await(function() return first:stream_count() == 1 end)
    publish_to_both(first, second, 1, 5)
    world.await(function() return client:metrics().renewals == 1 end)
    publish_to_both(first, second, 6, 10)
    world.await(function() return #numbers >= 10 end)
    world.assert_in_order(numbers, 10)
    assert.equal(5, client:metrics().duplicates)
    assert.same({ "connecting", "connected" }, seen.states)
  end)

  it("stays while the first is not back; that is told, and the stream goes on", function()
    local first, second = replicas()
    assert(first:stop())
    local client, seen = connect({ first, second }, { stream_retry_interval_ms = 5 })
    local numbers = world.collect_numbers(client)
    world.await_state(client)
    world.await(function() return #seen.codes == 4 end)
    publish_to_both(first, second, 1, 5)
    world.await(function() return #numbers == 5 end)
    for _, problem in ipairs(seen.errors) do
      assert.equal("REFUSED", problem.code)
      assert.is_number(problem.next_retry_at)
    end
    assert.same({ "connecting", "connected" }, seen.states)
    assert.equal("healthy", client:health().status)
    assert.equal(1, second:request_count())
    assert.equal(0, client:metrics().renewals)
  end)

  it("is undone by network_changed(), by reconnect() and by a new session: they begin with the first", function()
    local first, second = world.server(), world.server()
    assert(first:stop())
    local client = connect({ first, second }, { stream_retry_interval_ms = HOUR_MS })
    world.await_state(client)
    assert(first:restart())
    for number, way in ipairs { "network_changed", "reconnect", "disconnect" } do
      client[way](client)
      if way == "disconnect" then client:connect() end
      world.await(function() return first:request_count() == number and client:health().is_connected end)
    end
    assert.equal(1, second:request_count())
  end)

  it("forgets what the other server asked for with retry:", function()
    local first, second = world.server(), world.server()
    first:behave { { { send = "retry: 3600000\n\n" } } }
    second:behave { { { stream = 0 } } }
    local client, seen = connect { first, second }
    world.await_error(seen, "STREAM_ENDED")
    assert(first:stop())
    client:reconnect() -- skips the hour
    world.await(function() return #seen.codes >= 3 end)
    assert.same({ "STREAM_ENDED", "REFUSED", "STREAM_ENDED" }, { seen.codes[1], seen.codes[2], seen.codes[3] })
    world.await(function() return second:request_count() == 2 and client:health().is_connected end)
  end)
end)

describe("a list of urls", function()
  it("may be changed: the stream goes on if it is the same list", function()
    local first, second, third = world.server(), world.server(), world.server()
    local client = connect { first, second }
    world.await_state(client)
    assert.is_true(client:configure { url = { first.url, second.url } })
    world.turn()
    assert.equal(1, first:request_count())
    assert.is_true(client:configure { url = { third.url, second.url } })
    world.await(function() return third:request_count() == 1 and client:health().is_connected end)
    assert.equal(1, first:request_count())
  end)

  it("may become shorter while the last of it is in use", function()
    local first, second = world.server(), world.server()
    assert(first:stop())
    local client = connect({ first, second }, { stream_retry_interval_ms = HOUR_MS })
    world.await_state(client)
    assert(first:restart())
    assert.is_true(client:configure { url = first.url })
    world.await(function() return first:request_count() == 1 and client:health().is_connected end)
    assert.equal(1, second:request_count())
    assert.matches(first.url, tostring(client), 1, true)
  end)
end)
