--- The event stream that nginx serves to browsers.

local scene = require "spec.nginx.scene"
local world = require "spec.support.world"

after_each(world.close)

local function numbers_of(body)
  local numbers = {}
  for number in body:gmatch '"number":(%d+)' do numbers[#numbers + 1] = tonumber(number) end
  return numbers
end

local function await_last(from, number)
  return numbers_of(scene.await_text(from, ('"number":%d[,}]'):format(number)))
end

local function opened(site, query, headers)
  local from = site:open_events(query, headers)
  scene.await_text(from, "event: health\n")
  return from
end

-- The id of the latest event in a body.
local function last_id(from)
  return from:body():match ".*\nid: (%S+)\n"
end

describe("the event stream for browsers", function()
  it("greets, tells how the stream is, and passes events on as the order server wrote them", function()
    local server = world.server()
    local site = scene.start(server)
    local from = opened(site)
    local _, headers = from:head()
    assert.equal("text/event-stream", headers["content-type"])
    assert.equal("no-store", headers["cache-control"])
    server:publish { type = "stage_change", order_id = "ORDER-1", data = { newStage = "open", note = "a\nb" } }
    local body = scene.await_text(from, "event: stage_change\ndata: [^\n]+\n\n")
    local greeting, news = body:match "^(.*)(id: %x+:1\n.*)$"
    assert.matches("^retry: %d+\n\nid: %x+:0\nevent: connected\ndata: {[^\n]+}\n\n", greeting)
    assert.matches("\n\nevent: health\ndata: {[^\n]+}\n\n$", greeting)
    assert.matches('\nevent: stage_change\ndata: {"eventType":"stage_change",[^\n]*"note":"a\\nb"[^\n]*}\n\n$', news)
  end)

  it("is what this project's own client takes for an order server", function()
    local server = world.server()
    local site = scene.start(server)
    local client = world.connect({ url = site.url .. "/events" })
    local events = world.collect(client, { event_types = "stage_change" })
    world.await_state(client)
    world.publish(server, 1, 3)
    world.await(function() return #events == 3 end)
    assert.equal("ORDER-3", events[3].order_id)
    assert.equal("billed", client:order("ORDER-3").orderStage)
  end)

  it("is filtered by order and type, and by a function of the configuration", function()
    local server = world.server()
    local site = scene.start(server, { serving = "where = function(event) return event.data.number ~= 4 end" })
    local some = opened(site, "?orderID=ORDER-2,ORDER-4&orderID=ORDER-6")
    local few = opened(site, "?eventTypes=order_created")
    world.publish(server, 1, 6)
    server:publish { type = "order_created", order_id = "ORDER-7", data = { number = 7 } }
    assert.same({ 2, 6 }, await_last(some, 6))
    assert.same({ 7 }, await_last(few, 7))
  end)

  it("goes on behind Last-Event-ID, from whatever worker, by header or parameter", function()
    local server = world.server()
    local site = scene.start(server, { workers = 3 })
    local first = opened(site)
    world.publish(server, 1, 10)
    await_last(first, 10)
    local id = last_id(first)
    first:close()
    world.publish(server, 11, 20)
    for _ = 1, 6 do
      world.assert_in_order(await_last(site:open_events("", { ["Last-Event-ID"] = id }), 20), 10, 11)
      world.assert_in_order(await_last(site:open_events("?lastEventId=" .. id), 20), 10, 11)
    end
  end)

  it("says `resync` when what was missed is gone, or the id is of another nginx", function()
    local server = world.server()
    local site = scene.start(server, { options = "replay_limit = 10" })
    local first = opened(site)
    local id = last_id(first)
    world.publish(server, 1, 30)
    await_last(first, 30)
    local body = scene.await_text(site:open_events("", { ["Last-Event-ID"] = id }), "event: health")
    assert.matches('\nid: %x+:30\nevent: resync\ndata: {"reason":"too old"}\n', body)
    body = scene.await_text(site:open_events("", { ["Last-Event-ID"] = "abc:7" }), "event: health")
    assert.matches('\nid: %x+:30\nevent: resync\ndata: {"reason":"unknown id"}\n', body)
  end)

  it("holds nothing for a browser that does not read, and tells it to ask for everything again", function()
    local server = world.server()
    local site = scene.start(server, { workers = 1, options = "replay_limit = 20" })
    local slow, quick = opened(site), opened(site)
    slow:pause_reading()
    local before = site:metric "worker_lua_bytes"
    local filling, count = ("x"):rep(20000), 1500 -- 30 MB: more than sockets hold
    for number = 1, count do
      server:publish { type = "status_update", order_id = "ORDER-1", data = { number = number, filling = filling } }
      if number % 10 == 0 then
        await_last(quick, number)
        quick.bytes = quick.bytes:match "^(.-\r\n\r\n)" -- what was read is not looked at again
      end
    end
    world.await(function() return site:metric "events_published_total" == count end)
    assert.is_true(site:metric "worker_lua_bytes" - before < 16 * 2 ^ 20)
    slow:resume_reading()
    local body = scene.await_text(slow, "event: resync")
    assert.matches('\nevent: resync\ndata: {"reason":"too slow"}\n', body)
    world.publish(server, 1, 1)
    scene.await_text(slow, "event: stage_change")
    world.await(function() return site:metric "browser_resyncs_total" == 1 end)
  end)

  it("breaks silence with comments", function()
    local site = scene.start(world.server(), { serving = "heartbeat_ms = 1" })
    scene.await_text(opened(site), "\n: heartbeat\n\n.*\n: heartbeat\n\n")
  end)

  it("tells the health as often as it is asked to, while orders' events come too, and in place of comments", function()
    local server = world.server()
    local site = scene.start(server, { serving = "health_ms = 1, heartbeat_ms = 60000" })
    local from = opened(site)
    scene.await_text(from, "event: health\n.*event: health\n.*event: health\n")
    local publisher = world.publish_steadily(server)
    local body = scene.await_text(from, "event: stage_change\n.*event: health\n.*event: stage_change\n.*event: health\n")
    publisher:close()
    assert.is_nil(body:find "heartbeat")
    assert.matches('\nevent: health\ndata: {[^\n]*"data_age_ms":%d+[^\n]*}\n', body)
  end)

  it("tells when the stream behind it is lost and when it is back", function()
    local server = world.server()
    local site = scene.start(server)
    local from = opened(site)
    assert(server:stop())
    scene.await_text(from, '"status":"connecting"')
    assert(server:restart())
    scene.await_text(from, '"status":"connecting".*"status":"healthy"')
  end)

  it("cannot be led astray by a type with a line's end in it", function()
    local server = world.listener(function(peer)
      peer:write("HTTP/1.1 200 OK\r\nContent-Type: text/event-stream\r\n\r\n" ..
        [[data: {"eventType":"odd\nid: 7\r\n\nevent: resync","data":{"number":1}}]] .. "\n\n")
    end)
    local site = scene.start(server)
    world.await(function() return site:metric "events_published_total" == 1 end)
    local epoch = scene.await_text(site:open_events(), "event: health\n"):match "id: (%x+):"
    local body = scene.await_text(site:open_events("?lastEventId=" .. epoch .. ":0"), '"number":1')
    assert.matches("\nid: %x+:1\nevent: odd id: 7   event: resync\ndata: ", body)
  end)

  it("takes any query and any Last-Event-ID", function()
    local server = world.server()
    local site = scene.start(server)
    local from = opened(site, "?orderID=ORDER-2&orderID&eventTypes&eventTypes=,&lastEventId")
    world.publish(server, 1, 2)
    assert.same({ 2 }, await_last(from, 2))
    local epoch = last_id(from):match "%x+"
    for _, id in ipairs { "x", ":", epoch .. ":", epoch .. ":9999999999999999999999", epoch .. ":-1" } do
      local body = scene.await_text(site:open_events("", { ["Last-Event-ID"] = id }), "event: health\n")
      assert.matches('event: resync\ndata: {"reason":"unknown id"}\n', body)
    end
  end)

  it("needs HTTP/1.1, or nginx told not to collect the answer to HTTP/1.0", function()
    local function ask(site)
      local from = world.own(assert(require("spec.server.client").connect(site.port)))
      return from:send "GET /events HTTP/1.0\r\n\r\n"
    end
    local server = world.server()
    local site = scene.start(server)
    ask(site)
    world.await(function() return site.program.output:find("lua_http10_buffering off", 1, true) end)
    local other = scene.start(server, { inside = "lua_http10_buffering off;" })
    local from = ask(other)
    from:await_bytes "event: health\n"
    world.publish(server, 1, 1)
    from:await_bytes '"number":1'
  end)

  it("counts browsers, also where nginx notices itself that they go", function()
    for _, checks in ipairs { "on", "off" } do
      local site = scene.start(world.server(), {
        workers = 1, inside = ("lua_check_client_abort %s;"):format(checks), serving = "heartbeat_ms = 10",
      })
      local pages = {}
      for index = 1, 3 do pages[index] = opened(site) end
      world.await(function() return site:metric "browsers" == 3 end)
      for _, page in ipairs(pages) do page:close() end
      world.await(function() return site:metric "browsers" == 0 end)
    end
  end)

  it("is for GET", function()
    local site = scene.start(world.server())
    local from = world.own(assert(require("spec.server.client").connect(site.port)))
    from:request("POST", "/events", nil, "x"):await_bytes("\r\n\r\n")
    local status, headers = from:head()
    assert.equal(405, status)
    assert.equal("GET", headers.allow)
  end)
end)
