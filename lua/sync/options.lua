-- The options of sync.connect: one descriptor table says what each is, and everything else walks it: the checks, the
-- flat table that the core takes. Misuse raises an error that names the option's full path. What is not given is left
-- out: the defaults are the core's (sync_options_init in src/options.c).

local filter = require "sync.filter"
local mode = require "sync.mode"
local persistence = require "sync.persistence"
local rollout = require "sync.rollout"
local stages = require "sync.stages"
local suggest = require "sync.suggest"
local violations = require "sync.violations"

local options = {}

local MODES = { auto = true, stream = true, poll = true, compare = true, off = true }
local DURABILITIES = { normal = true, full = true, off = true }
local GAP_IDS = { auto = true, dense = true, opaque = true }
local DECODES = { order = true, json = true, none = true }

-- Lua 5.1 has no integers: a whole number is one.
local function is_integer(value)
  return type(value) == "number" and value == math.floor(value) and value >= -2 ^ 53 and value <= 2 ^ 53
end

local function is_headers(given)
  for name, text in pairs(given) do
    if type(name) ~= "string" or (type(text) ~= "string" and type(text) ~= "number") then return false end
  end
  return true
end

-- What a kind accepts, and how it is called in a message.
local KINDS = {
  string = { "a string", function(value) return type(value) == "string" end },
  boolean = { "true or false", function(value) return type(value) == "boolean" end },
  integer = { "an integer", is_integer },
  duration = { "an integer (milliseconds)", is_integer },
  ["function"] = { "a function", function(value) return type(value) == "function" end },
  table = { "a table", function(value) return type(value) == "table" end },
  strings = { "a string or a list of strings", function(value)
    if type(value) == "string" then return true end
    if type(value) ~= "table" then return false end
    for index = 1, #value do
      if type(value[index]) ~= "string" then return false end
    end
    return #value > 0
  end },
  addresses = { "a table of host names and addresses", function(value)
    if type(value) ~= "table" then return false end
    for name, address in pairs(value) do
      if type(name) ~= "string" or type(address) ~= "string" then return false end
    end
    return true
  end },
  polling = { "a table, or false", function(value) return type(value) == "table" or value == false end },
  retry = { "a table, or false", function(value) return type(value) == "table" or value == false end },
  persistence = { "true, false, the path of a file or a table", function(value)
    return type(value) == "boolean" or type(value) == "table" or type(value) == "string" and value ~= ""
  end },
  durability = { "one of normal, full, off", function(value) return DURABILITIES[value] end },
  fixed_headers = { "a table of strings", function(value)
    return type(value) == "table" and is_headers(value)
  end },
  secret = { "a string or a function", function(value)
    return type(value) == "string" or type(value) == "function"
  end },
  headers = { "a table of strings or a function", function(value)
    return type(value) == "function" or type(value) == "table" and is_headers(value)
  end },
  idle = { "\"auto\" or an integer (milliseconds)", function(value) return value == "auto" or is_integer(value) end },
  mode = { "one of auto, stream, poll, compare, off, or a function", function(value)
    return MODES[value] or type(value) == "function"
  end },
  count = { "a whole number, 0 or more", function(value) return is_integer(value) and value >= 0 end },
  attempts = { "a whole number, 1 or more", function(value) return is_integer(value) and value >= 1 end },
  decode = { "one of order, json, none, or a function", function(value)
    return DECODES[value] or type(value) == "function"
  end },
  exhausted = { "\"probe\" or \"stop\"", function(value) return value == "probe" or value == "stop" end },
  ack = { "\"auto\" or \"manual\"", function(value) return value == "auto" or value == "manual" end },
  gap_ids = { "one of auto, dense, opaque", function(value) return GAP_IDS[value] end },
  profile = { "\"development\" or \"production\"", function(value)
    return value == "development" or value == "production"
  end },
}

-- name -> {kind, core = whether the core takes it as it is (nested: under which name), fields = nested names}
local SPEC = {
  url = { "strings", required = true },
  order_id = { "string" },
  event_types = { "strings" },
  last_event_id = { "string", core = true },
  mode = { "mode" },
  auto_connect = { "boolean" },
  auto_reconnect = { "boolean", core = true },
  max_reconnect_attempts = { "integer", core = true },
  reconnect_delay_ms = { "duration", core = true },
  max_reconnect_delay_ms = { "duration", core = true },
  stable_after_ms = { "duration", core = true },
  stream_retry_interval_ms = { "duration", core = true },
  on_exhausted = { "exhausted" },
  strict = { "boolean", core = true },
  heartbeat_interval_ms = { "duration", core = true },
  idle_timeout_ms = { "idle" },
  connect_timeout_ms = { "duration", core = true },
  event_history_limit = { "count", core = true },
  max_event_bytes = { "count", core = true },
  queue_limit = { "count", core = true },
  headers = { "headers" },
  token = { "secret" },
  method = { "string", core = true },
  body = { "string", core = true },
  max_redirects = { "count", core = true },
  duplicate_window = { "count", core = true },
  gap_ids = { "gap_ids", core = true },
  proxy = { "string", core = true },
  no_proxy = { "string", core = true },
  resolve = { "addresses" },
  unix_socket = { "string", core = true },
  http_version = { "string", core = true },
  accept_encoding = { "string", core = true },
  decode = { "decode" },
  profile = { "profile" },
  log = { "function" },
  tls = { "table", fields = {
    ca_file = { "string", core = "ca_file" },
    cert_file = { "string", core = "cert_file" },
    key_file = { "string", core = "key_file" },
    pinned_public_key = { "string", core = "pinned_public_key" },
    min_version = { "string", core = "tls_min_version" },
    insecure_skip_verify = { "boolean", core = "insecure_skip_verify" },
  } },
  fields = { "table", fields = {
    type = { "string", core = "field_type" },
    order_id = { "string", core = "field_order_id" },
    timestamp = { "string", core = "field_timestamp" },
    data = { "string", core = "field_data" },
  } },
  polling = { "polling", fields = {
    url = { "string", core = "poll_url" },
    fetch = { "function" },
    order_url = { "string", core = "poll_order_url" },
    interval_ms = { "duration", core = "poll_interval_ms" },
    timeout_ms = { "duration", core = "poll_timeout_ms" },
    headers = { "fixed_headers" },
    partial = { "boolean", core = "poll_is_partial" },
  } },
  compare = { "table", fields = {
    settle_ms = { "count" },
    ignore = { "strings" },
  } },
  max_snapshot_bytes = { "count", core = true },
  book_limit = { "count", core = true },
  stages = { "table" },
  violations = { "table" },
  persistence = { "persistence", fields = {
    path = { "string" },
    stream = { "string" },
    durability = { "durability" },
    required = { "boolean" },
    max_events = { "count" },
    max_bytes = { "count" },
    max_age_ms = { "duration" },
  } },
  dead_letter_limit = { "count", core = true },
  redact = { "strings" },
  ack = { "ack" },
  retry = { "retry", fields = {
    attempts = { "attempts" },
    delay_ms = { "count" },
    max_delay_ms = { "count" },
  } },
  rollout = { "table" },
}

local PROFILES = {
  development = { max_reconnect_attempts = 10, reconnect_delay_ms = 500, event_history_limit = 200 },
  production = { max_reconnect_attempts = 5, reconnect_delay_ms = 1000, event_history_limit = 50 },
}

local function names_of(spec)
  local names = {}
  for name in pairs(spec) do names[#names + 1] = name end
  table.sort(names)
  return names
end

local function fail(path, text, ...)
  error(("%s: " .. text):format(path, ...), 0)
end

local function describe(value)
  if type(value) == "string" then return ("%q"):format(value) end
  if type(value) == "number" or type(value) == "boolean" then return tostring(value) end
  return "a " .. type(value)
end

-- A C string ends at a NUL: what follows would be lost in silence. A body is counted bytes.
local function check_nul(path, name, value)
  if type(value) == "string" and name ~= "body" and value:find("\0", 1, true) then
    fail(path, "byte %d is a NUL, which it cannot hold", (value:find("\0", 1, true)))
  end
end

-- A value that an option may show in a message: secrets never.
local function shown(name, value)
  if name == "token" or name == "headers" or name == "body" then return "a " .. type(value) end
  return describe(value)
end

local function check_value(path, name, descriptor, value)
  local kind = KINDS[descriptor[1]]
  check_nul(path, name, value, descriptor[1])
  if not kind[2](value) then fail(path, "expected %s, got %s", kind[1], shown(name, value)) end
end

-- Checks every name and value of `given` against `spec`; `prefix` is the path to it ("tls.").
local function check_table(given, spec, prefix)
  for name, value in pairs(given) do
    local descriptor = spec[name]
    local path = prefix .. tostring(name)
    if not descriptor then fail(path, "unknown option%s", suggest.hint(tostring(name), names_of(spec))) end
    check_value(path, name, descriptor, value)
    if descriptor.fields and type(value) == "table" then check_table(value, descriptor.fields, path .. ".") end
  end
end

-- Tables are copied: what the caller does to his own later is not ours.
local function own(value)
  if type(value) ~= "table" then return value end
  local copy = {}
  for key, item in pairs(value) do copy[key] = item end
  return copy
end

-- What only one of the modules knows how to check.
local function check_parts(given)
  if given.stages then stages.check(given.stages) end
  if given.violations then violations.check(given.violations) end
  if given.rollout then rollout.check(given.rollout) end
  local polling = given.polling
  local sources = polling and (polling.url and 1 or 0) + (polling.fetch and 1 or 0)
  if sources == 2 or sources == 0 and not polling.order_url then
    fail("polling", "expected either a url or a fetch function")
  end
end

-- Names by which the engine finds an order, or its type: without them on disk nothing of it would be found again.
local function check_redacted(complete)
  local fields, redact = complete.fields or {}, complete.redact or {}
  local needed = {
    ["what orders are known by"] = fields.order_id or { "orderID", "orderId", "order_id" },
    ["the type of an event"] = fields.type or { "eventType", "event_type" },
  }
  for _, name in ipairs(type(redact) == "table" and redact or { redact }) do
    for what, names in pairs(needed) do
      if filter.means(names, name) then fail("redact", "%q is %s, and has to be kept", name, what) end
    end
  end
end

-- What was given, over the profile, over what was there before.
local function complete_with(given, base)
  local complete = {}
  for _, layer in ipairs { base or {}, PROFILES[given.profile] or {}, given } do
    for name, value in pairs(layer) do complete[name] = own(value) end
  end
  return complete
end

--- Checks what a user gave to sync.connect and completes it with its profile and with `base` (for configure: what was
--- given before).
---@param given table|string the options, or just the url
---@param base table|nil
---@return table complete
function options.check(given, base)
  if type(given) == "string" then given = { url = given } end
  if type(given) ~= "table" then
    error("sync.connect: expected a url or a table of options, got " .. describe(given), 0)
  end
  check_table(given, SPEC, "")
  check_parts(given)
  if not base and given.url == nil then fail("url", "required, for example \"http://127.0.0.1:8080\"") end
  local complete = complete_with(given, base)
  check_redacted(complete)
  return complete
end

-- {name = value} to {name, value, ...}, sorted, so that requests look the same every time.
local function header_list(headers, token)
  local list = {}
  for _, name in ipairs(names_of(headers)) do
    list[#list + 1] = name
    list[#list + 1] = tostring(headers[name])
  end
  if token then
    list[#list + 1] = "Authorization"
    list[#list + 1] = "Bearer " .. token
  end
  return list
end

-- A token that lasts no time, or for ever, need not be renewed.
local function checked_ttl(ttl_ms)
  if ttl_ms == nil or ttl_ms == math.huge then return nil end
  if type(ttl_ms) ~= "number" or ttl_ms ~= ttl_ms then
    fail("token", "the function gave a %s as the token's time to live, not milliseconds", type(ttl_ms))
  end
  return math.max(0, math.floor(ttl_ms))
end

--- The headers that only this connect has: what the functions say.
---@param complete table
---@return string[] list {name, value, ...}
---@return integer|nil ttl_ms how long the token is good for; nil: without end
function options.asked_headers(complete)
  local headers, token, ttl_ms = {}, nil, nil
  if type(complete.headers) == "function" then
    headers = complete.headers() or {}
    if not KINDS.headers[2](headers) or type(headers) == "function" then
      fail("headers", "the function gave %s, not a table of strings", shown("headers", headers))
    end
  end
  if type(complete.token) == "function" then
    token, ttl_ms = complete.token()
    if token ~= nil and type(token) ~= "string" then
      fail("token", "the function gave a %s, not a string", type(token))
    end
  end
  return header_list(headers, token), checked_ttl(ttl_ms)
end

--- Whether headers have to be asked for before every connect.
---@param complete table
---@return boolean
function options.asks(complete)
  return type(complete.headers) == "function" or type(complete.token) == "function"
end

-- A filter that asks for anything is none; so one can be taken away again.
local function some(text)
  return text ~= "*" and text ~= "" and text or nil
end

-- The first url, and those behind it.
local function split_urls(url)
  if type(url) == "string" then return url, nil end
  local rest = {}
  for index = 2, #url do rest[#rest + 1] = url[index] end
  return url[1], rest
end

--- The url that is tried first.
---@param complete table
---@return string
function options.first_url(complete)
  return (split_urls(complete.url))
end

-- {host = address} to {"host=address", ...}
local function resolve_list(addresses)
  local list = {}
  for _, name in ipairs(names_of(addresses or {})) do list[#list + 1] = name .. "=" .. addresses[name] end
  return list
end

--- The flat table that the core takes.
---@param complete table
---@param gated boolean every event passes through Lua before anybody gets it
---@return table
function options.flatten(complete, gated)
  local flat = {}
  for name, descriptor in pairs(SPEC) do
    if descriptor.core then flat[name] = complete[name] end
  end
  for _, group in ipairs { "tls", "fields", "polling" } do
    for name, value in pairs(complete[group] or {}) do
      local place = SPEC[group].fields[name].core
      if place then flat[place] = value end
    end
  end
  local polling = complete.polling or {}
  flat.poll_by_host = polling.fetch ~= nil
  flat.poll_headers = header_list(polling.headers or {})
  flat.mode = mode.of(complete)
  flat.url, flat.fallback_urls = split_urls(complete.url)
  flat.resolve = resolve_list(complete.resolve)
  local types = complete.event_types
  flat.order_id = some(complete.order_id)
  flat.event_types = some(type(types) == "table" and table.concat(types, ",") or types)
  flat.idle_timeout_ms = complete.idle_timeout_ms ~= "auto" and complete.idle_timeout_ms or nil
  persistence.flatten(flat, complete.persistence, flat.url)
  flat.redact = type(complete.redact) == "string" and { complete.redact } or complete.redact
  flat.manual_ack = complete.ack == "manual"
  flat.stop_when_exhausted = complete.on_exhausted == "stop"
  flat.auto_connect = complete.auto_connect ~= false and flat.mode ~= "off"
  flat.ask_headers = options.asks(complete)
  local decodes = type(complete.decode) == "function"
  flat.decoded_by_host = decodes or gated
  flat.decode = decodes and "none" or complete.decode
  flat.headers = header_list(type(complete.headers) == "table" and complete.headers or {},
    type(complete.token) == "string" and complete.token or nil)
  return flat
end

return options
