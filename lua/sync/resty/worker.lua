-- ordersync in one worker process of nginx: what wakes it, whether it holds the stream, when it ends.
--
-- A light thread reads the waker's socket (src/waker.c) and does what is due, a budget's worth at a time. Another one
-- hands events to handlers (reader.lua); requests that serve browsers wait for the same news. A timer beats: leases
-- are renewed, and since nginx ends timers first when a worker is to exit, it is also what tells us.

local bells = require "sync.resty.bells"
local book = require "sync.resty.book"
local buffer = require "string.buffer"
local core = require "sync.core"
local holder = require "sync.resty.holder"
local lease = require "sync.resty.lease"
local loop = require "sync.loop"
local reader = require "sync.resty.reader"
local ring = require "sync.resty.ring"
local semaphore = require "ngx.semaphore"

local cpu_ms = require "sync.resty.cpu".thread_ms

-- Time of one turn: other requests wait that long at most, and a burst still moves.
local BUDGET_MS = 0.5

-- While the slowest reader holds everybody back, or orders are copied, there is no hurry.
local HELD_BACK_MS = 1

-- Parts of `lease_ms`, within which another worker must be at it: a lease lasts 4 of 6, and is tried for once in 1.
local PARTS, LASTS_PARTS = 6, 4

-- The socket is told to wait for as long as sockets can.
local FOR_EVER_MS = 2 ^ 31 - 1
local CONNECT_MS = 2000

-- Whoever waits for the exit waits again after so long.
local PATIENCE_S = 3600

-- A turn takes longer only where a token or headers function of the user's waits for something.
local LONGEST_TURN_S = 0.01

---@class sync.resty.Worker
---@field dict table
---@field ring sync.resty.Ring
---@field book sync.resty.Book
---@field audience sync.resty.Audience
---@field clock_ms fun(): integer
---@field exiting boolean
---@field browsers integer event streams that are served
---@field resyncs integer times that a browser was told to ask for everything again
---@field private loop sync.Loop
---@field private waker userdata
---@field private bells sync.resty.Bells
---@field private lease sync.resty.Lease of the stream
---@field private place sync.resty.Lease of the reader's number
---@field private holder sync.resty.Holder|nil this worker holds the stream
---@field private news table a semaphore
---@field private turns table a semaphore: the next turn
---@field private exit table a semaphore
---@field private reading table a semaphore: the reader has ended
---@field private seen integer the head of the ring when news were told last
---@field private next_attempt_ms integer
---@field private turn_count integer
---@field private longest_turn_ms number of processor time
local Worker = {}
Worker.__index = Worker

local worker = {}

-- ---- news -----------------------------------------------------------------------------------------------------------

--- Waits until something is new, or the time is over, or the worker exits.
---@param timeout_s number
function Worker:await_news(timeout_s)
  self.news:wait(timeout_s)
end

local function release(waiting_for)
  local waiting = -waiting_for:count()
  if waiting > 0 then waiting_for:post(waiting) end
end

--- Waits until the worker exits.
function Worker:await_exit()
  while not self.exiting do self.exit:wait(PATIENCE_S) end
end

--- Lets other requests have their turn. (nginx as Debian has it sleeps no shorter than a millisecond.)
function Worker:give_way()
  if self.exiting then return end
  self.waker:ring(self.waker:name())
  self.turns:wait(LONGEST_TURN_S)
end

-- Others' news are known by the ring's head and by how the stream is.
local function tell_if_new(self)
  local head, state = self.ring:head(self.seen), self.dict:get "states"
  if head == self.seen and state == self.states then return end
  self.seen, self.states = head, state
  release(self.news)
end

-- ---- holding the stream ---------------------------------------------------------------------------------------------

-- After what should not happen: not at once again.
local function rest(self, text)
  ngx.log(ngx.ERR, "ordersync: the stream is given up, for a while: ", text)
  self.lease:release()
  self.next_attempt_ms = self.clock_ms() + self.lease.ttl_ms
end

local function begin_to_hold(self)
  if self.clock_ms() < self.next_attempt_ms or not self.lease:acquire() then return false end
  local ok, made, message = pcall(holder.new, {
    dict = self.dict, ring = self.ring, book = self.book, loop = self.loop, lease = self.lease, given = self.given,
  })
  if not (ok and made) then
    rest(self, message or made)
    return false
  end
  self.holder = made
  self.dict:incr("takeovers", 1, 0)
  return true
end

local function stop_holding(self)
  self.holder:close()
  self.holder = nil
  self.lease:release()
end

local function step_holder(self)
  local read = reader.slowest(self.dict)
  local ok, more, told = xpcall(function() return self.holder:step(BUDGET_MS, read) end, debug.traceback)
  if ok then return more, told end
  stop_holding(self)
  rest(self, more)
  return false, true
end

-- One turn. When the next one is due, in ms; -1: when something happens.
local function take_turn(self)
  if self.holder and not self.lease:is_held() then stop_holding(self) end
  local more, told = false, false
  if self.holder or begin_to_hold(self) then more, told = step_holder(self) end
  if told then self.bells:ring() end
  tell_if_new(self)
  release(self.turns)
  if not more then return -1 end
  return told and 0 or HELD_BACK_MS
end

-- A turn, and a note of the longest: that is what other requests wait for.
local function turn(self)
  local began = cpu_ms()
  local due_ms = take_turn(self)
  self.turn_count = self.turn_count + 1
  self.longest_turn_ms = math.max(self.longest_turn_ms, cpu_ms() - began)
  return due_ms
end

-- ---- the life of a worker -------------------------------------------------------------------------------------------

local function report(self)
  self.dict:safe_set("worker:" .. self.bells.number, buffer.encode {
    pid = ngx.worker.pid(), id = ngx.worker.id(), browsers = self.browsers, resyncs = self.resyncs,
    failures = self.audience.failures, position = self.reader.position, missed = self.reader.missed,
    lua_bytes = collectgarbage "count" * 1024, turns = self.turn_count, longest_turn_s = self.longest_turn_ms / 1000,
  }, self.lease.ttl_ms / 1000)
end

local function beat(self)
  if self.exiting then return end
  if self.holder and self.lease:renew() then self.holder:tell_health() end
  if self.reader.position then self.place:renew() end
  self.bells:renew()
  report(self)
  self.waker:ring(self.waker:name()) -- a turn: the stream may be free to be taken
end

local function finish(self)
  self.exiting = true
  if self.holder then stop_holding(self) end
  self.bells:remove()
  self.dict:delete("worker:" .. self.bells.number)
  self.bells:ring() -- somebody else may take the stream
  for _, waiting_for in ipairs { self.news, self.turns, self.exit } do release(waiting_for) end
end

local function connect(self)
  local socket = ngx.socket.tcp()
  socket:settimeouts(CONNECT_MS, CONNECT_MS, FOR_EVER_MS)
  assert(socket:connect("unix:" .. self.waker:path()))
  return socket
end

local function turn_until_exit(self)
  local socket = connect(self)
  while not self.exiting do
    assert(self.waker:arm(turn(self)))
    local got, problem = socket:receiveany(64)
    if not got and problem ~= "timeout" then error("the waker's socket: " .. problem) end
  end
  socket:close()
end

local function read(self)
  local ok, message = xpcall(function() self.reader:run() end, debug.traceback)
  if not ok then
    ngx.log(ngx.ERR, "ordersync: the handlers of this worker get no more events: ", message)
    self.place:release() -- or it would hold the stream back
  end
  self.reading:post(1)
end

-- The event that a handler is at when the worker exits is this worker's: its successor has to wait for the place.
local function await_reader(self)
  while not self.reading:wait(self.place.ttl_ms / 2000) do self.place:renew() end
end

local function run(self)
  ngx.thread.spawn(read, self)
  local ok, message = xpcall(function() turn_until_exit(self) end, debug.traceback)
  if not ok then ngx.log(ngx.ERR, "ordersync: this worker stops working: ", message) end
  finish(self)
  await_reader(self)
  self.waker:close()
end

local function set_timers(self, beat_ms)
  local ok, problem = ngx.timer.at(0, function(premature)
    if not premature then return run(self) end
    finish(self)
    self.waker:close()
  end)
  if ok then
    ok, problem = ngx.timer.every(beat_ms / 1000, function(premature)
      if not premature then return beat(self) end
      self.exiting = true
      self.waker:ring(self.waker:name()) -- a last turn
    end)
  end
  if not ok then return nil, "SYSTEM: nginx gives no timer: " .. problem, "SYSTEM" end
  return self
end

local function new(config, audience, engine_loop, waker)
  local dict, given, number = config.dict, config.given, ngx.worker.id()
  local ttl_ms = config.lease_ms * LASTS_PARTS / PARTS
  local function clock_ms() return engine_loop:clock_ms() end
  local self = setmetatable({
    dict = dict, given = given, audience = audience, loop = engine_loop, waker = waker, clock_ms = clock_ms,
    ring = ring.new(dict, config.replay_limit, given.fields and given.fields.data or "data"),
    bells = bells.new(dict, waker, ttl_ms),
    lease = lease.new(dict, "lease:stream", waker:name(), ttl_ms, clock_ms),
    place = lease.new(dict, "lease:worker:" .. number, waker:name(), ttl_ms, clock_ms),
    news = semaphore.new(), turns = semaphore.new(), exit = semaphore.new(),
    reading = semaphore.new(),
    seen = -1, exiting = false, browsers = 0, resyncs = 0, next_attempt_ms = 0, turn_count = 0,
    longest_turn_ms = 0,
  }, Worker)
  self.book = book.reader(dict, self.ring, function() return self:health() end)
  reader.reserve_places(dict, self.ring:head(), ttl_ms)
  self.reader = reader.new(self, self.place, number)
  audience.ring = self.ring
  return self
end

--- Begins. Nothing can be waited for in init_worker, so everything else is done when that is over.
---@param config {dict: table, replay_limit: integer, lease_ms: integer, given: table} `given`: complete options
---@param audience sync.resty.Audience
---@return sync.resty.Worker|nil, string|nil message, string|nil code
function worker.start(config, audience)
  local engine_loop = loop.new(assert(core.loop()))
  local waker, message, code = core.waker(engine_loop:fd())
  if not waker then return nil, message, code end
  return set_timers(new(config, audience, engine_loop, waker), config.lease_ms / PARTS)
end

-- ---- what anybody may ask -------------------------------------------------------------------------------------------

-- Nobody holds the stream: what was written last is how it was.
local function bereft(health)
  health.state, health.status = "reconnecting", "connecting"
  health.is_connected, health.is_connecting, health.is_polling_fallback, health.stale = false, true, false, true
  health.uptime_ms, health.complete = 0, false
  return health
end

--- What the holder wrote last, or nil: there has been none.
---@return {health: table, metrics: table, at: integer, left_out: integer}|nil
function Worker:state()
  local text = self.dict:get "state"
  return text and buffer.decode(text)
end

--- How the stream is, whichever worker holds it; no I/O. The fields of client:health(), and `holder`, the pid of the
--- worker that holds it, or nil.
---@return table
function Worker:health()
  local state, token = self:state(), self.lease:holder()
  if not state then
    return bereft { total_events = 0, total_reconnects = 0, open_gaps = 0, latency_ms = { p50 = 0, p99 = 0 } }
  end
  local health = state.health
  if health.data_age_ms then health.data_age_ms = health.data_age_ms + math.max(0, self.loop:wall_ms() - state.at) end
  if not token then return bereft(health) end
  health.holder = lease.pid_of(token)
  return health
end

--- What the workers report, in the order in which they came.
---@return table[]
function Worker:reports()
  local reports = {}
  for _, number in ipairs(self.bells:numbers()) do
    local text = self.dict:get("worker:" .. number)
    if text then reports[#reports + 1] = buffer.decode(text) end
  end
  return reports
end

return worker
