--- The programs of examples/nchan, as their README starts them: an order server that keeps nothing, the publisher, two
-- hubs with one Redis, a terminal. A hub fails; then the terminal is away for longer than the hubs remember.

local hub = require "spec.support.hub"
local port = require "spec.support.port"
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
  return world.own(program.start(uv.exepath(), words, events and { ORDERSYNC_EVENTS = tostring(events) }))
end

local function create(server, order_id)
  server:publish { type = "order_created", order_id = order_id, data = { order = { orderStage = "initiated" } } }
end

local function move(server, order_id, previous, new)
  server:publish { type = "stage_change", order_id = order_id, data = { previousStage = previous, newStage = new } }
end

-- What a terminal has printed, without the errors, which it writes to standard error.
local function printed(terminal)
  local lines = {}
  for line in terminal.output:gmatch "([^\n]+)\n" do
    if not line:find "^[%u_]+: " then lines[#lines + 1] = line end
  end
  return lines
end

local function await_line(terminal, number)
  return world.await(function() return printed(terminal)[number] end)
end

-- Until a hub has what the publisher makes of an order's event.
local function await_published(target, order_id)
  local client = world.connect(target)
  local events = world.collect(client, { order_id = order_id })
  world.await(function() return #events > 0 end)
  client:close()
end

-- nchan's ids are seconds, and a number from 0 on within each. When it has forgotten the messages of this second, the next one
-- would get the id of the first of them, and a terminal that has that one would take it for known.
local function await_next_second()
  local timer, now = uv.new_timer(), os.time()
  uv.timer_start(timer, 10, 10, function() end) -- so that the clock is looked at
  world.await(function() return os.time() > now end)
  uv.close(timer)
end

-- An order server without ids, as shops have them; two hubs; the publisher between them.
local function scene()
  local server, store = world.server { ids = false }, redis.start()
  for number = 1, 3 do create(server, "ORDER-00" .. number) end
  local first, second = hub.start(store, server), hub.start(store, server)
  run("publisher.lua", { server.url, first.url, second.url })
  world.await(function() return server:stream_count() == 1 end)
  return server, first, second, store
end

describe("the programs of examples/nchan", function()
  it("bring an order server's events to a terminal, also when a hub is killed", function()
    local server, first, second = scene()
    local terminal = run("terminal.lua", { second.url .. "/api/v1/orders", first.url, second.url }, 2)
    assert.equal("connected", await_line(terminal, 1))
    move(server, "ORDER-001", "initiated", "open")
    assert.matches("^ORDER%-001: open %(", await_line(terminal, 2)) -- by stream, or by a snapshot if that is faster
    first:kill()
    assert.equal("connected", await_line(terminal, 3))
    move(server, "ORDER-001", "open", "billed")
    assert.matches("^ORDER%-001: billed %(", await_line(terminal, 4))
    world.await(function() return terminal:has_ended() end)
    assert.equal(0, terminal.code)
  end)

  it("see that something is missing when the hubs have forgotten it, and get it by a snapshot", function()
    local server, first, second, store = scene()
    local wire = world.own(relay.new(first.port))
    local terminal = run("terminal.lua", { second.url .. "/api/v1/orders", wire.url }, 3)
    assert.equal("connected", await_line(terminal, 1))
    move(server, "ORDER-001", "initiated", "open")
    assert.matches("^ORDER%-001: open %(", await_line(terminal, 2))
    wire.target = world.own(port.reserve()).number -- where nobody listens
    wire:cut()
    move(server, "ORDER-002", "initiated", "open")
    await_published(first, "ORDER-002")
    first:kill() -- and with both all that they remember
    store:kill()
    store:restart()
    first:restart()
    await_next_second()
    wire.target = first.port
    world.await(function() return terminal:says "connected.*connected" end)
    move(server, "ORDER-003", "initiated", "open")
    world.await(function() return terminal:has_ended() end)
    assert.equal(0, terminal.code)
    assert.matches("\nORDER%-002: open %(%l+%)\n", terminal.output)
    assert.matches("\nsomething was missed: asking for a snapshot\nORDER%-003: open %(stream%)\n", terminal.output)
  end)
end)
