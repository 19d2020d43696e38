--- `ordersync serve`: the order server in the foreground, until a signal.

local server = require "sync.server"
local signals = require "sync.cli.signals"
local terminal = require "sync.cli.terminal"
local uv = require "luv"

local serve = {}

local EVENTS_PATH = "/api/v1/sync/events"

local function log_to(out)
  return function(text)
    out:line { { os.date("%H:%M:%S "), style = "dim" }, { text } }
    out:flush()
  end
end

local function server_options(arguments, out)
  local simulate = arguments.simulate and {
    orders = arguments.simulate, interval_ms = arguments.interval, seed = arguments.seed,
  }
  return {
    host = arguments.host, port = arguments.port, ids = not arguments.no_ids,
    replay_limit = arguments.replay, ring_file = arguments.ring, heartbeat_ms = arguments.heartbeat,
    simulate = simulate, log = not arguments.quiet and log_to(out) or nil,
  }
end

local CURES = {
  EADDRINUSE = "another program has this port: choose another with --port N, or any free one with --port 0",
  EACCES = "ports below 1024 are for the system: choose another with --port N",
  EADDRNOTAVAIL = "this machine does not have that address: choose one of its own with --host",
  EAI_NONAME = "nobody knows that host: choose an address of this machine with --host",
}

local function explain(message)
  for code, cure in pairs(CURES) do
    if message:find(code, 1, true) then return message .. "\n" .. cure end
  end
  return message
end

local function announce(running, out, arguments)
  out:line {
    { "ordersync", style = "bold" }, { " serves orders at " }, { running.url .. EVENTS_PATH, style = "cyan" },
  }
  if not arguments.quiet then
    out:line { { "follow them: ordersync tail " .. running.url .. "   stop: Ctrl-C", style = "dim" } }
  end
  out:flush()
end

-- Whoever started us has gone when standard input ends, even if it was killed and could not tell us.
local function watch_input(on_end)
  local input = uv.new_pipe(false)
  assert(uv.pipe_open(input, 0))
  uv.read_start(input, function(err, bytes)
    if err or not bytes then on_end() end
  end)
  return input
end

local function run_until_stopped(running, arguments)
  local release, input
  local function stop()
    running:close()
    release()
    if input and not uv.is_closing(input) then uv.close(input) end
  end
  release = signals.watch(stop)
  if arguments.until_eof then input = watch_input(stop) end
  uv.run()
end

---Run the command.
---@param arguments table what the command line says
---@return integer exit_code 0: stopped; 1: cannot listen; 2: wrong usage
---@return string|nil message
function serve.run(arguments)
  local scripts, message
  if arguments.script then
    scripts, message = server.load_script(arguments.script)
    if not scripts then return 2, message end
  end
  local out = terminal.output(arguments.color)
  local running
  running, message = server.start(server_options(arguments, out))
  if not running then return 1, explain(message) end
  if scripts then running:behave(scripts) end
  announce(running, out, arguments)
  run_until_stopped(running, arguments)
  return 0
end

return serve
