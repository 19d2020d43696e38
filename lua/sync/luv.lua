-- Inside luv's loop (libuv): `require("sync.luv").attach()`, then uv.run() as ever.
--
-- A handler may yield; whoever wants it resumed keeps coroutine.running() and resumes it from a callback of luv's. An
-- error of a step is an error of a luv callback: luv writes it to standard error and ends the program.

local attachment = require "sync.attachment"
local uv = require "luv"

local luv = {}

local function watch(loop, step)
  local poll = assert(uv.new_poll(loop:fd()))
  uv.poll_start(poll, "r", function(message)
    assert(not message, message)
    coroutine.wrap(step)()
  end)
  return function() uv.close(poll) end
end

--- Has luv's default loop serve the clients of this Lua state, those that are open and those to come. While none is open
--- there is no handle of ours, and uv.run() can end. Raises if the module is attached already.
---@param options? {budget_ms: number|nil} budget_ms: how long a step may hold the loop, default 1
---@return sync.Attachment attachment `:detach()` ends it
function luv.attach(options)
  return attachment.new("sync.luv", options, watch)
end

return luv
