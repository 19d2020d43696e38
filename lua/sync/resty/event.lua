-- An event as it lies in shared memory, and as handlers see it: the fields of docs/events.md. Made by the worker that
-- holds the stream; every worker makes its own table of it.

local buffer = require "string.buffer"
local core = require "sync.core"

local event = {}

-- What is taken of a client's event, and what is added: `record` is the order as the event left it, see book.lua.
-- The names' places in the codec's dictionary are what is written.
local TAKEN = { "type", "order_id", "id", "timestamp", "raw", "previous_stage", "new_stage", "received_at", "source" }
local ADDED = { "data", "record" }

local function joined(list, more)
  local all = {}
  for _, name in ipairs(list) do all[#all + 1] = name end
  for _, name in ipairs(more) do all[#all + 1] = name end
  return all
end

local codec = buffer.new(0, { dict = joined(TAKEN, ADDED) })

---@class sync.resty.Event
local Event = {}

--- The text that the ring keeps.
---@param source sync.Event
---@param record string|nil the order as the event left it
---@param has_own_data boolean `data` is not what the order wire makes of `raw`
---@return string
function event.pack(source, record, has_own_data)
  local fields = { record = record, data = has_own_data and source.data or nil }
  for _, name in ipairs(TAKEN) do fields[name] = source[name] end
  return codec:reset():encode(fields):get()
end

--- The event of such a text.
---@param text string
---@param seq integer its number in the ring
---@param data_name string what the wire calls its data
---@return sync.resty.Event
---@return string|nil record
function event.unpack(text, seq, data_name)
  local fields = codec:set(text):decode()
  local record = fields.record
  fields.record, fields.seq, fields.redelivered, fields.acknowledged = nil, seq, false, false
  fields.data_name = data_name
  return setmetatable(fields, Event), record
end

-- As client's events have it: the wire's data field, or all of it when it has none.
local function decode_data(self)
  local whole = core.decode(self.raw)
  if type(whole) ~= "table" then return whole == nil and self.raw or whole end
  local data = whole[rawget(self, "data_name")]
  return data == nil and whole or data
end

local methods = {}

--- A copy with every field made and nothing hidden.
---@return table
function methods:plain()
  local copy = { data = self.data }
  for name, value in pairs(self) do copy[name] = value end
  copy.data_name, copy.wire_text = nil, nil
  return copy
end

function Event:__index(name)
  if name ~= "data" then return methods[name] end
  local data = decode_data(self)
  rawset(self, "data", data)
  return data
end

function Event:__tostring()
  return ("event %s of %s"):format(self.type, self.order_id or "no order")
end

-- A line of a stream holds no line's end. In JSON, where a type may come from, it does.
local function one_line(text)
  return (text:gsub("[\r\n]", " "))
end

local function data_lines(raw)
  return "data: " .. raw:gsub("\r\n?", "\n"):gsub("\n", "\ndata: ") .. "\n"
end

--- The event as text of an event stream, with an id of ours. Made once for all who read it in this worker.
---@param self sync.resty.Event
---@param id string
---@return string
function event.wire_text(self, id)
  local text = rawget(self, "wire_text")
  if text then return text end
  text = ("id: %s\nevent: %s\n%s\n"):format(id, one_line(self.type), data_lines(self.raw))
  rawset(self, "wire_text", text)
  return text
end

return event
