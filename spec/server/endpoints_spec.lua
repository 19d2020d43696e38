--- The endpoints beside the stream, and the report of the requests to all of them.

local cjson = require "cjson"
local client = require "spec.server.client"
local scene = require "spec.server.scene"

local fetch = client.fetch
local start, connect, open, publish = scene.start, scene.connect, scene.open, scene.publish
local body_until = scene.body_until
local EVENTS = scene.events_path

after_each(scene.clear)

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

  it("that come after the last answer of a connection are not heard", function()
    local s = start()
    local asker = connect(s):request("GET", "/healthz", { Connection = "close" })
    assert.equal("EOF", asker:await_end())
    asker:request("GET", "/healthz")
    fetch(s.port, "GET", "/healthz")
    assert.equal(2, s:request_count("/healthz"))
  end)

  it("that wait for 100 Continue get it", function()
    local asker = connect(start())
    asker:send("POST " .. EVENTS .. " HTTP/1.1\r\nHost: h\r\nExpect: 100-continue\r\nContent-Length: 12\r\n\r\n")
    asker:await_bytes("HTTP/1.1 100 Continue\r\n\r\n")
    asker:send('{"type":"a"}'):await_bytes("HTTP/1.1 201 Created")
  end)
end)
