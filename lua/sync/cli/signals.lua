--- Ctrl-C, `kill`, and the terminal being closed, as one callback on luv's loop.
-- A closed pipe is no reason to die either: whoever writes to it gets an error, and knows what to do.

local uv = require "luv"

local signals = {}

---Call `fn` at each SIGINT, SIGTERM or SIGHUP, in place of what they do by default. Does not keep the loop alive.
---@param fn fun(name: string)
---@return fun() release closes the handles; safe inside `fn`
function signals.watch(fn)
  local handles = {}
  local function watch(name, callback)
    local handle = uv.new_signal()
    uv.signal_start(handle, name, callback)
    uv.unref(handle)
    handles[#handles + 1] = handle
  end
  for _, name in ipairs { "sigint", "sigterm", "sighup" } do watch(name, fn) end
  watch("sigpipe", function() end)
  return function()
    for _, handle in ipairs(handles) do
      if not uv.is_closing(handle) then uv.close(handle) end
    end
  end
end

return signals
