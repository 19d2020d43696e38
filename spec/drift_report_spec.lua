--- What the comparison of stream and polls says in the end: how far ahead the stream is, whether that is enough to switch,
-- and all of it within bounds. What a difference is: spec/drift_spec.lua.

local comparison = require "sync.drift.comparison"
local drift_scene = require "spec.support.drift_scene"

local HOUR_MS = 3600000
local NULL = io.stdout -- any userdata: decoding makes no other than null

describe("a drift", function()
  local scene, own, time

  local function begin(options)
    scene = drift_scene.new(options)
    own, time = scene.drift, scene.time
  end

  before_each(function() begin() end)

  describe("says how far ahead the stream is", function()
    before_each(function()
      scene.poll { A = { orderStage = "empty" } }
    end)

    local function lead()
      local report = own:report()
      return report.lead_ms, report.stream_first, report.poll_first
    end

    it("by when a poll first shows what it said", function()
      scene.hear("A", { orderStage = "open" })
      time:advance(400)
      scene.hear("B", {})
      time:advance(600)
      scene.poll { A = { orderStage = "open" }, B = {} }
      scene.settle()
      scene.poll { A = { orderStage = "open" }, B = {} }
      local lead_ms, stream_first, poll_first = lead()
      assert.same({ p50 = 600, p99 = 1000, samples = 2 }, lead_ms)
      assert.equal(2, stream_first)
      assert.equal(0, poll_first)
    end)

    it("or behind, by when it says what a poll has shown", function()
      scene.poll { A = { orderStage = "open" }, B = {} }
      time:advance(300)
      scene.hear("A", { orderStage = "open" })
      scene.hear("B", { orderStage = "empty" })
      time:advance(100)
      scene.poll {}
      time:advance(50)
      own:heard("A", { deleted = true })
      local lead_ms, stream_first, poll_first = lead()
      assert.same({ p50 = -300, p99 = -50, samples = 3 }, lead_ms)
      assert.equal(0, stream_first)
      assert.equal(3, poll_first)
    end)

    it("from the latest thousand", function()
      for number = 1, 1500 do
        scene.hear("A", { orderStage = number })
        time:advance(number <= 500 and 9999 or number - 500)
        scene.poll { A = { orderStage = number } }
      end
      assert.same({ p50 = 500, p99 = 990, samples = 1000 }, (lead()))
      assert.equal(1500, own:report().stream_first)
    end)

    it("not before a poll shows all that it said of the order", function()
      scene.hear("A", { orderStage = "open", payment = "paid" })
      time:advance(100)
      own:begin_poll()
      scene.hear("A", { note = "quick" })
      scene.list { A = { orderStage = "open", payment = "paid", note = "slow" } }
      own:end_poll()
      time:advance(100)
      scene.poll { A = { orderStage = "open", note = "quick" } } -- payment is missing
      time:advance(100)
      scene.poll { A = { orderStage = "empty", payment = "paid", note = "quick" } }
      assert.equal(0, lead().samples)
      time:advance(100)
      scene.poll { A = { orderStage = "open", payment = "paid", note = "quick", total = 5 } }
      assert.equal(0, lead().samples) -- there is something that it has not said
      time:advance(100)
      scene.hear("A", { total = 5 })
      scene.poll { A = { orderStage = "open", payment = "paid", note = "quick", total = 5 } }
      assert.same({ p50 = -100, p99 = 400, samples = 2 }, (lead()))
    end)

    it("even if that is nothing", function()
      scene.hear("A", { orderStage = "open" })
      scene.poll { A = { orderStage = "open" } }
      assert.same({ { p50 = 0, p99 = 0, samples = 1 }, 1, 0 }, { lead() })
    end)

    it("not by events that say nothing new", function()
      scene.hear("A", { orderStage = "empty" })
      scene.poll { A = { orderStage = "empty" } }
      assert.equal(0, lead().samples)
    end)
  end)

  describe("with more orders than it watches", function()
    it("takes none for missing, and says so", function()
      begin { limit = 2 }
      local orders = { A = {}, B = {}, C = {} }
      for _ = 1, 3 do
        scene.poll(orders)
        scene.settle()
      end
      scene.hear("D", { orderStage = "open" })
      assert.same({}, scene.found())
      assert.equal(2, own:report().orders)
      assert.is_true(own:report().overflowed)
      local _, doubts = own:ready { hours = 0, events = 0 }
      assert.same({ "there are more orders than the 2 that are compared" }, doubts)
    end)

    it("watches another in the place of one that is gone, without suspicion", function()
      begin { limit = 2 }
      scene.poll { A = {}, B = {} }
      scene.poll { A = {}, B = {}, C = { orderStage = "open" } }
      own:heard("A", { deleted = true })
      for _ = 1, 3 do
        scene.settle()
        scene.poll { B = {}, C = { orderStage = "open" } }
      end
      assert.same({}, scene.found())
      scene.hear("C", { orderStage = "billed" })
      for _ = 1, 2 do
        scene.settle()
        scene.poll { B = {}, C = { orderStage = "open" } }
      end
      assert.same({ "stage_differs C orderStage billed/open" }, scene.found())
    end)
  end)

  it("keeps what it found within bounds", function()
    scene.poll {}
    local names = {}
    for number = 1, 150 do names["field" .. number] = 1 end
    scene.poll { A = { field = 1 } }
    for number = 1, 150 do
      scene.hear("O" .. number, { orderStage = "open" }, { version = 2 })
      scene.hear("O" .. number, { orderStage = "open" }, { version = 1 })
    end
    scene.hear("A", {})
    scene.settle()
    scene.poll { A = {} }
    scene.settle()
    scene.poll { A = names }
    scene.settle()
    scene.poll { A = names }
    local report = own:report()
    assert.equal(100, #report.recent)
    assert.equal(150, report.classes.version_goes_back.count)
    assert.equal(100, #report.classes.version_goes_back.orders)
    assert.equal("O150", report.classes.version_goes_back.orders[100])
    assert.equal("O51", report.classes.version_goes_back.orders[1])
    local fields, count = report.classes.field_differs.fields, 0
    for _ in pairs(fields) do count = count + 1 end
    assert.equal(101, count)
    assert.equal(50, fields["(others)"])
  end)

  it("keeps the field names that it knows within bounds", function()
    local fields = {}
    for number = 1, 1500 do fields["field" .. number] = number end
    scene.poll { A = fields }
    for _ = 1, 2 do
      scene.poll { A = {} }
      scene.settle()
    end
    local missed = 0
    for _, count in pairs(own:report().classes.field_differs.fields) do missed = missed + count end
    assert.equal(1000, missed)
  end)

  it("hands out reports that are the caller's own", function()
    scene.hear("A", {}, { version = 2 })
    scene.hear("A", {}, { version = 1 })
    local report = own:report()
    report.recent[1].class, report.recent[2] = "mine", {}
    report.classes.version_goes_back.count, report.classes.version_goes_back.orders[1] = 0, "mine"
    report.lead_ms.samples, report.events = -1, -1
    assert.same({ "version_goes_back A" }, scene.found())
    assert.same({ "A" }, own:report().classes.version_goes_back.orders)
    assert.equal(1, own:report().classes.version_goes_back.count)
    assert.equal(2, own:report().events)
  end)

  describe("is ready to switch", function()
    local orders = { A = { orderStage = "open" } }

    local function compare_for(hours, events)
      for _ = 1, events do scene.hear("A", { orderStage = "open" }) end
      for _ = 1, hours do
        time:advance(HOUR_MS)
        scene.poll(orders)
      end
    end

    it("after so many hours and events without a difference", function()
      scene.poll(orders)
      compare_for(2, 9)
      local ready, doubts = own:ready { hours = 3, events = 10 }
      assert.is_false(ready)
      assert.same({
        "compared without a difference for 2.0 of 3 hours", "compared without a difference for 9 of 10 events",
      }, doubts)
      compare_for(1, 1)
      ready, doubts = own:ready { hours = 3, events = 10 }
      assert.is_true(ready)
      assert.is_nil(doubts)
    end)

    it("not before anything was compared, nor while the stream is away", function()
      own:stream_lost()
      local _, doubts = own:ready { hours = 0, events = 0 }
      assert.same({ "nothing has been compared yet", "the stream is not open" }, doubts)
    end)

    it("by hours in which both were there", function()
      scene.poll(orders)
      compare_for(1, 0)
      own:stream_lost()
      compare_for(5, 0)
      own:stream_opened(true)
      compare_for(1, 0) -- from its first poll on
      compare_for(1, 0)
      assert.equal(2 * HOUR_MS, own:report().compared_ms)
      assert.equal(2 * HOUR_MS, own:report().clean_ms)
    end)

    it("counting from the last difference, which it names", function()
      scene.poll(orders)
      compare_for(3, 10)
      scene.hear("B", {}, { version = 2 })
      scene.hear("B", {}, { version = 1 })
      own:heard("B", { deleted = true })
      compare_for(1, 1)
      local _, doubts = own:ready { hours = 2, events = 10 }
      assert.same({
        "compared without a difference for 1.0 of 2 hours", "compared without a difference for 2 of 10 events",
        "differences so far: version_goes_back 1 (latest B)",
      }, doubts)
      assert.equal(4 * HOUR_MS, own:report().compared_ms)
      compare_for(1, 8)
      assert.is_true(own:ready { hours = 2, events = 10 })
    end)

    it("not if the stream is the slower one", function()
      scene.poll(orders)
      time:advance(HOUR_MS)
      scene.poll { A = { orderStage = "billed" } }
      time:advance(700)
      scene.hear("A", { orderStage = "billed" })
      local _, doubts = own:ready { hours = 0, events = 0 }
      assert.same({ "the stream is behind the polls: by 700 ms in the median" }, doubts)
    end)

    it("by default after a day and a thousand events", function()
      scene.poll(orders)
      compare_for(23, 1000)
      assert.is_false((own:ready()))
      compare_for(1, 0)
      assert.is_true(own:ready())
      begin()
      scene.poll(orders)
      compare_for(24, 999)
      assert.is_false((own:ready()))
    end)

    it("raises for what cannot be meant", function()
      assert.error_matches(function() own:ready(24) end, "ready_to_switch: expected a table, got a number")
      assert.error_matches(function() own:ready { hour = 24 } end,
        "ready_to_switch.hour: unknown %(did you mean 'hours'%?%)")
      assert.error_matches(function() own:ready { events = "many" } end,
        "ready_to_switch.events: expected a number, 0 or more, got many")
      assert.error_matches(function() own:ready { hours = -1 } end, "ready_to_switch.hours: expected a number")
    end)
  end)
end)

describe("two values", function()
  local same = comparison.same

  it("are the same if they say the same", function()
    assert.is_true(same("a", "a"))
    assert.is_true(same(1, 1.0))
    assert.is_true(same({ 1, { a = "x" } }, { 1, { a = "x" } }))
    assert.is_true(same({ a = 1, b = NULL }, { a = 1 }))
    assert.is_true(same(NULL, nil))
    assert.is_true(same(false, false))
  end)

  it("differ otherwise", function()
    assert.is_false(same(1, "1"))
    assert.is_false(same({ 1, 2 }, { 2, 1 }))
    assert.is_false(same({ a = 1 }, { a = 1, b = 2 }))
    assert.is_false(same({ a = 1, b = 2 }, { a = 1 }))
    assert.is_false(same({}, nil))
    assert.is_false(same({ a = { b = 1 } }, { a = { b = 2 } }))
    assert.is_false(same(false, nil))
    assert.is_false(same(false, NULL))
  end)
end)
