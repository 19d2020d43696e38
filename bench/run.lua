-- run.lua: `make bench`. Runs the plan in interleaved rounds over loopback, checks every run against the server's own
-- account, and prints one table of ratios. Exit code 1: something that was measured did wrong work.

package.path = "./?.lua;" .. package.path

local argparse = require "argparse"
local cjson = require "cjson"
local folder = require "bench.folder"
local plan = require "bench.plan"
local process = require "bench.process"
local report = require "bench.report"
local uv = require "luv"

local SERVER_PROCESSOR, CLIENT_PROCESSOR = 0, 1
local RUN_TIMEOUT_MS = 60000
local PILOT_BYTES = 2 * 1024 * 1024 -- the first guess at how much fills the time
local PILOT_GROWTH_MAX = 16
local BURST_BYTES_MAX = 4 * 1024 * 1024 * 1024
local WITHOUT_SERVER = { parser = true, journal = true } -- these kinds find out for themselves how much fills the time

local function log(...)
  io.stderr:write(string.format(...), "\n")
end

local function options()
  local parser = argparse("bench/run.lua", "Measures ordersync against four yardsticks.")
  parser:flag("--quick", "Fewer and shorter runs: under two minutes.")
  parser:option("--json", "Write every run to this file."):argname("FILE")
  parser:option("--lua", "Runtimes, with commas between them."):default(os.getenv("LUA") or "lua5.4,luajit")
  parser:option("--only", "Only the groups whose name contains this."):argname("TEXT")
  return parser:parse()
end

--- The runtimes asked for, and those among them that the module is built for.
local function runtimes(names)
  local list, built = {}, {}
  for name in names:gmatch("[^,]+") do
    list[#list + 1] = name
    local core = io.open("build/" .. name .. "/sync/core.so")
    built[name] = core ~= nil
    if core then core:close() else log("the module is not built for %s: only the yardsticks are measured", name) end
  end
  return list, built
end

---@param measurement bench.Measurement
---@param path string|nil its folder
local function command(measurement, port, count, path)
  local program = {}
  for _, word in ipairs(measurement.program) do program[#program + 1] = word end
  if not WITHOUT_SERVER[measurement.kind] then
    program[#program + 1] = string.format("http://127.0.0.1:%d/api/v1/sync/events?n=%d&size=%d&%s", port, count,
      measurement.size, measurement.url_query)
  end
  program[#program + 1] = path
  if measurement.kind == "idle" then
    program[#program + 1] = tostring(count)
    program = { "sh", "-c", 'ulimit -n "$(ulimit -H -n)" && exec "$@"', "sh", (table.unpack or unpack)(program) }
  end
  return process.pinned(CLIENT_PROCESSOR, program)
end

local function lua_environment(runtime)
  return {
    LUA_PATH = "./?.lua;lua/?.lua;lua/?/init.lua;;",
    LUA_CPATH = "build/" .. (runtime or "none") .. "/?.so;;",
  }
end

--- What the server says it did, and what was asked for.
local function expected(measurement, server, count)
  local account = cjson.decode(server:account())
  account.clients, account.connections, account.none = count, measurement.connections, 0
  return account
end

--- One run. A result that does not agree with the server's account is no result.
---@param measurement bench.Measurement
---@param server bench.Server
---@return table|nil result
---@return string? why
local function run(measurement, server, count)
  local path = measurement.on_disk and folder.make() or nil
  local output, why = process.run(command(measurement, server.port, count, path), RUN_TIMEOUT_MS,
    lua_environment(measurement.runtime))
  if path then folder.remove(path) end
  local account = expected(measurement, server, count)
  if not output then return nil, why end
  local decoded, result = pcall(cjson.decode, output)
  if not decoded then return nil, "no JSON: " .. output:sub(1, 200) end
  for _, check in ipairs(measurement.checks) do
    local got, wanted = result[check[1]], account[check[2]]
    if got ~= wanted then
      return nil, string.format("%s: %s instead of %s", check[1], tostring(got), tostring(wanted))
    end
  end
  if measurement.kind == "burst" then result.events = count end
  return result
end

--- How many events fill `seconds`: shorter runs first, each a guess at the next.
local function calibrate(measurement, server, seconds)
  local count = math.max(5, math.floor(PILOT_BYTES / measurement.size))
  while true do
    local result, why = run(measurement, server, count)
    if not result then return nil, why end
    local growth = math.min(PILOT_GROWTH_MAX, seconds / result.seconds)
    local next_count = math.floor(math.min(count * growth, BURST_BYTES_MAX / measurement.size))
    if growth < PILOT_GROWTH_MAX or next_count <= count then return math.max(5, next_count) end
    count = next_count
  end
end

local function fail(measurement, why)
  measurement.failures[#measurement.failures + 1] = why
  log("FAILED %s, %s (%s): %s", measurement.group, measurement.label, measurement.runtime or "C", why)
end

--- A round runs everything once, from another place each time, so that a slow spell of the machine hits all alike.
local function run_round(measurements, server, round)
  local first = (round * 7) % #measurements
  for i = 1, #measurements do
    local measurement = measurements[(first + i - 1) % #measurements + 1]
    if round <= measurement.rounds and (measurement.count or WITHOUT_SERVER[measurement.kind]) then
      local result, why = run(measurement, server, measurement.count or 0)
      measurement.results[round] = result
      if not result then fail(measurement, why) end
    end
  end
end

local function select_groups(measurements, text)
  local list = {}
  for _, measurement in ipairs(measurements) do
    if not text or measurement.group:find(text, 1, true) then list[#list + 1] = measurement end
  end
  return list
end

local function measure(measurements, profile, server)
  local rounds = 0
  for _, measurement in ipairs(measurements) do
    measurement.results, measurement.failures = {}, {}
    rounds = math.max(rounds, measurement.rounds)
    if measurement.kind == "burst" then
      local count, why = calibrate(measurement, server, profile.burst_seconds)
      measurement.count = count
      if not count then fail(measurement, why) end
    end
  end
  for round = 1, rounds do
    log("round %d of %d", round, rounds)
    run_round(measurements, server, round)
  end
end

local function main()
  local arguments, load_before = options(), uv.loadavg()
  local profile = arguments.quick and plan.profiles.quick or plan.profiles.full
  local list, built = runtimes(arguments.lua)
  local measurements = plan.make({ profile = profile, runtimes = list, built = built })
  measurements = select_groups(measurements, arguments.only)
  local server = process.serve(process.pinned(SERVER_PROCESSOR, { "build/bench/blaster" }))
  measure(measurements, profile, server)
  server:stop()
  local summary = report.summarize(measurements)
  print(report.table(summary))
  print(("\nFiles were written to %s. Load average: %.1f when it began, %.1f in the end."):format(folder.file_system(),
    load_before, uv.loadavg()))
  if arguments.json then
    local file = assert(io.open(arguments.json, "w"))
    file:write(cjson.encode({ profile = arguments.quick and "quick" or "full", measurements = measurements }), "\n")
    file:close()
  end
  for _, measurement in ipairs(measurements) do
    if #measurement.failures > 0 then os.exit(1) end
  end
end

main()
