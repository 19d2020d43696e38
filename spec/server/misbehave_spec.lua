--- Scripts: every step over a real socket, judged by the exact bytes and the way the connection ended.

local client = require "spec.server.client"
local misbehave = require "sync.server.misbehave"
local scene = require "spec.server.scene"
local server = require "sync.server"
local uv = require "luv"

local await, fetch = client.await, client.fetch
local start, connect = scene.start, scene.connect
local after_connected = scene.after_connected
local EVENTS = scene.events_path

-- A server that was told to misbehave, and a client that has asked for the stream.
local function ask(scripts, headers, s)
  s = s or start()
  s:behave(scripts)
  return connect(s):request("GET", EVENTS, headers), s
end

-- The server has had every chance to say something: it has answered another client since.
local function await_a_round_trip(s)
  assert.equal(200, (fetch(s.port, "GET", "/healthz")))
end

local function publish(s, count)
  local wires = {}
  for index = 1, count do wires[index] = s:publish({ type = "n", text = "event " .. index }).wire end
  return wires
end

after_each(scene.clear)

describe("a script", function()
  it("is for one request; the next is served normally", function()
    local asker, s = ask { status = 503 }
    asker:await_bytes("\r\n\r\n")
    assert.equal(503, (asker:head()))
    asker.bytes = ""
    asker:request("GET", EVENTS):await_body("event: connected")
    assert.equal(2, s:request_count(EVENTS))
  end)

  it("waits for its turn, and for requests of the stream endpoint", function()
    local s = start()
    s:behave { { { status = 501 } }, { { status = 502 } } }
    s:behave { status = 503 }
    assert.equal(200, (fetch(s.port, "GET", "/healthz")))
    assert.equal(201, (fetch(s.port, "POST", EVENTS, nil, '{"type":"a"}')))
    for _, status in ipairs { 501, 502, 503 } do
      assert.equal(status, (fetch(s.port, "GET", EVENTS)))
    end
  end)

  it("that runs out ends the response cleanly", function()
    local asker = ask { { send = "data: a\n\n" } }
    assert.equal("data: a\n\n", asker:await_complete_body())
  end)

  it("is dropped as any stream is", function()
    local asker, s = ask { { send = "data: a\n\n" }, { stall = true } }
    asker:await_body("data: a")
    s:drop()
    assert.equal("data: a\n\n", asker:await_complete_body())
  end)

  it("comes from JSON as well", function()
    local scripts = assert(server.load_script [[ [ [{"status": 503, "headers": {"Retry-After": "1"}}],
                                                   [{"skip_ids": 3}, {"stream": 1}, {"cut": true}] ] ]])
    local s = start()
    s:behave(scripts)
    local _, headers = fetch(s.port, "GET", EVENTS)
    assert.equal("1", headers["retry-after"])
    local asker = connect(s):request("GET", EVENTS)
    asker:await_body("connected")
    local published = s:publish { type = "a" }
    assert.equal(s.ring.epoch .. "-4", published.id)
    assert.equal("EOF", asker:await_end())
  end)

  it("from JSON is refused with a code when it is none", function()
    for text, reason in pairs {
      ["{"] = "Expected object key", ['"stall"'] = "a table is wanted, not string",
      ['[{"stal":true}]'] = "script 1, step 1: unknown step 'stal' %(known: .*stall",
    } do
      local scripts, message, code = server.load_script(text)
      assert.same({ nil, "SCRIPT" }, { scripts, code })
      assert.matches("^SCRIPT: " .. reason, message)
    end
  end)

  local function refused(scripts, reason)
    local s = start()
    assert.error_matches(function() s:behave(scripts) end, "behave: " .. reason)
    assert.is_nil(s:take_script())
  end

  it("is refused before it runs when it cannot mean anything", function()
    refused("stall", "a table is wanted, not string")
    refused({}, "script 1, a script without steps")
    refused({ { stal = true } }, "script 1, step 1: unknown step 'stal' %(known: .*endless_line.*stall.*%)")
    refused({ { { stall = true } }, { { send = "a" }, { stall = 1 } } }, "script 2, step 2: stall: true wanted")
    refused({ { stall = true }, { send = "a" } }, "script 1, step 2: 'send' comes after 'stall', which ends the script")
    refused({ { stream = true }, { send = "a" } }, "script 1, step 2: 'send' comes after 'stream', which ends")
    refused({ { send = "a" }, { gzip = true } }, "script 1, step 2: 'gzip' must come before anything is sent")
    refused({ { send = "a" }, { status = 503 } }, "script 1, step 2: 'status' must come before anything is sent")
    refused({ { send = "a", stall = true } }, "script 1, step 1: '%a+' and '%a+' are two actions")
  end)

  it("is refused when a value is of the wrong kind, for every step", function()
    local wrong = {
      headers = { ["A"] = "b\r\nC: d" }, content_type = "a\nb", body = 1, gzip = false, chunked = 1, split = 0,
      drip_ms = -1, send = 1, pieces = { 1 }, raw = true, endless_line = "x", duplicate = 1.5, stream = false,
      wait_ms = "1", skip_ids = true, new_epoch = 1, status = 100, html = "502", stall = 0, finish = 1, cut = 1,
      reset = 1, half_open = 1, refuse = 1,
    }
    for name in pairs(misbehave.steps) do
      refused({ { [name] = wrong[name] } }, "script 1, step 1: " .. name .. ": .* wanted")
    end
  end)
end)

describe("an answer", function()
  it("is any status with any fields, and leaves the connection open", function()
    local headers = { ["Retry-After"] = "1", ["Set-Cookie"] = { "a", "b" } }
    local asker = ask { status = 503, headers = headers, body = "later" }
    asker:await_bytes("later")
    assert.equal("HTTP/1.1 503 Service Unavailable\r\nContent-Type: text/plain\r\nRetry-After: 1\r\n"
      .. "Set-Cookie: a\r\nSet-Cookie: b\r\nContent-Length: 5\r\n\r\nlater", asker.bytes)
    assert.is_nil(asker.ended)
  end)

  it("can send the client elsewhere, or away", function()
    local asker = ask { { { status = 307, headers = { Location = "/elsewhere" } } }, { { status = 204 } } }
    asker:await_bytes("Content-Length: 0\r\n\r\n")
    assert.matches("^HTTP/1.1 307 Temporary Redirect\r\n.*\r\nLocation: /elsewhere\r\n", asker.bytes)
    asker.bytes = ""
    asker:request("GET", EVENTS):await_bytes("\r\n\r\n")
    assert.equal("HTTP/1.1 204 No Content\r\nContent-Type: text/plain\r\n\r\n", asker.bytes)
  end)

  it("can be the page of a proxy", function()
    local asker = ask { html = 502 }
    asker:await_bytes("</html>\n")
    local status, headers, body = asker:head()
    assert.same({ 502, "text/html" }, { status, headers["content-type"] })
    assert.equal("<!DOCTYPE html>\n<html><head><title>502 Bad Gateway</title></head>"
      .. "<body><h1>502 Bad Gateway</h1></body></html>\n", body)
  end)

  it("can be bytes that are no HTTP", function()
    local asker = ask { { raw = "\0\1garbage\r\n" }, { finish = true } }
    assert.equal("EOF", asker:await_end())
    assert.equal("\0\1garbage\r\n", asker.bytes)
  end)

  it("can be a head of the script's own, and what follows is not framed", function()
    local asker, s = ask { { raw = "HTTP/1.1 200 Fine\r\n\r\n" }, { send = "data: a\n\n" }, { stall = true } }
    asker:await_bytes("a\n\n")
    assert.equal("HTTP/1.1 200 Fine\r\n\r\ndata: a\n\n", asker.bytes)
    assert.equal(1, s:stream_count())
  end)
end)

describe("the head of a stream", function()
  it("can have a wrong content type, or none, and any other field", function()
    local asker, s = ask { { content_type = "text/html", headers = { ["X-A"] = "b" } }, { stream = true } }
    asker:await_body("event: connected")
    local status, headers = asker:head()
    assert.same({ 200, "text/html", "b" }, { status, headers["content-type"], headers["x-a"] })
    asker = ask({ content_type = false, send = "" }, nil, s)
    asker:await_complete_body()
    assert.is_nil(asker.bytes:lower():find("content-type", 1, true))
  end)

  it("can do without chunks", function()
    local asker = ask { { chunked = false, send = "data: a\n\n" } }
    assert.equal("EOF", asker:await_end())
    assert.matches("Connection: close\r\n\r\ndata: a\n\n$", asker.bytes)
  end)

  it("can announce gzip, which every write can be read from at once", function()
    local asker, s = ask { { gzip = true }, { send = "data: a\n\n" }, { stream = true } }
    asker:await_body("established")
    local _, headers = asker:head()
    assert.equal("gzip", headers["content-encoding"])
    local wire = publish(s, 1)[1]
    s:drop()
    local body = asker:await_complete_body()
    assert.equal("\31\139\8\0\0\0\0\0\0\255", body:sub(1, 10))
    local at, text, is_final = 11, "", false
    while not is_final do
      local flag, low, high, low_check, high_check = body:byte(at, at + 4)
      assert.same({ 255, 255 }, { low + low_check, high + high_check })
      text = text .. body:sub(at + 5, at + 4 + low + 256 * high)
      at, is_final = at + 5 + low + 256 * high, flag == 1
    end
    assert.matches("^data: a\n\nid: .-\nevent: connected\n", text)
    assert.equal(wire, text:sub(-#wire))
    assert.equal(8, #body - at + 1)
    assert.equal(#text, body:byte(at + 4) + 256 * body:byte(at + 5))
  end)
end)

describe("the pace of a stream", function()
  it("can be of given pieces, each a write of its own", function()
    local asker = ask { pieces = { "da", "ta: x\n", "\n" } }
    asker:await_complete_body()
    assert.same({ "da", "ta: x\n", "\n" }, (asker:chunks()))
  end)

  it("can be split at every byte, or every N", function()
    local asker, s = ask { { split = "every_byte", send = "data" }, { split = 3, send = "abcde" }, { split = false },
      { send = "whole" } }
    asker:await_complete_body()
    assert.same({ "d", "a", "t", "a", "abc", "de", "whole" }, (asker:chunks()))
    asker = ask({ { split = 7 }, { stream = true } }, nil, s)
    asker:await_body("established\"}\n\n")
    local wire = publish(s, 1)[1]
    assert.equal(wire, scene.body_until(asker, "event 1\n\n"))
    for _, chunk in ipairs((asker:chunks())) do assert.is_true(#chunk <= 7) end
  end)

  it("can drip", function()
    local began = uv.hrtime()
    local asker = ask { drip_ms = 20, send = "abc" }
    asker:await_complete_body()
    assert.same({ "a", "b", "c" }, (asker:chunks()))
    assert.is_true((uv.hrtime() - began) / 1e6 > 30) -- two pauses at least, and timers may be early by a part of a ms
  end)

  it("can drip larger pieces, and stop to", function()
    local asker = ask { { drip_ms = 1, split = 2, send = "abc" }, { drip_ms = 0, split = false, send = "def" } }
    asker:await_complete_body()
    assert.same({ "ab", "c", "def" }, (asker:chunks()))
  end)

  it("can pause", function()
    local began = uv.hrtime()
    ask({ { send = "a" }, { wait_ms = 20 }, { send = "b" } }):await_complete_body()
    assert.is_true((uv.hrtime() - began) / 1e6 > 15)
  end)

  it("does not outlive a client that leaves in the middle of it", function()
    local asker, s = ask { { drip_ms = 100000, send = "abc" } }
    asker:await_body("a")
    asker:close()
    await(function() return s:stream_count() == 0 end)
    local pausing = ask({ { send = "a" }, { wait_ms = 100000 } }, nil, s)
    pausing:await_body("a")
    pausing:close()
    await(function() return s:stream_count() == 0 end)
  end)
end)

describe("the events of a stream", function()
  it("can come again", function()
    local s = start()
    local wires = publish(s, 3)
    local asker = ask({ { stream = 0 }, { duplicate = 2 }, { stream = true } }, nil, s)
    assert.equal(wires[2] .. wires[3], scene.body_until(asker, "event 3\n\n"))
  end)

  it("can skip ids", function()
    local asker, s = ask { { stream = 1 }, { skip_ids = 4 }, { stream = true } }
    asker:await_body("connected")
    publish(s, 1)
    asker:await_body("event 1")
    await(function() return s.streams[1].following end)
    publish(s, 1)
    await(function() return select(2, asker:body():gsub("event 1\n", "")) == 2 end)
    local ids = {}
    for id in asker:body():gmatch("id: %d+%-(%d+)\n") do ids[#ids + 1] = id end
    assert.same({ "0", "1", "6" }, ids)
  end)

  it("can be of a new epoch, which the client is told", function()
    local s = start()
    publish(s, 2)
    local old = s.ring:id(2)
    local asker = ask({ { new_epoch = true }, { stream = true } }, { ["Last-Event-ID"] = old }, s)
    local body = asker:await_body("event: resync")
    assert.is_true(s.ring.epoch > tonumber(old:match("^%d+")))
    assert.matches("event: connected\n.*id: " .. s.ring.epoch .. "%-0\nevent: resync\n"
      .. 'data: {"reason":"other_epoch","lastEventID":"' .. old:gsub("%-", "%%-"), body)
  end)

  it("can be of a new epoch in the middle, of which none is lost", function()
    local asker, s = ask { { stream = 1 }, { new_epoch = true }, { wait_ms = 1 }, { stream = true } }
    asker:await_body("established")
    local old_epoch = s.ring.epoch
    local wires = publish(s, 1)
    await(function() return s.ring.epoch ~= old_epoch end)
    wires[2] = publish(s, 1)[1]
    assert.equal(wires[1] .. wires[2], scene.body_until(asker, wires[2]))
  end)

  it("can stop after some, and go on with none lost", function()
    local asker, s = ask { { stream = 2 }, { send = ": pause\n\n" }, { stream = true } }
    asker:await_body("connected")
    local wires = publish(s, 5)
    assert.equal(wires[1] .. wires[2] .. ": pause\n\n" .. wires[3] .. wires[4] .. wires[5],
      scene.body_until(asker, "event 5\n\n"))
  end)

  it("count only when the client wants them", function()
    local s = start()
    s:behave { { stream = 1 }, { cut = true } }
    local asker = connect(s):request("GET", EVENTS .. "?orderID=B")
    asker:await_body("connected")
    s:publish { type = "n", order_id = "A", text = "no" }
    s:publish { type = "n", order_id = "B", text = "yes" }
    assert.equal("EOF", asker:await_end())
    assert.matches("^id: %S+\nevent: n\ndata: yes\n\nid: ", after_connected((asker:body())))
  end)

  it("can be a line without an end, of a length", function()
    local body = ask({ endless_line = 200000 }):await_complete_body()
    assert.equal("data: " .. ("x"):rep(199994), body)
  end)

  it("can be a line without an end, for ever, in bounded memory", function()
    local asker, s = ask { endless_line = true }
    await(function() return #asker.bytes > 1000000 end)
    asker:pause_reading()
    await_a_round_trip(s)
    assert.is_true(s.streams[1].outbox.bytes <= 65536)
    assert.is_nil(asker:body():find("\n", 1, true))
    asker:close()
    await(function() return s:stream_count() == 0 end)
  end)
end)

describe("the end of a stream", function()
  it("can be clean, and the connection lives on", function()
    local asker, s = ask { { send = "data: a\n\n" }, { finish = true } }
    assert.equal("data: a\n\n", asker:await_complete_body())
    asker.bytes = ""
    asker:request("GET", EVENTS):await_body("connected")
    assert.equal(1, s.requests[2].connection)
  end)

  it("can cut an event whose id is the next one", function()
    local asker, s = ask { { send = "data: a\n\n" }, { cut = true } }
    assert.equal("EOF", asker:await_end())
    local body, is_complete = asker:body()
    assert.is_false(is_complete)
    assert.equal("data: a\n\nid: " .. s.ring:id(1) .. '\nevent: stage_change\ndata: {"eventType":"stage_ch', body)
  end)

  it("can cut anywhere", function()
    local asker = ask { { cut = "data: hal" } }
    assert.equal("EOF", asker:await_end())
    assert.same({ "data: hal", false }, { asker:body() })
  end)

  it("can be a reset, after what was sent", function()
    local asker, s = ask { { send = "data: a\n\n" }, { reset = true } }
    assert.equal("ECONNRESET", asker:await_end())
    assert.same({ "data: a\n\n", false }, { asker:body() })
    assert.equal(0, s:stream_count())
  end)

  it("can be a close without a word", function()
    local asker, s = ask { refuse = true }
    assert.equal("EOF", asker:await_end())
    assert.equal("", asker.bytes)
    assert.equal(1, s:request_count(EVENTS))
  end)

  it("can be silence, in which the client's leaving is seen", function()
    local asker, s = ask { { send = "data: a\n\n" }, { stall = true } }
    asker:await_body("data: a\n\n")
    local bytes = asker.bytes
    publish(s, 1)
    s:heartbeat()
    await_a_round_trip(s)
    assert.same({ bytes, nil }, { asker.bytes, asker.ended })
    asker:shut_down()
    await(function() return s:stream_count() == 0 end)
  end)

  it("can be silence before the head", function()
    local asker, s = ask { stall = true }
    await(function() return s:request_count(EVENTS) == 1 end)
    await_a_round_trip(s)
    assert.same({ "", 0 }, { asker.bytes, s:stream_count() })
  end)

  it("can be half-open: not even the client's leaving is seen", function()
    local asker, s = ask { { send = "data: a\n\n" }, { half_open = true } }
    asker:await_body("data: a\n\n")
    local bytes = asker.bytes
    asker:shut_down()
    publish(s, 1)
    s:heartbeat()
    await_a_round_trip(s)
    assert.same({ bytes, nil, 1 }, { asker.bytes, asker.ended, s:stream_count() })
    s:drop()
    assert.same({ "EOF", bytes, 0 }, { asker:await_end(), asker.bytes, s:stream_count() })
  end)
end)
