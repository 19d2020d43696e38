--- The server over real sockets: its endpoints, filters, replay, drops, and its report of requests.
-- What it does on command is in `server/misbehave_spec.lua`.

local cjson = require "cjson"
local client = require "spec.server.client"
local server = require "sync.server"
local uv = require "luv"

local await, fetch = client.await, client.fetch
local EVENTS = "/api/v1/sync/events"

local running, clients = nil, {}

local function start(options)
  options = options or {}
  options.heartbeat_ms = options.heartbeat_ms or 0
  running = assert(server.start(options))
  return running
end

local function connect(s)
  local connected = assert(client.connect(s.port))
  clients[#clients + 1] = connected
  return connected
end

local function open(s, query, headers)
  local opened = connect(s):request("GET", EVENTS .. (query or ""), headers)
  opened:await_body("event: connected")
  return opened
end

-- The body after `connected`, once it contains `text`.
local function body_until(opened, text)
  return opened:await_body(text):match("event: connected\n.-\n\n(.*)$")
end

local function publish(s, count)
  local wires = {}
  for index = 1, count do
    wires[index] = s:publish({ type = "stage_change", order_id = "ORDER-" .. index, data = { newStage = "open" } }).wire
  end
  return wires
end

after_each(function()
  for _, each in ipairs(clients) do each:close() end
  if running then running:close() end
  running, clients = nil, {}
  uv.run() -- ends only when nothing is left: a leaked handle hangs here
end)

describe("server.start", function()
  it("takes a free port and tells where it is", function()
    local s = start()
    assert.equal("http://127.0.0.1:" .. s.port, s.url)
    assert.equal(200, (fetch(s.port, "GET", "/healthz")))
  end)

  it("names an unknown option and a wrong type", function()
    assert.error_matches(function() server.start { prot = 1 } end, "start: prot: unknown option %(known: .*port")
    assert.error_matches(function() server.start { port = "80" } end, "server%.start: port: integer wanted, not 80")
    assert.error_matches(function() server.start { simulate = { order = 1 } } end, "simulate%.order: unknown option")
  end)

  it("says that a port is taken", function()
    local s = start()
    local other, message, code = server.start { port = s.port }
    assert.is_nil(other)
    assert.equal("LISTEN", code)
    assert.equal(("LISTEN: 127.0.0.1 port %d: EADDRINUSE: address already in use"):format(s.port), message)
  end)

  it("serves the stream at another path", function()
    local s = start { path = "/sse" }
    connect(s):request("GET", "/sse"):await_body("event: connected")
    assert.equal(404, (fetch(s.port, "GET", EVENTS)))
  end)

  it("tells a log what happens, without the query", function()
    local lines = {}
    local s = start { log = function(line) lines[#lines + 1] = line end }
    open(s, "?token=secret")
    s:drop()
    assert.same({ "connection 1: GET " .. EVENTS, "connection 1: stream ended" }, lines)
  end)
end)

describe("a stream", function()
  it("begins with a head for event streams and with connected", function()
    local s = start()
    local opened = open(s)
    local status, headers = opened:head()
    assert.equal(200, status)
    assert.same({
      ["content-type"] = "text/event-stream", ["cache-control"] = "no-cache", ["x-accel-buffering"] = "no",
      ["transfer-encoding"] = "chunked", connection = "keep-alive",
    }, headers)
    local id, json = opened:body():match("^id: (%S+)\nevent: connected\ndata: (.-)\n\n$")
    assert.equal(s.ring.epoch .. "-0", id)
    local data = cjson.decode(json)
    assert.matches("^client_%d+_[0-9a-z]+$", data.clientId)
    assert.matches("^%d%d%d%d%-%d%d%-%d%dT%d%d:%d%d:%d%d%.%d%d%dZ$", data.timestamp)
    assert.equal("SSE connection established", data.message)
  end)

  it("says the reconnection time first, if there is one", function()
    local s = start { retry_ms = 1500 }
    assert.matches("^retry: 1500\n\nid: %S+\nevent: connected\n", (open(s):body()))
  end)

  it("brings what is published, as publish returned it", function()
    local s = start()
    local opened = open(s)
    local published = s:publish { type = "stage_change", order_id = "ORDER-001", data = { newStage = "open" } }
    assert.equal(s.ring.epoch .. "-1", published.id)
    assert.equal(published.wire, body_until(opened, "ORDER-001"))
  end)

  it("brings heartbeats with the number of streams, and comments", function()
    local s = start()
    local first = open(s)
    open(s)
    s:heartbeat()
    s:comment("hello")
    local body = body_until(first, ": hello\n\n")
    assert.matches('^event: heartbeat\ndata: {"timestamp":"%d[^"]+Z","activeConnections":2}\n\n: hello\n\n$', body)
  end)

  it("brings heartbeats by itself", function()
    local s = start { heartbeat_ms = 1 }
    assert.matches("^event: heartbeat\n", body_until(open(s), "activeConnections"))
  end)

  it("can be of identity coding, ended by the end of the connection", function()
    local s = start { chunked = false }
    local opened = connect(s):request("GET", EVENTS):await_bytes("established")
    local _, headers = opened:head()
    assert.is_nil(headers["transfer-encoding"])
    assert.equal("close", headers.connection)
    local wire = publish(s, 1)[1]
    s:drop()
    assert.equal("EOF", opened:await_end())
    assert.equal(wire, opened.bytes:sub(-#wire))
  end)

  it("has no chunks for a client of HTTP/1.0", function()
    local opened = connect(start()):send("GET " .. EVENTS .. " HTTP/1.0\r\n\r\n"):await_bytes("established")
    assert.is_nil(opened.bytes:find("chunked", 1, true))
  end)

  it("opens with POST and REPORT as well, for a client that accepts event streams", function()
    local s = start()
    connect(s):request("REPORT", EVENTS, nil, '{"a":1}'):await_body("event: connected")
    connect(s):request("POST", EVENTS, { Accept = "text/event-stream" }, '{"a":2}'):await_body("event: connected")
    assert.equal('{"a":1}', s.requests[1].body)
    assert.equal('{"a":2}', s.requests[2].body)
    assert.equal(2, s:stream_count())
  end)

  it("is counted until its client leaves", function()
    local s = start()
    local opened = open(s)
    assert.equal(1, s:stream_count())
    assert.equal(EVENTS, s.streams[1].request.path)
    opened:close()
    await(function() return s:stream_count() == 0 end)
  end)
end)

describe("filters", function()
  local function publish_mixed(s)
    s:publish { type = "stage_change", order_id = "A", text = "a-stage" }
    s:publish { type = "payment_update", order_id = "A", text = "a-payment" }
    s:publish { type = "stage_change", order_id = "B", text = "b-stage" }
    s:publish { type = "queue_update", text = "queue" }
    s:comment("end")
  end

  local function seen(s, query)
    local opened = open(s, query)
    publish_mixed(s)
    local texts = {}
    for text in body_until(opened, ": end"):gmatch("data: (%S+)") do texts[#texts + 1] = text end
    return texts
  end

  it("choose by order", function()
    assert.same({ "a-stage", "a-payment" }, seen(start(), "?orderID=A"))
  end)

  it("choose by types", function()
    assert.same({ "a-payment", "queue" }, seen(start(), "?eventTypes=payment_update,%20queue_update"))
  end)

  it("choose by both, and let all pass when empty", function()
    assert.same({ "b-stage" }, seen(start(), "?orderID=B&eventTypes=stage_change"))
    running:close()
    assert.same({ "a-stage", "a-payment", "b-stage", "queue" }, seen(start(), "?orderID=&eventTypes="))
  end)

  it("hold for what is replayed, and do not hold back heartbeats", function()
    local s = start()
    publish_mixed(s)
    local opened = open(s, "?orderID=B", { ["Last-Event-ID"] = s.ring:id(0) })
    s:heartbeat()
    assert.matches("^id: %S+\nevent: stage_change\ndata: b%-stage\n\nevent: heartbeat\n",
      body_until(opened, "activeConnections"))
  end)
end)

describe("resuming", function()
  local function resumed(s, last_event_id, query)
    local opened = open(s, query, last_event_id and { ["Last-Event-ID"] = last_event_id })
    s:comment("end")
    return (body_until(opened, ": end\n\n"):gsub(": end\n\n$", ""))
  end

  it("goes on right after the last event ID, in the header or the query", function()
    local s = start()
    local wires = publish(s, 5)
    assert.equal(wires[4] .. wires[5], resumed(s, s.ring:id(3)))
    assert.equal(wires[5], resumed(s, nil, "?lastEventId=" .. s.ring:id(4)))
    assert.equal("", resumed(s, s.ring:id(5)))
    assert.equal("", resumed(s, nil))
  end)

  it("gives a new client, and only that, its position with connected", function()
    local s = start()
    publish(s, 3)
    assert.matches("^id: " .. s.ring.epoch .. "%-3\nevent: connected\n", (open(s):body()))
    assert.matches("^event: connected\n", (open(s, "", { ["Last-Event-ID"] = s.ring:id(2) }):body()))
  end)

  it("says resync when the ring has overflowed, and replays what is there", function()
    local s = start { replay_limit = 2 }
    local wires = publish(s, 5)
    assert.equal(wires[4] .. wires[5], resumed(s, s.ring:id(3)))
    local id = s.ring:id(2)
    assert.equal(("id: %s\nevent: resync\ndata: {\"reason\":\"too_old\",\"lastEventID\":\"%s\"}\n\n")
      :format(s.ring:id(3), id) .. wires[4] .. wires[5], resumed(s, id))
  end)

  it("says resync for an id of another epoch and for one that is none", function()
    local s = start()
    publish(s, 2)
    local old = s.ring:id(2)
    s:new_epoch()
    local wires = publish(s, 1)
    local resync = "id: " .. s.ring:id(0) .. '\nevent: resync\ndata: {"reason":"%s","lastEventID":"%s"}\n\n'
    assert.equal(resync:format("other_epoch", old) .. wires[1], resumed(s, old))
    assert.equal(resync:format("unknown_id", "abc") .. wires[1], resumed(s, "abc"))
  end)

  it("goes on over a new epoch on an open stream", function()
    local s = start()
    local opened = open(s)
    local before = publish(s, 2)
    local old_epoch = s.ring.epoch
    s:new_epoch()
    assert.is_true(s.ring.epoch > old_epoch)
    local after = publish(s, 1)
    assert.equal(table.concat(before) .. after[1], body_until(opened, after[1]))
    assert.matches("^id: " .. s.ring.epoch .. "%-1\n", after[1])
  end)

  it("is unknown to a server without ids", function()
    local s = start { ids = false }
    local wires = publish(s, 2)
    assert.is_nil(wires[1]:find("id:", 1, true))
    assert.equal("", resumed(s, "1-1"))
    local opened = open(s, "", { ["Last-Event-ID"] = "1-1" })
    local wire = publish(s, 1)[1]
    assert.equal(wire, body_until(opened, wire))
    assert.matches("^event: connected\n", (opened:body()))
  end)
end)

describe("orders", function()
  it("are a snapshot with an ETag", function()
    local s = start()
    local status, headers, body = fetch(s.port, "GET", "/api/v1/orders")
    assert.equal(200, status)
    assert.equal('{"docs":[]}', body)
    local etag = headers.etag
    for _, field in ipairs { etag, "W/" .. etag, '"x", ' .. etag, "*" } do
      status, headers, body = fetch(s.port, "GET", "/api/v1/orders", { ["If-None-Match"] = field })
      assert.same({ 304, etag, "" }, { status, headers.etag, body })
    end
    publish(s, 2)
    status, headers, body = fetch(s.port, "GET", "/api/v1/orders", { ["If-None-Match"] = etag })
    assert.equal(200, status)
    assert.not_equal(etag, headers.etag)
    local docs = cjson.decode(body).docs
    assert.same({ "ORDER-1", "open" }, { docs[1].orderID, docs[1].orderStage })
    assert.equal(2, #docs)
  end)

  it("can be had one by one", function()
    local s = start()
    s:publish { type = "order_created", order_id = "A/B", data = { order = { totalAmount = 5 } } }
    local status, _, body = fetch(s.port, "GET", "/api/v1/orders/A%2FB")
    assert.equal(200, status)
    assert.equal(5, cjson.decode(body).totalAmount)
    assert.equal(404, (fetch(s.port, "GET", "/api/v1/orders/C")))
  end)

  it("get events by POST, which reach the streams", function()
    local s = start()
    local opened = open(s)
    local status, _, body = fetch(s.port, "POST", "/api/v1/orders/A/events", nil,
      '{"type":"stage_change","data":{"newStage":"paid"}}')
    assert.equal(201, status)
    assert.same({ id = s.ring:id(1) }, cjson.decode(body))
    status, _, body = fetch(s.port, "POST", EVENTS, nil, '{"eventType":"payment_update","orderID":"B","timestamp":"t"}')
    assert.same({ 201, s.ring:id(2) }, { status, cjson.decode(body).id })
    local text = body_until(opened, "payment_update\",")
    assert.truthy(text:find('"data":{"newStage":"paid"},"orderID":"A"', 1, true))
    assert.truthy(text:find('{"eventType":"payment_update","data":{},"orderID":"B","timestamp":"t"}', 1, true))
    assert.equal("paid", cjson.decode(s.orders:json("A")).orderStage)
  end)

  it("refuse a body that is no event, and say why", function()
    local s = start()
    local function refused(body)
      local status, _, answer = fetch(s.port, "POST", EVENTS, nil, body)
      assert.equal(400, status)
      return cjson.decode(answer).error
    end
    assert.equal("the body must be a JSON object", refused("nonsense"))
    assert.equal("x: unknown field", refused('{"type":"a","x":1}'))
    assert.matches("type: a name of one line is wanted", refused('{"data":{}}'))
    assert.equal(0, s.ring.newest)
  end)
end)

describe("publish", function()
  it("raises on misuse and leaves no hole in the ids", function()
    local s = start()
    assert.error_matches(function() s:publish {} end, "publish: type: a name of one line is wanted")
    assert.error_matches(function() s:publish { type = "a\nb" } end, "publish: type: a name of one line is wanted")
    assert.error_matches(function() s:publish { type = "a", orderID = "x" } end, "publish: orderID: unknown field")
    assert.error_matches(function() s:publish { type = "a", order_id = 1 } end, "publish: order_id: string wanted")
    assert.error_matches(function() s:publish { type = "a", data = print } end, "publish: data: Cannot serialise")
    assert.error_matches(function() s:publish "a" end, "publish: a table is wanted")
    assert.equal(s.ring:id(1), s:publish({ type = "a" }).id)
  end)

  it("keeps what a client does not read out of the socket, and loses none of it", function()
    local s = start()
    local opened = open(s)
    opened:pause_reading()
    local count = 20000
    for index = 1, count do s:publish { type = "n", text = tostring(index) } end
    uv.run("nowait")
    assert.is_true(uv.stream_get_write_queue_size(s.streams[1].connection.socket) <= 65536 + 16)
    opened:resume_reading()
    local expected = 0
    await(function() return opened.bytes:find("data: " .. count .. "\n", 1, true) end)
    for number in opened:body():gmatch("event: n\ndata: (%d+)\n\n") do
      expected = expected + 1
      assert(tonumber(number) == expected)
    end
    assert.equal(count, expected)
  end)

  it("ends a stream that is too far behind, and no other", function()
    local s = start { backlog_limit_bytes = 1000000 }
    local slow, fast = open(s), open(s)
    slow:pause_reading()
    local text = ("x"):rep(400000) -- more than a socket takes, so that most of it waits here
    while s:stream_count() == 2 do
      s:publish { type = "n", text = text }
      fast.bytes = ""
      fast:await_bytes("x\n\n")
    end
    slow:resume_reading()
    assert.equal("EOF", slow:await_end())
    assert.is_nil(fast.ended)
  end)
end)

describe("drop", function()
  it("ends the streams cleanly, after what is on its way, and keeps the connection", function()
    local s = start()
    local opened = open(s)
    local wires = publish(s, 100)
    s:drop()
    assert.equal(0, s:stream_count())
    assert.equal(table.concat(wires), opened:await_complete_body():match("event: connected\n.-\n\n(.*)$"))
    opened.bytes = ""
    opened:request("GET", EVENTS):await_body("event: connected")
    assert.same({ 1, 1 }, { s.requests[1].connection, s.requests[2].connection })
  end)

  it("resets", function()
    local s = start()
    local opened = open(s)
    s:drop("reset")
    assert.equal("ECONNRESET", opened:await_end())
    assert.equal(0, s:stream_count())
  end)

  it("cuts in the middle of the next event", function()
    local s = start()
    local opened = open(s)
    local wire = publish(s, 1)[1]
    s:drop("cut")
    assert.equal("EOF", opened:await_end())
    local body, is_complete = opened:body()
    assert.is_false(is_complete)
    assert.equal(wire .. "id: " .. s.ring:id(2) .. '\nevent: stage_change\ndata: {"eventType":"stage_ch',
      body:match("event: connected\n.-\n\n(.*)$"))
    assert.equal(0, s:stream_count())
  end)

  it("knows no other way", function()
    assert.error_matches(function() start():drop("soft") end, "drop: 'clean', 'cut' or 'reset' wanted, not soft")
  end)
end)

describe("stop and restart", function()
  it("refuses connections, ends those there are without a reset, and comes back on the same port", function()
    local s = start()
    local opened, idle = open(s), connect(s)
    assert.is_true(s:stop())
    assert.is_true(s:stop())
    assert.equal("EOF", opened:await_end())
    assert.equal("EOF", idle:await_end())
    assert.same({ nil, "ECONNREFUSED" }, { client.connect(s.port) })
    assert.is_true(s:restart())
    assert.equal(0, s:stream_count())
    open(s)
  end)

  it("keeps the ring and the orders, and what was published while it was down", function()
    local s = start()
    local wires = publish(s, 1)
    s:stop()
    wires[2] = s:publish({ type = "stage_change", order_id = "A" }).wire
    s:restart()
    local opened = open(s, "", { ["Last-Event-ID"] = s.ring:id(0) })
    assert.equal(wires[1] .. wires[2], body_until(opened, wires[2]))
    assert.equal(2, s.orders:count())
  end)

  it("can forget the ring", function()
    local s = start()
    publish(s, 1)
    local old = s.ring:id(1)
    s:restart { forget = true }
    assert.matches('reason":"other_epoch"', body_until(open(s, "", { ["Last-Event-ID"] = old }), "resync"))
    assert.equal(1, s.orders:count())
  end)

  it("closes for good, more than once", function()
    local s = start { heartbeat_ms = 1000, simulate = {} }
    local opened = open(s)
    s:close()
    s:close()
    assert.equal("EOF", opened:await_end())
    local other = assert(server.start { port = s.port })
    other:close()
  end)
end)

describe("the simulation", function()
  it("publishes by itself, and by hand", function()
    local s = start { simulate = { orders = 2, interval_ms = 1, seed = 1 } }
    assert.matches("event: order_created\n", body_until(open(s), "stage_change"))
    s:close()
    local by_hand = start { simulate = { interval_ms = 0 } }
    by_hand.simulation:step()
    assert.same({ 1, 1 }, { by_hand.ring.newest, by_hand.orders:count() })
  end)
end)

describe("requests", function()
  it("are reported as they came", function()
    local s = start()
    local asker = connect(s)
    asker:request("GET", EVENTS .. "?orderID=A%20B", { ["Last-Event-ID"] = "x", ["X-Token"] = "t" })
    asker:await_body("connected")
    fetch(s.port, "GET", "/healthz")
    local first, second = s.requests[1], s.requests[2]
    assert.same({ "GET", EVENTS .. "?orderID=A%20B", EVENTS, { orderID = "A B" }, "" },
      { first.method, first.target, first.path, first.query, first.body })
    assert.same({ host = "localhost", ["last-event-id"] = "x", ["x-token"] = "t" }, first.headers)
    assert.same({ 1, 2 }, { first.connection, second.connection })
    assert.is_true(second.at >= first.at)
    assert.same({ 2, 1, 0 }, { s:request_count(), s:request_count("/healthz"), s:request_count("/") })
  end)

  it("of one connection are answered in order, also when they come at once", function()
    local s = start()
    local get = "GET %s HTTP/1.1\r\nHost: h\r\n\r\n"
    local asker = connect(s)
    asker:send(get:format("/healthz") .. get:format("/nowhere") .. get:format(EVENTS)):await_bytes("event: connected")
    local statuses = {}
    for status in asker.bytes:gmatch("HTTP/1%.1 (%d+)") do statuses[#statuses + 1] = status end
    assert.same({ "200", "404", "200" }, statuses)
  end)

  it("to nowhere, or by another method, get JSON that says so", function()
    local s = start()
    local status, headers, body = fetch(s.port, "GET", "/nowhere")
    assert.same({ 404, "application/json", { error = "no such path" } },
      { status, headers["content-type"], cjson.decode(body) })
    status, headers = fetch(s.port, "DELETE", "/api/v1/orders")
    assert.same({ 405, "GET" }, { status, headers.allow })
    status, headers = fetch(s.port, "HEAD", EVENTS)
    assert.same({ 405, "GET, POST, REPORT" }, { status, headers.allow })
  end)

  it("for the head alone get no body", function()
    local asker = connect(start()):request("HEAD", "/api/v1/orders", { Connection = "close" })
    assert.equal("EOF", asker:await_end())
    assert.matches("^HTTP/1.1 200 OK\r\n.*\r\nContent%-Length: 11\r\n.*\r\n\r\n$", asker.bytes)
  end)

  it("that are none get their status, and the connection ends", function()
    local asker = connect(start()):send("BREW\r\n\r\n")
    assert.equal("EOF", asker:await_end())
    assert.matches("^HTTP/1.1 400 Bad Request\r\n.*Connection: close\r\n\r\nmalformed request line\n$", asker.bytes)
  end)

  it("that wait for 100 Continue get it", function()
    local asker = connect(start())
    asker:send("POST " .. EVENTS .. " HTTP/1.1\r\nHost: h\r\nExpect: 100-continue\r\nContent-Length: 12\r\n\r\n")
    asker:await_bytes("HTTP/1.1 100 Continue\r\n\r\n")
    asker:send('{"type":"a"}'):await_bytes("HTTP/1.1 201 Created")
  end)
end)
