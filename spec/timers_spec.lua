--- Timers on a clock that is passed in: order, cancelling, what the owner of the clock is told, and who may interrupt.

local dice = require "spec.support.dice"
local timers = require "sync.timers"
local virtual_time = require "spec.support.virtual_time"

-- A function that notes `name` in `log`, and the time.
local function noting(time, log, name)
  return function() log[#log + 1] = ("%s@%d"):format(name, time.now_ms) end
end

describe("timers", function()
  local time, log

  before_each(function()
    time, log = virtual_time.new(), {}
  end)

  local function after(delay_ms, name)
    return time.timers:after(delay_ms, noting(time, log, name))
  end

  it("run in order of time, and those of one time in the order they were made", function()
    after(30, "c")
    after(10, "a")
    after(20, "b1")
    after(20, "b2")
    time:advance(19)
    assert.same({ "a@10" }, log)
    time:advance(100)
    assert.same({ "a@10", "b1@20", "b2@20", "c@30" }, log)
  end)

  it("are due at a time of the clock, or after a delay; what has passed is now", function()
    time:advance(100)
    time.timers:at(130, noting(time, log, "at"))
    time.timers:at(5, noting(time, log, "passed"))
    after(-7, "negative")
    time:advance(0)
    assert.same({ "passed@100", "negative@100" }, log)
    time:advance(30)
    assert.equal("at@130", log[3])
  end)

  it("hand their callback its argument", function()
    local given
    time.timers:after(1, function(...) given = { n = select("#", ...), ... } end, "ORDER-1")
    time:advance(1)
    assert.same({ n = 1, "ORDER-1" }, given)
  end)

  it("can be cancelled: before, twice, by another callback, inside their own, and afterwards", function()
    local first, second, own
    first = after(10, "first")
    after(10, "canceller").fn = function() second:cancel() end
    second = after(10, "second")
    own = time.timers:after(11, function()
      own:cancel()
      log[#log + 1] = "own"
    end)
    first:cancel()
    first:cancel()
    time:advance(20)
    own:cancel()
    assert.same({ "own" }, log)
    assert.is_nil(time.armed_ms)
  end)

  it("tell whenever another time is the earliest, and only then", function()
    local told = {}
    local now_ms = 0
    local own = timers.new {
      now = function() return now_ms end,
      arm = function(at_ms) told[#told + 1] = at_ms or "none" end,
      on_failure = error,
    }
    local function nothing() end
    local a = own:after(50, nothing)
    local b = own:after(20, nothing)
    local c = own:after(20, nothing)
    own:after(90, nothing)
    b:cancel()
    c:cancel()
    a:cancel()
    now_ms = 90
    own:run()
    assert.same({ 50, 20, 50, 90, "none" }, told)
  end)

  it("leave what a callback adds for now to the next run, so that a run ends", function()
    local runs = 0
    local function again()
      runs = runs + 1
      time.timers:after(0, again)
    end
    time.timers:after(0, again)
    time.timers:after(0, noting(time, log, "behind"))
    time.timers:run()
    assert.equal(1, runs)
    assert.same({ "behind@0" }, log)
    time.timers:run()
    assert.equal(2, runs)
  end)

  it("stop where the budget is spent, and go on from there in the next run", function()
    for number = 1, 5 do after(0, number) end
    time.timers:run(function() return #log == 2 end)
    assert.same({ "1@0", "2@0" }, log)
    assert.equal(0, time.armed_ms)
    time.timers:run()
    assert.equal(5, #log)
  end)

  it("report a callback that raises, with where it did, and run the others", function()
    time.timers:after(1, function() error("broken") end)
    time.timers:after(1, function() error(setmetatable({}, { __tostring = function() error "worse" end })) end)
    after(1, "other")
    time:advance(1)
    assert.same({ "other@1" }, log)
    assert.equal(2, #time.failures)
    assert.matches("timers_spec.lua:%d+: broken", time.failures[1])
    assert.matches("an error of type table", time.failures[2], 1, true)
  end)

  it("let a callback yield out of the run, and another coroutine run the others meanwhile", function()
    time.timers:after(10, function()
      local answer = coroutine.yield()
      log[#log + 1] = "asks " .. answer
    end)
    after(10, "other")
    after(12, "later")
    time.now_ms = 10
    local run = coroutine.create(function() time.timers:run() end)
    assert(coroutine.resume(run))
    assert.equal(10, time.armed_ms) -- the other one is due, whoever runs it
    time.timers:run()
    assert.same({ "other@10" }, log)
    assert.equal(12, time.armed_ms)
    assert(coroutine.resume(run, "answer"))
    assert.same({ "other@10", "asks answer" }, log)
    time:advance(2)
    assert.equal("later@12", log[3])
  end)

  it("report a callback that raises after it yielded", function()
    time.timers:after(0, function()
      coroutine.yield()
      error "late"
    end)
    local run = coroutine.create(function() time.timers:run() end)
    assert(coroutine.resume(run))
    assert(coroutine.resume(run))
    assert.equal("dead", coroutine.status(run))
    assert.matches("late", time.failures[1])
  end)
end)

-- The model: a list, sorted whenever it is looked at.
local function earliest(waiting)
  table.sort(waiting, function(a, b)
    if a.at_ms ~= b.at_ms then return a.at_ms < b.at_ms end
    return a.number < b.number
  end)
  return waiting[1]
end

describe("timers, made, cancelled and run at random", function()
  local function play(seed, steps)
    local die, time = dice.new(seed), virtual_time.new()
    local waiting, made, ran = {}, 0, 0

    local function forget(entry)
      for index, candidate in ipairs(waiting) do
        if candidate == entry then return table.remove(waiting, index) end
      end
    end

    local function make()
      made = made + 1
      local entry = { at_ms = time.now_ms + die:between(0, 40), number = made }
      waiting[#waiting + 1] = entry
      entry.timer = time.timers:at(entry.at_ms, function()
        assert.equal(earliest(waiting), entry)
        assert.equal(entry.at_ms, time.now_ms)
        forget(entry)
        ran = ran + 1
        if die:chance(0.3) then make() end
      end)
    end

    for _ = 1, steps do
      local throw = die:fraction()
      if throw < 0.5 then
        make()
      elseif throw < 0.7 and waiting[1] then
        forget(die:pick(waiting)).timer:cancel()
      else
        time:advance(die:between(0, 15))
      end
      assert.equal(waiting[1] and earliest(waiting).at_ms, time.armed_ms)
    end
    time:finish()
    assert.same({}, waiting)
    assert.same({}, time.failures)
    assert.is_true(ran > steps / 4)
  end

  it("do as a sorted list does", function()
    for seed = 1, 20 do play(seed, 400) end
  end)

  it("are as many as you like, and cancelled ones are gone at once", function()
    local time = virtual_time.new()
    local kept = {}
    for number = 1, 20000 do kept[number] = time.timers:after(600000, error) end
    for _, timer in ipairs(kept) do timer:cancel() end
    assert.equal(0, #time.timers.heap)
  end)
end)
