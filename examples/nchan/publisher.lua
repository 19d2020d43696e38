-- From the order server to the hub: every order event becomes a POST, and no event is given up because a hub is away.
--
--   lua5.4 examples/nchan/publisher.lua [ORDER_SERVER [HUB ...]]
--
-- By default http://127.0.0.1:8080, http://127.0.0.1:9301 and http://127.0.0.1:9302. One publisher for all hubs: they
-- share one Redis, so any of them will do.
--
-- nchan does not say when a terminal has missed something, so the publisher numbers what it sends: each message begins
-- with `{"publisher":"1795377015.284713","number":17,`. By that a terminal sees what is missing, and what it has already.
-- The name of the publisher is when it was started, for its numbers begin at 1 again then.
--
-- With ORDERSYNC_EVENTS=N in the environment it ends after N events. Needs LuaSocket.

local http = require "socket.http"
local ltn12 = require "ltn12"
local socket = require "socket"
local sync = require "sync"

http.TIMEOUT = 5 -- seconds, for connecting and for each read

local FIRST_WAIT_S, LONGEST_WAIT_S = 0.05, 5

local last_number = tonumber(os.getenv "ORDERSYNC_EVENTS") -- nil: it goes on
local order_server = arg[1] or "http://127.0.0.1:8080"
local hubs = { (table.unpack or unpack)(arg, 2) }
if #hubs == 0 then hubs = { "http://127.0.0.1:9301", "http://127.0.0.1:9302" } end

local function post(hub, event, body)
  local _, status = http.request {
    url = hub .. "/publish", method = "POST",
    headers = {
      ["Content-Length"] = #body, ["Content-Type"] = "application/json",
      ["X-EventSource-Event"] = event.type, -- becomes the `event:` line
    },
    source = ltn12.source.string(body),
  }
  return status
end

-- 201: terminals listen; 202: none does. 503 is a hub that has lost its Redis, a text a hub that cannot be reached: both
-- pass. Anything else is a mistake in the configuration, which waiting does not mend.
local function may_pass(status)
  return type(status) ~= "number" or status >= 500
end

-- Posts until a hub has taken it. The stream waits meanwhile: TCP holds back what comes. A message whose answer was lost
-- is sent again under the same number.
local function publish(event, body)
  local wait_s = FIRST_WAIT_S
  while true do
    for _, hub in ipairs(hubs) do
      local status = post(hub, event, body)
      if status == 201 or status == 202 then return end
      assert(may_pass(status), ("%s answered %s"):format(hub, status))
      io.stderr:write(("%s: %s\n"):format(hub, status))
    end
    socket.sleep(wait_s * (0.5 + math.random() / 2))
    wait_s = math.min(2 * wait_s, LONGEST_WAIT_S)
  end
end

-- With a snapshot a gap in the order server's own stream is closed, too: what was missed comes as backfill.
local client = assert(sync.connect { url = order_server, polling = { url = "/api/v1/orders" } })
local publisher, number = ("%.6f"):format(socket.gettime()), 0

for event in client:stream() do
  number = number + 1
  publish(event, ('{"publisher":"%s","number":%d,%s'):format(publisher, number, event.raw:match "^%s*{(.*)$"))
  if number == last_number then client:close() end
end
