--- A TCP port for a program that cannot be asked which free one it took.
-- It stays ours by a socket that is bound to it and does not listen: nobody else is given the port, while the program,
-- which sets SO_REUSEADDR as servers do, may still listen on it, and listen again after a restart. Until then it refuses.

local uv = require "luv"

local port = {}

---@class spec.support.Port
---@field number integer
local Port = {}
Port.__index = Port

---Reserve a free port.
---@param host string|nil "127.0.0.1"
---@return spec.support.Port
function port.reserve(host)
  local socket = uv.new_tcp()
  local bound, message = uv.tcp_bind(socket, host or "127.0.0.1", 0)
  if not bound then
    uv.close(socket)
    error(("this machine has no loopback address %s: %s"):format(host, message))
  end
  return setmetatable({ socket = socket, number = uv.tcp_getsockname(socket).port }, Port)
end

function Port:close()
  if not uv.is_closing(self.socket) then uv.close(self.socket) end
end

return port
