-- A loop whose clock stands still until it is told how much time has passed, and whose clients' requests wait for whoever
-- plays the server. Everything else is the loop that programs run on. Private to sync.testing.

local core = require "sync.core"
local loop = require "sync.loop"

-- So many turns without time passing are an endless circle: a timer that sets itself again for now, say.
local TURNS_MOST = 100000

local played = {}

---@class sync.testing.Loop: sync.Loop
---@field answer fun(): boolean answers a request that waits; false: none does, or none may be answered
---@field turning boolean settle() is under way
---@field over boolean nothing happens any more
local methods = {}

-- Everything that is due now, in order.
local function turn_until_quiet(self)
  for _ = 1, TURNS_MOST do
    if self.over then return end
    self.engine:play(self.engine:clock_ms())
    assert(self:step(0))
    if not self.over and not self.answer() and self.engine:timeout_ms() ~= 0 then return end
  end
  error(("sync.testing: %d turns, and something is always due at once: time cannot pass"):format(TURNS_MOST), 0)
end

-- Timers that are still held by somebody may be cancelled after the end.
local function finish(self)
  self.timers.arm = function() end
  self.engine:close()
end

--- Does everything that is due now, handlers included. Inside a handler it leaves the events to the one outside.
function methods:settle()
  if self.over then return end
  local outer = not self.turning
  self.turning = true
  local ok, message = pcall(turn_until_quiet, self)
  if outer then
    self.turning = false
    if self.over then finish(self) end
  end
  if not ok then error(message, 0) end
end

--- Lets time pass, and does what is due on the way, each thing at its time.
---@param ms integer
function methods:advance(ms)
  local until_ms = self.engine:clock_ms() + ms
  self:settle()
  while not self.over do
    local left_ms = self.engine:timeout_ms()
    local is_last = left_ms < 0 or self.engine:clock_ms() + left_ms > until_ms
    self.engine:play(until_ms)
    if is_last then return end
    self:settle()
  end
end

--- What client:next() waits with: time passes to what is due next. At least a millisecond does, so that a wait has an end.
---@param timeout_ms? integer
---@return true
function methods:wait(timeout_ms)
  self:settle()
  local left_ms = self.engine:timeout_ms()
  if left_ms < 0 and not timeout_ms then error("client:next: nothing is due and nothing is sent: it would wait for ever", 0) end
  local due_ms = left_ms < 0 and timeout_ms or math.min(left_ms, timeout_ms or left_ms)
  self:advance(math.max(due_ms, 1))
  return true
end

--- Ends it, or as soon as the handler under way has returned. Its clients are closed by then.
function methods:close()
  if self.over then return end
  self.over = true
  if not self.turning then finish(self) end
end

--- A loop of its own.
---@param answer fun(): boolean
---@return sync.testing.Loop
function played.new(answer)
  local self = loop.new(assert(core.loop(true)))
  self.answer, self.turning, self.over = answer, false, false
  for name, method in pairs(methods) do self[name] = method end
  return self --[[@as sync.testing.Loop]]
end

return played
