--- Asks a server for something small, again and again on one connection, a millisecond after each answer, and keeps how
-- long each took.

local uv = require "luv"
local world = require "spec.support.world"

local prober = {}

-- Between an answer and the next question.
local PAUSE_MS = 1

-- Questions that make a batch: see await_more.
local BATCH = 100

---@class spec.nginx.Prober
---@field count integer answers so far
---@field private took_ns integer[]
local Prober = {}
Prober.__index = Prober

local function ask(self)
  self.asked_at = uv.hrtime()
  uv.write(self.socket, self.request)
end

local function note(self)
  self.count = self.count + 1
  self.took_ns[self.count] = uv.hrtime() - self.asked_at
  uv.timer_start(self.timer, PAUSE_MS, 0, function() ask(self) end)
end

---Begin. The world ends it.
---@param port integer of 127.0.0.1
---@param target string whose answer has a Content-Length and fits into one segment
---@return spec.nginx.Prober
function prober.start(port, target)
  local self = setmetatable({
    count = 0, took_ns = {}, socket = uv.new_tcp(), timer = uv.new_timer(),
    request = ("GET %s HTTP/1.1\r\nHost: localhost\r\n\r\n"):format(target),
  }, Prober)
  uv.tcp_connect(self.socket, "127.0.0.1", port, function(problem)
    assert(not problem, problem)
    uv.tcp_nodelay(self.socket, true)
    uv.read_start(self.socket, function(_, bytes)
      assert(bytes and bytes:find "^HTTP/1.1 200", "the connection ended, or the answer is wrong")
      note(self)
    end)
    ask(self)
  end)
  return world.own(self)
end

---Wait for some more answers.
---@param self spec.nginx.Prober
function prober.await_more(self)
  local wanted = self.count + BATCH
  world.await(function() return self.count >= wanted end)
end

---How long an answer took, at the most, for `percent` of them.
---@param percent number
---@return number milliseconds
function Prober:percentile_ms(percent)
  local sorted = {}
  for index = 1, self.count do sorted[index] = self.took_ns[index] end
  table.sort(sorted)
  return sorted[math.max(1, math.ceil(#sorted * percent / 100))] / 1e6
end

function Prober:close()
  if uv.is_closing(self.socket) then return end
  uv.close(self.socket)
  uv.close(self.timer)
end

return prober
