-- decode = function: what a user's function makes of a message becomes the event.

local raised = require "sync.raised"

local decoder = {}

local TEXTS = { "type", "order_id", "timestamp" }

local function check(decoded)
  if type(decoded) ~= "table" then error("decode: expected a table or nil, got a " .. type(decoded), 0) end
  for _, name in ipairs(TEXTS) do
    local value = decoded[name]
    if value ~= nil and type(value) ~= "string" then
      error(("decode: %s: expected a string, got %s (a %s)"):format(name, raised.text(value), type(value)), 0)
    end
  end
end

--- Gives the event the fields that `decode` found in its text. Raises what `decode` raises, or what is wrong with what
--- it gave.
---@param decode fun(text: string, event: sync.Event): table|nil {type =, order_id =, timestamp =, data =}
---@param event sync.Event
---@return boolean kept false: the function wants it dropped
function decoder.apply(decode, event)
  local decoded = decode(event.raw, event)
  if decoded == nil then return false end
  check(decoded)
  event.type = decoded.type or event.type
  event.order_id = decoded.order_id
  event.timestamp = decoded.timestamp
  if decoded.data == nil then event.data = decoded else event.data = decoded.data end
  return true
end

return decoder
