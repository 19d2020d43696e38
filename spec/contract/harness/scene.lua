--- What one check lives in: the service under test, event-stream servers and mailboxes to drive it with, the waiting.
--
-- Waiting has a window only if it is given one: the protocol allows 5 s for each report and each connection, which the
-- program (harness.lua) holds the service to; in specs a check waits until the runner ends it. That nothing comes is
-- judged behind a barrier: another stream of the same service, created later, has been broken and has reconnected.

local driver = require "spec.contract.harness.driver"
local server = require "spec.contract.harness.server"
local subject = require "spec.contract.harness.subject"
local uv = require "luv"

local scene = {}

---@class contract.Scene
---@field driver contract.Driver
---@field server contract.Server
---@field title string|nil of the check, for the service's log
---@field capabilities table<string, boolean>
local Scene = {}
Scene.__index = Scene

---@param service_url string
---@param options {window_ms: integer|nil, quiet_ms: integer|nil, on_turn: fun()|nil}|nil `window_ms`: for everything
---  that is awaited; `quiet_ms`: how long nothing must come, beside the barrier; `on_turn`: raises when waiting is vain
---@return contract.Scene
function scene.new(service_url, options)
  options = options or {}
  local self = setmetatable({
    window_ms = options.window_ms, quiet_ms = options.quiet_ms, on_turn = options.on_turn,
    servers = {}, subjects = {},
  }, Scene)
  self.driver = driver.new(service_url, function(what, condition) return self:await(what, condition) end)
  self.server = self:new_server()
  return self
end

---Ask the service what it can do.
---@return table<string, boolean>
function Scene:read_capabilities()
  self.capabilities = {}
  for _, name in ipairs(self.driver:describe().capabilities or {}) do self.capabilities[name] = true end
  return self.capabilities
end

---Another origin.
---@return contract.Server
function Scene:new_server()
  self.servers[#self.servers + 1] = server.start()
  return self.servers[#self.servers]
end

-- A clock that never rings if there is no time for it to ring at.
local function start_clock(duration_ms)
  local clock = { is_over = false }
  if duration_ms then
    clock.timer = uv.new_timer()
    uv.timer_start(clock.timer, duration_ms, 0, function() clock.is_over = true end)
  end
  return clock
end

local function stop_clock(clock)
  if clock.timer then uv.close(clock.timer) end
end

local function turn_until(self, clock, condition)
  local result = condition()
  while not result and not clock.is_over do
    uv.run("once")
    if self.on_turn then self.on_turn() end
    result = condition()
  end
  return result
end

---Wait until a condition holds, or raise when the window is over.
---@param what string for the message
---@param condition fun(): any
---@return any # what the condition gave
function Scene:await(what, condition)
  local clock = start_clock(self.window_ms)
  local ok, result = pcall(turn_until, self, clock, condition)
  stop_clock(clock)
  if not ok then error(result, 0) end
  if not result then error(("%s did not come within %d ms"):format(what, self.window_ms), 0) end
  return result
end

---A stream under test, created but not yet connected.
---@param fields table|nil of the create request, beside those that it always has
---@param origin contract.Server|nil of its event stream; the scene's own unless told otherwise
---@return contract.Subject
function Scene:subject(fields, origin)
  local made = subject.new(self, fields, origin or self.server)
  self.subjects[#self.subjects + 1] = made
  return made
end

---A stream under test whose first connection is open. It reconnects at once unless told otherwise.
---@param fields table|nil
---@return contract.Subject
---@return contract.Exchange
function Scene:open_stream(fields)
  local complete = { initialDelayMs = 0 }
  for name, value in pairs(fields or {}) do complete[name] = value end
  local made = self:subject(complete)
  return made, made:await_request():open()
end

---Wait until whatever the service does of itself would have been done.
function Scene:settle()
  local other, exchange = self:open_stream()
  exchange:finish()
  other:expect_error()
  other:await_request():open():send("data: barrier\n\n")
  other:expect_event { data = "barrier" }
  if not self.quiet_ms then return end
  local clock = start_clock(self.quiet_ms)
  while not clock.is_over do uv.run("once") end
  stop_clock(clock)
end

---End every stream, in the way of the public harness, and judge what was left over.
function Scene:finish()
  for index = #self.subjects, 1, -1 do self.subjects[index]:finish() end
end

---Give everything back.
function Scene:close()
  for _, each in ipairs(self.subjects) do each:close() end
  self.driver:close()
  for _, each in ipairs(self.servers) do each:close() end
  uv.run("nowait")
end

return scene
