--- The program `ordersync`: reads the command line and runs the command that it names.
-- What can be said is in `sync.cli.grammar`; a command is the module `sync.cli.NAME` with `run(arguments)`, which gives the
-- exit code and, if there is something to say, a message for standard error. Nothing here ends the process.

local grammar = require "sync.cli.grammar"

local cli = {}

-- Exit codes: 0 as asked; 1 it did not work; 2 it was asked wrongly.
local WRONG_USAGE = 2

local function complain(message)
  io.stderr:write("ordersync: ", message, "\n")
end

---Do what a command line says.
---@param given string[] as the global `arg`: the arguments, and at 0 and below how this program was started
---@return integer exit_code
function cli.main(given)
  local arguments, message = grammar.read(given)
  if arguments == nil then
    complain(message)
    return WRONG_USAGE
  end
  if not arguments then return 0 end
  arguments.program = given
  local exit_code
  exit_code, message = require("sync.cli." .. arguments.command).run(arguments)
  if message then complain(message) end
  return exit_code
end

return cli
