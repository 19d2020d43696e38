--- Ctrl-C, `kill`, and the terminal being closed, as one callback on luv's loop.
-- A closed pipe is no reason to die either, from then on: whoever writes to it gets an error, and knows what to do.

local uv = require "luv"

local signals = {}

local function start(name, callback)
  local handle = uv.new_signal()
  uv.signal_start(handle, name, callback)
  uv.unref(handle)
  return handle
end

---Call `fn` at each SIGINT, SIGTERM or SIGHUP, in place of what they do by default. Does not keep the loop alive.
---@param fn fun(name: string)
---@return fun() release closes the handles; safe inside `fn`
function signals.watch(fn)
  local handles = {}
  for index, name in ipairs { "sigint", "sigterm", "sighup" } do handles[index] = start(name, fn) end
  start("sigpipe", function() end) -- stays: what is flushed at the very end may meet a closed pipe, too
  return function()
    for _, handle in ipairs(handles) do
      if not uv.is_closing(handle) then uv.close(handle) end
    end
  end
end

return signals
