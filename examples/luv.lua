-- Inside luv's loop: one call attaches the module, and the program's own timers, sockets and files live on the same loop. A
-- handler may wait for any of them; its client's next event waits with it, the loop does not.
--
--   lua5.4 examples/luv.lua [URL]
--
-- With ORDERSYNC_EVENTS=N in the environment it ends after N events.

local sync = require "sync"
local uv = require "luv"

local limit = tonumber(os.getenv "ORDERSYNC_EVENTS")
local client = assert(sync.connect(arg[1] or "http://127.0.0.1:8080"))
require("sync.luv").attach()

local ticks = 0
local clock = uv.new_timer()
uv.timer_start(clock, 0, 10, function() ticks = ticks + 1 end)

-- A wait, as luv has it: whoever is to go on is resumed by a callback.
local function sleep(delay_ms)
  local thread, timer = coroutine.running(), uv.new_timer()
  uv.timer_start(timer, delay_ms, 0, function()
    uv.close(timer)
    assert(coroutine.resume(thread))
  end)
  coroutine.yield()
end

local all
all = client:subscribe(function(event)
  print(event.type, event.order_id)
  sleep(30) -- a printer that takes its time
  print("printed", event.order_id)
  if all.delivered < (limit or math.huge) then return end
  client:close()
  uv.close(clock)
end)

uv.run() -- until nothing is left on the loop: with its last client closed, the module is not
print(("%d events, and the loop's own timer ran %s"):format(all.delivered, ticks > 1 and "too" or "not at all"))
