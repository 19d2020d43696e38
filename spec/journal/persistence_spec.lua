--- A client that is closed and opened again on the same file: it goes on where it was, and what was not done comes first.

local directory = require "spec.support.directory"
local persistence = require "sync.persistence"
local shop = require "spec.support.shop"
local sync = require "sync"
local world = require "spec.support.world"

local place

before_each(function() place = shop.new() end)

after_each(function()
  place:close()
  world.close()
end)

-- Events 1 to `count` arrive, and the day ends in the handler of the first: `ends(event, mock)` says how.
local function interrupted(count, ends, options)
  local mock = place:open(options)
  mock.client:subscribe(function(event) ends(event, mock) end)
  mock:advance()
  local text = ""
  for number = 1, count do
    text = text .. ('id: %d\nevent: stage_change\ndata: {"orderID":"ORDER-%d","data":{"newStage":"billed","number":%d}}\n\n')
      :format(number, number, number)
  end
  mock:send(text)
  mock:close()
end

-- Closed while the handler of the first waits for something: it has not returned.
local function yielding(count)
  local host = coroutine.wrap(function() interrupted(count, function() coroutine.yield() end) end)
  host()
  place.mocks[#place.mocks].client:close()
end

describe("a second client on a file", function()
  it("resumes behind the last event, and drops what comes again", function()
    local mock = place:open()
    for number = 1, 3 do shop.bill(mock, number) end
    mock:close()

    mock = place:open()
    local numbers = shop.numbers(mock)
    mock:advance()
    assert.equal("3", mock.requests[1].last_event_id)
    for number = 2, 5 do shop.bill(mock, number) end
    assert.same({ 4, 5 }, numbers)
    assert.equal(2, mock.client:metrics().duplicates)
  end)

  it("gets what was not done first of all, in order, and marked", function()
    yielding(3)
    local mock = place:open()
    local heard = {}
    mock.client:subscribe(function(event)
      heard[#heard + 1] = ("%d %s"):format(event.data.number, event.redelivered and "again" or "new")
    end)
    shop.bill(mock, 4)
    assert.same({ "1 again", "2 again", "3 again", "4 new" }, heard)
    assert.equal("3", mock.requests[1].last_event_id)
    assert.equal(3, mock.client:metrics().redelivered)
    mock:close()

    mock = place:open()
    local numbers = shop.numbers(mock)
    mock:advance()
    assert.same({}, numbers)
  end)

  it("counts on where the one before left off", function()
    local mock = place:open()
    for number = 1, 3 do shop.bill(mock, number) end
    local last = mock.client:latest().seq
    mock:close()
    mock = place:open()
    shop.bill(mock, 4)
    assert.is_true(mock.client:latest().seq > last)
    assert.equal(4, mock.client:metrics().lifetime.events)
    assert.equal(1, mock.client:metrics().total_events)
  end)

  it("is refused while the first is open, with the pid of who has it", function()
    place:open()
    local ok, message = pcall(place.open, place)
    assert.is_false(ok)
    assert.matches("JOURNAL_LOCKED", message)
    assert.truthy(message:find(("(%d)"):format(require("luv").os_getpid()), 1, true), message)
  end)

  it("goes on with a real server that replays by id", function()
    local server = world.server()
    local options = { persistence = place.path }
    local client = world.connect(server, options)
    local numbers = world.collect_numbers(client)
    world.await_state(client)
    world.publish(server, 1, 5)
    world.await(function() return #numbers == 5 end)
    client:close()
    world.publish(server, 6, 10)
    client = world.connect(server, options)
    numbers = world.collect_numbers(client)
    world.await(function() return #numbers == 5 end)
    world.assert_in_order(numbers, 5, 6)
  end)
end)

describe("close() inside a handler", function()
  it("counts as that handler's return: the event is done, those behind it are not", function()
    interrupted(3, function(_, mock) mock.client:close() end)
    local mock = place:open()
    local numbers = shop.numbers(mock)
    mock:advance()
    assert.same({ 2, 3 }, numbers)
  end)

  it("does for other handlers of the event, too, which are not called any more", function()
    local mock = place:open()
    local called = false
    mock.client:subscribe(function() mock.client:close() end)
    mock.client:subscribe(function() called = true end)
    shop.bill(mock, 1)
    assert.is_false(called)
    mock = place:open()
    local numbers = shop.numbers(mock)
    mock:advance()
    assert.same({}, numbers)
  end)

  it("does not where a handler of the event has failed", function()
    local mock = place:open()
    mock.client:subscribe(function() error "no paper" end)
    mock.client:subscribe(function() mock.client:close() end)
    shop.bill(mock, 1)
    mock = place:open()
    local numbers = shop.numbers(mock)
    mock:advance()
    assert.same({ 1 }, numbers)
  end)
end)

describe("in the pull style", function()
  it("an event is done when the next one is asked for", function()
    local mock = place:open()
    mock.client:next(1)
    for number = 1, 3 do shop.bill(mock, number) end
    assert.equal(1, mock.client:next(1).data.number)
    assert.equal(2, mock.client:next(1).data.number)
    mock:close()
    mock = place:open()
    assert.equal(2, mock.client:next(1).data.number)
    assert.equal(3, mock.client:next(1).data.number)
  end)

  it("or when it is acknowledged", function()
    local mock = place:open()
    mock.client:next(1)
    for number = 1, 2 do shop.bill(mock, number) end
    assert.is_true(mock.client:ack(mock.client:next(1)))
    mock:close()
    mock = place:open()
    local event = mock.client:next(1)
    assert.same({ 2, true }, { event.data.number, event.redelivered })
  end)
end)

describe("what waits at the gate", function()
  local RULES = { violations = { skipped = "hold", hold_ms = 60000 } }

  local function step(mock, order_id, new)
    mock:emit { type = "stage_change", order_id = order_id, data = { newStage = new } }
  end

  local function stages_heard(mock)
    local list = {}
    mock.client:on_stage_change("*", function(event, _, new) list[#list + 1] = event.order_id .. " " .. new end)
    return list
  end

  it("is not done until it has been delivered", function()
    local mock = place:open(RULES)
    local heard = stages_heard(mock)
    step(mock, "A", "initiated")
    step(mock, "A", "billed")
    step(mock, "B", "initiated")
    assert.same({ "A initiated", "B initiated" }, heard)
    mock:close()

    mock = place:open(RULES)
    heard = stages_heard(mock)
    mock:advance(60000)
    assert.same({ "A billed" }, heard)
    mock:close()

    mock = place:open(RULES)
    heard = stages_heard(mock)
    mock:advance(60000)
    assert.same({}, heard)
  end)

  it("is done when it has been dropped", function()
    local rules = { violations = { skipped = "hold", hold_ms = 1000, impossible = "drop" } }
    local mock = place:open(rules)
    step(mock, "A", "initiated")
    step(mock, "A", "gone")
    mock:close()
    mock = place:open(rules)
    local heard = stages_heard(mock)
    mock:advance(60000)
    assert.same({}, heard)
  end)

  it("waits no longer when the rules change", function()
    local mock = place:open(RULES)
    local heard = stages_heard(mock)
    step(mock, "A", "initiated")
    step(mock, "A", "billed")
    assert.is_true(mock.client:configure { event_history_limit = 50 })
    mock:advance()
    assert.same({ "A initiated" }, heard)
    assert.is_true(mock.client:configure { violations = { skipped = "deliver" } })
    mock:advance()
    assert.same({ "A initiated", "A billed" }, heard)
  end)
end)

describe("persistence", function()
  it("= true: a file named after host and port, in the working directory", function()
    for url, path in pairs {
      ["http://127.0.0.1:8080"] = "ordersync-127.0.0.1-8080.db",
      ["https://Shop.example/events?token=secret"] = "ordersync-shop.example-443.db",
      ["http://user:secret@shop.example"] = "ordersync-shop.example-80.db",
      ["http://[::1]:9000/x"] = "ordersync-__1-9000.db",
    } do
      assert.equal(path, persistence.default_path(url))
    end
  end)

  it("= true opens that file", function()
    local uv = require "luv"
    local home, folder = uv.cwd(), directory.new()
    assert(uv.chdir(folder.path))
    local client = sync.connect { url = "http://127.0.0.1:9", persistence = true, auto_connect = false }
    assert(uv.chdir(home))
    assert.is_true(client:health().journal.ok)
    client:close()
    assert.is_truthy(uv.fs_stat(folder:of "ordersync-127.0.0.1-9.db"))
    folder:close()
  end)

  it("is checked", function()
    local function misuse(options)
      options.url = "http://127.0.0.1:9"
      local ok, message = pcall(sync.connect, options)
      assert.is_false(ok)
      return message
    end
    assert.matches("^persistence: expected true, false, the path of a file or a table, got 7", misuse { persistence = 7 })
    assert.matches("^persistence: expected true", misuse { persistence = "" })
    assert.matches("^persistence.durabilty: unknown option %(did you mean 'durability'%?%)",
      misuse { persistence = { durabilty = "full" } })
    assert.matches("^persistence.durability: expected one of normal, full, off", misuse { persistence = { durability = "x" } })
    assert.matches("^retry.attempts: expected a whole number, 1 or more", misuse { retry = { attempts = 0 } })
    assert.matches("^ack: expected", misuse { ack = "later" })
    assert.matches("^redact: \"orderID\" is what orders are known by", misuse { redact = { "phone", "orderID" } })
    assert.matches("^redact: \"kind\" is the type of an event", misuse { redact = "kind", fields = { type = "kind" } })
  end)

  it("is fixed for a client's life", function()
    local mock = place:open()
    local ok, _, code = mock.client:configure { persistence = false }
    assert.same({ nil, "OPTION" }, { ok, code })
    assert.is_true(mock.client:configure { retry = { attempts = 2 } })
  end)

  it("tells how it is, and nothing where there is none", function()
    local mock = place:open()
    assert.same({ ok = true, unsaved = 0, waiting_for_ack = 0 }, mock.client:health().journal)
    mock:close()
    assert.is_true(mock.client:health().journal.ok)
    mock = place:open { persistence = false }
    assert.is_nil(mock.client:health().journal)
    assert.is_nil(mock.client:metrics().lifetime)
  end)

  it("goes on in memory where the file cannot be opened, unless it is required", function()
    local broken = place.directory:write("broken.db", ("no database "):rep(100))
    local mock = place:open { persistence = broken }
    local numbers = shop.numbers(mock)
    shop.bill(mock, 1)
    assert.same({ 1 }, numbers)
    local journal = mock.client:health().journal
    assert.is_false(journal.ok)
    assert.equal("JOURNAL_CORRUPT", journal.error.code)
    assert.equal("JOURNAL_CORRUPT", mock.errors[1].code)
    mock:close()
    local ok, message = pcall(place.open, place, { persistence = { path = broken, required = true } })
    assert.is_false(ok)
    assert.matches("JOURNAL_CORRUPT: file is not a database", message)
  end)
end)

describe("persistence.stream", function()
  it("finds a stream again whose url has another secret in it", function()
    local function day(url)
      return place:open { url = url, persistence = { path = place.path, stream = "the shop" } }
    end
    local mock = day "http://orders.test?token=one"
    local numbers = shop.numbers(mock)
    shop.bill(mock, 1)
    assert.same({ 1 }, numbers)
    mock:close()
    mock = day "http://orders.test?token=two"
    mock:advance()
    assert.equal("1", mock.client:health().last_event_id)
    mock:close()
    mock = place:open { url = "http://orders.test?token=two" }
    mock:advance()
    assert.is_nil(mock.client:health().last_event_id)
  end)
end)
