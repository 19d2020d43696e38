--- Orders stuck in a stage: told once per stay, not before their time, and never after they left.

local dice = require "spec.support.dice"
local overdue = require "sync.overdue"
local virtual_time = require "spec.support.virtual_time"

local AFTER_MS = 600000
local EPOCH_MS = 1700000000000 -- the wall clock when the virtual one is 0

describe("overdue orders", function()
  local time, told

  before_each(function()
    time, told = virtual_time.new(), {}
  end)

  local function epoch_ms() return EPOCH_MS + time.now_ms end

  local function make(options)
    local given = {
      timers = time.timers, epoch_ms = epoch_ms, stage = "open", after_ms = AFTER_MS,
      fn = function(order_id, stage, since_ms)
        told[#told + 1] = ("%d %s %s since %d"):format(time.now_ms, order_id, stage, since_ms - EPOCH_MS)
      end,
    }
    for name, value in pairs(options or {}) do given[name] = value end
    return overdue.new(given)
  end

  it("are told when their time is over, once", function()
    local own = make()
    own:tell("A", "initiated", epoch_ms())
    time:advance(1000)
    own:tell("A", "open", epoch_ms())
    time:advance(AFTER_MS - 1)
    assert.same({}, told)
    time:advance(1)
    assert.same({ "601000 A open since 1000" }, told)
    own:tell("A", "open", epoch_ms())
    time:advance(10 * AFTER_MS)
    assert.equal(1, #told)
    assert.equal(1, own.told)
  end)

  it("are none if the order leaves in time, is gone, or never came there", function()
    local own = make()
    for _, id in ipairs { "A", "B", "C" } do own:tell(id, "open", epoch_ms()) end
    own:tell("D", "billed", epoch_ms())
    time:advance(AFTER_MS - 1)
    own:tell("A", "billed", epoch_ms())
    own:tell("B", nil)
    own:tell("C", "a stage that nobody knows")
    own:tell("A", "paid", epoch_ms())
    time:finish()
    assert.same({}, told)
    assert.equal(0, own.count)
  end)

  it("are told again for another stay", function()
    local own = make()
    own:tell("A", "open", epoch_ms())
    time:advance(AFTER_MS)
    own:tell("A", "billed", epoch_ms())
    own:tell("A", "open", epoch_ms())
    time:finish()
    assert.same({ "600000 A open since 0", "1200000 A open since 600000" }, told)
  end)

  it("count from when the order came there, not from when that was heard of", function()
    local own = make()
    time:advance(500000)
    own:tell("A", "open", EPOCH_MS + 100000)
    own:tell("A", "open", EPOCH_MS + 450000) -- told again of the same stay
    time:finish()
    assert.same({ "700000 A open since 100000" }, told)
  end)

  it("are told at once, but not inside the telling, if their time is long over", function()
    local own = make()
    own:tell("A", "open", EPOCH_MS - 10 * AFTER_MS)
    assert.same({}, told)
    time:advance(0)
    assert.same({ "0 A open since -6000000" }, told)
  end)

  it("wait no longer for a server whose clock is ahead", function()
    local own = make()
    own:tell("A", "open", epoch_ms() + 3600000)
    time:finish()
    assert.equal(AFTER_MS, time.now_ms)
    assert.equal(1, #told)
  end)

  it("count from now if nobody knows better", function()
    local own = make()
    time:advance(70)
    own:tell("A", "open")
    time:finish()
    assert.same({ "600070 A open since 70" }, told)
  end)

  it("may be told to a function that raises or changes what is known", function()
    local own
    own = make { fn = function(order_id)
      told[#told + 1] = order_id
      own:tell(order_id, "billed")
      own:tell(order_id, "open")
      error "broken"
    end }
    own:tell("A", "open")
    time:advance(2 * AFTER_MS)
    assert.same({ "A", "A" }, told)
    assert.equal(2, #time.failures)
    own:cancel()
  end)

  it("are none any more once it is cancelled", function()
    local own = make()
    own:tell("A", "open")
    own:tell("B", "open")
    own:cancel()
    own:cancel()
    own:tell("C", "open")
    own:tell("D", nil)
    assert.is_nil(time.armed_ms)
    assert.equal(0, own.count)
  end)

  it("are forgotten beyond the limit, the longest known first", function()
    local own = make { limit = 3 }
    for number = 1, 5 do
      own:tell("O" .. number, "open")
      time:advance(10)
    end
    assert.equal(3, own.count)
    time:finish()
    assert.same({ "600020 O3 open since 20", "600030 O4 open since 30", "600040 O5 open since 40" }, told)
    own:tell("O4", "paid")
    own:tell("O6", "open")
    assert.equal(3, own.count)
    own:tell("O7", "open")
    assert.is_nil(own.stays.O3)
    assert.is_table(own.stays.O5)
    own:cancel()
  end)

  -- What should be told follows from the list of stays alone.
  it("are told right for orders that come and go at random", function()
    local total = 0
    for seed = 1, 20 do
      time, told = virtual_time.new(), {}
      local die, own, expected, since = dice.new(seed), make { after_ms = 100 }, {}, {}
      local function leave(id)
        if since[id] and time.now_ms - since[id] >= 100 then
          expected[#expected + 1] = ("%d %s open since %d"):format(since[id] + 100, id, since[id])
        end
        since[id] = nil
      end
      for _ = 1, 500 do
        time:advance(die:between(0, 8))
        local id, stage = "O" .. die:between(1, 6), die:pick { "open", "open", "billed" }
        own:tell(id, stage, epoch_ms())
        if stage ~= "open" then leave(id) else since[id] = since[id] or time.now_ms end
      end
      time:finish()
      for number = 1, 6 do leave("O" .. number) end
      table.sort(expected)
      table.sort(told)
      assert.same(expected, told)
      total = total + #told
    end
    assert.is_true(total > 100)
  end)
end)
