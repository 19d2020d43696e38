--- A node server that speaks the order wire as shops have it: no ids, nothing to replay, chunked, kept alive.

local cjson = require "cjson"
local port = require "spec.support.port"
local program = require "spec.support.program"
local relay = require "spec.support.relay"
local uv = require "luv"
local world = require "spec.support.world"

after_each(world.close)

-- A node server on a port.
local function start(reserved)
  local node = world.own(program.start("node", { "spec/real/order_server.js", tostring(reserved.number) }))
  return node:await_port(reserved.number)
end

-- Has a node do something, and awaits that it has.
local function tell(node, command, argument)
  local said = #node.output + 1
  node:tell(cjson.encode { command, argument } .. "\n")
  world.await(function() return node:says('{"did":"' .. command .. '"}', said) end)
end

local function publish(node, first, last)
  for number = first, last do
    tell(node, "publish", {
      type = "stage_change", orderID = "ORDER-" .. number,
      data = { previousStage = "open", newStage = "billed", number = number },
    })
  end
end

-- The requests that a node has seen, as it tells of them.
local function requests_of(node)
  local requests = {}
  for line in node.output:gmatch("({[^\n]*)\n") do
    local said = cjson.decode(line)
    if said.url then requests[#requests + 1] = said end
  end
  return requests
end

-- A node, a wire to it, a client, and the numbers of the events that it hears.
local function scene(options)
  local reserved = world.own(port.reserve())
  local node = start(reserved)
  local wire = world.own(relay.new(reserved.number))
  local complete = { max_reconnect_attempts = 1000000 } -- it tries for as long as node takes to start
  for name, value in pairs(options or {}) do complete[name] = value end
  local client, seen = world.connect(wire, complete)
  local numbers = {}
  client:subscribe(function(event) numbers[#numbers + 1] = event.data.number end)
  return { reserved = reserved, node = node, wire = wire, client = client, seen = seen, numbers = numbers }
end

local function await_numbers(played, wanted)
  world.await(function() return #played.numbers >= #wanted end)
  assert.same(wanted, played.numbers)
end

describe("a node server", function()
  it("is understood: connected, changes of orders, heartbeats", function()
    local played = scene()
    local heard = {}
    played.client:on_event({ "connected", "heartbeat" }, function(event) heard[#heard + 1] = event end)
    world.await(function() return #heard == 1 end)
    publish(played.node, 1, 3)
    tell(played.node, "heartbeat")
    world.await(function() return #heard == 2 end)
    await_numbers(played, { 1, 2, 3 })
    assert.equal("connected", heard[1].type)
    assert.matches("^client_%d+_%w+$", heard[1].data.clientId)
    assert.equal("heartbeat", heard[2].type)
    assert.equal(1, heard[2].data.activeConnections)
    local latest = played.client:latest()
    assert.equal("ORDER-3", latest.order_id)
    assert.equal("billed", latest.new_stage)
    assert.matches("^%d%d%d%d%-%d%d%-%d%dT", latest.timestamp)
    assert.same({}, played.seen.codes)
  end)

  it("is asked for what the filters want", function()
    local played = scene { order_id = "ORDER-2", event_types = { "stage_change", "payment_update" } }
    world.await_state(played.client)
    publish(played.node, 1, 3)
    tell(played.node, "publish", { type = "order_created", orderID = "ORDER-2", data = { number = 4 } })
    tell(played.node, "publish", { type = "payment_update", orderID = "ORDER-2", data = { number = 5 } })
    await_numbers(played, { 2, 5 })
  end)

  it("that ends a stream is asked again on the same connection, for it is chunked and kept alive (R07)", function()
    local played = scene()
    world.await_state(played.client)
    for round = 1, 3 do
      publish(played.node, round, round)
      tell(played.node, "end")
      world.await(function() return played.client:health().total_reconnects == round end)
    end
    publish(played.node, 4, 4)
    await_numbers(played, { 1, 2, 3, 4 })
    assert.same({ "STREAM_ENDED", "STREAM_ENDED", "STREAM_ENDED" }, played.seen.codes)
    assert.equal(1, #played.wire.wires)
    assert.equal(4, #requests_of(played.node))
  end)

  it("that is restarted is found again (R09)", function()
    local played = scene()
    world.await_state(played.client)
    for round = 1, 2 do
      publish(played.node, round, round)
      world.await(function() return #played.numbers == round end)
      played.node:close()
      played.node = start(played.reserved)
      world.await(function() return played.client:health().total_reconnects == round end)
    end
    publish(played.node, 3, 3)
    await_numbers(played, { 1, 2, 3 })
    assert.equal("STREAM_CUT", played.seen.codes[1])
  end)

  it("that answers 503 while it is deployed is tried again", function()
    local played = scene { auto_connect = false }
    for _ = 1, 3 do tell(played.node, "status", 503) end
    played.client:connect()
    world.await_state(played.client)
    assert.same({ "HTTP_STATUS", "HTTP_STATUS", "HTTP_STATUS" }, played.seen.codes)
    for _, problem in ipairs(played.seen.errors) do
      assert.equal(503, problem.status)
      assert.matches('{"error":"deploying"}', problem.message, 1, true)
    end
    assert.equal(4, #requests_of(played.node))
  end)
end)

describe("a server without ids", function()
  it("is not asked to resume, and what it did not keep is not made up", function()
    local played = scene()
    world.await_state(played.client)
    publish(played.node, 1, 2)
    await_numbers(played, { 1, 2 })
    played.client:disconnect()
    publish(played.node, 3, 4)
    played.client:connect()
    world.await_state(played.client)
    publish(played.node, 5, 5)
    await_numbers(played, { 1, 2, 5 })
    assert.is_nil(played.client:health().last_event_id)
    assert.is_nil(played.client:latest().id)
    for _, request in ipairs(requests_of(played.node)) do assert.is_nil(request.headers["last-event-id"]) end
  end)

  it("that begins to send ids is asked to resume from then on (I01, L02)", function()
    local played = scene()
    world.await_state(played.client)
    publish(played.node, 1, 1)
    tell(played.node, "ids", 41)
    publish(played.node, 2, 2)
    await_numbers(played, { 1, 2 })
    assert.equal("42", played.client:health().last_event_id)
    tell(played.node, "end")
    world.await(function() return played.client:health().total_reconnects == 1 end)
    local requests = requests_of(played.node)
    assert.is_nil(requests[1].headers["last-event-id"])
    assert.equal("42", requests[2].headers["last-event-id"])
  end)
end)

describe("retry:", function()
  it("of a node is the least wait (R01)", function()
    local ASKED_MS = 3600000
    local played = scene()
    world.await_state(played.client)
    tell(played.node, "retry", ASKED_MS)
    tell(played.node, "end")
    local problem = world.await_error(played.seen, "STREAM_ENDED")
    local second, microsecond = uv.gettimeofday()
    assert.is_true(problem.next_retry_at - second * 1000 - microsecond / 1000 > ASKED_MS / 2)
    played.client:reconnect()
    world.await_state(played.client)
  end)
end)
