--- The parts of the command line that are pure: the tally, text for terminals, JSON left as it is.

local json_text = require "sync.cli.json_text"
local tally = require "sync.cli.tally"
local terminal = require "sync.cli.terminal"
local text = require "sync.cli.text"

describe("the tally", function()
  local function balance_of(sent, received)
    local counted = tally.new()
    for id in sent:gmatch(".") do counted:add_sent(id) end
    for id in received:gmatch(".") do counted:add_received(id) end
    local balance = counted:balance()
    return { balance.sent, balance.received, balance.lost, balance.duplicated, balance.out_of_order }, counted:is_perfect()
  end

  it("is perfect only when all was received, once, in order, and nothing else", function()
    for _, case in ipairs {
      { "abcd", "abcd", { 4, 4, 0, 0, 0 }, true },
      { "abcd", "abd", { 4, 3, 1, 0, 0 }, false },
      { "abcd", "abbcd", { 4, 5, 0, 1, 0 }, false },
      { "abcd", "acbd", { 4, 4, 0, 0, 1 }, false },
      { "abcd", "dabc", { 4, 4, 0, 0, 3 }, false },
      { "abcd", "abcda", { 4, 5, 0, 1, 0 }, false },
      { "abcd", "abcdx", { 4, 5, 0, 0, 0 }, false },
      { "", "", { 0, 0, 0, 0, 0 }, true },
    } do
      local balance, is_perfect = balance_of(case[1], case[2])
      assert.same(case[3], balance)
      assert.equal(case[4], is_perfect)
    end
  end)

  it("does not mind an event that arrives before the server has answered for it", function()
    local counted = tally.new()
    counted:add_received("a")
    assert.is_false(counted:is_perfect())
    counted:add_sent("a")
    assert.is_true(counted:is_perfect())
    assert.equal(1, counted.matched)
  end)
end)

describe("text for a terminal", function()
  it("shows plain text as it is, in any script", function()
    for _, plain in ipairs { "", "ORDER-001", "caf\195\169 \227\129\147 \240\159\141\149" } do
      assert.equal(plain, text.printable(plain))
    end
  end)

  it("writes out what a terminal would obey, and what is no UTF-8", function()
    for given, shown in pairs {
      ["\27[2J"] = "\\x1b[2J", ["a\r\nb\tc"] = "a\\r\\nb\\tc", ["\0\127"] = "\\x00\\x7f", ["\194\133"] = "\\u{85}",
      ["\226\129\166"] = "\\u{2066}", ["\155A"] = "\\x9bA", ["\192\155"] = "\\xc0\\x9b", ["\224\130\155"] = "\\u{9b}",
      ["\237\160\128"] = "\\u{d800}", ["\195"] = "\\xc3", ["\195\169\155"] = "\195\169\\x9b", ["\255"] = "\\xff",
    } do
      assert.equal(shown, text.printable(given))
    end
  end)

  it("measures, pads and cuts by columns", function()
    assert.equal(7, text.width("caf\195\169 \227\129\147"))
    assert.equal(1, text.width("e\204\129"))
    assert.equal("\227\129\147  ", text.pad("\227\129\147", 4))
    assert.equal("\227\129\147...", text.cut("\227\129\147\227\129\147\227\129\147", 5))
    assert.equal("abc", text.cut("abc", 3))
    assert.same({ "a...", "..", "" }, { text.cut("abcde", 4), text.cut("abcde", 2), text.cut("abcde", 0) })
  end)
end)

describe("colours", function()
  it("are for terminals, unless NO_COLOR or the user says otherwise", function()
    local wants = terminal.wants_color
    assert.is_true(wants("auto", true, {}))
    assert.is_false(wants("auto", false, {}))
    assert.is_false(wants("auto", true, { NO_COLOR = "1" }))
    assert.is_true(wants("auto", true, { NO_COLOR = "" }))
    assert.is_false(wants("auto", true, { TERM = "dumb" }))
    assert.is_true(wants("always", false, { NO_COLOR = "1" }))
    assert.is_false(wants("never", true, {}))
  end)
end)

describe("JSON text", function()
  it("gives a member as it stands", function()
    local json = ' { "a" : "x\\"}," , "data":{"data":[1,{"b":"]"}],"e":1e400} ,"n": -0.0,"t":true, "last":null}'
    assert.equal('"x\\"},"', json_text.member(json, "a"))
    assert.equal('{"data":[1,{"b":"]"}],"e":1e400}', json_text.member(json, "data"))
    assert.equal("-0.0", json_text.member(json, "n"))
    assert.equal("true", json_text.member(json, "t"))
    assert.equal("null", json_text.member(json, "last"))
  end)

  it("has no member where there is none", function()
    for _, json in ipairs { "{}", "[]", "[{\"data\":1}]", "3", '"data"', '{"x":{"data":1}}' } do
      assert.is_nil(json_text.member(json, "data"))
    end
  end)

  it("takes the last of several members of one name", function()
    assert.equal("2", json_text.member('{"data":1,"data":2}', "data"))
  end)

  it("fits on one line", function()
    assert.equal('{"a":  1}', json_text.one_line('{"a":\r\n1}'))
  end)
end)
