--- ack = "manual": an event is done when it has been acknowledged; and acknowledgements that outlive the client.

local shop = require "spec.support.shop"

local MANUAL = { ack = "manual" }

local place

before_each(function() place = shop.new() end)
after_each(function() place:close() end)

local function numbers_of(events)
  local list = {}
  for index, event in ipairs(events) do list[index] = event.data.number end
  return list
end

-- A day with bills 1 to `count`, of which the handler acknowledges some.
local function day(count, options, is_dealt_with)
  local mock = place:open(options)
  mock.client:subscribe(function(event)
    if is_dealt_with(event.data.number) then mock.client:ack(event) end
  end)
  for number = 1, count do shop.bill(mock, number) end
  return mock
end

local function is_odd(number) return number % 2 == 1 end

describe("with ack = \"manual\"", function()
  it("what was not acknowledged comes again at the next start, and nothing else", function()
    local mock = day(5, MANUAL, is_odd)
    assert.equal(2, mock.client:health().journal.waiting_for_ack)
    mock:close()

    mock = place:open(MANUAL)
    local again = {}
    mock.client:subscribe(function(event)
      again[#again + 1] = event
      assert(event.redelivered)
    end)
    mock:advance()
    assert.same({ 2, 4 }, numbers_of(again))
    assert.equal(1, mock.client:ack_all { order_id = "ORDER-2" })
    mock:close()

    mock = place:open(MANUAL)
    local numbers = shop.numbers(mock)
    mock:advance()
    assert.same({ 4 }, numbers)
  end)

  it("an event may be acknowledged long after its handler has returned", function()
    local mock = day(3, MANUAL, function() return false end)
    assert.is_true(mock.client:ack(mock.client:events()[2]))
    assert.equal(2, mock.client:health().journal.waiting_for_ack)
    mock:close()
    mock = place:open(MANUAL)
    local numbers = shop.numbers(mock)
    mock:advance()
    assert.same({ 1, 3 }, numbers)
  end)

  it("closing inside a handler acknowledges nothing", function()
    local mock = place:open(MANUAL)
    mock.client:subscribe(function() mock.client:close() end)
    shop.bill(mock, 1)
    mock = place:open(MANUAL)
    mock.client:subscribe(function(event)
      mock.client:ack(event)
      mock.client:close()
    end)
    mock:advance()
    mock = place:open(MANUAL)
    local numbers = shop.numbers(mock)
    mock:advance()
    assert.same({}, numbers)
  end)

  it("a dead letter waits for nobody", function()
    local mock = place:open(MANUAL)
    mock.client:subscribe(function() error "no paper" end)
    shop.bill(mock, 1)
    assert.equal(0, mock.client:health().journal.waiting_for_ack)
    assert.equal(1, #mock.client:dead_letters())
  end)

  it("nor does what nobody gets: dropped by decode, or by the gate", function()
    local mock = place:open {
      ack = "manual", violations = { impossible = "drop" },
      decode = function(text)
        if text:find "ORDER%-2" then return nil end
        return { type = "note", order_id = "A", data = text }
      end,
    }
    mock.client:subscribe(function() end)
    for number = 1, 2 do shop.bill(mock, number) end
    assert.equal(1, mock.client:health().journal.waiting_for_ack)
    mock:close()

    mock = place:open { ack = "manual", violations = { impossible = "drop" } }
    mock.client:subscribe(function(event) mock.client:ack(event) end)
    mock:emit { type = "stage_change", order_id = "B", data = { newStage = "open" } }
    mock:emit { type = "stage_change", order_id = "B", data = { newStage = "gone" } }
    assert.equal(0, mock.client:health().journal.waiting_for_ack)
  end)

  it("what the gate delivers late waits for its acknowledgement, too", function()
    local mock = place:open { ack = "manual", violations = { skipped = "hold", hold_ms = 10 } }
    local late
    mock.client:on_stage_change("*", function(event, _, new)
      if new == "billed" then late = event else mock.client:ack(event) end
    end)
    mock:emit { type = "stage_change", order_id = "A", data = { newStage = "initiated" } }
    mock:emit { type = "stage_change", order_id = "A", data = { newStage = "billed" } }
    mock:advance(10)
    assert.equal(1, mock.client:health().journal.waiting_for_ack)
    assert.is_true(mock.client:ack(late))
    assert.equal(0, mock.client:health().journal.waiting_for_ack)
  end)

  it("works without a journal as acknowledging always did", function()
    local mock = place:open { ack = "manual", persistence = false }
    shop.bill(mock, 1)
    assert.is_true(mock.client:ack(mock.client:latest()))
    assert.is_false(mock.client:ack(mock.client:latest()))
  end)
end)

describe("an acknowledgement", function()
  it("is known after a restart", function()
    day(4, nil, is_odd):close()
    local mock = place:open()
    mock:advance()
    assert.same({ 2, 4 }, numbers_of(mock.client:unacknowledged()))
    local flags = {}
    for index, event in ipairs(mock.client:events()) do flags[index] = event.acknowledged end
    assert.same({ true, false, true, false }, flags)
    assert.is_false(mock.client:ack(mock.client:events()[1]))
    assert.equal(2, mock.client:ack_all())
  end)

  it("is not kept beyond the history", function()
    local mock = day(2000, { event_history_limit = 10 }, function() return true end)
    local kept = 0
    for _ in pairs(mock.client.acknowledged) do kept = kept + 1 end
    assert.is_true(kept <= 10 + 256, kept)
    mock:close()
    place.path = place.directory:of "other.db"
    mock = day(2000, { event_history_limit = 0 }, function() return true end)
    assert.is_true(next(mock.client.acknowledged) == nil or mock.client.ack_count <= 256)
  end)
end)
