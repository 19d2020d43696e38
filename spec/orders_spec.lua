--- The order book as users see it: client:order and client:orders, made of what the stream and the polls say. How the
-- engine keeps it is tested in C (spec/c/book_test.c); what a program promises itself, in promises_spec.lua.

local world = require "spec.support.world"

after_each(world.close)

-- A second of a morning, in the wire's form and in milliseconds since the epoch.
local function at(second) return ("2026-11-22T10:00:%02d.000Z"):format(second) end
local function ms(second) return 1795341600000 + 1000 * second end

local function connect(options)
  local server = world.server()
  local client = world.connect(server, options)
  world.await_state(client)
  return client, server
end

-- Publishes {type, order_id, data, second}, and awaits that the client has them all.
local function tell(client, server, list)
  local due = client:health().total_events + #list
  for _, item in ipairs(list) do
    server:publish { type = item[1], order_id = item[2], data = item[3], timestamp = item[4] and at(item[4]) }
  end
  world.await(function() return client:health().total_events == due end)
end

local function stage(order_id, new, second, previous)
  return { "stage_change", order_id, { newStage = new, previousStage = previous }, second }
end

local function ids(list)
  local names = {}
  for index, order in ipairs(list) do names[index] = order.orderID end
  return table.concat(names, " ")
end

describe("client:order", function()
  it("is nil for an order that nobody has told of", function()
    local client = connect()
    assert.is_nil(client:order("A"))
    assert.same({}, client:orders())
  end)

  it("is made of events, whoever listens", function()
    local client, server = connect()
    tell(client, server, {
      { "order_created", "A", { order = { orderID = "A", orderStage = "open", totalAmount = 12.5 } }, 1 },
      stage("A", "billed", 2, "open"),
      { "payment_update", "A", { newStatus = "cash" }, 3 },
      { "status_update", "A", { newStatus = "ready" }, 4 },
      { "qr_generated", "A", {}, 5 },
      { "whatsapp_connected", "A", {}, 6 },
    })
    local order = client:order("A")
    assert.equal("A", order.orderID)
    assert.equal("billed", order.orderStage)
    assert.equal(12.5, order.totalAmount)
    assert.equal("cash", order.paymentStatus)
    assert.equal("ready", order.overallStatus)
    assert.is_true(order.qrCodeGenerated)
    assert.is_true(order.whatsappLinked)
  end)

  it("says when it was known to be so, by whom, and whether it is kept up to date", function()
    local client, server = connect()
    tell(client, server, { stage("A", "open", 1) })
    local order = client:order("A")
    assert.equal("stream", order.source)
    assert.equal(client:latest().received_at, order.as_of)
    assert.is_false(order.stale)
    client:disconnect()
    assert.is_true(client:order("A").stale)
    assert.equal("open", client:order("A").orderStage)
  end)

  it("is the caller's own copy", function()
    local client, server = connect()
    tell(client, server, { stage("A", "open", 1) })
    client:order("A").orderStage = "paid"
    assert.equal("open", client:order("A").orderStage)
  end)

  it("keeps what is newer, by the events' time", function()
    local client, server = connect()
    tell(client, server, { stage("A", "billed", 5), stage("A", "open", 4) })
    assert.equal("billed", client:order("A").orderStage)
  end)

  it("keeps what is newer, by updatedAt and by version, whatever the events' time says", function()
    local client, server = connect()
    local function updated(order_id, new, member, value)
      return { "status_update", order_id, { order = { overallStatus = new, [member] = value } } }
    end
    tell(client, server, {
      updated("A", "ready", "updatedAt", at(5)), updated("A", "pending", "updatedAt", at(4)),
      updated("B", "ready", "version", 10), updated("B", "pending", "version", 9),
      updated("C", "pending", "seq", 1), updated("C", "ready", "seq", 2),
    })
    assert.equal("ready", client:order("A").overallStatus)
    assert.equal("ready", client:order("B").overallStatus)
    assert.equal("ready", client:order("C").overallStatus)
  end)

  it("is gone when the order is deleted, and older news do not bring it back", function()
    local client, server = connect()
    tell(client, server, { stage("A", "open", 1), { "order_deleted", "A", {}, 3 }, stage("A", "billed", 2) })
    assert.is_nil(client:order("A"))
    tell(client, server, { stage("A", "open", 4) })
    assert.equal("open", client:order("A").orderStage)
  end)

  it("is known to the handler of the event that made it so", function()
    local client, server = connect()
    local known
    client:on_order("A", function(event) known = client:order(event.order_id).orderStage end)
    tell(client, server, { stage("A", "open", 1) })
    world.await(function() return known end)
    assert.equal("open", known)
  end)

  it("is nil for a closed client, and misuse raises", function()
    local client, server = connect()
    tell(client, server, { stage("A", "open", 1) })
    assert.error_matches(function() client:order(7) end, "client:order: expected an order id, got a number")
    client:close()
    assert.is_nil(client:order("A"))
    assert.same({}, client:orders())
  end)
end)

describe("the stage before", function()
  it("is known to on_stage_change when the event does not say it", function()
    local client, server = connect()
    local steps = {}
    client:on_stage_change("*", function(event, previous, new)
      steps[#steps + 1] = ("%s %s>%s"):format(event.order_id, previous, new)
    end)
    tell(client, server, { stage("A", "open", 1, "initiated"), stage("A", "billed", 2), stage("A", "paid", 3) })
    world.await(function() return #steps == 3 end)
    assert.same({ "A initiated>open", "A open>billed", "A billed>paid" }, steps)
  end)

  it("chooses steps by from and to", function()
    local client, server = connect()
    local steps = {}
    local function keep(name, filter)
      client:on_stage_change("*", function(_, previous, new)
        steps[#steps + 1] = ("%s: %s>%s"):format(name, previous, new)
      end, filter)
    end
    keep("from", { from = "open" })
    keep("to", { to = { "paid", "open" } })
    keep("both", { from = "open", to = "paid" })
    tell(client, server, { stage("A", "open", 1, "initiated"), stage("A", "billed", 2), stage("A", "paid", 3) })
    world.await(function() return #steps == 3 end)
    assert.same({ "to: initiated>open", "from: open>billed", "to: billed>paid" }, steps)
    assert.error_matches(function() keep("wrong", { form = "open" }) end, "client:on_stage_change: form: unknown option")
  end)
end)

describe("client:orders", function()
  local client, server

  before_each(function()
    client, server = connect()
    tell(client, server, {
      { "order_created", "A", { order = { orderStage = "open", paymentStatus = "pending", totalAmount = 30 } }, 1 },
      { "order_created", "B", { order = { orderStage = "paid", paymentStatus = "paid", totalAmount = 10 } }, 2 },
      { "order_created", "C", { order = { orderStage = "open", paymentStatus = "failed", totalAmount = 20 } }, 3 },
      { "order_created", "D", { order = { orderStage = "billed", overallStatus = "ready" } }, 4 },
      { "status_update", "A", { newStatus = "ready" }, 5 },
    })
  end)

  it("has all of them, the most recently changed first", function()
    assert.equal("A D C B", ids(client:orders()))
    assert.equal("A D", ids(client:orders { limit = 2 }))
    assert.equal("", ids(client:orders { limit = 0 }))
  end)

  it("chooses by stage, payment, status and time", function()
    assert.equal("A C", ids(client:orders { stage = "open" }))
    assert.equal("A D C", ids(client:orders { stage = { "open", "billed" } }))
    assert.equal("A D C B", ids(client:orders { stage = "*" }))
    assert.equal("B", ids(client:orders { payment = "paid" }))
    assert.equal("A D", ids(client:orders { status = "ready" }))
    assert.equal("A", ids(client:orders { status = "ready", stage = "open" }))
    assert.equal("A D", ids(client:orders { updated_since = ms(4) }))
    assert.equal("", ids(client:orders { updated_since = ms(6) }))
    assert.equal("C", ids(client:orders { where = function(order) return order.totalAmount == 20 end }))
  end)

  it("sorts by id, by a member either way, and by a function; without the member comes last", function()
    assert.equal("A B C D", ids(client:orders { sort = "id" }))
    assert.equal("B C A D", ids(client:orders { sort = "totalAmount" }))
    assert.equal("A C B D", ids(client:orders { sort = "-totalAmount" }))
    assert.equal("B C", ids(client:orders { sort = "totalAmount", limit = 2 }))
    assert.equal("B A C D", ids(client:orders { sort = "-orderStage" }))
    assert.equal("D C B A", ids(client:orders { sort = function(a, b) return a.orderID > b.orderID end }))
  end)

  it("raises for what cannot be meant", function()
    assert.error_matches(function() client:orders { stages = "open" } end, "client:orders: stages: unknown option")
    assert.error_matches(function() client:orders { limit = -1 } end, "client:orders: limit: expected an integer, 0 or more")
    assert.error_matches(function() client:orders { sort = 3 } end, "client:orders: sort: ")
    assert.error_matches(function() client:orders { where = "x" } end, "client:orders: where: ")
    assert.error_matches(function() client:orders { updated_since = "now" } end, "client:orders: updated_since: ")
  end)
end)

describe("the book's bound", function()
  it("keeps the most recently changed, open orders before those that are done", function()
    local client, server = connect { book_limit = 2 }
    tell(client, server, { stage("A", "open", 1), stage("B", "paid", 2), stage("C", "open", 3) })
    assert.equal("C A", ids(client:orders()))
    tell(client, server, { stage("D", "open", 4) })
    assert.equal("D C", ids(client:orders()))
  end)

  it("of 0 keeps none, and events are delivered all the same", function()
    local client, server = connect { book_limit = 0 }
    local events = world.collect(client)
    tell(client, server, { stage("A", "open", 1) })
    world.await(function() return #events == 1 end)
    assert.is_nil(client:order("A"))
  end)
end)
