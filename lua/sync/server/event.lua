--- The wire form of everything that the endpoint says: pure functions from values to event-stream text.
-- Follows the WHATWG HTML standard, "Server-sent events"; the JSON is that of the design. It sends nothing.

local cjson = require "cjson"

local event = {}

local quote = cjson.encode

local fields = {
  type = "string", order_id = "string", data = "any", timestamp = "string", text = "string",
}

-- A date costs more than all the rest of an event, and a thousand events share its second.
local cached_second, cached_date

---A point in time as the endpoint writes it.
---@param second integer since 1970
---@param microsecond integer
---@return string # `2026-11-22T10:00:00.000Z`
function event.timestamp(second, microsecond)
  if second ~= cached_second then
    cached_second, cached_date = second, os.date("!%Y-%m-%dT%H:%M:%S", second)
  end
  return ("%s.%03dZ"):format(cached_date, math.floor(microsecond / 1000))
end

-- A line end inside `data` starts another data line; all three of the standard count.
local function data_lines(text)
  if not text:find("[\r\n]") then return "data: " .. text .. "\n" end
  local lines = text:gsub("\r\n?", "\n"):gsub("\n", "\ndata: ")
  return "data: " .. lines .. "\n"
end

---One block of an event stream.
---@param type string|nil
---@param data string
---@param id string|nil
---@return string
function event.block(type, data, id)
  return (id and "id: " .. id .. "\n" or "") .. (type and "event: " .. type .. "\n" or "") .. data_lines(data) .. "\n"
end

---Comment lines.
---@param text string
---@return string
function event.comment(text)
  return ": " .. text:gsub("\r\n?", "\n"):gsub("\n", "\n: ") .. "\n\n"
end

local function check(spec)
  if type(spec) ~= "table" then error("publish: a table is wanted, not " .. type(spec), 4) end
  for name, value in pairs(spec) do
    local wanted = fields[name]
    if not wanted then error(("publish: %s: unknown field"):format(tostring(name)), 4) end
    if wanted ~= "any" and type(value) ~= wanted then
      error(("publish: %s: %s wanted, not %s"):format(name, wanted, type(value)), 4)
    end
  end
  if not spec.type or spec.type == "" or spec.type:find("[%c]") then
    error("publish: type: a name of one line is wanted", 4)
  end
end

local function envelope(spec, timestamp)
  local ok, data = pcall(quote, spec.data == nil and {} or spec.data)
  if not ok then error("publish: data: " .. data, 4) end
  local order_id = spec.order_id and ',"orderID":' .. quote(spec.order_id) or ""
  return ('{"eventType":%s,"data":%s%s,"timestamp":%s}'):format(quote(spec.type), data, order_id, quote(timestamp))
end

---An event of an order, or any other that is published. Raises on misuse.
---@param spec table `{type, order_id=, data=, timestamp=, text=}`; `text` goes out as it is, in place of the envelope
---@param sequence integer
---@param id string|nil nil: no id line
---@param now string the timestamp of an event that brings none
---@return table event `{type, order_id, data, timestamp, sequence, id, wire}`
function event.new(spec, sequence, id, now)
  check(spec)
  local timestamp = spec.timestamp or now
  local text = spec.text or envelope(spec, timestamp)
  return {
    type = spec.type, order_id = spec.order_id, data = spec.data, timestamp = timestamp,
    sequence = sequence, id = id, wire = event.block(spec.type, text, id),
  }
end

---The first event of every stream.
---@param client_id string
---@param timestamp string
---@param id string|nil the position from which the stream goes on, for a client that has none yet
---@return string
function event.connected(client_id, timestamp, id)
  local data = '{"clientId":%s,"timestamp":"%s","message":"SSE connection established"}'
  return event.block("connected", data:format(quote(client_id), timestamp), id)
end

---@param timestamp string
---@param active_connections integer
---@return string
function event.heartbeat(timestamp, active_connections)
  return event.block("heartbeat", ('{"timestamp":"%s","activeConnections":%d}'):format(timestamp, active_connections))
end

---Says that events between the client's last event ID and what follows may be missing.
---@param reason string "too_old", "other_epoch" or "unknown_id"
---@param last_event_id string what the client asked for
---@param id string the position from which the stream goes on
---@return string
function event.resync(reason, last_event_id, id)
  return event.block("resync", ('{"reason":%s,"lastEventID":%s}'):format(quote(reason), quote(last_event_id)), id)
end

---An event that was cut off before its blank line. Its id is that of the event to come: a client that takes the id of
---an unfinished event will miss that one.
---@param id string|nil
---@return string
function event.half(id)
  return (id and "id: " .. id .. "\n" or "") .. 'event: stage_change\ndata: {"eventType":"stage_ch'
end

return event
