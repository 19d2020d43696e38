-- process.lua: the processes of the bench: programs that run to their end, and the server that stays.
-- Blocking on purpose: while something is measured, the runner has nothing else to do and must not use a processor.

local uv = require "luv"

local process = {}

--- `program` held to one processor, when there is more than one.
---@param processor integer
---@param program string[]
---@return string[]
function process.pinned(processor, program)
  if uv.available_parallelism() < 2 then return program end
  local pinned = { "taskset", "-c", tostring(processor) }
  for _, word in ipairs(program) do pinned[#pinned + 1] = word end
  return pinned
end

--- This process's environment with `changes` on top, as uv.spawn wants it.
local function environment(changes)
  local names, list = uv.os_environ(), {}
  for name, value in pairs(changes or {}) do names[name] = value end
  for name, value in pairs(names) do list[#list + 1] = name .. "=" .. value end
  return list
end

--- Reads `pipe` to its end into a list of pieces.
local function collect(pipe)
  local pieces = {}
  pipe:read_start(function(_, chunk)
    if chunk then pieces[#pieces + 1] = chunk else pipe:close() end
  end)
  return pieces
end

local function spawn(program, input, output, errors, changes, on_exit)
  return uv.spawn(program[1], {
    args = { (table.unpack or unpack)(program, 2) },
    stdio = { input, output, errors },
    env = environment(changes),
  }, on_exit)
end

--- Runs a program to its end.
---@param program string[]
---@param timeout_ms integer after which it is killed
---@param changes? table<string, string> to the environment
---@return string|nil output what it wrote to standard output; nil when it failed
---@return string? why
function process.run(program, timeout_ms, changes)
  local output, errors, timer = uv.new_pipe(false), uv.new_pipe(false), uv.new_timer()
  local exit_code, timed_out
  local handle
  handle = spawn(program, nil, output, errors, changes, function(code, signal)
    exit_code = signal ~= 0 and 128 + signal or code
    handle:close()
    timer:close()
  end)
  if not handle then return nil, "cannot start " .. program[1] end
  timer:start(timeout_ms, 0, function()
    timed_out = true
    handle:kill("sigkill")
  end)
  local said, complained = collect(output), collect(errors)
  while not (handle:is_closing() and output:is_closing() and errors:is_closing()) do uv.run("once") end
  if timed_out then return nil, "no end after " .. timeout_ms .. " ms" end
  if exit_code ~= 0 then return nil, "exit " .. exit_code .. ": " .. table.concat(complained):sub(1, 300) end
  return table.concat(said)
end

---@class bench.Server the blaster
---@field port integer
local server = {}
server.__index = server

--- The next line that the server prints.
function server:read_line()
  while not self.said:find("\n", 1, true) do
    assert(not self.exited, "the server ended")
    uv.run("once")
  end
  local line, rest = self.said:match("^([^\n]*)\n(.*)$")
  self.said = rest
  return line
end

--- What the server sent since the last call, as JSON.
---@return string
function server:account()
  self.input:write("account\n")
  return self:read_line()
end

--- Ends it: its input ends.
function server:stop()
  self.input:close()
  while not self.exited do uv.run("once") end
end

---@param program string[]
---@return bench.Server
function process.serve(program)
  local self = setmetatable({ said = "", input = uv.new_pipe(false) }, server)
  local output, handle = uv.new_pipe(false), nil
  handle = assert(spawn(program, self.input, output, 2, nil, function()
    self.exited = true
    handle:close()
    output:close()
  end))
  output:read_start(function(_, chunk) self.said = self.said .. (chunk or "") end)
  self.port = tonumber(self:read_line())
  return self
end

return process
