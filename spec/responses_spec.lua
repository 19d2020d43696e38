--- What the server answers: which response is a stream, which ends the client, which is tried again, and what is said.

local world = require "spec.support.world"

after_each(world.close)

-- A client whose first request meets `script`; the next ones are served normally.
local function meeting(script, options)
  local server = world.server()
  server:behave { script }
  local client, seen = world.connect(server, options)
  return client, seen, server
end

-- The client has given up: it says so once, delivers nothing, and no timer will wake it again.
local function assert_given_up(client, seen, server, code)
  local problem = world.await_error(seen, code)
  assert.same({ code }, seen.codes)
  assert.is_false(problem.retryable)
  assert.is_nil(problem.next_retry_at)
  assert.equal("error", client:health().state)
  assert.equal("error", client:health().status)
  assert.equal(code, client:health().error.code)
  assert.equal(0, client:metrics().total_events)
  assert.is_true(world.is_at_rest())
  assert.equal(1, server:request_count())
  return problem
end

describe("204", function()
  it("on the first response ends it: one request, no reconnect (H09)", function()
    local client, seen, server = meeting { status = 204 }
    local problem = assert_given_up(client, seen, server, "HTTP_NO_CONTENT")
    assert.equal(204, problem.status)
    assert.same({ "connecting", "error" }, seen.states)
  end)

  it("on a reconnect ends a stream that had worked (H11)", function()
    local server = world.server()
    server:behave { { { stream = 0 } }, { { status = 204 } } }
    local client, seen = world.connect(server)
    world.await_error(seen, "HTTP_NO_CONTENT")
    assert.same({ "STREAM_ENDED", "HTTP_NO_CONTENT" }, seen.codes)
    assert.same({ "connecting", "connected", "reconnecting", "error" }, seen.states)
    assert.is_true(world.is_at_rest())
    assert.equal(2, server:request_count())
    client:reconnect()
    world.await_state(client)
  end)
end)

describe("another status", function()
  it("of a client's mistake ends it, even with an event stream in it (H12)", function()
    for _, status in ipairs { 400, 404, 405, 410, 205, 299, 304 } do
      local client, seen, server = meeting {
        status = status, content_type = "text/event-stream", body = "data: {}\n\n",
      }
      local problem = assert_given_up(client, seen, server, "HTTP_STATUS")
      assert.equal(status, problem.status)
      assert.matches(tostring(status), problem.message, 1, true)
      world.close()
    end
  end)

  it("that wants other credentials ends it with HTTP_AUTH", function()
    for _, status in ipairs { 401, 403 } do
      local client, seen, server = meeting({ status = status }, { token = "wrong" })
      local problem = assert_given_up(client, seen, server, "HTTP_AUTH")
      assert.equal(status, problem.status)
      assert.equal("authentication", problem.class)
      assert.matches("token", problem.hint)
      world.close()
    end
  end)

  it("that may pass is tried again (5xx, 408, 425, 429)", function()
    for _, status in ipairs { 500, 501, 502, 503, 504, 599, 408, 425, 429 } do
      local client, seen, server = meeting {
        status = status, content_type = "text/event-stream", body = "data: {}\n\n",
      }
      world.await_state(client)
      assert.same({ "HTTP_STATUS" }, seen.codes)
      assert.equal(status, seen.errors[1].status)
      assert.is_true(seen.errors[1].retryable)
      assert.equal(0, client:metrics().total_events)
      assert.equal(2, server:request_count())
      world.close()
    end
  end)

  it("with an HTML page shows status and the page's beginning", function()
    local _, seen = meeting { html = 502 }
    local problem = world.await_error(seen, "HTTP_STATUS")
    assert.equal(502, problem.status)
    assert.matches("^the server answered 502: <!DOCTYPE html> ?<html>.*502 Bad Gateway", problem.message)
    assert.is_nil(problem.message:find("%c"))
  end)

  it("with a long page shows no more than its beginning", function()
    local _, seen = meeting { status = 500, body = ("long "):rep(100000) }
    local problem = world.await_error(seen, "HTTP_STATUS")
    assert.matches("500: long long ", problem.message, 1, true)
    assert.is_true(#problem.message < 400)
  end)
end)

describe("the content type", function()
  local function stream_as(content_type, options)
    return meeting({ { content_type = content_type }, { send = "data: {}\n\n" }, { stall = true } }, options)
  end

  it("is text/event-stream in any case, with any parameter (H15, H16, P01)", function()
    for _, content_type in ipairs {
      "text/event-stream", "Text/Event-Stream", "text/event-stream;", "text/event-stream; charset=utf-8",
      "text/event-stream;charset=windows-1252", "text/event-stream ; x=y",
    } do
      local client, seen = stream_as(content_type)
      world.await(function() return client:metrics().total_events == 1 end)
      assert.same({}, seen.codes)
      world.close()
    end
  end)

  it("that is another, or none, is refused before a byte is parsed (H13, H14, H17)", function()
    for _, content_type in ipairs {
      "text/html", "text/x-bogus", "x bogus", "text/event-streams", "text/event", "application/json", "", false,
    } do
      local client, seen, server = stream_as(content_type)
      local problem = assert_given_up(client, seen, server, "CONTENT_TYPE")
      assert.equal(200, problem.status)
      assert.matches(content_type or "no content type", problem.message, 1, true)
      world.close()
    end
  end)

  it("of a login page shows what came instead", function()
    local client, seen, server = meeting { html = 200 }
    local problem = assert_given_up(client, seen, server, "CONTENT_TYPE")
    assert.matches("text/html: <!DOCTYPE html>", problem.message, 1, true)
  end)
end)

describe("a response", function()
  it("makes the client connected once its head is there, before any message (C02, H27)", function()
    local server = world.server()
    server:behave { { { send = ":\n" }, { stall = true } } }
    local client, seen = world.connect(server)
    world.await_state(client)
    assert.same({ "connecting", "connected" }, seen.states)
    assert.equal("healthy", client:health().status)
  end)

  it("leaves the client connecting while it is awaited (H27)", function()
    local hole = world.black_hole()
    local client, seen = world.connect(hole)
    world.await(function() return #hole.heads == 1 end)
    world.turn()
    assert.equal("connecting", client:health().state)
    assert.is_true(client:health().is_connecting)
    assert.same({ "connecting" }, seen.states)
    hole.peers[1]:write(require("spec.support.listener").STREAM_HEAD)
    world.await_state(client)
  end)

  it("may come after 100 Continue and in any pieces", function()
    local head = "HTTP/1.1 100 Continue\r\n\r\n" .. require("spec.support.listener").STREAM_HEAD .. "data: 1\n\n"
    local listener = world.listener(function(peer)
      local function write_from(at)
        if at <= #head then peer:write(head:sub(at, at), function() write_from(at + 1) end) end
      end
      write_from(1)
    end)
    local client, seen = world.connect(listener)
    local events = world.collect(client)
    world.await(function() return #events == 1 end)
    assert.same({}, seen.codes)
  end)

  it("in gzip is read when the client accepts it", function()
    local server = world.server()
    server:behave { { { gzip = true }, { stream = 3 }, { finish = true } }, { { gzip = true, split = 1 }, { stream = true } } }
    local client, seen = world.connect(server, { accept_encoding = "gzip" })
    local numbers = {}
    client:subscribe(function(event) numbers[#numbers + 1] = event.data.number end)
    world.await_state(client)
    world.publish(server, 1, 6)
    world.await(function() return #numbers == 6 end)
    assert.same({ 1, 2, 3, 4, 5, 6 }, numbers)
    assert.same({ "STREAM_ENDED" }, seen.codes)
    assert.equal("gzip", server.requests[1].headers["accept-encoding"])
  end)

  it("cut in the middle of a chunk is STREAM_CUT", function()
    local head = "HTTP/1.1 200 OK\r\nContent-Type: text/event-stream\r\nTransfer-Encoding: chunked\r\n\r\n"
    local listener = world.listener(function(peer) peer:write(head .. "64\r\ndata: 1\n\n"):finish() end)
    local client, seen = world.connect(listener)
    world.await_error(seen, "STREAM_CUT")
    assert.is_true(client:metrics().total_events >= 1)
  end)

  it("of nothing but blank lines brings nothing (P29)", function()
    local client, seen = meeting { { send = "\n\n\n\r\n\r\r" }, { finish = true } }
    world.await_error(seen, "STREAM_ENDED")
    assert.equal(0, client:metrics().total_events)
  end)
end)
