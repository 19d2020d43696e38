--- A temporary directory of a spec: its own, and gone with everything in it when it is closed.

local uv = require "luv"

local directory = {}

---@class spec.support.Directory
---@field path string
local Directory = {}
Directory.__index = Directory

---@return spec.support.Directory
function directory.new()
  return setmetatable({ path = assert(uv.fs_mkdtemp(uv.os_tmpdir() .. "/ordersync-XXXXXX")) }, Directory)
end

---The path of something in it.
---@param name string
---@return string
function Directory:of(name)
  return self.path .. "/" .. name
end

---Write a file.
---@param name string
---@param text string
---@return string path
function Directory:write(name, text)
  local path = self:of(name)
  local file = assert(io.open(path, "wb"))
  assert(file:write(text))
  assert(file:close())
  return path
end

local function remove(path)
  local entries = assert(uv.fs_scandir(path))
  local name, kind = uv.fs_scandir_next(entries)
  while name do
    local entry = path .. "/" .. name
    if kind == "directory" then remove(entry) else assert(uv.fs_unlink(entry)) end
    name, kind = uv.fs_scandir_next(entries)
  end
  assert(uv.fs_rmdir(path))
end

---Remove it. Idempotent.
function Directory:close()
  if self.closed then return end
  self.closed = true
  remove(self.path)
end

return directory
