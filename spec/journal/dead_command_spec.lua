--- `ordersync dead`, as its user has it: on a journal that nobody has open, and on one that a client has.

local cjson = require "cjson"
local persistence = require "sync.persistence"
local program = require "spec.cli.program"
local shop = require "spec.support.shop"
local uv = require "luv"

local place

before_each(function() place = shop.new() end)

after_each(function()
  place:close()
  uv.run() -- ends only when nothing is left
end)

-- A client whose handler fails at three bills.
local function bad_day()
  local mock = place:open()
  local sub = mock.client:subscribe(function() error "no paper" end)
  for number = 1, 3 do shop.bill(mock, number) end
  sub:cancel()
  return mock
end

local function dead(...)
  return program.run("dead", place.path, ...)
end

describe("ordersync dead", function()
  it("lists them, one a line", function()
    bad_day():close()
    local run = dead()
    assert.same({ 0, "" }, { run.code, run.stderr })
    local lines = run:lines()
    assert.equal(3, #lines)
    assert.matches("^2 +%d+%-%d%d%-%d%d %d%d:%d%d:%d%d ORDER%-2 +stage_change +.*no paper$", lines[2])
    assert.equal(run.stdout, dead("list").stdout)
  end)

  it("shows all that is known of one", function()
    bad_day():close()
    local run = dead("show", "2")
    assert.equal(0, run.code)
    assert.matches("\norder +ORDER%-2\n", run.stdout)
    assert.matches("\nevent id +2\n", run.stdout)
    assert.matches("\nstream +http://orders.test", run.stdout)
    assert.matches('\nmessage +{.*"newStage":"billed"', run.stdout)
    assert.matches("\nproblem +.*no paper\n.*stack traceback", run.stdout)
  end)

  it("speaks JSON", function()
    bad_day():close()
    local numbers = {}
    for index, line in ipairs(dead("--json"):lines()) do numbers[index] = cjson.decode(line).order_id end
    assert.same({ "ORDER-1", "ORDER-2", "ORDER-3" }, numbers)
    local letter = cjson.decode(dead("show", "2", "--json").stdout)
    assert.same({ "letter", 2, 1, false }, { letter.kind, letter.number, letter.attempts, letter.wanted })
  end)

  it("has one delivered again by the next client", function()
    bad_day():close()
    local run = dead("redeliver", "2")
    assert.same({ 0, "1 dead letter to be delivered again\n" }, { run.code, run.stdout })
    assert.matches("to be delivered again: .*no paper", dead():lines()[2])
    local mock = place:open()
    local numbers = shop.numbers(mock)
    mock:advance()
    assert.same({ 2 }, numbers)
    mock:close()
    assert.equal(2, #dead():lines())
  end)

  it("has all delivered again by a client that is running", function()
    local mock = bad_day()
    local numbers = shop.numbers(mock)
    assert.equal("3 dead letters to be delivered again\n", dead("redeliver", "all").stdout)
    mock:advance(2000)
    mock:advance()
    assert.same({ 1, 2, 3 }, numbers)
    assert.equal("no dead letters\n", dead().stdout)
  end)

  it("forgets one, and all", function()
    local mock = bad_day()
    assert.equal("1 dead letter forgotten\n", dead("forget", "1").stdout)
    assert.equal(2, #mock.client:dead_letters())
    assert.equal("2 dead letters forgotten\n", dead("forget", "all").stdout)
    assert.same({}, mock.client:dead_letters())
    assert.equal("0 dead letters forgotten\n", dead("forget", "all").stdout)
  end)

  it("says that there is no such letter, no such file, and that a file is no journal", function()
    bad_day():close()
    for _, action in ipairs { "show", "redeliver", "forget" } do
      local run = dead(action, "9")
      assert.same({ 1, "", "ordersync: there is no dead letter 9\n" }, { run.code, run.stdout, run.stderr })
    end
    local run = program.run("dead", place.directory:of "nothing.db")
    assert.equal(1, run.code)
    assert.matches("NO_JOURNAL: there is no such file", run.stderr)
    assert.is_nil(uv.fs_stat(place.directory:of "nothing.db"))
    run = program.run("dead", place.directory:write("text.db", ("no database "):rep(1000)))
    assert.equal(1, run.code)
    assert.matches("JOURNAL_CORRUPT", run.stderr)
  end)

  it("looks for the file that persistence = true has for a url", function()
    local url = "http://127.0.0.1:9/api"
    local run = program.run("dead", url)
    assert.equal(1, run.code)
    assert.matches("there is no such file: " .. persistence.default_path(url):gsub("%p", "%%%0"), run.stderr)
  end)
end)
