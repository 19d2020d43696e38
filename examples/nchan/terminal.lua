-- A terminal of the hub: every stage change, through the loss of either hub, and a snapshot when something was missed.
--
--   lua5.4 examples/nchan/terminal.lua [SNAPSHOT_URL [HUB ...]]
--
-- By default the orders of http://127.0.0.1:9301, and the hubs there and at http://127.0.0.1:9302. The first hub is the one
-- to use, so give them to every other terminal the other way round.
--
-- Messages are numbered (publisher.lua). When a number was left out, the hub's buffer was too short for the outage, or was
-- lost. Then a snapshot is asked for, and what it changes comes as events, too, with the source "poll". So it is for the
-- first message, for what came shortly before it.
--
-- With ORDERSYNC_EVENTS=N in the environment it ends after N stage changes.

local sync = require "sync"

local left = tonumber(os.getenv "ORDERSYNC_EVENTS") or math.huge
local hubs = { (table.unpack or unpack)(arg, 2) }
if #hubs == 0 then hubs = { "http://127.0.0.1:9301", "http://127.0.0.1:9302" } end

local snapshots = arg[1] or "http://127.0.0.1:9301/api/v1/orders"

-- The snapshot is asked for when the stream opens, after each gap, and at the interval while no hub serves.
local client = assert(sync.connect { url = hubs, polling = { url = snapshots } })

-- One snapshot now.
local function ask_for_snapshot()
  client:start_polling() -- asks at once
  client:stop_polling()  -- and not again at the interval
  client:connect()       -- but as ever when no hub serves
end

local last = {} -- of the stream: `publisher` and `number` of the latest message

-- Whether it is news: a message whose POST was not answered may come twice.
local function is_news(event)
  local publisher, digits = event.raw:match '^{"publisher":"([^"]+)","number":(%d+)'
  if not publisher then return true end -- somebody else sent it
  local number, next_number = tonumber(digits), publisher == last.publisher and last.number + 1
  if next_number and number < next_number then return false end
  if number ~= next_number then
    if last.number then print "something was missed: asking for a snapshot" end -- else it is the first
    ask_for_snapshot()
  end
  last = { publisher = publisher, number = number }
  return true
end

client:subscribe(function(event)
  if event.source == "stream" and not is_news(event) then return end
  if not event.new_stage then return end -- it is about something else than a stage
  print(("%s: %s (%s)"):format(event.order_id, event.new_stage, event.source))
  left = left - 1
  if left == 0 then client:close() end
end)

-- The first snapshot brings no events: it is what the others are compared with.
client:on_poll(function(report) print(("snapshot: %d orders new or changed"):format(report.changed)) end)
client:on_error(function(problem) io.stderr:write(problem.code, ": ", problem.message, "\n") end)
client:on_state(function(state) if state == "connected" then print "connected" end end)

sync.run()
