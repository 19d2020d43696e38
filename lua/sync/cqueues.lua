-- Inside a controller of cqueues: `require("sync.cqueues").attach(cq)`, then cq:loop() as ever.
--
-- A step runs in a thread of the controller's, so a handler may call cqueues.sleep, wait for a condition, read a socket.
-- An error of a step is an error of that thread: cq:step() and cq:loop() give it, cq:errors() iterates over it.

local attachment = require "sync.attachment"
local condition = require "cqueues.condition"
local cqueues = require "cqueues"

local host = {}

local function watch_by(cq)
  return function(loop, step)
    local readable, ended = { pollfd = loop:fd(), events = "r" }, condition.new()
    local is_watching = true
    cq:wrap(function()
      while is_watching do
        cqueues.poll(readable, ended)
        if is_watching then cq:wrap(step) end
        cqueues.sleep(0) -- the step's thread runs in the next turn: until then the descriptor is still readable
      end
    end)
    return function()
      is_watching = false
      ended:signal()
    end
  end
end

--- Has a controller serve the clients of this Lua state, those that are open and those to come. While none is open there
--- is no thread of ours, and cq:loop() can end. Raises if the module is attached already. Detach before cq:close().
---@param cq table a controller, of cqueues.new()
---@param options? {budget_ms: number|nil} budget_ms: how long a step may hold the controller, default 1
---@return sync.Attachment attachment `:detach()` ends it
function host.attach(cq, options)
  if cqueues.type(cq) ~= "controller" then
    error("sync.cqueues.attach: expected a controller, of cqueues.new(), got a " .. type(cq), 2)
  end
  return attachment.new("sync.cqueues", options, watch_by(cq))
end

return host
