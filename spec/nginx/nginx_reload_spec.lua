--- Workers that go: told to, killed, or stopped for a while. What an event is, each worker's handlers hear once, in
-- order.

local scene = require "spec.nginx.scene"
local uv = require "luv"
local world = require "spec.support.world"

after_each(world.close)

local function assert_all_heard(site, count)
  for worker = 0, site.worker_count - 1 do world.assert_in_order(site:await_heard(worker, count), count) end
end

-- Publishing goes on while a page is away, for no longer than this keeps.
local LONG_RING = { options = "replay_limit = 10000", serving = "retry_ms = 1" }

-- A page that follows the events, and comes back when it is cut off.
local function open_page(site)
  local page = world.connect({ url = site.url .. "/events" }, { max_reconnect_attempts = 1000 })
  local numbers = world.collect_numbers(page)
  world.await_state(page)
  return numbers, page
end

local function await_count(numbers, count)
  world.await(function() return #numbers >= count end)
end

-- What repeats its predecessor, taken out.
local function without_repetitions(numbers)
  local list, repeated = {}, 0
  for _, number in ipairs(numbers) do
    if number == list[#list] then repeated = repeated + 1 else list[#list + 1] = number end
  end
  return list, repeated
end

describe("one stream for all workers", function()
  it("is what the server sees, and every worker hears everything", function()
    local server = world.server()
    local site = scene.start(server, { workers = 3 })
    world.publish(server, 1, 500)
    assert_all_heard(site, 500)
    assert.equal(1, server:stream_count())
    assert.equal(1, server:request_count())
    assert.equal(1, site:metric "takeovers_total")
  end)
end)

describe("reloading under load", function()
  it("loses and doubles nothing, and every old worker exits with code 0, twenty times", function()
    local server = world.server()
    local site = scene.start(server, LONG_RING)
    local numbers = open_page(site)
    local publisher = world.publish_steadily(server)
    await_count(numbers, 1)
    for _ = 1, 20 do site:reload() end
    publisher:close()
    assert_all_heard(site, publisher.count)
    await_count(numbers, publisher.count)
    world.assert_in_order(numbers, publisher.count)
    local _, exits = site.program.output:gsub("worker process %d+ exited with code 0\n", "")
    assert.equal(40, exits)
    site:assert_clean_exits()
  end)

  it("is not held up by a page that does not read", function()
    local server = world.server()
    local site = scene.start(server, { workers = 1 })
    local page = site:open_events()
    scene.await_text(page, "event: health")
    page:pause_reading()
    local filling = ("x"):rep(20000)
    for _ = 1, 1000 do server:publish { type = "status_update", order_id = "ORDER-1", data = { filling = filling } } end
    world.await(function() return site:metric "worker_position" == 1000 end)
    site:reload()
    site:assert_clean_exits()
  end)

  it("is not held up by pages, nor by a server that is away", function()
    local server = world.server()
    local site = scene.start(server)
    for _ = 1, 20 do scene.await_text(site:open_events(), "event: connected") end
    assert(server:stop())
    world.await(function() return not site:health().is_connected end)
    site:reload()
    site:assert_clean_exits()
  end)
end)

describe("a handler that is at an event when its worker is told to exit", function()
  it("is waited for: its successor begins with the next event, though no lease lasts that long", function()
    local server = world.server()
    local site = scene.start(server, {
      options = "lease_ms = 300", inside = [[location = /go_on { content_by_lua_block { ngx.shared.heard:set("go", 1) } }]],
      handlers = [[
        resty.on_event("stage_change", function(event)
          hear(event.data.number)
          while event.data.number == 2 and not ngx.shared.heard:get "go" do ngx.sleep(0.01) end
        end)
      ]],
    })
    world.publish(server, 1, 4)
    for worker = 0, 1 do site:await_heard(worker, 2) end
    local holder = site:await_connected()
    site.program:send_signal "sighup"
    site:await_connected(holder)
    local turns = site:metric "worker_turns_total" -- two in 50 ms; the lease lasts for 200 ms
    world.await(function() return site:metric "worker_turns_total" > turns + 20 end)
    site:get "/go_on"
    assert_all_heard(site, 4)
    site:assert_clean_exits()
  end)
end)

describe("reloading with another url", function()
  it("begins anew: neither events nor orders of the old server are of the new one", function()
    local old, new = world.server(), world.server()
    local site = scene.start(old)
    world.publish(old, 1, 3)
    site:await_heard(0, 3)
    world.publish(new, 11, 11)
    site:reload { url = new.url }
    site:await_connected()
    world.await(function() return new:stream_count() == 1 end)
    assert.is_nil(new.requests[1].headers["last-event-id"])
    world.publish(new, 12, 12)
    assert.same({ 1, 2, 3, 12 }, site:await_heard(0, 4))
    assert.equal(1, site:metric "orders")
  end)
end)

describe("kill -9 of the worker that holds the stream", function()
  it("makes another one go on within three seconds, behind what was published last", function()
    local server = world.server()
    local site = scene.start(server, { workers = 3, options = LONG_RING.options, serving = LONG_RING.serving })
    local numbers = open_page(site)
    local publisher = world.publish_steadily(server)
    await_count(numbers, 1)
    local slowest_ms = 0
    for _ = 1, 5 do
      local holder = site:await_connected()
      local began = uv.hrtime()
      site:kill_worker(holder)
      site:await_connected(holder)
      slowest_ms = math.max(slowest_ms, (uv.hrtime() - began) / 1e6)
    end
    publisher:close()
    await_count(numbers, publisher.count)
    world.assert_in_order(numbers, publisher.count)
    for worker = 0, 2 do -- what was under way in a worker that is killed is handed over again
      local all = world.await(function()
        local so_far = site:heard(worker)
        return so_far[#so_far] == publisher.count and so_far
      end)
      local heard, repeated = without_repetitions(all)
      world.assert_in_order(heard, publisher.count)
      assert.is_true(repeated <= 5)
    end
    io.stderr:write(("# the stream was open again %.0f ms after kill -9, at most\n"):format(slowest_ms))
    assert.is_true(slowest_ms < 3000) -- what the issue asks for; it takes about a tenth of a second
  end)

  -- From its first event on, each time; three more each time.
  local function forgetful_server()
    return world.listener(function(peer)
      local text = { "HTTP/1.1 200 OK\r\nContent-Type: text/event-stream\r\n\r\n" }
      for number = 1, 3 * #peer.listener.heads do
        text[#text + 1] = ('id: %d\nevent: stage_change\ndata: {"data":{"number":%d}}\n\n'):format(number, number)
      end
      peer:write(table.concat(text))
    end)
  end

  it("drops what the server sends to the next holder although it was published", function()
    local server = forgetful_server()
    local site = scene.start(server)
    assert_all_heard(site, 3)
    for round = 2, 4 do
      local holder = site:await_connected()
      site:kill_worker(holder)
      site:await_connected(holder)
      assert_all_heard(site, 3 * round)
    end
    assert.matches("\nLast%-Event%-ID: 9\r\n", server.heads[4])
    assert.equal(12, site:metric "events_published_total")
  end)

  local function check_book(options)
    local server = world.server()
    local site = scene.start(server, { options = options, handlers = [[
      resty.on_event("payment_update", function(event)
        if event.source ~= "stream" then return end -- what the snapshot knows more than events told
        local order = resty.order(event.order_id)
        hear(order.orderStage .. " " .. order.paymentStatus .. " " .. event.data.number)
      end)
    ]] })
    world.publish(server, 1, 3)
    world.await(function() return site:metric "orders" == 3 end)
    local holder = site:await_connected()
    site:kill_worker(holder)
    site:await_connected(holder)
    server:publish { type = "payment_update", order_id = "ORDER-2", data = { newStatus = "paid", number = 9 } }
    for worker = 0, 1 do assert.same({ "billed paid 9" }, site:await_heard(worker, 1)) end
    assert.equal(3, site:metric "orders")
  end

  it("keeps the book whole: the next holder begins with it", function() check_book "" end)

  it("keeps it where there are snapshots, too", function() check_book 'polling = { url = "/api/v1/orders" }' end)
end)

describe("a worker that stands still", function()
  it("loses the stream when its lease lapses, and stays out when it goes on", function()
    local server = world.server()
    local site = scene.start(server, { options = "lease_ms = 600", serving = "retry_ms = 1" })
    local numbers = open_page(site)
    world.publish(server, 1, 50)
    await_count(numbers, 50)
    local holder = site:await_connected()
    uv.kill(holder, "sigstop")
    world.publish(server, 51, 100)
    local other = site:await_connected(holder)
    world.publish(server, 101, 150)
    world.await(function() return site:metric "events_published_total" == 150 end)
    uv.kill(holder, "sigcont")
    world.publish(server, 151, 200)
    assert_all_heard(site, 200)
    await_count(numbers, 200)
    world.assert_in_order(numbers, 200)
    assert.equal(other, site:health().holder)
    world.await(function() return server:stream_count() == 1 end)
  end)
end)
