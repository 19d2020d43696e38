-- A screen for one order: drawn anew at each of its events. When the order is paid it is handed over, and the screen
-- says so at once, before the server has heard of it; should the server refuse, the screen takes it back.
--
--   ordersync serve --simulate 1                       in one terminal
--   lua5.4 examples/order_screen.lua [URL [ORDER]]     in another; by default http://127.0.0.1:8080 ORDER-001
--
-- With ORDERSYNC_EVENTS=N in the environment it ends after N events.

local sync = require "sync"
local http = require "socket.http"

local base, order_id = arg[1] or "http://127.0.0.1:8080", arg[2] or "ORDER-001"
local limit = tonumber(os.getenv "ORDERSYNC_EVENTS")
local client = assert(sync.connect { url = base, order_id = order_id, polling = { url = "/api/v1/orders" } })

local function draw()
  local order = client:order(order_id)
  if not order then return print(order_id .. ": gone") end
  local note = order.optimistic and " ..." or "" -- the server has not confirmed it
  print(("%s: %s, %s%s"):format(order_id, order.orderStage or "?", order.overallStatus or "?", note))
end

-- A real screen would not wait for the answer here: handlers may yield.
local function tell_server(status)
  local body = ('{"eventType":"status_update","data":{"newStatus":"%s"}}'):format(status)
  local _, answer = http.request(base .. "/api/v1/orders/" .. order_id .. "/events", body)
  return answer == 201, answer
end

local function hand_over()
  local promise = assert(client:optimistic(order_id, { overallStatus = "picked_up" }))
  draw()
  local accepted, answer = tell_server "picked_up"
  if accepted then return promise:commit() end -- shown until the stream confirms it
  promise:rollback()
  io.stderr:write("not handed over: ", tostring(answer), "\n")
  draw()
end

client:on_poll(draw) -- what the server knew before this program
local events = client:on_order(order_id, draw)
client:on_stage_change(order_id, hand_over, { to = "paid" })
client:subscribe(function()
  if events.delivered == limit then client:close() end
end)

sync.run()
