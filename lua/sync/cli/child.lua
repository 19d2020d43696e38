--- `ordersync serve` as a child process, so that it can really be killed.
-- It runs in a session of its own, out of reach of a Ctrl-C in our terminal; it stops when its standard input ends, which
-- it does when we end in whatever way. So it never outlives us.

local uv = require "luv"

local child = {}

---@class sync.cli.Child
---@field pid integer
local Child = {}
Child.__index = Child

-- The way this program was started: the options of the interpreter, then the script. `program` is the global `arg`.
local function command_line(program, arguments)
  local first = 0
  while program[first - 1] do first = first - 1 end
  local line = {}
  for index = first + 1, 0 do line[#line + 1] = program[index] end -- `first` is the interpreter: see exepath
  for _, argument in ipairs(arguments) do line[#line + 1] = argument end
  return line
end

-- Its first line says that it listens.
local function watch_output(output, on_ready)
  local is_ready = false
  uv.read_start(output, function(_, bytes)
    if is_ready or not bytes or not bytes:find("\n", 1, true) then return end
    is_ready = true
    on_ready()
  end)
end

---Start a server.
---@param options {program: table, port: integer, ring_file: string, replay_limit: integer, on_ready: fun(), on_exit: fun()}
---  `on_exit` is called once, when the process is gone
---@return sync.cli.Child|nil, string|nil message
function child.start(options)
  local input, output = uv.new_pipe(false), uv.new_pipe(false)
  local self = setmetatable({}, Child)
  local arguments = command_line(options.program, {
    "serve", "--quiet", "--until-eof", "--port", ("%d"):format(options.port), "--ring", options.ring_file,
    "--replay", ("%d"):format(options.replay_limit),
  })
  local function close_all()
    for _, handle in ipairs { input, output, self.process } do uv.close(handle) end
  end
  local process, pid = uv.spawn(uv.exepath(), { args = arguments, stdio = { input, output, 2 }, detached = true },
    function()
      close_all()
      self.is_gone = true
      options.on_exit()
    end)
  self.process, self.pid = process, pid
  if not process then
    close_all()
    return nil, "cannot start the server: " .. pid
  end
  watch_output(output, options.on_ready)
  return self
end

---End it at once, without giving it a chance to do anything. Again does nothing.
function Child:kill()
  if not self.is_gone then uv.process_kill(self.process, "sigkill") end
end

return child
