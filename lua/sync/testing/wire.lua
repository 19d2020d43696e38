-- Event-stream text as the order server writes it (WHATWG HTML, 9.2.5). Private to sync.testing.

local encode = require "sync.encode"

local wire = {}

-- The names that the client looks for first, unless its options say others.
local NAMES = { type = "eventType", order_id = "orderID", timestamp = "timestamp", data = "data" }

--- RFC 3339, UTC.
---@param ms integer since the epoch
---@return string
function wire.timestamp(ms)
  return ("%s.%03dZ"):format(os.date("!%Y-%m-%dT%H:%M:%S", math.floor(ms / 1000)), ms % 1000)
end

--- An event with its JSON.
---@param name string
---@param data table
---@param id? string
---@return string
function wire.message(name, data, id)
  return ("%sevent: %s\ndata: %s\n\n"):format(id and "id: " .. id .. "\n" or "", name, encode(data))
end

--- An event of the order wire.
---@param event {type: string, order_id: string|nil, data: any, id: string|nil, timestamp: string|nil}
---@param names? table the client's option `fields`
---@return string
function wire.order(event, names)
  local json = {}
  for field, name in pairs(NAMES) do json[names and names[field] or name] = event[field] end
  return wire.message(event.type, json, event.id)
end

--- A comment; of several lines if the text has them.
---@param text string
---@return string
function wire.comment(text)
  return (text:gsub("[^\r\n]+", ":%0")):gsub("\r\n?", "\n") .. "\n\n"
end

return wire
