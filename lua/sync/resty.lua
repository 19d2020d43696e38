-- ordersync in nginx: require "sync.resty", on LuaJIT in nginx's Lua module. One event stream for all workers, held
-- by one of them; every worker's handlers get every event, through memory that they share; browsers get them as an
-- event stream.
--
--   lua_shared_dict ordersync 10m;
--   init_worker_by_lua_block {
--     local resty = require "sync.resty"
--     assert(resty.init_worker { dict = "ordersync", url = "http://127.0.0.1:8080" })
--     resty.on_stage_change("*", function(event, previous, new) ... end)
--   }
--
-- docs/openresty.md has the rest. Who does what: resty/worker.lua.

local audience = require "sync.resty.audience"
local browsers = require "sync.resty.browsers"
local options = require "sync.options"
local pages = require "sync.resty.pages"
local suggest = require "sync.suggest"
local worker = require "sync.resty.worker"

---@class sync.resty
local resty = {}

local REPLAY_LIMIT, LEASE_MS = 1000, 3000

-- Where even a small ring has room.
local LEAST_CAPACITY = 65536

-- Shorter leases would lapse in workers that are merely busy.
local LEAST_LEASE_MS = 300

local listeners = audience.new() -- of this worker: handlers may be there before it begins
local this_worker

-- ---- beginning -----------------------------------------------------------------------------------------------------

local OWN = { "dict", "lease_ms", "replay_limit" }

-- What needs a journal, or handlers of the client's: here it has none, they are the workers'.
local NOT_HERE = { "ack", "dead_letter_limit", "persistence", "retry" }

local function misuse(text, ...)
  error(("sync.resty.init_worker: " .. text):format(...), 3)
end

local function is_integer(value, least)
  return type(value) == "number" and value == math.floor(value) and value >= least and value < math.huge
end

local function check_integer(name, value, least, default)
  if value == nil then return default end
  if not is_integer(value, least) then
    misuse("%s: expected an integer, %d or more, got %s", name, least, tostring(value))
  end
  return value
end

local function check_capacity(name, dict)
  if dict:capacity() >= LEAST_CAPACITY then return dict end
  misuse("dict: lua_shared_dict '%s' has %d bytes: %d is the least", name, dict:capacity(), LEAST_CAPACITY)
end

local function check_dict(name)
  if type(name) ~= "string" then misuse("dict: expected the name of a lua_shared_dict, got a %s", type(name)) end
  local dict = ngx.shared[name]
  if dict then return check_capacity(name, dict) end
  local names = {}
  for known in pairs(ngx.shared) do names[#names + 1] = known end
  misuse("dict: nginx has no lua_shared_dict '%s'%s", name, suggest.hint(name, names))
end

-- Ours apart; the rest is for sync.connect, and checked as there.
local function check(given)
  if type(given) ~= "table" then misuse("expected a table of options, got a %s", type(given)) end
  local rest = {}
  for name, value in pairs(given) do rest[name] = value end
  for _, name in ipairs(OWN) do rest[name] = nil end
  for _, name in ipairs(NOT_HERE) do
    if rest[name] then
      misuse("%s: not in nginx, where the events are in shared memory and the handlers in all workers", name)
    end
  end
  local ok, complete = pcall(options.check, rest)
  if not ok then misuse("%s", complete) end
  return {
    dict = check_dict(given.dict), given = complete,
    replay_limit = check_integer("replay_limit", given.replay_limit, 1, REPLAY_LIMIT),
    lease_ms = check_integer("lease_ms", given.lease_ms, LEAST_LEASE_MS, LEASE_MS),
  }
end

--- Begins, in init_worker_by_lua. Takes the options of sync.connect, and `dict`, the name of a lua_shared_dict of our
--- own; `replay_limit`, the events that are kept for who comes back (1000); `lease_ms`, within which another worker
--- goes on when the one that holds the stream dies (3000).
---@param given table
---@return true|nil, string|nil message, string|nil code
function resty.init_worker(given)
  local config = check(given)
  if this_worker then misuse("called again: nginx has one stream") end
  if not ngx.worker.id() then return true end -- a process that serves nobody: the privileged agent
  local made, message, code = worker.start(config, listeners)
  if not made then return nil, message, code end
  this_worker = made
  return true
end

local function started(method)
  return this_worker or error(("sync.resty.%s: call init_worker in init_worker_by_lua first"):format(method), 3)
end

-- ---- handlers ------------------------------------------------------------------------------------------------------

-- The methods of sync.Client, for the events of this nginx: see lua/sync/client/handlers.lua.
for _, name in ipairs { "subscribe", "on_order", "on_event", "on_stage_change" } do
  resty[name] = function(...) return listeners[name](listeners, ...) end
end

-- ---- asking --------------------------------------------------------------------------------------------------------

--- How the stream is, whichever worker holds it: the fields of client:health(), and `holder`, that worker's pid. No
--- I/O.
---@return table
function resty.health()
  return started("health"):health()
end

--- The latest known state of an order, as client:order() has it. No I/O.
---@param order_id string
---@return table|nil
function resty.order(order_id)
  return started("order").book:order(order_id)
end

--- The orders that a filter means, as client:orders() has them. No I/O.
---@param filter? table
---@return table[]
function resty.orders(filter)
  return started("orders").book:orders(filter)
end

-- ---- serving -------------------------------------------------------------------------------------------------------

local function is_duration(value) return is_integer(value, 1) end

local SERVING = {
  health_ms = { "an integer, 1 or more", is_duration },
  heartbeat_ms = { "an integer, 1 or more", is_duration },
  retry_ms = { "an integer, 1 or more", is_duration },
  where = { "a function", function(value) return type(value) == "function" end },
}

local function check_serving(given)
  for name, value in pairs(given) do
    local expected = SERVING[name]
    if not (expected and expected[2](value)) then
      local problem = expected and "expected " .. expected[1] or "unknown option"
      error(("sync.resty.serve_events: %s: %s"):format(tostring(name), problem), 3)
    end
  end
  if ngx.is_subrequest then error("sync.resty.serve_events: not in a subrequest: it has no end", 3) end
  return given
end

--- content_by_lua: the events as an event stream for browsers. `heartbeat_ms`: a comment after so much silence (15000);
--- `health_ms`: the health at least so often, for pages, which see no comments (only when it changes); `retry_ms`: when a
--- browser comes back, more or less (1000); `where`: a function of the event, true: this browser may see it. The browser
--- filters by ?orderID= and ?eventTypes=.
---@param given? {heartbeat_ms?: integer, health_ms?: integer, retry_ms?: integer, where?: fun(event: sync.Event): boolean}
function resty.serve_events(given)
  return browsers.serve(started "serve_events", check_serving(given or {}))
end

--- content_by_lua: {"docs":[...]}, the orders, the most recently changed first. The header Last-Event-ID says what
--- serve_events goes on behind: `?lastEventId=` with it, and no event is missed.
function resty.serve_orders()
  return pages.serve_orders(started "serve_orders")
end

--- content_by_lua: the health as JSON; 200, or 503 when what is shown may be old.
function resty.serve_health()
  return pages.serve_health(started "serve_health")
end

--- content_by_lua: counters in Prometheus' text format.
function resty.serve_metrics()
  return pages.serve_metrics(started "serve_metrics")
end

return resty
