-- The latest events, as the engine keeps them. Methods of sync.Client.

local checks = require "sync.client.checks"
local decoder = require "sync.decoder"
local filter = require "sync.filter"

local methods = {}

-- An event of the history with decode = function; nil: it cannot be decoded, or is not wanted.
local function decoded(self, event)
  if type(self.options.decode) ~= "function" then return event end
  local ok, kept = pcall(decoder.apply, self.options.decode, event)
  return ok and kept and event or nil
end

-- The history's events that a checked filter means, oldest first.
function methods:select(checked)
  local newest_first, age = {}, 0
  while not checked.limit or #newest_first < checked.limit do
    local event = self.history(age)
    if not event then break end
    event = decoded(self, event)
    if event and filter.accepts(checked, event) then
      if self.acknowledged[event.seq] then rawset(event, "acknowledged", true) end
      newest_first[#newest_first + 1] = event
    end
    age = age + 1
  end
  local events, count = {}, #newest_first
  for index = 1, count do events[index] = newest_first[count + 1 - index] end
  return events
end

--- The latest events (event_history_limit of them are kept), oldest first.
---@param given? sync.Filter
---@return sync.Event[]
function methods:events(given)
  return self:select(checks.filter("events", given))
end

--- The latest event, or nil.
---@param given? sync.Filter
---@return sync.Event|nil
function methods:latest(given)
  local checked = checks.filter("latest", given)
  checked.limit = math.min(checked.limit or 1, 1)
  return self:select(checked)[1]
end

return methods
