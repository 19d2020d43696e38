--- Redirects: which are followed, how, how far, and what does not go along.

local world = require "spec.support.world"

after_each(world.close)

local EVENTS = "/api/v1/sync/events"
local STATUSES = { 301, 302, 303, 307, 308 }
local SECRET = "hush4711"

-- A script for one request.
local function redirect(status, location)
  return { { status = status, headers = { Location = location } } }
end

-- A client whose first requests meet these redirects; the next ones are served normally.
local function redirected(redirects, options)
  local server = world.server()
  server:behave(redirects)
  local client, seen = world.connect(server, options)
  return client, seen, server
end

-- The client has given up, after so many requests: it says so once, and no timer will wake it again.
local function assert_given_up(client, seen, server, code, requests)
  local problem = world.await_error(seen, code)
  assert.same({ code }, seen.codes)
  assert.equal("fatal", problem.class)
  assert.is_false(problem.retryable)
  assert.is_nil(problem.next_retry_at)
  assert.equal("error", client:health().state)
  assert.is_true(world.is_at_rest())
  assert.equal(requests, server:request_count())
  return problem
end

describe("a redirect", function()
  it("of every kind is followed, wherever its Location begins (H07)", function()
    for _, status in ipairs(STATUSES) do
      local server = world.server()
      local authority = server.url:match "//.*"
      for _, location in ipairs {
        server.url .. EVENTS .. "?moved=1", authority .. EVENTS .. "?moved=1", EVENTS .. "?moved=1", "events?moved=1",
        "?moved=1", "../sync/./events?moved=1", "?moved=1#fragment",
      } do
        local before = server:request_count()
        server:behave(redirect(status, location))
        local client, seen = world.connect(server)
        world.await_state(client)
        assert.equal(before + 2, server:request_count())
        assert.equal(EVENTS .. "?moved=1", server.requests[before + 2].target, location)
        assert.same({ "connecting", "connected" }, seen.states)
        assert.same({}, seen.codes)
        client:close()
      end
      world.close()
    end
  end)

  it("may follow on another, each relative to the one before", function()
    local other = world.server { path = "/moved/events" }
    other:behave { redirect(308, "events?hop=3"), redirect(303, "?hop=4") }
    local client, _, server = redirected { redirect(307, "?hop=1"), redirect(301, other.url .. "/moved/events?hop=2") }
    world.await_state(client)
    local targets = {}
    for _, each in ipairs { server, other } do
      for _, request in ipairs(each.requests) do targets[#targets + 1] = request.target end
    end
    assert.same({
      EVENTS, EVENTS .. "?hop=1", "/moved/events?hop=2", "/moved/events?hop=3", "/moved/events?hop=4",
    }, targets)
  end)

  it("leads to a stream that works, and events come", function()
    local other = world.server()
    local client = redirected { redirect(302, other.url .. EVENTS) }
    local events = world.collect(client)
    world.await_state(client)
    world.publish(other, 1, 3)
    world.await(function() return #events == 3 end)
    assert.equal("ORDER-3", events[3].order_id)
  end)

  it("without a Location, or with an empty one, is an error and no loop (H08)", function()
    for _, status in ipairs(STATUSES) do
      for _, location in ipairs { false, "" } do
        local client, seen, server = redirected { redirect(status, location) }
        local problem = assert_given_up(client, seen, server, "HTTP_REDIRECT", 1)
        assert.equal(status, problem.status)
        assert.matches(("the server answered %d: it names no location"):format(status), problem.message, 1, true)
        world.close()
      end
    end
  end)

  it("to what is no url of ours is an error", function()
    for _, location in ipairs {
      "mailto:a@b", "ftp://127.0.0.1/", "file:///etc/passwd", "http://", "http://127.0.0.1:99999/", "http://[::1", "data:,x",
    } do
      local client, seen, server = redirected { redirect(302, location) }
      local problem = assert_given_up(client, seen, server, "HTTP_REDIRECT", 1)
      assert.matches("its location cannot be used: ", problem.message, 1, true)
      world.close()
    end
  end)

  it("to 204 ends the client, as 204 itself does (H10)", function()
    local client, seen, server = redirected { redirect(301, "?gone=1"), { { status = 204 } } }
    assert.equal(204, assert_given_up(client, seen, server, "HTTP_NO_CONTENT", 2).status)
  end)

  it("to a page, or to an error, is told with where it led", function()
    local client, seen, server = redirected { redirect(302, "?login=1"), { { html = 200 } } }
    local problem = assert_given_up(client, seen, server, "CONTENT_TYPE", 2)
    assert.matches("text/html, after a redirect to " .. server.url .. EVENTS .. ": <!DOCTYPE html>", problem.message, 1, true)
    world.close()
    client, seen, server = redirected { redirect(302, "?try=1"), { { status = 503 } } }
    world.await_state(client)
    assert.same({ "HTTP_STATUS" }, seen.codes)
    assert.matches("503, after a redirect to " .. server.url .. EVENTS, seen.errors[1].message, 1, true)
  end)

  it("to where nobody listens is tried again, from the first url on", function()
    local client, seen, server = redirected { redirect(302, world.refusing_url() .. EVENTS) }
    world.await_state(client)
    assert.same({ "REFUSED" }, seen.codes)
    assert.matches(", after a redirect to http://127%.0%.0%.1:%d+" .. EVENTS, seen.errors[1].message)
    assert.equal(2, server:request_count())
  end)

  it("is read before its body, whatever that is", function()
    local page = redirect(302, "?moved=1")
    page[1].body = ("x"):rep(300000)
    local client, seen, server = redirected { page }
    world.await_state(client)
    assert.same({}, seen.codes)
    assert.equal(2, server:request_count())
  end)
end)

describe("max_redirects", function()
  -- A server that only ever redirects to itself.
  local function carousel(options)
    local redirects = {}
    for hop = 1, 40 do redirects[hop] = redirect(302, "?hop=" .. hop) end
    return redirected(redirects, options)
  end

  it("ends a loop of redirects: 20, or what the caller says", function()
    for limit, options in pairs { [20] = {}, [3] = { max_redirects = 3 }, [0] = { max_redirects = 0 } } do
      local client, seen, server = carousel(options)
      local problem = assert_given_up(client, seen, server, "HTTP_REDIRECT", limit + 1)
      assert.matches("one redirect more than max_redirects allows, to " .. server.url, problem.message, 1, true)
      world.close()
    end
  end)

  it("allows as many as it says, at every connect anew", function()
    local server = world.server()
    for _ = 1, 3 do
      server:behave { redirect(302, "?hop=1"), redirect(302, "?hop=2"), { { stream = 0 }, { finish = true } } }
    end
    local client, seen = world.connect(server, { max_redirects = 2 })
    world.await(function() return server:request_count() == 10 and client:health().is_connected end)
    for _, code in ipairs(seen.codes) do assert.not_equal("HTTP_REDIRECT", code) end
  end)
end)

describe("a reconnect", function()
  it("begins with the url that was given, not where a redirect led (R17)", function()
    local other = world.server()
    local server = world.server()
    for _ = 1, 3 do server:behave(redirect(301, other.url .. EVENTS)) end
    local client = world.connect(server)
    for count = 1, 3 do
      world.await(function() return other:request_count() == count and client:health().is_connected end)
      assert.equal(count, server:request_count())
      other:drop()
    end
    world.await(function() return server:request_count() == 4 and client:health().is_connected end)
    assert.equal(3, other:request_count())
  end)

  it("leaves the url that is told what it was: the one given (H23)", function()
    local other = world.server()
    local client, _, server = redirected { redirect(301, other.url .. EVENTS) }
    world.await_state(client)
    assert.equal("sync.client " .. server.url .. " (connected)", tostring(client))
  end)

  it("takes the last event ID along to where it is redirected, another origin too (L08)", function()
    local other = world.server()
    for _, location in ipairs { "?moved=1", other.url .. EVENTS } do
      local server = world.server()
      local client = world.connect(server)
      local events = world.collect(client)
      world.await_state(client)
      world.publish(server, 1, 1)
      world.await(function() return #events == 1 end)
      server:behave(redirect(307, location))
      server:drop()
      world.await(function() return client:health().total_reconnects == 1 end)
      local target = location:find "^http" and other or server
      local last_event_id = target.requests[#target.requests].headers["last-event-id"]
      assert.equal(server.ring:id(1), last_event_id)
      client:close()
    end
  end)
end)

describe("the method and the body", function()
  -- The second request of a client with these options.
  local function second_request(status, options)
    local client, _, server = redirected({ redirect(status, "?moved=1") }, options)
    world.await_state(client)
    local request = server.requests[2]
    world.close()
    return request
  end

  it("become a GET without one where every browser makes it so", function()
    for _, case in ipairs {
      { 301, { body = "{}" } }, { 302, { body = "{}" } }, { 303, { body = "{}" } },
      { 303, { method = "REPORT", body = "{}" } },
    } do
      local request = second_request(case[1], case[2])
      assert.equal("GET", request.method)
      assert.equal("", request.body)
      assert.is_nil(request.headers["content-type"])
    end
  end)

  it("stay what they are otherwise", function()
    for _, case in ipairs {
      { 307, { body = "{}" } }, { 308, { body = "{}" } }, { 301, { method = "REPORT", body = "{}" } },
      { 302, { method = "REPORT", body = "{}" } }, { 307, { method = "REPORT", body = "{}" } },
    } do
      local request = second_request(case[1], case[2])
      assert.equal(case[2].method or "POST", request.method)
      assert.equal("{}", request.body)
      assert.equal("application/json", request.headers["content-type"])
    end
  end)

  it("do not go to another origin; a GET in their place does", function()
    local other = world.server()
    for _, status in ipairs { 307, 308 } do
      local client, seen, server = redirected({ redirect(status, other.url .. EVENTS) }, { body = SECRET })
      local problem = assert_given_up(client, seen, server, "HTTP_REDIRECT", 1)
      assert.matches("the body does not go to another origin: " .. other.url, problem.message, 1, true)
      client:close()
    end
    assert.equal(0, other:request_count())
    local client = redirected({ redirect(303, other.url .. EVENTS) }, { body = SECRET })
    world.await_state(client)
    assert.equal("GET", other.requests[1].method)
    assert.equal("", other.requests[1].body)
  end)
end)

describe("what the user gave", function()
  -- Options that hold the secret, each in another place; `url` is that of the server.
  local function secretive(url)
    return {
      { token = SECRET }, { token = function() return SECRET end },
      { headers = { Authorization = "Bearer " .. SECRET } }, { headers = { ["X-Api-Key"] = SECRET } },
      { headers = function() return { ["X-Api-Key"] = SECRET } end },
      { headers = { Cookie = "session=" .. SECRET } }, { headers = { Accept = "text/event-stream, x/" .. SECRET } },
      { headers = { ["User-Agent"] = SECRET } }, { headers = { ["Last-Event-ID"] = SECRET } },
      { url = url:gsub("//", "//till:" .. SECRET .. "@") .. EVENTS },
    }
  end

  -- "till:hush4711" as HTTP's Basic scheme has it.
  local BASIC = "dGlsbDpodXNoNDcxMQ=="

  local function is_in(request)
    local text = request.target .. request.body
    for name, value in pairs(request.headers) do text = ("%s\n%s: %s"):format(text, name, value) end
    return (text:find(SECRET, 1, true) or text:find(BASIC, 1, true)) ~= nil
  end

  -- Lets each of the clients be redirected to `location`, and gives the last request of `target`.
  local function each_last_request(server, location, target, check)
    for _, options in ipairs(secretive(server.url)) do
      local before = target:request_count()
      server:behave(redirect(302, location))
      local client, seen = world.connect(server, options)
      world.await_state(client)
      assert.same({}, seen.codes)
      assert.is_true(target:request_count() > before)
      check(target.requests[target:request_count()])
      client:close()
    end
  end

  it("goes along within the origin (H18)", function()
    local server = world.server()
    each_last_request(server, "?moved=1", server, function(request) assert.is_true(is_in(request)) end)
  end)

  it("does not go to another origin: no header of any name, no password (H18)", function()
    local server, other = world.server(), world.server()
    each_last_request(server, other.url .. EVENTS, other, function(request)
      assert.is_false(is_in(request))
      assert.equal("text/event-stream", request.headers.accept)
      assert.equal("no-cache", request.headers["cache-control"])
      assert.matches("^ordersync/", request.headers["user-agent"])
    end)
  end)

  it("does not come back once the way has led through another origin", function()
    local server, other = world.server(), world.server()
    for _ = 1, 10 do other:behave(redirect(302, server.url .. EVENTS .. "?back=1")) end
    each_last_request(server, other.url .. EVENTS, server, function(request)
      assert.equal("1", request.query.back)
      assert.is_false(is_in(request))
    end)
  end)

  it("is kept from another host on the same port, and not from the same in other letters", function()
    local names = { ["kitchen.example"] = "127.0.0.1", ["elsewhere.example"] = "127.0.0.1" }
    for host, is_same in pairs { ["KITCHEN.Example"] = true, ["elsewhere.example"] = false } do
      local server = world.server()
      server:behave(redirect(302, ("http://%s:%d%s"):format(host, server.port, EVENTS)))
      local client = world.connect({ url = "http://kitchen.example:" .. server.port }, { token = SECRET, resolve = names })
      world.await_state(client)
      assert.is_true(is_in(server.requests[1]))
      assert.equal(is_same, is_in(server.requests[2]))
      world.close()
    end
  end)

  it("is said not to have gone along, where the other origin asks for it", function()
    local other = world.server()
    other:behave { status = 401 }
    local client, seen = redirected({ redirect(302, other.url .. EVENTS) }, { token = SECRET })
    local problem = world.await_error(seen, "HTTP_AUTH")
    assert.matches("(another origin: headers and token were not sent)", problem.message, 1, true)
    assert.is_nil(problem.message:find(SECRET, 1, true))
    assert.equal("error", client:health().state)
  end)
end)
