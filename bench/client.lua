-- client.lua CASE URL [CLIENTS or FOLDER]: the module under test, used as its README shows it.
--
--   type_and_order  one handler that touches event.type and event.order_id
--   data            one handler that touches event.data.newStage
--   selective       ten thousand subscriptions to single orders; few events are about one of them
--   unwanted        one subscription that no event matches
--   book            as type_and_order, and the order book is kept
--   journaled       as type_and_order, with a journal in FOLDER
--   book_journaled  as book, with a journal
--   once            as journaled, and the handler does its work inside of client:once()
--   latency         the paced stream: from the server's write to the handler
--   reconnect       a server that cuts the stream again and again
--   idle            CLIENTS clients that hear one event each: memory for each of them
--   idle_step       steps that find nothing to do
--   start           a journal is filled, and clients are started on it
--   budget          a burst, in steps with a budget as a loop of frames has them: the longest

local outcome = require "bench.outcome"
local sync = require "sync"

local TYPES = {
  "stage_change", "status_update", "payment_update", "order_created", "order_deleted",
  "t", "u", "v", "w", "x", -- of the smallest events
}
local WATCHED_ORDERS = 10000 -- BENCH_WATCHED_ORDERS of bench/wire.h

local IDLE_STEPS = 200000
local BUDGET_MS = 1
local STARTS = 5

local case, url, clients, folder = arg[1], arg[2], tonumber(arg[3]) or 1000, arg[3]
local counts = { events = 0, fields = 0, stages = 0, last_order = "" }

local function take_fields(event)
  local order_id = event.order_id
  counts.events = counts.events + 1
  counts.fields = counts.fields + #event.type + #order_id
  counts.last_order = order_id
end

local function take_stage(event)
  counts.events = counts.events + 1
  local stage = event.data and event.data.newStage
  if stage then counts.stages = counts.stages + #stage end
end

local samples_ns = {}

local function take_stamp(event)
  samples_ns[#samples_ns + 1] = outcome.clock_ns() - tonumber(event.data.sentNs)
  counts.events = counts.events + 1
end

--- What each case subscribes to.
local subscribe = {}

function subscribe.type_and_order(client) client:on_event(TYPES, take_fields) end

function subscribe.data(client) client:on_event(TYPES, take_stage) end

function subscribe.selective(client)
  for number = 0, WATCHED_ORDERS - 1 do
    client:on_order(string.format("WATCH-%06d", number), take_fields)
  end
end

function subscribe.unwanted(client) client:on_order("NO-SUCH-ORDER", take_fields) end

function subscribe.latency(client) client:on_event(TYPES, take_stamp) end

subscribe.reconnect = subscribe.type_and_order
subscribe.book = subscribe.type_and_order
subscribe.journaled = subscribe.type_and_order
subscribe.book_journaled = subscribe.type_and_order
subscribe.start = subscribe.type_and_order

function subscribe.once(client)
  client:on_event(TYPES, function(event)
    client:once(event, "count", function() take_fields(event) end)
  end)
end

--- The shortest waits there are, and no end to the attempts: what is left is the work of a reconnect.
local RECONNECT_AT_ONCE = {
  reconnect_delay_ms = 1,
  max_reconnect_delay_ms = 1,
  max_reconnect_attempts = 1000000,
}

local ON_DISK = { journaled = true, book_journaled = true, once = true, start = true }
local WITH_BOOK = { book = true, book_journaled = true }

local function options_of_case()
  local options = { url = url }
  if not WITH_BOOK[case] then options.book_limit = 0 end -- what a program pays that wants events and nothing else
  if ON_DISK[case] then options.persistence = folder .. "/orders.db" end
  for name, value in pairs(case == "reconnect" and RECONNECT_AT_ONCE or {}) do options[name] = value end
  return options
end

--- What the file says when its client has gone: the number of the last event, `event: done` not counted, if all are
--- done and none is missing between the first and the last that are kept; and how many effects.
local function read_journal()
  local environment = require("luasql.sqlite3").sqlite3()
  local connection = assert(environment:connect(folder .. "/orders.db"))
  local cursor = assert(connection:execute([[
    SELECT max(seq) - 1, (SELECT count(*) FROM effect WHERE state = 'done') FROM event
    HAVING max(seq) = (SELECT done_seq FROM stream) AND count(*) = max(seq) - min(seq) + 1]]))
  local journaled, effects = cursor:fetch()
  counts.journaled, counts.effects = tonumber(journaled), tonumber(effects)
  cursor:close()
  connection:close()
  environment:close()
end

local function receive()
  local client = assert(sync.connect(options_of_case()))
  subscribe[case](client)
  local beginning
  client:on_event("done", function()
    outcome.finish(counts, beginning)
    sync.stop()
  end)
  beginning = outcome.start()
  sync.run()
  local metrics = client:metrics()
  counts.seen = metrics.total_events - 1 -- without `event: done`
  counts.connections = metrics.total_connections
  client:close()
  if ON_DISK[case] then read_journal() end
end

local function print_received()
  receive()
  outcome.percentiles(counts, samples_ns)
  outcome.print(counts)
end

--- Milliseconds from the call that makes a client to a client that can be asked; the fastest, for the others were held
--- up by something else.
local function fastest_start_ms(options)
  local fastest_ms = math.huge
  for _ = 1, STARTS do
    local began_ns = outcome.clock_ns()
    local client = assert(sync.connect(options))
    fastest_ms = math.min(fastest_ms, (outcome.clock_ns() - began_ns) / 1e6)
    client:close()
  end
  return fastest_ms
end

local function start_again()
  receive()
  counts.start_ms = fastest_start_ms(options_of_case())
  counts.plain_start_ms = fastest_start_ms({ url = url, book_limit = 0 })
  outcome.print(counts)
end

--- Memory is counted from the second client on: the first one pays for what all share.
local function hold_idle()
  local open, heard = {}, 0
  local function connect_until(count)
    for number = #open + 1, count do
      open[number] = assert(sync.connect { url = url })
      open[number]:on_event(TYPES, function()
        heard = heard + 1
        if heard == count then sync.stop() end
      end)
    end
    sync.run()
    return outcome.resident_bytes()
  end
  local before = connect_until(1)
  local after = connect_until(clients)
  outcome.print({ clients = heard, bytes_per_client = (after - before) / (clients - 1) })
  for _, client in ipairs(open) do client:close() end
end

-- Connected, and silent after the one event that the server sends.
local function step_idly()
  local client, heard = assert(sync.connect { url = url }), 0
  client:on_event(TYPES, function()
    heard = heard + 1
    sync.stop()
  end)
  sync.run()
  for _ = 1, 100 do sync.step(0) end -- what connecting has left
  local counts_of_steps, beginning = { clients = heard, steps = IDLE_STEPS }, outcome.start()
  for _ = 1, IDLE_STEPS do sync.step(0) end
  outcome.finish(counts_of_steps, beginning)
  client:close()
  outcome.print(counts_of_steps)
end

-- Only steps that brought something count. The budget is of time; what others took of the processor meanwhile shows in the
-- difference to CPU time.
local function step_through_burst()
  local client, is_done = assert(sync.connect { url = url, book_limit = 0 }), false
  client:on_event(TYPES, take_fields)
  client:on_event("done", function() is_done = true end)
  counts.worst_cpu_us = 0
  while not is_done do
    local before, began_ns, began_cpu = counts.events, outcome.clock_ns(), os.clock()
    assert(sync.step(0, BUDGET_MS))
    if counts.events > before then
      counts.worst_cpu_us = math.max(counts.worst_cpu_us, (os.clock() - began_cpu) * 1e6)
      samples_ns[#samples_ns + 1] = outcome.clock_ns() - began_ns
    end
  end
  client:close()
  outcome.percentiles(counts, samples_ns)
  counts.worst_us = samples_ns[#samples_ns] / 1000
  outcome.print(counts)
end

local other_cases = { idle = hold_idle, idle_step = step_idly, budget = step_through_burst, start = start_again }

if other_cases[case] then
  other_cases[case]()
else
  assert(subscribe[case], "usage: client.lua CASE URL [CLIENTS or FOLDER]; the cases are listed at the top of the file")
  print_received()
end
