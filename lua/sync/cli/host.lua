--- The client's loop inside luv's: its descriptor is watched, and each time it is readable handlers run.

local sync = require "sync"
local uv = require "luv"

local host = {}

---Let clients live on luv's loop, which this keeps alive.
---@param after_step fun() called after every step, for instance to flush what handlers wrote
---@return fun() release closes the handle; safe inside handlers and `after_step`
function host.attach(after_step)
  local poll = uv.new_poll(sync.fd())
  local function step(err)
    assert(not err, err)
    assert(sync.step(0))
    after_step()
  end
  uv.poll_start(poll, "r", step)
  step() -- what was asked for so far is under way only now, and shows through the descriptor from here on
  return function()
    if not uv.is_closing(poll) then uv.close(poll) end
  end
end

return host
