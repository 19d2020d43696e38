-- outcome.lua: what a Lua client of the bench counts with and prints: clocks, percentiles, memory, one line of JSON.
-- Not a client: bench/today.lua and bench/client.lua are. The same fields as bench/yardstick.c prints.

local cjson = require "cjson"
local uv = require "luv"

local outcome = {}

--- CLOCK_MONOTONIC, the clock of the server's stamps.
---@return integer nanoseconds a float on LuaJIT, exact to 104 days of uptime
outcome.clock_ns = uv.hrtime

---@return {wall_ns: integer, cpu: number} beginning to be given to `outcome.finish`
function outcome.start()
  return { wall_ns = uv.hrtime(), cpu = os.clock() }
end

--- Adds to `counts` how long it took since `beginning`.
---@param counts table
---@param beginning {wall_ns: integer, cpu: number}
function outcome.finish(counts, beginning)
  counts.seconds = (uv.hrtime() - beginning.wall_ns) / 1e9
  counts.cpu_seconds = os.clock() - beginning.cpu
end

--- Adds to `counts` the percentiles of `samples_ns`, which gets sorted.
---@param counts table
---@param samples_ns integer[]
function outcome.percentiles(counts, samples_ns)
  table.sort(samples_ns)
  local function percentile_us(fraction)
    return (samples_ns[1 + math.floor((#samples_ns - 1) * fraction)] or 0) / 1000
  end
  counts.samples = #samples_ns
  counts.p50_us, counts.p99_us = percentile_us(0.50), percentile_us(0.99)
end

--- Resident memory of this process, after a full garbage collection.
---@return integer bytes
function outcome.resident_bytes()
  collectgarbage()
  collectgarbage()
  for line in io.lines("/proc/self/status") do
    local kilobytes = line:match("^VmRSS:%s+(%d+)")
    if kilobytes then return tonumber(kilobytes) * 1024 end
  end
  error("no VmRSS in /proc/self/status")
end

---@param counts table
function outcome.print(counts)
  print(cjson.encode(counts))
end

return outcome
