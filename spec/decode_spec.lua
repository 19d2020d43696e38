--- decode = function, and what one bad or oversized event costs: itself, and nothing else.

local world = require "spec.support.world"

after_each(world.close)

-- The order events that `text` brings to a client, up to one of type "last".
local function read(text, options)
  local server = world.server()
  server:behave { { send = text .. 'event: last\ndata: {"type":"last"}\n\n' }, { stall = true } }
  local client, seen = world.connect(server, options)
  local events = world.collect(client)
  world.await(function() return #events > 0 and events[#events].type == "last" end)
  events[#events] = nil
  return events, seen, client
end

describe("a decode function", function()
  -- A wire of its own: "type|order|text"
  local function decode(raw)
    local kind, order_id, text = raw:match("^(%a+)|(%w+)|(.*)$")
    if kind then return { type = kind, order_id = order_id, timestamp = "now", data = { text = text } } end
  end

  it("says what a message means", function()
    local events = read("id: 3\nevent: raw\ndata: paid|A7|thanks\n\n", {
      decode = function(raw) return decode(raw) or { type = "last" } end,
    })
    assert.equal(1, #events)
    assert.equal("paid", events[1].type)
    assert.equal("A7", events[1].order_id)
    assert.equal("now", events[1].timestamp)
    assert.same({ text = "thanks" }, events[1].data)
    assert.equal("paid|A7|thanks", events[1].raw)
    assert.equal("3", events[1].id)
  end)

  it("sees the message: its text, and its SSE fields", function()
    local got = {}
    read("id: 3\nevent: kind\ndata: a\0b\n\n", { decode = function(raw, message)
      got[#got + 1] = { raw = raw, type = message.type, id = message.id }
      return {}
    end })
    assert.same({ raw = "a\0b", type = "kind", id = "3" }, got[1])
  end)

  it("keeps the SSE event name and takes the whole table as data where it says nothing else", function()
    local events = read("event: kind\ndata: x\n\n", { decode = function() return { note = 1 } end })
    assert.equal("kind", events[1].type)
    assert.is_nil(events[1].order_id)
    assert.same({ note = 1 }, events[1].data)
  end)

  it("drops a message by returning nil, without an error", function()
    local events, seen = read("data: drop\n\ndata: keep\n\n", {
      decode = function(raw) if raw ~= "drop" then return {} end end,
    })
    assert.equal(1, #events)
    assert.equal("keep", events[1].raw)
    assert.same({}, seen.codes)
  end)

  it("decides who gets the event", function()
    local server = world.server()
    server:behave { { send = "data: paid|A|1\n\ndata: open|B|2\n\ndata: paid|B|3\n\ndata: paid|Z|4\n\n" }, { stall = true } }
    local client = world.connect(server, { decode = decode })
    local order, kind, all = {}, {}, {}
    client:on_order("B", function(event) order[#order + 1] = event.data.text end)
    client:on_event("paid", function(event) kind[#kind + 1] = event.data.text end)
    client:subscribe(function(event) all[#all + 1] = event.data.text end)
    world.await(function() return #all == 4 end)
    assert.same({ "2", "3" }, order)
    assert.same({ "1", "3", "4" }, kind)
    assert.same({ "1", "2", "3", "4" }, all)
  end)

  it("that raises costs one event: EVENT_DECODE with its id, once", function()
    local events, seen, client = read("id: 8\ndata: bad\n\nid: 9\ndata: good\n\n", { decode = function(raw)
      assert(raw ~= "bad", "cannot read this")
      return {}
    end })
    assert.equal(1, #events)
    assert.equal("good", events[1].raw)
    assert.same({ "EVENT_DECODE" }, seen.codes)
    assert.matches("8", seen.errors[1].message, 1, true)
    assert.matches("cannot read this", seen.errors[1].message, 1, true)
    assert.equal(1, client:metrics().decode_errors)
  end)

  it("that returns no table costs one event as well", function()
    local events, seen = read("data: bad\n\ndata: good\n\n", { decode = function(raw)
      return raw == "bad" and 42 or {}
    end })
    assert.equal(1, #events)
    assert.same({ "EVENT_DECODE" }, seen.codes)
    assert.matches("expected a table or nil, got a number", seen.errors[1].message)
  end)

  it("serves the pull style and the history too", function()
    local server = world.server()
    server:behave { { send = "data: paid|A|1\n\ndata: ?\n\ndata: open|B|2\n\n" }, { stall = true } }
    local client = world.connect(server, { decode = decode })
    assert.is_nil((client:next(0)))
    assert.equal("paid", world.pull(client).type)
    assert.equal("B", world.pull(client).order_id)
    local events = client:events()
    assert.equal(2, #events)
    assert.equal("1", events[1].data.text)
    assert.equal("open", client:latest().type)
  end)

  it("may close the client", function()
    local server = world.server()
    server:behave { { send = "data: 1\n\ndata: 2\n\n" }, { stall = true } }
    local client, calls
    client = world.connect(server, { decode = function()
      calls = (calls or 0) + 1
      client:close()
      return {}
    end })
    local events = world.collect(client)
    world.await(function() return calls end)
    world.turn()
    assert.equal(1, calls)
    assert.same({}, events)
  end)
end)

describe("bad JSON", function()
  local bad = {
    "{", "nonsense", '{"a":1}x', '{"a":}', "[1,]", "01", '"\\x"', '"tab\there"', "{'a':1}", "NaN", "", '{"data":{"a":[1,}}',
    '{"a" 1}', "1.", "+1", "tru",
  }

  it("is one EVENT_JSON with the id and the first bytes, and the stream goes on", function()
    for _, json in ipairs(bad) do
      local events, seen, client = read("id: e-1\nevent: kind\ndata: " .. json .. "\n\nid: e-2\ndata: {}\n\n")
      assert.equal(1, #events, json)
      assert.equal("e-2", events[1].id)
      assert.same({ "EVENT_JSON" }, seen.codes, json)
      local problem = seen.errors[1]
      assert.matches("id 'e%-1'", problem.message)
      assert.matches(json:gsub("\t", " "), problem.message, 1, true)
      assert.is_true(#problem.hint > 0)
      assert.equal(1, client:metrics().parse_errors)
      assert.equal("connected", client:health().state)
      world.close()
    end
  end)

  it("does not stop the cursor (I08)", function()
    local _, _, client = read("id: e-1\ndata: {}\n\nid: e-2\ndata: {\n\n")
    assert.equal("e-2", client:health().last_event_id)
  end)

  it("shows only its first bytes, printable", function()
    local _, seen = read("data: {\1\27[31m" .. ("x"):rep(5000) .. "\n\n")
    assert.is_true(#seen.errors[1].message < 400)
    assert.is_nil(seen.errors[1].message:find("%c"))
  end)

  it("is not delivered, pulled or kept", function()
    local _, _, client = read("data: {\n\n")
    assert.equal(1, #client:events()) -- the one that said it was the last
  end)
end)

describe("an event larger than max_event_bytes", function()
  it("is dropped with EVENT_TOO_LARGE, and the stream goes on (X01)", function()
    local large = ('data: "%s"\n\n'):format(("x"):rep(100))
    local events, seen, client = read("id: a\ndata: 1\n\nid: b\n" .. large .. "id: c\ndata: 3\n\n", { max_event_bytes = 100 })
    assert.equal(2, #events)
    assert.equal("c", events[2].id)
    assert.same({ "EVENT_TOO_LARGE" }, seen.codes)
    assert.matches("max_event_bytes (100)", seen.errors[1].message, 1, true)
    assert.equal(1, client:metrics().too_large)
    assert.equal("connected", client:health().state)
  end)

  it("is dropped as well when many lines make it large", function()
    local lines = ("data: 12345678\n"):rep(20)
    local events, seen = read(lines .. "\ndata: 3\n\n", { max_event_bytes = 100 })
    assert.equal(1, #events)
    assert.same({ "EVENT_TOO_LARGE" }, seen.codes)
  end)

  it("costs nothing more when its line never ends", function()
    local server = world.server()
    server:behave { { { endless_line = 3000000 }, { finish = true } } }
    local client, seen = world.connect(server, { max_event_bytes = 1000 })
    world.await_error(seen, "STREAM_ENDED")
    assert.same({ "EVENT_TOO_LARGE", "STREAM_ENDED" }, seen.codes)
    assert.equal(0, client:metrics().total_events)
    assert.is_true(client:metrics().total_bytes >= 3000000)
  end)

  it("is not made so by comments and unknown lines, however long (X04)", function()
    local long = ("x"):rep(100000)
    local text = (":%s\nunknown: %s\n%s\ndata: 1\n\n"):format(long, long, long)
    local events, seen = read(text, { max_event_bytes = 20 })
    assert.equal(1, events[1].data)
    assert.same({}, seen.codes)
  end)

  it("is not made so by many small ones before it (X05)", function()
    local events, seen = read(("data: 1\n\n"):rep(1000), { max_event_bytes = 20 })
    assert.equal(1000, #events)
    assert.same({}, seen.codes)
  end)

  it("may be as large as the limit", function()
    local text = ('"%s"'):format(("x"):rep(98))
    local events, seen = read("data: " .. text .. "\n\n", { max_event_bytes = 100 })
    assert.equal(text, events[1].raw)
    assert.same({}, seen.codes)
  end)

  it("of 5 MiB is read when the limit allows it (P26)", function()
    local text = ("y"):rep(5 * 1024 * 1024)
    local events = read('data: "' .. text .. '"\n\n', { max_event_bytes = 6 * 1024 * 1024 })
    assert.is_true(events[1].data == text)
  end)
end)
