--- Reconnecting: after which end the client comes back, when, how often, and what it says meanwhile.

local uv = require "luv"
local world = require "spec.support.world"

after_each(world.close)

local function wall_ms()
  local second, microsecond = uv.gettimeofday()
  return second * 1000 + math.floor(microsecond / 1000)
end

-- A client whose first request meets `script`; the next ones are served normally.
local function meeting(script, options)
  local server = world.server()
  server:behave { script }
  local client, seen = world.connect(server, options)
  return client, seen, server
end

describe("a stream that ends", function()
  it("is reported once and opened again (R07, R13, C01)", function()
    local endings = {
      STREAM_ENDED = { { stream = 0 }, { finish = true } },
      STREAM_CUT = { { stream = 0 }, { cut = true } },
    }
    for code, script in pairs(endings) do
      local client, seen, server = meeting(script)
      world.await(function() return server:request_count() == 2 and client:health().is_connected end)
      assert.same({ "connecting", "connected", "reconnecting", "connected" }, seen.states)
      assert.same({ code }, seen.codes)
      assert.is_true(seen.errors[1].retryable)
      assert.is_number(seen.errors[1].next_retry_at)
      assert.equal(1, client:health().total_reconnects)
      assert.is_nil(client:health().error)
      world.close()
    end
  end)

  it("by a reset is reported once and opened again", function()
    local client, seen, server = meeting { { send = "data: {}\n\n" }, { stream = 0 }, { stall = true } }
    world.await_state(client)
    server:drop("reset")
    world.await(function() return server:request_count() == 2 and client:health().is_connected end)
    assert.same({ "STREAM_CUT" }, seen.codes)
    assert.same({ "connecting", "connected", "reconnecting", "connected" }, seen.states)
  end)

  it("without chunks is told from one that is cut by nothing, and opened again", function()
    local client, seen, server = meeting { { chunked = false }, { stream = 0 }, { finish = true } }
    world.await(function() return server:request_count() == 2 and client:health().is_connected end)
    assert.same({ "STREAM_ENDED" }, seen.codes)
  end)

  it("keeps messages before and after in order (R13)", function()
    local server = world.server()
    server:behave { { { send = "data: 1\n\n" } }, { { send = "data: 2\n\n" } }, { { send = "data: 3\n\n" }, { stall = true } } }
    local client = world.connect(server)
    local log = {}
    client:subscribe(function(event) log[#log + 1] = event.data end)
    client:on_error(function(problem) log[#log + 1] = problem.code end)
    client:on_state(function(state) log[#log + 1] = state end)
    world.await(function() return log[#log] == 3 end)
    assert.equal("connecting connected 1 STREAM_ENDED reconnecting connected 2 STREAM_ENDED reconnecting connected 3",
      table.concat(log, " "))
  end)

  it("is not opened again with auto_reconnect = false", function()
    local client, seen, server = meeting({ { stream = 0 }, { finish = true } }, { auto_reconnect = false })
    world.await_error(seen, "STREAM_ENDED")
    assert.same({ "STREAM_ENDED" }, seen.codes)
    assert.is_false(client:health().is_connected)
    assert.is_nil(client:health().next_retry_at)
    assert.is_nil(seen.errors[1].next_retry_at)
    assert.is_true(world.is_at_rest())
    assert.equal(1, server:request_count())
    client:reconnect()
    world.await_state(client)
  end)
end)

describe("an attempt that fails", function()
  it("is REFUSED where nobody listens, and tried again (R09)", function()
    local server = world.server()
    assert(server:stop())
    local client, seen = world.connect(server)
    world.await(function() return #seen.codes == 3 end)
    assert.same({ "REFUSED", "REFUSED", "REFUSED" }, seen.codes)
    for attempt, problem in ipairs(seen.errors) do assert.equal(attempt, problem.attempt) end
    assert.is_true(#seen.errors[1].hint > 0)
    assert.same({ "connecting", "reconnecting" }, seen.states)
    assert(server:restart())
    world.await_state(client)
    assert.same({ "connecting", "reconnecting", "connected" }, seen.states)
    assert.equal(0, client:health().total_reconnects) -- it was never connected before
  end)

  it("is DNS where the name does not resolve", function()
    local _, seen = world.connect({ url = "http://no-such-host.invalid" })
    assert.equal("DNS", world.await(function() return seen.errors[1] end).code)
  end)

  it("is NETWORK where the server hangs up without an answer", function()
    local client, seen = meeting { refuse = true }
    world.await_state(client)
    assert.same({ "NETWORK" }, seen.codes)
  end)

  it("is CONNECT_TIMEOUT where no answer comes in time", function()
    local hole = world.black_hole()
    local _, seen = world.connect(hole, { connect_timeout_ms = 20 })
    world.await(function() return #seen.codes == 2 end)
    assert.same({ "CONNECT_TIMEOUT", "CONNECT_TIMEOUT" }, seen.codes)
    assert.matches("20 ms", seen.errors[1].message)
    world.await(function() return hole.peers[1].is_gone end)
  end)

  it("is HTTP_PROTOCOL where the port does not speak HTTP", function()
    local listener = world.listener(function(peer) peer:write("220 mail.example ESMTP\r\n"):finish() end)
    local _, seen = world.connect(listener)
    assert.equal("HTTP_PROTOCOL", world.await(function() return seen.errors[1] end).code)
  end)

  it("keeps nothing of the connection: at most one is open at any moment", function()
    local server = world.server()
    local most = 0
    for _ = 1, 5 do server:behave { { { stream = 0 }, { cut = true } } } end
    local client = world.connect(server)
    client:on_state(function() most = math.max(most, server:stream_count()) end)
    world.await(function() return server:request_count() == 6 and client:health().is_connected end)
    assert.equal(1, server:stream_count())
    assert.is_true(most <= 1)
  end)
end)

describe("max_reconnect_attempts", function()
  it("ends in EXHAUSTED, once, and the state error; then the stream is probed", function()
    local server = world.server()
    assert(server:stop())
    local client, seen = world.connect(server, { max_reconnect_attempts = 3, stream_retry_interval_ms = 1 })
    world.await(function() return #seen.codes == 6 end)
    assert.same({ "REFUSED", "REFUSED", "REFUSED", "EXHAUSTED", "REFUSED", "REFUSED" }, seen.codes)
    assert.equal(3, seen.errors[4].attempt)
    assert.same({ "connecting", "reconnecting", "error" }, seen.states)
    assert.equal("error", client:health().status)
    assert(server:restart())
    world.await_state(client)
    assert.same({ "connecting", "reconnecting", "error", "connected" }, seen.states)
    assert.is_nil(client:health().error)
  end)

  it("probes at stream_retry_interval_ms, spread a little", function()
    local before = wall_ms()
    local client, seen = world.connect({ url = world.refusing_url() },
      { max_reconnect_attempts = 1, stream_retry_interval_ms = 3600000 })
    local problem = world.await_error(seen, "EXHAUSTED")
    assert.is_number(client:health().next_retry_at)
    assert.is_true(problem.next_retry_at >= before + 3600000)
    assert.is_true(problem.next_retry_at <= wall_ms() + 3600000 * 6 / 5)
  end)

  it("stops for good with on_exhausted = \"stop\", until reconnect() is called", function()
    local server = world.server()
    assert(server:stop())
    local client, seen = world.connect(server, { max_reconnect_attempts = 2, on_exhausted = "stop" })
    world.await_error(seen, "EXHAUSTED")
    assert.same({ "REFUSED", "REFUSED", "EXHAUSTED" }, seen.codes)
    assert.equal("error", client:health().state)
    assert.is_nil(client:health().next_retry_at)
    assert.is_true(world.is_at_rest())
    assert(server:restart())
    assert.is_true(client:reconnect())
    world.await_state(client)
  end)

  it("counts failures in a row only", function()
    local server = world.server()
    for _ = 1, 4 do server:behave { { { status = 503 } }, { { stream = 0 } } } end
    local client, seen = world.connect(server, { max_reconnect_attempts = 2 })
    world.await(function() return server:request_count() == 9 and client:health().is_connected end)
    for _, problem in ipairs(seen.errors) do assert.not_equal("EXHAUSTED", problem.code) end
    assert.equal(1, seen.errors[1].attempt)
  end)
end)

describe("the wait", function()
  -- The waits that a client plans after streams that end, each the first of a session, in ms.
  local function planned_waits(count, options)
    local server = world.server()
    for _ = 1, count do server:behave { { { stream = 0 } } } end
    options = options or {}
    options.url = server.url
    local client = world.open(options)
    local seen = world.watch(client)
    local waits = {}
    for number = 1, count do
      local problem = world.await(function() return seen.errors[number] end)
      waits[number] = problem.next_retry_at - wall_ms()
      client:reconnect()
    end
    world.close()
    return math.max((table.unpack or unpack)(waits))
  end

  it("is drawn below reconnect_delay_ms: a second, or what the caller says (R08, R19)", function()
    local longest = planned_waits(40)
    assert.is_true(longest > 300 and longest <= 1000, longest) -- all 40 below: once in 10^20 runs
    longest = planned_waits(40, { reconnect_delay_ms = 20000 })
    assert.is_true(longest > 6000 and longest <= 20000, longest)
    assert.is_true(planned_waits(3, { reconnect_delay_ms = 0 }) <= 0)
  end)

  it("is random below a cap that doubles: never more than max_reconnect_delay_ms", function()
    local _, seen = world.connect({ url = world.refusing_url() }, { reconnect_delay_ms = 1, max_reconnect_delay_ms = 4 })
    for count = 1, 4 do
      world.await(function() return #seen.errors == count end)
      assert.is_true(seen.errors[count].next_retry_at <= wall_ms() + 4)
    end
  end)

  -- The wait that a client plans after an answer with this Retry-After, in ms: the least and the most that it can be.
  local function planned_after(status, retry_after)
    local before = wall_ms()
    local client, seen = meeting { status = status, headers = { ["Retry-After"] = retry_after } }
    local problem = world.await_error(seen, "HTTP_STATUS")
    assert.equal(status, problem.status)
    assert.is_true(math.abs(client:health().next_retry_at - problem.next_retry_at) <= 1)
    local least, most = problem.next_retry_at - wall_ms(), problem.next_retry_at - before
    world.close()
    return least, most
  end

  it("is at least what Retry-After says, in seconds, spread beyond it, and shows in next_retry_at", function()
    for _, status in ipairs { 503, 429, 408 } do
      local least, most = planned_after(status, "120")
      assert.is_true(most >= 120000)
      assert.is_true(least <= 180000)
    end
  end)

  it("is at least what Retry-After says, as a date", function()
    local second = uv.gettimeofday()
    local least, most = planned_after(503, os.date("!%a, %d %b %Y %H:%M:%S GMT", second + 120))
    assert.is_true(most >= 118000)
    assert.is_true(least <= 180000)
  end)

  it("is no longer for a Retry-After that has passed, or that says nothing", function()
    for _, retry_after in ipairs { "Sun, 06 Nov 1994 08:49:37 GMT", "0", "-5", "soon", ("9"):rep(30) } do
      local least = planned_after(503, retry_after)
      assert.is_true(least <= 1, retry_after)
    end
  end)

  it("is an hour at most where Retry-After is beyond all reason", function()
    local least, most = planned_after(503, ("9"):rep(18))
    assert.is_true(most >= 3600000)
    assert.is_true(least <= 5400000)
  end)

  it("is at least what retry: says, from the end of its line on (R01, R02, R05, R12)", function()
    for _, text in ipairs { "retry: 60000\n", "retry: 00060000\n\n", "retry:60000\nretry: 1000x\nretry\nretry:\ndata: {}\n\n" } do
      local before = wall_ms()
      local _, seen = meeting { { send = text }, { finish = true } }
      local problem = world.await_error(seen, "STREAM_ENDED")
      assert.is_true(problem.next_retry_at >= before + 60000, text)
      assert.is_true(problem.next_retry_at <= wall_ms() + 120000, text)
      world.close()
    end
  end)

  it("ignores a retry: that is not digits alone (R03, R04)", function()
    local _, seen = meeting { { send = "retry: 60000x\nretry: -60000\nretry: 6e4\nretry:  60000\n" }, { finish = true } }
    assert.is_true(world.await_error(seen, "STREAM_ENDED").next_retry_at < wall_ms() + 60000)
  end)

  it("is clamped for a retry: beyond all reason", function()
    local _, seen = meeting { { send = "retry: 99999999999999999999999999\n" }, { finish = true } }
    assert.is_true(world.await_error(seen, "STREAM_ENDED").next_retry_at < wall_ms() + 24 * 3600 * 1000)
  end)

  it("is skipped by reconnect() (R14)", function()
    local client, seen, server = meeting({ { send = "retry: 3600000\n" }, { finish = true } })
    world.await_error(seen, "STREAM_ENDED")
    assert.is_true(client:health().next_retry_at > wall_ms())
    assert.is_true(client:reconnect())
    world.await_state(client)
    assert.equal(2, server:request_count())
    assert.is_nil(client:health().next_retry_at)
  end)

  it("is ended by disconnect() (C04)", function()
    local client, seen, server = meeting({ { send = "retry: 3600000\n" }, { finish = true } })
    world.await_error(seen, "STREAM_ENDED")
    client:disconnect()
    world.turn()
    assert.is_true(world.is_at_rest())
    assert.is_nil(client:health().next_retry_at)
    assert.equal("disconnected", client:health().state)
    assert.equal(1, server:request_count())
  end)
end)

describe("a stream that ends at once, over and over", function()
  local function meeting_ends(count, ending, options)
    local server = world.server()
    for _ = 1, count do server:behave { { { stream = 0 }, ending } } end
    local client, seen = world.connect(server, options)
    return client, seen, server
  end

  it("is called by its name: a tight loop, with the number of connects and how the last one ended", function()
    for text, ending in pairs { ["the server ended the stream"] = { finish = true }, [".+"] = { cut = true } } do
      local client, seen, server = meeting_ends(5, ending)
      world.await(function() return server:request_count() == 6 and client:health().is_connected end)
      local end_code = ending.finish and "STREAM_ENDED" or "STREAM_CUT"
      assert.same({ end_code, end_code, "TIGHT_LOOP", "TIGHT_LOOP", "TIGHT_LOOP" }, seen.codes)
      for count = 3, 5 do
        local problem = seen.errors[count]
        assert.matches(("^tight loop: %d connects without an event; " .. text .. "$"):format(count), problem.message)
        assert.equal("retry", problem.class)
        assert.is_true(problem.retryable)
        assert.is_number(problem.next_retry_at)
      end
      world.close()
    end
  end)

  it("backs off: that it opened does not start the backoff afresh", function()
    local _, seen = meeting_ends(9, { finish = true }, { reconnect_delay_ms = 1, max_reconnect_delay_ms = 3600000 })
    local longest = 0
    for count = 1, 9 do
      local problem = world.await(function() return seen.errors[count] end)
      local ceiling = 2 ^ (count - 1)
      local planned = problem.next_retry_at - wall_ms()
      assert.is_true(planned <= ceiling, count)
      longest = math.max(longest, planned)
    end
    assert.is_true(longest > 1) -- none of the 9 longer: once in some 10^8 runs
  end)

  it("is no tight loop when it brought an event each time", function()
    local server = world.server()
    for number = 1, 5 do server:behave { { { send = ("data: %d\n\n"):format(number) } } } end
    local client, seen = world.connect(server)
    world.await(function() return server:request_count() == 6 and client:health().is_connected end)
    assert.same({ "STREAM_ENDED", "STREAM_ENDED", "STREAM_ENDED", "STREAM_ENDED", "STREAM_ENDED" }, seen.codes)
  end)

  it("is no tight loop any more once a stream brought one", function()
    local server = world.server()
    local barren, fertile = { { stream = 0 } }, { { send = "data: 1\n\n" } }
    server:behave { barren, barren, barren, fertile, barren, barren, barren }
    local client, seen = world.connect(server)
    world.await(function() return server:request_count() == 8 and client:health().is_connected end)
    local ended, tight = "STREAM_ENDED", "TIGHT_LOOP"
    assert.same({ ended, ended, tight, ended, ended, ended, tight }, seen.codes)
  end)
end)
