--- `ordersync dead`: the dead letters of a journal, while a client has it open or not: listed, shown, delivered again,
-- forgotten.

local core = require "sync.core"
local line = require "sync.cli.line"
local ndjson = require "sync.cli.ndjson"
local persistence = require "sync.persistence"
local terminal = require "sync.cli.terminal"

local dead = {}

-- The file that a client of this url has with persistence = true.
local function path_of(journal)
  return journal:find "^%a[%w+.-]*://" and persistence.default_path(journal) or journal
end

local function letters_of(journal, number)
  local letters, message = journal:list()
  if not letters then return nil, message end
  if not number then return letters end
  for _, letter in ipairs(letters) do
    if letter.number == number then return { letter } end
  end
  return nil, ("there is no dead letter %d"):format(number)
end

-- What each action does, of the open journal; gives nil and a message when it cannot.
local ACTIONS = {}

function ACTIONS.list(journal, arguments, out)
  local letters, message = letters_of(journal)
  if not letters then return nil, message end
  for _, letter in ipairs(letters) do
    if arguments.json then out:write(ndjson.letter(letter)) else out:line(line.letter(letter)) end
  end
  if not letters[1] and not arguments.json then out:line { { "no dead letters" } } end
  return true
end

function ACTIONS.show(journal, arguments, out)
  local letters, message = letters_of(journal, arguments.number)
  if not letters then return nil, message end
  if arguments.json then
    out:write(ndjson.letter(letters[1]))
  else
    for _, pieces in ipairs(line.whole_letter(letters[1])) do out:line(pieces) end
  end
  return true
end

-- redeliver and forget; `done` says what was done to so many.
local function change(method, done)
  return function(journal, arguments, out)
    local count, message = journal[method](journal, arguments.number)
    if not count then return nil, message end
    if count == 0 and arguments.number > 0 then return nil, ("there is no dead letter %d"):format(arguments.number) end
    out:line { { done:format(count, count == 1 and "" or "s") } }
    return true
  end
end

ACTIONS.redeliver = change("redeliver", "%d dead letter%s to be delivered again")
ACTIONS.forget = change("forget", "%d dead letter%s forgotten")

---Run the command.
---@param arguments table what the command line says
---@return integer exit_code 0: done; 1: no such letter, or the journal failed
---@return string|nil message
function dead.run(arguments)
  local journal, message = core.letters(path_of(arguments.journal))
  if not journal then return 1, message end
  local out = terminal.output(arguments.color)
  local ok
  ok, message = ACTIONS[arguments.action](journal, arguments, out)
  journal:close()
  out:flush()
  return ok and 0 or 1, message
end

return dead
