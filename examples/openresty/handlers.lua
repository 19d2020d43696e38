-- What the workers of the order board do with orders: each of them gets every event, whichever holds the stream, and
-- can be asked for any order.

local resty = require "sync.resty"

local handlers = {}

-- A board that is looked at comes back soon: attempts do not drift apart further than this.
local RETRY_MOST_MS = 3000

-- One line for each step of an order. One worker's log is enough.
local function log_stages()
  if ngx.worker.id() ~= 0 then return end
  resty.on_stage_change("*", function(event, previous, new)
    ngx.log(ngx.NOTICE, event.order_id, ": ", previous or "?", " -> ", new)
  end)
end

--- In init_worker_by_lua.
---@param url string of the order server
function handlers.begin(url)
  assert(resty.init_worker {
    dict = "ordersync", url = url, polling = { url = "/api/v1/orders" },
    max_reconnect_delay_ms = RETRY_MOST_MS, stream_retry_interval_ms = RETRY_MOST_MS,
  })
  log_stages()
end

--- In content_by_lua: where an order is, as a line of text for scripts; 404 for one that is not known.
---@param order_id string
function handlers.serve_stage(order_id)
  local order = resty.order(order_id)
  if not order then return ngx.exit(ngx.HTTP_NOT_FOUND) end
  ngx.header["Content-Type"] = "text/plain; charset=utf-8"
  ngx.say(order.orderStage, order.stale and " (may be old)" or "")
end

return handlers
