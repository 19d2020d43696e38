--- The listening port: taken once, open or refusing, given back at the end. It knows nothing of what is accepted.
--
-- While refusing, the port stays bound by a socket that does not listen. A connect then meets a refusal, as it does
-- when a server is down, but the kernel gives the port to nobody who asks for a free one: neither to another server
-- nor, as its source port, to the very client that tries to connect to it (on loopback that client would reach itself).

local listener = {}

-- Connections that the kernel keeps for us until they are accepted; a spec may open a thousand in one go.
local BACKLOG = 1024

---@class sync.server.Listener
---@field host string a numeric address
---@field port integer
local Listener = {}
Listener.__index = Listener

local function failure(host, port, err)
  return nil, ("LISTEN: %s port %d: %s"):format(host, port, err), "LISTEN"
end

local function resolve(uv, host)
  local found, err = uv.getaddrinfo(host, nil, { socktype = "stream" })
  if not found then return nil, err end
  return found[1].addr
end

---Bind a port; it refuses until `open`.
---@param uv table luv
---@param host string address or name
---@param port integer 0: any free one
---@param on_socket fun(socket: userdata) gets every accepted socket
---@return sync.server.Listener|nil, string|nil message, string|nil code `LISTEN`
function listener.new(uv, host, port, on_socket)
  local address, err = resolve(uv, host)
  if not address then return failure(host, port, err) end
  local self = setmetatable({ uv = uv, host = address, port = port, on_socket = on_socket }, Listener)
  local ok, message, code = self:bind()
  if not ok then return nil, message, code end
  return self
end

function Listener:bind()
  self.socket = self.uv.new_tcp()
  local ok, err = self.uv.tcp_bind(self.socket, self.host, self.port)
  local name
  if ok then name, err = self.uv.tcp_getsockname(self.socket) end -- libuv tells here that the port is taken
  if name then
    self.port = name.port
    return true
  end
  self:close()
  return failure(self.host, self.port, err)
end

---Start to accept. Does nothing when open already.
---@return true|nil, string|nil message, string|nil code `LISTEN`
function Listener:open()
  if self.is_open then return true end
  local uv, socket = self.uv, self.socket
  local ok, err = uv.listen(socket, BACKLOG, function()
    local accepted = uv.new_tcp()
    if uv.accept(socket, accepted) then self.on_socket(accepted) else uv.close(accepted) end
  end)
  if not ok then return failure(self.host, self.port, err) end
  self.is_open = true
  return true
end

---Stop accepting, keep the port.
---@return true|nil, string|nil message, string|nil code `LISTEN`
function Listener:refuse()
  if not self.is_open then return true end
  self:close()
  return self:bind()
end

---Give the port back.
function Listener:close()
  self.is_open = false
  if self.socket and not self.uv.is_closing(self.socket) then self.uv.close(self.socket) end
end

return listener
