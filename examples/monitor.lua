-- A performance monitor: a line whenever the connection changes, and a report at each heartbeat of the server.
--
--   ordersync serve --simulate --heartbeat 1000     in one terminal
--   lua5.4 examples/monitor.lua [URL]               in another; by default http://127.0.0.1:8080
--
-- Health and metrics cost no I/O: ask as often as you like. With ORDERSYNC_EVENTS=N in the environment it ends after N
-- reports.

local sync = require "sync"

local limit = tonumber(os.getenv "ORDERSYNC_EVENTS")
local client = assert(sync.connect { url = arg[1] or "http://127.0.0.1:8080", reconnect_delay_ms = 200 })

-- {stage_change = 2, order_created = 1} to "order_created 1, stage_change 2"
local function listed(counts)
  local parts = {}
  for name, count in pairs(counts) do parts[#parts + 1] = name .. " " .. count end
  table.sort(parts)
  return table.concat(parts, ", ")
end

client:on_state(function(state, previous)
  local problem = client:health().error
  print(("%s, was %s%s"):format(state, previous, problem and (" (%s)"):format(problem.code) or ""))
end)

local reports
reports = client:on_event("heartbeat", function()
  local health, metrics = client:health(), client:metrics()
  print(("%s, %d reconnects; %s"):format(health.status, health.total_reconnects, listed(metrics.event_counts)))
  print(("  latency p50 %.1f ms, p99 %.1f ms; queue %d, at most %d"):format(
    health.latency_ms.p50, health.latency_ms.p99, metrics.queue_depth, metrics.queue_peak))
  print(("  %d bytes; duplicates %d, parse errors %d, handler errors %d"):format(
    metrics.total_bytes, metrics.duplicates, metrics.parse_errors, metrics.handler_errors))
  if reports.delivered == limit then client:close() end
end)

client:subscribe(function() end) -- a program's own work; what nobody wants is counted, and costs nothing else

sync.run()
