-- Inside copas: one call attaches the module, and handlers are threads of copas': what waits there, waits in them. This one
-- sends each order to a printer on the network and waits for its answer; that printer is played by a server of this program.
--
--   lua5.4 examples/copas.lua [URL]
--
-- With ORDERSYNC_EVENTS=N in the environment it ends after N events.

local copas = require "copas"
local socket = require "socket"
local sync = require "sync"

local limit = tonumber(os.getenv "ORDERSYNC_EVENTS")
local client = assert(sync.connect(arg[1] or "http://127.0.0.1:8080"))
require("sync.copas").attach()

local listening = assert(socket.bind("127.0.0.1", 0))
local printer_ip, printer_port = listening:getsockname()
copas.addserver(listening, function(connection)
  copas.send(connection, "printed\t" .. copas.receive(connection) .. "\n")
end)

local function print_ticket(text)
  local connection = socket.tcp()
  assert(copas.connect(connection, printer_ip, printer_port))
  copas.send(connection, text .. "\n")
  local answer = copas.receive(connection)
  connection:close()
  return answer
end

local all
all = client:subscribe(function(event)
  print(event.type, event.order_id)
  print(print_ticket(event.order_id))
  if all.delivered == limit then client:close() end
end)

repeat copas.step() until client:health().state == "closed" -- copas.loop() would go on: it has a server
print(all.delivered .. " events")
