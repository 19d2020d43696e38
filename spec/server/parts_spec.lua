--- The parts of the server that are pure: ids and replay, the state of orders, the wire form, gzip, the simulation.

local cjson = require "cjson"
local event = require "sync.server.event"
local gzip = require "sync.server.gzip"
local orders = require "sync.server.orders"
local ring = require "sync.server.ring"
local simulate = require "sync.server.simulate"

local function filled_ring(limit, count)
  local filled = ring.new(7, limit)
  for _ = 1, count do filled:append { sequence = filled:next_sequence() } end
  return filled
end

describe("the ring", function()
  it("keeps the last events and no more", function()
    local three = filled_ring(3, 5)
    assert.is_nil(three:at(2))
    assert.equal(3, three:at(3).sequence)
    assert.equal(5, three:at(5).sequence)
    assert.is_nil(three:at(6))
    assert.same({ { sequence = 4 }, { sequence = 5 } }, three:last(2))
    assert.equal(3, #three:last(100))
  end)

  it("resumes right after a known id, at the newest without one", function()
    local three = filled_ring(3, 5)
    assert.same({ 5 }, { three:resume(nil) })
    assert.same({ 5 }, { three:resume("7-5") })
    assert.same({ 3 }, { three:resume("7-3") })
    assert.same({ 2 }, { three:resume("7-2") })
  end)

  it("says why it cannot resume, and starts with what it has", function()
    local three = filled_ring(3, 5)
    assert.same({ 2, "too_old" }, { three:resume("7-1") })
    assert.same({ 2, "other_epoch" }, { three:resume("6-4") })
    assert.same({ 2, "unknown_id" }, { three:resume("7-6") })
    assert.same({ 2, "unknown_id" }, { three:resume("abc") })
  end)

  it("leaves holes where ids were skipped", function()
    local four = filled_ring(4, 4)
    four:skip(2)
    four:append { sequence = four:next_sequence() }
    assert.equal("7-7", four:id(four.newest))
    assert.same({ { sequence = 4 }, { sequence = 7 } }, four:last(10))
    four:skip(100)
    assert.same({}, four:last(10))
    assert.equal(107, four.newest)
  end)

  it("can be of no size", function()
    local none = filled_ring(0, 2)
    assert.same({}, none:last(1))
    assert.same({ 2 }, { none:resume("7-2") })
    assert.same({ 2, "too_old" }, { none:resume("7-1") })
  end)
end)

describe("the wire form", function()
  it("is the envelope of the design", function()
    local made = event.new({ type = "stage_change", order_id = "A", data = { newStage = "open" } }, 1, "7-1", "now")
    assert.equal("id: 7-1\nevent: stage_change\n"
      .. 'data: {"eventType":"stage_change","data":{"newStage":"open"},"orderID":"A","timestamp":"now"}\n\n', made.wire)
  end)

  it("leaves out what an event does not have", function()
    assert.equal('event: queue_update\ndata: {"eventType":"queue_update","data":{},"timestamp":"t"}\n\n',
      event.new({ type = "queue_update", timestamp = "t" }, 1, nil, "now").wire)
  end)

  it("gives every line of a text its own field", function()
    local made = event.new({ type = "x", text = "a\r\nb\r\rc" }, 1, nil, "now")
    assert.equal("event: x\ndata: a\ndata: b\ndata: \ndata: c\n\n", made.wire)
    assert.equal(": a\n: b\n\n", event.comment("a\nb"))
  end)

  it("writes a time with its milliseconds", function()
    assert.equal("2026-11-22T10:00:00.007Z", event.timestamp(1795341600, 7999))
  end)
end)

describe("the orders", function()
  local function applied(...)
    local all = orders.new("tag")
    for index, each in ipairs { ... } do
      each.timestamp = "t" .. index
      all:apply(each)
    end
    return all
  end

  it("follow the events", function()
    local all = applied(
      { type = "order_created", order_id = "A", data = { order = { totalAmount = 250, customer = "C" } } },
      { type = "stage_change", order_id = "A", data = { newStage = "open" } },
      { type = "order_stage_change", order_id = "A", data = { newStage = "billed", order = { totalAmount = 300 } } },
      { type = "payment_update", order_id = "A", data = { newStatus = "paid" } },
      { type = "status_update", order_id = "A", data = { overallStatus = "completed" } },
      { type = "qr_generated", order_id = "A" },
      { type = "whatsapp_connected", order_id = "A" },
      { type = "job_progress_update", order_id = "A", data = { progress = 4 } }
    )
    assert.same({
      orderID = "A", orderStage = "billed", paymentStatus = "paid", overallStatus = "completed", totalAmount = 300,
      qrCodeGenerated = true, whatsappLinked = true, createdAt = "t1", updatedAt = "t7", customer = "C",
    }, cjson.decode(all:json("A")))
  end)

  it("are listed in the order of their creation, without the deleted ones", function()
    local all = applied(
      { type = "order_created", order_id = "B" }, { type = "order_created", order_id = "A" },
      { type = "order_created", order_id = "C" }, { type = "order_deleted", order_id = "A" }
    )
    local docs = cjson.decode((all:snapshot())).docs
    assert.same({ "B", "C" }, { docs[1].orderID, docs[2].orderID })
    assert.equal(2, all:count())
    assert.is_nil(all:json("A"))
  end)

  it("change their tag with every change, and only then", function()
    local all = applied()
    local json, etag = all:snapshot()
    assert.equal('{"docs":[]}', json)
    all:apply { type = "queue_update", data = {} }
    all:apply { type = "job_progress_update", order_id = "A", data = {} }
    assert.equal(etag, select(2, all:snapshot()))
    all:apply { type = "order_created", order_id = "A", timestamp = "t" }
    assert.not_equal(etag, select(2, all:snapshot()))
  end)
end)

describe("gzip", function()
  it("has the checksum of RFC 1952, whole or in parts", function()
    assert.equal(0, gzip.crc32(""))
    assert.equal(0xCBF43926, gzip.crc32("123456789"))
    assert.equal(0xCBF43926, gzip.crc32("6789", gzip.crc32("12345")))
    assert.equal(0x29058C73, gzip.crc32((("."):rep(256):gsub("()%.", function(i) return string.char(i - 1) end))))
  end)

  it("is stored blocks, an empty final one, the checksum and the length", function()
    local encoder = gzip.new()
    assert.equal("\0\5\0\250\255" .. "12345", encoder:encode("12345"))
    assert.equal("\0\4\0\251\255" .. "6789", encoder:encode("6789"))
    assert.equal("\1\0\0\255\255" .. "\38\57\244\203" .. "\9\0\0\0", encoder:finish())
  end)

  it("divides what is longer than a block can be", function()
    local encoded = gzip.new():encode(("x"):rep(65536))
    assert.equal("\0\255\255\0\0x", encoded:sub(1, 6))
    assert.equal("\0\1\0\254\255x", encoded:sub(-6))
  end)
end)

describe("the simulation", function()
  local function walk(seed, steps)
    local published = {}
    local simulation = simulate.new(function(spec)
      local data = spec.data or {}
      published[#published + 1] = spec.type .. " " .. spec.order_id .. " " .. (data.newStage or data.newStatus or "")
    end, { orders = 2, seed = seed })
    for _ = 1, steps do simulation:step() end
    return published
  end

  it("is the same for the same seed on every Lua", function()
    assert.same("order_created ORDER-001 ; order_created ORDER-002 ; "
      .. "stage_change ORDER-001 initiated; qr_generated ORDER-001 ; "
      .. "stage_change ORDER-001 open; status_update ORDER-001 in_progress; "
      .. "stage_change ORDER-001 billed", table.concat(walk(3, 5), "; "))
  end)

  it("says when each order was created", function()
    local seen, now
    local simulation = simulate.new(function(spec) seen = spec.data.order.createdAt end, { orders = 2, seed = 1 },
      function() return now end)
    for _, time in ipairs { "t1", "t2" } do
      now = time
      simulation:step()
      assert.equal(time, seen)
    end
  end)

  it("takes every order through its stages, one after the other, and begins another when it is paid", function()
    local order = { initiated = "empty", open = "initiated", billed = "open", paid = "billed" }
    local stage, deleted = {}, 0
    for _, line in ipairs(walk(1, 400)) do
      local kind, id, to = line:match("^(%S+) (%S+) (.*)$")
      if kind == "order_created" then
        assert.is_nil(stage[id])
        stage[id] = "empty"
      elseif kind == "stage_change" then
        assert.equal(order[to], stage[id])
        stage[id] = to
      elseif kind == "order_deleted" then
        assert.equal("paid", stage[id])
        deleted = deleted + 1
      end
    end
    assert.is_true(deleted > 10)
  end)
end)
