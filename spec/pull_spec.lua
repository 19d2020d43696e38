--- The pull style: client:next and client:stream.
-- `next` blocks the process, the server in it included: what it shall find is sent before it is called.

local world = require "spec.support.world"

after_each(world.close)

-- A client that has begun to pull, and a function that publishes so that the events are with the kernel.
local function pulling(options)
  local server = world.server()
  local client, seen = world.connect(server, options)
  world.await_state(client)
  assert.is_nil((client:next(0)))
  return server, client, seen
end

local function publish(server, first, last)
  world.publish(server, first, last)
  world.await_servers(function() return server.streams[1].outbox:is_empty() end)
end

describe("client:next", function()
  it("gives order events in order and waits for them", function()
    local server, client = pulling()
    publish(server, 1, 3)
    for number = 1, 3 do
      local event = client:next()
      assert.equal("ORDER-" .. number, event.order_id)
      assert.equal(number, event.data.number)
    end
    publish(server, 4, 4)
    assert.equal(4, client:next(60000).data.number)
  end)

  it("gives TIMEOUT when nothing comes", function()
    local _, client = pulling()
    for _, timeout_ms in ipairs { 0, 1 } do
      local event, message, code = client:next(timeout_ms)
      assert.is_nil(event)
      assert.matches("^TIMEOUT: ", message)
      assert.equal("TIMEOUT", code)
    end
  end)

  it("gives CLOSED once the client is closed", function()
    local server, client = pulling()
    publish(server, 1, 1)
    client:close()
    local event, message, code = client:next()
    assert.is_nil(event)
    assert.matches("^CLOSED: ", message)
    assert.equal("CLOSED", code)
  end)

  it("gives CLOSED when a handler closes the client meanwhile", function()
    local server, client = pulling()
    client:on_order("ORDER-2", function() client:close() end)
    publish(server, 1, 3)
    assert.equal(1, client:next().data.number)
    assert.equal("CLOSED", select(3, client:next()))
  end)

  it("runs the handlers that want the event first, states and errors too", function()
    local server, client = pulling()
    local log = {}
    client:on_order("ORDER-1", function() log[#log + 1] = "handler" end)
    client:on_state(function(state) log[#log + 1] = state end)
    client:on_error(function(problem) log[#log + 1] = problem.code end)
    publish(server, 1, 1)
    assert.equal(1, client:next().data.number)
    assert.same({ "handler" }, log)
    server:drop()
    world.publish(server, 2, 2)
    assert.equal(2, world.pull(client).data.number)
    assert.same({ "handler", "STREAM_ENDED", "reconnecting", "connected" }, log)
  end)

  it("gives the event although a handler of it raises", function()
    local server, client, seen = pulling()
    local calls = 0
    client:subscribe(function() error("broken") end)
    client:subscribe(function() calls = calls + 1 end)
    publish(server, 1, 2)
    assert.equal(1, client:next().data.number)
    assert.equal(2, client:next().data.number)
    assert.equal(2, calls)
    assert.same({ "HANDLER", "HANDLER" }, seen.codes)
  end)

  it("gives neither connected nor heartbeat, though handlers hear them", function()
    local server = world.server()
    local client = world.connect(server)
    local heard = {}
    client:on_event({ "connected", "heartbeat" }, function(event) heard[#heard + 1] = event.type end)
    client:on_event("connected", function()
      server:heartbeat()
      world.publish(server, 1, 1)
    end)
    assert.equal("stage_change", world.pull(client).type)
    assert.same({ "connected", "heartbeat" }, heard)
  end)

  it("loses nothing to another client that is pulled from in turn", function()
    local server, first = pulling()
    local second = world.connect(server)
    world.await_state(second)
    assert.is_nil((second:next(0)))
    world.publish(server, 1, 100)
    for number = 1, 100 do
      assert.equal(number, world.pull(first).data.number)
      assert.equal(number, world.pull(second).data.number)
    end
  end)

  it("loses nothing to a step in between", function()
    local server, client = pulling()
    publish(server, 1, 3)
    world.turn()
    world.turn()
    for number = 1, 3 do
      local event = client:next(0)
      assert.is_table(event, "event " .. number .. " is gone")
      assert.equal(number, event.data.number)
    end
  end)

  it("serves the handlers of other clients while it waits", function()
    local server, client = pulling()
    local other = world.connect(server)
    world.await_state(other)
    local heard = 0
    other:subscribe(function() heard = heard + 1 end)
    world.publish(server, 1, 2)
    assert.equal(1, world.pull(client).data.number)
    assert.equal(2, world.pull(client).data.number)
    world.await(function() return heard == 2 end)
  end)

  it("says when a token cannot be had, and goes on", function()
    local server = world.server()
    local calls = 0
    local client, seen = world.connect(server, { token = function()
      calls = calls + 1
      return calls > 1 and "secret" or error("vault is sealed")
    end })
    client:on_event("connected", function() world.publish(server, 1, 1) end)
    assert.equal(1, world.pull(client).data.number)
    assert.same({ "CREDENTIALS" }, seen.codes)
  end)
end)

describe("client:stream", function()
  it("gives every order event until the client is closed", function()
    local server, client = pulling()
    publish(server, 1, 5)
    local numbers = {}
    for event in client:stream() do
      numbers[#numbers + 1] = event.data.number
      if #numbers == 5 then client:close() end
    end
    assert.same({ 1, 2, 3, 4, 5 }, numbers)
  end)

  it("may be left and taken up again", function()
    local server, client = pulling()
    publish(server, 1, 4)
    local numbers = {}
    for event in client:stream() do
      numbers[#numbers + 1] = event.data.number
      if #numbers == 2 then break end
    end
    for event in client:stream() do
      numbers[#numbers + 1] = event.data.number
      if #numbers == 4 then break end
    end
    assert.same({ 1, 2, 3, 4 }, numbers)
  end)
end)
