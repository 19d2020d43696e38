--- A server for specs that need exact bytes: it reads a request's head, hands it over, and writes what it is told to.
-- It knows nothing of HTTP but the blank line. The project's own server is for everything else.

local uv = require "luv"

local listener = {}

---@class spec.support.Peer one accepted connection
---@field listener spec.support.Listener
---@field received string all its bytes
---@field is_gone boolean the client has ended its side
local Peer = {}
Peer.__index = Peer

---@param bytes string
---@param on_written function|nil
---@return spec.support.Peer self
function Peer:write(bytes, on_written)
  uv.write(self.socket, bytes, on_written)
  return self
end

---End with FIN, after what is written.
function Peer:finish()
  uv.shutdown(self.socket)
end

---End with RST, now.
function Peer:reset()
  uv.tcp_close_reset(self.socket)
end

function Peer:close()
  if not uv.is_closing(self.socket) then uv.close(self.socket) end
end

---@class spec.support.Listener
---@field url string|nil of TCP
---@field port integer|nil
---@field heads string[] of the requests, in order
---@field peers spec.support.Peer[] in the order of acceptance
local Listener = {}
Listener.__index = Listener

local function bind(path)
  if path then
    local socket = uv.new_pipe(false)
    assert(uv.pipe_bind(socket, path))
    return socket
  end
  local socket = uv.new_tcp()
  assert(uv.tcp_bind(socket, "127.0.0.1", 0))
  return socket, uv.tcp_getsockname(socket).port
end

---@param serve fun(peer: spec.support.Peer, head: string)
---@param options {path: string|nil, greeting: string|nil}|nil `path` of a Unix socket, otherwise TCP on any free port;
---  `greeting`: bytes for whoever connects, before a request is read
---@return spec.support.Listener
function listener.new(serve, options)
  local path = options and options.path
  local socket, port = bind(path)
  local self = setmetatable({
    socket = socket, port = port, url = port and ("http://127.0.0.1:%d"):format(port), path = path, serve = serve,
    greeting = options and options.greeting, heads = {}, peers = {},
  }, Listener)
  assert(uv.listen(socket, 128, function() self:accept() end))
  return self
end

function Listener:accept()
  local socket = self.path and uv.new_pipe(false) or uv.new_tcp()
  assert(uv.accept(self.socket, socket))
  local peer = setmetatable({ listener = self, socket = socket, received = "", is_gone = false }, Peer)
  self.peers[#self.peers + 1] = peer
  if self.greeting then peer:write(self.greeting) end
  uv.read_start(socket, function(_, bytes)
    if not bytes then
      peer.is_gone = true
      return
    end
    peer.received = peer.received .. bytes
    if not peer.head then self:look_for_head(peer) end
  end)
end

function Listener:look_for_head(peer)
  peer.head = peer.received:match("^.-\r\n\r\n")
  if not peer.head then return end
  self.heads[#self.heads + 1] = peer.head
  self.serve(peer, peer.head)
end

function Listener:close()
  for _, peer in ipairs(self.peers) do peer:close() end
  if not uv.is_closing(self.socket) then uv.close(self.socket) end
  if self.path then os.remove(self.path) end
end

---The head of an event stream that ends with its connection.
listener.STREAM_HEAD = "HTTP/1.1 200 OK\r\nContent-Type: text/event-stream\r\nConnection: close\r\n\r\n"

return listener
