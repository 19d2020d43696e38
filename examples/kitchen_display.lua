-- A kitchen's display: each order that is to be cooked, once, whatever becomes of the network and the server.
--
--   ordersync serve --simulate --no-ids           in one terminal: a server that cannot send again what was missed
--   lua5.4 examples/kitchen_display.lua [URL]     in another; by default http://127.0.0.1:8080
--
-- Stop the server for a while: what is created in the meantime is found in the snapshot, and shown like the rest.
-- With ORDERSYNC_EVENTS=N in the environment it ends after N orders.

local sync = require "sync"

local limit = tonumber(os.getenv "ORDERSYNC_EVENTS")
local client = assert(sync.connect {
  url = arg[1] or "http://127.0.0.1:8080",
  polling = { url = "/api/v1/orders" }, -- the snapshot: fetched at the start, and after every gap
  reconnect_delay_ms = 200,
})

local shown, count = {}, 0

local function show(order)
  if shown[order.orderID] then return end
  shown[order.orderID] = true
  count = count + 1
  print(("%d. %s, %.2f (%s)"):format(count, order.orderID, order.totalAmount / 100, order.source))
  if count == limit then client:close() end
end

client:on_event("order_created", function(event)
  local order = client:order(event.order_id)
  if order then show(order) end -- none: it was deleted before its turn came
end)

client:on_event("order_deleted", function(event) shown[event.order_id] = nil end)

-- The first snapshot fills the order book and is no news, so what was there before is looked up.
client:on_poll(function()
  for _, order in ipairs(client:orders { status = { "pending", "in_progress" }, sort = "createdAt" }) do show(order) end
end)

sync.run()
