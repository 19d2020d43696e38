--- Liveness: how a connection that has died without a word is found, by silence, and by a host that knows more.

local sync = require "sync"
local world = require "spec.support.world"

after_each(world.close)

local HEARTBEAT = "event: heartbeat\ndata: {}\n\n"
local HOUR_MS = 3600000

-- A client whose first request meets `script`; the next ones are served normally.
local function meeting(script, options)
  local server = world.server()
  server:behave { script }
  local client, seen = world.connect(server, options)
  return client, seen, server
end

describe("silence", function()
  it("longer than idle_timeout_ms is a dead stream: reported, and opened again (R15)", function()
    local client, seen, server = meeting({ { stream = 0 }, { half_open = true } }, { idle_timeout_ms = 20 })
    local problem = world.await_error(seen, "IDLE_TIMEOUT")
    assert.matches("^nothing was heard for %d+ ms: a half%-open connection, or a server without heartbeats$", problem.message)
    assert.is_true(tonumber(problem.message:match "%d+") >= 20)
    assert.equal("retry", problem.class)
    world.await(function() return server:request_count() >= 2 and client:health().is_connected end)
  end)

  it("after signs of life is called what it is: a half-open connection", function()
    local client, seen, server = meeting({ { stream = 0 }, { pieces = { HEARTBEAT, HEARTBEAT } }, { half_open = true } },
      { idle_timeout_ms = 20, heartbeat_interval_ms = 40 })
    local problem = world.await_error(seen, "IDLE_TIMEOUT")
    assert.matches("^half%-open connection: nothing was heard for %d+ ms, after signs of life every %d+ ms$", problem.message)
    world.await(function() return server:request_count() >= 2 and client:health().is_connected end)
    assert.same({ "connecting", "connected", "reconnecting", "connected" }, { (table.unpack or unpack)(seen.states, 1, 4) })
  end)

  it("is longer or shorter as the server's heartbeats and comments are", function()
    local server = world.server()
    local client = world.connect(server)
    world.await_state(client)
    assert.equal(75000, client:health().idle_timeout_ms)
    for _ = 1, 30 do server:heartbeat() end
    world.await(function() return client:metrics().heartbeats == 30 end)
    assert.equal(5000, client:health().idle_timeout_ms)
    client:disconnect()
    client:configure { heartbeat_interval_ms = 10000, idle_timeout_ms = "auto" }
    client:connect()
    world.await_state(client)
    for _ = 1, 30 do server:comment("here") end
    world.await(function() return client:metrics().comments == 30 end)
    assert.equal(5000, client:health().idle_timeout_ms)
  end)

  it("is broken by any byte: a comment, a part of a line (R18)", function()
    -- A byte a millisecond, for three times the timeout: only bytes that count keep the stream open.
    local client, seen, server = meeting(
      { { send = "data: {}\n\n" }, { drip_ms = 1, split = 1, send = ":" .. ("x"):rep(300) .. "\n\n" }, { finish = true } },
      { idle_timeout_ms = 150 })
    world.await(function() return #seen.codes > 0 end)
    assert.same({ "STREAM_ENDED" }, seen.codes)
    assert.equal(1, client:metrics().comments)
    assert.equal(2, server:request_count() + (client:health().is_connected and 0 or 1))
  end)
end)

-- A host that learns of the network from the system, and says so.
describe("network_changed", function()
  local function await_connected_anew(client, server, count)
    world.await(function() return server:request_count() == count and client:health().is_connected end)
  end

  it("opens an open stream anew at once, says why, and goes on behind the last event", function()
    local server = world.server()
    local client, seen = world.connect(server, { reconnect_delay_ms = HOUR_MS, max_reconnect_delay_ms = HOUR_MS })
    local numbers = {}
    client:subscribe(function(event) numbers[#numbers + 1] = event.data.number end)
    world.await_state(client)
    world.publish(server, 1, 3)
    world.await(function() return #numbers == 3 end)
    assert.is_true(client:network_changed())
    world.publish(server, 4, 6)
    world.await(function() return #numbers == 6 end)
    assert.same({ 1, 2, 3, 4, 5, 6 }, numbers)
    assert.equal(server.ring:id(3), server.requests[2].headers["last-event-id"])
    assert.same({ "connecting", "connected", "reconnecting", "connected" }, seen.states)
    assert.same({ "NETWORK_CHANGED" }, seen.codes)
    assert.equal("retry", seen.errors[1].class)
    assert.is_number(seen.errors[1].next_retry_at)
    assert.is_nil(seen.errors[1].attempt) -- nothing has failed
    assert.equal(1, client:health().total_reconnects)
  end)

  it("ends an attempt under way and begins another, on a connection of its own", function()
    local hole = world.black_hole()
    local client, seen = world.connect(hole)
    world.await(function() return #hole.heads == 1 end)
    client:network_changed()
    world.await(function() return #hole.heads == 2 and hole.peers[1].is_gone end)
    assert.equal(2, #hole.peers)
    assert.same({}, seen.codes)
    assert.equal("connecting", client:health().state)
  end)

  it("skips a wait, and does not take a connection that was kept", function()
    local refusal = { status = 503, headers = { ["Retry-After"] = "3600" } }
    local connections = {}
    for _, way in ipairs { "reconnect", "network_changed" } do
      local client, seen, server = meeting(refusal)
      world.await_error(seen, "HTTP_STATUS")
      assert.equal("reconnecting", client:health().state)
      assert.is_true(client[way](client))
      await_connected_anew(client, server, 2)
      assert.same({ "HTTP_STATUS" }, seen.codes)
      connections[way] = { server.requests[1].connection, server.requests[2].connection }
      world.close()
    end
    assert.same({ 1, 1 }, connections.reconnect)
    assert.same({ 1, 2 }, connections.network_changed)
  end)

  it("ends the long wait of a client that has spent its attempts", function()
    local server = world.server()
    assert(server:stop())
    local client, seen = world.connect(server, { max_reconnect_attempts = 2, stream_retry_interval_ms = HOUR_MS })
    world.await_error(seen, "EXHAUSTED")
    assert(server:restart())
    client:network_changed()
    world.await_state(client)
    assert.same({ "connecting", "reconnecting", "error", "connecting", "connected" }, seen.states)
  end)

  it("revives a client that has stopped for good, whatever for", function()
    for _, script in ipairs { { status = 404 }, { status = 204 }, { html = 200 } } do
      local client, seen, server = meeting(script)
      world.await_state(client, "error")
      assert.is_true(world.is_at_rest())
      client:network_changed()
      await_connected_anew(client, server, 2)
      assert.equal(1, #seen.codes)
      world.close()
    end
    local server = world.server()
    assert(server:stop())
    local client, seen = world.connect(server, { max_reconnect_attempts = 1, on_exhausted = "stop" })
    world.await_error(seen, "EXHAUSTED")
    assert(server:restart())
    client:network_changed()
    world.await_state(client)
  end)

  it("makes one request where a token is being asked for", function()
    local server = world.server()
    local calls = 0
    local client = world.connect(server, { token = function()
      calls = calls + 1
      return calls == 1 and coroutine.yield "asks" or "t" .. calls
    end })
    local resume = world.host()
    while resume() ~= "asks" do world.turn_servers() end
    client:network_changed()
    resume("t1")
    await_connected_anew(client, server, 1)
    assert.matches("^Bearer t%d$", server.requests[1].headers.authorization)
  end)

  it("leaves a client alone that was told to stay away", function()
    local server = world.server()
    local client, seen = world.connect(server)
    world.await_state(client)
    client:disconnect()
    assert.is_true(client:network_changed())
    for _ = 1, 3 do world.turn() end
    assert.is_true(world.is_at_rest())
    assert.same({ "connecting", "connected", "disconnected" }, seen.states)
    assert.same({}, seen.codes)
    assert.equal(1, server:request_count())
    local unconnected = world.connect(server, { auto_connect = false })
    assert.is_true(unconnected:network_changed())
    world.turn()
    assert.equal(1, server:request_count())
  end)

  it("is a function of the module too, for the default client", function()
    local server = world.server()
    local client = world.connect(server)
    world.await_state(client)
    assert.is_true(sync.network_changed())
    await_connected_anew(client, server, 2)
    client:close()
    local _, _, code = client:network_changed()
    assert.equal("CLOSED", code)
    local ok, message = pcall(function() sync.network_changed() end)
    assert.is_false(ok)
    assert.matches("sync.network_changed: no client is open", message, 1, true)
  end)
end)
