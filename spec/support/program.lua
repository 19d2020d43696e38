--- A real program as a child of the specs: started, awaited, ended by its pid. What it writes is kept for the message of
-- a spec that fails. (`ordersync` itself as a child is spec/cli/program.lua.)
--
-- It dies with the runner, also with one that is killed: the kernel sends it a signal then (setpriv(1), prctl(2)).

local uv = require "luv"

local program = {}

---@class spec.support.Program
---@field pid integer
---@field arguments string[]
---@field output string what it has written, standard output and error together
---@field code integer|nil of its exit, once it has ended
---@field signal integer|nil
local Program = {}
Program.__index = Program

local function collect(self, pipe)
  uv.read_start(pipe, function(_, bytes)
    if bytes then self.output = self.output .. bytes else uv.close(pipe) end
  end)
end

-- Ours, with `extra` over it; but what is preloaded into the runner, a sanitizer's runtime, is for the module alone.
local function environment(extra)
  local variables, list = uv.os_environ(), {}
  variables.LD_PRELOAD = nil
  for name, value in pairs(extra or {}) do variables[name] = value end
  for name, value in pairs(variables) do list[#list + 1] = name .. "=" .. value end
  return list
end

---Start a program.
---@param file string
---@param arguments string[]
---@param extra table<string, string>|nil variables of its environment
---@param ended_by string|nil the signal that ends it: "TERM" for one that has children to end, otherwise "KILL", which
---  no program can miss
---@return spec.support.Program
function program.start(file, arguments, extra, ended_by)
  local stdin, stdout, stderr = uv.new_pipe(false), uv.new_pipe(false), uv.new_pipe(false)
  local self = setmetatable({
    file = file, arguments = arguments, ended_by = ended_by or "KILL",
    stdin = stdin, pipes = { stdout, stderr }, output = "",
  }, Program)
  local words = { "--pdeathsig", self.ended_by, "--", file }
  for _, word in ipairs(arguments) do words[#words + 1] = word end
  self.process, self.pid = uv.spawn("setpriv", {
    args = words, stdio = { stdin, stdout, stderr }, env = environment(extra),
  }, function(code, signal)
    self.code, self.signal = code, signal
    uv.close(self.process)
    uv.close(stdin)
  end)
  assert(self.process, self.pid)
  collect(self, stdout)
  collect(self, stderr)
  return self
end

---Run a program to its end, which must be a success.
---@param file string
---@param arguments string[]
---@return string output
function program.run(file, arguments)
  local self = program.start(file, arguments)
  while not self:has_ended() do uv.run("once") end
  if self.code ~= 0 then self:fail("ended with " .. self.code) end
  return self.output
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

---Raise, with what it has written.
---@param what string
function Program:fail(what)
  error(("%s %s; it wrote:\n%s"):format(self.file, what, self.output), 0)
end

---Whether it has written a text; raises if it never will.
---@param pattern string
---@param init integer|nil where in `output` to begin
---@return boolean
function Program:says(pattern, init)
  if self.output:find(pattern, init) then return true end
  if self:has_ended() then self:fail("ended without saying '" .. pattern .. "'") end
  return false
end

---Wait until it accepts connections. Nothing tells from outside when a program begins to listen, so it is asked, and
---asked again as soon as it has refused.
---@param port integer of 127.0.0.1
---@return spec.support.Program self
function Program:await_port(port)
  local outcome
  repeat
    outcome = nil
    local socket = uv.new_tcp()
    uv.tcp_connect(socket, "127.0.0.1", port, function(err) outcome = err or "accepted" end)
    while not outcome do uv.run("once") end
    uv.close(socket)
    if self:has_ended() then self:fail("ended before it accepted a connection") end
  until outcome == "accepted"
  return self
end

---Write to its standard input.
---@param text string
function Program:tell(text)
  uv.write(self.stdin, text)
end

---@param name string such as "sighup"
function Program:send_signal(name)
  assert(uv.process_kill(self.process, name))
end

---End it and wait for its end. Idempotent.
function Program:close()
  if not self.code then self:send_signal("sig" .. self.ended_by:lower()) end
  while not self:has_ended() do uv.run("once") end
end

return program
