--- Resuming: Last-Event-ID on every reconnect, and nothing lost, doubled or out of order through any number of drops.

local world = require "spec.support.world"
local STREAM_HEAD = require("spec.support.listener").STREAM_HEAD

after_each(world.close)

-- Serves the n-th request with the n-th body and ends it; the last one stays open.
local function serving(bodies)
  return world.listener(function(peer)
    local number = #peer.listener.heads
    peer:write(STREAM_HEAD .. (bodies[number] or ""))
    if number < #bodies then peer:finish() end
  end)
end

-- Has an event with the id 5 for every request, each time another one.
local function saying_five()
  return world.listener(function(peer)
    peer:write(("%sid: 5\ndata: %d\n\n"):format(STREAM_HEAD, #peer.listener.heads))
  end)
end

local function last_event_id(head)
  return head:lower():match("\r\nlast%-event%-id:") and head:match("\r\n[Ll]ast%-[Ee]vent%-[Ii][Dd]: ?([^\r]*)")
end

-- The Last-Event-ID headers of the requests that a client makes of these bodies; false: there was none.
local function headers_of(bodies, options)
  local listener = serving(bodies)
  local client = world.connect(listener, options)
  world.await(function() return #listener.heads == #bodies end)
  world.await_state(client)
  local headers = {}
  for number, head in ipairs(listener.heads) do headers[number] = last_event_id(head) or false end
  return headers, client
end

describe("Last-Event-ID", function()
  it("is absent at first (L01), then the last id, on every reconnect (L02, L06)", function()
    assert.same({ false, "7", "7", "7" }, (headers_of { "id: 7\ndata: {}\n\n", "", "", "" }))
  end)

  it("is the last id even when later events had none (L03, I02, I13)", function()
    assert.same({ false, "7", "7" }, (headers_of { "id: 7\ndata: {}\n\ndata: {}\n\n", "data: {}\n\n", "" }))
  end)

  it("is absent once the id was reset to empty (L04, I04, I05)", function()
    assert.same({ false, "7", false, "8", false }, (headers_of {
      "id: 7\ndata: {}\n\n", "id:\ndata: {}\n\n", "id: 8\ndata: {}\n\n", "id\ndata: {}\n\n", "",
    }))
  end)

  it("moves with an id that came without data (I08)", function()
    assert.same({ false, "1337" }, (headers_of { "id: 1337\n\n", "" }))
  end)

  it("does not move with an event that was cut before its blank line (I09, P27)", function()
    assert.same({ false, "abc", "abc" }, (headers_of { "id: abc\ndata: {}\n\nid: def\ndata: {}", "id: ghi\ndata: {}\n", "" }))
  end)

  it("brings odd, long and non-ASCII ids back unchanged (I07, I12)", function()
    for _, id in ipairs { "…é豆", ("a"):rep(255), "<b>&;\"%0d", "1 2\t3" } do
      assert.same({ false, id }, (headers_of { "id: " .. id .. "\ndata: {}\n\n", "" }), id)
      world.close()
    end
  end)

  it("is left out where HTTP cannot carry it, and reconnecting goes on (L07)", function()
    for _, id in ipairs { "a\1b", "a\27b", "a\127" } do
      local headers, client = headers_of { "id: " .. id .. "\ndata: {}\n\n", "" }
      assert.same({ false, false }, headers)
      assert.equal(id, client:latest().id)
      world.close()
    end
  end)

  it("can be preset (L05), until the stream brings its own", function()
    assert.same({ "abc", "abc", "7" }, (headers_of({ "", "id: 7\ndata: {}\n\n", "" }, { last_event_id = "abc" })))
  end)

  it("is sent again by reconnect(), and by connect() after disconnect()", function()
    local listener = saying_five()
    local client = world.connect(listener)
    local function await_events(count)
      world.await(function() return client:metrics().total_events == count end)
    end
    await_events(1)
    client:reconnect()
    await_events(2)
    client:disconnect()
    client:connect()
    await_events(3)
    assert.equal("5", last_event_id(listener.heads[2]))
    assert.equal("5", last_event_id(listener.heads[3]))
    assert.equal("5", client:health().last_event_id)
  end)

  it("is forgotten with the url", function()
    local listener = saying_five()
    local client = world.connect(listener)
    world.await(function() return client:metrics().total_events == 1 end)
    client:configure { order_id = "A" }
    world.await(function() return client:metrics().total_events == 2 end)
    client:configure { url = listener.url .. "/other" }
    world.await(function() return client:metrics().total_events == 3 end)
    assert.equal("5", last_event_id(listener.heads[2]))
    assert.is_falsy(last_event_id(listener.heads[3]))
  end)
end)

describe("parser state", function()
  it("is thrown away on reconnect (R10, F19)", function()
    local listener = serving { "event: kind\ndata: {\"a\":", "data: {\"b\":1}\n\n" }
    local client, seen = world.connect(listener)
    local events = world.collect(client)
    world.await(function() return #events == 1 end)
    assert.same({ b = 1 }, events[1].data)
    assert.equal("message", events[1].type)
    assert.same({ "STREAM_ENDED" }, seen.codes)
  end)

  it("takes a byte order mark at the start of each connection (P05)", function()
    local listener = serving { "\239\187\191data: 1\n\n", "\239\187\191data: 2\n\n" }
    local client = world.connect(listener)
    local events = world.collect(client)
    world.await(function() return #events == 2 end)
    assert.equal(2, events[2].data)
  end)
end)

describe("completeness", function()
  local function listening(server, options)
    options = options or {}
    options.max_reconnect_attempts = 1000
    local client, seen = world.connect(server, options)
    local numbers = world.collect_numbers(client)
    world.await_state(client)
    return numbers, client, seen
  end

  it("holds through every way of ending a stream (R07, R11)", function()
    local server = world.server()
    local numbers, client = listening(server)
    local endings = { { finish = true }, { cut = true }, { reset = true }, { refuse = true }, { status = 503 }, { html = 502 } }
    for _ = 1, 3 do
      for _, ending in ipairs(endings) do
        local follows = ending.status or ending.html or ending.refuse
        server:behave { follows and { ending } or { { stream = 2 }, ending } }
      end
    end
    server:drop()
    world.publish(server, 1, 20)
    world.await(function() return #numbers >= 20 end)
    world.publish(server, 21, 60)
    world.await(function() return #server.scripts == 0 and #numbers >= 60 end)
    world.assert_in_order(numbers, 60)
    assert.is_true(client:health().total_reconnects >= 9)
  end)

  it("holds when every byte is a piece of its own, and each stream is cut somewhere else (P24)", function()
    local server = world.server()
    local numbers = listening(server)
    for count = 1, 12 do
      server:behave { { { split = count % 3 == 0 and "every_byte" or count }, { stream = count % 4 }, { cut = true } } }
    end
    server:drop("cut")
    world.publish(server, 1, 40)
    world.await(function() return #server.scripts == 0 and #numbers >= 40 end)
    world.assert_in_order(numbers, 40)
  end)

  it("holds for a cut at any byte of an event", function()
    local first = 'id: 1\ndata: {"data":{"number":1}}\n\n'
    local second = 'id: 2\ndata: {"data":{"number":2}}\n\n'
    for length = 0, #second do
      local listener
      listener = world.listener(function(peer, head)
        local missing = last_event_id(head) == "1" and second or last_event_id(head) == "2" and "" or first .. second
        if #listener.heads == 1 then return peer:write(STREAM_HEAD .. (first .. second):sub(1, #first + length)):finish() end
        peer:write(STREAM_HEAD .. missing .. 'id: 3\ndata: {"data":{"number":3}}\n\n')
      end)
      local client = world.connect(listener)
      local numbers = {}
      client:subscribe(function(event) numbers[#numbers + 1] = event.data.number end)
      world.await(function() return numbers[#numbers] == 3 end)
      world.assert_in_order(numbers, 3)
      client:close()
    end
  end)

  it("holds while the server is down, restarted, and down again", function()
    local server = world.server()
    local numbers, client, seen = listening(server)
    for round = 0, 4 do
      world.publish(server, round * 20 + 1, round * 20 + 10)
      assert(server:stop())
      local failures = #seen.codes
      world.await(function() return #seen.codes >= failures + 3 end)
      world.publish(server, round * 20 + 11, round * 20 + 20)
      assert(server:restart())
      world.await(function() return #numbers == round * 20 + 20 end)
    end
    world.assert_in_order(numbers, 100)
    assert.equal(5, client:health().total_reconnects)
  end)

  it("holds with a small queue, a small budget of events in flight, and resets", function()
    local server = world.server()
    local numbers = listening(server, { queue_limit = 3 })
    for count = 1, 10 do server:behave { { { stream = count * 7 }, { reset = true } } } end
    server:drop("reset")
    world.publish(server, 1, 500)
    world.await(function() return #numbers >= 500 end)
    world.assert_in_order(numbers, 500)
  end)

  it("holds for what reconnect() and configure() interrupt", function()
    local server = world.server()
    local numbers, client = listening(server)
    world.publish(server, 1, 50)
    for round = 1, 10 do
      world.turn()
      if round % 2 == 0 then client:reconnect() else client:configure { headers = { ["X-Round"] = tostring(round) } } end
      world.publish(server, 40 + round * 11, 50 + round * 11)
    end
    world.await(function() return #numbers >= 160 end)
    world.assert_in_order(numbers, 160)
  end)

  it("is reported by the server when it cannot be had: resync reaches a handler that asks for it", function()
    local server = world.server()
    local numbers, client = listening(server)
    local reasons = {}
    client:on_event("resync", function(event) reasons[#reasons + 1] = event.data.reason end)
    world.publish(server, 1, 3)
    world.await(function() return #numbers == 3 end)
    assert(server:restart { forget = true })
    world.await(function() return #reasons == 1 end)
    assert.same({ "other_epoch" }, reasons)
  end)

  it("is not promised without ids, but the stream goes on (R11)", function()
    local server = world.server { ids = false }
    local numbers, client = listening(server)
    world.publish(server, 1, 2)
    world.await(function() return #numbers == 2 end)
    server:drop()
    world.await(function() return server:request_count() == 2 and client:health().is_connected end)
    world.publish(server, 3, 4)
    world.await(function() return #numbers == 4 end)
    assert.is_nil(server.requests[2].headers["last-event-id"])
    assert.is_nil(client:health().last_event_id)
  end)
end)
