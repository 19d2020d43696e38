-- A dashboard: the largest open orders, drawn once per burst of events, however many they are.
--
--   ordersync serve --simulate 20 --interval 50     in one terminal
--   lua5.4 examples/dashboard.lua [URL]             in another; by default http://127.0.0.1:8080
--
-- With ORDERSYNC_EVENTS=N in the environment it ends after N drawings.

local sync = require "sync"

local ROWS = 3

local limit = tonumber(os.getenv "ORDERSYNC_EVENTS")
local client = assert(sync.connect {
  url = arg[1] or "http://127.0.0.1:8080",
  polling = { url = "/api/v1/orders" }, -- what was there before this program; also when the stream fails
})
local drawings = 0

local function draw_row(order)
  print(("%-10s %-10s %8.2f%s"):format(order.orderID, order.orderStage, order.totalAmount / 100, order.stale and " ?" or ""))
end

-- The rows come from the order book: no request is made.
local function draw()
  local open = client:orders { stage = { "initiated", "open", "billed" }, sort = "-totalAmount" }
  print(("--- %d open orders"):format(#open))
  for row = 1, math.min(#open, ROWS) do draw_row(open[row]) end
  drawings = drawings + 1
  if drawings == limit then client:close() end
end

client:on_dashboard(draw, { debounce_ms = 250 }) -- at once, then when it has been quiet so long; at most five times that

sync.run()
