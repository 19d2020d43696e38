--- The loop: run, stop, step with its budget, one descriptor as the whole contract, and back-pressure.

local sync = require "sync"
local uv = require "luv"
local world = require "spec.support.world"

after_each(world.close)

local function connected(options)
  local server = world.server()
  local client, seen = world.connect(server, options)
  world.await_state(client)
  return server, client, seen
end

local function in_order(numbers, count)
  assert.equal(count, #numbers)
  for index = 1, count do
    if numbers[index] ~= index then error(("number %d came at place %d"):format(numbers[index], index)) end
  end
end

describe("sync.run", function()
  -- sync.run() blocks the server of this process as well: what it shall find is sent before it is called.
  it("runs handlers until every client is closed", function()
    local server, first = connected()
    local second = world.connect(server)
    world.await_state(second)
    local heard = {}
    for name, client in pairs { first = first, second = second } do
      client:subscribe(function(event)
        heard[#heard + 1] = name .. event.data.number
        if event.data.number == 2 then client:close() end
      end)
    end
    world.publish(server, 1, 2)
    world.turn_servers()
    assert.is_true(sync.run())
    table.sort(heard)
    assert.same({ "first1", "first2", "second1", "second2" }, heard)
  end)

  it("returns at once without a client", function()
    assert.is_true(sync.run())
  end)

  it("returns after the handler that calls sync.stop, and can go on", function()
    local server, client = connected()
    local heard = {}
    client:subscribe(function(event)
      heard[#heard + 1] = event.data.number
      if event.data.number == 1 then sync.stop() end
      if event.data.number == 3 then client:close() end
    end)
    world.publish(server, 1, 1)
    world.turn_servers()
    assert.is_true(sync.run())
    assert.same({ 1 }, heard)
    assert.equal("connected", client:health().state)
    world.publish(server, 2, 3)
    world.turn_servers()
    assert.is_true(sync.run())
    assert.same({ 1, 2, 3 }, heard)
  end)

  it("waits for timers: it reconnects, gives up, and says so", function()
    local client, seen = world.connect({ url = world.refusing_url() }, { max_reconnect_attempts = 3, on_exhausted = "stop" })
    client:on_error(function(problem) if problem.code == "EXHAUSTED" then client:close() end end)
    assert.is_true(sync.run())
    assert.same({ "REFUSED", "REFUSED", "REFUSED", "EXHAUSTED" }, seen.codes)
  end)
end)

describe("sync.step", function()
  local BURST = 20000

  it("with a budget spreads a burst over several steps and loses nothing", function()
    local server, client = connected({ queue_limit = 1000 })
    local numbers, steps_with_events, worst = {}, 0, 0
    client:subscribe(function(event) numbers[#numbers + 1] = event.data.number end)
    world.publish(server, 1, BURST)
    while #numbers < BURST do
      world.turn_servers()
      local before = #numbers
      assert(sync.step(0, 1))
      if #numbers > before then steps_with_events = steps_with_events + 1 end
      worst = math.max(worst, #numbers - before)
    end
    in_order(numbers, BURST)
    assert.is_true(steps_with_events > 1)
    assert.is_true(worst < BURST)
    assert.is_true(client:metrics().pauses > 0)
  end)

  it("gets on with any budget, however small", function()
    local server, client = connected()
    local numbers = {}
    client:subscribe(function(event) numbers[#numbers + 1] = event.data.number end)
    world.publish(server, 1, 10)
    world.turn_servers()
    for _ = 1, 10000 do assert(sync.step(0, 0.001)) end
    in_order(numbers, 10)
  end)

  it("with a budget shows through the descriptor what is left", function()
    local server, client = connected()
    local numbers = {}
    client:subscribe(function(event) numbers[#numbers + 1] = event.data.number end)
    world.publish(server, 1, 3000)
    while #numbers < 3000 do
      local before = world.rings()
      uv.run("once")
      if world.rings() > before then assert(sync.step(0, 0.05)) end
    end
    in_order(numbers, 3000)
  end)

  it("wants times that are numbers", function()
    assert.error_matches(function() sync.step("soon") end, "sync.step: timeout_ms: expected milliseconds, got soon", 1, true)
    assert.error_matches(function() sync.step(0, {}) end, "sync.step: budget_ms: expected milliseconds", 1, true)
    assert.is_true(sync.step(-1, -1))
    assert.is_true(sync.step(0.2, 0))
  end)

  it("counts the handlers' time against the budget", function()
    local server, client = connected()
    local heard = 0
    client:subscribe(function()
      heard = heard + 1
      local start = uv.hrtime()
      while uv.hrtime() - start < 2e6 do end -- luacheck: ignore 542
    end)
    world.publish(server, 1, 5)
    world.turn_servers()
    for _ = 1, 5 do
      local before = heard
      while heard == before do
        world.turn_servers()
        assert(sync.step(0, 1))
      end
      assert.equal(before + 1, heard) -- two of them never fit into one step
    end
  end)

  it("leaves what it had no time for to the next, and says so: timeout 0, descriptor readable", function()
    local server, client = connected()
    local heard = 0
    client:subscribe(function()
      heard = heard + 1
      local start = uv.hrtime()
      while uv.hrtime() - start < 2e6 do end -- luacheck: ignore 542
    end)
    world.publish(server, 1, 3)
    world.turn_servers()
    while heard == 0 do
      world.turn_servers()
      assert(sync.step(0, 1))
    end
    assert.equal(2, client:metrics().queue_depth)
    assert.equal(0, sync.timeout_ms())
    local before = world.rings()
    uv.run("once")
    assert.equal(before + 1, world.rings())
    world.await(function() return heard == 3 end)
  end)

  it("serves every client in turn", function()
    local server, first = connected()
    local second = world.connect(server)
    world.await_state(second)
    local order = {}
    first:subscribe(function() order[#order + 1] = "first" end)
    second:subscribe(function() order[#order + 1] = "second" end)
    world.publish(server, 1, 2000)
    while #order < 4000 do
      world.turn_servers()
      assert(sync.step(0, 0.2))
    end
    local place = {}
    for index = #order, 1, -1 do place[order[index]] = index end
    assert.is_true(math.max(place.first, place.second) <= 2001)
  end)
end)

describe("the descriptor", function()
  local await_by_descriptor = world.await_by_descriptor

  it("is enough before the first step", function()
    local server = world.server()
    local program = [[
      local sync, uv = require "sync", require "luv"
      local client = assert(sync.connect(%q))
      local poll = uv.new_poll(sync.fd())
      uv.poll_start(poll, "r", function() end)
      while not client:health().is_connected do
        uv.run("once")
        sync.step(0)
      end
      client:close()
      uv.close(poll)
      uv.run("nowait") -- luv crashes at the end of a program that leaves a handle closing
    ]]
    assert.same({ code = 0, signal = 0 }, world.run_program(program:format(server.url)))
  end)

  it("is enough for connecting, events, and reconnecting after a wait", function()
    local server = world.server()
    local client = world.connect(server)
    local numbers = {}
    client:subscribe(function(event) numbers[#numbers + 1] = event.data.number end)
    await_by_descriptor(function() return client:health().is_connected end)
    world.publish(server, 1, 10)
    await_by_descriptor(function() return #numbers == 10 end)
    server:drop("reset")
    world.publish(server, 11, 12)
    await_by_descriptor(function() return #numbers == 12 end)
    in_order(numbers, 12)
    assert.equal(1, client:health().total_reconnects)
  end)

  it("shows timers: attempts that all fail", function()
    local client, seen = world.connect({ url = world.refusing_url() }, { max_reconnect_attempts = 4 })
    client:on_error(function(problem) if problem.code == "EXHAUSTED" then client:disconnect() end end)
    await_by_descriptor(function() return #seen.codes == 5 end)
    assert.equal(5, #seen.codes)
  end)

  it("shows what commands outside a step begin", function()
    local server, client = connected()
    client:disconnect()
    await_by_descriptor(function() return client:metrics().queue_depth == 0 and server:stream_count() == 0 end)
    client:connect()
    await_by_descriptor(function() return client:health().is_connected end)
    client:reconnect()
    await_by_descriptor(function() return server:request_count() == 3 and client:health().is_connected end)
  end)

  it("is quiet while nothing happens: no busy loop", function()
    local _, client = connected()
    world.turn()
    local before = world.rings()
    for _ = 1, 500 do world.turn() end
    assert.equal(before, world.rings())
    assert.is_true(sync.timeout_ms() > 0)
    client:disconnect()
    for _ = 1, 3 do world.turn() end
    before = world.rings()
    for _ = 1, 500 do world.turn() end
    assert.equal(before, world.rings())
    assert.equal(-1, sync.timeout_ms())
  end)

  it("wakes the host a few times an event, not more", function()
    local server, client = connected()
    local heard = 0
    client:subscribe(function() heard = heard + 1 end)
    local rings = 0
    for number = 1, 100 do
      world.publish(server, number, number)
      rings = rings + await_by_descriptor(function() return heard == number end)
    end
    assert.is_true(rings <= 300, rings .. " wake-ups for 100 events")
  end)

  it("is one, whatever the clients", function()
    local before = sync.fd()
    local server = world.server()
    for _ = 1, 20 do world.connect(server) end
    world.await(function() return server:stream_count() == 20 end)
    assert.equal(before, sync.fd())
    assert.is_true(before > 2)
  end)
end)

describe("queue_limit", function()
  it("is never exceeded, and everything arrives all the same: the socket waits", function()
    local server, client = connected({ queue_limit = 10 })
    assert.is_nil((client:next(0)))
    world.publish(server, 1, 3000)
    local numbers = {}
    for index = 1, 3000 do
      numbers[index] = world.pull(client).data.number
      assert.is_true(client:metrics().queue_depth <= 10)
    end
    in_order(numbers, 3000)
    local metrics = client:metrics()
    assert.is_true(metrics.queue_peak <= 11, "peak " .. metrics.queue_peak) -- a state may join ten events
    assert.is_true(metrics.pauses > 0)
    assert.equal(0, client:health().total_reconnects)
  end)

  it("holds back one client, not the others", function()
    local server, slow = connected({ queue_limit = 5 })
    local quick = world.connect(server)
    world.await_state(quick)
    slow:subscribe(function() coroutine.yield("waits") end)
    local resume = world.host()
    local heard = 0
    quick:subscribe(function() heard = heard + 1 end)
    world.publish(server, 1, 1)
    while resume() ~= "waits" do world.turn_servers() end
    world.publish(server, 2, 2000)
    world.await(function() return heard == 2000 end)
    assert.is_true(slow:metrics().queue_depth <= 5)
    assert.is_true(slow:metrics().queue_peak <= 6)
  end)

  it("of one passes everything, one by one, through pieces of any size", function()
    local server = world.server()
    server:behave { { split = 7 }, { stream = true } }
    local client = world.connect(server, { queue_limit = 1 })
    world.await_state(client)
    local numbers = {}
    client:subscribe(function(event) numbers[#numbers + 1] = event.data.number end)
    world.publish(server, 1, 200)
    world.await(function() return #numbers == 200 end)
    in_order(numbers, 200)
  end)
end)
