-- What the adapters to other loops share (sync.luv, sync.cqueues, sync.copas): the one attachment that the module's loop
-- can have, its options, and when its descriptor is watched. How a host watches a descriptor is the adapter's affair.
--
-- A step runs in a coroutine of the host's that does nothing else, for a handler may yield in the midst of it. Then that
-- coroutine is the host's to resume, and the next step gets another: the other clients do not wait.
--
-- Watched only while a client is open, so that a host's loop that has nothing else to do can end.

local main = require "sync.loop".main
local raised = require "sync.raised"
local suggest = require "sync.suggest"

-- A loop that also serves people (frames, requests) can spare a millisecond between two turns; libcurl's smallest piece
-- of work takes some tens of microseconds.
local BUDGET_MS = 1

local OPTIONS = { "budget_ms" }

---@class sync.Attachment
---@field name string of the adapter's module
---@field loop sync.Loop
---@field budget_ms number
---@field watch fun(loop: sync.Loop, step: fun()): fun()
---@field step fun() does what is due, within the budget
---@field rest fun()|nil ends the watch; nil: none is under way
local Attachment = {}
Attachment.__index = Attachment

local attachment = {}

local function checked_budget_ms(call, given)
  if given == nil then return BUDGET_MS end
  if type(given) ~= "table" then error(("%s: expected a table of options, got a %s"):format(call, type(given)), 0) end
  for name in pairs(given) do
    name = tostring(name)
    if name ~= "budget_ms" then error(("%s: %s: unknown option%s"):format(call, name, suggest.hint(name, OPTIONS)), 0) end
  end
  local budget_ms = given.budget_ms or BUDGET_MS
  if type(budget_ms) ~= "number" or not (budget_ms > 0 and budget_ms < math.huge) then
    error(("%s: budget_ms: expected milliseconds, more than 0, got %s"):format(call, tostring(budget_ms)), 0)
  end
  return budget_ms
end

local function check(call, given)
  local budget_ms = checked_budget_ms(call, given)
  if main.attachment then
    error(("%s: already attached, by %s: detach that first"):format(call, main.attachment.name), 0)
  end
  return budget_ms
end

-- A step that fails would fail at every wake-up: it is told once, to the host, and that was it.
local function make_step(self)
  local loop = self.loop
  return function()
    if loop.attachment ~= self then return end -- detached since the descriptor was readable
    local finished, ok, message = xpcall(loop.step, raised.traced, loop, 0, self.budget_ms)
    if finished and ok then return end
    self:detach()
    error(finished and message or ok, 0)
  end
end

--- Attaches the loop of `require "sync"`. To be called in tail position of an adapter's attach: misuse (an unknown option,
--- a second attachment) raises in the name of its caller.
---@param name string of the adapter's module
---@param given {budget_ms: number|nil}|nil the user's
---@param watch fun(loop: sync.Loop, step: fun()): fun() begins to call `step()`, each time in a fresh coroutine of the
---  host's, whenever loop:fd() is readable, one turn of the host's between any two; gives the function that ends it, after
---  which no step begins. What a step raises is to end up where the host has errors of coroutines
---@return sync.Attachment
function attachment.new(name, given, watch)
  local checked, budget_ms = pcall(check, name .. ".attach", given)
  if not checked then error(budget_ms, 2) end
  local self = setmetatable({ name = name, loop = main, budget_ms = budget_ms, watch = watch }, Attachment)
  self.step = make_step(self)
  main.attachment = self
  self:follow()
  return self
end

--- Watches or rests, as there are clients or not. The loop says when that may have changed.
function Attachment:follow()
  local is_wanted = self.loop:first() ~= nil
  if is_wanted and not self.rest then
    self.rest = self.watch(self.loop, self.step)
  elseif not is_wanted and self.rest then
    self.rest()
    self.rest = nil
  end
end

--- Takes the module out of the host's loop: no step begins any more. The one under way is finished, and so is one whose
--- handler has yielded, once the host resumes it. Clients stay open, and can be attached again. Again does nothing.
function Attachment:detach()
  if self.loop.attachment ~= self then return end
  self.loop.attachment = nil
  if self.rest then self.rest() end
  self.rest = nil
end

return attachment
