--- Mode "auto": polling when the stream fails, and back to the stream. Whatever happens on the way, an order's news arrive
-- once and in order; what only a snapshot told is marked as such.

local dice = require "spec.support.dice"
local world = require "spec.support.world"

after_each(world.close)

local SNAPSHOTS = "/api/v1/orders"
local BUSY = { status = 503 }

local function connect(server, options)
  local complete = {
    max_reconnect_attempts = 2, stream_retry_interval_ms = 1, polling = { url = SNAPSHOTS, interval_ms = 1 },
  }
  for name, value in pairs(options or {}) do complete[name] = value end
  return world.connect(server, complete)
end

-- A stream that is not tried again before the spec lets it.
local NEVER = { stream_retry_interval_ms = 86400000 }

local function await_polls(client, count)
  local left = count
  local listener = client:on_poll(function() left = left - 1 end)
  world.await(function() return left <= 0 end)
  listener:cancel()
end

-- A client whose book is filled, and whose stream works.
local function settled(server, options)
  local client, seen = connect(server, options)
  await_polls(client, 1)
  world.await_state(client)
  return client, seen
end

-- Takes the stream away for as many connects as the client has; the snapshots stay.
local function take_away(server, client)
  for _ = 1, 2 do server:behave(BUSY) end
  server:drop()
  world.await_state(client, "polling_fallback")
end

-- "type id stage source" of each order event.
local function collect(client)
  local lines = {}
  client:subscribe(function(event)
    if event.type == "polling_data_refresh" then return end
    lines[#lines + 1] = ("%s %s %s %s"):format(event.type, event.order_id, event.new_stage or "-", event.source)
  end)
  return lines
end

local function at(second) return ("2026-11-22T10:00:%02d.000Z"):format(second) end

local function step(server, order_id, previous, new, second)
  server:publish {
    type = "stage_change", order_id = order_id, data = { previousStage = previous, newStage = new },
    timestamp = second and at(second),
  }
end

describe("falling to polling", function()
  it("happens when the attempts are spent, and ends when the stream is back", function()
    local server = world.server()
    for _ = 1, 4 do server:behave(BUSY) end
    local client, seen = connect(server)
    world.await_state(client, "polling_fallback")
    await_polls(client, 1)
    world.publish(server, 1, 1)
    world.await(function() return client:order("ORDER-1") end)
    world.await_state(client)
    world.publish(server, 2, 2)
    world.await(function() return client:order("ORDER-2") end)
    assert.equal("connecting", seen.states[1])
    assert.equal("connected", seen.states[#seen.states])
    local polling = 0
    for _, state in ipairs(seen.states) do polling = polling + (state == "polling_fallback" and 1 or 0) end
    assert.equal(1, polling)
    local metrics = client:metrics()
    assert.equal(1, metrics.poll_sessions)
    assert.is_true(metrics.polling_ms >= 0)
  end)

  it("is told in health, with the time of the next look at the stream", function()
    local server = world.server()
    local client = settled(server, NEVER)
    take_away(server, client)
    local health = client:health()
    assert.equal("polling", health.status)
    assert.is_true(health.is_polling_fallback)
    assert.is_false(health.is_connected)
    assert.is_false(health.stale)
    assert.is_true(health.next_retry_at > client.loop:wall_ms())
    assert.equal("EXHAUSTED", health.error.code)
    client:reconnect()
    world.await_state(client)
    assert.is_nil(client:health().error)
  end)

  it("does not happen without a source, nor in mode stream", function()
    local server = world.server()
    for _, options in ipairs { { polling = false }, { mode = "stream" } } do
      for _ = 1, 2 do server:behave(BUSY) end
      options.stream_retry_interval_ms = NEVER.stream_retry_interval_ms
      local client = connect(server, options)
      world.await_state(client, "error")
      assert.equal(0, client:metrics().polls)
      client:close()
    end
  end)

  it("happens when the stream opens but never says a word", function()
    local mute = world.listener(function(peer, head)
      if head:find(SNAPSHOTS, 1, true) then
        peer:write("HTTP/1.1 200 OK\r\nConnection: close\r\nContent-Length: 2\r\n\r\n[]", function() peer:finish() end)
      else
        peer:write("HTTP/1.1 200 OK\r\nContent-Type: text/event-stream\r\n\r\n")
      end
    end)
    local client = connect(mute, { idle_timeout_ms = 5 })
    world.await_state(client, "polling_fallback")
    await_polls(client, 2)
  end)

  it("ends when the user disconnects, and with stop_polling", function()
    local server = world.server()
    local client = settled(server, NEVER)
    take_away(server, client)
    client:stop_polling()
    assert.equal("error", client:health().state)
    client:start_polling()
    assert.equal("polling_fallback", client:health().state)
    client:disconnect()
    assert.equal("disconnected", client:health().state)
    world.await(world.is_at_rest)
  end)
end)

describe("while the stream is away", function()
  it("its changes arrive as poll, and not again when it is back with ids", function()
    local server = world.server()
    step(server, "A", "initiated", "open", 1)
    local client = settled(server, NEVER)
    local lines = collect(client)
    take_away(server, client)
    step(server, "A", "open", "billed", 2)
    step(server, "A", "billed", "paid", 3)
    step(server, "B", "initiated", "open", 4)
    world.await(function() return #lines == 2 end)
    client:reconnect() -- the server replays all three
    world.await_state(client)
    step(server, "B", "open", "billed", 5)
    world.await(function() return #lines == 3 end)
    assert.same({ "stage_change A paid poll", "order_created B - poll", "stage_change B billed stream" }, lines)
    assert.equal(3, client:metrics().overtaken)
  end)

  it("its changes arrive as poll, and not again when it is back without ids", function()
    local server = world.server { ids = false }
    step(server, "A", "initiated", "open", 1)
    local client = settled(server, NEVER)
    local lines = collect(client)
    take_away(server, client)
    step(server, "A", "open", "billed", 2)
    world.await(function() return #lines == 1 end)
    client:reconnect()
    world.await_state(client)
    await_polls(client, 1)
    step(server, "A", "billed", "paid", 3)
    world.await(function() return #lines == 2 end)
    assert.same({ "stage_change A billed poll", "stage_change A paid stream" }, lines)
  end)

  it("the stream takes over as soon as it is back, without being asked", function()
    local server = world.server()
    local client = settled(server)
    local lines = collect(client)
    take_away(server, client)
    world.await_state(client)
    world.publish(server, 1, 1)
    world.await(function() return #lines == 1 end)
    assert.same({ "stage_change ORDER-1 billed stream" }, lines)
    assert.equal("connected", client:health().state)
  end)
end)

describe("after a gap", function()
  it("a server with ids is not asked for a snapshot: it replays", function()
    local server = world.server()
    world.publish(server, 1, 1)
    local client = settled(server)
    local lines = collect(client)
    world.publish(server, 2, 2)
    world.await(function() return #lines == 1 end)
    local polls = client:metrics().polls
    assert(server:stop())
    world.await_state(client, "reconnecting")
    world.publish(server, 3, 3)
    assert(server:restart())
    client:reconnect()
    world.await(function() return #lines == 2 end)
    assert.same({ "stage_change ORDER-2 billed stream", "stage_change ORDER-3 billed stream" }, lines)
    assert.equal(polls, client:metrics().polls)
  end)

  it("a server without ids is asked, and what changed arrives as backfill", function()
    local server = world.server { ids = false }
    step(server, "A", "initiated", "open", 1)
    step(server, "B", "initiated", "open", 1)
    local client = settled(server, { max_reconnect_attempts = 1000000 })
    local lines, reports = collect(client), {}
    client:on_poll(function(report) reports[#reports + 1] = report.source end)
    assert(server:stop())
    world.await_state(client, "reconnecting")
    step(server, "A", "open", "billed", 2)
    server:publish { type = "order_deleted", order_id = "B", timestamp = at(3) }
    assert(server:restart())
    world.await(function() return #lines == 2 end)
    step(server, "A", "billed", "paid", 4)
    world.await(function() return #lines == 3 end)
    assert.same({
      "stage_change A billed backfill", "order_deleted B - backfill", "stage_change A paid stream",
    }, lines)
    assert.same({ "backfill" }, reports)
    assert.equal("stream", client:order("A").source)
  end)
end)

-- A server whose two sides the spec plays: what the stream says, and when a snapshot is answered.
local function two_sides()
  local sides = { asked = {} }
  local listener = world.listener(function(peer, head)
    if head:find(SNAPSHOTS, 1, true) then
      sides.asked[#sides.asked + 1] = peer
    else
      sides.stream = peer
      peer:write("HTTP/1.1 200 OK\r\nContent-Type: text/event-stream\r\n\r\n: hello\n\n")
    end
  end)
  sides.url = listener.url
  -- Answers the snapshot asked for last.
  function sides.answer(orders)
    local peer = world.await(function() return sides.asked[1] end)
    sides.asked = {}
    peer:write(("HTTP/1.1 200 OK\r\nConnection: close\r\nContent-Length: %d\r\n\r\n%s"):format(#orders, orders),
      function() peer:finish() end)
  end
  function sides.say(order_id, previous, new, second)
    local text = ('data: {"eventType":"stage_change","orderID":"%s","timestamp":"%s",'
      .. '"data":{"previousStage":"%s","newStage":"%s"}}\n\n')
    world.await(function() return sides.stream end):write(text:format(order_id, at(second), previous, new))
  end
  return sides
end

local function listed(order_id, stage, second)
  return ('[{"orderID":"%s","orderStage":"%s","updatedAt":"%s"}]'):format(order_id, stage, at(second))
end

describe("an event that a snapshot has overtaken", function()
  local sides, client, lines

  before_each(function()
    sides = two_sides()
    client = connect(sides)
    lines = collect(client)
    world.await_state(client)
  end)

  it("is delivered if that snapshot was the first, which tells nobody", function()
    sides.answer(listed("A", "billed", 2))
    await_polls(client, 1)
    sides.say("A", "open", "billed", 2)
    sides.say("A", "billed", "paid", 3)
    world.await(function() return #lines == 2 end)
    assert.same({ "stage_change A billed stream", "stage_change A paid stream" }, lines)
  end)

  it("is not if the snapshot's change has been told", function()
    sides.answer(listed("A", "open", 1))
    await_polls(client, 1)
    client:start_polling()
    sides.answer(listed("A", "paid", 3))
    world.await(function() return #lines == 1 end)
    sides.say("A", "open", "billed", 2)
    sides.say("A", "billed", "paid", 3)
    sides.say("B", "initiated", "open", 4)
    world.await(function() return #lines == 2 end)
    assert.same({ "stage_change A paid poll", "stage_change B open stream" }, lines)
    assert.equal(2, client:metrics().overtaken)
  end)

  it("overtakes the snapshot in turn if it came after that was asked for", function()
    sides.answer(listed("A", "open", 1))
    await_polls(client, 1)
    client:start_polling()
    world.await(function() return sides.asked[1] end)
    sides.say("A", "open", "billed", 2)
    world.await(function() return #lines == 1 end)
    sides.answer(listed("A", "open", 1))
    await_polls(client, 1)
    assert.same({ "stage_change A billed stream" }, lines)
    assert.equal("billed", client:order("A").orderStage)
  end)
end)

-- Every order's stages are its count, so that what is lost, doubled or in the wrong order shows.
local function play(seed, options)
  local die, server = dice.new(seed), world.server(options)
  local client = settled(server)
  local counts, heard, wrong = {}, {}, {}
  client:subscribe(function(event)
    local created = event.type == "order_created" and event.data.order
    local stage = event.new_stage or created and created.orderStage
    if not stage then return end
    local number = tonumber(stage)
    if number <= (heard[event.order_id] or 0) then
      wrong[#wrong + 1] = ("%s: %d after %d (%s)"):format(event.order_id, number, heard[event.order_id], event.source)
    end
    heard[event.order_id] = number
  end)
  local function change()
    local id = "ORDER-" .. die:between(1, 5)
    local before = counts[id] or 0
    counts[id] = before + 1
    step(server, id, tostring(before), tostring(before + 1))
  end
  for _ = 1, 40 do
    for _ = 1, die:between(1, 10) do change() end
    if die:chance(0.3) then
      for _ = 1, die:between(1, 6) do server:behave(BUSY) end
      server:drop(die:pick { "clean", "cut", "reset" })
    end
    for _ = 1, die:between(0, 20) do world.turn() end
  end
  world.await_state(client)
  for id in pairs(counts) do
    counts[id] = counts[id] + 1
    step(server, id, tostring(counts[id] - 1), tostring(counts[id]))
  end
  world.await(function()
    for id, count in pairs(counts) do
      if (heard[id] or 0) < count then return false end
    end
    return true
  end)
  assert.same({}, wrong)
  assert.same(counts, heard)
  for id, count in pairs(counts) do assert.equal(tostring(count), client:order(id).orderStage) end
end

describe("a stream that comes and goes", function()
  it("loses, doubles and reorders nothing, with ids", function()
    for seed = 1, 10 do
      play(seed)
      world.close()
    end
  end)

  it("loses, doubles and reorders nothing, without ids", function()
    for seed = 1, 10 do
      play(seed, { ids = false })
      world.close()
    end
  end)
end)
