-- The loop that clients share: steps, the delivery of what they brought, and what is due later. A program has one; a test
-- of its own has others (sync.testing), of which nobody else's clients are part.

local core = require "sync.core"
local duration = require "sync.duration"
local timers = require "sync.timers"

-- How long one wait lasts at most. It would end with the first event anyway; but Ctrl-C in the lua
-- program sets a hook that only runs when Lua does.
local RUN_STEP_MS = 500

---@class sync.Loop
---@field engine userdata the core's loop
---@field clients table<lightuserdata, sync.Client> by the address of the core's client; strong: an open client lives
---@field order sync.Client[] open clients, oldest first
---@field timers sync.Timers
---@field stopped boolean
---@field is_spent fun(): boolean whether the step's budget is; made once, for an idle step is to cost nothing
---@field attachment sync.Attachment|nil what steps it for a loop of the host's
local Loop = {}
Loop.__index = Loop

local function begin(self, engine)
  self.engine, self.clients, self.order, self.attachment = engine, {}, {}, nil
  self.is_spent = function() return engine:spent() end
  self.timers = timers.new {
    now = function() return engine:clock_ms() end,
    arm = function(at_ms) engine:alarm(at_ms) end,
    on_failure = function(message) self:tell_failure(message) end,
  }
end

--- Makes the core's client from its flat options.
---@param flat table
---@return userdata|nil core, string|nil message, string|nil code
function Loop:new_client(flat)
  if self.engine:forked() then begin(self, assert(core.loop())) end -- the parent's loop and clients are no use here
  return self.engine:client(flat)
end

---@param client sync.Client
function Loop:add(client)
  self.clients[core.address(client.core)] = client
  self.order[#self.order + 1] = client
  if self.attachment then self.attachment:follow() end
end

---@param client sync.Client
function Loop:remove(client)
  self.clients[core.address(client.core)] = nil
  for index, candidate in ipairs(self.order) do
    if candidate == client then table.remove(self.order, index) end
  end
  if self.attachment then self.attachment:follow() end
end

--- The default client: the first that is still open.
---@return sync.Client|nil
function Loop:first()
  return self.order[1]
end

-- A timer's function that fails has no client of its own to tell: each open one tells its error handlers.
function Loop:tell_failure(message)
  local open = {}
  for index, client in ipairs(self.order) do open[index] = client end
  for _, client in ipairs(open) do client:tell_handler_error(message) end
end

-- Hands over what the clients have, each in turn, until nothing is left or the step's budget is spent. A client with a
-- handler under way, which has yielded or waits itself, is held until that is done: its events stay in order.
--
-- The engine sets the descriptor right when all is handed over. A handler that yields comes back later or never, so where
-- one may, the descriptor is set right beforehand: for the other clients' events, and for a stream that the budget paused.
local function deliver(self)
  local engine = self.engine
  local address = engine:ready()
  if address and coroutine.isyieldable() then engine:timeout_ms() end
  while address do
    local client = self.clients[address]
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
function Loop:step(timeout_ms, budget_ms)
  timeout_ms = duration.check("sync.step", "timeout_ms", timeout_ms, 0)
  duration.check("sync.step", "budget_ms", budget_ms)
  local ok, message, code = self.engine:step(timeout_ms, microseconds(budget_ms))
  if not ok and code ~= "CLOSED" then return nil, message, code end
  deliver(self)
  self.timers:run(self.is_spent)
  return true
end

--- Waits up to `timeout_ms` (nil: as long as it takes) for something to do, and runs handlers.
---@param timeout_ms? integer milliseconds
---@return true|nil, string|nil message, string|nil code
function Loop:wait(timeout_ms)
  return self:step(math.min(timeout_ms or RUN_STEP_MS, RUN_STEP_MS))
end

--- Steps until every client is closed, or stop().
---@return true|nil, string|nil message, string|nil code
function Loop:run()
  self.stopped = false
  while not self.stopped and self.order[1] do
    local ok, message, code = self:wait()
    if not ok then return nil, message, code end
  end
  return true
end

--- Ends run() after the handler under way; without effect on a run that has not begun.
function Loop:stop()
  self.stopped = true
end

--- One descriptor to wait on: readable means, call step(0).
---@return integer
function Loop:fd()
  return self.engine:fd()
end

--- Makes the descriptor readable, until the next step: whoever waits for it comes and looks.
function Loop:nudge()
  self.timers:after(0, function() end)
end

--- How long the loop may be left alone: 0 when something is ready, -1 when only the descriptor matters.
---@return integer milliseconds
function Loop:timeout_ms()
  return self.engine:timeout_ms()
end

--- Milliseconds since the epoch, on the clock that events' times are of.
---@return integer
function Loop:wall_ms()
  return self.engine:wall_ms()
end

--- Milliseconds of a clock that never goes back.
---@return integer
function Loop:clock_ms()
  return self.engine:clock_ms()
end

local loop = {}

--- A loop on an engine.
---@param engine userdata
---@return sync.Loop
function loop.new(engine)
  local self = setmetatable({ stopped = false }, Loop)
  begin(self, engine)
  return self
end

--- The one that every client of this Lua state shares.
loop.main = loop.new(assert(core.loop()))

return loop
