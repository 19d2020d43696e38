--- A program of this folder as a child process, run by the interpreter that runs the specs, with its module paths.
-- It is ended by its process handle; nothing outlives `stop`.

local uv = require "luv"

local child = {}

---@class contract.Child
---@field output string all that it wrote to standard output
---@field errors string and to standard error
---@field code integer|nil exit code, once it has ended
---@field signal integer|nil
local Child = {}
Child.__index = Child

local function environment()
  local variables = uv.os_environ()
  variables.LUA_PATH, variables.LUA_CPATH = package.path, package.cpath
  local list = {}
  for name, value in pairs(variables) do list[#list + 1] = name .. "=" .. value end
  return list
end

local function collect(self, field)
  local pipe = uv.new_pipe(false)
  self[field] = ""
  self.pipes[#self.pipes + 1] = pipe
  return pipe, function()
    uv.read_start(pipe, function(_, bytes)
      if bytes then self[field] = self[field] .. bytes else uv.close(pipe) end
    end)
  end
end

---Start a program.
---@param ... string path and arguments
---@return contract.Child
function child.start(...)
  local self = setmetatable({ pipes = {} }, Child)
  local output, read_output = collect(self, "output")
  local errors, read_errors = collect(self, "errors")
  local options = { args = { ... }, stdio = { nil, output, errors }, env = environment() }
  local process, pid = uv.spawn(uv.exepath(), options, function(code, signal)
    self.code, self.signal = code, signal
    uv.close(self.process)
  end)
  self.process = assert(process, pid)
  read_output()
  read_errors()
  return self
end

---Whether it is gone, and all that it wrote is here.
---@return boolean
function Child:has_ended()
  return self.code ~= nil and uv.is_closing(self.pipes[1]) and uv.is_closing(self.pipes[2])
end

---Raise if it has ended.
function Child:check_alive()
  if self.code then error(("the program ended with %d: %s%s"):format(self.code, self.output, self.errors), 0) end
end

---Wait for its end.
---@return contract.Child self
function Child:await_end()
  while not self:has_ended() do uv.run("once") end
  return self
end

---Wait for the url that a service tells when it listens.
---@return string url
function Child:await_url()
  while true do
    local url = self.output:match("^contract service on (http://%S+)\n")
    if url then return url end
    self:check_alive()
    uv.run("once")
  end
end

---End it with SIGTERM, if it has not ended.
---@return contract.Child self
function Child:stop()
  if not self.code then uv.process_kill(self.process, "sigterm") end
  return self:await_end()
end

return child
