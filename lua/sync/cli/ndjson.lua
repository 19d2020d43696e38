--- What `--json` says: newline-delimited JSON, one object a line, its `kind` first.
-- Each function gives one line. JSON that came from the server leaves as it came.

local cjson = require "cjson"
local clock = require "sync.cli.clock"
local json_text = require "sync.cli.json_text"

local ndjson = {}

local quote = cjson.encode

local EVENT_FIELDS = {
  "id", "type", "order_id", "timestamp", "previous_stage", "new_stage", "received_at", "source", "seq", "redelivered",
  "acknowledged", "raw",
}
local LETTER_FIELDS = {
  "number", "id", "type", "order_id", "seq", "attempts", "failed_at", "wanted", "stream", "problem", "raw",
}
local PROBLEM_FIELDS = { "code", "message", "hint", "retryable", "status", "attempt", "next_retry_at" }

-- The members of an object; of the values those that have a name here, in this order.
local function object(kind, names, values)
  local members = { '"kind":' .. quote(kind) }
  for _, name in ipairs(names) do
    if values[name] ~= nil then members[#members + 1] = quote(name) .. ":" .. quote(values[name]) end
  end
  return members
end

---The data of an event as JSON text on one line.
---@param event sync.Event
---@param decode string how the client decodes: "order", "json" or "none"
---@return string
function ndjson.data(event, decode)
  if decode == "none" then return quote(event.raw) end
  local data = decode == "order" and json_text.member(event.raw, "data") or event.raw
  return json_text.one_line(data)
end

---@param event sync.Event
---@param decode string
---@return string
function ndjson.event(event, decode)
  local members = object("event", EVENT_FIELDS, event)
  members[#members + 1] = '"data":' .. ndjson.data(event, decode)
  return "{" .. table.concat(members, ",") .. "}"
end

---`at` is when it is told, in milliseconds since the epoch.
---@param state string
---@param previous string
---@return string
function ndjson.state(state, previous)
  local values = { state = state, previous = previous, at = clock.wall_ms() }
  local members = object("state", { "state", "previous", "at" }, values)
  return "{" .. table.concat(members, ",") .. "}"
end

---@param problem table what `client:on_error` gives
---@return string
function ndjson.problem(problem)
  local members = object("error", PROBLEM_FIELDS, problem)
  members[#members + 1] = '"at":' .. quote(clock.wall_ms())
  return "{" .. table.concat(members, ",") .. "}"
end

---@param letter table a dead letter, as the core has it
---@return string
function ndjson.letter(letter)
  return "{" .. table.concat(object("letter", LETTER_FIELDS, letter), ",") .. "}"
end

---@param comment string
---@return string
function ndjson.comment(comment)
  return "{" .. table.concat(object("comment", { "text" }, { text = comment }), ",") .. "}"
end

return ndjson
