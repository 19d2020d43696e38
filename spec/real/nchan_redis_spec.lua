--- Two nginx with nchan and one Redis behind them, as examples/nchan has it: what the client makes of it when a hub, or
-- Redis, or the wire goes away.

local cjson = require "cjson"
local hub = require "spec.support.hub"
local redis = require "spec.support.redis"
local relay = require "spec.support.relay"
local world = require "spec.support.world"

after_each(world.close)

local MESSAGES = 1000
local CUT_EVERY = 30

local function post(target, number)
  return target:post("stage_change", cjson.encode {
    eventType = "stage_change", orderID = "ORDER-" .. number, timestamp = "2026-11-22T10:00:01.000Z",
    data = { previousStage = "open", newStage = "billed", number = number },
  })
end

-- Publishes the numbers `first` to `last`, to the hubs in turn.
local function publish(hubs, first, last)
  for number = first, last do
    local status = post(hubs[number % #hubs + 1], number)
    assert(status == 201 or status == 202, status)
  end
end

-- Two hubs with message 0: a terminal without an id begins with the latest message there is, when it is ready for it.
local function two_hubs()
  local store = redis.start()
  local first, second = hub.start(store), hub.start(store)
  publish({ first }, 0, 0)
  return first, second, store
end

local function await_number(numbers, number)
  world.await(function() return numbers[#numbers] == number end)
end

-- A terminal of the hubs, or relays, that has its first message, and the numbers that it hears.
local function terminal(hubs, options)
  local urls = {}
  for index, each in ipairs(hubs) do urls[index] = each.url end
  local complete = { max_reconnect_attempts = 1000 }
  for name, value in pairs(options or {}) do complete[name] = value end
  local client, seen = world.connect({ url = urls }, complete)
  local numbers = world.collect_numbers(client)
  world.await(function() return #numbers > 0 end)
  return client, numbers, seen
end

describe("two hubs with one Redis", function()
  it("bring 1,000 messages once and in order, through reconnects from one to the other (L06, R11)", function()
    local first, second = two_hubs()
    local wire = world.own(relay.new(first.port))
    local client, numbers, seen = terminal { wire }
    local cuts = 0
    for number = 1, MESSAGES do
      publish({ first, second }, number, number)
      if number % CUT_EVERY == 0 then
        cuts = cuts + 1
        wire.target = cuts % 2 == 1 and second.port or first.port
        wire:cut()
        world.turn() -- on its way to the other hub while more is published
      elseif number % CUT_EVERY == CUT_EVERY - 1 then
        local awaited = number - cuts % 2 * 10 -- now and then the next cut comes before all is there
        world.await(function() return numbers[#numbers] >= awaited end)
      end
    end
    await_number(numbers, MESSAGES)
    world.assert_in_order(numbers, MESSAGES + 1, 0)
    assert.equal(math.floor(MESSAGES / CUT_EVERY), cuts)
    assert.is_true(client:health().total_reconnects >= cuts)
    for _, code in ipairs(seen.codes) do assert.equal("STREAM_CUT", code) end
    for number = 2, #wire.wires do
      assert.matches("\r\nLast%-Event%-ID: %d+:%d+\r\n", wire.wires[number].sent)
    end
  end)

  it("stand in for each other: one is killed, the other of the url list serves, and the first has it back", function()
    local first, second = two_hubs()
    local client, numbers = terminal({ first, second }, { stream_retry_interval_ms = 1 })
    publish({ first }, 1, 10)
    await_number(numbers, 10)
    first:kill()
    publish({ second }, 11, 30)
    await_number(numbers, 30)
    first:restart()
    world.await(function() return client:metrics().renewals > 0 end)
    second:kill() -- nothing depends on it any more
    publish({ first }, 31, 40)
    await_number(numbers, 40)
    world.assert_in_order(numbers, 41, 0)
  end)

  it("keep all messages across reloads: Redis has them", function()
    local first, second = two_hubs()
    local client, numbers = terminal { first }
    publish({ first }, 1, 1)
    await_number(numbers, 1)
    local id = client:health().last_event_id
    for round = 1, 3 do
      publish({ first, second }, 10 * round - 8, 10 * round - 4)
      first:reload()
      publish({ first, second }, 10 * round - 3, 10 * round + 1)
      await_number(numbers, 10 * round + 1)
    end
    world.assert_in_order(numbers, 32, 0)
    assert.is_true(client:health().total_reconnects >= 3)
    local _, later = terminal({ first }, { last_event_id = id })
    await_number(later, 31)
    world.assert_in_order(later, 30, 2)
  end)

  it("lose no terminal when Redis goes away and comes back: publishers and newcomers get 503 meanwhile", function()
    local first, second, store = two_hubs()
    local client, numbers, seen = terminal { first }
    publish({ first, second }, 1, 10)
    await_number(numbers, 10)
    store:kill()
    world.await(function() return first.program:says "connection lost" end)
    assert.equal(503, post(first, 11))
    local newcomer, heard = world.connect(first, { max_reconnect_attempts = 1000, max_reconnect_delay_ms = 100 })
    assert.equal(503, world.await_error(heard, "HTTP_STATUS").status)
    assert.is_true(client:health().is_connected)
    local said = #first.program.output
    store:restart()
    first:await_redis(said)
    world.await_state(newcomer)
    publish({ first }, 11, 20)
    await_number(numbers, 20)
    world.assert_in_order(numbers, 21, 0)
    assert.same({}, seen.codes)
    assert.equal(0, client:health().total_reconnects)
  end)
end)
