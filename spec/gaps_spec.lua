--- Gaps: what is known to be missing in the stream, what closes it, and when a client says that it has everything.

local directory = require "spec.support.directory"
local world = require "spec.support.world"

after_each(world.close)

local ORDERS = "/api/v1/orders"
local POLLS = { url = ORDERS, interval_ms = 3600000 }

-- So many events without a hole, and ids are known to count.
local ENOUGH = 40

-- A client, and the gaps that it tells of.
local function connect(server, options)
  local client, seen = world.connect(server, options)
  local told = {}
  client:on_gap(function(gap) told[#told + 1] = gap end)
  world.await_state(client)
  return client, told, seen
end

local function await_events(client, count)
  world.await(function() return client:metrics().total_events >= count end)
end

local function await_cured(client)
  world.await(function()
    local health = client:health()
    return health.open_gaps == 0 and health.is_connected
  end)
end

-- A stream whose ids leave a hole of three after `count` events, and one event behind the hole.
local function leave_hole(options, count)
  local server = world.server()
  server:behave { { { stream = count }, { skip_ids = 3 }, { stream = true } } }
  local client, told = connect(server, options)
  world.publish(server, 1, count)
  await_events(client, count)
  world.publish(server, count + 1, count + 1)
  world.await(function() return client:order(("ORDER-%d"):format(count + 1)) end)
  return client, told, server
end

-- A server without ids, on which the stream was away once.
local function break_off(options, server_options)
  local server = world.server(server_options or { ids = false })
  local client, told, seen = connect(server, options)
  world.publish(server, 1, 1)
  world.await(function() return client:order "ORDER-1" end)
  server:drop()
  world.await(function() return client:metrics().total_connections == 2 end)
  world.await_state(client)
  return client, told, server, seen
end

describe("ids that step", function()
  it("are a gap once they have counted long enough, and a snapshot closes it", function()
    local client, told = leave_hole({ polling = POLLS }, ENOUGH)
    world.await(function() return #told == 2 end)
    assert.is_true(told[1].open)
    assert.is_nil(told[1].cure)
    assert.is_false(told[2].open)
    local gap = assert(client:gaps()[1])
    assert.equal(1, gap.number)
    assert.equal("ids", gap.reason)
    assert.equal("snapshot", gap.cure)
    assert.equal(3, gap.missing)
    assert.is_truthy(gap.after_id:find(("-%d$"):format(ENOUGH)))
    assert.is_truthy(gap.before_id:find(("-%d$"):format(ENOUGH + 4)))
    assert.is_true(gap.closed_at >= gap.opened_at)
    assert.same({}, client:gaps { open = true })
    assert.equal(1, client:metrics().gaps)
    assert.is_true(client:health().complete)
  end)

  it("stay a gap where nothing can be fetched, until it is given up", function()
    local client, told = leave_hole({}, ENOUGH)
    assert.equal(1, #told)
    assert.equal(1, client:health().open_gaps)
    assert.is_false(client:health().complete)
    assert.equal(1, client:gaps({ open = true })[1].number)
    assert.is_true(client:give_up_gap(1))
    world.await(function() return #told == 2 end)
    assert.equal("given_up", client:gaps()[1].cure)
    assert.equal(0, client:health().open_gaps)
    assert.is_false(client:health().complete) -- it is missing all the same
    assert.is_false(client:give_up_gap(1))
    assert.is_false(client:give_up_gap(2))
  end)

  it("mean nothing to a client that asks for some events only, or knows that they are opaque", function()
    for _, options in ipairs { { event_types = "stage_change" }, { gap_ids = "opaque" } } do
      local client, told = leave_hole(options, ENOUGH)
      assert.same({}, told)
      assert.same({}, client:gaps())
      client:close()
    end
  end)

  it("mean nothing before they have counted, unless the user knows that they do", function()
    local client, told = leave_hole({}, 3)
    assert.same({}, told)
    client:close()
    client, told = leave_hole({ gap_ids = "dense" }, 3)
    assert.equal(3, told[1].missing)
    assert.equal(1, client:health().open_gaps)
  end)

  it("may begin anew while the stream is open: nothing is lost by that", function()
    for _, ids in ipairs { "auto", "dense" } do
      local server = world.server()
      local client, told = connect(server, { gap_ids = ids })
      world.publish(server, 1, ENOUGH)
      await_events(client, ENOUGH)
      assert.is_true(client:health().complete)
      server:new_epoch()
      world.publish(server, ENOUGH + 1, ENOUGH + 2)
      await_events(client, ENOUGH + 2)
      assert.same({}, told)
      client:close()
    end
  end)
end)

describe("a server", function()
  it("that says that it cannot replay leaves one gap, with its reason", function()
    local server = world.server()
    local client, told = connect(server, { polling = POLLS })
    world.publish(server, 1, ENOUGH)
    await_events(client, ENOUGH)
    assert(server:restart { forget = true })
    world.await(function() return #told == 2 end)
    await_cured(client)
    assert.equal(1, #client:gaps())
    assert.equal("resync", told[1].reason)
    assert.equal("other_epoch", told[1].detail)
    assert.equal("snapshot", told[2].cure)
    assert.is_true(client:health().complete)
  end)

  it("without ids leaves one at each break, and the backfill closes it", function()
    local client, told = break_off { polling = POLLS }
    world.await(function() return #told == 2 end)
    assert.equal("no_replay", told[1].reason)
    assert.is_nil(told[1].missing)
    assert.equal("snapshot", told[2].cure)
    world.await(function() return client:health().complete end)
  end)

  it("without ids and without a source leaves gaps that stay", function()
    local client, told, server = break_off {}
    server:drop()
    world.await(function() return #told == 2 end)
    world.await_state(client)
    assert.equal(2, client:health().open_gaps)
    assert.is_false(client:health().complete)
  end)

  local function resume_with(answered)
    local server = world.server()
    local client, told = connect(server, { polling = POLLS })
    world.publish(server, 1, 1)
    local event = world.await(function() return client:latest { event_types = "stage_change" } end)
    server:behave { { { headers = { ["Last-Event-ID"] = answered or event.id } }, { stream = true } } }
    server:drop()
    world.await(function() return client:metrics().total_connections == 2 end)
    world.await_state(client)
    world.publish(server, 2, 2)
    world.await(function() return client:order "ORDER-2" end)
    return client, told
  end

  it("that says in its header from where it goes on leaves none if that is what was asked", function()
    local client, told = resume_with(nil)
    assert.same({}, told)
    assert.is_true(client:health().complete)
  end)

  it("that goes on from somewhere else leaves one", function()
    local client, told = resume_with "earliest"
    world.await(function() return #told == 2 end)
    assert.equal("hub", told[1].reason)
    assert.equal("earliest", told[1].detail)
    await_cured(client)
  end)
end)

describe("what does not close a gap", function()
  it("is a poll that fails; the one after it does", function()
    local calls, broken = 0, false
    local client, told, _, seen = break_off { polling = { interval_ms = 1, fetch = function()
      calls = calls + 1
      if not broken and calls > 1 then
        broken = true
        return nil, "the till is closed"
      end
      return { { orderID = "ORDER-1", orderStage = "billed" } }
    end } }
    world.await(function() return #told == 2 end)
    assert.equal("snapshot", told[2].cure)
    assert.is_true(broken)
    assert.equal("POLL_FAILED", seen.errors[#seen.errors].code)
    await_cured(client)
  end)

  it("is a snapshot that leaves orders out, or has some that cannot be read", function()
    for _, polling in ipairs {
      { fetch = function() return {} end, partial = true },
      { fetch = function() return { { orderID = "ORDER-1" }, { name = "no order" } } end },
      { fetch = function() return nil end },
    } do
      local client, told = break_off { polling = polling }
      local polls = client:metrics().polls
      world.await(function() return client:metrics().polls > 0 and #told > 0 end)
      client:on_poll(function() polls = polls + 1 end)
      assert(client:start_polling())
      world.await(function() return client:metrics().polls > 1 and polls > 1 end)
      assert.equal(1, client:health().open_gaps)
      assert.is_false(client:health().complete)
      client:close()
    end
  end)
end)

describe("a client of one order", function()
  local function options(more)
    local polling = { order_url = ORDERS .. "/{id}", interval_ms = 3600000 }
    for name, value in pairs(more or {}) do polling[name] = value end
    return { order_id = "ORDER-1", polling = polling }
  end

  it("fetches that order alone", function()
    local client, told, server = break_off(options { url = ORDERS })
    world.await(function() return #told == 2 end)
    assert.equal("ORDER-1", told[1].order_id)
    assert.equal("order", told[2].cure)
    assert.equal(0, server:request_count(ORDERS))
    assert.is_true(server:request_count(ORDERS .. "/ORDER-1") > 0)
    assert.equal("billed", client:order("ORDER-1").orderStage)
    world.await(function() return client:health().complete end)
  end)

  it("needs no list, and hears of what changed as events", function()
    local client, told, server = break_off(options())
    world.await(function() return #told == 2 end)
    local news = world.collect(client, { event_types = "stage_change" })
    server:stop()
    server:publish {
      type = "stage_change", order_id = "ORDER-1", data = { previousStage = "billed", newStage = "paid" },
    }
    assert(server:restart())
    world.await(function() return news[1] end)
    assert.equal("paid", news[1].new_stage)
    assert.equal("backfill", news[1].source)
    world.await(function() return #told == 4 end)
  end)

  it("takes an order that was there and is not any more for deleted", function()
    local client, told, server = break_off(options())
    world.await(function() return #told == 2 end)
    server:stop()
    server.orders:remove "ORDER-1"
    assert(server:restart())
    world.await(function() return not client:order "ORDER-1" end)
    world.await(function() return #told == 4 end)
    assert.equal("order", told[4].cure)
  end)

  it("falls back to the list where there is no such url", function()
    local client, told, server = break_off { order_id = "ORDER-1",
      polling = { url = ORDERS, order_url = "/no/{id}", interval_ms = 1 } }
    world.await(function() return #told == 2 end)
    assert.equal("snapshot", told[2].cure)
    assert.equal(1, server:request_count "/no/ORDER-1")
    await_cured(client)
  end)

  it("does not take the answer about another order for its own", function()
    local client, told, server, seen = break_off { order_id = "ORDER-1",
      polling = { order_url = ORDERS .. "/OTHER?id={id}", interval_ms = 3600000 } }
    server:publish { type = "order_created", order_id = "OTHER" }
    assert(client:start_polling())
    world.await_error(seen, "SNAPSHOT")
    assert.equal(1, #told)
    assert.is_nil(client:order "OTHER")
    assert.equal(1, client:health().open_gaps)
  end)

  it("has its id encoded in the url", function()
    local server = world.server()
    local client = connect(server, { order_id = "a/b ü", polling = { order_url = ORDERS .. "/{id}" } })
    world.await(function() return client:metrics().polls > 0 and server:request_count(ORDERS .. "/a%2Fb%20%C3%BC") > 0 end)
  end)
end)

describe("a client that asks for something else", function()
  it("does not know what it would have got before", function()
    local server = world.server()
    local client, told = connect(server, { gap_ids = "dense" })
    assert.is_true(client:health().complete)
    assert(client:configure { order_id = "ORDER-1" })
    world.await(function() return client:metrics().total_connections == 2 end)
    world.await_state(client)
    assert.is_false(client:health().complete)
    assert.same({}, told)
  end)
end)

describe("a journal", function()
  it("keeps gaps: what was open is open, and is closed as soon as something can", function()
    local path = world.own(directory.new()).path .. "/orders.db"
    local client, told, server = break_off { persistence = path }
    assert.equal(1, #told)
    client:close()
    local again = world.connect(server, { persistence = path, auto_connect = false })
    assert.equal(1, again:health().open_gaps)
    local gap = again:gaps()[1]
    assert.equal(1, gap.number)
    assert.equal("no_replay", gap.reason)
    assert.is_true(gap.open)
    again:close()
    again, told = connect(server, { persistence = path, polling = POLLS })
    await_cured(again)
    assert.equal("snapshot", again:gaps()[1].cure)
    world.await(function() return #told > 0 and not told[#told].open end)
    for _, each in ipairs(told) do assert.is_true(each.number > 1 or not each.open) end
    again:close()
    again = connect(server, { persistence = path })
    assert.equal("snapshot", again:gaps()[1].cure)
  end)
end)

describe("misuse", function()
  it("names the option or the method", function()
    local server = world.server()
    local function fails(text, options)
      options.url = server.url
      local ok, message = pcall(world.open, options)
      assert.is_false(ok)
      assert.is_truthy(tostring(message):find(text, 1, true), message)
    end
    fails("gap_ids: expected one of auto, dense, opaque", { gap_ids = "thick" })
    fails("polling.order_url: expected {id}", { order_id = "A", polling = { order_url = "/orders" } })
    fails("polling.order_url: without order_id", { polling = { order_url = "/orders/{id}" } })
    fails("polling: expected either a url or a fetch function", { polling = {} })
    local client = connect(server)
    assert.has_error(function() client:give_up_gap() end)
    assert.has_error(function() client:give_up_gap "1" end)
    assert.has_error(function() client:on_gap() end)
    assert.has_error(function() client:gaps { closed = true } end)
    client:close()
    assert.equal("CLOSED", (select(3, client:gaps())))
    assert.equal("CLOSED", (select(3, client:give_up_gap(1))))
    assert.equal("CLOSED", (select(3, client:on_gap(print))))
    assert.is_false(client:health().complete)
  end)
end)
