-- fanout.lua: `make bench-hub`. How many terminals one nginx with nchan serves, how late a message is at the last of them,
-- and what each costs: with the configuration of examples/nchan, on loopback, the hub on processor 0, the terminals on 1.
-- Prints a Markdown table for docs/scale.md: of each figure the median of the runs, and the lowest and highest of them.
-- With and without Redis; each run has a hub of its own. Before it, how busy the machine is otherwise.

package.path = "./?.lua;" .. package.path

local cjson = require "cjson"
local process = require "bench.process"
local uv = require "luv"

local HUB_PROCESSOR, TERMINAL_PROCESSOR = 0, 1
local TERMINALS = { 1000, 5000, 10000 }
local MESSAGES, INTERVAL_MS = 50, 100
local RUNS = 3
local COLUMNS = 7 -- of figures
local READY_ATTEMPTS, READY_PAUSE_MS = 100, 50

local GENERATOR = os.getenv "FANOUT" or "build/bench/fanout"

-- ---- the programs --------------------------------------------------------------------------------------------------

local function read(path)
  local file = assert(io.open(path, "rb"))
  local text = file:read "*a"
  file:close()
  return text
end

-- A port that was free a moment ago.
local function free_port()
  local socket = uv.new_tcp()
  assert(uv.tcp_bind(socket, "127.0.0.1", 0))
  local port = uv.tcp_getsockname(socket).port
  uv.close(socket)
  uv.run "nowait"
  return port
end

local function start(program)
  local self = { out = "", pipe = uv.new_pipe(false) }
  self.handle, self.pid = uv.spawn(program[1], {
    args = { (table.unpack or unpack)(program, 2) }, stdio = { nil, self.pipe, nil },
  }, function(code)
    self.code = code
    uv.close(self.handle)
  end)
  assert(self.handle, self.pid)
  uv.read_start(self.pipe, function(_, bytes)
    if bytes then self.out = self.out .. bytes else uv.close(self.pipe) end
  end)
  return self
end

local function stop(program)
  if not program.code then uv.process_kill(program.handle, "sigterm") end
  while not program.code do uv.run "once" end
end

local function ask(command)
  return process.run({ "sh", "-c", command }, 5000)
end

local function await(what, is_ready)
  for _ = 1, READY_ATTEMPTS do
    if is_ready() then return end
    uv.sleep(READY_PAUSE_MS)
  end
  error(what .. " does not get ready")
end

local function start_redis(directory, port)
  local redis = start(process.pinned(HUB_PROCESSOR, {
    "redis-server", "--port", tostring(port), "--bind", "127.0.0.1", "--dir", directory, "--save", "",
  }))
  await("Redis", function() return (ask("redis-cli -p " .. port .. " ping") or ""):find "PONG" end)
  return redis
end

-- The example's configuration with other ports; without Redis messages are in nginx's shared memory.
local function configuration(ports, with_redis)
  local text = read("examples/nchan/hub.conf"):gsub("9301", ports.hub):gsub("6379", ports.redis)
  return with_redis and text or (text:gsub("nchan_redis_pass [^\n]*", ""))
end

local function start_hub(directory, ports, with_redis)
  local path = directory .. "/hub.conf"
  local file = assert(io.open(path, "wb"))
  file:write(configuration(ports, with_redis))
  file:close()
  local hub = start(process.pinned(HUB_PROCESSOR, {
    "nginx", "-p", directory, "-c", path, "-e", directory .. "/error.log", "-g", "daemon off; error_log /dev/null;",
  }))
  local probe = ("curl -s -o /dev/null -w %%{http_code} -d '{}' http://127.0.0.1:%d/publish"):format(ports.hub)
  await("the hub", function() return (ask(probe) or ""):find "^20" end)
  return hub
end

-- ---- what it costs -------------------------------------------------------------------------------------------------

-- The worker is the child that serves; the others keep the cache.
local function worker_of(hub)
  for pid in read(("/proc/%d/task/%d/children"):format(hub.pid, hub.pid)):gmatch "%d+" do
    if read("/proc/" .. pid .. "/cmdline"):find "worker process" then return pid end
  end
end

local function anonymous_bytes(pid)
  return tonumber(read("/proc/" .. pid .. "/status"):match "RssAnon:%s+(%d+) kB") * 1024
end

local function costs(hub, ports, with_redis)
  local status = ask(("curl -s http://127.0.0.1:%d/status"):format(ports.hub))
  local memory = with_redis and ask("redis-cli -p " .. ports.redis .. " info memory"):match "used_memory:(%d+)"
  return {
    worker = anonymous_bytes(worker_of(hub)), shared_kib = tonumber(status:match "shared memory used: (%d+)K"),
    redis = tonumber(memory),
  }
end

-- ---- a run ---------------------------------------------------------------------------------------------------------

local function generate(port, terminals)
  return start(process.pinned(TERMINAL_PROCESSOR, {
    GENERATOR, tostring(port), "/api/v1/sync/events", "/publish", tostring(terminals), tostring(MESSAGES),
    tostring(INTERVAL_MS),
  }))
end

local function measure(terminals, with_redis)
  local directory = assert(uv.fs_mkdtemp(uv.os_tmpdir() .. "/fanout-XXXXXX"))
  local ports = { hub = free_port(), redis = free_port() }
  local redis = with_redis and start_redis(directory, ports.redis)
  local hub = start_hub(directory, ports, with_redis)
  local before = costs(hub, ports, with_redis)
  local generator = generate(ports.hub, terminals)
  while not generator.out:find "\n" and not generator.code do uv.run "once" end
  assert(generator.out:find "\n", "the generator failed")
  local after = costs(hub, ports, with_redis) -- its streams are still open
  stop(generator)
  stop(hub)
  if redis then stop(redis) end
  process.run({ "rm", "-r", directory }, 5000)
  return cjson.decode(generator.out), before, after
end

local function figures(terminals, with_redis)
  local result, before, after = measure(terminals, with_redis)
  assert(result.samples == terminals * MESSAGES, "a message did not reach every terminal")
  return {
    terminals / result.open_seconds, result.p50_ms, result.p99_ms, result.max_ms,
    (after.worker - before.worker) / terminals / 1024, after.shared_kib - before.shared_kib,
    with_redis and (after.redis - before.redis) / 1024,
  }
end

-- "108 (95-131)"
local function spread(runs, column)
  local values = {}
  for index, run in ipairs(runs) do values[index] = run[column] end
  if not values[1] then return "" end
  table.sort(values)
  return ("%.0f (%.0f-%.0f)"):format(values[math.ceil(#values / 2)], values[1], values[#values])
end

local function print_row(terminals, with_redis)
  local runs, cells = {}, {}
  for run = 1, RUNS do runs[run] = figures(terminals, with_redis) end
  for column = 1, COLUMNS do cells[column] = spread(runs, column) end
  print(("| %d | %s | %s |"):format(terminals, with_redis and "Redis" or "memory", table.concat(cells, " | ")))
end

print(("Load average: %.1f\n"):format((uv.loadavg())))
print "| terminals | messages in | opened/s | p50 ms | p99 ms | last ms | worker KiB/terminal | shared KiB | Redis KiB |"
print "| ---: | --- | ---: | ---: | ---: | ---: | ---: | ---: | ---: |"
for _, with_redis in ipairs { false, true } do
  for _, terminals in ipairs(TERMINALS) do print_row(terminals, with_redis) end
end
print(("\nLoad average: %.1f"):format((uv.loadavg())))
