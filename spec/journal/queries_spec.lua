--- The queries of docs/journal.md, as a person would ask them of the file, while the client has it.

local luasql = require "luasql.sqlite3"
local shop = require "spec.support.shop"

local PAGE = "docs/journal.md"

local place

before_each(function() place = shop.new() end)
after_each(function() place:close() end)

-- number and question -> the statement behind it
local function queries()
  local file = assert(io.open(PAGE, "rb"))
  local block = file:read("*a"):match "```sql\n(.-)```"
  file:close()
  local list = {}
  for question, statement in block:gmatch "%-%- (%d+%. [^\n]+)\n(.-);\n" do
    list[#list + 1] = { question = question, statement = statement }
  end
  return list
end

-- A day with something for every question.
local function lively_day()
  local mock = place:open()
  mock.client:on_stage_change("*", function(event)
    mock.client:once(event, "print", function() end)
    if event.order_id == "ORDER-3" then error "no paper" end
  end)
  mock:emit { type = "order_created", order_id = "ORDER-1", id = "0", data = { orderStage = "open" } }
  for number = 1, 3 do shop.bill(mock, number) end
  mock:emit { type = "resync", id = "4", data = { reason = "too_old" } }
  return mock
end

describe("the queries of the page", function()
  it("are ten", function() assert.equal(10, #queries()) end)

  it("are answered by the file of a client that is at work", function()
    local mock = lively_day()
    local environment = luasql.sqlite3()
    local database = assert(environment:connect(place.path))
    for _, query in ipairs(queries()) do
      local cursor, problem = database:execute(query.statement)
      assert.is_truthy(cursor, ("%s %s"):format(query.question, problem))
      cursor:close()
    end
    local function first(question)
      local cursor = assert(database:execute(queries()[question].statement))
      local row = cursor:fetch({}, "a")
      cursor:close()
      return row
    end
    assert.equal("resync", first(1).type)
    assert.equal("ORDER-3", first(5).id)
    assert.equal("billed", first(5).stage)
    assert.equal("done", first(6).state)
    assert.equal("no paper", first(8).problem:match "no paper")
    assert.equal("resync", first(9).reason)
    assert.is_true(tonumber(first(10).events) >= 5)
    database:close()
    environment:close()
    mock:close()
  end)
end)
