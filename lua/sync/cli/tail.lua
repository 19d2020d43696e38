--- `ordersync tail`: follows a stream and tells of each event, until it is stopped, has enough, or cannot go on.
-- Events go to standard output; states and problems too with --json, and to standard error without, so that
-- `ordersync tail URL | grep ...` is about events. How they are told is the matter of `line` and `ndjson`.

local host = require "sync.cli.host"
local line = require "sync.cli.line"
local ndjson = require "sync.cli.ndjson"
local signals = require "sync.cli.signals"
local sync = require "sync"
local terminal = require "sync.cli.terminal"
local uv = require "luv"

local tail = {}

-- Somebody is watching: two minutes, the client's own period, would look like having gone deaf.
local PROBE_INTERVAL_MS = 30000

---@class sync.cli.Tail
---@field exit_code integer|nil nil: it goes on
local Tail = {}
Tail.__index = Tail

local function list_or_nil(list)
  return #list > 0 and list or nil
end

-- The client itself never gives up for good. Here it does as long as it has never been connected, which is a wrong
-- address more often than an outage, or when the user has set a limit.
local function client_options(arguments)
  return {
    url = arguments.url,
    order_id = #arguments.order == 1 and arguments.order[1] or nil, -- the server can filter for one order, or none
    event_types = list_or_nil(arguments.type),
    last_event_id = arguments.since_id,
    headers = arguments.header,
    token = arguments.token,
    decode = arguments.decode,
    auto_reconnect = not arguments.no_reconnect,
    max_reconnect_attempts = arguments.retries,
    on_exhausted = "stop",
    stream_retry_interval_ms = PROBE_INTERVAL_MS,
  }
end

function Tail:tell(kind, ...)
  if self.arguments.json then return self.out:write(ndjson[kind](...)) end
  if kind == "event" or kind == "comment" then return self.out:line(line[kind](...)) end
  self.out:flush() -- on a terminal both are one text
  self.errors:line(line[kind](...))
  self.errors:flush()
end

function Tail:take_event(event)
  self:tell("event", event, self.arguments.decode)
  self.count = self.count + 1
  if self.count == self.arguments.count then self:finish(0) end
end

-- An error without a next attempt in sight is the end.
function Tail:check_health()
  local health = self.client:health()
  if health.state ~= "error" or health.next_retry_at then return end
  local last = health.error
  -- A person has just read it; who reads JSON is told in words as well.
  self:finish(1, self.arguments.json and last and ("%s: %s"):format(last.code, last.message) or nil)
end

function Tail:take_problem(problem)
  self:tell("problem", problem)
  if self.state == "error" then self:check_health() end
end

function Tail:take_state(state, previous)
  self.state = state
  self:tell("state", state, previous)
  if state == "connected" and not self.arguments.has_limit then self.client:configure { on_exhausted = "probe" } end
  if state == "error" then self:check_health() end
end

function Tail:finish(exit_code, message)
  if self.exit_code then return end
  self.exit_code, self.message = exit_code, message
  self.client:close()
  for _, release in ipairs(self.releases) do release() end
end

function Tail:flush()
  if self.out:flush() then return end
  if self.out.is_gone then return self:finish(0) end
  self:finish(1, "cannot write: " .. self.out.failure)
end

-- Those of the connection's own events that no filter asks for anyway.
local function housekeeping(types)
  local is_named = {}
  for _, name in ipairs(types) do is_named[name] = true end
  local missing = {}
  for _, name in ipairs { "connected", "heartbeat" } do
    if not is_named[name] then missing[#missing + 1] = name end
  end
  return list_or_nil(missing)
end

function Tail:listen()
  local arguments, client = self.arguments, self.client
  client:on_state(function(state, previous) self:take_state(state, previous) end)
  client:on_error(function(problem) self:take_problem(problem) end)
  client:subscribe(function(event) self:take_event(event) end, {
    order_id = list_or_nil(arguments.order), event_types = list_or_nil(arguments.type),
  })
  if not arguments.all then return end
  client:on_comment(function(comment) self:tell("comment", comment) end)
  local names = housekeeping(arguments.type)
  if names then client:on_event(names, function(event) self:tell("event", event, arguments.decode) end) end
end

---Run the command.
---@param arguments table what the command line says
---@return integer exit_code 0: stopped, or has enough; 1: could not connect, or gave up; 2: wrong usage
---@return string|nil message
function tail.run(arguments)
  local client, message = sync.connect(client_options(arguments))
  if not client then return 2, message end
  local self = setmetatable({
    arguments = arguments, client = client, count = 0,
    out = terminal.output(arguments.color), errors = terminal.errors(arguments.color),
  }, Tail)
  self:listen()
  self.releases = {
    host.attach(function() self:flush() end),
    signals.watch(function() self:finish(0) end),
  }
  uv.run()
  self:flush()
  return self.exit_code, self.message
end

return tail
