--- Events: which fields a message has, what its JSON becomes, and what a bad message costs.

local cjson = require "cjson"
local sync = require "sync"
local uv = require "luv"
local world = require "spec.support.world"

after_each(world.close)

local HAS_INTEGERS = math.type ~= nil

-- The order events that `text` brings to a client. The last one is there only to say that all have come.
local function read(text, options)
  local server = world.server()
  server:behave { { send = text .. 'event: last\ndata: {}\n\n' }, { stall = true } }
  local client, seen = world.connect(server, options)
  local events = world.collect(client)
  world.await(function() return #events > 0 and events[#events].type == "last" end)
  events[#events] = nil
  return events, seen, client
end

local function read_one(text, options)
  local events, seen, client = read(text, options)
  assert.equal(1, #events)
  return events[1], seen, client
end

-- What `data` becomes on the way from JSON text.
local function decoded(json)
  return read_one("data: " .. json .. "\n\n", { decode = "json" }).data
end

describe("an order event", function()
  it("has the fields of the wire", function()
    local raw = '{"eventType":"stage_change","data":{"previousStage":"open","newStage":"paid","total":12.5},'
      .. '"orderID":"ORDER-001","timestamp":"2026-11-22T10:00:01.000Z"}'
    local event = read_one("id: 41-7\nevent: stage_change\ndata: " .. raw .. "\n\n")
    assert.equal("41-7", event.id)
    assert.equal("stage_change", event.type)
    assert.equal("ORDER-001", event.order_id)
    assert.equal("2026-11-22T10:00:01.000Z", event.timestamp)
    assert.same({ previousStage = "open", newStage = "paid", total = 12.5 }, event.data)
    assert.equal("open", event.previous_stage)
    assert.equal("paid", event.new_stage)
    assert.equal(raw, event.raw)
    assert.equal("stream", event.source)
    assert.is_false(event.redelivered)
    assert.is_false(event.acknowledged)
    assert.is_nil(event.no_such_field)
    assert.equal("event stage_change of ORDER-001", tostring(event))
  end)

  it("takes the order id from orderID, orderId or order_id, and a number as its text", function()
    for wire, order_id in pairs {
      ['{"orderID":"A"}'] = "A", ['{"orderId":"A"}'] = "A", ['{"order_id":"A"}'] = "A", ['{"orderID":42}'] = "42",
      ['{"orderID":"\\u00e9\\"\\\\"}'] = "é\"\\",
    } do
      assert.equal(order_id, read_one("data: " .. wire .. "\n\n").order_id)
    end
  end)

  it("has no order id where the wire has none, or none that is a text", function()
    for _, wire in ipairs {
      "{}", '{"orderID":null}', '{"orderID":""}', '{"orderID":["A"]}', '{"data":{"orderID":"A"}}', "[1]",
    } do
      assert.is_nil(read_one("data: " .. wire .. "\n\n").order_id, wire)
    end
  end)

  it("takes the type from eventType, event_type or the SSE event name (F16, F24)", function()
    assert.equal("a", read_one('event: b\ndata: {"eventType":"a"}\n\n').type)
    assert.equal("a", read_one('event: b\ndata: {"event_type":"a"}\n\n').type)
    assert.equal("b", read_one("event: b\ndata: {}\n\n").type)
    assert.equal("b", read_one('event: b\ndata: {"eventType":null}\n\n').type)
    assert.equal("message", read_one("data: {}\n\n").type)
  end)

  it("has the whole JSON as data where the wire has no data field", function()
    assert.same({ orderID = "A", queue = 3 }, read_one('data: {"orderID":"A","queue":3}\n\n').data)
    assert.same({ 1, 2 }, read_one("data: [1,2]\n\n").data)
    assert.equal(7, read_one("data: 7\n\n").data)
    assert.equal("text", read_one('data: "text"\n\n').data)
  end)

  it("has other names where fields are mapped", function()
    local wire = '{"kind":"paid","nr":"A","at":"noon","body":{"x":1},"eventType":"no","orderID":"no"}'
    local fields = { type = "kind", order_id = "nr", timestamp = "at", data = "body" }
    local event = read_one("data: " .. wire .. "\n\n", { fields = fields })
    assert.equal("paid", event.type)
    assert.equal("A", event.order_id)
    assert.equal("noon", event.timestamp)
    assert.same({ x = 1 }, event.data)
  end)

  it("has its stages in either spelling, escapes undone", function()
    local event = read_one('data: {"eventType":"order_stage_change","data":{"previous_stage":"open","new_stage":"paid"}}\n\n')
    assert.equal("open", event.previous_stage)
    assert.equal("paid", event.new_stage)
    event = read_one('data: {"data":{"previousStage":"re\\u00e7u","newStage":"pr\\u00eat"}}\n\n')
    assert.equal("reçu", event.previous_stage)
    assert.equal("prêt", event.new_stage)
    assert.is_nil(read_one("data: {}\n\n").new_stage)
  end)

  it("has its timestamp with escapes undone", function()
    assert.equal("11/22/2026", read_one('data: {"timestamp":"11\\/22\\/2026"}\n\n').timestamp)
  end)

  it("is numbered, and says when it came", function()
    local second, microsecond = uv.gettimeofday()
    local before = second * 1000 + math.floor(microsecond / 1000)
    local events = read("data: {}\n\ndata: {}\n\ndata: {}\n\n")
    for number, event in ipairs(events) do
      assert.equal(number, event.seq)
      assert.is_true(event.received_at >= before)
    end
  end)

  it("keeps the last event ID where it brings none (I01, I02, I04)", function()
    local events = read("id: 1\ndata: {}\n\ndata: {}\n\nid\ndata: {}\n\n")
    assert.equal("1", events[1].id)
    assert.equal("1", events[2].id)
    assert.is_nil(events[3].id)
  end)

  it("can be read long after others came", function()
    local text = {}
    for number = 1, 3000 do text[number] = ('data: {"orderID":"%d","data":{"n":%d}}\n\n'):format(number, number) end
    local events = read(table.concat(text), { event_history_limit = 0 })
    collectgarbage()
    for number, event in ipairs(events) do
      assert.equal(number, event.data.n)
      assert.equal(tostring(number), event.order_id)
    end
    assert.equal(3000, #events)
  end)
end)

describe("event:plain()", function()
  local wire = 'id: 5\ndata: {"eventType":"a","orderID":"A","timestamp":"t","data":{"newStage":"paid","n":null}}\n\n'
  local names = {
    "acknowledged", "data", "id", "new_stage", "order_id", "raw", "received_at", "redelivered", "seq", "source",
    "timestamp", "type",
  }

  local function sorted_keys(next_key, state, first)
    local keys = {}
    for key in next_key, state, first do keys[#keys + 1] = key end
    table.sort(keys)
    return keys
  end

  it("is a copy with every field and nothing hidden, for encoders", function()
    local plain = read_one(wire):plain()
    assert.is_nil(getmetatable(plain))
    assert.same(names, sorted_keys(pairs(plain)))
    assert.same({ newStage = "paid", n = cjson.null }, plain.data)
    assert.equal("A", cjson.decode(cjson.encode(plain)).order_id)
  end)

  it("is what pairs shows, where the VM lets it", function()
    local event = read_one(wire)
    if HAS_INTEGERS then assert.same(names, sorted_keys(pairs(event))) end
    assert.same(names, sorted_keys(pairs(event:plain())))
  end)

  it("keeps what a handler has put into the event", function()
    local event = read_one(wire)
    event.seen_by, event.data = "kitchen", "replaced"
    assert.equal("kitchen", event:plain().seen_by)
    assert.equal("replaced", event:plain().data)
  end)
end)

describe("JSON", function()
  it("null is sync.null, which is cjson.null", function()
    local data = decoded '{"a":null,"list":[null,1]}'
    assert.equal(sync.null, data.a)
    assert.equal(cjson.null, data.list[1])
    assert.equal(1, data.list[2])
  end)

  it("true, false, and empty containers are themselves", function()
    assert.same({ t = true, f = false, o = {}, a = {} }, decoded '{"t":true,"f":false,"o":{},"a":[]}')
  end)

  it("integers are exact up to 64 bits, and a text where the VM cannot hold them", function()
    local exact = { "0", "-1", "9007199254740992", "-9007199254740992" }
    local wide = { "9007199254740993", "-9007199254740993", "9223372036854775807", "-9223372036854775808" }
    local wider = { "9223372036854775808", "-9223372036854775809", "123456789012345678901234567890" }
    for _, digits in ipairs(exact) do assert.equal(tonumber(digits), decoded(digits)) end
    for _, digits in ipairs(wide) do
      local value = decoded(digits)
      assert.equal(HAS_INTEGERS and "number" or "string", type(value))
      assert.equal(digits, HAS_INTEGERS and ("%d"):format(value) or value)
    end
    for _, digits in ipairs(wider) do assert.equal(digits, decoded(digits)) end
  end)

  it("integers are integers and fractions are floats where the VM tells them apart", function()
    if not HAS_INTEGERS then
      assert.equal(3, decoded "3")
      assert.equal(3, decoded "3.0")
      return
    end
    assert.equal("integer", math.type(decoded "3"))
    assert.equal("float", math.type(decoded "3.0"))
    assert.equal("float", math.type(decoded "3e2"))
  end)

  it("fractions are the nearest double", function()
    for _, text in ipairs {
      "12.50", "0.1", "-0.1", "1e3", "1E-3", "3.141592653589793", "2.2250738585072014e-308", "5e-324",
      "1.7976931348623157e308", "0.30000000000000004", "123456789.123456789", "9007199254740993.0", "-0.0",
    } do
      assert.equal(tonumber(text), decoded(text), text)
    end
    assert.equal(-1 / 0, 1 / decoded "-0.0")
  end)

  it("texts are UTF-8, escapes undone", function()
    assert.equal("é €  𝄞 \"\\/\b\f\n\r\t", decoded [["é \u20ac  \ud834\udd1e \"\\\/\b\f\n\r\t"]])
    assert.equal("a\239\191\189b\239\191\189", decoded [["a\ud800b\udc00"]]) -- half a pair: U+FFFD
    assert.same({ ["clé\n"] = "豆腐" }, decoded [[{"cl\u00e9\n":"豆腐"}]])
  end)

  it("texts may hold NUL, in values and in keys", function()
    local data = decoded [[{"a\u0000b":"c\u0000d"}]]
    assert.equal("c\0d", data["a\0b"])
    local event = read_one('data: {"orderID":"x\\u0000y","eventType":"p\\u0000q"}\n\n')
    assert.equal("x\0y", event.order_id)
    assert.equal("p\0q", event.type)
  end)

  it("of a later key of the same name wins", function()
    assert.same({ a = 2 }, decoded '{"a":1,"a":2}')
  end)

  it("may span lines and have any white space (F02)", function()
    local event = read_one('data: {\ndata:   "orderID" :\t"A",\ndata:   "data": [1 , 2]\ndata: }\n\n')
    assert.equal("A", event.order_id)
    assert.same({ 1, 2 }, event.data)
    assert.equal('{\n  "orderID" :\t"A",\n  "data": [1 , 2]\n}', event.raw)
  end)

  it("is taken 128 levels deep and refused one deeper", function()
    local function nested(depth) return ("["):rep(depth) .. ("]"):rep(depth) end
    local value, levels = decoded(nested(128)), 1
    while value[1] do value, levels = value[1], levels + 1 end
    assert.equal(128, levels)
    local events, seen = read("data: " .. nested(129) .. "\n\n", { decode = "json" })
    assert.same({}, events)
    assert.same({ "EVENT_JSON" }, seen.codes)
  end)
end)

describe("decode = \"json\"", function()
  it("looks for no field: the type is the SSE event name, data the whole", function()
    local wire = '{"eventType":"no","orderID":"A","data":{"newStage":"paid"},"timestamp":"t"}'
    local event = read_one("event: queue\ndata: " .. wire .. "\n\n", { decode = "json" })
    assert.equal("queue", event.type)
    assert.is_nil(event.order_id)
    assert.is_nil(event.timestamp)
    assert.is_nil(event.new_stage)
    assert.equal("A", event.data.orderID)
  end)
end)

describe("decode = \"none\"", function()
  it("serves any event stream: data is the text", function()
    local events, seen = read("event: note\nid: 9\ndata: not { JSON\ndata: at all\n\ndata\n\n", { decode = "none" })
    assert.equal("note", events[1].type)
    assert.equal("9", events[1].id)
    assert.equal("not { JSON\nat all", events[1].data)
    assert.equal(events[1].data, events[1].raw)
    assert.equal("", events[2].data)
    assert.equal("message", events[2].type)
    assert.same({}, seen.codes)
  end)

  it("keeps NUL and gives the true length (P30)", function()
    local event = read_one("data: a\0b\0\n\n", { decode = "none" })
    assert.equal("a\0b\0", event.raw)
    assert.equal(4, #event.data)
  end)
end)
