-- From the order server to the hub: every order event becomes a POST, and no event is given up because a hub is away.
--
--   lua5.4 examples/nchan/publisher.lua [ORDER_SERVER [HUB ...]]
--
-- By default http://127.0.0.1:8080, http://127.0.0.1:9301 and http://127.0.0.1:9302. One publisher for all hubs: they
-- share one Redis, so any of them will do.
--
-- nchan does not say when a terminal has missed something, so the publisher sees to it that terminals can tell: each
-- message begins with the id that nchan gave to the one before, `{"previous":"1795377015:0", ...`. Empty: what came
-- before is not known, for the publisher has just started.
--
-- With ORDERSYNC_EVENTS=N in the environment it ends after N events. Needs LuaSocket.

local http = require "socket.http"
local ltn12 = require "ltn12"
local socket = require "socket"
local sync = require "sync"

http.TIMEOUT = 5 -- seconds, for connecting and for each read

local FIRST_WAIT_S, LONGEST_WAIT_S = 0.05, 5

local left = tonumber(os.getenv "ORDERSYNC_EVENTS") or math.huge
local order_server = arg[1] or "http://127.0.0.1:8080"
local hubs = { (table.unpack or unpack)(arg, 2) }
if #hubs == 0 then hubs = { "http://127.0.0.1:9301", "http://127.0.0.1:9302" } end

local function post(hub, event, body)
  local answer = {}
  local _, status = http.request {
    url = hub .. "/publish", method = "POST",
    headers = {
      ["Content-Length"] = #body, ["Content-Type"] = "application/json",
      ["X-EventSource-Event"] = event.type, -- becomes the `event:` line
      Accept = "text/json",                 -- the channel's state as JSON, with the id of this message
    },
    source = ltn12.source.string(body), sink = ltn12.sink.table(answer),
  }
  return status, table.concat(answer)
end

-- 201: terminals listen; 202: none does. 503 is a hub that has lost its Redis, a text a hub that cannot be reached: both
-- pass. Anything else is a mistake in the configuration, which waiting does not mend.
local function may_pass(status)
  return type(status) ~= "number" or status >= 500
end

-- Posts until a hub has taken it, and gives the message's id. The stream waits meanwhile: TCP holds back what comes.
-- A message whose answer was lost is sent again and so comes twice, with the same `previous`: terminals drop the second.
local function publish(event, body)
  local wait_s = FIRST_WAIT_S
  while true do
    for _, hub in ipairs(hubs) do
      local status, answer = post(hub, event, body)
      if status == 201 or status == 202 then return assert(answer:match '"last_message_id": "([^"]+)"', answer) end
      assert(may_pass(status), ("%s answered %s: %s"):format(hub, status, answer))
      io.stderr:write(("%s: %s\n"):format(hub, status))
    end
    socket.sleep(wait_s * (0.5 + math.random() / 2))
    wait_s = math.min(2 * wait_s, LONGEST_WAIT_S)
  end
end

-- With a snapshot a gap in the order server's own stream is closed, too: what was missed comes as backfill.
local client = assert(sync.connect { url = order_server, polling = { url = "/api/v1/orders" } })
local previous = ""

for event in client:stream() do
  previous = publish(event, ('{"previous":"%s",%s'):format(previous, event.raw:match "^%s*{(.*)$"))
  left = left - 1
  if left == 0 then client:close() end
end
