-- The first script: one line for every order that moves to another stage.
--
--   ordersync serve --simulate            in one terminal
--   lua5.4 examples/first.lua             in another; [URL], by default http://127.0.0.1:8080
--
-- Stop the server and start it again: the script says what happened, waits, and goes on.
-- With ORDERSYNC_EVENTS=N in the environment it ends after N events.

local sync = require "sync"

local limit = tonumber(os.getenv "ORDERSYNC_EVENTS")
local client = assert(sync.connect(arg[1] or "http://127.0.0.1:8080"))

local moves = client:on_stage_change("*", function(event, previous, new)
  print(("%s: %s -> %s"):format(event.order_id, previous, new))
end)

client:on_error(function(problem)
  print(("%s: %s (%s)"):format(problem.code, problem.message, problem.hint))
end)

client:subscribe(function()
  if moves.delivered == limit then client:close() end
end)

sync.run()
