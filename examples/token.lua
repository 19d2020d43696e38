-- A token that expires: a function, asked afresh before every connect, so that a reconnect never sends an old one.
--
--   lua5.4 examples/token.lua [URL]
--
-- The function may raise or give something else than a string: that attempt fails with CREDENTIALS, and the next one
-- asks again. The token itself appears in no message. With ORDERSYNC_EVENTS=N in the environment it ends after N events.

local sync = require "sync"

local limit = tonumber(os.getenv "ORDERSYNC_EVENTS")
local issued = 0

-- Stands for a call to whoever issues tokens.
local function issue_token()
  issued = issued + 1
  return "secret-" .. issued
end

local client = assert(sync.connect {
  url = arg[1] or "http://127.0.0.1:8080",
  token = issue_token, -- sent as "Authorization: Bearer ..."
  reconnect_delay_ms = 100,
})

client:on_state(function(state)
  if state == "connected" then print(("connected with token %d"):format(issued)) end
end)

local all
all = client:subscribe(function(event)
  print(event.type, event.order_id)
  if all.delivered == limit then client:close() end
end)

sync.run()
