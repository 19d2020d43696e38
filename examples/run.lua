-- Runs every example as a child, on the interpreter that runs this, against a server in this process; checks all that it
-- says, to the line. Speaks TAP (testanything.org).
--
--   lua5.4 examples/run.lua        LUA_PATH, LUA_CPATH and EMBED_C as the Makefile sets them
--
-- A scenario plays on the server once the example's streams are open and it has said so much, so nothing depends on time.

local server = require "sync.server"
local uv = require "luv"

local BURST_EVENTS = 20000

-- ---- what the server does ------------------------------------------------------------------------------------------

local function order(number)
  return ("ORDER-%03d"):format(number)
end

local function create(running, number)
  running:publish { type = "order_created", order_id = order(number), data = { order = { totalAmount = 1250 } } }
end

local function move(running, number, previous, new)
  local data = { previousStage = previous, newStage = new }
  running:publish { type = "stage_change", order_id = order(number), data = data }
end

local function change_status(running, number, new)
  running:publish { type = "status_update", order_id = order(number), data = { newStatus = new } }
end

-- ---- scenarios -----------------------------------------------------------------------------------------------------

-- The same in each host's loop: an order is created, its handlers wait as the host does, and it moves on.
local function in_host(name, closing)
  return {
    name = name, limit = 2,
    play = function(running)
      create(running, 1)
      move(running, 1, "empty", "initiated")
    end,
    out = { "order_created\tORDER-001", "printed\tORDER-001", "stage_change\tORDER-001", "printed\tORDER-001", closing },
  }
end

-- limit: ORDERSYNC_EVENTS; streams (1): how many must be open before play; acts: several plays, each with the number of
-- `lines` that the example must have printed before, and `streams`, and `keys` that are pressed then; server: options;
-- before: what the server has seen before the example starts; mode: SYNC_MODE; program: of examples/embed-c, and its
-- `arguments`; out, err: the whole output, or a pattern if `patterns`; sorted: the order of lines is not given; check: what
-- else must be so, nil or what is wrong.
local scenarios = {
  in_host("copas.lua", "2 events"),
  in_host("cqueues.lua", "2 events, and the controller's own thread ran too"),
  {
    name = "dashboard.lua", limit = 3,
    before = function(running)
      create(running, 1)
      move(running, 1, "empty", "initiated")
      create(running, 2)
    end,
    acts = {
      { lines = 3, play = function(running)
        for number = 2, 5 do
          running:publish {
            type = "stage_change", order_id = order(number),
            data = { previousStage = "empty", newStage = "open", order = { totalAmount = 1000 * number } },
          }
        end
        move(running, 5, "open", "billed")
        move(running, 5, "billed", "paid")
      end },
    },
    out = {
      "--- 0 open orders",
      "--- 1 open orders", "ORDER-001  initiated     12.50",
      "--- 4 open orders",
      "ORDER-004  open          40.00", "ORDER-003  open          30.00", "ORDER-002  open          20.00",
    },
  },
  {
    name = "embed-c/plain.c", program = "plain", patterns = true,
    arguments = function(url) return { url, "ORDER-001", "3" } end,
    acts = {
      { play = function(running)
        create(running, 1)
        move(running, 1, "empty", "initiated")
      end },
      { lines = 4, play = function(running)
        running:drop "clean"
        move(running, 1, "initiated", "billed")
      end },
    },
    out = {
      "^disconnected %-> connecting$", "^connecting %-> connected$",
      '^order_created ORDER%-001 {"order":{"totalAmount":1250}}$',
      '^stage_change ORDER%-001 {.*"newStage":"initiated".*}$',
      "^connected %-> reconnecting$", "^reconnecting %-> connected$",
      '^stage_change ORDER%-001 {.*"newStage":"billed".*}$',
      "^connected; 3 events, 1 reconnects, last event id %d+%-%d+$",
      '^ORDER%-001 is billed: {.*"totalAmount":1250.*}$',
    },
    err = "^STREAM_ENDED: [^\n]+\n$",
  },
  {
    name = "embed-c/pos.c", program = "pos",
    arguments = function(url, directory) return { directory .. "embed-c/pos.lua", url } end,
    acts = {
      { play = function(running)
        create(running, 1)
        create(running, 2)
        move(running, 1, "empty", "initiated")
        move(running, 2, "empty", "initiated")
      end },
      { lines = 2, keys = "l\n" },
      { lines = 5, play = function(running)
        running:drop "cut"
        move(running, 1, "billed", "paid")
      end },
      { lines = 8, keys = "lr" },
      { lines = 13, keys = "q" },
    },
    out = {
      "taken: ORDER-001, 12.50", "taken: ORDER-002, 12.50",
      "open: 2", "  ORDER-002 initiated, 12.50", "  ORDER-001 initiated, 12.50",
      "+--- RECEIPT ORDER-001", "|    paid 12.50", "+---",
      "open: 1", "  ORDER-002 initiated, 12.50",
      "+--- RECEIPT ORDER-001", "|    paid 12.50", "+---",
    },
    err = "^STREAM_CUT: [^\n]+\n$",
  },
  {
    name = "first.lua", limit = 2,
    play = function(running)
      move(running, 1, "open", "billed")
      running:drop "clean"
      move(running, 1, "billed", "paid")
    end,
    out = {
      "ORDER-001: open -> billed",
      "STREAM_ENDED: the server ended the stream (nothing: the client reconnects)",
      "ORDER-001: billed -> paid",
    },
  },
  {
    name = "game_loop.lua", limit = BURST_EVENTS, patterns = true,
    play = function(running)
      for number = 1, BURST_EVENTS do move(running, number, "open", "billed") end
    end,
    out = {
      "^" .. BURST_EVENTS .. " events in %d+ of %d+ frames$", "^worst frame %d+%.%d ms of 16%.7, budget 2 ms$",
    },
    check = function(_, lines)
      if tonumber(lines[1]:match "in (%d+) of") < 2 then return "the budget did not hold: all came in one frame" end
    end,
  },
  {
    name = "kitchen.lua", limit = 2,
    play = function(running)
      create(running, 7)
      change_status(running, 7, "in_progress")
      running:drop "cut"
      move(running, 7, "billed", "paid")
    end,
    out = {
      "+--- TICKET ORDER-007", "|    to cook, 12.50", "+---",
      "+--- RECEIPT ORDER-007", "|    paid, thank you", "+---",
    },
    err = "^STREAM_CUT: [^\n]+\n$",
    check = function(running)
      local types = running.requests[1].query.eventTypes
      if types ~= "order_created,stage_change" then return "asked for " .. tostring(types) end
    end,
  },
  {
    name = "kitchen_display.lua", limit = 4, server = { ids = false },
    before = function(running) create(running, 1) end,
    acts = {
      { lines = 1, play = function(running) create(running, 2) end },
      { lines = 2, play = function(running)
        running:drop "clean"
        create(running, 3) -- nobody listens, and nobody will be sent it
        change_status(running, 2, "in_progress")
      end },
      { lines = 3, play = function(running) create(running, 4) end },
    },
    out = {
      "1. ORDER-001, 12.50 (backfill)", "2. ORDER-002, 12.50 (stream)",
      "3. ORDER-003, 12.50 (backfill)", "4. ORDER-004, 12.50 (stream)",
    },
  },
  in_host("luv.lua", "2 events, and the loop's own timer ran too"),
  {
    name = "many_clients.lua", limit = 20, streams = 20, sorted = true,
    play = function(running)
      for number = 1, 20 do create(running, number) end
    end,
    out = (function()
      local lines = { "20 clients connected" }
      for number = 1, 20 do lines[number + 1] = ("table %d: order_created"):format(number) end
      return lines
    end)(),
  },
  {
    name = "migration.lua", limit = 3, patterns = true,
    before = function(running) create(running, 1) end,
    acts = {
      { lines = 1, streams = 0, polls = 1, play = function(running) move(running, 1, "empty", "initiated") end },
      { lines = 3, play = function(running) move(running, 1, "initiated", "open") end },
      { lines = 4, play = function(running) move(running, 1, "open", "billed") end },
    },
    out = {
      "^now polling_fallback$", "^ORDER%-001: empty %-> initiated, by poll$", "^now connected$",
      -- by stream, or by the last snapshot if that is faster; never by both
      "^ORDER%-001: initiated %-> open, by %a+$", "^ORDER%-001: open %-> billed, by %a+$",
    },
  },
  {
    name = "migration.lua", title = "SYNC_MODE=poll", mode = "poll", limit = 2,
    before = function(running) create(running, 1) end,
    acts = {
      { lines = 1, streams = 0, polls = 1, play = function(running) move(running, 1, "empty", "initiated") end },
      { lines = 2, streams = 0, play = function(running) move(running, 1, "initiated", "open") end },
    },
    out = {
      "now polling_fallback", "ORDER-001: empty -> initiated, by poll", "ORDER-001: initiated -> open, by poll",
    },
    check = function(running)
      if running:request_count "/api/v1/sync/events" > 0 then return "it opened a stream" end
    end,
  },
  {
    name = "monitor.lua", limit = 2, patterns = true,
    acts = {
      { lines = 2, play = function(running)
        create(running, 1)
        move(running, 1, "empty", "initiated")
        running:heartbeat()
      end },
      { lines = 5, play = function(running) running:drop "clean" end },
      { lines = 7, play = function(running) running:heartbeat() end },
    },
    out = {
      "^connecting, was disconnected$", "^connected, was connecting$",
      "^healthy, 0 reconnects; connected 1, heartbeat 1, order_created 1, stage_change 1$",
      "^  latency p50 %d+%.%d ms, p99 %d+%.%d ms; queue %d+, at most %d+$",
      "^  %d+ bytes; duplicates 0, parse errors 0, handler errors 0$",
      "^reconnecting, was connected", "^connected, was reconnecting$",
      "^healthy, 1 reconnects; connected 2, heartbeat 2, order_created 1, stage_change 1$",
      "^  latency p50", "^  %d+ bytes",
    },
  },
  {
    name = "order_screen.lua", limit = 5,
    before = function(running) create(running, 1) end,
    acts = {
      { lines = 1, play = function(running) move(running, 1, "open", "billed") end },
      { lines = 2, play = function(running) move(running, 1, "billed", "paid") end },
      { lines = 5, play = function(running) change_status(running, 1, "ready") end },
      { lines = 6, play = function(running)
        move(running, 1, "billed", "paid")
        running:stop() -- it answers nobody any more
      end },
    },
    out = {
      "ORDER-001: empty, pending", "ORDER-001: billed, pending",
      "ORDER-001: paid, pending", "ORDER-001: paid, picked_up ...", "ORDER-001: paid, picked_up",
      "ORDER-001: paid, ready",
      "ORDER-001: paid, ready", "ORDER-001: paid, picked_up ...", "ORDER-001: paid, ready",
    },
    err = "^not handed over: [^\n]+\n$",
  },
  {
    name = "pull.lua", limit = 3,
    play = function(running)
      create(running, 1)
      move(running, 1, "empty", "initiated")
      create(running, 2)
    end,
    out = { "first\torder_created\tORDER-001", "then\tstage_change\tORDER-001", "then\torder_created\tORDER-002" },
  },
  {
    name = "token.lua", limit = 2,
    play = function(running)
      create(running, 1)
      running:drop "reset"
      create(running, 2)
    end,
    out = {
      "connected with token 1", "order_created\tORDER-001", "connected with token 2", "order_created\tORDER-002",
    },
    check = function(running)
      for number, request in ipairs(running.requests) do
        local wanted = "Bearer secret-" .. number
        if request.headers.authorization ~= wanted then
          return ("request %d had '%s', not '%s'"):format(number, tostring(request.headers.authorization), wanted)
        end
      end
    end,
  },
}

-- ---- the child -----------------------------------------------------------------------------------------------------

local OURS = { ORDERSYNC_EVENTS = true, SYNC_MODE = true }

-- Without proxies: the url is this machine's, whatever libcurl is told elsewhere.
local function environment(scenario)
  local list = {}
  for name, value in pairs { ORDERSYNC_EVENTS = scenario.limit, SYNC_MODE = scenario.mode } do
    list[#list + 1] = name .. "=" .. value
  end
  for name, value in pairs(uv.os_environ()) do
    if not OURS[name] and not name:lower():find "_proxy$" then list[#list + 1] = name .. "=" .. value end
  end
  return list
end

local function collect(pipe, child, name)
  uv.read_start(pipe, function(message, bytes)
    assert(not message, message)
    if bytes then
      child[name] = child[name] .. bytes
    else
      child.open = child.open - 1
      uv.close(pipe)
    end
  end)
end

-- LuaJIT keeps what is printed to a pipe; acts wait for lines.
local BY_LINE = "io.stdout:setvbuf 'line'"

-- What is run: a script on this interpreter, or a program in C that has been built with the same runtime.
local function command(scenario, url, directory)
  if not scenario.program then return uv.exepath(), { "-e", BY_LINE, directory .. scenario.name, url } end
  local built = assert(os.getenv "EMBED_C", "EMBED_C: the folder of the programs of examples/embed-c: make embed-c")
  return built .. "/" .. scenario.program, scenario.arguments(url, directory)
end

-- A child is done when it has exited and both its outputs have ended.
local function start(scenario, url, directory)
  local keys, out, err = uv.new_pipe(false), uv.new_pipe(false), uv.new_pipe(false)
  local child, handle = { keys = keys, out = "", err = "", open = 3 }, nil
  local file, arguments = command(scenario, url, directory)
  handle = assert(uv.spawn(file, {
    args = arguments, env = environment(scenario), stdio = { keys, out, err },
  }, function(code, signal)
    child.code, child.signal, child.open = code, signal, child.open - 1
    uv.close(handle)
    uv.close(keys)
  end))
  collect(out, child, "out")
  collect(err, child, "err")
  return child
end

-- ---- judging -------------------------------------------------------------------------------------------------------

local function lines_of(text)
  local lines = {}
  for line in text:gmatch "([^\n]*)\n" do lines[#lines + 1] = line end
  return lines
end

local function compare_lines(scenario, lines)
  local wanted = scenario.out
  if scenario.sorted then
    table.sort(lines)
    table.sort(wanted)
  end
  for index = 1, math.max(#lines, #wanted) do
    local line, expected = lines[index], wanted[index]
    local same = line and expected and (scenario.patterns and line:find(expected) or line == expected)
    if not same then return ("line %d: expected %s, got %s"):format(index, tostring(expected), tostring(line)) end
  end
end

local function fault(scenario, child, running)
  if child.code ~= 0 then return ("ended with %d, signal %d: %s"):format(child.code, child.signal, child.err) end
  if not child.err:find(scenario.err or "^$") then return "on standard error: " .. child.err end
  local lines = lines_of(child.out)
  return compare_lines(scenario, lines) or scenario.check and scenario.check(running, lines)
end

local function start_server(given)
  local options = { heartbeat_ms = 0, replay_limit = 2 * BURST_EVENTS }
  for name, value in pairs(given or {}) do options[name] = value end
  return assert(server.start(options))
end

local function is_due(act, child, running)
  return running:stream_count() == (act.streams or 1) and #lines_of(child.out) >= (act.lines or 0)
    and running:request_count "/api/v1/orders" >= (act.polls or 0)
end

local function run(directory, scenario)
  local running = start_server(scenario.server)
  if scenario.before then scenario.before(running) end
  local acts, played = scenario.acts or { scenario }, 0
  local child = start(scenario, running.url, directory)
  while child.open > 0 do
    uv.run "once"
    local act = acts[played + 1]
    if act and is_due(act, child, running) then
      played = played + 1
      if act.play then act.play(running) end
      if act.keys then uv.write(child.keys, act.keys) end
    end
  end
  local wrong = fault(scenario, child, running)
  running:close()
  uv.run() -- nothing is left but what closes
  return wrong
end

-- ---- all of them ---------------------------------------------------------------------------------------------------

local function names_in(directory)
  local names, scan = {}, assert(uv.fs_scandir(directory))
  for name in function() return uv.fs_scandir_next(scan) end do
    if name:find "%.lua$" and name ~= "run.lua" then names[#names + 1] = name end
  end
  table.sort(names)
  return names
end

-- The server may write to a child that has gone; that must not end this process.
local broken_pipe = uv.new_signal()
uv.signal_start(broken_pipe, "sigpipe", function() end)
uv.unref(broken_pipe)

local function report(number, title, wrong)
  if wrong then print(("# %s"):format((wrong:gsub("\n", "\n# ")))) end
  print(("%s %d - %s"):format(wrong and "not ok" or "ok", number, title))
  return wrong and 1 or 0
end

local directory, played = arg[0]:match "^.*/" or "./", {}
local number, failures = 0, 0
for _, scenario in ipairs(scenarios) do
  number, played[scenario.name] = number + 1, true
  local title = scenario.title and scenario.name .. ", " .. scenario.title or scenario.name
  failures = failures + report(number, title, run(directory, scenario))
end
for _, name in ipairs(names_in(directory)) do
  if not played[name] then
    number = number + 1
    failures = failures + report(number, name, "no scenario is written for it")
  end
end
print("1.." .. number) -- TAP allows the plan at the end
os.exit(failures == 0 and 0 or 1)
