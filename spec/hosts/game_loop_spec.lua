--- A loop of frames as a host: one step a frame, with a budget. What a burst brings beyond it waits for the next frame, and
-- beyond the queue in the socket.

local burst = require "spec.hosts.burst"
local sync = require "sync"
local uv = require "luv"
local world = require "spec.support.world"

local BUDGET_MS = 2

after_each(world.close)

describe("a loop of frames", function()
  -- Frames until `is_over()`; `most`: the most events that one of them brought, by `count.events`.
  local function play(count, is_over)
    local frames = { count = 0, most = 0, worst_ms = 0 }
    while not is_over() do
      world.turn_servers()
      local before, began = count.events, uv.hrtime()
      assert(sync.step(0, BUDGET_MS))
      frames.worst_ms = math.max(frames.worst_ms, (uv.hrtime() - began) / 1e6)
      frames.most = math.max(frames.most, count.events - before)
      frames.count = frames.count + 1
    end
    return frames
  end

  it("gets a million events in order, and keeps no more of them than the queue may hold", function()
    local server = burst.server()
    local client = world.connect(server, burst.OPTIONS)
    world.await_state(client)
    local count = burst.count(client)
    server.begin()
    local frames = play(count, function()
      assert.is_true(client:metrics().queue_depth <= burst.OPTIONS.queue_limit)
      return count.events == burst.EVENTS or client:metrics().handler_errors > 0
    end)
    assert.equal(0, client:metrics().handler_errors)
    print(("# %d events in %d frames: at most %d in one, worst step %.1f ms, budget %d ms")
      :format(count.events, frames.count, frames.most, frames.worst_ms, BUDGET_MS))
  end)

  -- A handler that takes a tenth of a millisecond at least: more of them than fit into the budget have no place in a frame.
  it("is held no longer than the budget by handlers that take their time", function()
    local server = world.server()
    local client = world.connect(server)
    world.await_state(client)
    local count, handler_ms = { events = 0 }, 0.1
    client:subscribe(function()
      local began = uv.hrtime()
      while uv.hrtime() - began < handler_ms * 1e6 do end -- luacheck: ignore 542
      count.events = count.events + 1
    end)
    world.publish(server, 1, 2000)
    local frames = play(count, function() return count.events == 2000 end)
    assert.is_true(frames.most <= BUDGET_MS / handler_ms + 1, frames.most .. " in one frame")
    print(("# handlers of %.1f ms: at most %d in a frame, worst step %.1f ms")
      :format(handler_ms, frames.most, frames.worst_ms))
  end)
end)
