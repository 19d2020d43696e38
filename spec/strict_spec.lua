--- strict = true: the letter of the standard (WHATWG HTML 9.2.3) where the default is kinder.

local world = require "spec.support.world"

after_each(world.close)

local function meeting(scripts, options)
  local server = world.server()
  server:behave(scripts)
  local client, seen = world.connect(server, options)
  return client, seen, server
end

-- An answer that would be a stream if its status were 200.
local function stream_with(status)
  return { status = status, content_type = "text/event-stream", body = "data: {}\n\n", headers = { ["Retry-After"] = "0" } }
end

describe("strict = true", function()
  it("gives up at every status but 200: one request, no open, no message (H12)", function()
    for _, status in ipairs { 500, 501, 502, 503, 504, 429, 425, 408, 401, 403, 404, 410, 400, 205, 210, 299 } do
      local client, seen, server = meeting({ { stream_with(status) } }, { strict = true })
      world.await_state(client, "error")
      assert.same({ "connecting", "error" }, seen.states)
      assert.equal(1, #seen.codes)
      local problem = seen.errors[1]
      assert.equal(status, problem.status)
      assert.equal("fatal", problem.class)
      assert.is_false(problem.retryable)
      assert.is_nil(problem.next_retry_at)
      assert.equal(0, client:metrics().total_events)
      assert.is_true(world.is_at_rest())
      assert.equal(1, server:request_count())
      world.close()
    end
  end)

  it("gives up at a status on a reconnect too (H12)", function()
    local client, seen, server = meeting({ { { stream = 0 } }, { { status = 503 } } }, { strict = true })
    world.await_state(client, "error")
    assert.same({ "STREAM_ENDED", "HTTP_STATUS" }, seen.codes)
    assert.same({ "connecting", "connected", "reconnecting", "error" }, seen.states)
    assert.is_true(world.is_at_rest())
    assert.equal(2, server:request_count())
  end)

  it("still reconnects when a stream ends, breaks off or cannot be had: so says the standard (R07, R09)", function()
    local client, seen, server = meeting({
      { { stream = 0 } }, { { stream = 0 }, { cut = true } }, { { refuse = true } },
    }, { strict = true })
    world.await(function() return server:request_count() == 4 and client:health().is_connected end)
    assert.same({ "STREAM_ENDED", "STREAM_CUT", "NETWORK" }, seen.codes)
  end)

  it("still follows redirects (H07)", function()
    local client, seen = meeting({ status = 302, headers = { Location = "?moved=1" } }, { strict = true })
    world.await_state(client)
    assert.same({}, seen.codes)
  end)

  it("tries the next url all the same", function()
    local first, second = world.server(), world.server()
    first:behave { status = 503 }
    local client = world.connect({ url = { first.url, second.url } }, { strict = true })
    world.await_state(client)
    assert.equal(1, second:request_count())
  end)
end)

describe("by default", function()
  it("a status that may pass is tried again, and the others are not", function()
    for status, is_retried in pairs {
      [500] = true, [503] = true, [429] = true, [425] = true, [408] = true, [404] = false, [410] = false, [299] = false,
    } do
      local client, seen, server = meeting { stream_with(status) }
      world.await_state(client, is_retried and "connected" or "error")
      assert.same({ "HTTP_STATUS" }, seen.codes)
      assert.equal(is_retried and "retry" or "fatal", seen.errors[1].class)
      assert.equal(is_retried and 2 or 1, server:request_count())
      world.close()
    end
  end)

  it("may be made strict while the client is connected", function()
    local client, seen, server = meeting { { stream = true } }
    world.await_state(client)
    assert.is_true(client:configure { strict = true })
    world.turn()
    assert.equal(1, server:request_count()) -- nothing that the server sees has changed
    server:behave { status = 503 }
    server:drop()
    world.await_state(client, "error")
    assert.same({ "STREAM_ENDED", "HTTP_STATUS" }, seen.codes)
  end)
end)
