--- A hub: a real nginx with the configuration of examples/nchan, to the letter but for the ports, and for the length of
-- the buffer if a spec wants a short one.
-- Unlike spec/support/nginx.lua it takes a whole configuration, and it can be killed, all of it, as a machine fails.

local directory = require "spec.support.directory"
local http = require "spec.server.client"
local port = require "spec.support.port"
local program = require "spec.support.program"
local uv = require "luv"
local world = require "spec.support.world"

local hub = {}

local CONFIGURATION = "examples/nchan/hub.conf"

-- The ports of the configuration, and whose they are.
local PORTS = { ["9301"] = "hub", ["6379"] = "redis", ["8080"] = "order_server" }

---@class spec.support.Hub
---@field port integer of 127.0.0.1
---@field url string
---@field program spec.support.Program the master
local Hub = {}
Hub.__index = Hub

local function set_buffer_length(text, length)
  local changed, times = text:gsub("nchan_message_buffer_length %d+", "nchan_message_buffer_length " .. length)
  assert(times == 1, CONFIGURATION .. " has no buffer length")
  return changed
end

local function configuration(ports, buffer_length)
  local file = assert(io.open(CONFIGURATION, "rb"))
  local text = file:read "*a"
  file:close()
  if buffer_length then text = set_buffer_length(text, buffer_length) end
  return (text:gsub("127%.0%.0%.1:(%d+)", function(number)
    local whose = assert(PORTS[number], CONFIGURATION .. " has a port that nobody has given: " .. number)
    return "127.0.0.1:" .. ports[whose]
  end))
end

-- A worker serves before it is connected to Redis; until then it answers 503.
function Hub:await_redis(said)
  world.await(function() return self.program:says("Redis upstream orders_redis: ready", said) end)
end

function Hub:run()
  -- Workers must be who wrote the files.
  local settings = ("daemon off; user %s;"):format(uv.os_get_passwd().username)
  local arguments = { "-p", self.directory.path, "-c", self.file, "-e", "stderr", "-g", settings }
  self.program = world.own(program.start("nginx", arguments, nil, "TERM"))
  self:await_redis()
end

---Start a hub, and wait until it serves. The world ends it.
---@param redis spec.support.Redis
---@param order_server {port: integer}|nil where snapshots come from
---@param buffer_length integer|nil as the example has it
---@return spec.support.Hub
function hub.start(redis, order_server, buffer_length)
  local reserved = world.own(port.reserve())
  local self = setmetatable({
    directory = world.own(directory.new()), port = reserved.number, url = "http://127.0.0.1:" .. reserved.number,
  }, Hub)
  self.file = self.directory:write("hub.conf", configuration({
    hub = self.port, redis = redis.port, order_server = order_server and order_server.port or self.port,
  }, buffer_length))
  self:run()
  return self
end

---Load the configuration anew; wait until the old worker is gone and the new one has Redis.
function Hub:reload()
  local said = #self.program.output
  local old = self.program.output:match ".*start worker process (%d+)\n"
  self.program:send_signal "sighup"
  world.await(function() return self.program:says(("worker process %s exited"):format(old), said) end)
  self:await_redis(said)
end

---Kill all of its processes at once, as a machine fails. The port refuses from then on.
function Hub:kill()
  self.program:send_signal "sigkill" -- first: a master would start new ones
  for pid in self.program.output:gmatch "start [%l ]- process (%d+)\n" do uv.kill(tonumber(pid), "sigkill") end
  world.await(function() return self.program:has_ended() end)
end

---Start it again, on the same port.
function Hub:restart()
  self:run()
end

---Post a message; its event name is `type`.
---@param type string
---@param body string
---@return integer status 201: terminals listen; 202: none does; 503: Redis is away
function Hub:post(type, body)
  return (http.fetch(self.port, "POST", "/publish", { ["X-EventSource-Event"] = type }, body))
end

return hub
