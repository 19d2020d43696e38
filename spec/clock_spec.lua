--- A machine that slept: its wall clock has jumped against the monotonic one. A real process, with a library before it
-- that lets its clock jump when the spec says so (spec/support/clock_shift.c).

local directory = require "spec.support.directory"
local program = require "spec.support.program"
local uv = require "luv"
local world = require "spec.support.world"

after_each(world.close)

-- Nothing but the jump can make it reconnect within an hour.
local CHUNK = [[
  io.stdout:setvbuf "line"
  local sync = require "sync"
  local client = sync.connect { url = "%s", idle_timeout_ms = 3600000, reconnect_delay_ms = 3600000 }
  client:on_error(function(problem) print(problem.code .. " " .. problem.class) end)
  client:on_state(function(state)
    print(state)
    if state == "connected" and client:health().total_reconnects == 1 then client:close() end
  end)
  sync.run()
]]

-- What the runner has preloaded (a sanitizer) comes first.
local function preloaded(library)
  local before = os.getenv "LD_PRELOAD"
  return before and before .. ":" .. library or library
end

describe("a jump of the wall clock against the monotonic one", function()
  it("reconnects at once: the connections of a machine that slept are dead", function()
    local server = world.server()
    local place = world.own(directory.new())
    local child = world.own(program.start(uv.exepath(), { "-e", CHUNK:format(server.url) }, {
      CLOCK_SHIFT = place:of "slept", LD_PRELOAD = preloaded(os.getenv "CLOCK_SHIFT_LIBRARY" or "build/clock_shift.so"),
    }))
    world.await_servers(function() return child:says "\nconnected\n" end)
    place:write("slept", "")
    world.await_servers(function() return child:has_ended() end)
    assert.equal("connecting\nconnected\nSLEPT retry\nreconnecting\nconnected\n", child.output)
    assert.equal(2, server:request_count())
  end)
end)
