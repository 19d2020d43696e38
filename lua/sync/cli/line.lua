--- What people read: events, states, problems and dead letters as one line each, in the pieces that `terminal` paints.
-- The functions have the names and arguments of those of `ndjson`.

local clock = require "sync.cli.clock"
local ndjson = require "sync.cli.ndjson"

local line = {}

-- Wide enough for the ids and types of the design; longer ones push the rest to the right.
local ORDER_COLUMNS, TYPE_COLUMNS = 11, 14

local TYPE_STYLES = {
  stage_change = "cyan", order_stage_change = "cyan", status_update = "blue", payment_update = "green",
  order_created = "magenta", order_deleted = "red", qr_generated = "yellow", whatsapp_connected = "yellow",
  resync = "alarm", connected = "dim", heartbeat = "dim",
}
local VALUE_STYLES = {
  open = "notice", billed = "notice", paid = "good", completed = "good", ready = "good", failed = "alarm",
  cancelled = "alarm", refunded = "alarm",
}
local STATE_STYLES = { connected = "good", connecting = "notice", reconnecting = "notice", error = "alarm" }

-- What an event changed, where it says so: stages, statuses, or the first stage of an order.
local function change_of(event)
  if event.new_stage then return event.previous_stage, event.new_stage end
  local data = event.data
  if type(data) ~= "table" then return nil end
  if data.newStatus == nil and type(data.order) == "table" then return nil, data.order.orderStage end
  return data.previousStatus, data.newStatus
end

local function append_change(pieces, previous, new)
  if type(previous) == "string" then
    pieces[#pieces + 1] = { previous, style = "dim" }
    pieces[#pieces + 1] = { " -> " }
  end
  pieces[#pieces + 1] = { new, style = VALUE_STYLES[new] or "bold" }
end

local function time_piece(at_ms)
  return { os.date("%H:%M:%S ", math.floor(at_ms / 1000)), style = "dim" }
end

---@param event sync.Event
---@param decode string
---@return table[] pieces
function line.event(event, decode)
  local pieces = {
    time_piece(event.received_at),
    { event.order_id or "-", style = "bold", width = ORDER_COLUMNS }, { " " },
    { event.type, style = TYPE_STYLES[event.type], width = TYPE_COLUMNS }, { " " },
  }
  local previous, new = change_of(event)
  if type(new) == "string" then
    append_change(pieces, previous, new)
  else
    local data = decode == "none" and event.raw or ndjson.data(event, decode)
    if data ~= "{}" then pieces[#pieces + 1] = { data, style = "dim" } end
  end
  return pieces
end

---Something that happened to the stream, not in it.
---@param what string
---@param style string|nil
---@param detail string|nil
---@return table[] pieces
function line.notice(what, style, detail)
  return { time_piece(clock.wall_ms()), { "-- " .. what, style = style }, { detail and "  " .. detail or "", style = "dim" } }
end

---@param state string
---@return table[] pieces
function line.state(state)
  return line.notice(state, STATE_STYLES[state] or "bold")
end

---@param problem table what `client:on_error` gives
---@return table[] pieces
function line.problem(problem)
  local detail = problem.message
  if problem.next_retry_at then
    local left_ms = math.max(0, problem.next_retry_at - clock.wall_ms())
    detail = ("%s; next try in %.1f s"):format(detail, left_ms / 1000)
  elseif problem.hint ~= "" and problem.code ~= "EXHAUSTED" then -- whose hint is about trying on
    detail = detail .. ": " .. problem.hint
  end
  return line.notice(problem.code, problem.next_retry_at and "yellow" or "alarm", detail)
end

-- When something was, which may be days ago.
local function date_of(at_ms)
  return os.date("%Y-%m-%d %H:%M:%S", math.floor(at_ms / 1000))
end

-- What a handler said, without where.
local function first_line(problem)
  return (problem:match "^[^\r\n]*")
end

---A dead letter in a list.
---@param letter table as the core has it
---@return table[] pieces
function line.letter(letter)
  return {
    { ("%d"):format(letter.number), style = "bold", width = 5 }, { " " .. date_of(letter.failed_at) .. " ", style = "dim" },
    { letter.order_id or "-", style = "bold", width = ORDER_COLUMNS }, { " " },
    { letter.type, style = TYPE_STYLES[letter.type], width = TYPE_COLUMNS }, { " " },
    { letter.wanted and "to be delivered again: " or "", style = "notice" }, { first_line(letter.problem), style = "alarm" },
  }
end

---All that is known of a dead letter.
---@param letter table
---@return table[][] lines of pieces
function line.whole_letter(letter)
  local lines = {}
  local function add(name, value)
    if value ~= nil then lines[#lines + 1] = { { name, style = "dim", width = 10 }, { " " }, { tostring(value) } } end
  end
  add("number", ("%d"):format(letter.number))
  add("type", letter.type)
  add("order", letter.order_id)
  add("event id", letter.id)
  add("stream", letter.stream)
  add("failed at", date_of(letter.failed_at))
  add("attempts", ("%d"):format(letter.attempts))
  if letter.wanted then add("wanted", "to be delivered again") end
  add("message", letter.raw)
  local name = "problem"
  for text in letter.problem:gmatch "[^\r\n]+" do
    add(name, text)
    name = ""
  end
  return lines
end

---@param comment string
---@return table[] pieces
function line.comment(comment)
  return { time_piece(clock.wall_ms()), { ":" .. comment, style = "dim" } }
end

return line
