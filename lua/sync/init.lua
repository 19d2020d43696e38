-- ordersync: require "sync". Keeps a Lua program's picture of a business's orders true, live. See the README.
--
-- Nothing is printed, no global is set, no signal is touched.

local client = require "sync.client"
local core = require "sync.core"
local main = require "sync.loop".main
local options = require "sync.options"
local stages = require "sync.stages"

---@class sync
local sync = {
  _VERSION = "ordersync " .. core.version,
  null = core.null, -- JSON null: the light userdata NULL, equal to cjson.null and ngx.null
  codes = core.codes, -- name -> {text =, hint =, class =, retryable =}
  stages = stages.default, -- the life of an order as the existing server knows it; the option `stages` declares another
}

-- The loop, without its self.
for _, name in ipairs { "run", "stop", "step", "fd", "timeout_ms" } do
  sync[name] = function(...) return main[name](main, ...) end
end

--- Opens an event stream. The first open client is the default one.
---@param given table|string options, or just the url
---@return sync.Client|nil, string|nil message, string|nil code
function sync.connect(given)
  local ok, complete = pcall(options.check, given)
  if not ok then error(complete, 2) end
  return client.new(complete, main)
end

-- Methods of the default client, as functions.
local METHODS = {
  "subscribe", "on_order", "on_event", "on_stage_change", "on_state", "on_health", "on_error", "on_comment", "health",
  "metrics", "events", "latest", "order", "orders", "optimistic", "on_poll", "start_polling", "stop_polling",
  "gaps", "on_gap", "give_up_gap",
  "auto_refresh", "on_dashboard", "ack", "ack_all", "unacknowledged", "once", "dead_letters",
  "redeliver", "forget", "on_violation", "on_overdue", "drift",
  "ready_to_switch", "reconnect", "network_changed", "disconnect", "configure", "next", "stream", "close",
}

for _, name in ipairs(METHODS) do
  sync[name] = function(...)
    local default = main:first()
    if not default then error(("sync.%s: no client is open: call sync.connect first"):format(name), 2) end
    return default[name](default, ...)
  end
end

return sync
