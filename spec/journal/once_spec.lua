--- client:once: an effect of an event happens once, and what is known of it outlives the client.

local shop = require "spec.support.shop"

local place

before_each(function() place = shop.new() end)
after_each(function() place:close() end)

-- A client that has heard of one bill; the event.
local function with_event(options)
  local mock = place:open(options)
  shop.bill(mock, 1)
  return mock, mock.client:latest()
end

-- The same event on the next day.
local function next_day(mock)
  mock:close()
  local other = place:open()
  other:advance()
  return other, other.client:latest()
end

describe("client:once", function()
  it("runs the function once, for good", function()
    local mock, event = with_event()
    local runs = 0
    local function print_ticket() runs = runs + 1 end
    assert.is_true(mock.client:once(event, "print", print_ticket))
    assert.is_false(mock.client:once(event, "print", print_ticket))
    mock, event = next_day(mock)
    assert.is_false(mock.client:once(event, "print", print_ticket))
    assert.equal(1, runs)
  end)

  it("keeps effects of other names and other events apart", function()
    local mock, first = with_event()
    shop.bill(mock, 2)
    local log = {}
    local function note(event, effect) log[#log + 1] = event.data.number .. effect.name end
    for _, event in ipairs { first, mock.client:latest() } do
      for _, name in ipairs { "print", "call", "print" } do mock.client:once(event, name, note) end
    end
    assert.same({ "1print", "1call", "2print", "2call" }, log)
  end)

  it("tells the function that nothing has begun before", function()
    local mock, event = with_event()
    local told
    mock.client:once(event, "print", function(given, effect)
      told = { given == event, effect.name, effect.maybe_done, given.maybe_done }
    end)
    assert.same({ true, "print", false, false }, told)
    assert.is_nil(event.maybe_done)
  end)

  it("says maybe_done when the one before began and nobody knows how it ended", function()
    local mock, event = with_event()
    local host = coroutine.wrap(function() mock.client:once(event, "print", coroutine.yield) end)
    host()
    mock, event = next_day(mock)
    local told
    assert.is_true(mock.client:once(event, "print", function(given, effect)
      told = { effect.maybe_done, given.maybe_done }
    end))
    assert.same({ true, true }, told)
    assert.is_false(mock.client:once(event, "print", function() end))
  end)

  it("has not happened when the function raises, whose error goes on as it is", function()
    local mock, event = with_event()
    local problem = { code = "NO_PAPER" }
    local ok, raised = pcall(mock.client.once, mock.client, event, "print", function() error(problem) end)
    assert.is_false(ok)
    assert.equal(problem, raised)
    mock, event = next_day(mock)
    local maybe_done
    mock.client:once(event, "print", function(_, effect) maybe_done = effect.maybe_done end)
    assert.is_false(maybe_done)
  end)

  it("lets the function yield, and nobody begin the same effect meanwhile", function()
    local mock, event = with_event()
    local host = coroutine.wrap(function() return mock.client:once(event, "print", coroutine.yield) end)
    host()
    local function again() return mock.client:once(event, "print", function() end) end
    assert.error_matches(again, "client:once: 'print' of this event is under way")
    assert.is_true(mock.client:once(event, "call", function() end))
    assert.is_true(host())
    assert.is_false(again())
  end)

  it("within another leaves that as it was", function()
    local mock, event = with_event()
    local before, after
    mock.client:once(event, "outer", function()
      before = event.maybe_done
      mock.client:once(event, "inner", function() end)
      after = event.maybe_done
    end)
    assert.same({ false, false }, { before, after })
  end)

  it("of a client that the function closes stays begun", function()
    local mock, event = with_event()
    assert.is_true(mock.client:once(event, "print", function() mock.client:close() end))
    assert.equal("CLOSED", (select(3, mock.client:once(event, "print", function() end))))
    mock, event = next_day(mock)
    local maybe_done
    mock.client:once(event, "print", function(_, effect) maybe_done = effect.maybe_done end)
    assert.is_true(maybe_done)
  end)

  it("holds for what is delivered again", function()
    local mock = place:open { retry = { attempts = 2, delay_ms = 100 } }
    local prints, calls = 0, 0
    mock.client:subscribe(function(event)
      mock.client:once(event, "print", function() prints = prints + 1 end)
      calls = calls + 1
      if calls < 3 then error "the till is busy" end
    end)
    shop.bill(mock, 1)
    mock:advance(100)
    assert.is_true(mock.client:redeliver())
    mock:advance()
    assert.same({ 1, 3 }, { prints, calls })
  end)

  it("needs a journal", function()
    local mock, event = with_event { persistence = false }
    local called = false
    local result, message, code = mock.client:once(event, "print", function() called = true end)
    assert.same({ nil, "NO_JOURNAL", false }, { result, code, called })
    assert.matches("^NO_JOURNAL: this needs a journal", message)
  end)

  it("is checked", function()
    local mock, event = with_event()
    local function call(...) return pcall(mock.client.once, mock.client, ...) end
    assert.matches("client:once: expected an event", select(2, call("1", "print", print)))
    assert.matches("client:once: expected the effect's name", select(2, call(event, print)))
    assert.matches("client:once: expected a function, got nil", select(2, call(event, "print")))
  end)
end)
