--- The server over real sockets: its life, its streams and what they bring.
-- Resuming, the other endpoints and misbehaviour have specs of their own in `server/`.

local cjson = require "cjson"
local client = require "spec.server.client"
local scene = require "spec.server.scene"
local server = require "sync.server"
local uv = require "luv"

local await, fetch = client.await, client.fetch
local start, connect, open, publish = scene.start, scene.connect, scene.open, scene.publish
local body_until = scene.body_until
local EVENTS = scene.events_path

after_each(scene.clear)

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
    local count, padding = 20000, (" "):rep(500) -- 10 MB: more than a socket takes
    for index = 1, count do s:publish { type = "n", text = index .. padding } end
    uv.run("nowait")
    assert.is_true(uv.stream_get_write_queue_size(s.streams[1].connection.socket) <= 65536 + 16)
    opened:resume_reading()
    local expected = 0
    s:drop()
    for number in opened:await_complete_body():gmatch("event: n\ndata: (%d+) +\n\n") do
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

describe("a ring file", function()
  local path

  before_each(function()
    path = os.tmpname()
    os.remove(path) -- a name was wanted, not a file
  end)
  after_each(function() os.remove(path) end)

  local function content()
    local file = assert(io.open(path, "rb"))
    local all = file:read("*a")
    file:close()
    return all
  end

  local function append_text(text)
    local file = assert(io.open(path, "ab"))
    file:write(text)
    file:close()
  end

  it("lets the next server go on with the same ids, replay and orders", function()
    local first = start { ring_file = path }
    local wires = publish(first, 3)
    local id_of_first = first.ring:id(1)
    first:close()
    local second = start { ring_file = path }
    assert.equal(first.ring.epoch, second.ring.epoch)
    assert.equal(3, second.orders:count())
    wires[4] = second:publish({ type = "note", data = { n = 4 } }).wire
    assert.equal(second.ring:id(4), wires[4]:match("^id: (%S+)"))
    local opened = open(second, "", { ["Last-Event-ID"] = id_of_first })
    assert.equal(wires[2] .. wires[3] .. wires[4], body_until(opened, wires[4]))
  end)

  it("has an event before its publisher is answered, and needs no clean end", function()
    local s = start { ring_file = path }
    local _, _, answer = fetch(s.port, "POST", EVENTS, {}, '{"type":"note","data":{"n":1}}')
    local id = cjson.decode(answer).id
    assert.matches('"id":"' .. id:gsub("%-", "%%-") .. '"', content()) -- the server still runs
  end)

  it("passes over an event whose writing was cut short", function()
    local first = start { ring_file = path }
    publish(first, 2)
    first:close()
    append_text('{"sequence":3,"wire":"id: ')
    local second = start { ring_file = path }
    assert.equal(2, second.ring.newest)
    assert.is_nil(content():find("id: $"))
  end)

  it("begins again with a new epoch", function()
    local first = start { ring_file = path }
    publish(first, 2)
    first:new_epoch()
    publish(first, 1)
    local epoch = first.ring.epoch
    first:close()
    local second = start { ring_file = path }
    assert.same({ epoch, 1 }, { second.ring.epoch, second.ring.newest })
  end)

  it("stays small", function()
    local s = start { ring_file = path, replay_limit = 2 }
    publish(s, 2500)
    local _, lines = content():gsub("\n", "")
    assert.is_true(lines <= 1001)
    assert.equal(2500, s.ring.newest)
  end)

  it("is refused when it is something else, or cannot be written", function()
    append_text("not a ring\n")
    local s, message, code = server.start { ring_file = path }
    assert.same({ nil, "RING_FILE" }, { s, code })
    assert.equal(("RING_FILE: %s: line 1 is not of a ring"):format(path), message)
    assert.equal("RING_FILE", select(3, server.start { ring_file = path .. "/below" }))
  end)
end)

describe("the simulation", function()
  it("publishes by itself, and by hand", function()
    local s = start { simulate = { orders = 2, interval_ms = 1, seed = 1 } }
    assert.matches("event: stage_change\n", body_until(open(s), "stage_change\n")) -- orders may be older than the stream
    s:close()
    local by_hand = start { simulate = { interval_ms = 0 } }
    by_hand.simulation:step()
    assert.same({ 1, 1 }, { by_hand.ring.newest, by_hand.orders:count() })
  end)
end)
