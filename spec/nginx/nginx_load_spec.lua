--- What a burst costs the other requests of a worker, and what a hundred thousand wake-ups cost its memory.

local program = require "spec.support.program"
local prober = require "spec.nginx.prober"
local scene = require "spec.nginx.scene"
local world = require "spec.support.world"

after_each(world.close)

-- The bench's server: faster than any client.
local BLASTER = os.getenv "BLASTER" or "build/bench/blaster"

local BURST = tonumber(os.getenv "BURST_EVENTS") or 1000000

-- On a machine that has more to do than it can, any process waits for milliseconds: there only the work is bounded.
local IS_MACHINE_OURS = os.getenv "NGINX_P99" ~= nil

-- Of orders that come again and again: a book that grows would not be flat.
local ORDERS, SHAPE = 10000, "&size=250&watched=1"

local COUNT = [[resty.subscribe(function() heard:incr("count", 1, 0) end)]]
local ANSWER = [[location = /count { content_by_lua_block { ngx.print(ngx.shared.heard:get "count" or 0) } }]]

local function blaster(query)
  local server = world.own(program.start(BLASTER, {}))
  world.await(function() return server:says "^%d+\n" end)
  return { url = ("http://127.0.0.1:%d/x?%s%s"):format(server.output:match "^%d+", query, SHAPE) }
end

local function start(query, values)
  local all = { workers = 1, handlers = COUNT, inside = ANSWER, awaits = false }
  for name, value in pairs(values or {}) do all[name] = value end
  return scene.start(blaster(query), all)
end

local function counted(site)
  return tonumber((site:get "/count"))
end

-- Of a process, from /proc.
local function resident_bytes(pid)
  for line in io.lines(("/proc/%d/status"):format(pid)) do
    local kilobytes = line:match "^VmRSS:%s+(%d+) kB"
    if kilobytes then return tonumber(kilobytes) * 1024 end
  end
end

describe("a burst", function()
  -- Another nginx, with nothing to do, is asked at the same time: what this machine, which others use too, adds to any
  -- answer is not ours.
  it("leaves other requests of the worker within 10 ms, at the 99th percentile", function()
    local idle = scene.start(world.server(), { workers = 1 })
    local site = start(("mode=burst&n=%d"):format(BURST))
    local ours, theirs = prober.start(site.port, "/hello"), prober.start(idle.port, "/hello")
    local count = 0
    while count < BURST do
      prober.await_more(ours)
      count = counted(site)
    end
    local p99_ms, usual_ms = ours:percentile_ms(99), theirs:percentile_ms(99)
    local figures = "# %d requests, %d events: p50 %.2f ms, p99 %.2f, slowest %.1f; of an idle nginx: p99 %.2f\n"
    local p50_ms, slowest_ms = ours:percentile_ms(50), ours:percentile_ms(100)
    io.stderr:write(figures:format(ours.count, count, p50_ms, p99_ms, slowest_ms, usual_ms))
    local longest_ms = site:metric "worker_longest_turn_seconds" * 1000
    io.stderr:write(("# the longest turn took %.2f ms of processor time\n"):format(longest_ms))
    assert.is_true(longest_ms <= 10)
    assert.is_true(not IS_MACHINE_OURS or p99_ms - usual_ms <= 10)
  end)
end)

describe("a hundred thousand wake-ups", function()
  it("leave a worker's memory as it was", function()
    local site = start "mode=paced&rate=10000&n=100000000"
    local pid = site:workers()[1]
    world.await(function() return site:metric "events_published_total" > 2 * ORDERS end)
    local turns, before = site:metric "worker_turns_total", resident_bytes(pid)
    world.await(function() return site:metric "worker_turns_total" > turns + 100000 end)
    local grown = resident_bytes(pid) - before
    io.stderr:write(("# %.0f KiB more after 100,000 wake-ups, of %.1f MiB\n"):format(grown / 1024, before / 2 ^ 20))
    assert.is_true(grown < 2 * 2 ^ 20)
  end)
end)
