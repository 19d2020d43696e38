--- What handlers may do: raise, yield, close, command, connect another client. And what is told when one fails.

local sync = require "sync"
local world = require "spec.support.world"

after_each(world.close)

local function pair(options)
  local server = world.server()
  local client, seen = world.connect(server, options)
  world.await_state(client)
  return server, client, seen
end

-- A handler that notes the order ids it is called with, and the list of them.
local function noting()
  local noted = {}
  return noted, function(event) noted[#noted + 1] = event.order_id end
end

describe("a handler that raises", function()
  it("is told once as HANDLER, with a traceback and the event; the others still get it", function()
    local server, client, seen = pair()
    local before, note_before = noting()
    local after, note_after = noting()
    client:on_order("*", note_before)
    client:on_order("ORDER-1", function() error("kitchen on fire") end)
    client:on_order("*", note_after)
    world.publish(server, 1, 2)
    world.await(function() return #after == 2 end)
    assert.same({ "ORDER-1", "ORDER-2" }, before)
    assert.same({ "ORDER-1", "ORDER-2" }, after)
    assert.same({ "HANDLER" }, seen.codes)
    local problem = seen.errors[1]
    assert.matches("spec/handlers_spec%.lua:%d+: kitchen on fire", problem.message)
    assert.matches("stack traceback:", problem.message, 1, true)
    assert.equal("ORDER-1", problem.event.order_id)
    assert.is_false(problem.retryable)
    assert.equal(1, client:metrics().handler_errors)
    assert.equal(problem, client:health().handler_error)
  end)

  it("is told every time it raises, and the stream goes on", function()
    local server, client, seen = pair()
    client:subscribe(function(event) error("no " .. event.order_id) end)
    world.publish(server, 1, 3)
    world.await(function() return #seen.codes == 3 end)
    assert.matches("no ORDER-3", seen.errors[3].message, 1, true)
    assert.equal("connected", client:health().state)
    assert.is_nil(client:health().error)
  end)

  it("may raise anything", function()
    local server, client, seen = pair()
    local thrown = { { reason = 1 }, false, 42 }
    for _, value in ipairs(thrown) do client:subscribe(function() error(value) end) end
    client:subscribe(function() error() end) -- luacheck: ignore
    world.publish(server, 1, 1)
    world.await(function() return #seen.codes == 4 end)
    for _, problem in ipairs(seen.errors) do assert.is_string(problem.message) end
  end)

  it("may raise what cannot be shown", function()
    local server, client, seen = pair()
    client:on_order("ORDER-1", function() error(setmetatable({}, { __tostring = function() error("no text") end })) end)
    local noted, note = noting()
    client:subscribe(note)
    world.publish(server, 1, 2)
    world.await(function() return #noted == 2 end)
    assert.same({ "HANDLER" }, seen.codes)
    assert.matches("an error of type table that cannot be shown", seen.errors[1].message)
  end)

  it("of a filter's predicate is told as well", function()
    local server, client, seen = pair()
    client:subscribe(function() end, { where = function(event) return event.data.nothing.there end })
    local noted, note = noting()
    client:subscribe(note)
    world.publish(server, 1, 1)
    world.await(function() return #noted == 1 end)
    assert.same({ "HANDLER" }, seen.codes)
  end)

  it("for states, comments or health is told, and the others still hear", function()
    local server = world.server()
    local client, seen = world.connect(server)
    local states, comments = {}, {}
    client:on_state(function() error("bad state handler") end)
    client:on_health(function() error("bad health handler") end)
    client:on_comment(function() error("bad comment handler") end)
    client:on_state(function(state) states[#states + 1] = state end)
    client:on_comment(function(text) comments[#comments + 1] = text end)
    world.await_state(client)
    server:comment("hello")
    world.await(function() return #comments == 1 end)
    assert.same({ "connecting", "connected" }, states)
    assert.matches("on_state: .*bad state handler", seen.errors[1].message)
    assert.matches("on_health: .*bad health handler", seen.errors[2].message)
    assert.matches("on_comment: .*bad comment handler", seen.errors[5].message)
    assert.equal(5, client:metrics().handler_errors)
  end)

  it("for errors is logged, not told to itself for ever; the others still hear", function()
    local server = world.server()
    local lines = {}
    local client = world.connect(server, { log = function(_, message) lines[#lines + 1] = message end })
    client:on_error(function() error("bad error handler") end)
    local seen = world.watch(client)
    client:subscribe(function() error("first") end)
    world.await_state(client)
    world.publish(server, 1, 1)
    world.await(function() return #seen.codes == 1 end)
    assert.same({ "HANDLER" }, seen.codes)
    assert.matches("HANDLER: on_error: .*bad error handler", table.concat(lines, "\n"))
  end)

  it("for the log costs nothing", function()
    local server = world.server()
    local client, seen = world.connect(server, { log = function() error("disk full") end })
    world.await_state(client)
    assert.same({ "connecting", "connected" }, seen.states)
    assert.same({}, seen.codes)
  end)
end)

describe("a handler that yields", function()
  it("goes on where it was, and nothing overtakes it", function()
    local server, client, seen = pair()
    local log = {}
    client:on_order("*", function(event)
      log[#log + 1] = "begin " .. event.order_id
      if event.order_id == "ORDER-1" then log[#log + 1] = coroutine.yield("waits") end
      log[#log + 1] = "end " .. event.order_id
    end)
    local others, note = noting()
    client:subscribe(note)
    local resume = world.host()
    world.publish(server, 1, 3)
    while resume() ~= "waits" do world.turn_servers() end
    world.turn() -- the loop goes on meanwhile: this client is passed over
    world.turn()
    assert.same({ "begin ORDER-1" }, log)
    assert.same({}, others)
    assert.equal("stepped", resume())
    world.await(function() return #others == 3 end)
    assert.equal("begin ORDER-1|end ORDER-1|begin ORDER-2|end ORDER-2|begin ORDER-3|end ORDER-3", table.concat(log, "|"))
    assert.same({ "ORDER-1", "ORDER-2", "ORDER-3" }, others)
    assert.same({}, seen.codes)
  end)

  it("does not hold other clients up", function()
    local server, slow = pair()
    local quick = world.connect(server)
    world.await_state(quick)
    local noted, note = noting()
    quick:subscribe(note)
    slow:subscribe(function() coroutine.yield("waits") end)
    local resume, thread = world.host()
    world.publish(server, 1, 2)
    while resume() ~= "waits" do world.turn_servers() end
    world.await(function() return #noted == 2 end)
    assert.equal("suspended", coroutine.status(thread))
  end)

  it("leaves the loop quiet meanwhile, though events wait", function()
    local server, client = pair()
    client:subscribe(function() coroutine.yield("waits") end)
    local resume = world.host()
    world.publish(server, 1, 3)
    while resume() ~= "waits" do world.turn_servers() end
    world.turn()
    assert.not_equal(0, sync.timeout_ms())
    assert.equal(2, client:metrics().queue_depth)
  end)

  it("may wait beside another one while a third closes it", function()
    local server, first = pair()
    local closer, last = world.connect(server), world.connect(server)
    world.await_state(closer)
    world.await_state(last)
    local waiting, closed = 0, false
    local function wait()
      waiting = waiting + 1
      coroutine.yield("waits")
    end
    first:subscribe(wait)
    last:subscribe(wait)
    local one, other = world.host(), world.host()
    world.publish(server, 1, 2)
    while waiting < 1 do one() world.turn_servers() end
    while waiting < 2 do other() world.turn_servers() end
    closer:subscribe(function() closed = first:close() end)
    world.publish(server, 3, 4)
    world.await(function() return closed end)
    assert.equal(2, waiting)
  end)

  it("may raise afterwards", function()
    local server, client, seen = pair()
    client:on_order("ORDER-1", function()
      coroutine.yield("waits")
      error("too late")
    end)
    local noted, note = noting()
    client:subscribe(note)
    local resume = world.host()
    world.publish(server, 1, 2)
    while resume() ~= "waits" do world.turn_servers() end
    resume()
    world.await(function() return #noted == 2 end)
    assert.same({ "HANDLER" }, seen.codes)
    assert.matches("too late", seen.errors[1].message)
  end)

  it("may find its client closed", function()
    local server, client = pair()
    local noted, note = noting()
    local is_over
    client:on_order("*", function()
      coroutine.yield("waits")
      is_over = true
    end)
    client:subscribe(note)
    local resume = world.host()
    world.publish(server, 1, 2)
    while resume() ~= "waits" do world.turn_servers() end
    client:close()
    resume()
    assert.is_true(is_over)
    assert.same({}, noted)
  end)

  it("may be one of states or errors", function()
    local server, client = pair()
    local states = {}
    client:on_state(function(state)
      coroutine.yield("waits")
      states[#states + 1] = state
    end)
    local resume = world.host()
    server:drop()
    while resume() ~= "waits" do world.turn_servers() end
    assert.same({}, states)
    resume()
    while #states < 2 do
      world.turn_servers()
      resume()
    end
    assert.same({ "reconnecting", "connected" }, states)
  end)
end)

describe("a handler that closes its client", function()
  it("is the last that is called, whatever is buffered (C06)", function()
    local server, client, seen = pair()
    local first, second = 0, 0
    client:subscribe(function()
      first = first + 1
      client:close()
    end)
    client:subscribe(function() second = second + 1 end)
    world.publish(server, 1, 50)
    world.await(function() return first > 0 end)
    world.turn()
    assert.equal(1, first)
    assert.equal(0, second)
    assert.same({}, seen.codes)
    assert.equal("closed", client:health().state)
    assert.same({ "connecting", "connected" }, seen.states)
  end)

  it("may raise after it", function()
    local server, client = pair()
    client:subscribe(function()
      client:close()
      error("after the end")
    end)
    world.publish(server, 1, 1)
    world.await(function() return client:health().state == "closed" end)
  end)

  it("may be one of states (C03), errors (C05), comments or health", function()
    for _, name in ipairs { "on_state", "on_error", "on_comment", "on_health" } do
      local server = world.server()
      local client = world.connect(server)
      world.await_state(client)
      local calls, requests = 0, server:request_count()
      client[name](client, function()
        calls = calls + 1
        client:close()
      end)
      server:comment("hello")
      server:drop("cut")
      world.await(function() return client:health().state == "closed" end)
      world.turn()
      assert.equal(1, calls, name)
      assert.equal(requests, server:request_count())
      assert.is_true(world.is_at_rest())
      world.close()
    end
  end)

  it("may close another one, which then hears nothing more", function()
    local server, client = pair()
    local other = world.connect(server)
    world.await_state(other)
    local heard = { 0, 0 }
    for number, each in ipairs { client, other } do -- whichever is served first closes the other
      each:subscribe(function()
        heard[number] = heard[number] + 1
        local victim = number == 1 and other or client
        victim:close()
      end)
    end
    world.publish(server, 1, 3)
    world.await(function() return math.max(heard[1], heard[2]) == 3 end)
    assert.equal(0, math.min(heard[1], heard[2]))
  end)
end)

describe("a handler that commands", function()
  it("may connect another client", function()
    local server, client = pair()
    local second, heard
    client:on_order("ORDER-1", function()
      second = world.connect(server, { order_id = "ORDER-2" })
      second:subscribe(function(event) heard = event.order_id end)
    end)
    world.publish(server, 1, 1)
    world.await(function() return second and second:health().is_connected end)
    world.publish(server, 2, 2)
    assert.equal("ORDER-2", world.await(function() return heard end))
  end)

  it("may reconnect: what was queued still arrives, nothing twice", function()
    local server, client, seen = pair()
    local noted = {}
    client:subscribe(function(event)
      noted[#noted + 1] = event.data.number
      if #noted == 2 then client:reconnect() end
    end)
    world.publish(server, 1, 5)
    world.await(function() return #noted == 5 and client:health().is_connected end)
    assert.same({ 1, 2, 3, 4, 5 }, noted)
    world.await(function() return server:request_count() == 2 end)
    assert.same({}, seen.codes)
  end)

  it("may disconnect: what was queued still arrives, and then nothing", function()
    local server, client, seen = pair()
    local noted = {}
    client:subscribe(function(event)
      noted[#noted + 1] = event.data.number
      client:disconnect()
    end)
    world.publish(server, 1, 3)
    world.await(function() return server:stream_count() == 0 and client:metrics().queue_depth == 0 end)
    for index, number in ipairs(noted) do assert.equal(index, number) end
    assert.equal("disconnected", client:health().state)
    assert.same({ "connecting", "connected", "disconnected" }, seen.states)
    assert.is_true(world.is_at_rest())
  end)

  it("may configure", function()
    local server, client = pair()
    client:on_order("ORDER-1", function() client:configure { order_id = "ORDER-9" } end)
    world.publish(server, 1, 1)
    world.await(function() return server:request_count() == 2 end)
    assert.equal("ORDER-9", server.requests[2].query.orderID)
    world.await_state(client)
  end)

  it("may step, stop, and ask for health and history; it may not pull from itself", function()
    local server, client, seen = pair()
    local state, kept
    client:on_order("ORDER-1", function()
      assert(sync.step(0))
      sync.stop()
      state, kept = client:health().state, #client:events()
    end)
    client:on_order("ORDER-2", function() client:next(0) end)
    world.publish(server, 1, 2)
    world.await(function() return #seen.codes == 1 end)
    assert.equal("connected", state)
    assert.is_true(kept >= 1)
    assert.equal("HANDLER", seen.codes[1])
    assert.matches("client:next: called inside a handler of the same client", seen.errors[1].message)
  end)
end)

describe("a listener", function()
  it("ends by cancel() or by being called, inside its own function too", function()
    local server, client = pair()
    local calls = { 0, 0, 0 }
    local first, third
    first = client:on_comment(function()
      calls[1] = calls[1] + 1
      first:cancel()
    end)
    client:on_comment(function()
      calls[2] = calls[2] + 1
      third()
    end)
    third = client:on_comment(function() calls[3] = calls[3] + 1 end)
    server:comment("one")
    server:comment("two")
    world.await(function() return calls[2] == 2 end)
    assert.same({ 1, 2, 0 }, calls)
  end)

  it("hears comments as they are: untouched but for the colon (F23)", function()
    local server = world.server()
    server:behave { { send = ":plain\n: spaced\n:\n:a: b\ndata: {}\n:within\n\n" }, { stall = true } }
    local client = world.connect(server)
    local comments = {}
    client:on_comment(function(text) comments[#comments + 1] = text end)
    world.await(function() return #comments == 5 end)
    assert.same({ "plain", " spaced", "", "a: b", "within" }, comments)
    assert.equal(5, client:metrics().comments)
  end)

  it("wants a function", function()
    local client = world.connect(world.black_hole())
    for _, name in ipairs { "on_state", "on_health", "on_error", "on_comment" } do
      local ok, message = pcall(function() client[name](client, "print") end)
      assert.is_false(ok)
      assert.matches("^spec/handlers_spec%.lua:%d+: client:" .. name .. ": expected a function, got a string", message)
    end
  end)
end)
