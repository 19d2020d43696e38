---@meta sync.copas
-- luacheck: push ignore 212

---@class sync.copas
local copas = {}

---Has copas serve the clients of this Lua state, those that are open and those to come. Raises if the module is attached
---already. See docs/hosts.md.
---@param options sync.AttachOptions?
---@return sync.Attachment
function copas.attach(options) end

-- luacheck: pop
return copas
