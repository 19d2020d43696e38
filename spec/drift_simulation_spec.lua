--- The comparison of stream and polls on a book that changes fast, with latencies at random: no false alarm without a
-- fault, and every fault found. The world is in spec/support/two_sources.lua.

local comparison = require "sync.drift.comparison"
local two_sources = require "spec.support.two_sources"

-- Latencies, paces and sizes that are unlike each other.
local WORLDS = {
  { stream_ms = { 0, 2000 }, settle_ms = 2000, request_ms = { 0, 400 }, poll_every_ms = 500 },
  { stream_ms = { 0, 300 }, settle_ms = 300, request_ms = { 0, 1500 }, poll_every_ms = 1 },
  { stream_ms = { 0, 4000 }, settle_ms = 4000, request_ms = { 0, 1 }, poll_every_ms = 100, orders = 5 },
  { stream_ms = { 0, 50 }, settle_ms = 50, request_ms = { 0, 50 }, poll_every_ms = 3000, orders = 2 },
}

local function with(world, changed)
  local options = {}
  for name, value in pairs(world) do options[name] = value end
  for name, value in pairs(changed or {}) do options[name] = value end
  return options
end

local function assert_no_difference(world)
  local found = world:found()
  assert(not found[1], table.concat(found, ", "))
end

-- What the stream's picture says is what the server has.
local function assert_true_picture(world)
  for id, order in pairs(world.truth) do
    local picture = world.drift.orders.pictures[id]
    assert(picture, id .. " is not known")
    for name, value in pairs(order.fields) do
      assert(comparison.same(value, picture.fields[name]), ("%s.%s is not as it is"):format(id, name))
    end
  end
  for id in pairs(world.drift.orders.pictures) do assert(world.truth[id], id .. " is known and not there") end
end

describe("two sources without a fault", function()
  it("have no difference, however fast the orders change", function()
    local changes, settled, in_flight, polls = 0, 0, 0, 0
    for number, options in ipairs(WORLDS) do
      for seed = 1, 3 do
        local world = two_sources.new(100 * number + seed, options)
        world:open(false)
        world:play(30000, 15)
        assert_no_difference(world)
        world:watch(15000)
        assert_no_difference(world)
        assert_true_picture(world)
        local report = world.drift:report()
        assert.equal(0, report.pending)
        changes, settled = changes + world.changes, settled + report.settled
        in_flight, polls = in_flight + report.in_flight, polls + report.polls
      end
    end
    -- It was no easy life.
    assert.is_true(changes > 20000)
    assert.is_true(polls > 500)
    assert.is_true(settled > 1000)
    assert.is_true(in_flight > 1000)
  end)

  it("would seem to differ all the time, were there no waiting for events on their way", function()
    local world = two_sources.new(7, with(WORLDS[1], { settle_ms = 0 }))
    world:open(false)
    world:play(30000, 15)
    assert.is_true(world.drift:report().differences > 20)
  end)

  it("have no difference in a long run", function()
    local world = two_sources.new(11, WORLDS[1])
    world:open(false)
    world:play(20 * 60000, 60)
    assert_no_difference(world)
    assert.is_true(world.changes > 15000)
    assert.is_true(world.drift:report().polls > 500)
    assert.is_true(world.drift:report().clean_ms > 19 * 60000)
  end)

  -- Some replay what was missed, some do not; a break may come in the middle of a poll, or of a replay.
  it("have none across breaks of the stream", function()
    local unjudged = 0
    for number, options in ipairs(WORLDS) do
      for seed = 1, 4 do
        local world = two_sources.new(1000 * number + seed, options)
        world:open(false)
        for second = 3, 27, 4 do
          local at_ms = 1000 * second + world.die:between(0, 2000)
          local replays = world.die:chance(0.5)
          world.time.timers:at(at_ms, function() world:break_stream() end)
          world.time.timers:at(at_ms + world.die:between(1, 2000), function() world:open(replays) end)
        end
        world:play(30000, 15)
        world:watch(15000)
        assert_no_difference(world)
        assert_true_picture(world)
        unjudged = unjudged + world.drift:report().unjudged_polls
      end
    end
    assert.is_true(unjudged > 100)
  end)
end)

-- ---- faults --------------------------------------------------------------------------------------------------------

-- A world in which one order is left alone, and the others go on. `fault` does something to it, and nothing else happens.
local function play_fault(seed, fault)
  local world = two_sources.new(seed, WORLDS[seed % #WORLDS + 1])
  world.quiet.VICTIM = true
  world.ids[#world.ids + 1] = "VICTIM"
  world:open(false)
  world:create "VICTIM"
  world:play(10000, 15)
  world:change("VICTIM", { orderStage = "initiated", paymentStatus = "pending" })
  world:play(10000, 15)
  assert_no_difference(world)
  fault(world)
  world:play(25000, 15)
  return world
end

-- The stream loses what `act` makes it say.
local function losing(world, act)
  world.on_event = function() end
  act()
  world.on_event = nil
end

-- class -> faults, each by its name
local FAULTS = {
  missing_in_stream = {
    ["the making of an order is lost"] = function(world)
      world:delete "VICTIM"
      world:watch(6000)
      losing(world, function() world:create "VICTIM" end)
    end,
  },
  missing_in_poll = {
    ["the deletion of an order is lost"] = function(world)
      losing(world, function() world:delete "VICTIM" end)
    end,
    ["polls do not list an order any more"] = function(world)
      world.on_listing = function(id, order) return id ~= "VICTIM" and order or nil end
    end,
  },
  stage_differs = {
    ["a change of stage is lost"] = function(world)
      losing(world, function() world:change("VICTIM", { orderStage = "open" }) end)
    end,
    ["the stream tells a change that never was"] = function(world)
      world:emit { order_id = "VICTIM", version = 3, fields = { orderStage = "billed" } }
    end,
    ["polls come from a replica that has stopped"] = function(world)
      local before = { fields = with(world.truth.VICTIM.fields), version = world.truth.VICTIM.version }
      world.on_listing = function(id, order) return id == "VICTIM" and before or order end
      world:change("VICTIM", { orderStage = "open" })
    end,
  },
  field_differs = {
    ["a payment is lost"] = function(world)
      losing(world, function() world:change("VICTIM", { paymentStatus = "paid" }) end)
    end,
    ["an event leaves something out"] = function(world)
      world.on_event = function(event)
        event.fields.items = nil
        return event
      end
      world:change("VICTIM", { orderStage = "open", items = { 9 } })
      world.on_event = nil
    end,
    ["polls say it otherwise"] = function(world)
      world.on_listing = function(id, order)
        if id == "VICTIM" then order.fields.totalAmount = tostring(order.fields.totalAmount) end
        return order
      end
    end,
  },
  version_goes_back = {
    ["the stream delivers in the wrong order"] = function(world)
      local kept
      world.on_event = function(event) kept = event end
      world:change("VICTIM", { orderStage = "open" })
      world.on_event = nil
      world:change("VICTIM", { orderStage = "open", paymentStatus = "paid" })
      world:emit(kept)
    end,
    ["a poll comes from a replica that lags, once"] = function(world)
      local before = { fields = with(world.truth.VICTIM.fields), version = world.truth.VICTIM.version - 1 }
      world.on_listing = function(id, order)
        if id ~= "VICTIM" then return order end
        world.on_listing = nil
        return before
      end
    end,
  },
}

describe("a fault", function()
  for class, faults in pairs(FAULTS) do
    describe("of class " .. class, function()
      for name, fault in pairs(faults) do
        it("is found, and nothing else is: " .. name, function()
          for seed = 1, #WORLDS do
            assert.same({ class .. " VICTIM" }, play_fault(seed, fault):found(), "seed " .. seed)
          end
        end)
      end
    end)
  end

  -- Events are lost at random, in the middle of it all. Not every loss leaves a trace: the next event may say it all.
  it("leaves no lasting trace undetected, and blames no order that lost nothing", function()
    local found, lost_count = 0, 0
    for seed = 1, 12 do
      local world = two_sources.new(seed, WORLDS[seed % #WORLDS + 1])
      world:open(false)
      world:play(8000, 15)
      local lost = {}
      world.on_event = function(event)
        if not world.die:chance(0.05) then return event end
        lost[event.order_id], lost_count = true, lost_count + 1
      end
      world:play(12000, 15)
      world.on_event = nil
      world:watch(40000)
      assert_true_picture(world) -- which it is only by what was found
      assert.equal(0, world.drift:report().pending)
      for _, line in ipairs(world:found()) do
        assert(lost[line:match " (%w+)$"], line)
      end
      found = found + world.drift:report().differences
    end
    assert.is_true(lost_count > 300)
    assert.is_true(found > 100)
  end)
end)
