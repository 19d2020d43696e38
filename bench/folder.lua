-- folder.lua: where a run may write: a folder of its own, empty when it begins and gone when it is over, in TMPDIR.

local uv = require "luv"

local folder = {}

---@return string path
function folder.make()
  return assert(uv.fs_mkdtemp(uv.os_tmpdir() .. "/ordersync-bench-XXXXXX"))
end

--- Removes it with its files; there are no folders in it.
---@param path string
function folder.remove(path)
  for name in uv.fs_scandir_next, assert(uv.fs_scandir(path)) do assert(uv.fs_unlink(path .. "/" .. name)) end
  assert(uv.fs_rmdir(path))
end

--- What kind of file system the folders are on, as stat(1) calls it.
---@return string
function folder.file_system()
  local stat = assert(io.popen("stat -f -c %T '" .. uv.os_tmpdir() .. "'"))
  local name = stat:read "l" or "unknown"
  stat:close()
  return name
end

return folder
