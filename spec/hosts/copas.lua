--- copas as a host of the module, for specs. See spec/hosts/luv.lua.

local copas = require "copas"
local servers = require "spec.hosts.servers"
local socket = require "socket"

local host = { name = "sync.copas", adapter = require "sync.copas" }

local waiting = {}
local ticker, due -- copas 1 has no timers: those who want some look at the clock between two steps, and so does turn()

-- As much of a socket as copas asks for. There is one loop, and nothing leaves it: nested once for all tests.
local has_waited = true
local servers_socket = {
  getfd = servers.fd,
  dirty = function() return false end,
  receive = function()
    has_waited = not has_waited
    if has_waited then return true end
    return nil, "timeout"
  end,
}

copas.addthread(function()
  while true do copas.receive(servers_socket) end
end)

function host.open()
  waiting = {}
end

function host.attach(options)
  return host.adapter.attach(options)
end

function host.turn(does_wait)
  servers.run()
  copas.step(servers.timeout(does_wait))
  if ticker and socket.gettime() >= due then
    due = socket.gettime() + 0.001
    ticker()
  end
end

function host.every_ms(fn)
  ticker, due = fn, socket.gettime() + 0.001
end

-- Copas has sockets to wait for, so it waits for a datagram.
function host.pause()
  local udp = assert(socket.udp())
  assert(udp:setsockname("127.0.0.1", 0))
  udp:settimeout(0)
  waiting[#waiting + 1] = udp
  copas.receivefrom(udp)
  udp:close()
end

function host.release()
  local sender = assert(socket.udp())
  assert(sender:sendto("go on", table.remove(waiting, 1):getsockname()))
  sender:close()
end

function host.read_line(port)
  local tcp = socket.tcp()
  assert(copas.connect(tcp, "127.0.0.1", port))
  local line = assert(copas.receive(tcp, "*l"))
  tcp:close()
  return line
end

function host.close()
  ticker = nil
end

return host
