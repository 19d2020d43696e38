--- cqueues as a host of the module, for specs. See spec/hosts/luv.lua.

local condition = require "cqueues.condition"
local cqueues = require "cqueues"
local servers = require "spec.hosts.servers"
local socket = require "cqueues.socket"

local host = { name = "sync.cqueues", adapter = require "sync.cqueues" }

local waiting = {}

---Its controller, a new one for each test.
host.controller = nil

function host.open()
  waiting, host.controller = {}, cqueues.new()
  host.controller:wrap(function()
    while true do cqueues.poll { pollfd = servers.fd(), events = "r" } end
  end)
end

function host.attach(options)
  return host.adapter.attach(host.controller, options)
end

function host.turn(does_wait)
  servers.run()
  assert(host.controller:step(servers.timeout(does_wait)))
end

function host.every_ms(fn)
  host.controller:wrap(function()
    while true do
      cqueues.sleep(0.001)
      fn()
    end
  end)
end

function host.pause()
  local released = condition.new()
  waiting[#waiting + 1] = released
  released:wait()
end

function host.release()
  table.remove(waiting, 1):signal()
end

function host.read_line(port)
  local stream = socket.connect("127.0.0.1", port)
  local line = assert(stream:read "*l")
  stream:close()
  return line
end

function host.close()
  host.controller:close()
end

return host
