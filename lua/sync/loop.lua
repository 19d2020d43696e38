-- The loop that every client of this Lua state shares: steps, and the delivery of what they brought.

local core = require "sync.core"
local duration = require "sync.duration"

local loop = {}

-- How long one wait lasts at most. It would end with the first event anyway; but Ctrl-C in the lua
-- program sets a hook that only runs when Lua does.
local RUN_STEP_MS = 500

local engine = assert(core.loop())
local clients = {} -- address of the core's userdata -> client; strong: an open client lives until it is closed
local order = {}   -- open clients, oldest first
local stopped = false

--- Makes the core's client from its flat options.
---@param flat table
---@return userdata|nil core, string|nil message, string|nil code
function loop.new_client(flat)
  if engine:forked() then -- the parent's loop and clients are no use here
    engine, clients, order = assert(core.loop()), {}, {}
  end
  return engine:client(flat)
end

---@param client sync.Client
function loop.add(client)
  clients[core.address(client.core)] = client
  order[#order + 1] = client
end

---@param client sync.Client
function loop.remove(client)
  clients[core.address(client.core)] = nil
  for index, candidate in ipairs(order) do
    if candidate == client then table.remove(order, index) end
  end
end

--- The default client: the first that is still open.
---@return sync.Client|nil
function loop.first()
  return order[1]
end

-- Hands over what the clients have, each in turn, until nothing is left or the step's budget is spent. A client with a
-- handler under way, which has yielded or waits itself, is held until that is done: its events stay in order.
local function deliver()
  local address = engine:ready()
  while address do
    local client = clients[address]
    if client.busy then client:hold() else client:drain() end
    if engine:spent() then return end
    address = engine:ready()
  end
end

-- The core takes 0 for no bound.
local function microseconds(budget_ms)
  return budget_ms and math.floor(math.max(1, math.min(budget_ms, 1e6) * 1000)) or 0
end

--- Does what is due, waiting up to `timeout_ms` for something to do, and runs handlers. `budget_ms` bounds the time spent
--- on what arrives, handlers included; what is left over is done by the next step. A budget of 0 or less gets one thing
--- done.
---@param timeout_ms? integer milliseconds, default 0; less is 0
---@param budget_ms? number milliseconds, default no bound
---@return true|nil, string|nil message, string|nil code
function loop.step(timeout_ms, budget_ms)
  timeout_ms = duration.check("sync.step", "timeout_ms", timeout_ms, 0)
  duration.check("sync.step", "budget_ms", budget_ms)
  local ok, message, code = engine:step(timeout_ms, microseconds(budget_ms))
  if not ok and code ~= "CLOSED" then return nil, message, code end
  deliver()
  return true
end

--- Waits up to `timeout_ms` (nil: as long as it takes) for something to do, and runs handlers.
---@param timeout_ms? integer milliseconds
---@return true|nil, string|nil message, string|nil code
function loop.wait(timeout_ms)
  return loop.step(math.min(timeout_ms or RUN_STEP_MS, RUN_STEP_MS))
end

--- Steps until every client is closed, or loop.stop().
---@return true|nil, string|nil message, string|nil code
function loop.run()
  stopped = false
  while not stopped and order[1] do
    local ok, message, code = loop.wait()
    if not ok then return nil, message, code end
  end
  return true
end

--- Ends loop.run() after the handler under way; without effect on a run that has not begun.
function loop.stop()
  stopped = true
end

--- One descriptor to wait on: readable means, call loop.step(0).
---@return integer
function loop.fd()
  return engine:fd()
end

--- How long the loop may be left alone: 0 when something is ready, -1 when only the descriptor matters.
---@return integer milliseconds
function loop.timeout_ms()
  return engine:timeout_ms()
end

return loop
