-- Inside a controller of cqueues: one call attaches the module, and handlers are threads like any other: they may sleep,
-- wait for a condition, talk to a socket. Their client's next event waits with them, the controller does not.
--
--   lua5.4 examples/cqueues.lua [URL]
--
-- With ORDERSYNC_EVENTS=N in the environment it ends after N events.

local cqueues = require "cqueues"
local sync = require "sync"

local limit = tonumber(os.getenv "ORDERSYNC_EVENTS")
local client = assert(sync.connect(arg[1] or "http://127.0.0.1:8080"))
local cq = cqueues.new()
require("sync.cqueues").attach(cq)

local ticks = 0
cq:wrap(function()
  while client:health().state ~= "closed" do
    ticks = ticks + 1
    cqueues.sleep(0.01)
  end
end)

local all
all = client:subscribe(function(event)
  print(event.type, event.order_id)
  cqueues.sleep(0.03) -- a printer that takes its time
  print("printed", event.order_id)
  if all.delivered == limit then client:close() end
end)

assert(cq:loop()) -- until no thread is left: with its last client closed, the module has none
print(("%d events, and the controller's own thread ran %s"):format(all.delivered, ticks > 1 and "too" or "not at all"))
