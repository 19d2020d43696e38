-- A kitchen's printer: a ticket for each new order, a receipt for each one that is paid.
--
--   lua5.4 examples/kitchen.lua [URL]
--
-- With ORDERSYNC_EVENTS=N in the environment it ends after N tickets and receipts.

local sync = require "sync"

local limit = tonumber(os.getenv "ORDERSYNC_EVENTS")
local client = assert(sync.connect {
  url = arg[1] or "http://127.0.0.1:8080",
  event_types = { "order_created", "stage_change" }, -- the server sends nothing else
  reconnect_delay_ms = 200, -- cooks do not wait
})
local printed = 0

local function print_slip(...)
  print(("+--- %s\n|    %s\n+---"):format(...))
  printed = printed + 1
  if printed == limit then client:close() end
end

local function cents(amount)
  return ("%d.%02d"):format(math.floor(amount / 100), amount % 100)
end

client:on_event("order_created", function(event)
  print_slip("TICKET " .. event.order_id, "to cook, " .. cents(event.data.order.totalAmount))
end)

client:on_stage_change("*", function(event, _, new)
  if new == "paid" then print_slip("RECEIPT " .. event.order_id, "paid, thank you") end
end)

-- Paper is for orders; what goes wrong is for whoever looks at the terminal.
client:on_error(function(problem) io.stderr:write(problem.code, ": ", problem.message, "\n") end)

sync.run()
