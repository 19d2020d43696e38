-- The life of an order as a declared machine: which stages there are, where it begins, where it ends, and which step may
-- follow which. It judges steps; what is done about a bad one is decided in violations.lua.

local suggest = require "sync.suggest"

local stages = {}

---@class sync.Stages what a user declares
---@field initial string[] where an order may begin
---@field final string[] where it may end: nothing follows
---@field steps table<string, string[]> stage -> those that may follow

---@class sync.StageMachine a checked one
---@field initial string[]
---@field final string[]
---@field steps table<string, string[]>
---@field ahead table<string, table<string, integer>> stage -> every stage that lies ahead of it -> how many steps

---@alias sync.StageVerdict
---| "ok"
---| "repeated" the stage it was in already
---| "skipped" steps are missing in between
---| "late" the new stage lies before the one it was in
---| "impossible" no way leads there, or there is no such stage

--- The life of an order as the existing server knows it.
---@type sync.Stages
stages.default = {
  initial = { "empty", "initiated" },
  final = { "paid" },
  steps = { empty = { "initiated" }, initiated = { "open" }, open = { "billed" }, billed = { "paid" } },
}

--- The types of events that tell of a step.
stages.CHANGES = { "stage_change", "order_stage_change" }

local IS_CHANGE = {}
for _, name in ipairs(stages.CHANGES) do IS_CHANGE[name] = true end

--- Whether an event of this type tells of a step.
---@param type string
---@return boolean
function stages.is_change(type)
  return IS_CHANGE[type] == true
end

local FIELDS = { "final", "initial", "steps" }

-- ---- checking a declaration ----------------------------------------------------------------------------------------

local function fail(path, text, ...)
  error(("%s: " .. text):format(path, ...), 0)
end

local function sorted_keys(set)
  local keys = {}
  for key in pairs(set) do keys[#keys + 1] = key end
  table.sort(keys)
  return keys
end

-- A copy: what the caller does to his own later is not ours.
local function checked_list(path, list)
  if type(list) ~= "table" then fail(path, "expected a list of stages, got a %s", type(list)) end
  local copy, seen = {}, {}
  for index = 1, #list do
    local stage, place = list[index], ("%s[%d]"):format(path, index)
    if type(stage) ~= "string" or stage == "" then
      fail(place, "expected a stage's name, got %s", stage == "" and '""' or "a " .. type(stage))
    end
    if seen[stage] then fail(place, "'%s' is listed twice", stage) end
    copy[index], seen[stage] = stage, true
  end
  for key in pairs(list) do
    if type(key) ~= "number" or copy[key] == nil then fail(path, "expected a list, found the key %s", tostring(key)) end
  end
  return copy
end

local function check_fields(path, given)
  if type(given) ~= "table" then fail(path, "expected a table, got a %s", type(given)) end
  for name in pairs(given) do
    if name ~= "initial" and name ~= "final" and name ~= "steps" then
      fail(path .. "." .. tostring(name), "unknown field%s", suggest.hint(tostring(name), FIELDS))
    end
  end
  if type(given.steps) ~= "table" then
    fail(path .. ".steps", "expected a table of stages, got a %s", type(given.steps))
  end
end

local function checked_steps(path, steps)
  local copy = {}
  for stage, following in pairs(steps) do
    if type(stage) ~= "string" or stage == "" then fail(path, "expected names of stages as keys, got %s", tostring(stage)) end
    copy[stage] = checked_list(path .. "." .. stage, following)
  end
  return copy
end

-- A stage that is only stepped to is a slip of the pen, unless it is final.
local function check_known(path, machine)
  local declared = {}
  for stage in pairs(machine.steps) do declared[stage] = true end
  for _, stage in ipairs(machine.final) do declared[stage] = true end
  local names = sorted_keys(declared)
  local function check_list(place, list)
    for index, stage in ipairs(list) do
      if not declared[stage] then
        fail(("%s[%d]"):format(place, index), "unknown stage '%s'%s: it has no steps and is not final", stage,
          suggest.hint(stage, names))
      end
    end
  end
  check_list(path .. ".initial", machine.initial)
  for _, stage in ipairs(sorted_keys(machine.steps)) do check_list(path .. ".steps." .. stage, machine.steps[stage]) end
  return names
end

local function check_ends(path, machine)
  local is_final = {}
  for index, stage in ipairs(machine.final) do
    is_final[stage] = true
    if #(machine.steps[stage] or {}) > 0 then
      fail(("%s.final[%d]"):format(path, index), "'%s' has steps: nothing follows a final stage", stage)
    end
  end
  for _, stage in ipairs(sorted_keys(machine.steps)) do
    if #machine.steps[stage] == 0 and not is_final[stage] then
      fail(path .. ".steps." .. stage, "nothing follows, and it is not final")
    end
  end
end

-- How many steps it takes from `stage` to each stage ahead of it: breadth first, so the fewest.
local function ahead_of(machine, stage)
  local distance, queue, head = {}, { stage }, 1
  while queue[head] do
    local here = queue[head]
    for _, following in ipairs(machine.steps[here] or {}) do
      if not distance[following] then
        distance[following] = (here == stage and 0 or distance[here]) + 1
        queue[#queue + 1] = following
      end
    end
    head = head + 1
  end
  return distance
end

local function check_reached(path, machine, names)
  local reached = {}
  for _, initial in ipairs(machine.initial) do
    reached[initial] = true
    for stage in pairs(machine.ahead[initial]) do reached[stage] = true end
  end
  for _, stage in ipairs(names) do
    if not reached[stage] then fail(path, "no initial stage leads to '%s'", stage) end
  end
end

--- Checks a declaration and makes a machine of it. Raises for whatever cannot be meant, with the path to it.
---@param given sync.Stages
---@param path? string of the option, default "stages"
---@return sync.StageMachine
function stages.check(given, path)
  path = path or "stages"
  check_fields(path, given)
  local machine = {
    initial = checked_list(path .. ".initial", given.initial),
    final = checked_list(path .. ".final", given.final),
    steps = checked_steps(path .. ".steps", given.steps),
    ahead = {},
  }
  if not machine.initial[1] then fail(path .. ".initial", "an order has to begin somewhere") end
  local names = check_known(path, machine)
  check_ends(path, machine)
  for _, stage in ipairs(names) do machine.ahead[stage] = ahead_of(machine, stage) end
  check_reached(path, machine, names)
  return machine
end

-- ---- judging steps -------------------------------------------------------------------------------------------------

--- Whether `stage` is one of the machine's.
---@param machine sync.StageMachine
---@param stage string
---@return boolean
function stages.knows(machine, stage)
  return machine.ahead[stage] ~= nil
end

--- Whether a way of one step or more leads from `stage` to `other`.
---@param machine sync.StageMachine
---@param stage string
---@param other string
---@return boolean
function stages.leads(machine, stage, other)
  local ahead = machine.ahead[stage]
  return ahead ~= nil and ahead[other] ~= nil
end

--- Judges a step. Of an order whose stage is not known, or is none of the machine's (which was told when it came there),
--- any stage of the machine is "ok": there is nothing to judge by.
---@param machine sync.StageMachine
---@param previous string|nil
---@param new string
---@return sync.StageVerdict
function stages.judge(machine, previous, new)
  local ahead = previous and machine.ahead[previous]
  if ahead and ahead[new] == 1 then return "ok" end -- also to itself, where that is declared
  if previous == new then return "repeated" end
  if not stages.knows(machine, new) then return "impossible" end
  if not ahead then return "ok" end
  if ahead[new] then return "skipped" end
  return machine.ahead[new][previous] and "late" or "impossible"
end

--- The stages between two, on the shortest way: those that a skipped step has left out.
---@param machine sync.StageMachine
---@param previous string
---@param new string a stage ahead of it
---@return string[]
function stages.between(machine, previous, new)
  local missing, here = {}, previous
  while machine.ahead[here][new] > 1 do
    local left = machine.ahead[here][new]
    for _, following in ipairs(machine.steps[here]) do
      if machine.ahead[following] and machine.ahead[following][new] == left - 1 then
        here = following
        break
      end
    end
    missing[#missing + 1] = here
  end
  return missing
end

return stages
