--- A slow rollout: which terminals are chosen is the same everywhere, stays so while it grows, and is as many as asked for.

local rollout = require "sync.rollout"

local function keys(format, count)
  local list = {}
  for number = 1, count do list[number] = format:format(number) end
  return list
end

local function chosen_of(list, percent)
  local chosen, count = {}, 0
  for _, key in ipairs(list) do
    if rollout.chosen { percent = percent, key = key } then
      chosen[key], count = true, count + 1
    end
  end
  return chosen, count
end

describe("the hash", function()
  it("is FNV-1a, by the vectors of its authors", function()
    local vectors = {
      [""] = "811c9dc5", a = "e40c292c", b = "e70c2de5", c = "e60c2c52", fo = "6222e842", foo = "a9f37ed7",
      foob = "3f5076ef", fooba = "39aaa18a", foobar = "bf9cf968", ["chongo was here!\n"] = "d49930d5",
    }
    for text, expected in pairs(vectors) do assert.equal(expected, ("%08x"):format(rollout.hash(text)), text) end
  end)

  it("takes every byte, also 0 and 255", function()
    local seen = {}
    for byte = 0, 255 do
      local hash = rollout.hash(string.char(byte))
      assert.is_nil(seen[hash])
      seen[hash] = true
    end
    assert.not_equal(rollout.hash "a\0b", rollout.hash "a\0c")
  end)
end)

describe("rollout.chosen", function()
  it("is nobody at 0, everybody at 100", function()
    local list = keys("terminal-%d", 2000)
    assert.equal(0, select(2, chosen_of(list, 0)))
    assert.equal(2000, select(2, chosen_of(list, 100)))
  end)

  it("is the same on every VM and in every release", function()
    assert.equal(82.71, rollout.position "terminal-1")
    assert.equal(21.72, rollout.position "till/7")
  end)

  it("is those below the percentage", function()
    assert.is_false(rollout.chosen { percent = 82.71, key = "terminal-1" })
    assert.is_true(rollout.chosen { percent = 82.72, key = "terminal-1" })
  end)

  it("never leaves a key out again as the percentage grows", function()
    local list = keys("terminal-%d", 500)
    local before = {}
    for percent = 0, 100, 2.5 do
      local now = chosen_of(list, percent)
      for key in pairs(before) do assert.is_true(now[key], key) end
      before = now
    end
  end)

  it("is as many as asked for, however alike the keys are", function()
    for _, format in ipairs { "terminal-%d", "%d", "till-%05d", "shop-12/till-%d" } do
      local list = keys(format, 10000)
      for _, percent in ipairs { 1, 10, 50, 90 } do
        local _, count = chosen_of(list, percent)
        local expected = 100 * percent
        -- Four standard deviations of what chance would give.
        assert.near(expected, count, 4 * math.sqrt(expected * (1 - percent / 100)), format)
      end
    end
  end)

  it("raises for what is not a percentage and a key, with the option's path", function()
    local cases = {
      { "rollout: expected a table, got a number", 5 },
      { "rollout.percent: expected a number from 0 to 100, got nil", { key = "a" } },
      { "rollout.percent: expected a number from 0 to 100, got -1", { key = "a", percent = -1 } },
      { "rollout.percent: expected a number from 0 to 100, got 101", { key = "a", percent = 101 } },
      { "rollout.percent: expected a number from 0 to 100, got 10", { key = "a", percent = "10" } },
      { "rollout.key: expected a string that is not empty, got a number", { key = 7, percent = 10 } },
      { 'rollout.key: expected a string that is not empty, got ""', { key = "", percent = 10 } },
      { "rollout.percnt: unknown option (did you mean 'percent'?)", { key = "a", percnt = 10 } },
    }
    for _, case in ipairs(cases) do
      local ok, message = pcall(rollout.chosen, case[2])
      assert.is_false(ok)
      assert.equal(case[1], message)
    end
    local nan = 0 / 0
    assert.error_matches(function() rollout.chosen { key = "a", percent = nan } end, "rollout.percent: expected")
    assert.error_matches(function() rollout.check({ percent = 1 }, "options.rollout") end, "^options.rollout.key: ")
  end)
end)
