--- The switch between polling and streaming: SYNC_MODE, a mode function, a rollout, and flipping at run time without losing
-- subscriptions.

local dice = require "spec.support.dice"
local uv = require "luv"
local rollout = require "sync.rollout"
local world = require "spec.support.world"

after_each(function()
  uv.os_unsetenv("SYNC_MODE")
  world.close()
end)

local function connect(server, options)
  local complete = { polling = { url = "/api/v1/orders", interval_ms = 1 } }
  for name, value in pairs(options or {}) do complete[name] = value end
  return world.connect(server, complete)
end

-- Awaits that the client does what the mode asks for.
local function assert_streams(client) world.await_state(client, "connected") end
local function assert_polls(client) world.await_state(client, "polling_fallback") end

describe("the mode", function()
  it("is auto unless something is said", function()
    assert_streams(connect(world.server()))
  end)

  it("stream and poll are what they say", function()
    local server = world.server()
    local client = connect(server, { mode = "stream" })
    assert_streams(client)
    client:close()
    assert_polls(connect(server, { mode = "poll" }))
    assert.equal(1, server:request_count("/api/v1/sync/events"))
  end)

  it("off does nothing until it is another one", function()
    local server = world.server()
    local client = connect(server, { mode = "off" })
    world.turn()
    assert.equal("disconnected", client:health().state)
    assert.is_true(world.is_at_rest())
    client:configure { mode = "auto" }
    client:connect()
    assert_streams(client)
    client:configure { mode = "off" }
    assert.equal("disconnected", client:health().state)
  end)

  it("may be a function, asked at every configure", function()
    local wanted = "poll"
    local client = connect(world.server(), { mode = function() return wanted end })
    assert_polls(client)
    wanted = "stream"
    client:configure {}
    assert_streams(client)
  end)

  it("raises for what is none, whoever says so", function()
    local server = world.server()
    assert.error_matches(function() connect(server, { mode = "strem" }) end, "mode: expected one of auto, stream, poll")
    assert.error_matches(function() connect(server, { mode = function() return "strem" end }) end,
      "mode: expected one of auto, stream, poll, compare, off, got strem")
    uv.os_setenv("SYNC_MODE", "strem")
    assert.error_matches(function() connect(server) end, "SYNC_MODE: expected one of auto, stream, poll, compare, off, got strem")
  end)
end)

describe("SYNC_MODE", function()
  it("overrides the option, the function and the rollout", function()
    uv.os_setenv("SYNC_MODE", "poll")
    local server = world.server()
    for _, options in ipairs {
      { mode = "stream" }, { mode = function() return "stream" end }, { rollout = { percent = 100, key = "T1" } },
    } do
      assert_polls(connect(server, options))
    end
    assert.equal(0, server:request_count("/api/v1/sync/events"))
  end)

  it("says nothing when it is empty", function()
    uv.os_setenv("SYNC_MODE", "")
    assert_polls(connect(world.server(), { mode = "poll" }))
  end)

  it("holds for a configure, too", function()
    local client = connect(world.server(), { mode = "stream" })
    assert_streams(client)
    uv.os_setenv("SYNC_MODE", "poll")
    client:configure {}
    assert_polls(client)
  end)
end)

describe("a rollout", function()
  it("gives the stream to the chosen, and polling to the others", function()
    local server = world.server()
    for _, key in ipairs { "T1", "T2", "T3", "T4" } do
      local client = connect(server, { rollout = { percent = 50, key = key } })
      if rollout.chosen { percent = 50, key = key } then assert_streams(client) else assert_polls(client) end
    end
  end)

  it("grows at run time", function()
    local client = connect(world.server(), { rollout = { percent = 0, key = "T1" } })
    assert_polls(client)
    client:configure { rollout = { percent = 100, key = "T1" } }
    assert_streams(client)
  end)
end)

describe("flipping at run time", function()
  -- Every change once, however often the source changes in between.
  it("keeps subscriptions, and loses and doubles nothing", function()
    for _, ids in ipairs { true, false } do
      local server = world.server { ids = ids }
      server:publish { type = "stage_change", order_id = "A", data = { newStage = "0" } }
      local client = connect(server, { mode = "stream" })
      local heard = {}
      client:on_stage_change("A", function(_, _, new) heard[#heard + 1] = new end)
      world.await(function() return client:order("A") end)
      local expected = {}
      for number = 1, 12 do
        local mode = number % 2 == 0 and "stream" or "poll"
        client:configure { mode = mode }
        expected[number] = tostring(number)
        server:publish {
          type = "stage_change", order_id = "A", data = { previousStage = tostring(number - 1), newStage = expected[number] },
        }
        world.await(function() return #heard >= number end)
      end
      assert.same(expected, heard)
      client:close()
    end
  end)

  -- What a poll finds may be several steps at once; none comes late or twice.
  it("in the midst of changes goes neither back nor over anything again", function()
    for seed = 1, 20 do
      local die, server = dice.new(seed), world.server { ids = seed % 2 == 0 }
      server:publish { type = "stage_change", order_id = "A", data = { newStage = "0" } }
      local client, last, wrong = connect(server, { mode = "poll" }), 0, {}
      client:on_stage_change("A", function(event, _, new)
        if tonumber(new) <= last then wrong[#wrong + 1] = ("%s after %d (%s)"):format(new, last, event.source) end
        last = tonumber(new)
      end)
      world.await(function() return client:order("A") end)
      for number = 1, 60 do
        if die:chance(0.3) then client:configure { mode = die:pick { "stream", "poll", "auto" } } end
        for _ = 1, die:between(0, 8) do world.turn() end
        server:publish {
          type = "stage_change", order_id = "A",
          data = { previousStage = tostring(number - 1), newStage = tostring(number) },
        }
      end
      world.await(function() return last == 60 end)
      assert.same({}, wrong)
      client:close()
    end
  end)

  it("keeps the book, and tells the state", function()
    local server = world.server()
    world.publish(server, 1, 1)
    local client, seen = connect(server, { mode = "poll" })
    world.await(function() return client:order("ORDER-1") end)
    client:configure { mode = "stream" }
    assert.is_table(client:order("ORDER-1"))
    assert_streams(client)
    client:configure { mode = "poll" }
    assert_polls(client)
    world.await(function() return seen.states[#seen.states] == "polling_fallback" end)
    assert.equal("polling_fallback", seen.states[1])
    assert.equal(2, client:metrics().poll_sessions)
  end)
end)
