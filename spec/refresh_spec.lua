--- Refreshing: one call per burst, the last touch never forgotten, never two calls at once, and failures tried again.

local dice = require "spec.support.dice"
local refresh = require "sync.refresh"
local virtual_time = require "spec.support.virtual_time"

local DEBOUNCE_MS, MAX_WAIT_MS = 100, 350
local RETRY = { base_ms = 1000, cap_ms = 8000 }

describe("a refresh", function()
  local time, calls, failures, behaviour

  before_each(function()
    time, calls, failures, behaviour = virtual_time.new(), {}, {}, nil
  end)

  -- What raises out of a callback of the timers would be a mistake of the refresh's own.
  after_each(function() assert.same({}, time.failures) end)

  -- Notes each call as "time reason count", then does what `behaviour` does.
  local function make(options)
    local given = {
      timers = time.timers, debounce_ms = DEBOUNCE_MS, max_wait_ms = MAX_WAIT_MS, retry = RETRY,
      random = function() return 0.5 end,
      fn = function(news)
        calls[#calls + 1] = ("%d %s %d"):format(time.now_ms, news.reason, news.count)
        if behaviour then return behaviour(news) end
      end,
      on_failure = function(message, count, retry_in_ms)
        failures[#failures + 1] = { message = message, count = count, retry_in_ms = retry_in_ms }
      end,
    }
    for name, value in pairs(options or {}) do given[name] = value end
    return refresh.new(given)
  end

  describe("debounced", function()
    it("is called once for a burst, when it has been quiet for debounce_ms", function()
      local own = make()
      own:touch()
      time:advance(60)
      own:touch()
      time:advance(60)
      own:touch "poll"
      time:advance(99)
      assert.same({}, calls)
      time:advance(1)
      assert.same({ "220 event 3" }, calls)
      time:finish()
      assert.equal(1, #calls)
    end)

    it("is called again for the next burst", function()
      local own = make()
      own:touch "poll"
      time:advance(1000)
      own:touch()
      time:finish()
      assert.same({ "100 poll 1", "1100 event 1" }, calls)
    end)

    it("waits no longer than max_wait_ms under a stream that never pauses", function()
      local own = make()
      for _ = 1, 100 do
        own:touch()
        time:advance(10)
      end
      assert.same({ "350 event 35", "700 event 35" }, calls)
      time:finish()
      assert.equal("1050 event 30", calls[3])
    end)

    it("waits five debounces at most if not told otherwise", function()
      local own = make { max_wait_ms = false }
      for _ = 1, 60 do
        own:touch()
        time:advance(10)
      end
      assert.same({ "500 event 50" }, calls)
    end)

    it("takes one timer for a burst, not one for each event", function()
      local own = make()
      for _ = 1, 1000 do own:touch() end
      assert.equal(1, time.timers.made)
    end)

    it("waits max_wait_ms where that is the shorter", function()
      make({ max_wait_ms = 30 }):touch()
      time:finish()
      assert.same({ "30 event 1" }, calls)
    end)
  end)

  describe("asked for", function()
    it("is called at once, but not inside the asking", function()
      make():now()
      assert.same({}, calls)
      time:advance(0)
      assert.same({ "0 start 1" }, calls)
    end)

    it("answers the burst that was waiting as well", function()
      local own = make()
      own:touch()
      time:advance(20)
      own:now "resync"
      time:finish()
      assert.same({ "20 event 2" }, calls)
    end)
  end)

  describe("under way", function()
    local own, thread

    -- A call that has yielded.
    before_each(function()
      own = make()
      behaviour = coroutine.yield
      own:now()
      thread = coroutine.create(function() time:advance(0) end)
      assert(coroutine.resume(thread))
      behaviour = nil
    end)

    local function finish(...)
      assert.equal("suspended", coroutine.status(thread))
      assert(coroutine.resume(thread, ...))
      assert.equal("dead", coroutine.status(thread))
    end

    it("is not called a second time, whatever comes; afterwards once", function()
      for _ = 1, 5 do
        own:touch()
        own:now "resync"
        time:advance(1000)
      end
      assert.same({ "0 start 1" }, calls)
      finish()
      time:finish()
      assert.same({ "0 start 1", "5000 event 10" }, calls)
    end)

    it("is followed by one call for a touch meanwhile, after its debounce", function()
      time:advance(40)
      own:touch()
      finish()
      time:advance(99)
      assert.equal(1, #calls)
      time:finish()
      assert.same({ "0 start 1", "140 event 1" }, calls)
    end)

    it("is followed by one at once for a touch long ago", function()
      own:touch()
      own:touch()
      time:advance(5000)
      finish()
      time:finish()
      assert.same({ "0 start 1", "5000 event 2" }, calls)
    end)

    it("fails after it yielded as before it did", function()
      time:advance(10)
      own:touch()
      finish(nil, "NETWORK: refused")
      assert.same({ { message = "NETWORK: refused", count = 1, retry_in_ms = 500 } }, failures)
      time:finish()
      assert.same({ "0 start 1", "110 start 2" }, calls) -- what was not answered is told again
    end)

    it("can be cancelled: it goes on, and is the last", function()
      own:touch()
      own:cancel()
      finish(nil, "too late to matter")
      time:finish()
      assert.equal(1, #calls)
      assert.same({}, failures)
    end)
  end)

  describe("that fails", function()
    it("is tried again, with a backoff that doubles up to its cap, until it succeeds", function()
      behaviour = function() error("no route", 0) end
      make():now()
      time:advance(0)
      for _ = 1, 4 do time:advance(time.armed_ms - time.now_ms) end
      behaviour = nil
      time:finish()
      local delays = {}
      for index, failure in ipairs(failures) do
        assert.matches("^no route\n", failure.message) -- and where
        assert.equal(index, failure.count)
        delays[index] = failure.retry_in_ms
      end
      assert.same({ 500, 1000, 2000, 4000, 4000 }, delays)
      assert.same({ "0 start 1", "500 start 1", "1500 start 1", "3500 start 1", "7500 start 1", "11500 start 1" }, calls)
    end)

    it("may say so as every function here does: nil or false, and a message", function()
      local own = make()
      for _, result in ipairs { { nil, "CODE: text", "CODE" }, { false, 42 } } do
        behaviour = function() return result[1], result[2] end
        own:now()
        time:advance(0)
        behaviour = nil
        time:finish()
      end
      assert.equal("CODE: text", failures[1].message)
      assert.equal("42", failures[2].message)
    end)

    it("has not failed when it gives nothing, false alone, or values", function()
      local own = make()
      for _, result in ipairs { {}, { false }, { "rows", "more" }, { 0 } } do
        behaviour = function() return result[1], result[2] end
        own:now()
        time:finish()
      end
      assert.same({}, failures)
    end)

    it("is called early for a new touch, and the backoff goes on from where it was", function()
      behaviour = error
      local own = make { random = function() return 0.999 end }
      own:now()
      time:advance(10)
      own:touch()
      time:advance(100)
      assert.same({ "0 start 1", "110 start 2" }, calls)
      assert.equal(2, failures[2].count)
      assert.equal(1998, failures[2].retry_in_ms)
      time:advance(1998)
      assert.equal("2108 start 2", calls[3])
      behaviour = nil
      time:finish()
      behaviour = error
      own:now()
      time:advance(0)
      assert.equal(1, failures[#failures].count) -- a success ends the row
    end)

    it("has full jitter", function()
      behaviour = error
      local own = make { random = function() return 0 end }
      own:now()
      time.timers:run()
      assert.equal(0, failures[1].retry_in_ms)
      own:cancel()
    end)
  end)

  describe("that is not always enabled", function()
    it("is never called if it never is", function()
      local own = make { enabled = false }
      own:touch()
      own:now()
      assert.is_nil(time.armed_ms)
      assert.same({}, calls)
    end)

    it("forgets nothing while its function says no", function()
      local visible = false
      local own = make { enabled = function() return visible end }
      own:touch()
      own:touch()
      time:advance(10000)
      assert.same({}, calls)
      visible = true
      time:finish()
      assert.same({ "10100 event 2" }, calls)
    end)

    it("does not ask its function more than once a second", function()
      local asked = 0
      local own = make { enabled = function()
        asked = asked + 1
        return false
      end }
      own:touch()
      time:advance(10100)
      assert.equal(11, asked)
      own:cancel()
    end)

    it("takes a function that raises for a failure", function()
      local own = make { enabled = function() error "no screen" end }
      own:touch()
      time:advance(100)
      assert.matches("no screen", failures[1].message)
      assert.equal(600, time.armed_ms)
      own:cancel()
    end)
  end)

  describe("cancelled", function()
    it("waits for nothing and hears nothing", function()
      local own = make()
      own:touch()
      own:cancel()
      own:cancel()
      own:touch()
      own:now()
      assert.is_nil(time.armed_ms)
      time:finish()
      assert.same({}, calls)
    end)

    it("inside its own function is not tried again, though it failed", function()
      local own = make()
      behaviour = function()
        own:touch()
        own:cancel()
        error "and failed"
      end
      own:now()
      time:finish()
      assert.equal(1, #calls)
      assert.same({}, failures)
    end)
  end)

  it("that touches itself is called again, debounced", function()
    local own = make()
    behaviour = function()
      if #calls < 3 then own:touch() end
    end
    own:now()
    time:finish()
    assert.same({ "0 start 1", "100 event 1", "200 event 1" }, calls)
  end)
end)

-- ---- against a model -----------------------------------------------------------------------------------------------

-- The rules, looked at in every millisecond: no timers, nothing kept but what the rules speak of.
local function new_model(random)
  local model = { starts = {}, touches = {}, failures = 0, unanswered = 0 }

  function model.touch(now_ms)
    model.touches[#model.touches + 1] = now_ms
    model.unanswered = model.unanswered + 1
  end

  function model.ask(now_ms)
    model.asked_ms = math.min(model.asked_ms or math.huge, now_ms)
    model.unanswered = model.unanswered + 1
  end

  function model.is_due(now_ms)
    if model.busy then return false end
    if model.asked_ms and now_ms >= model.asked_ms then return true end
    local first, last = model.touches[1], model.touches[#model.touches]
    return first ~= nil and (now_ms >= last + DEBOUNCE_MS or now_ms >= first + MAX_WAIT_MS)
  end

  function model.start(now_ms)
    model.starts[#model.starts + 1] = ("%d %d"):format(now_ms, model.unanswered)
    model.busy, model.answering, model.unanswered = true, model.unanswered, 0
    model.touches, model.asked_ms = {}, nil
  end

  function model.finish(now_ms, failed)
    model.busy = false
    if failed then
      model.failures = model.failures + 1
      local ceiling = math.min(RETRY.cap_ms, RETRY.base_ms * 2 ^ (model.failures - 1))
      model.asked_ms = math.min(model.asked_ms or math.huge, now_ms + math.floor(random() * (ceiling + 1)))
      model.unanswered = model.unanswered + model.answering
    else
      model.failures = 0
    end
  end

  return model
end

-- One client's life: touches in bursts, calls that take their time or none, that fail or not, in any interleaving.
local function play(seed, duration_ms, failing)
  local die, time = dice.new(seed), virtual_time.new()
  local jitter, model_jitter = dice.new(seed + 1), dice.new(seed + 1)
  local model = new_model(function() return model_jitter:fraction() end)
  local starts, failed_calls, under_way, thread = {}, 0, false, nil
  local heard, answered = 0, 0 -- touches by number: the last one, and the last one that a call which succeeded knew of

  local own = refresh.new {
    timers = time.timers, debounce_ms = DEBOUNCE_MS, max_wait_ms = MAX_WAIT_MS, retry = RETRY,
    random = function() return jitter:fraction() end,
    on_failure = function(message)
      assert(message:find "^chance", message) -- and nothing that is asserted below
      failed_calls = failed_calls + 1
    end,
    fn = function(news)
      assert(not under_way, "two calls at once")
      under_way = true
      starts[#starts + 1] = ("%d %d"):format(time.now_ms, news.count)
      assert(model.is_due(time.now_ms), "called before it was due")
      model.start(time.now_ms)
      local knew, failed = heard, die:chance(failing)
      if die:chance(0.5) then coroutine.yield() end
      under_way = false
      model.finish(time.now_ms, failed)
      if failed then error("chance", 0) end
      answered = knew
    end,
  }

  -- Runs what is due; a call that yields leaves its coroutine behind, and the host goes on in another.
  local function run_due()
    while time.armed_ms and time.armed_ms <= time.now_ms do
      local host = coroutine.create(function() time.timers:run() end)
      assert(coroutine.resume(host))
      if coroutine.status(host) == "suspended" then thread = host end
    end
    assert(not model.is_due(time.now_ms), "not called though it was due")
  end

  local function finish_call()
    local host = thread
    thread = nil
    assert(coroutine.resume(host))
  end

  local pace = 0.02
  for _ = 1, duration_ms do
    time.now_ms = time.now_ms + 1
    run_due()
    if die:chance(0.003) then pace = die:pick { 0, 0.005, 0.02, 0.3 } end
    if die:chance(pace) then
      heard = heard + 1
      own:touch()
      model.touch(time.now_ms)
    end
    if die:chance(0.0005) then
      heard = heard + 1
      own:now()
      model.ask(time.now_ms)
    end
    if thread and die:chance(0.01) then finish_call() end
    run_due()
  end

  failing = 0
  while thread or time.armed_ms do
    if thread then finish_call() end
    time.now_ms = math.max(time.now_ms, time.armed_ms or 0)
    run_due()
  end
  assert.same({}, time.failures)
  assert.same(model.starts, starts)
  assert.equal(heard, answered)
  return #starts, failed_calls
end

describe("a refresh, in any interleaving of touches, calls and failures", function()
  it("is called exactly when the rules say, and its last call that succeeds knows of the last touch", function()
    local calls, failed = 0, 0
    for seed = 1, 40 do
      local more_calls, more_failed = play(seed, 6000, seed % 2 == 0 and 0.4 or 0)
      calls, failed = calls + more_calls, failed + more_failed
    end
    assert.is_true(calls > 500)
    assert.is_true(failed > 50)
  end)
end)
