--- The order board of examples/openresty as its nginx.conf says it, to the letter but for the ports: real nginx, real
-- workers. It can be killed, all of it, as a machine fails.

local directory = require "spec.support.directory"
local port = require "spec.support.port"
local program = require "spec.support.program"
local uv = require "luv"
local world = require "spec.support.world"

local scene = {}

local EXAMPLE = uv.cwd() .. "/examples/openresty"

-- The module as nginx's VM needs it, whatever VM the specs run on.
local CPATH = os.getenv "RESTY_CPATH" or uv.cwd() .. "/build/luajit/?.so"

---@class spec.browser.Scene
---@field url string of the page
---@field program spec.support.Program the master
local Scene = {}
Scene.__index = Scene

local function configuration(order_server, own)
  local file = assert(io.open(EXAMPLE .. "/nginx.conf", "rb"))
  local text = file:read "*a"
  file:close()
  local ports = { ["8080"] = order_server, ["8090"] = own }
  text = text:gsub("error_log stderr warn", "error_log stderr notice")
  return (text:gsub("127%.0%.0%.1:(%d+)", function(number)
    return "127.0.0.1:" .. assert(ports[number], "nginx.conf has a port that nobody has given: " .. number)
  end))
end

---Start nginx, and wait until it serves. The world ends it.
---@param order_server {port: integer} it may be away
---@return spec.browser.Scene
function scene.start(order_server)
  local reserved = world.own(port.reserve())
  local self = setmetatable({
    directory = world.own(directory.new()), port = reserved.number,
    url = ("http://127.0.0.1:%d/"):format(reserved.number),
  }, Scene)
  self.file = self.directory:write("nginx.conf", configuration(order_server.port, self.port))
  assert(uv.fs_symlink(EXAMPLE, self.directory:of "board"))
  self:run()
  return self
end

function Scene:run()
  local identity = uv.os_get_passwd()
  -- Workers must be who wrote the files.
  local settings = ("daemon off; user %s;"):format(identity.username)
  self.program = world.own(program.start("nginx", {
    "-p", self.directory.path, "-c", self.file, "-e", "stderr", "-g", settings,
  }, { LUA_PATH = uv.cwd() .. "/lua/?.lua;" .. uv.cwd() .. "/lua/?/init.lua;;", LUA_CPATH = CPATH .. ";;" }, "TERM"))
  self.program:await_port(self.port)
end

-- The workers that serve.
function Scene:workers()
  local pids = {}
  for pid in self.program.output:gmatch "start worker process (%d+)\n" do
    if not self.program.output:find(("worker process %s exited"):format(pid)) then pids[#pids + 1] = pid end
  end
  return pids
end

---Load the configuration anew; wait until the old workers are gone.
function Scene:reload()
  local old = self:workers()
  self.program:send_signal "sighup"
  for _, pid in ipairs(old) do
    world.await(function() return self.program:says(("worker process %s exited with code 0"):format(pid)) end)
  end
end

---Kill all of its processes at once. The port refuses from then on.
function Scene:kill()
  self.program:send_signal "sigkill" -- first: a master would start new ones
  for _, pid in ipairs(self:workers()) do uv.kill(tonumber(pid), "sigkill") end
  world.await(function() return self.program:has_ended() end)
end

---Start it again, on the same port.
function Scene:restart()
  self:run()
end

return scene
