--- Ctrl-C, `kill`, and the terminal being closed, as one callback on luv's loop.

local uv = require "luv"

local signals = {}

---Call `fn` at each SIGINT, SIGTERM or SIGHUP, in place of what they do by default. Does not keep the loop alive.
---@param fn fun(name: string)
---@return fun() release closes the handles; safe inside `fn`
function signals.watch(fn)
  local handles = {}
  for index, name in ipairs { "sigint", "sigterm", "sighup" } do
    handles[index] = uv.new_signal()
    uv.signal_start(handles[index], name, fn)
    uv.unref(handles[index])
  end
  return function()
    for _, handle in ipairs(handles) do
      if not uv.is_closing(handle) then uv.close(handle) end
    end
  end
end

return signals
