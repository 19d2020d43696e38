--- What every adapter promises, asked of each in its own host: spec/hosts/{luv,cqueues,copas}.lua. What is a matter of one
-- host alone is in the spec that has its name.

local burst = require "spec.hosts.burst"
local main = require "sync.loop".main
local sync = require "sync"
local uv = require "luv"
local world = require "spec.support.world"

-- ---- what the adapter does, counted ----------------------------------------------------------------------------------

local steps, turns -- of the module's loop; of the host's, since the test began
local step_at      -- step -> the turn in which it began

local function spy_on_steps()
  steps, turns, step_at = 0, 0, {}
  main.step = function(...)
    steps = steps + 1
    step_at[steps] = turns
    return getmetatable(main).step(...)
  end
end

local function turn(host, does_wait)
  turns = turns + 1
  host.turn(does_wait)
end

---Turn the host's loop, and nothing else, until a condition holds.
local function await(host, condition)
  while not condition() do turn(host, true) end
end

---So many turns without waiting.
local function idle(host, count)
  for _ = 1, count do turn(host, false) end
end

-- ---- scenes ----------------------------------------------------------------------------------------------------------

local function open_client(target, options)
  local complete = { url = target.url, reconnect_delay_ms = 1, max_reconnect_delay_ms = 1 }
  for name, value in pairs(options or {}) do complete[name] = value end
  return world.open(complete)
end

local function await_connected(host, ...)
  for _, client in ipairs { ... } do
    await(host, function() return client:health().is_connected end)
  end
end

-- A server, the host attached, a client whose stream is open.
local function scene(host, options)
  local server = world.server()
  local attachment = host.attach(options)
  local client = open_client(server)
  await_connected(host, client)
  return server, client, attachment
end

-- ---- a burst -----------------------------------------------------------------------------------------------------------

-- Ticks of the host's own timers, and how late the latest of them was.
local function watch_ticks(host)
  local ticks = { count = 0, worst_ms = 0 }
  local last
  host.every_ms(function()
    local now = uv.hrtime() / 1e6
    ticks.count = ticks.count + 1
    ticks.worst_ms = math.max(ticks.worst_ms, last and now - last - 1 or 0)
    last = now
  end)
  return ticks
end

local function assert_a_turn_between_steps(first)
  for step = first + 1, steps do
    if step_at[step] == step_at[step - 1] then error("steps " .. step - 1 .. " and " .. step .. " are of one turn") end
  end
end

-- ---- the promises --------------------------------------------------------------------------------------------------------

---@param other table another host
local function describe_host(host, other)
  it("serves a client that was open before, and one that opens later", function()
    local server = world.server()
    local first = open_client(server)
    host.attach()
    await_connected(host, first)
    local second = open_client(server)
    await_connected(host, second)
    local numbers = { first = world.collect_numbers(first), second = world.collect_numbers(second) }
    world.publish(server, 1, 100)
    await(host, function() return #numbers.first == 100 and #numbers.second == 100 end)
    world.assert_in_order(numbers.first, 100)
    world.assert_in_order(numbers.second, 100)
  end)

  it("wakes for timers too: it reconnects after a wait", function()
    local server, client = scene(host)
    local numbers = world.collect_numbers(client)
    server:drop "reset"
    world.publish(server, 1, 3)
    await(host, function() return #numbers == 3 end)
    assert.equal(1, client:health().total_reconnects)
  end)

  it("does nothing while nothing happens", function()
    local server, client = scene(host)
    idle(host, 10)
    local before = steps
    idle(host, 500)
    assert.equal(before, steps)
    local numbers = world.collect_numbers(client)
    for number = 1, 100 do
      world.publish(server, number, number)
      await(host, function() return #numbers == number end)
    end
    assert.is_true(steps - before <= 300, steps - before .. " steps for 100 events")
  end)

  it("lets the host turn between any two steps of a million events, and its timers run", function()
    local server = burst.server()
    host.attach()
    local client = open_client(server, burst.OPTIONS)
    await_connected(host, client)
    local ticks, count, first = watch_ticks(host), burst.count(client), steps
    server.begin()
    local most, before = 0, 0
    await(host, function()
      most, before = math.max(most, count.events - before), count.events
      return count.events == burst.EVENTS or client:metrics().handler_errors > 0
    end)
    assert.equal(0, client:metrics().handler_errors)
    assert_a_turn_between_steps(first)
    assert.is_true(most <= burst.OPTIONS.queue_limit, most .. " events in one turn")
    assert.is_true(ticks.count > 0)
    print(("# %s: %d events in %d steps, at most %d in a turn; the host's %d ticks of 1 ms came at most %.1f ms late")
      :format(host.name, count.events, steps - first, most, ticks.count, ticks.worst_ms))
  end)

  it("has one handler a step where one alone spends the budget", function()
    local server, client = scene(host, { budget_ms = 0.5 })
    local heard_in, heard = {}, 0
    client:subscribe(function()
      local began = uv.hrtime()
      while uv.hrtime() - began < 1e6 do end -- luacheck: ignore 542
      heard, heard_in[steps] = heard + 1, (heard_in[steps] or 0) + 1
    end)
    world.publish(server, 1, 20)
    local first = steps + 1
    await(host, function() return heard == 20 end)
    for _, count in pairs(heard_in) do assert.equal(1, count) end
    assert_a_turn_between_steps(first)
  end)

  it("lets handlers wait as the host does: their client's events stay in order, other clients are served", function()
    local server, slow = scene(host)
    local quick = open_client(server)
    await_connected(host, quick)
    local log, heard = {}, 0
    slow:subscribe(function(event)
      log[#log + 1] = "begins " .. event.data.number
      if event.data.number <= 2 then host.pause() end
      log[#log + 1] = "ends " .. event.data.number
    end)
    quick:subscribe(function() heard = heard + 1 end)
    world.publish(server, 1, 4)
    await(host, function() return heard == 4 end)
    assert.same({ "begins 1" }, log)
    world.publish(server, 5, 50)
    await(host, function() return heard == 50 end)
    assert.same({ "begins 1" }, log)
    host.release()
    await(host, function() return #log == 3 end)
    assert.same({ "begins 1", "ends 1", "begins 2" }, log)
    host.release()
    await(host, function() return #log == 100 end)
    for number = 1, 50 do
      assert.equal("begins " .. number, log[2 * number - 1])
      assert.equal("ends " .. number, log[2 * number])
    end
  end)

  it("serves the other clients of a step whose first handler waits", function()
    local server, first = scene(host)
    local clients, heard, has_waited = { first, open_client(server), open_client(server) }, 0, false
    await_connected(host, (table.unpack or unpack)(clients))
    for _, client in ipairs(clients) do
      client:subscribe(function()
        if not has_waited then
          has_waited = true
          host.pause()
        end
        heard = heard + 1
      end)
    end
    await(host, function() return sync.timeout_ms() > 1000 end) -- what connecting has left would wake the module, too
    world.publish(server, 1, 1) -- all three hear of it in one step
    await(host, function() return heard == 2 end)
    host.release()
    await(host, function() return heard == 3 end)
  end)

  it("lets handlers read from elsewhere, by the host's own sockets", function()
    local elsewhere = world.listener(function() end, { greeting = "a receipt\n" })
    local server, client = scene(host)
    local lines = {}
    client:subscribe(function(event) lines[event.data.number] = host.read_line(elsewhere.port) end)
    world.publish(server, 1, 3)
    await(host, function() return #lines == 3 end)
    assert.same({ "a receipt", "a receipt", "a receipt" }, lines)
  end)

  it("does not spin while a handler waits and events of its client pile up", function()
    local server, client = scene(host)
    local heard = 0
    client:subscribe(function(event)
      if event.data.number == 1 then host.pause() end
      heard = heard + 1
    end)
    world.publish(server, 1, 10)
    await(host, function() return client:metrics().queue_depth == 9 end)
    idle(host, 10)
    local before = steps
    idle(host, 500)
    assert.equal(before, steps)
    host.release()
    await(host, function() return heard == 10 end)
  end)

  it("tells what a handler raises after it has waited, and goes on", function()
    local server, client = scene(host)
    local seen, numbers = world.watch(client), world.collect_numbers(client)
    client:on_order("ORDER-1", function()
      host.pause()
      error "broken"
    end)
    world.publish(server, 1, 3)
    await(host, function() return client:metrics().queue_depth == 2 end)
    host.release()
    await(host, function() return #numbers == 3 end)
    assert.same({ "HANDLER" }, seen.codes)
    assert.matches("broken", seen.errors[1].message, 1, true)
  end)

  it("lets a client be closed while its handler waits", function()
    local server, client = scene(host)
    local log = {}
    client:subscribe(function()
      log[#log + 1] = "waits"
      host.pause()
      log[#log + 1] = "goes on"
    end)
    world.publish(server, 1, 5)
    await(host, function() return log[1] end)
    client:close()
    host.release()
    await(host, function() return log[2] end)
    idle(host, 50)
    assert.same({ "waits", "goes on" }, log)
  end)

  it("is out of the host's loop once detached, and can be attached again", function()
    local server, client, attachment = scene(host)
    local numbers = world.collect_numbers(client)
    attachment:detach()
    attachment:detach()
    world.publish(server, 1, 10)
    local before = steps
    idle(host, 500)
    assert.equal(before, steps)
    assert.is_true(client:health().is_connected)
    host.attach()
    await(host, function() return #numbers == 10 end)
    world.assert_in_order(numbers, 10)
  end)

  it("can be detached by a handler: the step under way is the last", function()
    local server, client, attachment = scene(host)
    local heard = 0
    client:subscribe(function()
      heard = heard + 1
      attachment:detach()
    end)
    world.publish(server, 1, 1)
    await(host, function() return heard == 1 end)
    local before = steps
    world.publish(server, 2, 10)
    idle(host, 500)
    assert.equal(before, steps)
    assert.equal(1, heard)
  end)

  it("rests while no client is open, and comes back with the next one", function()
    local server, client = scene(host)
    client:close()
    idle(host, 10)
    local before = steps
    idle(host, 500)
    assert.equal(before, steps)
    local next_client = open_client(server)
    await_connected(host, next_client)
    local numbers = world.collect_numbers(next_client)
    world.publish(server, 1, 3)
    await(host, function() return #numbers == 3 end)
  end)

  it("serves a client that a handler connects in place of its own", function()
    local server, client = scene(host)
    local heard
    client:subscribe(function()
      client:close()
      open_client(server):subscribe(function(event) heard = event.data.number end)
    end)
    world.publish(server, 1, 1)
    await(host, function() return server:request_count() == 2 and server:stream_count() == 1 end)
    world.publish(server, 2, 2)
    await(host, function() return heard == 2 end)
  end)

  it("refuses a second attachment, and options that there are not", function()
    local attachment = host.attach { budget_ms = 2 }
    local call = host.name .. ".attach: "
    assert.error_matches(function() host.attach() end, call .. "already attached, by " .. host.name, 1, true)
    assert.error_matches(function() other.attach() end, "already attached, by " .. host.name, 1, true)
    attachment:detach()
    local function refusal(options) return select(2, pcall(host.attach, options)) end
    assert.matches(call .. "bugdet_ms: unknown option (did you mean 'budget_ms'?)", refusal { bugdet_ms = 1 }, 1, true)
    assert.matches(call .. "expected a table of options, got a number", refusal(1), 1, true)
    for _, budget_ms in ipairs { 0, -1, "soon", math.huge } do
      assert.matches(call .. "budget_ms: expected milliseconds, more than 0", refusal { budget_ms = budget_ms }, 1, true)
    end
    assert.is_nil(main.attachment)
  end)
end

local NEXT = { luv = "cqueues", cqueues = "copas", copas = "luv" }

for _, name in ipairs { "luv", "cqueues", "copas" } do
  local host, other = require("spec.hosts." .. name), require("spec.hosts." .. NEXT[name])

  describe(host.name, function()
    before_each(function()
      host.open()
      other.open()
      spy_on_steps()
    end)

    after_each(function()
      if main.attachment then main.attachment:detach() end
      main.step = nil
      host.close()
      other.close()
      world.close()
    end)

    describe_host(host, other)
  end)
end
