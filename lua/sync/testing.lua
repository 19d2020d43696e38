-- A client for the specs of programs that use ordersync: the real one, without network and disk, on a clock of its own.
-- The spec plays the server and says how much time has passed; what follows has happened when its call returns.
--
--   local mock = require("sync.testing").new()
--   local kitchen = require("kitchen").start(mock.client)
--   mock:emit { type = "order_created", order_id = "ORDER-1" }
--   mock:drop()
--   mock:advance(30000)
--
-- Each mock has a loop of its own: nobody else's clients or timers are part of it. docs/testing-your-code.md shows more.

local client = require "sync.client"
local core = require "sync.core"
local encode = require "sync.encode"
local options = require "sync.options"
local played = require "sync.testing.played"
local wire = require "sync.testing.wire"

local testing = {}

-- Nobody is asked there.
local URL = "http://orders.test"

---@class sync.testing.Request
---@field number integer 1 for the mock's first
---@field url string
---@field headers table<string, string> of the options, and of this connect; as they were given
---@field last_event_id string|nil
---@field renewal boolean the stream before it is still open
---@field poll boolean for a snapshot
---@field at integer milliseconds since the epoch

---@class sync.testing.Answer what a connect gets
---@field hang boolean|nil nothing
---@field code sync.Code|nil it breaks off
---@field status integer|nil
---@field content_type string|nil
---@field location string|nil
---@field retry_after_ms integer|nil
---@field body string|nil
---@field times number how many connects get it

---@class sync.Mock
---@field client sync.Client
---@field requests sync.testing.Request[] what was asked so far, oldest first
---@field errors sync.Error[] what was told so far, oldest first; those of handlers too, for they are caught
---@field private loop sync.testing.Loop
---@field private plan sync.testing.Answer[] for the connects to come; behind them each is accepted
---@field private recorded table<integer, true> by number of the request
---@field private held integer|nil the request that gets no answer
---@field private polled sync.testing.Answer
local Mock = {}
Mock.__index = Mock

local function misuse(method, text, ...)
  error(("mock:%s: " .. text):format(method, ...), 3)
end

-- ---- the server ----------------------------------------------------------------------------------------------------

local function play(self, answer)
  self.held = nil
  if answer.code then return self.client.core:played_end(answer.code) end
  self.client.core:played_response(answer.status, answer.content_type, answer.location, answer.retry_after_ms, answer.body)
end

-- As the server greets: the client knows that the stream is not only open but brings something.
local function accepted(self)
  local now = self:now()
  local data = { clientId = "mock", timestamp = wire.timestamp(now), message = "SSE connection established" }
  return { status = 200, content_type = "text/event-stream", body = wire.message("connected", data) }
end

local function planned(self)
  local answer = self.plan[1]
  if not answer then return accepted(self) end
  answer.times = answer.times - 1
  if answer.times < 1 then table.remove(self.plan, 1) end
  return answer
end

local function record(self, request)
  if self.recorded[request.number] then return end
  self.recorded[request.number] = true
  request.at = self:now()
  table.insert(self.requests, request)
end

-- Answers the request that waits, if one does and may be answered.
local function answer_request(self)
  local request = self.client.core and self.client.core:played_request()
  if not request then
    self.held = nil
    return false
  end
  record(self, request)
  if request.poll then
    local held = self.held
    play(self, self.polled)
    self.held = held
    return true
  end
  if request.number == self.held then return false end
  local answer = planned(self)
  if not answer.hang then
    play(self, answer)
    return true
  end
  self.held = request.number
  return false
end

-- For the connect that hangs, if one does, and for those to come.
local function respond(self, answer)
  if self.held then self.loop:settle() end
  if self.held and not answer.hang then
    play(self, answer)
    answer.times = answer.times - 1
  end
  if answer.times >= 1 then table.insert(self.plan, answer) end
  self.loop:settle()
end

-- ---- what connects get ---------------------------------------------------------------------------------------------

-- A copy of what was given, with known names only.
local function checked(method, given, names)
  if given ~= nil and type(given) ~= "table" then
    error(("mock:%s: expected a table of options, got a %s"):format(method, type(given)), 4)
  end
  local answer = { times = 1 }
  for name, value in pairs(given or {}) do
    if type(value) ~= names[name] then
      error(("mock:%s: %s: %s"):format(method, tostring(name),
        names[name] and "expected a " .. names[name] or "unknown option"), 4)
    end
    answer[name] = value
  end
  return answer
end

local STATUS_NAMES = {
  retry_after_ms = "number", location = "string", body = "string", content_type = "string", times = "number",
}

local function begin(self, method, given, names)
  if not self.client.core then error(("mock:%s: the client is closed"):format(method), 3) end
  return checked(method, given, names)
end

--- The next connect, or the one that waits, gets this status. With 200 the stream is open and has brought nothing yet but
--- `body`.
---@param status integer
---@param given? {retry_after_ms: integer?, location: string?, body: string?, content_type: string?, times: number?}
--- `times`: how many connects get it; default 1, math.huge: all until accept()
function Mock:status(status, given)
  if type(status) ~= "number" then misuse("status", "expected a number, got a %s", type(status)) end
  local answer = begin(self, "status", given, STATUS_NAMES)
  answer.status = status
  if status == 200 and not answer.content_type then answer.content_type = "text/event-stream" end
  respond(self, answer)
end

--- The next connect, or the one that waits, fails: as if nobody listened, or with another code of docs/errors.md.
---@param given? {code: sync.Code|nil, times: number|nil}
function Mock:refuse(given)
  local answer = begin(self, "refuse", given, { code = "string", times = "number" })
  answer.code = answer.code or "REFUSED"
  if not core.codes[answer.code] then misuse("refuse", "'%s' is no code", answer.code) end
  respond(self, answer)
end

--- The next connect gets no answer, until status(), refuse() or accept() gives one.
---@param given? {times: number|nil}
function Mock:hang(given)
  local answer = begin(self, "hang", given, { times = "number" })
  answer.hang = true
  respond(self, answer)
end

--- What was planned is off: from now on every connect is accepted, and the one that waits is.
function Mock:accept()
  begin(self, "accept")
  self.loop:settle()
  self.plan = {}
  if self.held then play(self, accepted(self)) end
  self.loop:settle()
end

--- What polls by url are answered with from now on: orders, the JSON text of a snapshot, or the status of a failure. nil,
--- as at first: nothing is new (304).
---@param given table[]|string|integer|nil
function Mock:snapshot(given)
  begin(self, "snapshot")
  if type(given) == "number" then
    self.polled = { status = given }
  elseif given == nil then
    self.polled = { status = 304 }
  else
    local json = type(given) == "string" and given or encode(given)
    self.polled = { status = 200, content_type = "application/json", body = json }
  end
end

-- ---- the stream ----------------------------------------------------------------------------------------------------

local function send(self, method, text)
  begin(self, method)
  self.loop:settle()
  if self.client.core and not self.client.core:played_bytes(text) then
    error(("mock:%s: no stream is open, the client is %s"):format(method, self.client:health().state), 3)
  end
  self.loop:settle()
end

local EVENT_FIELDS = { type = true, order_id = true, data = true, id = true, timestamp = true }

local function check_line(name, value)
  if type(value) ~= "string" then misuse("emit", "%s: expected a string, got a %s", name, type(value)) end
  if value:find "[\r\n%z]" then misuse("emit", "%s: a line cannot hold a line's end or a NUL", name) end
end

--- An event of the order wire. Its handlers have run when this returns.
---@param event {type: string, order_id: string|nil, data: any, id: string|nil, timestamp: string|nil}
--- `data`: what JSON has; `timestamp`: default now
function Mock:emit(event)
  if type(event) ~= "table" then misuse("emit", "expected an event, got a %s", type(event)) end
  for name in pairs(event) do
    if not EVENT_FIELDS[name] then misuse("emit", "%s: unknown field", tostring(name)) end
  end
  check_line("type", event.type)
  if event.id ~= nil then check_line("id", event.id) end
  send(self, "emit", wire.order({
    type = event.type, order_id = event.order_id, data = event.data, id = event.id,
    timestamp = event.timestamp or wire.timestamp(self:now()),
  }, self.client.options.fields))
end

--- Bytes of the stream as they are: half an event, bad JSON, `retry:`.
---@param text string
function Mock:send(text)
  if type(text) ~= "string" then misuse("send", "expected a string, got a %s", type(text)) end
  send(self, "send", text)
end

--- A comment, as some servers send to keep the connection open.
---@param text? string
function Mock:comment(text)
  send(self, "comment", wire.comment(text or "keep-alive"))
end

--- A heartbeat, as the order server sends every 30 s. None comes by itself: a stream that is silent for idle_timeout_ms of
--- advance() counts as dead.
function Mock:heartbeat()
  send(self, "heartbeat", wire.message("heartbeat", { timestamp = wire.timestamp(self:now()), activeConnections = 1 }))
end

local function cut(self, method, code)
  begin(self, method)
  if not core.codes[code] then error(("mock:%s: '%s' is no code"):format(method, tostring(code)), 3) end
  self.loop:settle()
  if self.client.core and not self.client.core:played_end(code) then
    error(("mock:%s: no stream is open, the client is %s"):format(method, self.client:health().state), 3)
  end
  self.loop:settle()
end

--- The connection is lost. The client comes back when its wait is over: advance().
---@param code? sync.Code default STREAM_CUT
function Mock:drop(code)
  cut(self, "drop", code or "STREAM_CUT")
end

--- The server ends the stream, as HTTP wants it.
function Mock:finish()
  cut(self, "finish", "STREAM_ENDED")
end

-- ---- time ----------------------------------------------------------------------------------------------------------

--- Lets time pass. Whatever is due on the way happens, each thing at its time: reconnects, timeouts, polls, timers.
---@param ms? integer milliseconds; default 0: what is due now
function Mock:advance(ms)
  begin(self, "advance")
  ms = ms or 0
  if type(ms) ~= "number" or ms < 0 or ms ~= math.floor(ms) or ms >= 2 ^ 53 then
    misuse("advance", "expected milliseconds, a whole number, got %s", tostring(ms))
  end
  self.loop:advance(ms)
end

--- Milliseconds since the epoch on the mock's clock, which begins at midnight, 1 January 2026, UTC.
---@return integer
function Mock:now()
  if self.loop.over then return self.ended_at end
  return self.loop:wall_ms()
end

-- ---- made and ended ------------------------------------------------------------------------------------------------

--- A client and the server that the spec plays to it. The first connect is accepted by the first call that follows: until
--- then the spec may say otherwise.
---@param given? table options of sync.connect; `url` may be left out
---@return sync.Mock
function testing.new(given)
  local own = { url = URL }
  for name, value in pairs(given or {}) do own[name] = value end
  local ok, complete = pcall(options.check, own)
  if not ok then error(complete, 2) end
  local self = setmetatable({ requests = {}, errors = {}, plan = {}, recorded = {}, polled = { status = 304 } }, Mock)
  self.loop = played.new(function() return answer_request(self) end)
  local made, message = client.new(complete, self.loop)
  if not made then
    self.loop:close()
    error(message, 2)
  end
  self.client = made
  made:on_error(function(problem) table.insert(self.errors, problem) end)
  return self
end

--- Ends the client and everything that the mock holds. Again does nothing.
function Mock:close()
  if self.loop.over then return end
  self.ended_at = self:now()
  self.client:close()
  self.loop:close()
end

Mock.__close = Mock.close

return testing
