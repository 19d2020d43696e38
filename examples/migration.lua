-- From polling to streaming without touching the handlers: the function that fetched the orders stays, and a switch says
-- whether the stream is used. Here the switch is turned after the first change that polling brings.
--
--   ordersync serve --simulate                              in one terminal
--   lua5.4 examples/migration.lua [URL]                     in another; by default http://127.0.0.1:8080
--   SYNC_MODE=poll lua5.4 examples/migration.lua [URL]      the way back: whatever the program says, it polls
--
-- With ORDERSYNC_EVENTS=N in the environment it ends after N events.

local sync = require "sync"
local http = require "socket.http"

local base = arg[1] or "http://127.0.0.1:8080"
local limit = tonumber(os.getenv "ORDERSYNC_EVENTS")
local switch = "poll" -- in a shop: a setting that somebody changes

-- As it was before the migration. JSON text or a table of orders; or nil and why not.
local function fetch_orders()
  local body, status = http.request(base .. "/api/v1/orders")
  if status ~= 200 then return nil, "orders: " .. tostring(status) end
  return body
end

local client = assert(sync.connect {
  url = base,
  mode = function() return switch end,
  polling = { fetch = fetch_orders, interval_ms = 500 },
})

local function turn_switch(mode)
  switch = mode
  assert(client:configure {}) -- asks the function again; subscriptions stay
end

client:on_state(function(state) print("now " .. state) end)

local changes
changes = client:on_stage_change("*", function(event, previous, new)
  print(("%s: %s -> %s, by %s"):format(event.order_id, previous, new, event.source))
  if changes.delivered == limit then return client:close() end
  if switch == "poll" then turn_switch "auto" end
end)

sync.run()
