-- Inside another loop: luv's. The module's one descriptor is watched, and each time it is readable, handlers run; timers,
-- sockets and files of the program's own live on the same loop. Any loop that can watch a descriptor will do.
--
--   lua5.4 examples/luv.lua [URL]
--
-- With ORDERSYNC_EVENTS=N in the environment it ends after N events.

local sync = require "sync"
local uv = require "luv"

local limit = tonumber(os.getenv "ORDERSYNC_EVENTS")
local client = assert(sync.connect(arg[1] or "http://127.0.0.1:8080"))

-- A step without a budget leaves nothing behind. On Linux the module's timers show through the descriptor as well.
local poll = uv.new_poll(sync.fd())
uv.poll_start(poll, "r", function(message)
  assert(not message, message)
  assert(sync.step(0))
end)

local ticks = 0
local clock = uv.new_timer()
uv.timer_start(clock, 0, 10, function() ticks = ticks + 1 end)

local function finish()
  client:close()
  uv.close(poll)
  uv.close(clock)
end

local all
all = client:subscribe(function(event)
  print(event.type, event.order_id)
  if all.delivered == limit then finish() end
end)

uv.run()
print(("%d events, and the loop's own timer ran %s"):format(all.delivered, ticks > 0 and "too" or "not at all"))
