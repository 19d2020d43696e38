-- The counters of all workers and of the stream, in Prometheus' text format 0.0.4.

local exposition = {}

local ESCAPES = { ["\\"] = "\\\\", ['"'] = '\\"', ["\n"] = "\\n" }

-- A family: its lines, and what they are about.
local function family(lines, name, kind, help)
  lines[#lines + 1] = ("# HELP ordersync_%s %s"):format(name, help)
  lines[#lines + 1] = ("# TYPE ordersync_%s %s"):format(name, kind)
  return function(value, label, label_value)
    local labels = label and ('{%s="%s"}'):format(label, tostring(label_value):gsub('[\\"\n]', ESCAPES)) or ""
    lines[#lines + 1] = ("ordersync_%s%s %.17g"):format(name, labels, value)
  end
end

-- name in client:metrics(), name here, help
local OF_THE_STREAM = {
  { "total_events", "stream_events_total", "Order events that the worker holding the stream received." },
  { "total_bytes", "stream_bytes_total", "Bytes of the stream that it received." },
  { "total_connections", "stream_connections_total", "Streams that it opened." },
  { "total_reconnects", "stream_reconnects_total", "Streams that it opened again." },
  { "failures", "stream_failures_total", "Attempts and streams that failed." },
  { "duplicates", "stream_duplicates_total", "Events that the server sent again." },
  { "parse_errors", "stream_parse_errors_total", "Events that were no JSON." },
  { "pauses", "stream_pauses_total", "Times that the stream was not read: back-pressure, or the budget of a turn." },
  { "gaps", "stream_gaps_total", "Times that something was missing in the stream." },
  { "polls", "polls_total", "Snapshots that it asked for." },
  { "poll_failures", "poll_failures_total", "Snapshots that it did not get." },
}

-- name in a worker's report, name here, kind, help
local OF_WORKERS = {
  { "browsers", "browsers", "gauge", "Event streams that the worker serves." },
  { "resyncs", "browser_resyncs_total", "counter", "Times that a browser was told to ask for all orders again." },
  { "position", "worker_position", "gauge", "The latest event whose handlers have returned." },
  { "missed", "worker_missed_total", "counter", "Events that the worker's handlers missed." },
  { "failures", "handler_failures_total", "counter", "Handlers that failed." },
  { "turns", "worker_turns_total", "counter", "Times that the worker was woken, or took a further turn." },
  { "longest_turn_s", "worker_longest_turn_seconds", "gauge", "Processor time of the longest of them." },
  { "lua_bytes", "worker_lua_bytes", "gauge", "Memory of the worker's Lua objects." },
}

local function write_stream(lines, worker)
  local state, health = worker:state(), worker:health()
  local is_up = health.stale and 0 or 1
  family(lines, "up", "gauge", "Whether the orders are kept up to date, by the stream or by polling.")(is_up)
  family(lines, "connected", "gauge", "Whether the stream is open.")(health.is_connected and 1 or 0)
  if health.data_age_ms then
    family(lines, "data_age_seconds", "gauge", "Time since the last byte of the stream.")(health.data_age_ms / 1000)
  end
  if not state then return end
  for _, row in ipairs(OF_THE_STREAM) do family(lines, row[2], "counter", row[3])(state.metrics[row[1]]) end
  local write = family(lines, "events_by_type_total", "counter", "Events that it received, by type.")
  for name, count in pairs(state.metrics.event_counts) do write(count, "type", name) end
  family(lines, "complete", "gauge", "Whether nothing is missing.")(health.complete and 1 or 0)
  family(lines, "open_gaps", "gauge", "Gaps in the stream that nothing has closed yet.")(health.open_gaps)
  family(lines, "orders_left_out", "gauge", "Orders that found no room in the shared dictionary.")(state.left_out)
  family(lines, "events_too_large_total", "counter", "Events that were too large for it.")(state.too_large)
end

local function write_memory(lines, worker)
  local dict = worker.dict
  family(lines, "events_published_total", "counter", "Events that went into shared memory.")(worker.ring:head())
  family(lines, "takeovers_total", "counter", "Times that a worker took the stream.")(dict:get "takeovers" or 0)
  family(lines, "orders", "gauge", "Orders that are known.")(dict:get "orders" or 0)
  family(lines, "shared_memory_bytes", "gauge", "Size of the shared dictionary.")(dict:capacity())
  family(lines, "shared_memory_free_bytes", "gauge", "Bytes of its pages that are free.")(dict:free_space())
end

-- While nginx reloads there are two workers of a number: the newer one counts.
local function write_workers(lines, worker)
  local by_id = {}
  for _, report in ipairs(worker:reports()) do by_id[report.id] = report end
  for _, row in ipairs(OF_WORKERS) do
    local write = family(lines, row[2], row[3], row[4])
    for _, report in pairs(by_id) do
      if report[row[1]] then write(report[row[1]], "worker", report.id) end
    end
  end
end

--- The text of /metrics.
---@param worker sync.resty.Worker
---@return string
function exposition.of(worker)
  local lines = {}
  write_stream(lines, worker)
  write_memory(lines, worker)
  write_workers(lines, worker)
  return table.concat(lines, "\n") .. "\n"
end

return exposition
