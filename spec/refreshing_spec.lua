--- client:auto_refresh and client:on_dashboard, on events that really arrive. When a burst is over, retries and yields are
-- tested in refresh_spec.lua, on a virtual clock.

local world = require "spec.support.world"

after_each(world.close)

local function connect(options)
  local server = world.server()
  local client, seen = world.connect(server, options)
  world.await_state(client)
  return client, server, seen
end

-- A function that keeps the news of its calls.
local function keeper()
  local calls = {}
  return function(news) calls[#calls + 1] = news end, calls
end

local function await_calls(calls, count)
  world.await(function() return #calls >= count end)
end

describe("auto_refresh", function()
  it("is called once for a burst, and knows how many events it was", function()
    local client, server = connect()
    local fn, calls = keeper()
    client:auto_refresh("*", fn, { debounce_ms = 20 })
    local events = world.collect(client)
    world.publish(server, 1, 5)
    world.await(function() return #events == 5 end)
    assert.same({}, calls)
    await_calls(calls, 1)
    assert.same({ { reason = "event", count = 5 } }, calls)
  end)

  it("hears of its orders and types only", function()
    local client, server = connect()
    local by_order, orders = keeper()
    local by_type, types = keeper()
    client:auto_refresh({ "ORDER-1", "ORDER-2" }, by_order, { debounce_ms = 0 })
    client:auto_refresh("*", by_type, { debounce_ms = 0, event_types = "payment_update" })
    local events = world.collect(client)
    world.publish(server, 3, 3)
    world.await(function() return #events == 1 end)
    world.publish(server, 2, 2)
    await_calls(orders, 1)
    server:publish { type = "payment_update", order_id = "ORDER-9", data = { newStatus = "paid" } }
    await_calls(types, 1)
    assert.equal(1, #orders)
    assert.equal(1, types[1].count)
  end)

  it("is called after every poll", function()
    local client = connect { polling = { interval_ms = 1, fetch = function() return {} end } }
    local fn, calls = keeper()
    client:auto_refresh("A", fn, { debounce_ms = 0 })
    client:start_polling()
    await_calls(calls, 2)
    assert.equal("poll", calls[#calls].reason)
  end)

  it("waits while it is not enabled, and calls never if that is false", function()
    local client, server = connect()
    local fn, calls = keeper()
    local never, none = keeper()
    local enabled, asked = false, 0
    client:auto_refresh("*", fn, { debounce_ms = 0, enabled = function()
      asked = asked + 1
      return enabled
    end })
    client:auto_refresh("*", never, { debounce_ms = 0, enabled = false })
    world.publish(server, 1, 1)
    world.await(function() return asked == 1 end)
    assert.same({}, calls)
    enabled = true
    await_calls(calls, 1)
    assert.same({}, none)
  end)

  it("may yield, and is not called a second time meanwhile", function()
    local client, server = connect()
    local calls, running = 0, 0
    client:auto_refresh("*", function()
      calls, running = calls + 1, running + 1
      assert.equal(1, running)
      coroutine.yield("refreshing")
      running = running - 1
    end, { debounce_ms = 0 })
    world.publish(server, 1, 1)
    local resume = world.host()
    world.await_servers(function() return resume() == "refreshing" end)
    world.publish(server, 2, 2)
    world.await_servers(function() return resume() == "refreshing" end)
    assert.equal(2, calls)
    resume()
  end)

  it("that fails is told, and tried again", function()
    local client, server, seen = connect()
    local calls = 0
    client:auto_refresh("*", function()
      calls = calls + 1
      if calls == 1 then error("broken", 0) end
    end, { debounce_ms = 0 })
    world.publish(server, 1, 1)
    local problem = world.await_error(seen, "HANDLER")
    assert.matches("auto_refresh: .*broken", problem.message)
    world.await(function() return calls == 2 end)
  end)

  it("ends when it is cancelled, inside its own function, too, and with the client", function()
    local client, server = connect()
    local calls, refresher = 0, nil
    refresher = client:auto_refresh("*", function()
      calls = calls + 1
      refresher()
    end, { debounce_ms = 0 })
    world.publish(server, 1, 1)
    world.await(function() return calls == 1 end)
    local fn, others = keeper()
    client:auto_refresh("*", fn, { debounce_ms = 86400000 })
    local events = world.collect(client)
    world.publish(server, 2, 2)
    world.await(function() return #events == 1 end)
    assert.equal(1, calls)
    client:close()
    world.turn()
    assert.is_true(world.is_at_rest())
    assert.same({}, others)
    assert.equal("CLOSED", (select(3, client:auto_refresh("*", print))))
  end)

  it("raises for what cannot be meant", function()
    local client = connect()
    assert.error_matches(function() client:auto_refresh(nil, print) end, "client:auto_refresh: expected an order id")
    assert.error_matches(function() client:auto_refresh("A") end, "client:auto_refresh: expected a function, got nil")
    assert.error_matches(function() client:auto_refresh("A", print, { debounce = 1 }) end, "debounce: unknown option")
  end)
end)

describe("on_dashboard", function()
  it("is called at the start, then for events, polls and resyncs", function()
    local server = world.server { ids = false }
    local client = world.connect(server, { polling = { url = "/api/v1/orders" } })
    world.await(function() return client:metrics().polls == 1 and client:health().is_connected end)
    local fn, calls = keeper()
    client:on_dashboard(fn, { debounce_ms = 0 })
    await_calls(calls, 1)
    world.publish(server, 1, 1)
    world.await(function() return calls[#calls].reason == "event" end)
    server:drop()
    world.await(function() return calls[#calls].reason == "resync" end)
    client:start_polling()
    world.await(function() return calls[#calls].reason == "poll" end)
    assert.equal("start", calls[1].reason)
  end)

  it("raises for what cannot be meant", function()
    local client = connect()
    assert.error_matches(function() client:on_dashboard() end, "client:on_dashboard: expected a function, got nil")
    assert.error_matches(function() client:on_dashboard(print, { enabled = true }) end, "enabled: unknown option")
  end)
end)
