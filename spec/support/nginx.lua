--- A real nginx: a master and its workers, in the foreground, with a configuration, files and a port of its own.
-- It knows nothing of TLS, nchan or Lua: a spec writes what is in the `http` block.

local directory = require "spec.support.directory"
local port = require "spec.support.port"
local program = require "spec.support.program"
local uv = require "luv"
local world = require "spec.support.world"

local nginx = {}

-- Where Debian's packages put modules.
local MODULES = "/usr/lib/nginx/modules/"

-- Workers must be who wrote the files. Everything that nginx would write goes to its own directory.
local FRAME = [[
<modules>
user <user>;
worker_processes <workers>;
pid nginx.pid;
<main>
error_log stderr notice;
events { worker_connections 256; }
http {
  access_log off;
  client_body_temp_path body;
  proxy_temp_path proxy;
  fastcgi_temp_path fastcgi;
  uwsgi_temp_path uwsgi;
  scgi_temp_path scgi;
  keepalive_timeout 1h;
  <http>
}
]]

---@class spec.support.Nginx
---@field port integer of 127.0.0.1, if it listens there
---@field program spec.support.Program
local Nginx = {}
Nginx.__index = Nginx

-- `<name>` is the value of that name; nginx has a use for `$name` itself.
local function fill(template, values)
  return (template:gsub("<([%w_]+)>", function(name)
    return assert(values[name], "the nginx configuration wants a value for <" .. name .. ">")
  end))
end

local function load_lines(modules)
  local lines = {}
  for _, name in ipairs(modules or {}) do lines[#lines + 1] = ("load_module %s%s.so;"):format(MODULES, name) end
  return table.concat(lines, "\n")
end

function Nginx:write_configuration()
  local text = fill(FRAME, {
    modules = load_lines(self.modules), user = uv.os_get_passwd().username, workers = self.worker_count,
    main = self.values.main or "", http = fill(self.http, self.values),
  })
  return self.directory:write("nginx.conf", text)
end

---Start nginx, and wait until it serves. The world ends it.
---@param http string what is in the `http` block; `<name>` in it is a value, `<port>` that of its own port of 127.0.0.1
---@param values table|nil `main`: lines outside the `http` block
---@param modules string[]|nil names of modules to load
---@param workers integer|nil 1
---@return spec.support.Nginx
function nginx.start(http, values, modules, workers)
  local reserved, place = world.own(port.reserve()), world.own(directory.new())
  local self = setmetatable({
    directory = place, port = reserved.number, http = http, modules = modules, worker_count = workers or 1,
  }, Nginx)
  self.values = { port = reserved.number }
  for name, value in pairs(values or {}) do self.values[name] = value end
  local file = self:write_configuration()
  local arguments = { "-p", place.path, "-c", file, "-e", "stderr", "-g", "daemon off;" }
  self.program = world.own(program.start("nginx", arguments, nil, "TERM"))
  world.await(function() return self:has_started(self.worker_count) end)
  return self
end

---Whether so many workers have been started.
---@param count integer
---@return boolean
function Nginx:has_started(count)
  local _, started = self.program.output:gsub("start worker process %d+\n", "")
  return self.program:says "start worker process" and started >= count
end

---The workers that serve, oldest first.
---@return integer[] pids
function Nginx:workers()
  local pids = {}
  for pid in self.program.output:gmatch "start worker process (%d+)\n" do
    if not self.program.output:find(("worker process %d exited"):format(pid)) then pids[#pids + 1] = tonumber(pid) end
  end
  return pids
end

---Change values of the configuration, and load it anew; wait until the old workers are gone, which they are not before
---their last connection has ended. Until then old and new take connections.
---@param values table|nil
function Nginx:reload(values)
  for name, value in pairs(values or {}) do self.values[name] = value end
  self:write_configuration()
  local said, old = #self.program.output, self:workers()
  self.program:send_signal("sighup")
  for _, pid in ipairs(old) do
    world.await(function() return self.program:says(("worker process %d exited"):format(pid), said) end)
  end
end

---Kill a worker. The master starts another one; meanwhile connections wait, for the port stays open.
---@param pid integer|nil the newest one
function Nginx:kill_worker(pid)
  local said = #self.program.output
  uv.kill(pid or self:worker(), "sigkill")
  world.await(function() return self.program:says("start worker process %d+\n", said) end)
end

---The process that serves, the newest one.
---@return integer pid
function Nginx:worker()
  return tonumber(self.program.output:match(".*start worker process (%d+)\n"))
end

return nginx
