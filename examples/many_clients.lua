-- Many clients, one loop: each table of a restaurant follows its own order, the server sends it nothing else.
--
--   lua5.4 examples/many_clients.lua [URL] [CLIENTS]
--
-- Every client has a connection of its own, and all run inside sync.run(). One client with one handler an order would
-- need one connection: see client:on_order. With ORDERSYNC_EVENTS=N in the environment it ends after N events.

local sync = require "sync"

local url, count = arg[1] or "http://127.0.0.1:8080", tonumber(arg[2]) or 20
local limit = tonumber(os.getenv "ORDERSYNC_EVENTS")
local clients, connected, received = {}, 0, 0

local function close_all()
  for _, client in ipairs(clients) do client:close() end
end

for number = 1, count do
  local client = assert(sync.connect { url = url, order_id = ("ORDER-%03d"):format(number) })
  clients[number] = client
  client:on_state(function(state)
    if state ~= "connected" then return end
    connected = connected + 1
    if connected == count then print(("%d clients connected"):format(count)) end
  end)
  client:subscribe(function(event)
    print(("table %d: %s"):format(number, event.type))
    received = received + 1
    if received == limit then close_all() end
  end)
end

sync.run() -- until every client is closed
