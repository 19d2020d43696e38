--- Dead letters: looked at, delivered again, forgotten; by the client and after a restart.

local shop = require "spec.support.shop"

local place

before_each(function() place = shop.new() end)
after_each(function() place:close() end)

-- A day on which the handler fails at these bills.
local function bad_day(numbers, options)
  local mock = place:open(options)
  mock.client:subscribe(function() error "no paper" end)
  for _, number in ipairs(numbers) do shop.bill(mock, number) end
  return mock
end

local function numbers_of(mock)
  local list = {}
  for index, letter in ipairs(assert(mock.client:dead_letters())) do list[index] = letter.number end
  return list
end

describe("a dead letter", function()
  it("has what the event had, and what went wrong", function()
    local mock = bad_day { 7 }
    local letter = mock.client:dead_letters()[1]
    local event = mock.client:latest()
    for _, name in ipairs { "id", "type", "order_id", "seq", "raw" } do assert.equal(event[name], letter[name], name) end
    assert.same(event.data, letter.data)
    assert.equal(mock:now(), letter.failed_at)
    assert.same({ 1, 1, false }, { letter.number, letter.attempts, letter.wanted })
    assert.matches("no paper", letter.problem)
  end)

  it("is decoded as the client decodes", function()
    local mock = bad_day({ 7 }, { decode = "json" })
    assert.equal("ORDER-7", mock.client:dead_letters()[1].data.orderID)
    mock:close()
    mock = place:open { decode = "none" }
    local letter = mock.client:dead_letters()[1]
    assert.equal(letter.raw, letter.data)
    mock:close()
    mock = place:open { decode = function(text) return { type = "note", data = #text } end }
    letter = mock.client:dead_letters()[1]
    assert.same({ "note", #letter.raw }, { letter.type, letter.data })
  end)

  it("outlives the client, and its event is done", function()
    bad_day({ 1, 2 }):close()
    local mock = place:open()
    local numbers = shop.numbers(mock)
    mock:advance()
    assert.same({}, numbers)
    assert.same({ 1, 2 }, numbers_of(mock))
  end)

  it("is delivered again, marked, and is none any more when that is done", function()
    bad_day({ 1, 2, 3 }):close()
    local mock = place:open()
    local heard = {}
    mock.client:subscribe(function(event)
      heard[#heard + 1] = event.data.number
      assert(event.redelivered)
    end)
    assert.is_true(mock.client:redeliver(mock.client:dead_letters()[2]))
    mock:advance()
    assert.same({ 2 }, heard)
    assert.same({ 1, 3 }, numbers_of(mock))
    assert.is_true(mock.client:redeliver())
    mock:advance()
    assert.same({ 2, 1, 3 }, heard)
    assert.same({}, numbers_of(mock))
  end)

  it("is one again, with a number of its own, when its handler fails again", function()
    local mock = bad_day { 1 }
    assert.is_true(mock.client:redeliver(1))
    mock:advance()
    assert.same({ 2 }, numbers_of(mock))
  end)

  it("that is wanted is delivered at the next start when the day ends before", function()
    local mock = bad_day { 1 }
    assert.is_true(mock.client:redeliver())
    assert.is_true(mock.client:dead_letters()[1].wanted)
    mock:close()
    mock = place:open()
    local numbers = shop.numbers(mock)
    mock:advance()
    assert.same({ 1 }, numbers)
    assert.same({}, numbers_of(mock))
  end)

  it("can be forgotten", function()
    local mock = bad_day { 1, 2 }
    assert.is_true(mock.client:forget(1))
    assert.same({ 2 }, numbers_of(mock))
    assert.is_true(mock.client:forget(mock.client:dead_letters()[1]))
    mock:close()
    assert.same({}, numbers_of(place:open()))
  end)

  it("is one of the last dead_letter_limit", function()
    local mock = bad_day({ 1, 2, 3, 4 }, { dead_letter_limit = 2 })
    assert.same({ 3, 4 }, numbers_of(mock))
  end)
end)

describe("the calls", function()
  it("say that there is no journal, and that the client is closed", function()
    local mock = place:open { persistence = false }
    for _, name in ipairs { "dead_letters", "redeliver" } do
      assert.equal("NO_JOURNAL", (select(3, mock.client[name](mock.client))), name)
    end
    assert.equal("NO_JOURNAL", (select(3, mock.client:forget(1))))
    mock:close()
    for _, name in ipairs { "dead_letters", "redeliver" } do
      assert.equal("CLOSED", (select(3, mock.client[name](mock.client))), name)
    end
    assert.equal("CLOSED", (select(3, mock.client:forget(1))))
  end)

  it("raise for what is no letter", function()
    local mock = place:open()
    assert.error_matches(function() mock.client:redeliver "1" end, "client:redeliver: expected a dead letter, or its number")
    assert.error_matches(function() mock.client:forget() end, "client:forget: expected a dead letter, or its number")
    for _, number in ipairs { 0, -1, 1.5, 0 / 0, math.huge } do
      assert.error_matches(function() mock.client:redeliver(number) end, "expected a dead letter, or its number")
    end
  end)
end)
