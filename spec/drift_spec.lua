--- The comparison of stream and polls, step by step: what is in flight is no difference, what stays is one of its class.
-- spec/drift_simulation_spec.lua does the same at random.

local drift = require "sync.drift"
local drift_scene = require "spec.support.drift_scene"

local SETTLE_MS = drift_scene.SETTLE_MS

describe("a drift", function()
  local scene, own, time

  local function begin(options)
    scene = drift_scene.new(options)
    own, time = scene.drift, scene.time
  end

  before_each(function() begin() end)

  describe("of sources that agree", function()
    it("finds nothing, and the polls bring nothing", function()
      scene.poll { A = { orderStage = "open" } }
      scene.hear("A", { orderStage = "billed" })
      scene.hear("B", { orderStage = "empty" })
      scene.settle()
      scene.poll { A = { orderStage = "billed" }, B = { orderStage = "empty" } }
      own:heard("B", { deleted = true })
      scene.settle()
      scene.poll { A = { orderStage = "billed" } }
      local report = own:report()
      assert.equal(0, report.differences)
      assert.equal(2, report.polls)
      assert.equal(2, report.empty_polls)
      assert.equal(1, report.baselines)
      assert.equal(3, report.events)
      assert.equal(1, report.orders)
      assert.equal(0, report.pending)
    end)

    it("does not compare what identifies an order, its version, and what shall be ignored", function()
      begin { ignore = { "lastSeenBy" } }
      scene.poll { A = { orderID = "A", updatedAt = "1", version = 1, lastSeenBy = "x", orderStage = "open" } }
      for _ = 1, 3 do
        scene.settle()
        scene.poll { A = { updatedAt = "2", version = 2, lastSeenBy = "y", orderStage = "open" } }
      end
      assert.same({}, scene.found())
    end)

    it("takes from polls what no event has named yet; a poll that brings it is not empty", function()
      scene.poll {}
      scene.hear("A", {})
      scene.settle()
      scene.poll { A = { orderStage = "empty", totalAmount = 5 } }
      scene.settle()
      scene.poll { A = { orderStage = "empty", totalAmount = 5 } }
      assert.same({}, scene.found())
      assert.equal(1, own:report().empty_polls)
    end)

    it("does not miss in polls what only the stream tells", function()
      scene.poll { A = { orderStage = "open" } }
      scene.hear("A", { changedBy = "till 3" })
      scene.settle()
      scene.poll { A = { orderStage = "open" } }
      scene.settle()
      scene.poll { A = { orderStage = "open" } }
      assert.same({}, scene.found())
      assert.equal(2, own:report().empty_polls)
    end)
  end)

  it("counts no poll against a stream that has not been opened", function()
    local unopened = drift.new { now = function() return time.now_ms end, epoch_ms = function() return 0 end }
    unopened:begin_poll()
    unopened:listed("A", { fields = {} })
    unopened:end_poll()
    assert.equal(1, unopened:report().unjudged_polls)
    assert.equal(0, unopened:report().orders)
    unopened:stream_opened(true) -- gapless or not, this is the first of it
    for _ = 1, 3 do
      unopened:begin_poll()
      unopened:listed("A", { fields = { orderStage = "open" } })
      unopened:end_poll()
      time:advance(10000)
    end
    assert.equal(1, unopened:report().baselines)
    assert.equal(2, unopened:report().empty_polls)
    assert.equal(0, unopened:report().differences)
  end)

  describe("while something is in flight", function()
    before_each(function()
      scene.poll { A = { orderStage = "open", payment = "pending" } }
      scene.settle()
    end)

    it("does not believe a poll on what the stream said between asking and coming", function()
      for _, stage in ipairs { "billed", "paid" } do
        own:begin_poll()
        scene.hear("A", { orderStage = stage })
        scene.settle()
        scene.list { A = { orderStage = "open", payment = "pending" } }
        own:end_poll()
      end
      scene.settle()
      scene.poll { A = { orderStage = "paid", payment = "pending" } }
      assert.same({}, scene.found())
      assert.equal(2, own:report().in_flight)
      assert.equal(0, own:report().settled)
    end)

    it("does believe it on the other fields of that order", function()
      for _ = 1, 2 do
        own:begin_poll()
        scene.hear("A", { orderStage = "billed" })
        scene.list { A = { orderStage = "open", payment = "paid" } }
        own:end_poll()
        scene.settle()
      end
      assert.same({ "field_differs A payment pending/paid" }, scene.found())
    end)

    it("waits for an event that a poll has overtaken, whatever the polls say meanwhile", function()
      for _ = 1, 5 do
        scene.poll { A = { orderStage = "billed", payment = "pending" } }
        time:advance(SETTLE_MS / 5 - 1)
      end
      assert.equal(1, own:report().pending)
      scene.hear("A", { orderStage = "billed" })
      time:advance(10 * SETTLE_MS)
      scene.poll { A = { orderStage = "billed", payment = "pending" } }
      assert.same({}, scene.found())
      assert.equal(1, own:report().settled)
      assert.equal(0, own:report().pending)
    end)

    it("waits anew for what an event has just said again", function()
      scene.poll { A = { orderStage = "paid", payment = "pending" } }
      scene.settle()
      scene.hear("A", { orderStage = "billed" }) -- on its way for long; the next one is, too
      scene.poll { A = { orderStage = "paid", payment = "pending" } }
      assert.same({}, scene.found())
      scene.settle()
      scene.poll { A = { orderStage = "paid", payment = "pending" } }
      assert.same({ "stage_differs A orderStage billed/paid" }, scene.found())
    end)

    it("drops a suspicion when a poll agrees", function()
      scene.poll { A = { orderStage = "empty", payment = "pending" } } -- a replica that lags
      scene.settle()
      scene.poll { A = { orderStage = "open", payment = "pending" } }
      scene.poll { A = { orderStage = "empty", payment = "pending" } }
      assert.same({}, scene.found())
    end)

    it("waits anew for an order that polls do not list and the stream still speaks of", function()
      scene.poll {}
      scene.settle()
      scene.hear("A", { payment = "paid" }) -- and its deletion comes next
      assert.equal(0, own:report().pending)
      assert.equal(1, own:report().settled)
      scene.poll {}
      assert.same({}, scene.found())
      assert.equal(1, own:report().pending)
      assert.equal(0, own:report().empty_polls)
      scene.settle()
      scene.poll {}
      assert.same({ "missing_in_poll A" }, scene.found())
    end)

    it("does not miss an order that was made or deleted between asking and coming", function()
      for _ = 1, 2 do
        own:begin_poll()
        scene.hear("B", { orderStage = "empty" })
        scene.list { A = { orderStage = "open", payment = "pending" } }
        own:end_poll()
        scene.settle()
      end
      own:begin_poll()
      own:heard("A", { deleted = true })
      own:heard("B", { deleted = true })
      scene.list { A = { orderStage = "open", payment = "pending" }, B = { orderStage = "empty" } }
      own:end_poll()
      scene.settle()
      scene.poll {}
      assert.same({}, scene.found())
      assert.equal(0, own:report().orders)
    end)

    it("does not miss an order whose making or deletion is on its way", function()
      scene.poll { B = { orderStage = "empty" } }
      assert.equal(2, own:report().pending)
      assert.equal(0, own:report().empty_polls)
      time:advance(SETTLE_MS - 1)
      scene.hear("B", { orderStage = "empty" })
      own:heard("A", { deleted = true })
      scene.settle()
      scene.poll { B = { orderStage = "empty" } }
      assert.same({}, scene.found())
      assert.equal(2, own:report().settled)
    end)

    it("forgets a stranger that polls do not list any more", function()
      local both = { A = { orderStage = "open", payment = "pending" }, B = { orderStage = "empty" } }
      scene.poll(both)
      assert.equal(0, own:report().empty_polls)
      scene.settle()
      scene.poll { A = both.A } -- the events of its making and its deletion are both on their way
      assert.equal(0, own:report().pending)
      scene.settle()
      scene.poll(both)
      assert.same({}, scene.found())
    end)

    it("does not mix up an order with the one before under the same id", function()
      own:begin_poll()
      own:heard("A", { deleted = true })
      scene.hear("A", { orderStage = "empty" }, { version = 1 })
      scene.list({ A = { orderStage = "open", payment = "paid" } }, { A = 9 })
      own:end_poll()
      for version = 1, 3 do
        scene.settle()
        scene.poll({ A = { orderStage = "empty", payment = "pending" } }, { A = version })
      end
      assert.same({}, scene.found())
    end)

    it("compares nothing with a poll that failed, or was overtaken by the next", function()
      own:begin_poll()
      own:abandon_poll()
      scene.list {} -- of nothing
      own:end_poll()
      own:begin_poll()
      scene.list { B = {} }
      own:begin_poll()
      scene.list { A = { orderStage = "open", payment = "pending" } }
      own:end_poll()
      local report = own:report()
      assert.equal(2, report.failed_polls)
      assert.equal(1, report.polls)
      assert.equal(0, report.pending) -- the last one does not list B
    end)
  end)

  describe("finds", function()
    before_each(function()
      scene.poll { A = { orderStage = "open", payment = "pending", items = { { id = 1 } } } }
      scene.settle()
    end)

    -- The poll's word stands: it is found by the first poll that was asked late enough, once, and is the picture then.
    local function assert_found_once(line, orders, versions)
      scene.poll(orders, versions)
      time:advance(SETTLE_MS - 1)
      scene.poll(orders, versions)
      assert.same({}, scene.found())
      time:advance(1)
      scene.poll(orders, versions)
      assert.same({ line }, scene.found())
      for _ = 1, 3 do
        scene.settle()
        scene.poll(orders, versions)
      end
      assert.same({ line }, scene.found())
      assert.equal(1, own:report().differences)
      assert.equal(0, own:report().pending)
    end

    it("a stage that differs", function()
      assert_found_once("stage_differs A orderStage open/billed",
        { A = { orderStage = "billed", payment = "pending", items = { { id = 1 } } } })
      local class = own:report().classes.stage_differs
      assert.equal(1, class.count)
      assert.same({ "A" }, class.orders)
      assert.same({ orderStage = 1 }, class.fields)
      local difference = own:report().recent[1]
      assert.equal(SETTLE_MS, difference.stood_ms)
      assert.equal(drift_scene.EPOCH_MS + 2 * SETTLE_MS, difference.found_at)
    end)

    it("fields that differ, also deep inside, and those that are gone", function()
      scene.poll { A = { orderStage = "open", payment = "pending", items = { { id = 2 } }, note = "quick" } }
      scene.settle()
      scene.poll { A = { orderStage = "open", items = { { id = 2 } }, note = "quick" } }
      scene.settle()
      scene.poll { A = { orderStage = "open", items = { { id = 2 } }, note = "quick" } }
      assert.same({ items = 1, note = 1, payment = 1 }, own:report().classes.field_differs.fields)
      assert.equal(2, own:report().differences) -- those of one poll are one
      assert.equal("field_differs A payment pending/nil", scene.found()[2])
    end)

    it("a field that is gone, though only the first poll listed it", function()
      for _ = 1, 2 do
        scene.poll { A = { orderStage = "open", items = { { id = 1 } } } }
        scene.settle()
      end
      assert.same({ "field_differs A payment pending/nil" }, scene.found())
    end)

    it("a field that is gone, though only a later poll listed it", function()
      local with_note = { A = { orderStage = "open", payment = "pending", items = { { id = 1 } }, note = "quick" } }
      local without = { A = { orderStage = "open", payment = "pending", items = { { id = 1 } } } }
      for _, orders in ipairs { with_note, with_note, without, without } do
        scene.poll(orders)
        scene.settle()
      end
      assert.same({ "field_differs A note nil/quick", "field_differs A note quick/nil" }, scene.found())
    end)

    it("an order that is missing in the stream", function()
      assert_found_once("missing_in_stream B", {
        A = { orderStage = "open", payment = "pending", items = { { id = 1 } } }, B = { orderStage = "open" },
      })
    end)

    it("an order that the stream has deleted and polls still list", function()
      own:heard("A", { deleted = true })
      assert_found_once("missing_in_stream A", { A = { orderStage = "open" } })
    end)

    it("an order that is missing in polls", function()
      assert_found_once("missing_in_poll A", {})
    end)

    it("a stream that goes back behind itself, at once", function()
      scene.hear("A", { orderStage = "billed" }, { version = 7 })
      scene.hear("A", { orderStage = "open" }, { version = 6 })
      assert.same({ "version_goes_back A" }, scene.found())
      local difference = own:report().recent[1]
      assert.equal("stream", difference.source)
      assert.equal(7, difference.from)
      assert.equal(6, difference.to)
      scene.settle()
      scene.poll { A = { orderStage = "billed", payment = "pending", items = { { id = 1 } } } } -- the older one said nothing
      scene.settle()
      scene.poll { A = { orderStage = "billed", payment = "pending", items = { { id = 1 } } } }
      assert.equal(1, own:report().differences)
    end)

    it("polls that go back behind themselves, even if they come back", function()
      local orders = { A = { orderStage = "open", payment = "pending", items = { { id = 1 } } } }
      scene.poll(orders, { A = 7 })
      scene.poll(orders, { A = 5 })
      scene.poll(orders, { A = 7 })
      assert.same({}, scene.found())
      scene.settle()
      scene.poll(orders, { A = 7 })
      assert.same({ "version_goes_back A" }, scene.found())
      local difference = own:report().recent[1]
      assert.equal("poll", difference.source)
      assert.equal(7, difference.from)
      assert.equal(5, difference.to)
    end)

    it("each field by itself, when its own time has come", function()
      scene.poll { A = { orderStage = "billed", payment = "pending", items = { { id = 1 } } } }
      time:advance(SETTLE_MS / 2)
      scene.poll { A = { orderStage = "billed", payment = "paid", items = { { id = 1 } } } }
      time:advance(SETTLE_MS / 2)
      scene.poll { A = { orderStage = "billed", payment = "paid", items = { { id = 1 } } } }
      assert.same({ "stage_differs A orderStage open/billed" }, scene.found())
      time:advance(SETTLE_MS / 2)
      scene.poll { A = { orderStage = "billed", payment = "paid", items = { { id = 1 } } } }
      assert.same({ "stage_differs A orderStage open/billed", "field_differs A payment pending/paid" }, scene.found())
    end)

    it("the same again when it happens again", function()
      local function differ(stage)
        scene.poll { A = { orderStage = stage, payment = "pending", items = { { id = 1 } } } }
        scene.settle()
      end
      for _, stage in ipairs { "billed", "billed", "paid", "paid" } do differ(stage) end
      assert.same({ "stage_differs A orderStage open/billed", "stage_differs A orderStage billed/paid" }, scene.found())
      assert.same({ "A" }, own:report().classes.stage_differs.orders)
      assert.equal(2, own:report().classes.stage_differs.count)
    end)

    it("the same again only when that has stood, too", function()
      local function show(stage) scene.poll { A = { orderStage = stage, payment = "pending", items = { { id = 1 } } } } end
      show "billed"
      scene.settle()
      show "billed"
      show "paid"
      show "paid"
      assert.equal(1, own:report().differences)
      scene.settle()
      show "paid"
      assert.equal(2, own:report().differences)
    end)

    it("once, what came of a lost deletion: the order's versions begin anew", function()
      scene.hear("A", { payment = "paid" }, { version = 9 })
      local anew = { orderStage = "empty", payment = "pending", items = { { id = 1 } } }
      scene.poll { A = anew }
      scene.settle()
      scene.poll { A = anew }
      scene.hear("A", { orderStage = "initiated" }, { version = 2 })
      scene.settle()
      anew.orderStage = "initiated"
      scene.poll { A = anew }
      local lines = scene.found()
      table.sort(lines)
      assert.same({ "field_differs A payment paid/pending", "stage_differs A orderStage open/empty" }, lines)
      assert.equal(0, own:report().pending)
    end)

    it("the stage under the name that it has", function()
      begin { stage_field = "status" }
      scene.poll { A = { status = "new", orderStage = "x" } }
      scene.settle()
      scene.poll { A = { status = "done", orderStage = "y" } }
      scene.settle()
      scene.poll { A = { status = "done", orderStage = "y" } }
      local lines = scene.found()
      table.sort(lines)
      assert.same({ "field_differs A orderStage x/y", "stage_differs A status new/done" }, lines)
    end)
  end)

  describe("across breaks of the stream", function()
    before_each(function()
      scene.poll { A = { orderStage = "open" } }
      scene.settle()
    end)

    it("judges no poll while the stream is away", function()
      own:begin_poll()
      own:stream_lost()
      scene.list { A = { orderStage = "billed" } }
      own:end_poll()
      scene.poll { A = { orderStage = "billed" } }
      assert.equal(2, own:report().unjudged_polls)
      assert.equal(0, own:report().polls)
    end)

    it("judges no poll that was under way at a gap", function()
      own:begin_poll()
      own:stream_opened(false)
      scene.list { A = { orderStage = "billed" } }
      own:end_poll()
      assert.equal(1, own:report().unjudged_polls)
      assert.equal(0, own:report().orders)
    end)

    it("waits again for what is replayed", function()
      scene.poll { A = { orderStage = "billed" } }
      own:stream_lost()
      scene.settle()
      own:stream_opened(true)
      scene.poll { A = { orderStage = "billed" } }
      time:advance(SETTLE_MS - 1)
      scene.hear("A", { orderStage = "billed" })
      scene.settle()
      scene.poll { A = { orderStage = "billed" } }
      assert.same({}, scene.found())
    end)

    it("finds what a replay has left out", function()
      own:stream_lost()
      own:stream_opened(true)
      for _ = 1, 2 do
        scene.poll { A = { orderStage = "billed" }, B = { orderStage = "empty" } }
        scene.settle()
      end
      local lines = scene.found()
      table.sort(lines)
      assert.same({ "missing_in_stream B", "stage_differs A orderStage open/billed" }, lines)
    end)

    it("begins anew behind a gap", function()
      own:stream_lost()
      own:stream_opened(false)
      scene.poll { A = { orderStage = "billed" }, B = { orderStage = "empty" } }
      scene.settle()
      scene.poll { A = { orderStage = "billed" }, B = { orderStage = "empty" } }
      assert.same({}, scene.found())
      assert.equal(2, own:report().baselines)
      scene.hear("A", { orderStage = "paid" }, { version = 1 })
      for _ = 1, 2 do
        scene.settle()
        scene.poll { A = { orderStage = "open" }, B = { orderStage = "empty" } }
      end
      assert.same({ "stage_differs A orderStage paid/open" }, scene.found())
    end)

    it("takes what is delivered again, or was made of a snapshot, for no step back", function()
      scene.hear("A", { orderStage = "billed" }, { version = 7 })
      scene.hear("A", { orderStage = "open" }, { version = 6, replayed = true })
      scene.hear("A", { orderStage = "paid" }, { version = 9, replayed = true }) -- of a snapshot; the event is on its way
      scene.hear("A", { orderStage = "billed" }, { version = 8 })
      scene.hear("A", { orderStage = "billed" }, { version = 9 })
      scene.hear("A", { orderStage = "paid" }, { version = 9 }) -- of the same millisecond
      scene.settle()
      scene.poll { A = { orderStage = "paid" } }
      assert.same({}, scene.found())
      assert.equal(1, own:report().empty_polls)
    end)
  end)
end)
