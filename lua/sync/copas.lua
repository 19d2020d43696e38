-- Inside copas: `require("sync.copas").attach()`, then copas.loop() as ever. Written for any version from 1.1.7 on.
--
-- A step runs in a thread of copas', so a handler may call what waits in copas: copas.receive, copas.sleep where there is
-- one, socket.http. An error of a step is an error of that thread: copas prints it.

local attachment = require "sync.attachment"
local copas = require "copas"

local host = {}

local function nothing() end

-- As much of a socket as copas and socket.select ask for. Copas tries to receive first, and waits for the descriptor after
-- that: the first answer is that nothing is there, the second one that there is.
local function socket_of(fd)
  local has_waited = true
  return {
    getfd = function() return fd end,
    dirty = function() return false end,
    receive = function()
      has_waited = not has_waited
      if has_waited then return true end
      return nil, "timeout"
    end,
    settimeout = nothing,
    close = nothing, -- the descriptor is the module's
  }
end

local function watch(loop, step)
  local socket, is_watching = socket_of(loop:fd()), true
  copas.addthread(function()
    while is_watching do
      copas.receive(socket)
      if is_watching then copas.addthread(step) end
    end
  end)
  return function()
    is_watching = false
    loop:nudge() -- nothing else gets a thread out of copas.receive
  end
end

--- Has copas serve the clients of this Lua state, those that are open and those to come. While none is open there is no
--- thread of ours, and copas.loop() can end, where it does: version 1 goes on for ever. Raises if the module is attached
--- already.
---@param options? {budget_ms: number|nil} budget_ms: how long a step may hold copas, default 1
---@return sync.Attachment attachment `:detach()` ends it
function host.attach(options)
  return attachment.new("sync.copas", options, watch)
end

return host
