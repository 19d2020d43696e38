--- What the client asks of the server: the request line, the headers, the body, and how it gets there.

local directory = require "spec.support.directory"
local world = require "spec.support.world"
local STREAM_HEAD = require("spec.support.listener").STREAM_HEAD

after_each(world.close)

local EVENTS = "/api/v1/sync/events"

-- The first request that a client with these options makes, as the server saw it.
local function request_of(options)
  local server = world.server()
  world.connect(server, options)
  return world.await(function() return server.requests[1] end), server
end

-- The head of the first request, byte for byte.
local function head_of(options)
  local listener = world.listener(function(peer) peer:write(STREAM_HEAD) end)
  world.connect(listener, options)
  return world.await(function() return listener.heads[1] end), listener
end

describe("the request", function()
  it("is a GET with the headers of event streams, and no others than needed (H01, H02, H03)", function()
    local head, listener = head_of()
    local lines = {}
    for line in head:gmatch("([^\r\n]+)\r\n") do lines[#lines + 1] = line end
    assert.equal("GET " .. EVENTS .. " HTTP/1.1", table.remove(lines, 1))
    table.sort(lines)
    assert.equal("Accept: text/event-stream", lines[1])
    assert.equal("Cache-Control: no-cache", lines[2])
    assert.equal("Host: 127.0.0.1:" .. listener.port, lines[3])
    assert.matches("^User%-Agent: ordersync/%d", lines[4])
    assert.equal(4, #lines)
  end)

  it("carries the filters as query parameters", function()
    local query = request_of({ order_id = "ORDER-001", event_types = { "stage_change", "payment_update" } }).query
    assert.same({ orderID = "ORDER-001", eventTypes = "stage_change,payment_update" }, query)
    assert.same({ eventTypes = "a,b" }, (request_of { event_types = "a,b" }).query)
    assert.same({}, (request_of()).query)
  end)

  it("encodes every byte of a filter", function()
    for _, order_id in ipairs { "A&B=C", "a b+c", "100%", "é/豆?#", "\1\127", "x;y:@!$'()*,[]{}|\\^`\"<>~" } do
      local request = request_of { order_id = order_id }
      assert.equal(order_id, request.query.orderID)
      assert.is_nil(request.target:find("[^%w%-._~!$'()*+,;:@/?=&%%]"), request.target)
      world.close()
    end
  end)

  it("has the method and the body that are asked for (H05, H06), again on reconnect (R16)", function()
    local server = world.server()
    server:behave { { stream = 0 }, { cut = true } }
    local body = '{"hello": "w\0rld"}'
    local client = world.connect(server, { method = "REPORT", body = body, headers = { ["Content-Type"] = "application/x" } })
    world.await(function() return server:request_count() == 2 and client:health().is_connected end)
    for _, request in ipairs(server.requests) do
      assert.equal("REPORT", request.method)
      assert.equal(body, request.body)
      assert.equal("application/x", request.headers["content-type"])
      assert.is_nil(request.headers.expect)
    end
  end)

  it("is a POST of JSON when only a body is given", function()
    local request = request_of { body = '{"orders":[]}' }
    assert.equal("POST", request.method)
    assert.equal('{"orders":[]}', request.body)
    assert.equal("application/json", request.headers["content-type"])
    assert.equal("text/event-stream", request.headers.accept)
  end)

  it("has a long body, without a round trip for its permission", function()
    local body = ("x"):rep(500000)
    local request = request_of { body = body }
    assert.is_true(request.body == body)
    assert.is_nil(request.headers.expect)
  end)

  it("accepts a coding only when asked to", function()
    assert.is_nil((request_of()).headers["accept-encoding"])
    assert.equal("gzip", (request_of { accept_encoding = "gzip" }).headers["accept-encoding"])
  end)
end)

describe("headers", function()
  it("of a table are sent with every request (H04)", function()
    local server = world.server()
    server:behave { { stream = 0 } }
    local client = world.connect(server, { headers = { ["X-Api-Key"] = "k1", ["X-Terminal"] = 7, ["X-Empty"] = "" } })
    world.await(function() return server:request_count() == 2 and client:health().is_connected end)
    for _, request in ipairs(server.requests) do
      assert.equal("k1", request.headers["x-api-key"])
      assert.equal("7", request.headers["x-terminal"])
      assert.equal("", request.headers["x-empty"])
    end
  end)

  it("take the place of the client's own, in any case, once", function()
    local head = head_of {
      headers = { accept = "text/event-stream, */*", ["CACHE-CONTROL"] = "no-store", ["User-agent"] = "till/1" },
    }
    assert.matches("\r\naccept: text/event-stream, */*\r\n", head, 1, true)
    assert.matches("\r\nCACHE-CONTROL: no-store\r\n", head, 1, true)
    assert.matches("\r\nUser-agent: till/1\r\n", head, 1, true)
    assert.equal(1, select(2, head:lower():gsub("\r\naccept:", "")))
    assert.equal(1, select(2, head:lower():gsub("\r\ncache%-control:", "")))
    assert.equal(1, select(2, head:lower():gsub("\r\nuser%-agent:", "")))
  end)

  it("of a function are asked afresh at every connect", function()
    local server = world.server()
    for _ = 1, 2 do server:behave { { { stream = 0 } } } end
    local calls = 0
    local client = world.connect(server, { headers = function()
      calls = calls + 1
      return { ["X-Call"] = tostring(calls) }
    end })
    world.await(function() return server:request_count() == 3 and client:health().is_connected end)
    for number, request in ipairs(server.requests) do assert.equal(tostring(number), request.headers["x-call"]) end
    assert.equal(3, calls)
  end)

  it("of a function may be none", function()
    local server = world.server()
    local client, seen = world.connect(server, { headers = function() end })
    world.await_state(client)
    assert.same({}, seen.codes)
  end)

  it("follow configure", function()
    local server = world.server()
    local client = world.connect(server, { headers = { ["X-Shift"] = "early" } })
    world.await_state(client)
    assert.is_true(client:configure { headers = { ["X-Shift"] = "late" } })
    world.await(function() return server:request_count() == 2 end)
    assert.equal("late", server.requests[2].headers["x-shift"])
  end)
end)

describe("token", function()
  it("is sent as a bearer token", function()
    assert.equal("Bearer t0k3n", (request_of { token = "t0k3n" }).headers.authorization)
  end)

  it("of a function is asked afresh at every connect, reconnect() included", function()
    local server = world.server()
    server:behave { { stream = 0 } }
    local calls = 0
    local client = world.connect(server, { token = function()
      calls = calls + 1
      return "t" .. calls, 60000
    end })
    world.await(function() return server:request_count() == 2 and client:health().is_connected end)
    client:reconnect()
    world.await(function() return server:request_count() == 3 end)
    for number, request in ipairs(server.requests) do
      assert.equal("Bearer t" .. number, request.headers.authorization)
    end
  end)

  it("of a function may be none", function()
    assert.is_nil((request_of { token = function() end }).headers.authorization)
  end)

  it("that cannot be had is CREDENTIALS, and is asked for again", function()
    local server = world.server()
    local answers = {
      function() error("vault is sealed") end, function() return 42 end, function() return "two\r\nlines" end,
      function() return "good" end,
    }
    local calls = 0
    local client, seen = world.connect(server, { token = function()
      calls = calls + 1
      return answers[calls]()
    end })
    world.await_state(client)
    assert.same({ "CREDENTIALS", "CREDENTIALS", "CREDENTIALS" }, seen.codes)
    assert.matches("vault is sealed", seen.errors[1].message)
    assert.matches("token: the function gave a number, not a string", seen.errors[2].message, 1, true)
    for attempt, problem in ipairs(seen.errors) do
      assert.equal(attempt, problem.attempt)
      assert.is_true(problem.retryable)
      assert.is_number(problem.next_retry_at)
    end
    assert.equal(1, server:request_count())
    assert.equal("Bearer good", server.requests[1].headers.authorization)
  end)

  it("may take its time: it yields, and the request waits", function()
    local server = world.server()
    world.connect(server, { token = function() return coroutine.yield("asks") end })
    local resume = world.host()
    while resume() ~= "asks" do world.turn_servers() end
    world.turn()
    assert.equal(0, server:request_count())
    resume("late")
    world.await(function() return server:request_count() == 1 end)
    assert.equal("Bearer late", server.requests[1].headers.authorization)
  end)

  it("function may close the client", function()
    local server = world.server()
    local client, calls = nil, 0
    client = world.connect(server, { token = function()
      calls = calls + 1
      client:close()
      return "t"
    end })
    world.await(function() return calls == 1 end)
    world.turn()
    assert.equal(0, server:request_count())
  end)
end)

describe("the url's user and password", function()
  it("are sent as Basic credentials with the first request, and not in the request line", function()
    local listener = world.listener(function(peer) peer:write(STREAM_HEAD) end)
    local client = world.connect({ url = ("http://till:s3cret@127.0.0.1:%d"):format(listener.port) })
    world.await_state(client)
    assert.matches("\r\nAuthorization: Basic dGlsbDpzM2NyZXQ=\r\n", listener.heads[1], 1, true)
    assert.is_nil(listener.heads[1]:find("s3cret", 1, true))
  end)
end)

describe("the way", function()
  it("may be a Unix socket", function()
    local folder = directory.new()
    local path = folder:of "events.sock"
    local listener = world.listener(function(peer) peer:write(STREAM_HEAD .. "data: 1\n\n") end, { path = path })
    local client = world.connect({ url = "http://kitchen.example" }, { unix_socket = path })
    local events = world.collect(client)
    world.await(function() return #events == 1 end)
    assert.matches("^GET " .. EVENTS .. " HTTP/1.1\r\n", listener.heads[1])
    assert.matches("\r\nHost: kitchen.example\r\n", listener.heads[1], 1, true)
    listener:close()
    folder:close()
  end)

  it("may be a proxy", function()
    local proxy = world.listener(function(peer) peer:write(STREAM_HEAD) end)
    local client = world.connect({ url = "http://kitchen.example/sse" }, { proxy = proxy.url })
    world.await_state(client)
    assert.matches("^GET http://kitchen.example/sse HTTP/1.1\r\n", proxy.heads[1])
  end)

  it("may be HTTP/1.1 by demand", function()
    assert.matches("^GET %S+ HTTP/1%.1\r\n", (head_of { http_version = "1.1" }))
  end)

  it("is TLS for https: a server that has none is a TLS error", function()
    local listener = world.listener(function() end, { greeting = "220 no TLS here\r\n" })
    local _, seen = world.connect({ url = "https://127.0.0.1:" .. listener.port })
    assert.equal("TLS", world.await(function() return seen.errors[1] end).code)
  end)
end)
