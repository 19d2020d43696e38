---@meta sync.luv
-- luacheck: push ignore 212

---@class sync.luv
local luv = {}

---Has luv's default loop serve the clients of this Lua state, those that are open and those to come. Raises if the module
---is attached already. See docs/hosts.md.
---@param options sync.AttachOptions?
---@return sync.Attachment
function luv.attach(options) end

-- luacheck: pop
return luv
