--- The functions of the module itself: they act on the first client that is open.

local sync = require "sync"
local world = require "spec.support.world"

after_each(world.close)

local NAMES = {
  "subscribe", "on_order", "on_event", "on_stage_change", "on_state", "on_health", "on_error", "on_comment", "health",
  "metrics", "events", "latest", "reconnect", "disconnect", "configure", "next", "stream", "close",
}

describe("the default client", function()
  it("is wanted by every function, and its absence is said where the caller wrote", function()
    for _, name in ipairs(NAMES) do
      local ok, message = pcall(function() sync[name]() end)
      assert.is_false(ok)
      assert.matches("^spec/default_client_spec%.lua:%d+: sync%." .. name .. ": no client is open", message)
    end
  end)

  it("gets events through handlers that the module's functions made", function()
    local server = world.server()
    local client, heard = world.connect(server), {}
    local function hear(name)
      return function() heard[name] = (heard[name] or 0) + 1 end
    end
    sync.subscribe(hear "subscribe")
    sync.on_order("ORDER-1", hear "on_order")
    sync.on_event("stage_change", hear "on_event")
    sync.on_stage_change("*", hear "on_stage_change")
    sync.on_state(hear "on_state")
    sync.on_health(hear "on_health")
    sync.on_comment(hear "on_comment")
    sync.on_error(hear "on_error")
    world.await_state(client)
    server:comment("hello")
    world.publish(server, 1, 2)
    server:drop("cut")
    world.await(function() return heard.on_error end)
    assert.equal(2, heard.subscribe)
    assert.equal(1, heard.on_order)
    assert.equal(2, heard.on_event)
    assert.equal(2, heard.on_stage_change)
    assert.equal(1, heard.on_comment)
    assert.is_true(heard.on_state >= 2)
    assert.equal(heard.on_state, heard.on_health)
  end)

  it("answers health, metrics and history", function()
    local server = world.server()
    local client = world.connect(server)
    world.await_state(client)
    world.publish(server, 1, 3)
    world.await(function() return sync.metrics().total_events == 3 end)
    assert.equal("healthy", sync.health().status)
    assert.equal(3, #sync.events())
    assert.equal("ORDER-2", sync.latest({ order_id = "ORDER-2" }).order_id)
  end)

  it("is commanded: reconnect, configure, disconnect, close", function()
    local server = world.server()
    world.connect(server)
    world.await(function() return sync.health().is_connected end)
    assert.is_true(sync.reconnect())
    world.await(function() return server:request_count() == 2 and sync.health().is_connected end)
    assert.is_true(sync.configure { order_id = "ORDER-7" })
    world.await(function() return server:request_count() == 3 end)
    assert.equal("ORDER-7", server.requests[3].query.orderID)
    assert.is_true(sync.disconnect())
    assert.equal("disconnected", sync.health().state)
    assert.is_true(sync.close())
    assert.is_false((pcall(sync.health)))
  end)

  it("is pulled from", function()
    local server = world.server()
    world.connect(server)
    world.await(function() return sync.health().is_connected end)
    assert.is_nil((sync.next(0)))
    world.publish(server, 1, 2)
    world.await_servers(function() return server.streams[1].outbox:is_empty() end)
    assert.equal("ORDER-1", sync.next().order_id)
    for event in sync.stream() do
      assert.equal("ORDER-2", event.order_id)
      sync.close()
    end
  end)

  it("is the first that is still open", function()
    local server = world.server()
    local first = world.connect(server, { order_id = "FIRST" })
    local second = world.connect(server, { order_id = "SECOND" })
    world.await(function() return first:health().is_connected and second:health().is_connected end)
    sync.disconnect()
    assert.equal("disconnected", first:health().state)
    first:close()
    sync.disconnect()
    assert.equal("disconnected", second:health().state)
  end)

  it("closes with the module's functions until none is left", function()
    local target = world.black_hole()
    world.connect(target)
    world.connect(target)
    sync.close()
    sync.close()
    assert.error_matches(sync.close, "no client is open")
  end)
end)

describe("the module", function()
  it("has JSON null, equal to cjson's", function()
    assert.equal(require("cjson").null, sync.null)
  end)

  it("has its version and the table of codes", function()
    assert.matches("^ordersync %d+%.%d+%.%d+$", sync._VERSION)
    for code, row in pairs(sync.codes) do
      assert.matches("^%u[%u_]+$", code)
      assert.is_true(#row.text > 0 and #row.hint > 0, code)
      assert.is_boolean(row.retryable)
    end
  end)

  it("sets no global", function()
    local before = {}
    for name in pairs(_G) do before[name] = true end
    world.connect(world.black_hole()):close()
    for name in pairs(_G) do assert.is_true(before[name], "global " .. tostring(name)) end
  end)
end)
