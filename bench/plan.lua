-- plan.lua: what is measured: every case, what it asks of the server, how its work is checked, what it has to reach.
-- Runs nothing: bench/run.lua does.

---@class bench.Measurement
---@field group string measurements of one group are compared with each other
---@field case string "read", "frames", "cjson", "today", "today_data", or a case of bench/client.lua
---@field runtime? string "lua5.4" or "luajit"; nil: C
---@field label string
---@field kind "burst"|"latency"|"reconnect"|"idle"|"idle_step"|"budget"|"parser"|"journal"|"start"
---@field program string[] without its URL and its folder
---@field on_disk? boolean it writes, and gets an empty folder for each run
---@field url_query? string
---@field count? integer events; nil: as many as fill the time
---@field size integer bytes of an event
---@field rounds integer
---@field checks string[][] {field of the result, field of the server's account}: these must be equal
---@field targets bench.Target[]

---@class bench.Target
---@field against? string the case whose value is the unit; nil: the value itself
---@field at_least? number
---@field at_most? number

local plan = {}

local YARDSTICK = "build/bench/yardstick"
local IDLE_CLIENTS = 1000
local WATCHED_EVERY = 1000 -- one event in so many is about one of ten thousand watched orders
local RECONNECT_EVENTS, RECONNECT_EVERY = 2000, 10
local PACED_PER_SECOND = 1000
local BUDGETED_EVENTS = 500000
local KEPT_EVENTS = 10000 -- of a bounded journal
local JOURNAL_BURSTS = 4 -- the log is moved to the file every 11,000 events or so: long enough for some of these each
local START_EVENTS = 99999 -- and `event: done`: as many as a journal keeps by default

--- The targets of the issue that asked for them; speeds are met on 250-byte events.
local TARGETS = {
  unwanted = { { against = "frames", at_least = 0.5 } },
  selective = { { against = "frames", at_least = 0.5 } },
  type_and_order = { { against = "today", at_least = 8 } },
  data = { { against = "today_data", at_least = 2 }, { against = "cjson", at_least = 0.6 } },
  latency = { { against = "frames", at_most = 1.3 } },
  idle = { { at_most = 24 * 1024 } },
  idle_step = { { at_most = 1000 } },
  journal = { { at_least = 0.8 } },
}

local CHECKS = {
  read = { { "bytes", "bytes" } },
  frames = { { "events", "events" }, { "bytes", "bytes" } },
  cjson = { { "events", "events" }, { "fields", "fields" }, { "stages", "stages" }, { "last_order", "last_order" } },
  today = { { "events", "events" }, { "fields", "fields" }, { "last_order", "last_order" } },
  today_data = { { "events", "events" }, { "stages", "stages" } },
  selective = { { "events", "watched" }, { "last_order", "last_watched" }, { "seen", "events" } },
  unwanted = { { "seen", "events" }, { "events", "none" } },
  latency = { { "events", "events" }, { "samples", "events" } },
}
CHECKS.type_and_order = CHECKS.today
CHECKS.data = CHECKS.today_data
CHECKS.book = CHECKS.today
CHECKS.journaled = { { "events", "events" }, { "fields", "fields" }, { "last_order", "last_order" },
  { "journaled", "events" } }
CHECKS.book_journaled = CHECKS.journaled
CHECKS.start = CHECKS.journaled
CHECKS.once = { { "events", "events" }, { "fields", "fields" }, { "journaled", "events" }, { "effects", "events" } }

local LABELS = {
  read = "bare `read()` loop",
  frames = "libcurl, event boundaries only",
  cjson = "libcurl + `cJSON_Parse`",
  today = "luv + lua-cjson: type, order id",
  today_data = "luv + lua-cjson: data",
  type_and_order = "**ordersync**: type, order id",
  data = "**ordersync**: data",
  selective = "**ordersync**: 10,000 orders, 1 event in 1,000 is one of them",
  unwanted = "**ordersync**: no event wanted",
  book = "**ordersync**: type, order id, and the order book kept",
  journaled = "**ordersync**: type, order id, with a journal",
  book_journaled = "**ordersync**: type, order id, the order book kept, with a journal",
  once = "**ordersync**: `client:once` for each event, with a journal",
  start = "**ordersync**: `sync.connect`, 100,000 events in its journal",
  latency = "**ordersync**: data",
  reconnect = "**ordersync**",
  idle = "**ordersync**",
  idle_step = "**ordersync**: `sync.step(0)` with nothing to do",
  budget = "**ordersync**: steps with a budget of 1 ms",
}

--- What each profile spends: seconds of one burst and of one paced stream; rounds of the groups that have targets and
--- of the others.
plan.profiles = {
  quick = { burst_seconds = 0.2, paced_seconds = 1, main_rounds = 3, other_rounds = 1 },
  full = { burst_seconds = 0.5, paced_seconds = 2, main_rounds = 7, other_rounds = 5 },
}

--- Collects measurements that share a group.
local function adder(list, shared)
  return function(case, runtime, program, changes)
    local measurement = { case = case, runtime = runtime, program = program, label = LABELS[case], targets = {} }
    for name, value in pairs(shared) do measurement[name] = value end
    measurement.checks = CHECKS[case] or {}
    for name, value in pairs(changes or {}) do measurement[name] = value end
    list[#list + 1] = measurement
  end
end

--- The cases that write.
local ON_DISK = { journaled = true, book_journaled = true, once = true }

local function module_program(runtime, case) return { runtime, "bench/client.lua", case } end

local function today_program(runtime, case) return { runtime, "bench/today.lua", case } end

--- Bursts of one size. `cases`: the module's; `with_today`: the stream is one that today.lua can take.
local function add_bursts(list, scope, shared, cases, with_today)
  shared.kind = "burst"
  local add = adder(list, shared)
  local is_main = shared.rounds == scope.profile.main_rounds
  if with_today then add("read", nil, { YARDSTICK, "read", "burst" }) end
  add("frames", nil, { YARDSTICK, "frames", "burst" })
  add("cjson", nil, { YARDSTICK, "cjson", "burst" })
  for _, runtime in ipairs(scope.runtimes) do
    if with_today then
      add("today", runtime, today_program(runtime, "type_and_order"))
      add("today_data", runtime, today_program(runtime, "data"))
    end
    for _, case in ipairs(scope.built[runtime] and cases or {}) do
      add(case, runtime, module_program(runtime, case), {
        targets = is_main and TARGETS[case] or {}, on_disk = ON_DISK[case],
      })
    end
  end
end

local function add_latency(list, scope)
  local count = PACED_PER_SECOND * scope.profile.paced_seconds
  local add = adder(list, {
    group = "latency, 1,000 events/s", kind = "latency", size = 250, count = count,
    url_query = "mode=paced&rate=" .. PACED_PER_SECOND, rounds = scope.profile.main_rounds,
  })
  local checks = { checks = CHECKS.latency, label = "luv + lua-cjson: data" }
  add("frames", nil, { YARDSTICK, "frames", "latency" }, { checks = CHECKS.latency })
  for _, runtime in ipairs(scope.runtimes) do
    add("today_data", runtime, today_program(runtime, "latency"), checks)
    if scope.built[runtime] then
      add("latency", runtime, module_program(runtime, "latency"), { targets = TARGETS.latency })
    end
  end
end

local function add_reconnect(list, scope)
  local checks = { { "events", "events" }, { "connections", "connections" } }
  local add = adder(list, {
    group = "reconnect", kind = "reconnect", size = 250, count = RECONNECT_EVENTS, rounds = scope.profile.other_rounds,
    connections = RECONNECT_EVENTS / RECONNECT_EVERY, url_query = "drop=" .. RECONNECT_EVERY,
  })
  add("frames", nil, { YARDSTICK, "frames", "reconnect" }, { checks = checks })
  for _, runtime in ipairs(scope.runtimes) do
    if scope.built[runtime] then
      add("reconnect", runtime, module_program(runtime, "reconnect"), { checks = checks })
    end
  end
end

local function add_idle(list, scope)
  local add = adder(list, {
    group = "idle, 1,000 clients", kind = "idle", size = 250, url_query = "mode=idle", count = IDLE_CLIENTS,
    rounds = scope.profile.other_rounds,
  })
  local checks = { { "clients", "clients" } }
  add("frames", nil, { YARDSTICK, "frames", "idle" }, { checks = checks })
  for _, runtime in ipairs(scope.runtimes) do
    if scope.built[runtime] then
      add("idle", runtime, module_program(runtime, "idle"), { checks = checks, targets = TARGETS.idle })
    end
  end
end

-- What a loop of frames pays for the module: a call in each, and at worst its budget.
local function add_steps(list, scope)
  local add = adder(list, { group = "in a host's loop", size = 250, rounds = scope.profile.other_rounds })
  local idle = {
    kind = "idle_step", count = 1, url_query = "mode=idle",
    checks = { { "clients", "clients" } }, targets = TARGETS.idle_step,
  }
  local budget = { kind = "budget", count = BUDGETED_EVENTS, url_query = "", checks = CHECKS.type_and_order }
  for _, runtime in ipairs(scope.runtimes) do
    if scope.built[runtime] then
      add("idle_step", runtime, module_program(runtime, "idle_step"), idle)
      add("budget", runtime, module_program(runtime, "budget"), budget)
    end
  end
end

local function add_parser(list, scope, size)
  local add = adder(list, {
    group = "parser alone", kind = "parser", size = size, rounds = scope.profile.other_rounds,
  })
  local seconds = tostring(scope.profile.burst_seconds)
  for _, chunk in ipairs({ { "65536", "64 KiB" }, { "1448", "1,448-byte" } }) do
    add("parser", nil, { "build/bench/parser", tostring(size), chunk[1], seconds },
      { label = ("%d B events in %s chunks"):format(size, chunk[2]) })
  end
end

-- The journal alone: as groups of events arrive, and when it has all it may keep.
local function add_journal(list, scope)
  local add = adder(list, {
    group = "journal alone", kind = "journal", size = 250, rounds = scope.profile.main_rounds, on_disk = true,
  })
  local function add_groups(group, kept, label, targets)
    local seconds = JOURNAL_BURSTS * scope.profile.burst_seconds
    local program = { "build/bench/journal", tostring(group), tostring(seconds), tostring(kept) }
    add("journal", nil, program, { label = label:format(group), targets = targets })
  end
  for _, group in ipairs({ 100, 1000 }) do add_groups(group, 0, "%d events a transaction", TARGETS.journal) end
  add_groups(100, KEPT_EVENTS, "%d events a transaction, as many are thrown out", {})
end

local function add_start(list, scope)
  local add = adder(list, {
    group = "start", kind = "start", size = 250, count = START_EVENTS, url_query = "",
    rounds = scope.profile.other_rounds, on_disk = true,
  })
  for _, runtime in ipairs(scope.runtimes) do
    if scope.built[runtime] then add("start", runtime, module_program(runtime, "start")) end
  end
end

---@class bench.Scope
---@field profile table one of plan.profiles
---@field runtimes string[]
---@field built table<string, boolean> the runtimes that the module is built for

---@param scope bench.Scope
---@return bench.Measurement[]
function plan.make(scope)
  local list, profile = {}, scope.profile
  local some = { "type_and_order", "data", "unwanted" }
  local function bursts(group, size, query, rounds, cases, with_today)
    add_bursts(list, scope, { group = group, size = size, url_query = query, rounds = rounds }, cases, with_today)
  end
  local all = { "type_and_order", "data", "selective", "unwanted", "book", "journaled", "book_journaled", "once" }
  bursts("250 B", 250, "watched=" .. WATCHED_EVERY, profile.main_rounds, all, true)
  bursts("250 B, chunked", 250, "chunked=1", profile.other_rounds, some, false)
  bursts("60 B", 60, "", profile.other_rounds, some, true)
  bursts("4 KiB", 4096, "", profile.other_rounds, some, true)
  bursts("64 KiB", 65536, "", profile.other_rounds, some, true)
  add_latency(list, scope)
  add_reconnect(list, scope)
  add_idle(list, scope)
  add_steps(list, scope)
  add_journal(list, scope)
  add_start(list, scope)
  for _, size in ipairs({ 60, 250, 4096, 65536 }) do add_parser(list, scope, size) end
  return list
end

return plan
