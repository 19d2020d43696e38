--- Steps that an order's life does not have: delivered, dropped, held, or asked about; each order in its own order, and
-- nothing held for ever.

local dice = require "spec.support.dice"
local stages = require "sync.stages"
local violations = require "sync.violations"
local virtual_time = require "spec.support.virtual_time"

local HOLD_MS = 100
local LIFE = { "initiated", "open", "billed", "paid" } -- after "empty"

-- A gate, with what went through it ("ORDER open->billed", "ORDER note" for other news), what was told, what was asked.
-- It knows the stages as its owner does: by what was delivered.
local function new_scene(policy, options)
  local time = virtual_time.new()
  local scene = { time = time, delivered = {}, discarded = {}, told = {}, questions = {}, stage_of = {} }
  local given = {
    timers = time.timers, machine = stages.check(stages.default),
    deliver = function(event, previous, new)
      scene.delivered[#scene.delivered + 1] = new and ("%s %s->%s"):format(event.order_id, previous, new)
        or ("%s %s"):format(event.order_id, event.note)
      if new then
        assert(previous == scene.stage_of[event.order_id], "the previous stage is not the one delivered last")
        scene.stage_of[event.order_id] = new
      end
      if scene.on_delivery then scene.on_delivery(event) end
    end,
    discard = function(event) scene.discarded[#scene.discarded + 1] = event end,
    on_violation = function(violation)
      scene.told[#scene.told + 1] = violation
    end,
    ask_snapshot = function(order_id, reply)
      scene.questions[#scene.questions + 1] = { order_id = order_id, reply = reply }
      if scene.answer then reply(scene.answer) end
    end,
  }
  for name, value in pairs(options or {}) do given[name] = value end
  local complete = { hold_ms = HOLD_MS }
  for name, value in pairs(policy or {}) do complete[name] = value end
  given.policy = violations.check(complete)
  scene.gate = violations.new(given)

  function scene.begin(order_id, stage) scene.stage_of[order_id] = stage end

  function scene.step(order_id, new, tag)
    scene.gate:take({ order_id = order_id, new = new, tag = tag }, order_id, new, scene.stage_of[order_id])
  end

  function scene.note(order_id, text)
    scene.gate:take({ order_id = order_id, note = text }, order_id, nil, scene.stage_of[order_id])
  end

  -- "kind action" of each violation told.
  function scene.verdicts()
    local list = {}
    for index, violation in ipairs(scene.told) do list[index] = violation.kind .. " " .. violation.action end
    return list
  end

  return scene
end

describe("steps as declared", function()
  it("go straight through, and so does other news", function()
    local scene = new_scene { skipped = "hold", late = "drop" }
    scene.begin("A", "empty")
    for _, stage in ipairs(LIFE) do scene.step("A", stage) end
    scene.note("A", "printed")
    scene.step("B", "billed") -- of an order that nobody knows, any stage is the first
    assert.same({
      "A empty->initiated", "A initiated->open", "A open->billed", "A billed->paid", "A printed", "B nil->billed",
    }, scene.delivered)
    assert.same({}, scene.told)
    assert.equal(0, scene.time.timers.made)
  end)
end)

describe("a violation", function()
  it("is delivered, told and counted, if nothing else is wanted", function()
    local scene = new_scene()
    scene.begin("A", "open")
    scene.step("A", "paid")
    scene.step("A", "paid")
    scene.step("A", "billed")
    scene.step("A", "lost")
    assert.same({ "A open->paid", "A paid->paid", "A paid->billed", "A billed->lost" }, scene.delivered)
    assert.same({ "skipped delivered", "repeated delivered", "late delivered", "impossible delivered" }, scene.verdicts())
    local first = scene.told[1]
    assert.same({ "billed" }, first.missing)
    assert.equal("A", first.order_id)
    assert.equal("open", first.previous)
    assert.equal("paid", first.new)
    assert.same({ order_id = "A", new = "paid" }, first.event)
    assert.is_nil(scene.told[2].missing)
    assert.same({
      repeated = 1, skipped = 1, late = 1, impossible = 1, dropped = 0, reordered = 0, refuted = 0, held = 0,
    }, scene.gate:report())
  end)

  it("can be dropped, each kind by itself", function()
    local scene = new_scene { repeated = "drop", late = "drop", impossible = "drop" }
    scene.begin("A", "open")
    for _, stage in ipairs { "open", "initiated", "lost", "billed" } do scene.step("A", stage) end
    assert.same({ "A open->billed" }, scene.delivered)
    assert.same({ "repeated dropped", "late dropped", "impossible dropped" }, scene.verdicts())
    assert.equal(3, scene.gate:report().dropped)
    assert.equal(3, #scene.discarded)
  end)
end)

describe("finish", function()
  it("ends the waiting of all orders, and each goes in its own order", function()
    local scene = new_scene { skipped = "hold" }
    for _, order_id in ipairs { "A", "B" } do
      scene.begin(order_id, "initiated")
      scene.step(order_id, "billed")
      scene.note(order_id, "receipt")
    end
    scene.gate:finish()
    table.sort(scene.delivered)
    assert.same({ "A initiated->billed", "A receipt", "B initiated->billed", "B receipt" }, scene.delivered)
    assert.equal(0, scene.gate:report().held)
    assert.is_nil(scene.time.armed_ms)
  end)
end)

describe("a step that comes too early", function()
  local scene

  before_each(function()
    scene = new_scene { skipped = "hold", repeated = "drop", late = "drop" }
    scene.begin("A", "open")
  end)

  it("is held until the step before it came, and is no violation then", function()
    scene.step("A", "paid")
    assert.same({}, scene.delivered)
    assert.equal(1, scene.gate:report().held)
    scene.time:advance(HOLD_MS - 1)
    scene.step("A", "billed")
    assert.same({ "A open->billed", "A billed->paid" }, scene.delivered)
    scene.time:finish()
    assert.equal(2, #scene.delivered)
    assert.same({}, scene.told)
    assert.equal(1, scene.gate:report().reordered)
    assert.equal(0, scene.gate:report().held)
  end)

  it("is delivered when the window is over, and told then", function()
    scene.step("A", "paid")
    scene.time:advance(HOLD_MS - 1)
    assert.same({}, scene.told)
    scene.time:advance(1)
    assert.same({ "A open->paid" }, scene.delivered)
    assert.same({ "skipped delivered" }, scene.verdicts())
    assert.same({ "billed" }, scene.told[1].missing)
    scene.step("A", "billed") -- too late
    assert.same({ "skipped delivered", "late dropped" }, scene.verdicts())
    assert.equal(1, #scene.delivered)
  end)

  it("keeps later news of its order behind it, and nobody else's", function()
    scene.begin("B", "open")
    scene.step("A", "paid")
    scene.note("A", "receipt 1")
    scene.note("B", "printed")
    scene.step("B", "billed")
    scene.note("A", "receipt 2")
    assert.same({ "B printed", "B open->billed" }, scene.delivered)
    scene.step("A", "billed")
    assert.same({
      "B printed", "B open->billed", "A open->billed", "A billed->paid", "A receipt 1", "A receipt 2",
    }, scene.delivered)
  end)

  it("keeps news behind it no longer than itself", function()
    scene.step("A", "paid")
    scene.time:advance(HOLD_MS - 1)
    scene.note("A", "receipt")
    scene.time:advance(1)
    assert.same({ "A open->paid", "A receipt" }, scene.delivered)
    scene.note("A", "thanks") -- nothing is held any more
    assert.equal("A thanks", scene.delivered[3])
    assert.is_nil(scene.time.armed_ms)
  end)

  it("that came twice is delivered once", function()
    scene.step("A", "paid", "first")
    scene.step("A", "paid", "second")
    scene.step("A", "billed")
    assert.same({ "A open->billed", "A billed->paid" }, scene.delivered)
    assert.same({ "repeated dropped" }, scene.verdicts())
    assert.equal("second", scene.told[1].event.tag)
  end)

  it("stays behind what came before it, but for steps that it overtook", function()
    scene.begin("A", "empty")
    scene.step("A", "open")
    scene.note("A", "printed")
    scene.step("A", "paid")
    scene.step("A", "initiated")
    assert.same({ "A empty->initiated", "A initiated->open", "A printed" }, scene.delivered)
    scene.step("A", "billed")
    assert.same("A billed->paid", scene.delivered[5])
  end)

  it("gives each its own window: what came later is still waited for", function()
    scene.begin("A", "empty")
    scene.step("A", "open") -- "initiated" is missing
    scene.time:advance(90)
    scene.step("A", "paid") -- "billed" is missing
    scene.time:advance(10)
    assert.same({ "A empty->open" }, scene.delivered)
    scene.time:advance(50)
    scene.step("A", "billed")
    assert.same({ "A empty->open", "A open->billed", "A billed->paid" }, scene.delivered)
  end)

  it("takes what belongs before it along when its window is over", function()
    scene.begin("A", "empty")
    scene.step("A", "billed")
    scene.time:advance(60)
    scene.step("A", "open")
    scene.time:advance(40)
    assert.same({ "A empty->open", "A open->billed" }, scene.delivered)
    assert.same({ "skipped delivered" }, scene.verdicts())
  end)

  it("is a violation of another kind if the order has gone elsewhere meanwhile", function()
    local kitchen = stages.check {
      initial = { "new" }, final = { "served", "cancelled" },
      steps = { new = { "cooking", "cancelled" }, cooking = { "served" } },
    }
    scene = new_scene({ skipped = "hold", impossible = "drop" }, { machine = kitchen })
    scene.begin("A", "new")
    scene.step("A", "served")
    scene.note("A", "plate 7")
    scene.step("A", "cancelled")
    assert.same({ "A new->cancelled", "A plate 7" }, scene.delivered)
    assert.same({ "impossible dropped" }, scene.verdicts())
  end)

  it("is not held beyond the limit: then the order is let go", function()
    scene = new_scene({ skipped = "hold" }, { limit = 3 })
    for _, id in ipairs { "A", "B" } do
      scene.begin(id, "open")
      scene.step(id, "paid")
    end
    scene.note("A", "receipt 1")
    assert.same({}, scene.delivered)
    scene.note("A", "receipt 2")
    assert.same({ "A open->paid", "A receipt 1", "A receipt 2" }, scene.delivered)
    assert.equal(1, scene.gate:report().held)
    scene.time:finish()
    assert.equal("B open->paid", scene.delivered[4])
  end)

  it("comes from inside a delivery as well", function()
    scene.on_delivery = function(event)
      if event.new == "billed" then scene.note("A", "inside") end
    end
    scene.step("A", "paid")
    scene.step("A", "billed")
    assert.same({ "A open->billed", "A billed->paid", "A inside" }, scene.delivered)
    assert.equal(0, scene.gate:report().held)
  end)

  it("goes when its time is over even if a delivery before it raised", function()
    scene.on_delivery = function(event)
      if event.new == "billed" then error "handler" end
    end
    scene.step("A", "paid")
    scene.note("A", "receipt")
    assert.has_error(function() scene.step("A", "billed") end)
    scene.time:finish()
    assert.same({ "A open->billed", "A billed->paid", "A receipt" }, scene.delivered)
    assert.equal(0, scene.gate:report().held)
  end)
end)

describe("a violation that the snapshot is asked about", function()
  local scene

  before_each(function()
    scene = new_scene { late = "snapshot", skipped = "snapshot" }
    scene.begin("A", "billed")
  end)

  it("waits for the answer, and the order's later news with it", function()
    scene.step("A", "open")
    scene.note("A", "receipt")
    assert.same({}, scene.delivered)
    assert.same({ "late asked" }, scene.verdicts())
    assert.equal("A", scene.questions[1].order_id)
  end)

  it("is gone if the snapshot says that nothing has changed", function()
    scene.step("A", "open")
    scene.note("A", "receipt")
    scene.questions[1].reply "billed"
    assert.same({ "A receipt" }, scene.delivered)
    assert.equal(1, scene.gate:report().refuted)
    assert.equal("open", scene.discarded[1].new)
    assert.is_nil(scene.time.armed_ms)
  end)

  it("is delivered if the snapshot says so, says something else, or knows nothing", function()
    for number, answer in ipairs { "open", "initiated", false } do
      local id = "order " .. number
      scene.begin(id, "billed")
      scene.step(id, "open")
      scene.questions[number].reply(answer or nil)
      assert.equal(id .. " billed->open", scene.delivered[number])
    end
    assert.equal(0, scene.gate:report().refuted)
    assert.equal(3, #scene.told) -- once each
  end)

  it("is delivered if there is no answer in time; one that comes later says nothing", function()
    scene.step("A", "open")
    scene.time:advance(HOLD_MS)
    assert.same({ "A billed->open" }, scene.delivered)
    scene.step("A", "paid")
    scene.questions[1].reply "billed"
    assert.equal(1, #scene.delivered)
    scene.questions[2].reply "paid"
    assert.equal("A open->paid", scene.delivered[2])
    assert.same({ "late asked", "skipped asked" }, scene.verdicts())
  end)

  it("needs no answer if the step before it comes", function()
    scene.begin("A", "open")
    scene.step("A", "paid")
    scene.step("A", "billed")
    assert.same({ "A open->billed", "A billed->paid" }, scene.delivered)
    scene.questions[1].reply "open"
    assert.equal(2, #scene.delivered)
  end)

  it("may be answered inside the question", function()
    scene.answer = "open"
    scene.step("A", "open")
    assert.same({ "A billed->open" }, scene.delivered)
    scene.answer = "open"
    scene.step("A", "initiated")
    assert.equal(1, #scene.delivered)
    assert.equal(1, scene.gate:report().refuted)
    assert.equal(0, scene.gate:report().held)
  end)

  it("is asked about when it becomes one while it waits", function()
    scene = new_scene { skipped = "hold", repeated = "snapshot" }
    scene.begin("A", "open")
    scene.step("A", "paid")
    scene.step("A", "paid")
    scene.step("A", "billed")
    assert.same({ "A open->billed", "A billed->paid" }, scene.delivered)
    assert.same({ "repeated asked" }, scene.verdicts())
    scene.questions[1].reply "paid"
    assert.equal(2, #scene.delivered)
    assert.equal(0, scene.gate:report().held)
  end)
end)

describe("violations.check", function()
  it("completes a policy", function()
    assert.same({ repeated = "deliver", skipped = "hold", late = "deliver", impossible = "deliver", hold_ms = 1000 },
      violations.check { skipped = "hold" })
    assert.equal(250, violations.check({ hold_ms = 250 }).hold_ms)
    assert.equal("deliver", violations.check().late)
    assert.equal("deliver", violations.check({ late = "deliver" }).late)
  end)

  it("raises for what cannot be meant, with the option's path", function()
    local cases = {
      { "violations: expected a table, got a string", "hold" },
      { "violations.skiped: unknown option (did you mean 'skipped'?)", { skiped = "hold" } },
      { 'violations.late: expected one of deliver, drop, hold, snapshot, got "ignore"', { late = "ignore" } },
      { "violations.late: expected one of deliver, drop, hold, snapshot, got a boolean", { late = true } },
      { "violations.late: nothing that could still come would make it right; only a skipped step can be held",
        { late = "hold" } },
      { "violations.hold_ms: expected an integer (milliseconds), 0 or more, got -1", { hold_ms = -1 } },
      { "violations.hold_ms: expected an integer (milliseconds), 0 or more, got soon", { hold_ms = "soon" } },
    }
    for _, case in ipairs(cases) do
      local ok, message = pcall(violations.check, case[2])
      assert.is_false(ok)
      assert.equal(case[1], message)
    end
  end)
end)

-- ---- every order of arrival ----------------------------------------------------------------------------------------

-- Calls `fn` with every sequence of different items of `list`, the empty one too.
local function each_arrangement(list, fn, chosen)
  chosen = chosen or {}
  fn(chosen)
  for _, item in ipairs(list) do
    local taken = false
    for _, other in ipairs(chosen) do taken = taken or other == item end
    if not taken then
      chosen[#chosen + 1] = item
      each_arrangement(list, fn, chosen)
      chosen[#chosen] = nil
    end
  end
end

describe("held steps, in every order of arrival, with any of them missing", function()
  it("come out in the order of the life, and what is told is what is missing", function()
    local arrangements = 0
    each_arrangement(LIFE, function(arrival)
      arrangements = arrangements + 1
      local scene = new_scene { skipped = "hold" }
      scene.begin("A", "empty")
      local arrived = {}
      for index, stage in ipairs(arrival) do
        scene.step("A", stage)
        arrived[stage] = true
        if index % 2 == 0 then scene.time:advance(HOLD_MS / 8) end
      end
      scene.time:finish()
      local expected, gaps, previous, complete = {}, 0, "empty", true
      for _, stage in ipairs(LIFE) do
        if arrived[stage] then
          expected[#expected + 1] = ("A %s->%s"):format(previous, stage)
          if not complete then gaps = gaps + 1 end
          previous, complete = stage, true
        else
          complete = false
        end
      end
      assert.same(expected, scene.delivered)
      assert.equal(gaps, #scene.told)
      assert.equal(0, scene.gate:report().held)
    end)
    assert.equal(65, arrangements)
  end)
end)

-- ---- at random -----------------------------------------------------------------------------------------------------

-- Orders live their lives, and what is said of them arrives after a delay of its own each: less than the window, so every
-- order can be put right again; or some of it twice or never.
local function play(seed, faults)
  local die = dice.new(seed)
  local scene = new_scene { skipped = "hold", repeated = "drop", late = "drop" }
  local time, sent, arrived = scene.time, {}, {}
  local function send(order_id, stage, note)
    sent[#sent + 1] = stage or note
    if die:chance(faults) then return end
    for _ = 1, die:chance(faults) and 2 or 1 do
      time.timers:after(die:between(0, HOLD_MS - 1), function()
        local event = { order_id = order_id, new = stage, note = note, arrived_ms = time.now_ms }
        arrived[order_id] = arrived[order_id] or {}
        if note then table.insert(arrived[order_id], note) end
        scene.gate:take(event, order_id, stage, scene.stage_of[order_id])
      end)
    end
  end
  local waited_ms, notes = 0, {}
  scene.on_delivery = function(event)
    waited_ms = math.max(waited_ms, time.now_ms - event.arrived_ms)
    notes[event.order_id] = notes[event.order_id] or {}
    if event.note then table.insert(notes[event.order_id], event.note) end
  end
  for number = 1, 8 do
    local id = "O" .. number
    scene.begin(id, "empty")
    for _, stage in ipairs(LIFE) do
      send(id, stage)
      if die:chance(0.5) then send(id, nil, "note " .. #sent) end
      time:advance(die:between(0, 40))
    end
  end
  time:finish()
  assert.same({}, time.failures)
  assert.same(arrived, notes) -- other news: all of it, and in the order in which it came
  assert.equal(0, scene.gate:report().held)
  assert.same({}, scene.gate.orders)
  return scene, sent, waited_ms
end

describe("steps that arrive in any order", function()
  it("are put right if they come within the window", function()
    local reordered = 0
    for seed = 1, 60 do
      local scene, sent, waited_ms = play(seed, 0)
      assert.same({}, scene.told)
      assert.equal(#sent, #scene.delivered)
      assert.is_true(waited_ms < HOLD_MS)
      for number = 1, 8 do assert.equal("paid", scene.stage_of["O" .. number]) end
      reordered = reordered + scene.gate:report().reordered
    end
    assert.is_true(reordered > 200)
  end)

  it("never go backwards, and never wait longer than the window, whatever is lost or comes twice", function()
    local place = { empty = 0, initiated = 1, open = 2, billed = 3, paid = 4 }
    for seed = 1, 60 do
      local scene, _, waited_ms = play(seed, 0.15)
      assert.is_true(waited_ms <= HOLD_MS)
      for _, line in ipairs(scene.delivered) do
        local previous, new = line:match "(%w+)%->(%w+)"
        assert(not previous or place[new] > place[previous], line)
      end
    end
  end)
end)
