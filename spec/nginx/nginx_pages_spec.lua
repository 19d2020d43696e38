--- What nginx's requests and handlers can ask: health, orders, counters; and what init_worker refuses.

local cjson = require "cjson"
local scene = require "spec.nginx.scene"
local world = require "spec.support.world"

after_each(world.close)

describe("/healthz", function()
  it("is 200 while the stream is open, whichever worker is asked, and names who holds it", function()
    local site = scene.start(world.server(), { workers = 3 })
    local workers = table.concat(site:workers(), " ")
    for _ = 1, 10 do
      local body, status = site:get "/healthz"
      local health = cjson.decode(body)
      assert.equal(200, status)
      assert.equal("healthy", health.status)
      assert.matches(("%d"):format(health.holder), workers)
    end
  end)

  it("is 503 while the server is away, says why, and heals", function()
    local server = world.server()
    local site = scene.start(server)
    assert(server:stop())
    local health = world.await(function()
      local body, status = site:get "/healthz"
      local known = cjson.decode(body)
      return status == 503 and known.error and known.error.code == "REFUSED" and known
    end)
    assert.is_true(health.stale)
    assert(server:restart())
    site:await_connected()
    assert.equal(200, select(2, site:get "/healthz"))
  end)
end)

describe("what is missing in the stream", function()
  it("is known to /healthz, /metrics and browsers, and to the next who holds the stream", function()
    local server = world.listener(function(peer)
      peer:write "HTTP/1.1 200 OK\r\nContent-Type: text/event-stream\r\n\r\n"
    end)
    local site = scene.start(server)
    local page = site:open_events()
    scene.await_text(page, "event: health\n")
    server.peers[1]:write 'event: resync\ndata: {"reason":"too_old"}\n\n'
    scene.await_text(page, 'event: resync\ndata: {"reason":"too_old"}\n')
    scene.await_text(page, 'event: health\n.*event: health\ndata: {[^\n]*"complete":false')
    local health = site:health()
    assert.equal(1, health.open_gaps)
    assert.is_false(health.complete)
    assert.equal(1, site:metric "stream_gaps_total")
    assert.equal(1, site:metric "open_gaps")
    assert.equal(0, site:metric "complete")
    site:kill_worker(health.holder)
    site:await_connected(health.holder)
    assert.equal(1, site:health().open_gaps)
  end)
end)

describe("/orders", function()
  it("has the snapshot of the server, and what events made of it, the last changed first", function()
    local server = world.server()
    world.publish(server, 1, 3)
    local site = scene.start(server, { options = 'polling = { url = "/api/v1/orders" }' })
    world.await(function() return site:metric "orders" == 3 end)
    server:publish { type = "stage_change", order_id = "ORDER-2", data = { newStage = "paid" } }
    local docs = world.await(function()
      local list = cjson.decode((site:get "/orders")).docs
      return list[1].orderStage == "paid" and list
    end)
    assert.equal(3, #docs)
    assert.equal("ORDER-2", docs[1].orderID)
  end)
end)

describe("/orders and /events", function()
  it("fit together: behind the id that comes with the orders, the stream has what is not in them yet", function()
    local server = world.server()
    local site = scene.start(server, { workers = 3 })
    local publisher = world.publish_steadily(server) -- one order an event
    local position = 0
    while position < 100 do
      local body, _, headers = site:get "/orders"
      local known = #cjson.decode(body).docs
      local id = headers["last-event-id"]
      position = tonumber(id:match "^%x+:(%d+)$")
      assert.is_true(position <= known)
      local from = site:open_events("?lastEventId=" .. id)
      local next_number = scene.await_text(from, '"number":%d+'):match '"number":(%d+)'
      assert.equal(position + 1, tonumber(next_number))
      from:close()
    end
    publisher:close()
  end)
end)

describe("resty.order and resty.orders", function()
  local HANDLERS = [[
    resty.on_order({ "ORDER-2", "ORDER-3" }, function(event)
      local order, open = resty.order(event.order_id), resty.orders { stage = "open", sort = "id" }
      hear(("%s %s %s %s: %d open, first %s"):format(event.seq, event.type, order and order.orderStage,
        order and order.source, #open, open[1] and open[1].orderID))
    end)
    resty.on_stage_change("ORDER-3", function(event, previous, new)
      hear(("%s -> %s, %s, %s"):format(previous, new, event.data.newStage, #event:plain().raw))
    end, { to = "billed" })
  ]]

  it("know in every worker what the event left behind, and what was before", function()
    local server = world.server()
    local site = scene.start(server, { handlers = HANDLERS })
    for number = 1, 3 do
      server:publish { type = "order_created", order_id = "ORDER-" .. number, data = { order = {
        orderID = "ORDER-" .. number, orderStage = "open",
      } } }
      for worker = 0, 1 do site:await_heard(worker, number - 1) end -- the book may be ahead of a handler
    end
    server:publish { type = "stage_change", order_id = "ORDER-3", data = { newStage = "billed" } }
    for worker = 0, 1 do
      local heard = site:await_heard(worker, 4)
      assert.equal("2 order_created open stream: 2 open, first ORDER-1", heard[1])
      assert.equal("3 order_created open stream: 3 open, first ORDER-1", heard[2])
      assert.equal("4 stage_change billed stream: 2 open, first ORDER-1", heard[3])
      assert.matches("^open %-> billed, billed, %d+$", heard[4])
    end
    server:publish { type = "order_deleted", order_id = "ORDER-2", data = {} }
    for worker = 0, 1 do
      assert.equal("5 order_deleted nil nil: 1 open, first ORDER-1", site:await_heard(worker, 5)[5])
    end
    assert.equal(2, site:metric "orders")
  end)
end)

describe("a handler", function()
  it("may sleep, and may fail: the stream goes on, and the next event comes", function()
    local server = world.server()
    local site = scene.start(server, { handlers = [[
      resty.subscribe(function(event)
        ngx.sleep(0.01)
        if event.data.number == 2 then error "no paper" end
        hear(event.data.number)
      end)
    ]] })
    world.publish(server, 1, 5)
    for worker = 0, 1 do assert.same({ 1, 3, 4, 5 }, site:await_heard(worker, 4)) end
    world.await(function() return site:metric "handler_failures_total" == 2 end)
    assert.matches("a handler failed with event stage_change of ORDER%-2: .-no paper", site.program.output)
  end)
end)

describe("handlers that are slower than the server", function()
  it("hold it back: a ring of ten is enough for three hundred events", function()
    local server = world.server()
    local site = scene.start(server, { options = "replay_limit = 10", handlers = [[
      resty.subscribe(function(event)
        if worker == 1 then ngx.sleep(0.001) end
        hear(event.data.number)
      end)
    ]] })
    world.publish(server, 1, 300)
    for worker = 0, 1 do world.assert_in_order(site:await_heard(worker, 300), 300) end
  end)
end)

describe("/metrics", function()
  it("is Prometheus' text format: each family once, with help and type, and every sample a number", function()
    local server = world.server()
    local site = scene.start(server)
    server:publish { type = 'odd "type" \\ name', order_id = "ORDER-1", data = {} }
    world.publish(server, 1, 9)
    world.await(function() return site:metric "worker_position" == 20 end)
    local text, status, headers = site:get "/metrics"
    assert.equal(200, status)
    assert.equal("text/plain; version=0.0.4; charset=utf-8", headers["content-type"])
    local families, samples, family = {}, {}, nil
    for line in text:gmatch "([^\n]*)\n" do
      local kind, name = line:match "^# (%u+) (ordersync_[%l_]+) "
      if kind == "HELP" then
        assert.is_nil(families[name], name)
        families[name], family = true, name
      elseif kind == "TYPE" then
        assert.equal(family, name)
      else
        local sample, value = line:match "^(ordersync_[%l_]+{?.-}?) (%S+)$"
        assert.equal(family, sample:match "^[%l_]+")
        assert.is_number(tonumber(value), line)
        assert.is_nil(samples[sample], sample)
        samples[sample] = tonumber(value)
      end
    end
    assert.equal(1, samples.ordersync_up)
    assert.equal(10, samples.ordersync_events_published_total)
    assert.equal(1, samples['ordersync_events_by_type_total{type="odd \\"type\\" \\\\ name"}'])
    assert.equal(10, samples['ordersync_worker_position{worker="1"}'])
  end)
end)

describe("init_worker", function()
  local TRY = [[
    location = /try { content_by_lua_block {
      local resty = require "sync.resty"
      local url = "http://127.0.0.1"
      for _, options in ipairs { 7, {}, { url = url }, { dict = "ordersink", url = url },
          { dict = "ordersync", url = url, lease_ms = 1 },
          { dict = "ordersync", url = url, polling = { intervall_ms = 1 } }, { dict = "tiny", url = url },
          { dict = "ordersync", url = url, persistence = true }, { dict = "ordersync", url = url, ack = "manual" },
          { dict = "ordersync", url = url } } do
        ngx.say((select(2, pcall(resty.init_worker, options)):gsub("^.-: sync", "sync")))
      end
      ngx.say((select(2, pcall(resty.on_order, "A", "no function")):gsub("^.-: client", "client")))
      ngx.say((select(2, pcall(resty.serve_events, { heartbeat = 1 })):gsub("^.-: sync", "sync")))
      ngx.say((select(2, pcall(resty.serve_events, { where = 1 })):gsub("^.-: sync", "sync")))
      ngx.say((select(2, pcall(resty.serve_events, { heartbeat_ms = 0 })):gsub("^.-: sync", "sync")))
    } }
    location = /within { content_by_lua_block {
      ngx.say((select(2, pcall(require("sync.resty").serve_events)):gsub("^.-: sync", "sync")))
    } }
    location = /around { content_by_lua_block { ngx.print(ngx.location.capture("/within").body) } }
  ]]

  it("names what is wrong", function()
    local site = scene.start(world.server(), { inside = TRY, outside = "lua_shared_dict tiny 32k;" })
    assert.equal([[
sync.resty.init_worker: expected a table of options, got a number
sync.resty.init_worker: url: required, for example "http://127.0.0.1:8080"
sync.resty.init_worker: dict: expected the name of a lua_shared_dict, got a nil
sync.resty.init_worker: dict: nginx has no lua_shared_dict 'ordersink' (did you mean 'ordersync'?)
sync.resty.init_worker: lease_ms: expected an integer, 300 or more, got 1
sync.resty.init_worker: polling.intervall_ms: unknown option (did you mean 'interval_ms'?)
sync.resty.init_worker: dict: lua_shared_dict 'tiny' has 32768 bytes: 65536 is the least
sync.resty.init_worker: persistence: not in nginx, where the events are in shared memory and the handlers in all workers
sync.resty.init_worker: ack: not in nginx, where the events are in shared memory and the handlers in all workers
sync.resty.init_worker: called again: nginx has one stream
client:on_order: expected a function, got a string
sync.resty.serve_events: heartbeat: unknown option
sync.resty.serve_events: where: expected a function
sync.resty.serve_events: heartbeat_ms: expected an integer, 1 or more
]], (site:get "/try"))
    assert.equal("sync.resty.serve_events: not in a subrequest: it has no end\n", (site:get "/around"))
  end)

  it("works where the master has required the module already", function()
    local server = world.server()
    local site = scene.start(server, { outside = 'init_by_lua_block { require "sync.resty"; require "sync" }' })
    world.publish(server, 1, 20)
    for worker = 0, 1 do world.assert_in_order(site:await_heard(worker, 20), 20) end
    site:reload()
    world.publish(server, 21, 40)
    for worker = 0, 1 do world.assert_in_order(site:await_heard(worker, 40), 40) end
    site:assert_clean_exits()
  end)
end)
