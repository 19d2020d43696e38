-- The pull style: a loop that asks for the next event, in place of handlers.
--
--   lua5.4 examples/pull.lua [URL]
--
-- With ORDERSYNC_EVENTS=N in the environment it ends after N events.

local sync = require "sync"

local left = tonumber(os.getenv "ORDERSYNC_EVENTS") or math.huge
local client = assert(sync.connect(arg[1] or "http://127.0.0.1:8080"))

local function show(label, event)
  print(label, event.type, event.order_id)
  left = left - 1
  if left == 0 then client:close() end
end

-- Nothing in time is no error: nil, "TIMEOUT: ...", "TIMEOUT". Room for something else to do.
local first, message, code = client:next(60000)
while code == "TIMEOUT" do
  print "a quiet minute"
  first, message, code = client:next(60000)
end
show("first", assert(first, message))

for event in client:stream() do show("then", event) end -- until the client is closed
