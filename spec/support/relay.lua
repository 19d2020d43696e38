--- A wire between a client and a server on loopback that a spec can look at and cut. It changes nothing that passes.
-- Without flow control: for streams of the size of a spec.

local uv = require "luv"

local relay = {}

---@class spec.support.Wire one connection that was relayed
---@field sent string what the client sent
---@field received string what the server sent
local Wire = {}
Wire.__index = Wire

---@class spec.support.Relay
---@field port integer of 127.0.0.1
---@field url string
---@field wires spec.support.Wire[] in the order of their connecting
local Relay = {}
Relay.__index = Relay

-- Carries bytes from one socket to the other; the end of one is the end of both.
local function carry(wire, from, to, field)
  uv.read_start(from, function(_, bytes)
    if not bytes then return wire:close() end
    wire[field] = wire[field] .. bytes
    if not uv.is_closing(to) then uv.write(to, bytes) end
  end)
end

local function splice(wire)
  carry(wire, wire.client, wire.server, "sent")
  carry(wire, wire.server, wire.client, "received")
end

---End both sides: the client by RST, as when the network breaks.
function Wire:cut()
  if uv.is_closing(self.client) then return end
  uv.tcp_close_reset(self.client)
  uv.close(self.server)
end

---Pass on nothing more, and end nothing: as when somebody pulls the cable out.
function Wire:stall()
  for _, socket in ipairs { self.client, self.server } do
    if not uv.is_closing(socket) then uv.read_stop(socket) end
  end
end

---End both sides, after what was written.
function Wire:close()
  if not uv.is_closing(self.client) then uv.close(self.client) end
  if not uv.is_closing(self.server) then uv.close(self.server) end
end

function Relay:accept()
  local wire = setmetatable({ client = uv.new_tcp(), server = uv.new_tcp(), sent = "", received = "" }, Wire)
  assert(uv.accept(self.socket, wire.client))
  self.wires[#self.wires + 1] = wire
  uv.tcp_nodelay(wire.client, true)
  uv.tcp_connect(wire.server, "127.0.0.1", self.target, function(err)
    if err then wire:close() elseif not uv.is_closing(wire.client) then splice(wire) end
  end)
end

---Relay a port of its own to one of 127.0.0.1.
---@param target integer port
---@return spec.support.Relay
function relay.new(target)
  local socket = uv.new_tcp()
  assert(uv.tcp_bind(socket, "127.0.0.1", 0))
  local port = uv.tcp_getsockname(socket).port
  local self = setmetatable({
    socket = socket, target = target, port = port, url = "http://127.0.0.1:" .. port, wires = {},
  }, Relay)
  assert(uv.listen(socket, 128, function() self:accept() end))
  return self
end

---Cut every connection.
function Relay:cut()
  for _, wire in ipairs(self.wires) do wire:cut() end
end

function Relay:close()
  for _, wire in ipairs(self.wires) do wire:close() end
  if not uv.is_closing(self.socket) then uv.close(self.socket) end
end

return relay
