-- Lists of functions that hear of something that is not an order event: a state, an error, a comment.

local raised = require "sync.raised"

---@class sync.Listener
---@field cancel fun(self) ends it; so does calling it
local Listener = {}
Listener.__index = Listener

--- Ends it. Safe anywhere, its own function included; again does nothing.
function Listener:cancel()
  for index, listener in ipairs(self.list) do
    if listener == self then table.remove(self.list, index) end
  end
end

Listener.__call = Listener.cancel

local listeners = {}

--- Adds `fn` to the end of `list`.
---@param list sync.Listener[]
---@param fn function
---@return sync.Listener
function listeners.add(list, fn)
  local listener = setmetatable({ list = list, fn = fn }, Listener)
  list[#list + 1] = listener
  return listener
end

--- Calls every function of `list` that is still on it. One that raises does not keep the others from hearing: its error
--- goes to `on_failure`.
---@param list sync.Listener[]|nil nil: nobody listens
---@param on_failure fun(message: string)
function listeners.call(list, on_failure, ...)
  if not list then return end
  local now = {}
  for index, listener in ipairs(list) do now[index] = listener end
  for _, listener in ipairs(now) do
    local standing = false
    for _, candidate in ipairs(list) do standing = standing or candidate == listener end
    if standing then
      local ok, problem = pcall(listener.fn, ...)
      if not ok then on_failure(raised.text(problem)) end
    end
  end
end

return listeners
