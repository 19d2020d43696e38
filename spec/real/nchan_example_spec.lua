--- The programs of examples/nchan, as their README starts them: an order server that keeps nothing, the publisher, two
-- hubs with one Redis, a terminal. A hub fails; or the terminal is away for longer than the hubs remember.

local hub = require "spec.support.hub"
local program = require "spec.support.program"
local redis = require "spec.support.redis"
local relay = require "spec.support.relay"
local uv = require "luv"
local world = require "spec.support.world"

after_each(world.close)

-- On the VM of this runner; LuaJIT would keep back what is printed to a pipe.
local function run(script, arguments, events)
  local words = { "-e", "io.stdout:setvbuf 'line'", "examples/nchan/" .. script }
  for _, word in ipairs(arguments) do words[#words + 1] = word end
  return world.own(program.start(uv.exepath(), words, {
    ORDERSYNC_EVENTS = events and tostring(events),
    LD_PRELOAD = os.getenv "LD_PRELOAD", -- a sanitizer's runtime, which the module needs there as well
  }))
end

local function move(server, order_id, previous, new)
  server:publish { type = "stage_change", order_id = order_id, data = { previousStage = previous, newStage = new } }
end

local function await_said(terminal, pattern)
  world.await(function() return terminal:says(pattern) end)
end

-- Until it knows what later snapshots are compared with: without that, what one brings would be no news.
local function await_ready(terminal)
  await_said(terminal, "connected\n")
  await_said(terminal, "snapshot: 3 ")
end

-- Until a hub's latest message says that an order has this stage.
local function await_published(target, order_id, stage)
  local client = world.connect(target)
  local events = world.collect(client, { order_id = order_id })
  world.await(function() return #events > 0 and events[#events].new_stage == stage end)
  client:close()
end

-- An order server without ids, as shops have them; two hubs; the publisher between them.
local function scene(buffer_length)
  local server, store = world.server { ids = false }, redis.start()
  for number = 1, 3 do
    local order = { orderStage = "initiated" }
    server:publish { type = "order_created", order_id = "ORDER-00" .. number, data = { order = order } }
  end
  local first, second = hub.start(store, server, buffer_length), hub.start(store, server, buffer_length)
  run("publisher.lua", { server.url, first.url, second.url })
  world.await(function() return server:stream_count() == 1 end)
  return server, first, second
end

describe("the programs of examples/nchan", function()
  it("bring an order server's events to a terminal, also when a hub is killed", function()
    local server, first, second = scene()
    local terminal = run("terminal.lua", { second.url .. "/api/v1/orders", first.url, second.url }, 2)
    await_ready(terminal)
    move(server, "ORDER-001", "initiated", "open")
    await_said(terminal, "ORDER%-001: open") -- by stream, or by a snapshot if that is faster
    first:kill()
    move(server, "ORDER-001", "open", "billed")
    world.await(function() return terminal:has_ended() end)
    assert.equal(0, terminal.code)
    assert.matches("\nORDER%-001: billed ", terminal.output)
  end)

  it("see that something is missing when the hubs have forgotten it, and get it by a snapshot", function()
    local server, first, second = scene(2)
    local wire = world.own(relay.new(first.port))
    local terminal = run("terminal.lua", { second.url .. "/api/v1/orders", wire.url })
    await_ready(terminal)
    move(server, "ORDER-001", "initiated", "open")
    await_said(terminal, "ORDER%-001: open")
    await_said(terminal, "snapshot: .*snapshot: ") -- of the first message; the next one will be asked for a gap
    wire.target = world.black_hole().port
    wire:cut()
    move(server, "ORDER-002", "initiated", "open")
    move(server, "ORDER-003", "initiated", "open")
    move(server, "ORDER-003", "open", "billed")
    move(server, "ORDER-003", "billed", "paid")
    await_published(first, "ORDER-003", "paid")
    wire.target = first.port
    wire:cut()
    await_said(terminal, "\nORDER%-002: open %(poll%)\n")
    assert.matches("\nsomething was missed: asking for a snapshot\nORDER%-003: billed %(stream%)\n", terminal.output)
  end)
end)
