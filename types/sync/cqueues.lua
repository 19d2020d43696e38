---@meta sync.cqueues
-- luacheck: push ignore 212

---@class sync.cqueues
local cqueues = {}

---Has a controller serve the clients of this Lua state, those that are open and those to come. Raises if the module is
---attached already. Detach before cq:close(). See docs/hosts.md.
---@param cq table a controller, of cqueues.new()
---@param options sync.AttachOptions?
---@return sync.Attachment
function cqueues.attach(cq, options) end

-- luacheck: pop
return cqueues
