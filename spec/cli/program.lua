--- `ordersync` as a child process, run by the interpreter that runs the specs, with its module paths.

local client = require "spec.server.client"
local uv = require "luv"

local program = { TERMINAL_COLUMNS = 60 }

---@class spec.cli.Program
---@field stdout string
---@field stderr string
---@field code integer|nil exit code, once it has ended
---@field signal integer|nil
local Program = {}
Program.__index = Program

-- Ours without what would change its output or its token, with the module paths of this interpreter.
local function environment(changes)
  local variables = uv.os_environ()
  variables.NO_COLOR, variables.ORDERSYNC_TOKEN, variables.TERM = nil, nil, "xterm"
  variables.LUA_PATH, variables.LUA_CPATH = package.path, package.cpath
  for name, value in pairs(changes or {}) do variables[name] = value end
  local list = {}
  for name, value in pairs(variables) do list[#list + 1] = name .. "=" .. value end
  return list
end

local function collect(self, pipe, field)
  uv.read_start(pipe, function(_, bytes)
    if bytes then self[field] = self[field] .. bytes else uv.close(pipe) end
  end)
end

local function spawn(file, arguments, changes)
  local stdin, stdout, stderr = uv.new_pipe(false), uv.new_pipe(false), uv.new_pipe(false)
  local self = setmetatable({ stdin = stdin, stdout_pipe = stdout, stdout = "", stderr = "" }, Program)
  self.process, self.pid = uv.spawn(file, {
    args = arguments, stdio = { stdin, stdout, stderr }, env = environment(changes),
  }, function(code, signal)
    self.code, self.signal = code, signal
    uv.close(self.process)
    self:close_input()
  end)
  assert(self.process, self.pid)
  self.pipes = { stdout, stderr }
  collect(self, stdout, "stdout")
  collect(self, stderr, "stderr")
  return self
end

---Start it.
---@param ... string arguments; a table among them changes the environment
---@return spec.cli.Program
function program.start(...)
  local arguments, changes = { "bin/ordersync" }, nil
  for _, each in ipairs { ... } do
    if type(each) == "table" then changes = each else arguments[#arguments + 1] = each end
  end
  return spawn(uv.exepath(), arguments, changes)
end

---Start it on a terminal of its own; everything it writes is in `stdout`.
---@param ... string as for `start`
---@return spec.cli.Program
function program.start_on_terminal(...)
  local size = ("stty cols %d;"):format(program.TERMINAL_COLUMNS)
  local words, changes = { size, "exec", uv.exepath(), "bin/ordersync" }, nil
  for _, each in ipairs { ... } do
    if type(each) == "table" then changes = each else words[#words + 1] = "'" .. each .. "'" end
  end
  return spawn("script", { "-qec", table.concat(words, " "), "/dev/null" }, changes)
end

---Run it to its end.
---@param ... string as for `start`
---@return spec.cli.Program
function program.run(...)
  return program.start(...):await_end()
end

---Wait until it has written something.
---@param field string "stdout" or "stderr"
---@param text string
---@return spec.cli.Program self
function Program:await(field, text)
  client.await(function()
    if self[field]:find(text, 1, true) then return true end
    assert(not self:has_ended(), ("ended without saying '%s':\n%s%s"):format(text, self.stdout, self.stderr))
  end)
  return self
end

---Whether it is gone, and all that it wrote is here.
---@return boolean
function Program:has_ended()
  if not self.code then return false end
  for _, pipe in ipairs(self.pipes) do
    if not uv.is_closing(pipe) then return false end
  end
  return true
end

---@return spec.cli.Program self
function Program:await_end()
  client.await(function() return self:has_ended() end)
  return self
end

---@param signal string such as "sigint"
---@return spec.cli.Program self
function Program:kill(signal)
  assert(uv.process_kill(self.process, signal))
  return self
end

---Nobody gives it anything to read any more.
function Program:close_input()
  if not uv.is_closing(self.stdin) then uv.close(self.stdin) end
end

---Nobody reads what it writes any more.
function Program:close_output()
  uv.close(self.stdout_pipe)
end

---The lines of its standard output.
---@return string[]
function Program:lines()
  local lines = {}
  for line in self.stdout:gmatch("([^\n]*)\n") do lines[#lines + 1] = line end
  return lines
end

---End it, if it has not ended, for the end of a spec.
function Program:stop()
  if not self.code then self:kill("sigkill") end
  self:await_end()
end

return program
