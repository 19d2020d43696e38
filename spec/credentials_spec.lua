--- Credentials: refused ones are asked for once more, and those that expire are renewed before they do.

local sync = require "sync"
local world = require "spec.support.world"

after_each(world.close)

local SECRET = "hush4711"

-- A token function that gives "t1", "t2", ..., each with this time to live.
local function numbered_tokens(ttl_ms)
  local calls = { count = 0 }
  return function()
    calls.count = calls.count + 1
    return "t" .. calls.count, ttl_ms
  end, calls
end

local function assert_numbered_tokens(server)
  for number, request in ipairs(server.requests) do
    assert.equal("Bearer t" .. number, request.headers.authorization)
  end
end

describe("401 or 403", function()
  -- A client with numbered tokens, whose first requests get these statuses.
  local function refused(statuses, options)
    local server = world.server()
    for _, status in ipairs(statuses) do server:behave { status = status } end
    local token, calls = numbered_tokens()
    options = options or {}
    options.token = options.token or token
    local client, seen = world.connect(server, options)
    return client, seen, server, calls
  end

  it("asks the token function once more, at once, and connects with what it gives", function()
    for _, status in ipairs { 401, 403 } do
      local client, seen, server, calls = refused({ status }, { reconnect_delay_ms = 3600000 })
      world.await_state(client)
      assert.same({ "connecting", "connected" }, seen.states)
      assert.same({ "HTTP_AUTH" }, seen.codes)
      assert.equal("authentication", seen.errors[1].class)
      assert.equal(status, seen.errors[1].status)
      assert.is_true(seen.errors[1].retryable)
      assert.is_number(seen.errors[1].next_retry_at)
      assert.equal(2, calls.count)
      assert_numbered_tokens(server)
      world.close()
    end
  end)

  it("gives up when the second one is refused as well", function()
    for _, statuses in ipairs { { 401, 401 }, { 403, 401 } } do
      local client, seen, server, calls = refused(statuses)
      world.await_state(client, "error")
      assert.same({ "HTTP_AUTH", "HTTP_AUTH" }, seen.codes)
      local problem = seen.errors[2]
      assert.equal("authentication", problem.class)
      assert.is_false(problem.retryable)
      assert.is_nil(problem.next_retry_at)
      assert.equal("HTTP_AUTH", client:health().error.code)
      assert.is_true(world.is_at_rest())
      assert.same({ 2, 2 }, { server:request_count(), calls.count })
      assert.is_true(client:reconnect()) -- and then it asks again
      world.await_state(client)
      assert.equal(3, calls.count)
      world.close()
    end
  end)

  it("asks a headers function once more too", function()
    local server = world.server()
    server:behave { status = 401 }
    local calls = 0
    local client = world.connect(server, { headers = function()
      calls = calls + 1
      return { ["X-Api-Key"] = "key " .. calls }
    end })
    world.await_state(client)
    assert.equal("key 2", server.requests[2].headers["x-api-key"])
  end)

  it("on a reconnect is the same: the credentials have expired meanwhile", function()
    local client, seen, server = refused {}
    world.await_state(client)
    for round = 1, 3 do
      server:behave { status = 401 }
      server:drop()
      world.await(function() return server:request_count() == 1 + 2 * round and client:health().is_connected end)
    end
    assert_numbered_tokens(server)
    local ended, auth = "STREAM_ENDED", "HTTP_AUTH"
    assert.same({ ended, auth, ended, auth, "TIGHT_LOOP", auth }, seen.codes)
  end)

  it("gives up at once where nobody can be asked", function()
    for _, options in ipairs { { token = "static" }, { headers = { Authorization = "Bearer static" } } } do
      local server = world.server()
      server:behave { status = 401 }
      local client, seen = world.connect(server, options)
      world.await_state(client, "error")
      assert.same({ "HTTP_AUTH" }, seen.codes)
      assert.is_false(seen.errors[1].retryable)
      assert.is_nil(seen.errors[1].next_retry_at)
      assert.is_true(world.is_at_rest())
      assert.equal(1, server:request_count())
      world.close()
    end
  end)

  it("asks nobody again with strict = true, nor with auto_reconnect = false", function()
    for option, value in pairs { strict = true, auto_reconnect = false } do
      local client, seen, _, calls = refused({ 401 }, { [option] = value })
      world.await_state(client, "error")
      assert.same({ "HTTP_AUTH" }, seen.codes)
      assert.is_nil(seen.errors[1].next_retry_at)
      assert.is_true(world.is_at_rest())
      assert.equal(1, calls.count)
      world.close()
    end
  end)

  it("is followed by backoff where the function fails the second time, and asks again then", function()
    local calls = 0
    local client, seen, server = refused({ 401 }, { token = function()
      calls = calls + 1
      if calls == 2 then error "vault is sealed" end
      return "t" .. calls
    end })
    world.await_state(client)
    assert.same({ "HTTP_AUTH", "CREDENTIALS" }, seen.codes)
    assert.equal("Bearer t3", server.requests[2].headers.authorization)
  end)
end)

describe("a token that cannot be sent", function()
  it("is CREDENTIALS, named by its header, and is not shown", function()
    for _, byte in ipairs { "\r", "\n", "\0" } do
      for name, options in pairs {
        Authorization = { token = function() return SECRET .. byte .. "X-Smuggled: 1" end },
        ["X-Api-Key"] = { headers = function() return { ["X-Api-Key"] = SECRET .. byte } end },
      } do
        local server = world.server()
        local client, seen = world.connect(server, options)
        local problem = world.await_error(seen, "CREDENTIALS")
        assert.matches("headers." .. name .. ": byte ", problem.message, 1, true)
        assert.matches(" of the value is CR, LF or NUL", problem.message, 1, true)
        assert.is_nil(problem.message:find(SECRET, 1, true))
        assert.equal(0, server:request_count())
        client:close()
      end
    end
  end)

  it("is CREDENTIALS for a time to live that is no time", function()
    for _, ttl_ms in ipairs { "soon", {}, true, 0 / 0 } do
      local server = world.server()
      local _, seen = world.connect(server, { token = function() return SECRET, ttl_ms end })
      local problem = world.await_error(seen, "CREDENTIALS")
      assert.matches("token: the function gave a %l+ as the token's time to live, not milliseconds", problem.message)
      assert.is_nil(problem.message:find(SECRET, 1, true))
      assert.equal(0, server:request_count())
      world.close()
    end
  end)
end)

describe("a token with a time to live", function()
  -- A client whose tokens live for `ttl_ms`, connected.
  local function connected(ttl_ms, server_options, options)
    local server = world.server(server_options)
    local token, calls = numbered_tokens(ttl_ms)
    options = options or {}
    options.token = options.token or token
    local client, seen = world.connect(server, options)
    local numbers = world.collect_numbers(client)
    world.await_state(client)
    return { server = server, calls = calls, client = client, seen = seen, numbers = numbers }
  end

  -- Events come as fast as they can, until `condition` holds; they all came once and in order, over whatever it took.
  local function assert_nothing_lost_until(here, condition)
    local publisher = world.publish_steadily(here.server)
    world.await(condition)
    publisher:close()
    world.await(function() return #here.numbers >= publisher.count end)
    world.turn()
    world.assert_in_order(here.numbers, publisher.count)
  end

  local function assert_never_away(here)
    assert.same({ "connecting", "connected" }, here.seen.states)
    assert.same({}, here.seen.codes)
    assert.equal(0, here.client:health().total_reconnects)
    assert.is_true(here.client:health().is_connected)
    world.await(function() return here.server:stream_count() == 1 end)
  end

  it("is renewed before it is over: a new stream first, then the old one is closed; nothing is lost or doubled", function()
    local here = connected(50)
    assert_nothing_lost_until(here, function() return here.client:metrics().renewals >= 5 end)
    assert_never_away(here)
    assert_numbered_tokens(here.server)
    assert.is_true(here.server:request_count() >= 6)
    for number = 2, 6 do
      local gap_ms = here.server.requests[number].at - here.server.requests[number - 1].at
      assert.is_true(gap_ms >= 35, gap_ms) -- not at once
    end
  end)

  it("is renewed as well where events have no ids", function()
    local here = connected(400, { ids = false })
    assert_nothing_lost_until(here, function() return here.client:metrics().renewals >= 2 end)
    assert_never_away(here)
    assert_numbered_tokens(here.server)
    assert.is_true(here.client:metrics().duplicates > 0) -- both streams had them for a while
  end)

  it("is asked for once each time", function()
    local here = connected(50)
    assert_nothing_lost_until(here, function() return here.client:metrics().renewals >= 3 end)
    assert.is_true(here.calls.count <= here.client:metrics().renewals + 2) -- the first, and perhaps one under way
  end)

  -- Only the watchdog of the stream waits for something, or there was a renewal.
  local function assert_not_renewed(here)
    world.await(function() return sync.timeout_ms() > 60000 or here.server:request_count() > 1 end)
    assert.equal(1, here.server:request_count())
    world.close()
  end

  it("is not renewed where it does not expire, or does so in no time", function()
    assert_not_renewed(connected(nil))
    for _, ttl_ms in ipairs { 0, -1, math.huge } do assert_not_renewed(connected(ttl_ms)) end
  end)

  it("is not renewed with auto_reconnect = false", function()
    assert_not_renewed(connected(50, nil, { auto_reconnect = false }))
  end)

  it("is renewed through redirects too", function()
    local here = connected(50)
    here.server:behave { { { status = 307, headers = { Location = "?moved=1" } } } }
    assert_nothing_lost_until(here, function() return here.client:metrics().renewals >= 1 end)
    assert_never_away(here)
    assert.equal("1", here.server.requests[3].query.moved)
    assert.equal("Bearer t2", here.server.requests[3].headers.authorization)
  end)

  -- A renewal that fails is told, and the stream that is open goes on.
  local function assert_stream_goes_on(script, code, class)
    local here = connected(100)
    here.server:behave { script }
    assert_nothing_lost_until(here, function() return here.seen.errors[1] end)
    local problem = here.seen.errors[1]
    assert.same({ code }, here.seen.codes)
    assert.equal(class, problem.class)
    assert.is_true(problem.retryable) -- it is tried again, whatever it was
    assert.is_number(problem.next_retry_at)
    assert.same({ "connecting", "connected" }, here.seen.states)
    assert.equal(0, here.client:metrics().renewals)
    assert.equal(2, here.server:request_count())
    world.await(function() return here.server:stream_count() == 1 end)
    world.close()
    return problem
  end

  it("that cannot be renewed is told, and the stream goes on as long as the server lets it", function()
    assert_stream_goes_on({ { status = 401 } }, "HTTP_AUTH", "authentication")
    assert_stream_goes_on({ { status = 503 } }, "HTTP_STATUS", "retry")
    assert_stream_goes_on({ { status = 404 } }, "HTTP_STATUS", "fatal")
    assert_stream_goes_on({ { html = 200 } }, "CONTENT_TYPE", "fatal")
    assert_stream_goes_on({ { refuse = true } }, "NETWORK", "retry")
  end)

  it("is not asked for again before the time that the server names", function()
    local plain = assert_stream_goes_on({ { status = 503 } }, "HTTP_STATUS", "retry")
    local floored = assert_stream_goes_on({ { status = 503, headers = { ["Retry-After"] = "3600" } } }, "HTTP_STATUS", "retry")
    assert.is_true(floored.next_retry_at - plain.next_retry_at > 3500000)
  end)

  it("that cannot be had is told, and the stream goes on", function()
    local calls = 0
    local here = connected(nil, nil, { token = function()
      calls = calls + 1
      if calls > 1 then error "vault is sealed" end
      return "t1", 50
    end })
    assert_nothing_lost_until(here, function() return here.seen.errors[1] end)
    assert.same({ "CREDENTIALS" }, here.seen.codes)
    assert.matches("vault is sealed", here.seen.errors[1].message, 1, true)
    assert.same({ "connecting", "connected" }, here.seen.states)
    assert.equal(1, here.server:request_count())
  end)

  it("is no longer renewed when the stream is lost meanwhile: the client reconnects", function()
    local here = connected(50)
    here.server:behave { { { stall = true } } }
    world.await(function() return here.server:request_count() == 2 end)
    world.publish(here.server, 1, 5)
    here.server:drop("reset")
    assert.equal(0, here.server:stream_count())
    world.publish(here.server, 6, 9)
    world.await(function() return #here.numbers >= 9 end)
    world.assert_in_order(here.numbers, 9)
    assert.same({ "STREAM_CUT" }, here.seen.codes)
    assert.equal("reconnecting", here.seen.states[3])
    assert.equal(1, here.client:health().total_reconnects)
    assert.equal("Bearer t3", here.server.requests[3].headers.authorization)
  end)

  it("has been renewed already when the old stream ends just then: nobody notices", function()
    local here = connected(100, { ids = false })
    world.publish(here.server, 1, 3)
    world.await(function() return here.server:stream_count() == 2 end)
    local client = here.client
    world.publish(here.server, 4, 6)
    here.server.streams[1]:finish()
    world.await(function() return client:metrics().renewals == 1 end)
    world.publish(here.server, 7, 9)
    world.await(function() return #here.numbers >= 9 end)
    world.assert_in_order(here.numbers, 9)
    assert.same({ "connecting", "connected" }, here.seen.states)
    assert.same({}, here.seen.codes)
  end)

  it("is forgotten by disconnect(), reconnect() and close() in the middle of a renewal", function()
    for _, ending in ipairs { "disconnect", "reconnect", "network_changed", "close" } do
      local here = connected(50)
      here.server:behave { { { stall = true } } }
      world.await(function() return here.server:request_count() == 2 end)
      here.client[ending](here.client)
      if ending == "reconnect" or ending == "network_changed" then
        world.await(function() return here.server:request_count() == 3 and here.client:health().is_connected end)
        world.await(function() return here.server:stream_count() == 1 end)
      else
        world.await(function() return here.server:stream_count() == 0 end)
        assert.is_true(world.is_at_rest())
      end
      assert.equal(0, here.client:metrics().renewals)
      world.close()
    end
  end)
end)
