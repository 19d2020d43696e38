--- The life of an order, declared: what a declaration may say, and how steps are judged by it.

local dice = require "spec.support.dice"
local stages = require "sync.stages"

local STAGES = { "empty", "initiated", "open", "billed", "paid" }

-- A life with two ends, a way back and a way round.
local KITCHEN = {
  initial = { "new" },
  final = { "served", "cancelled" },
  steps = {
    new = { "cooking", "cancelled" },
    cooking = { "ready", "cancelled" },
    ready = { "served", "cooking", "cancelled" },
  },
}

describe("the default stages", function()
  local machine = stages.check(stages.default)

  it("judge every step", function()
    local expected = { -- rows: from; columns: to
      empty = { "repeated", "ok", "skipped", "skipped", "skipped" },
      initiated = { "late", "repeated", "ok", "skipped", "skipped" },
      open = { "late", "late", "repeated", "ok", "skipped" },
      billed = { "late", "late", "late", "repeated", "ok" },
      paid = { "late", "late", "late", "late", "repeated" },
    }
    for previous, row in pairs(expected) do
      for index, verdict in ipairs(row) do
        assert.equal(verdict, stages.judge(machine, previous, STAGES[index]), previous .. " -> " .. STAGES[index])
      end
    end
  end)

  it("have nothing to say where nothing is known", function()
    for _, stage in ipairs(STAGES) do
      assert.equal("ok", stages.judge(machine, nil, stage))
      assert.equal("ok", stages.judge(machine, "refunding", stage))
    end
  end)

  it("find a stage that is none impossible, once", function()
    assert.equal("impossible", stages.judge(machine, "open", "refunding"))
    assert.equal("impossible", stages.judge(machine, nil, "refunding"))
    assert.equal("repeated", stages.judge(machine, "refunding", "refunding"))
    assert.is_false(stages.knows(machine, "refunding"))
  end)

  it("name the stages that were left out", function()
    assert.same({ "billed" }, stages.between(machine, "open", "paid"))
    assert.same({ "initiated", "open", "billed" }, stages.between(machine, "empty", "paid"))
    assert.same({}, stages.between(machine, "open", "billed"))
  end)
end)

describe("declared stages", function()
  local machine = stages.check(KITCHEN)

  it("may have several ends, branches and ways back", function()
    assert.equal("ok", stages.judge(machine, "ready", "cooking"))
    assert.equal("ok", stages.judge(machine, "cooking", "ready"))
    assert.equal("skipped", stages.judge(machine, "new", "served"))
    assert.equal("late", stages.judge(machine, "served", "ready"))
    assert.equal("impossible", stages.judge(machine, "cancelled", "served"))
    assert.equal("impossible", stages.judge(machine, "served", "cancelled"))
    assert.same({ "cooking", "ready" }, stages.between(machine, "new", "served"))
  end)

  it("lead where a way goes", function()
    assert.is_true(stages.leads(machine, "new", "served"))
    assert.is_true(stages.leads(machine, "ready", "ready")) -- by way of cooking
    assert.is_false(stages.leads(machine, "new", "new"))
    assert.is_false(stages.leads(machine, "nowhere", "new"))
  end)

  it("may step to themselves", function()
    local billing = stages.check { initial = { "a" }, final = { "b" }, steps = { a = { "a", "b" } } }
    assert.equal("ok", stages.judge(billing, "a", "a"))
    assert.equal("repeated", stages.judge(billing, "b", "b"))
  end)

  it("are copied: what is done to the declaration later is nothing to them", function()
    local given = { initial = { "a" }, final = { "b" }, steps = { a = { "b" } } }
    local checked = stages.check(given)
    given.initial[1], given.steps.a[1], given.steps.c = "c", "c", { "a" }
    assert.same({ "a" }, checked.initial)
    assert.same({ a = { "b" } }, checked.steps)
  end)
end)

describe("stages.check", function()
  local function with(change)
    local given = { initial = { "new" }, final = { "done" }, steps = { new = { "open" }, open = { "done" } } }
    change(given)
    return given
  end

  local cases = {
    { "stages: expected a table, got a string", "default" },
    { "stages.step: unknown field (did you mean 'steps'?)", with(function(g) g.step = {} end) },
    { "stages.steps: expected a table of stages, got a nil", with(function(g) g.steps = nil end) },
    { "stages.initial: expected a list of stages, got a string", with(function(g) g.initial = "new" end) },
    { "stages.initial: an order has to begin somewhere", with(function(g) g.initial = {} end) },
    { "stages.final[2]: expected a stage's name, got a number", with(function(g) g.final[2] = 3 end) },
    { 'stages.final[1]: expected a stage\'s name, got ""', with(function(g) g.final[1] = "" end) },
    { "stages.final[2]: 'done' is listed twice", with(function(g) g.final[2] = "done" end) },
    { "stages.final: expected a list, found the key done", with(function(g) g.final.done = true end) },
    { "stages.steps.open: expected a list of stages, got a string", with(function(g) g.steps.open = "done" end) },
    { "stages.steps: expected names of stages as keys, got 1", with(function(g) g.steps[1] = { "new" } end) },
    { "stages.steps.open[1]: unknown stage 'dome' (did you mean 'done'?): it has no steps and is not final",
      with(function(g) g.steps.open[1] = "dome" end) },
    { "stages.initial[1]: unknown stage 'begin': it has no steps and is not final",
      with(function(g) g.initial[1] = "begin" end) },
    { "stages.final[1]: 'done' has steps: nothing follows a final stage", with(function(g) g.steps.done = { "new" } end) },
    { "stages.steps.open: nothing follows, and it is not final", with(function(g) g.steps.open = {} end) },
    { "stages: no initial stage leads to 'lost'", with(function(g) g.steps.lost = { "open" } end) },
  }

  it("says what is wrong with a declaration, and where", function()
    for _, case in ipairs(cases) do
      local ok, message = pcall(stages.check, case[2])
      assert.is_false(ok, case[1])
      assert.equal(case[1], message)
    end
    assert.error_matches(function() stages.check({}, "options.stages") end, "^options.stages.steps: ")
  end)

  it("takes what is right", function()
    stages.check(with(function() end))
    stages.check(with(function(g) g.steps.done = {} end))
    stages.check { initial = { "only" }, final = { "only" }, steps = {} }
  end)
end)

-- Fewest steps between any two stages, by Floyd and Warshall.
local function distances(machine, names)
  local distance = {}
  for _, a in ipairs(names) do
    distance[a] = {}
    for _, b in ipairs(machine.steps[a] or {}) do distance[a][b] = 1 end
  end
  for _, through in ipairs(names) do
    for _, a in ipairs(names) do
      for _, b in ipairs(names) do
        local way = (distance[a][through] or math.huge) + (distance[through][b] or math.huge)
        if way < (distance[a][b] or math.huge) then distance[a][b] = way end
      end
    end
  end
  return distance
end

describe("random stages", function()
  -- Stages S1 to Sn; everything is reached from S1, and what leads nowhere is final.
  local function random_declaration(die)
    local names, given = {}, { initial = { "S1" }, final = {}, steps = {} }
    for number = 1, die:between(2, 7) do names[number] = "S" .. number end
    for number = 2, #names do
      local from = names[die:between(1, number - 1)]
      given.steps[from] = given.steps[from] or {}
      table.insert(given.steps[from], names[number])
    end
    for _, name in ipairs(names) do
      local steps = given.steps[name]
      local extra = die:pick(names)
      local known = not steps
      for _, following in ipairs(steps or {}) do known = known or following == extra end
      if not steps then table.insert(given.final, name) elseif not known then table.insert(steps, extra) end
    end
    return given, names
  end

  local function expected_verdict(distance, previous, new)
    local ahead, back = distance[previous][new], distance[new][previous]
    if ahead == 1 then return "ok" end
    if previous == new then return "repeated" end
    return ahead and "skipped" or back and "late" or "impossible"
  end

  it("judge as the distances between them say", function()
    for seed = 1, 100 do
      local given, names = random_declaration(dice.new(seed))
      local machine = stages.check(given)
      local distance = distances(machine, names)
      for _, a in ipairs(names) do
        for _, b in ipairs(names) do
          local verdict = stages.judge(machine, a, b)
          assert.equal(expected_verdict(distance, a, b), verdict, ("seed %d: %s -> %s"):format(seed, a, b))
          if verdict == "skipped" then
            assert.equal(distance[a][b] - 1, #stages.between(machine, a, b))
          end
        end
      end
    end
  end)
end)
