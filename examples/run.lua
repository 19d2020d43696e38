-- Runs every example as a child, on the interpreter that runs this, against a server in this process; checks all that it
-- says, to the line. Speaks TAP (testanything.org).
--
--   lua5.4 examples/run.lua        LUA_PATH and LUA_CPATH as the Makefile sets them
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

-- ---- scenarios -----------------------------------------------------------------------------------------------------

-- limit: ORDERSYNC_EVENTS; streams (1): how many must be open before play; acts: several plays, each with the number of
-- `lines` that the example must have printed before, and `streams`; server: options; before: what the server has seen before
-- the example starts; mode: SYNC_MODE; out, err: the whole output, or a pattern if `patterns`; sorted: the order of lines
-- is not given; check: what else must be so, nil or what is wrong.
local scenarios = {
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
    out = { "^" .. BURST_EVENTS .. " events in %d+ frames$", "^worst step %d+%.%d ms, budget 2 ms$" },
    check = function(_, lines)
      if tonumber(lines[1]:match "in (%d+) frames") < 2 then return "the budget did not hold: all came in one frame" end
    end,
  },
  {
    name = "kitchen.lua", limit = 2,
    play = function(running)
      create(running, 7)
      running:publish { type = "status_update", order_id = order(7), data = { newStatus = "in_progress" } }
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
    name = "luv.lua", limit = 2,
    play = function(running)
      create(running, 1)
      move(running, 1, "empty", "initiated")
    end,
    out = { "order_created\tORDER-001", "stage_change\tORDER-001", "2 events, and the loop's own timer ran too" },
  },
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

-- Without proxies: the url is this machine's, whatever libcurl is told elsewhere.
local function environment(limit)
  local list = { "ORDERSYNC_EVENTS=" .. limit }
  for name, value in pairs(uv.os_environ()) do
    if name ~= "ORDERSYNC_EVENTS" and not name:lower():find "_proxy$" then list[#list + 1] = name .. "=" .. value end
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

-- A child is done when it has exited and both its outputs have ended.
local function start(path, url, limit)
  local out, err = uv.new_pipe(false), uv.new_pipe(false)
  local child, handle = { out = "", err = "", open = 3 }, nil
  handle = assert(uv.spawn(uv.exepath(), {
    args = { path, url }, env = environment(limit), stdio = { nil, out, err },
  }, function(code, signal)
    child.code, child.signal, child.open = code, signal, child.open - 1
    uv.close(handle)
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

local function run(directory, scenario)
  local running = assert(server.start { heartbeat_ms = 0, replay_limit = 2 * BURST_EVENTS })
  local child, played = start(directory .. scenario.name, running.url, scenario.limit), false
  while child.open > 0 do
    uv.run "once"
    if not played and running:stream_count() == (scenario.streams or 1) then
      played = true
      scenario.play(running)
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

local directory, by_name = arg[0]:match "^.*/" or "./", {}
for _, scenario in ipairs(scenarios) do by_name[scenario.name] = scenario end

local names, failures = names_in(directory), 0
print("1.." .. #names)
for number, name in ipairs(names) do
  local scenario = by_name[name]
  local wrong = not scenario and "no scenario is written for it" or scenario and run(directory, scenario)
  if wrong then
    failures = failures + 1
    print(("# %s"):format((wrong:gsub("\n", "\n# "))))
  end
  print(("%s %d - %s"):format(wrong and "not ok" or "ok", number, name))
end
os.exit(failures == 0 and 0 or 1)
