--- One event stream under test: a client of the module, made as a create request wants it, that reports all it hears.
-- This is the one file that knows `sync.connect`. It owns the client; it does not know where reports go.

local cjson = require "cjson"
local sync = require "sync"

local stream = {}

-- The harness judges silence and endurance by its own clock, so the client gets limits that no check comes near.
local DAY_MS = 24 * 60 * 60 * 1000
local FOREVER_ATTEMPTS = 2 ^ 31 - 1
local EVENT_BYTES = 64 * 1024 * 1024 -- the public harness sends 10 MiB

-- Housekeeping of the order server, which reaches only handlers that name it.
local NAMED_TYPES = { "connected", "heartbeat" }

-- What is told beside a lost connection, or concerns one event: the connection's own loss has a code of its own.
local NO_LOSS = {
  EXHAUSTED = true, EVENT_JSON = true, EVENT_TOO_LARGE = true, EVENT_DECODE = true, HANDLER = true,
  TLS_UNVERIFIED = true,
}

local function is_text(value) return type(value) == "string" end
local function is_flag(value) return type(value) == "boolean" end

local function is_duration(value)
  return type(value) == "number" and value >= 0 and value <= DAY_MS and value == math.floor(value)
end

local function is_headers(value)
  if type(value) ~= "table" then return false end
  for name, text in pairs(value) do
    if type(name) ~= "string" or type(text) ~= "string" then return false end
  end
  return true
end

-- name -> {check, what it wants}
local FIELDS = {
  streamUrl = { is_text, "a string" },
  callbackUrl = { is_text, "a string" },
  tag = { is_text, "a string" },
  initialDelayMs = { is_duration, "a whole number of milliseconds" },
  readTimeoutMs = { is_duration, "a whole number of milliseconds" },
  lastEventId = { is_text, "a string" },
  method = { is_text, "a string" },
  headers = { is_headers, "an object of strings" },
  body = { is_text, "a string" },
  strict = { is_flag, "true or false" }, -- not in the protocol: false asks for the client's kinder defaults
}

---Check the fields of a create request. Null is the same as absent; names that are unknown are passed over.
---@param given any decoded JSON
---@return table|nil fields
---@return string|nil problem
function stream.check(given)
  if type(given) ~= "table" then return nil, "expected an object" end
  local fields = {}
  for name, rule in pairs(FIELDS) do
    local value = given[name]
    if value ~= nil and value ~= cjson.null then
      if not rule[1](value) then return nil, ("%s: expected %s"):format(name, rule[2]) end
      fields[name] = value
    end
  end
  for _, name in ipairs { "streamUrl", "callbackUrl" } do
    if not fields[name] then return nil, name .. ": required" end
  end
  return fields
end

local function options_of(fields)
  local read_timeout_ms = fields.readTimeoutMs or 0
  return {
    url = fields.streamUrl,
    method = fields.method,
    headers = fields.headers,
    body = fields.body,
    last_event_id = fields.lastEventId,
    reconnect_delay_ms = fields.initialDelayMs,
    idle_timeout_ms = read_timeout_ms > 0 and read_timeout_ms or DAY_MS,
    strict = fields.strict ~= false,
    decode = "none",
    max_event_bytes = EVENT_BYTES,
    max_reconnect_attempts = FOREVER_ATTEMPTS,
    event_history_limit = 0,
    proxy = "", -- the harness is reached directly, whatever the environment says
  }
end

---@class contract.Stream
---@field client sync.Client
local Stream = {}
Stream.__index = Stream

local function report_all(client, report)
  local function tell(event)
    report("event", { type = event.type, data = event.data, id = event.id })
  end
  assert(client:subscribe(tell))
  assert(client:on_event(NAMED_TYPES, tell))
  client:on_comment(function(text) report("comment", text) end)
  client:on_error(function(problem)
    if not NO_LOSS[problem.code] then report("error", problem.code .. ": " .. problem.message) end
  end)
end

---Open a stream. Returns at once; all else is told by `report`, from inside `sync.step`.
---@param fields table checked
---@param report fun(kind: "event"|"comment"|"error", content: table|string)
---@return contract.Stream|nil
---@return string|nil problem the module refuses these options
function stream.open(fields, report)
  local ok, client, problem = pcall(sync.connect, options_of(fields))
  if not ok then return nil, client end
  if not client then return nil, problem end
  report_all(client, report)
  return setmetatable({ client = client }, Stream)
end

---Drop the connection and make another one now.
function Stream:restart()
  assert(self.client:reconnect())
end

---End it: no more connects, no more reports.
function Stream:close()
  self.client:close()
end

return stream
