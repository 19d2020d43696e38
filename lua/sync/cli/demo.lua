--- `ordersync demo`: a shop, a server and a client in one terminal, and a server that is killed on the way.
-- The server is another process, killed by SIGKILL; what it had published is in its ring's file, from which the next one
-- replays. Nothing is counted that was not answered for by the server or handed to a handler by the client.

local child = require "sync.cli.child"
local host = require "sync.cli.host"
local line = require "sync.cli.line"
local publisher = require "sync.cli.publisher"
local ring = require "sync.server.ring"
local ring_file = require "sync.server.ring_file"
local signals = require "sync.cli.signals"
local simulate = require "sync.server.simulate"
local sync = require "sync"
local tally = require "sync.cli.tally"
local terminal = require "sync.cli.terminal"
local uv = require "luv"

local demo = {}

-- Slow enough to be watched, over in a few seconds. More than a thousand events come in handfuls instead.
local STEP_MS, STEPS_MOST = 20, 1000
-- How long the server stays away: some attempts to reconnect fail.
local DOWN_MS = 500
-- Nothing happens for so long only if something is broken.
local PATIENCE_MS = 15000

local CLOSING_LINE = "sent %d, received %d, lost %d, duplicated %d, out of order %d, reconnects %d, longest outage %d ms"

---@class sync.cli.Demo
local Demo = {}
Demo.__index = Demo

local function start_timer(delay_ms, repeat_ms, fn)
  local timer = uv.new_timer()
  uv.timer_start(timer, delay_ms, repeat_ms, fn)
  return timer
end

local function stop_timer(timer)
  if timer and not uv.is_closing(timer) then uv.close(timer) end
end

-- A port that stays ours while the server is away: bound, but not listening, so that connecting to it is refused.
local function reserve_port()
  local socket = uv.new_tcp()
  assert(uv.tcp_bind(socket, "127.0.0.1", 0))
  return socket, assert(uv.tcp_getsockname(socket)).port
end

function Demo:say(what, style, detail)
  self.out:line(line.notice(what, style, detail))
  self:flush()
end

function Demo:flush()
  if not self.out:flush() then self:finish() end
end

-- The server ---------------------------------------------------------------------------------------------------------

function Demo:start_server()
  local message
  self.server, message = child.start {
    program = self.program, port = self.port, ring_file = self.ring_path, replay_limit = self.events,
    on_ready = function() self:server_is_up() end,
    on_exit = function() self:server_is_gone() end,
  }
  if self.server then return end
  self:fail(message)
end

function Demo:server_is_up()
  if self.is_over then return end
  self.is_up = true
  self.shop:connect()
  if not self.client then self:connect() end
  self:say(("server started, process %d"):format(self.server.pid), "magenta")
end

-- The kills divide the events evenly.
function Demo:next_kill_at()
  return math.ceil(self.events * (self.kills_done + 1) / (self.kills + 1))
end

-- What has gathered while the server was away must not all go out before the next kill: half of what lies between two
-- kills is let out beyond it, so that it meets a server at work.
function Demo:allow_events()
  if self.kills_done == self.kills then return self.shop:allow(self.events) end
  local at = self:next_kill_at()
  self.shop:allow(at + math.floor(self.events / (self.kills + 1) / 2))
end

function Demo:kill_server()
  self.kills_done, self.is_up, self.is_killing = self.kills_done + 1, false, true
  self.server:kill()
  self:allow_events()
  self:say(("server killed: SIGKILL to process %d"):format(self.server.pid), "alarm")
end

function Demo:server_is_gone()
  if self.is_over then return end
  if not self.is_killing then return self:fail("the server ended by itself") end
  self.is_killing = false
  self.shop:disconnect()
  local record = ring.new(0, self.events)
  local ok, message = ring_file.load(self.ring_path, record)
  if not ok then return self:fail(message) end
  self.shop:settle(record)
  self.restart_timer = start_timer(DOWN_MS, 0, function()
    stop_timer(self.restart_timer)
    self:start_server()
  end)
end

-- The client ---------------------------------------------------------------------------------------------------------

function Demo:connect()
  self.client = assert(sync.connect {
    url = ("http://127.0.0.1:%d"):format(self.port),
    reconnect_delay_ms = 100, max_reconnect_delay_ms = 400, max_reconnect_attempts = 1000,
  })
  self.client:on_state(function(state) self:take_state(state) end)
  self.client:on_error(function(problem) self.out:line(line.problem(problem)) end)
  self.client:subscribe(function(event) self:take_event(event) end)
  self.release_host = host.attach(function() self:flush() end)
end

function Demo:take_state(state)
  self.out:line(line.state(state))
  local now_ms = uv.hrtime() / 1e6
  if state ~= "connected" then
    self.away_since_ms = self.away_since_ms or self.is_moving and now_ms
    return
  end
  if self.away_since_ms then
    self.longest_outage_ms = math.max(self.longest_outage_ms, now_ms - self.away_since_ms)
    self.away_since_ms = nil
  end
  if not self.is_moving then self:start_shop() end
end

function Demo:take_event(event)
  self.out:line(line.event(event, "order"))
  self.tally:add_received(event.id)
  self:progress()
  if self.is_over then return end
  local is_due = self.kills_done < self.kills and self.tally.received >= self:next_kill_at()
  if is_due and self.is_up then self:kill_server() end
end

-- The shop -----------------------------------------------------------------------------------------------------------

-- Orders move whether the server is there or not; the shop keeps what it cannot post.
function Demo:start_shop()
  self.is_moving = true
  local orders = simulate.new(function(spec)
    if self.shop.queued < self.events then self.shop:post(spec) end
  end, { orders = 5, seed = 1 })
  local steps = math.ceil(self.events / STEPS_MOST)
  self.step_timer = start_timer(0, STEP_MS, function()
    for _ = 1, steps do orders:step() end
    if self.shop.queued == self.events then stop_timer(self.step_timer) end
  end)
end

-- The end ------------------------------------------------------------------------------------------------------------

function Demo:progress()
  uv.timer_again(self.patience)
  if self.tally.sent == self.events and self.tally.matched == self.events then self:finish() end
end

function Demo:fail(message)
  self.failure = self.failure or message
  self:finish()
end

---Stop everything that is under way; the loop ends when all of it is gone.
function Demo:finish()
  if self.is_over then return end
  self.is_over = true
  if self.client then
    self.reconnects = self.client:metrics().total_reconnects
    self.client:close()
    self.release_host()
  end
  self.shop:disconnect()
  if self.server then self.server:kill() end
  for _, timer in ipairs { self.patience, self.step_timer or false, self.restart_timer or false } do stop_timer(timer) end
  uv.close(self.reservation)
  self.release_signals()
end

local function new(arguments)
  local folder, message = uv.fs_mkdtemp(uv.os_tmpdir() .. "/ordersync-demo-XXXXXX")
  if not folder then return nil, "no place for the server's file: " .. message end
  local reservation, port = reserve_port()
  local self = setmetatable({
    program = arguments.program, events = arguments.events, kills = arguments.kills, kills_done = 0,
    reservation = reservation, port = port, folder = folder, ring_path = folder .. "/ring",
    out = terminal.output(arguments.color), tally = tally.new(), longest_outage_ms = 0, reconnects = 0,
  }, Demo)
  self.shop = publisher.new(port, function(id)
    self.tally:add_sent(id)
    self:progress()
  end)
  self:allow_events()
  return self
end

function Demo:clean_up()
  for _, path in ipairs { self.ring_path, self.ring_path .. ".new" } do os.remove(path) end
  uv.fs_rmdir(self.folder)
end

function Demo:close_books()
  local balance = self.tally:balance()
  self.out:write(CLOSING_LINE:format(balance.sent, balance.received, balance.lost, balance.duplicated,
    balance.out_of_order, self.reconnects, math.floor(self.longest_outage_ms + 0.5)))
  self.out:flush()
  return self.tally:is_perfect() and balance.sent == self.events
end

---Run the command.
---@param arguments table what the command line says
---@return integer exit_code 0: everything sent was received, once and in order; 1: not so, or interrupted
---@return string|nil message
function demo.run(arguments)
  local self, message = new(arguments)
  if not self then return 1, message end
  self.release_signals = signals.watch(function() self:fail("interrupted") end)
  self.patience = start_timer(PATIENCE_MS, PATIENCE_MS, function() self:fail("nothing has happened for too long") end)
  self:say(("%d events; the server is killed %d times on the way"):format(self.events, self.kills), "bold")
  if not self.is_over then self:start_server() end
  uv.run()
  self:clean_up()
  return self:close_books() and 0 or 1, self.failure
end

return demo
