--- The client's loop inside luv's: its descriptor is watched, and each time it is readable handlers run.

local sync = require "sync"
local uv = require "luv"

local host = {}

---Let clients live on luv's loop, which this keeps alive. Handlers run inside `uv.run` only.
---@param after_step fun() called after every step, for instance to flush what handlers wrote
---@return fun() release closes the handles; safe inside handlers and `after_step`
function host.attach(after_step)
  local poll = uv.new_poll(sync.fd())
  uv.poll_start(poll, "r", function(err)
    assert(not err, err)
    assert(sync.step(0))
    after_step()
  end)
  return function()
    if not uv.is_closing(poll) then uv.close(poll) end
  end
end

return host
