-- What a handler does once for an event, crash or no crash: client:once. Methods of sync.Client.

local checks = require "sync.client.checks"

local methods = {}

-- A name may hold anything, so the number comes first.
local function key_of(event, name)
  return ("%d %s"):format(event.seq, name)
end

-- What fn is told; `event` has it too while fn runs, for those that fn calls.
local function run(event, effect, fn)
  local outer = rawget(event, "maybe_done") -- of an effect within which this one is
  rawset(event, "maybe_done", effect.maybe_done)
  local ok, problem = pcall(fn, event, effect)
  rawset(event, "maybe_done", outer)
  return ok, problem
end

--- Calls `fn(event, effect)` unless the effect `name` of this event has happened, in this process or in one before it.
--- Gives true when `fn` has run, false when there was no need.
---
--- That it begins is on disk before `fn` is called, that it has happened after it has returned. When the process dies in
--- between, nobody knows whether it has: then `effect.maybe_done` is true the next time (`event.maybe_done` too, while
--- `fn` runs), and `fn` has to find out, or to choose. When `fn` raises, the effect has not happened, and the error goes
--- on to the caller. `fn` may yield; the same effect cannot be begun again meanwhile: that raises.
---@param event sync.Event
---@param name string what tells this effect from others of the same event: "print"
---@param fn fun(event: sync.Event, effect: {name: string, maybe_done: boolean})
---@return boolean|nil, string|nil message, string|nil code NO_JOURNAL, CLOSED
function methods:once(event, name, fn)
  checks.event("once", event)
  if type(name) ~= "string" or name == "" then checks.misuse("once", "expected the effect's name, a string") end
  checks.fn("once", fn)
  if not self.core then return self.closed() end
  local key = key_of(event, name)
  if self.effects[key] then checks.misuse("once", "'%s' of this event is under way", name) end
  local known, message, code = self.core:effect_begin(event.seq, name)
  if not known then return nil, message, code end
  if known == "done" then return false end
  self.effects[key] = true
  local ok, problem = run(event, { name = name, maybe_done = known == "started" }, fn)
  self.effects[key] = nil
  if self.core then self.core:effect_end(event.seq, name, ok) end -- else it stays begun, for who knows
  if not ok then error(problem, 0) end
  return true
end

return methods
