-- What is known to be missing in the stream: docs/gaps.md. Methods of sync.Client.

local checks = require "sync.client.checks"

local methods = {}

local FILTER_NAMES = { open = true }

--- The gaps that are known of, the oldest first; `{ open = true }`: those that nothing has closed yet.
---@param given? {open: boolean|nil}
---@return sync.Gap[]|nil, string|nil message, string|nil code
function methods:gaps(given)
  local filter = checks.options("gaps", given, FILTER_NAMES)
  if not self.core then return self.closed() end
  local list = {}
  for _, gap in ipairs(self.core:gaps()) do
    if filter.open == nil or gap.open == filter.open then list[#list + 1] = gap end
  end
  return list
end

--- Calls `fn(gap)` when a gap opens, and again when it closes.
---@param fn fun(gap: sync.Gap)
---@return sync.Listener|nil, string|nil message, string|nil code
function methods:on_gap(fn)
  checks.fn("on_gap", fn)
  return self:listen("gap", fn)
end

--- Closes an open gap that nothing else will. true, or false: there is no open one of this number. What is missing stays
--- so: health().complete is false until a whole snapshot has been taken in.
---@param number integer 0: those for which there was no memory
---@return boolean|nil, string|nil message, string|nil code
function methods:give_up_gap(number)
  if number == nil then checks.misuse("give_up_gap", "expected the number of a gap, got nil") end
  number = checks.integer("give_up_gap", "number", number, 0)
  if not self.core then return self.closed() end
  return self.core:give_up_gap(number)
end

return methods
