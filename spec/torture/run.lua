--- The proof of docs/guarantees.md: days of orders on which the client is killed, and what came of them. TAP, and a last
-- line with the sums. Usage: lua run.lua [options], see --help; `make torture`.

local argparse = require "argparse"
local crew = require "spec.torture.crew"
local day = require "spec.torture.day"
local dice = require "spec.support.dice"
local directory = require "spec.support.directory"
local findings = require "spec.torture.findings"
local play = require "spec.torture.play"

local KILLS_IN_ONE_DAY = 5

-- Four calls make an effect of those that are at fault, so each of them comes up.
local MISTAKES_EVERY = 3

local function read_arguments()
  local parser = argparse("run.lua", "Kills a client of the order server, and looks what came of it.")
  local function number(name, default, text)
    parser:option(name, ("%s (default: %d)"):format(text, default), default, tonumber)
  end
  number("--seed", 1, "of the day and of the moments")
  number("--events", 50, "in a day")
  number("--every", 1, "is killed of the calls that write")
  number("--rounds", 200, "of random moments, and of several kills in a day")
  number("--at-once", 3, "days that are played at the same time")
  return parser:parse()
end

local arguments = read_arguments()
local beats = day.new(arguments.seed, arguments.events)
local moments = dice.new(arguments.seed)
local total, tests, failed = findings.none(), 0, 0

-- ---- plays ---------------------------------------------------------------------------------------------------------

-- Plays a day for each list of killings that `next_killings` gives, and adds up what came of them.
local function play_all(worker, next_killings, on_found)
  local sum = findings.none()
  crew.run(arguments.at_once, function()
    local killings = next_killings(sum)
    return killings and function()
      local found = play.run { beats = beats, worker = worker, killings = killings }
      if on_found then on_found(found, killings) end
      findings.add(sum, found)
    end
  end)
  return sum
end

local function each_of(list)
  local index = 0
  return function()
    index = index + 1
    return list[index]
  end
end

-- How many calls a day takes that is not disturbed: those that write, and all.
local function count_calls(worker)
  local place = directory.new()
  play_all(worker, each_of { { { at = 0, when = "before", calls = "writes", tally = place:of "tally" } } })
  local file = assert(io.open(place:of "tally", "r"))
  local writes, all = file:read("*n", "*n")
  file:close()
  place:close()
  return writes, all
end

-- ---- when the client is killed -------------------------------------------------------------------------------------

-- Before and after each of the calls that write; with a stride they take turns.
local function at_each_call(writes, every)
  local list = {}
  for at = 1, writes, every do
    local is_even = #list % 2 == 0
    if every == 1 or is_even then list[#list + 1] = { { at = at, when = "before", calls = "writes" } } end
    if every == 1 or not is_even then list[#list + 1] = { { at = at, when = "after", calls = "writes" } } end
  end
  return list
end

local function at_random(all, rounds, kills)
  local list = {}
  for round = 1, rounds do
    list[round] = {}
    for kill = 1, kills do
      local when = moments:pick { "before", "after" }
      list[round][kill] = { at = moments:between(1, math.floor(all / kills)), when = when, calls = "all" }
    end
  end
  return list
end

-- ---- the tests -----------------------------------------------------------------------------------------------------

local function describe(worker, killings)
  local words = { worker }
  for _, killing in ipairs(killings) do
    words[#words + 1] = ("%s call %d of %s"):format(killing.when, killing.at, killing.calls)
  end
  return table.concat(words, ", ")
end

local function tell(ok, title, sum)
  tests = tests + 1
  if not ok then failed = failed + 1 end
  print(("%s %d - %s: %s"):format(ok and "ok" or "not ok", tests, title, findings.line(sum)))
  io.stdout:flush()
end

-- Without ids no event is promised: what the server has not sent again is not missing.
local function test_honest(title, worker, list)
  local sum = play_all(worker, each_of(list), function(found, killings)
    if worker == "without_ids" then found.lost = 0 end
    if not findings.are_clean(found) then print(("# %s: %s"):format(describe(worker, killings), findings.line(found))) end
  end)
  tell(findings.are_clean(sum) and sum.kills > 0, title, sum)
  findings.add(total, sum)
end

-- The audit must see what such a worker does, else the others' results mean nothing. Once is enough.
local function test_mistake(title, worker, name)
  local next_of = each_of(at_each_call(count_calls(worker), MISTAKES_EVERY))
  local sum = play_all(worker, function(so_far) return so_far[name] == 0 and next_of() or nil end)
  tell(sum[name] > 0, title, sum)
end

local writes, all = count_calls "once"
print(("# a day of %d events, seed %d: %d calls that write, %d in all"):format(arguments.events, arguments.seed, writes, all))
test_honest("killed at calls that write", "once", at_each_call(writes, arguments.every))
test_honest("killed at a random moment", "once", at_random(all, arguments.rounds, 1))
test_honest("killed again and again", "once", at_random(all, arguments.rounds, KILLS_IN_ONE_DAY))
for _, worker in ipairs { "redelivered", "full", "manual", "without_ids" } do
  test_honest("killed at calls that write, " .. worker, worker, at_each_call(count_calls(worker), 5 * arguments.every))
end
test_mistake("effects without once are doubled", "without_once", "doubled")
test_mistake("a cursor that is written before the work loses events", "cursor_first", "lost")
test_mistake("without a journal the book differs", "cursor_first", "book_differs")
test_mistake("the last first is out of order", "last_first", "out_of_order")

print(("1..%d"):format(tests))
print(findings.line(total))
os.exit(failed == 0 and 0 or 1)
