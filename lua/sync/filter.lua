-- Which events somebody means: {order_id =, event_types =, since =, limit =, where =}, checked, and applied to history.

local suggest = require "sync.suggest"

local filter = {}

local NAMES = { "event_types", "limit", "order_id", "since", "where" }

-- "*" or nil: any. A string: a list of one.
local function list_of(what, value)
  if value == nil or value == "*" then return nil end
  if type(value) == "string" then value = { value } end
  if type(value) ~= "table" or #value == 0 then
    error(("%s: expected a string or a list of strings, got a %s"):format(what, type(value)), 0)
  end
  local list = {}
  for index = 1, #value do
    local item = value[index]
    if type(item) ~= "string" or item == "" then
      error(("%s: expected strings that are not empty, got %s"):format(what, item == "" and '""' or tostring(item)), 0)
    end
    if item == "*" then return nil end
    list[index] = item
  end
  return list -- a copy: what the caller does to his own later is not ours
end

local function check_number(what, value)
  if value ~= nil and (type(value) ~= "number" or value < 0) then
    error(("%s: expected a number, 0 or more, got %s"):format(what, tostring(value)), 0)
  end
  return value
end

---@class sync.Filter
---@field order_id? string|string[] "*": any
---@field event_types? string|string[]
---@field since? integer received at or after, milliseconds since the epoch
---@field limit? integer the latest so many
---@field where? fun(event: sync.Event): boolean

--- Checks a filter and makes lists of its texts. Raises for an unknown name or a wrong type.
---@param given sync.Filter|nil
---@return table checked {order_ids =, types =, since =, limit =, where =}
function filter.check(given)
  if given == nil then return {} end
  if type(given) ~= "table" then error("filter: expected a table, got a " .. type(given), 0) end
  for name in pairs(given) do
    local known = false
    for _, candidate in ipairs(NAMES) do known = known or candidate == name end
    if not known then
      error(("filter.%s: unknown%s"):format(tostring(name), suggest.hint(tostring(name), NAMES)), 0)
    end
  end
  if given.where ~= nil and type(given.where) ~= "function" then
    error("filter.where: expected a function, got a " .. type(given.where), 0)
  end
  return {
    order_ids = list_of("filter.order_id", given.order_id),
    types = list_of("filter.event_types", given.event_types),
    since = check_number("filter.since", given.since),
    limit = check_number("filter.limit", given.limit),
    where = given.where,
  }
end

--- Whether `value` is one of those that somebody wants.
---@param wanted any nil or "*": any; a list: one of its items; otherwise that value
---@param value any
---@return boolean
function filter.means(wanted, value)
  if wanted == nil or wanted == "*" or wanted == value then return true end
  if type(wanted) ~= "table" then return false end
  for _, item in ipairs(wanted) do
    if item == value or item == "*" then return true end
  end
  return false
end

--- Whether `event` is one of those that a checked filter means (its limit aside).
---@param checked table
---@param event sync.Event
---@return boolean
function filter.accepts(checked, event)
  return filter.means(checked.types, event.type) and filter.means(checked.order_ids, event.order_id)
    and (not checked.since or event.received_at >= checked.since)
    and (not checked.where or not not checked.where(event))
end

return filter
