--- A handler that fails: called again, alone, while what is behind waits; and then a dead letter.

local shop = require "spec.support.shop"

local DELAY_MS = 100

local place

before_each(function() place = shop.new() end)
after_each(function() place:close() end)

local function retrying(attempts, more)
  local options = { retry = { attempts = attempts, delay_ms = DELAY_MS, max_delay_ms = DELAY_MS } }
  for name, value in pairs(more or {}) do options[name] = value end
  local mock = place:open(options)
  mock.client.delivery.random = function() return 0.999 end -- as long as it gets
  return mock
end

-- A handler that notes the numbers it is called with in `log` and raises the first `failures` times.
local function failing(mock, log, failures, name)
  local calls = 0
  return mock.client:subscribe(function(event)
    calls = calls + 1
    log[#log + 1] = (name or "") .. event.data.number
    if calls <= failures then error("no paper, " .. calls) end
  end)
end

local function letters(mock)
  return assert(mock.client:dead_letters())
end

describe("without retry", function()
  it("an event that a handler fails at is a dead letter at once; others go on", function()
    local mock = place:open()
    local log, others = {}, shop.numbers(mock)
    failing(mock, log, 1)
    shop.bill(mock, 1)
    shop.bill(mock, 2)
    assert.same({ "1", "2" }, log)
    assert.same({ 1, 2 }, others)
    local list = letters(mock)
    assert.equal(1, #list)
    assert.matches("no paper, 1", list[1].problem)
    assert.same({ 1, "ORDER-1", 1 }, { list[1].attempts, list[1].order_id, list[1].data.number })
    assert.equal(1, mock.client:metrics().dead_letters)
    assert.equal(1, mock.client:metrics().handler_errors)
  end)

  it("several handlers that fail at one make one dead letter", function()
    local mock = place:open()
    failing(mock, {}, 1)
    failing(mock, {}, 1)
    shop.bill(mock, 1)
    assert.equal(1, #letters(mock))
    assert.equal(2, mock.client:metrics().handler_errors)
  end)

  it("nor with a journal it is told, and that is all", function()
    local mock = place:open { persistence = false }
    local log = {}
    failing(mock, log, 1)
    shop.bill(mock, 1)
    shop.bill(mock, 2)
    assert.same({ "1", "2" }, log)
    assert.equal(1, #mock.errors)
    assert.equal("HANDLER", mock.errors[1].code)
    assert.equal("NO_JOURNAL", (select(3, mock.client:dead_letters())))
  end)
end)

describe("with retry", function()
  it("the handler is called again until it does it, while those that did are not, and later events wait", function()
    local mock = retrying(5)
    local log = {}
    failing(mock, log, 0, "a")
    failing(mock, log, 2, "b")
    failing(mock, log, 0, "c")
    shop.bill(mock, 1)
    shop.bill(mock, 2)
    assert.same({ "a1", "b1", "c1" }, log)
    mock:advance(DELAY_MS)
    mock:advance(DELAY_MS)
    assert.same({ "a1", "b1", "c1", "b1", "b1", "a2", "b2", "c2" }, log)
    assert.same({}, letters(mock))
    local attempts = {}
    for index, problem in ipairs(mock.errors) do attempts[index] = problem.attempt end
    assert.same({ 1, 2 }, attempts)
  end)

  it("ends with a dead letter, and then the later events go on", function()
    local mock = retrying(3)
    local log = {}
    failing(mock, log, 3)
    shop.bill(mock, 1)
    shop.bill(mock, 2)
    mock:advance(2 * DELAY_MS)
    assert.same({ "1", "1", "1", "2" }, log)
    local letter = letters(mock)[1]
    assert.equal(3, letter.attempts)
    assert.matches("no paper, 3", letter.problem)
  end)

  it("waits longer each time, up to the most", function()
    local mock = place:open { retry = { attempts = 6, delay_ms = 1000, max_delay_ms = 4000 } }
    local at = {}
    mock.client:subscribe(function()
      at[#at + 1] = mock:now()
      error "never"
    end)
    shop.bill(mock, 1)
    mock:advance(1000 + 2000 + 4000 + 4000 + 4000)
    assert.equal(6, #at)
    for index, ceiling in ipairs { 1000, 2000, 4000, 4000, 4000 } do
      assert.is_true(at[index + 1] - at[index] <= ceiling, index)
    end
    assert.equal(1, #letters(mock))
  end)

  it("two handlers that fail at one event each go on for themselves", function()
    local mock = retrying(5)
    local log = {}
    failing(mock, log, 1, "a")
    failing(mock, log, 2, "b")
    shop.bill(mock, 1)
    mock:advance(2 * DELAY_MS)
    assert.same({ "a1", "b1", "a1", "b1", "b1" }, log)
    assert.same({}, letters(mock))
  end)

  it("a handler that is cancelled meanwhile is not called again, and the event is done", function()
    local mock = retrying(5)
    local log = {}
    local sub = failing(mock, log, 9)
    shop.bill(mock, 1)
    sub:cancel()
    mock:advance(DELAY_MS)
    assert.same({ "1" }, log)
    assert.same({}, letters(mock))
  end)

  it("lets a handler yield in an attempt, too", function()
    local mock = retrying(5)
    local calls, done = 0, 0
    mock.client:subscribe(function()
      calls = calls + 1
      if calls == 1 then error "not yet" end
      coroutine.yield()
      done = done + 1
    end)
    shop.bill(mock, 1)
    local host = coroutine.create(function() mock.loop:step(0) end)
    mock.loop.engine:play(mock.loop:clock_ms() + DELAY_MS)
    assert(coroutine.resume(host))
    assert.same({ "suspended", 2, 0 }, { coroutine.status(host), calls, done })
    assert(coroutine.resume(host))
    assert.equal(1, done)
  end)

  it("delivers first what it still owes at the next start", function()
    local mock = retrying(5)
    failing(mock, {}, 9)
    shop.bill(mock, 1)
    shop.bill(mock, 2)
    mock:close()
    mock = retrying(5)
    local numbers = shop.numbers(mock)
    mock:advance()
    assert.same({ 1, 2 }, numbers)
  end)

  it("goes for what the gate held back, too, and nothing overtakes it", function()
    local mock = retrying(3, { violations = { skipped = "hold", hold_ms = 10 } })
    local log, calls = {}, 0
    mock.client:on_stage_change("*", function(event, _, new)
      calls = calls + 1
      log[#log + 1] = event.order_id .. " " .. new
      if new == "billed" and calls < 4 then error "no paper" end
    end)
    local function step(order_id, new)
      mock:emit { type = "stage_change", order_id = order_id, data = { newStage = new } }
    end
    step("A", "initiated")
    step("A", "billed")
    mock:advance(10)
    step("A", "paid")
    assert.same({ "A initiated", "A billed" }, log)
    mock:advance(2 * DELAY_MS)
    assert.same({ "A initiated", "A billed", "A billed", "A billed", "A paid" }, log)
    assert.same({}, letters(mock))
  end)

  it("in the pull style keeps the event back until its handlers are done with it", function()
    local mock = retrying(5)
    local log = {}
    failing(mock, log, 2)
    mock.client:next(1)
    shop.bill(mock, 1)
    shop.bill(mock, 2)
    assert.equal(1, mock.client:next(10 * DELAY_MS).data.number)
    assert.same({ "1", "1", "1" }, log)
    assert.equal(2, mock.client:next(DELAY_MS).data.number)
  end)

  it("in the pull style gives it all the same when they cannot do it", function()
    local mock = retrying(2)
    failing(mock, {}, 2)
    mock.client:next(1)
    shop.bill(mock, 1)
    assert.equal(1, mock.client:next(10 * DELAY_MS).data.number)
    assert.equal(1, #letters(mock))
  end)

  it("says nothing about heartbeats, which nobody is owed", function()
    local mock = retrying(5)
    local calls = 0
    mock.client:on_event("heartbeat", function()
      calls = calls + 1
      error "no pulse"
    end)
    mock:heartbeat()
    mock:advance(DELAY_MS)
    assert.equal(1, calls)
    assert.equal(1, mock.client:metrics().handler_errors)
    assert.same({}, letters(mock))
  end)

  it("can be taken away again", function()
    local mock = retrying(5)
    local log = {}
    failing(mock, log, 9)
    shop.bill(mock, 1)
    assert.is_true(mock.client:configure { retry = false })
    mock:advance(DELAY_MS)
    assert.same({ "1", "1" }, log)
    assert.equal(1, #letters(mock))
  end)
end)
