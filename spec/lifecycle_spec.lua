--- A client's life: connected, disconnected, configured, closed at any moment, collected; and that nothing is left.

local sync = require "sync"
local uv = require "luv"
local world = require "spec.support.world"

after_each(world.close)

local function open_descriptors()
  local count = 0
  local scan = assert(uv.fs_scandir("/proc/self/fd"))
  while uv.fs_scandir_next(scan) do count = count + 1 end
  return count
end

local function connected(options)
  local server = world.server()
  local client, seen = world.connect(server, options)
  world.await_state(client)
  return server, client, seen
end

local function resolving()
  local client = world.connect({ url = "http://localhost:" .. world.black_hole().port })
  assert(sync.step(0))
  return client
end

-- Every moment in which a client can be; each function gives a client that is there.
local moments = {
  { "before the first step", function() return (world.connect(world.black_hole())) end },
  { "while resolving", resolving },
  { "while connecting: the connection is never accepted", function()
    local deaf = uv.new_tcp() -- bound and listening, in a loop that is not turned for it
    assert(uv.tcp_bind(deaf, "127.0.0.1", 0))
    assert(uv.listen(deaf, 1, function() end))
    local client = world.connect({ url = "http://127.0.0.1:" .. uv.tcp_getsockname(deaf).port })
    for _ = 1, 3 do assert(sync.step(0)) end
    uv.close(deaf)
    return client
  end },
  { "while waiting for an answer", function()
    local hole = world.black_hole()
    local client = world.connect(hole)
    world.await(function() return #hole.heads == 1 end)
    return client
  end },
  { "while receiving the head", function()
    local listener = world.listener(function(peer) peer:write("HTTP/1.1 200 OK\r\nContent-Ty") end)
    local client = world.connect(listener)
    world.await(function() return #listener.heads == 1 end)
    world.turn()
    return client
  end },
  { "while connected", function() return (select(2, connected())) end },
  { "in the middle of an event", function()
    local server = world.server()
    server:behave { { stream = 0 }, { send = "data: {\"half" }, { stall = true } }
    local client = world.connect(server)
    world.await(function() return client:metrics().total_bytes > 150 end)
    return client
  end },
  { "with events that wait", function()
    local server, client = connected()
    assert.is_nil((client:next(0)))
    world.publish(server, 1, 100)
    assert.equal(1, world.pull(client).data.number)
    return client
  end },
  { "while paused by back-pressure", function()
    local server, client = connected { queue_limit = 2 }
    assert.is_nil((client:next(0)))
    world.publish(server, 1, 100)
    repeat world.pull(client) until client:metrics().pauses > 0
    return client
  end },
  { "while backing off", function()
    local client, seen = world.connect({ url = world.refusing_url() },
      { reconnect_delay_ms = 3600000, max_reconnect_delay_ms = 3600000 })
    world.await_error(seen, "REFUSED")
    return client
  end },
  { "after giving up", function()
    local client, seen = world.connect({ url = world.refusing_url() }, { auto_reconnect = false })
    world.await_error(seen, "REFUSED")
    return client
  end },
  { "while disconnected", function()
    local _, client = connected()
    client:disconnect()
    return client
  end },
  { "while a token is asked for", function()
    local client = world.connect(world.black_hole(), { token = function() return "t" end })
    return client
  end },
}

describe("close", function()
  for _, moment in ipairs(moments) do
    local name, reach = moment[1], moment[2]
    it("is immediate " .. name .. ", and leaves nothing (C03, C04, C07)", function()
      local client = reach()
      local calls = 0
      client:subscribe(function() calls = calls + 1 end)
      client:on_state(function() calls = calls + 1 end)
      client:on_error(function() calls = calls + 1 end)
      assert.is_true(client:close())
      assert.equal("closed", client:health().state)
      for _ = 1, 3 do world.turn() end
      assert.equal(0, calls)
      assert.is_true(world.is_at_rest())
    end)
  end

  it("gives every descriptor back, at any moment", function()
    local function pass_through_all()
      for _, moment in ipairs(moments) do
        if moment[2] ~= resolving then moment[2]() end
        world.close()
      end
    end
    pass_through_all() -- whatever is made once and kept is made now
    local before = open_descriptors()
    for _ = 1, 5 do pass_through_all() end
    assert.is_true(open_descriptors() <= before)
  end)

  it("gives the descriptors of a look-up back when the look-up ends, which is the C library's to say", function()
    local before = open_descriptors()
    for _ = 1, 5 do
      resolving()
      world.close()
    end
    local timer = uv.new_timer()
    uv.timer_start(timer, 1, 1, function() end) -- looks again each time
    world.await_servers(function() return open_descriptors() <= before end)
    uv.close(timer)
  end)

  it("again does nothing, and everything else says CLOSED", function()
    local _, client = connected()
    assert.is_true(client:close())
    assert.is_true(client:close())
    for _, name in ipairs { "connect", "disconnect", "reconnect", "network_changed" } do
      local ok, message, code = client[name](client)
      assert.is_nil(ok)
      assert.matches("^CLOSED: ", message)
      assert.equal("CLOSED", code)
    end
    assert.equal("CLOSED", select(3, client:configure { order_id = "A" }))
    assert.equal("CLOSED", select(3, client:on_order("A", print)))
    assert.equal("CLOSED", select(3, client:next(0)))
    assert.equal("disconnected", client:health().status)
    assert.same({ connected = 1 }, client:metrics().event_counts) -- the last ones
    assert.equal(0, client:health().total_events)
    assert.matches("closed", tostring(client))
  end)

  it("ends the connection: the server sees it", function()
    local server, client = connected()
    client:close()
    world.await(function() return server:stream_count() == 0 end)
  end)

  it("makes no request any more, whatever was planned (C04)", function()
    local server = world.server()
    local other = world.connect(server)
    world.await_state(other)
    for _ = 1, 20 do
      local client = world.connect(server)
      world.await_state(client)
      local before = server:request_count()
      server:drop()
      world.await(function() return client:health().state ~= "connected" end)
      client:close()
      -- Others reconnect several times meanwhile, with the same wait.
      world.await(function() return other:health().is_connected and server:stream_count() == 1 end)
      assert.is_true(server:request_count() - before <= 2)
    end
  end)

  it("lets the collector have the client", function()
    local weak = setmetatable({}, { __mode = "v" })
    local function live()
      local server = world.server()
      local client = world.open(server.url)
      client:subscribe(function() return client end)
      client:on_state(function() return client end)
      world.await_state(client)
      world.publish(server, 1, 3)
      world.await(function() return #client:events() == 3 end)
      weak.client, weak.event = client, client:latest()
    end
    live()
    world.close()
    if jit then jit.flush() end -- machine code keeps the closures that it was made for
    collectgarbage()
    collectgarbage()
    assert.is_nil(weak.client)
    assert.is_nil(weak.event)
  end)

  it("happens by itself at the end of a scope, where the VM has such scopes", function()
    local client = world.connect(world.black_hole())
    local scope = load("local client <close> = ...", "scope")
    if scope then scope(client) else getmetatable(client).__close(client) end
    assert.equal("closed", client:health().state)
  end)
end)

describe("a program that ends without closing", function()
  it("ends cleanly, whatever its clients are doing", function()
    local server = world.server()
    local prelude = ("local sync = require 'sync' local client = assert(sync.connect { url = %q }) "):format(server.url)
    for _, chunk in ipairs {
      "", "sync.step(0)", "while not client:health().is_connected do sync.step(100) end",
      "client:on_state(function(state) if state == 'connected' then os.exit(0, true) end end) sync.run()",
      "local kept = {} client:on_event('connected', function(event) kept[1] = event sync.stop() end) sync.run()",
      "client:close() client = nil collectgarbage()",
      "sync.connect('http://localhost:1') sync.step(0)",
    } do
      assert.same({ code = 0, signal = 0 }, world.run_program(prelude .. chunk))
    end
  end)
end)

-- What finalizers may still touch while the state closes, in an order that nobody chooses.
describe("a finalizer", function()
  it("may touch an event, the history and the module, and ends cleanly", function()
    local server = world.server()
    local chunk = [[
      old = setmetatable({}, { __gc = function() pcall(function() require("sync").step(0) end) end })
      local sync = require "sync"
      local client = assert(sync.connect { url = %q })
      late = setmetatable({}, { __gc = function(self)
        return self.event and (self.event.raw or client:latest())
      end })
      client:on_event("connected", function(event) late.event = event sync.stop() end)
      sync.run()
      client:latest()
    ]]
    assert.same({ code = 0, signal = 0 }, world.run_program(chunk:format(server.url)))
  end)
end)

-- Plain Lua cannot fork; LuaJIT can. The engine's side of it is in spec/c/life_test.c, for every VM.
if jit then
  describe("a forked child", function()
    it("gets FORKED from its parent's clients, and may open its own", function()
      local server = world.server()
      local chunk = [[
        local ffi, sync, url = require "ffi", require "sync", %q
        ffi.cdef "int fork(void); int waitpid(int, int *, int); void _exit(int);"
        local function connected(client)
          while not client:health().is_connected do assert(sync.step(100)) end
          return client
        end
        local client = connected(assert(sync.connect(url)))
        local child = ffi.C.fork()
        if child == 0 then
          local ok = pcall(function()
            assert(select(3, sync.step(0)) == "FORKED" and select(3, client:subscribe(print)) == "FORKED")
            connected(assert(sync.connect(url))):close()
          end)
          ffi.C._exit(ok and 0 or 1)
        end
        local status = ffi.new "int[1]"
        ffi.C.waitpid(child, status, 0)
        assert(status[0] == 0 and client:health().is_connected and sync.step(0))
      ]]
      assert.same({ code = 0, signal = 0 }, world.run_program(chunk:format(server.url)))
    end)
  end)
end

describe("disconnect and connect", function()
  it("drop the stream and open it again; handlers and history stay", function()
    local server, client, seen = connected()
    local events = world.collect(client)
    world.publish(server, 1, 2)
    world.await(function() return #events == 2 end)
    assert.is_true(client:disconnect())
    assert.equal("disconnected", client:health().state)
    world.await(function() return server:stream_count() == 0 end)
    assert.is_true(world.is_at_rest())
    world.publish(server, 3, 4)
    assert.equal(2, #client:events())
    assert.is_true(client:connect())
    world.await(function() return #events == 4 end)
    assert.equal("ORDER-4", events[4].order_id)
    assert.same({ "connecting", "connected", "disconnected", "connecting", "connected" }, seen.states)
    assert.same({}, seen.codes)
  end)

  it("do nothing where there is nothing to do", function()
    local server, client, seen = connected()
    assert.is_true(client:connect())
    world.turn()
    assert.equal(1, server:request_count())
    client:disconnect()
    assert.is_true(client:disconnect())
    world.turn()
    assert.same({ "connecting", "connected", "disconnected" }, seen.states)
  end)

  it("take options on the way", function()
    local server, client = connected()
    client:disconnect()
    assert.is_true(client:connect { order_id = "ORDER-5" })
    world.await_state(client)
    assert.equal(2, server:request_count())
    assert.equal("ORDER-5", server.requests[2].query.orderID)
  end)

  it("raise for wrong options in the name of the caller", function()
    local client = world.connect(world.black_hole())
    local ok, message = pcall(function() client:connect { order = "A" } end)
    assert.is_false(ok)
    assert.matches("^spec/lifecycle_spec%.lua:%d+: client:%a+: order: unknown option", message)
  end)

  it("begin a new session after giving up", function()
    local server = world.server()
    server:behave { status = 404 }
    local client, seen = world.connect(server)
    world.await_error(seen, "HTTP_STATUS")
    assert.is_true(client:connect())
    world.await_state(client)
    assert.same({ "connecting", "error", "connecting", "connected" }, seen.states)
  end)
end)

describe("reconnect", function()
  it("replaces an open stream, without an error", function()
    local server, client, seen = connected()
    assert.is_true(client:reconnect())
    world.await(function() return server:request_count() == 2 and client:health().is_connected end)
    world.await(function() return server:stream_count() == 1 end)
    assert.same({ "connecting", "connected", "reconnecting", "connected" }, seen.states)
    assert.same({}, seen.codes)
  end)

  it("opens the stream of a client that is disconnected", function()
    local server = world.server()
    local client = world.connect(server, { auto_connect = false })
    assert.is_true(client:reconnect())
    world.await_state(client)
  end)
end)

describe("configure", function()
  it("with a new filter reconnects with the new query, and keeps the handlers", function()
    local server, client = connected { order_id = "ORDER-1" }
    local events = world.collect(client)
    world.publish(server, 1, 2)
    world.await(function() return #events == 1 end)
    assert.is_true(client:configure { order_id = "ORDER-3", event_types = { "stage_change", "payment_update" } })
    world.await(function() return server:request_count() == 2 and client:health().is_connected end)
    assert.same({ orderID = "ORDER-3", eventTypes = "stage_change,payment_update" }, server.requests[2].query)
    world.publish(server, 1, 3)
    world.await(function() return #events == 2 end)
    assert.equal("ORDER-3", events[2].order_id)
  end)

  it("with nothing that the server sees leaves the stream alone", function()
    local server, client = connected()
    assert.is_true(client:configure { reconnect_delay_ms = 5, idle_timeout_ms = 60000, queue_limit = 7, log = function() end })
    world.turn()
    assert.equal(1, server:request_count())
    assert.equal(60000, client:health().idle_timeout_ms)
  end)

  it("changes nothing when it is refused", function()
    local server, client = connected { order_id = "ORDER-1" }
    local ok, message, code = client:configure { url = "ftp://nowhere", order_id = "ORDER-2" }
    assert.is_nil(ok)
    assert.equal("URL", code)
    assert.matches("^URL: ", message)
    assert.equal("OPTION", select(3, client:configure { reconnect_delay_ms = -1 }))
    local is_taken, wrong = pcall(function() client:configure { ordr_id = "A" } end)
    assert.is_false(is_taken)
    assert.matches("^spec/lifecycle_spec%.lua:%d+: client:configure: ordr_id: unknown option .*'order_id'", wrong)
    client:reconnect()
    world.await(function() return server:request_count() == 2 end)
    assert.equal("ORDER-1", server.requests[2].query.orderID)
  end)

  it("reaches a client that is away, which stays away", function()
    local server = world.server()
    local client = world.connect(server, { auto_connect = false })
    assert.is_true(client:configure { order_id = "ORDER-1" })
    world.turn()
    assert.equal(0, server:request_count())
    client:connect()
    world.await_state(client)
    assert.equal("ORDER-1", server.requests[1].query.orderID)
  end)

  it("changes the decoder for what is yet to come", function()
    local server, client = connected()
    local events = world.collect(client)
    world.publish(server, 1, 1)
    world.await(function() return #events == 1 end)
    assert.is_true(client:configure { decode = "none" })
    world.publish(server, 2, 2)
    world.await(function() return #events == 2 end)
    assert.is_table(events[1].data)
    assert.is_string(events[2].data)
  end)
end)
