--- A shared dictionary that is too small for what it has to hold: 64 KiB, and events of some kilobytes.

local scene = require "spec.nginx.scene"
local world = require "spec.support.world"

after_each(world.close)

local function publish(server, first, last, size)
  for number = first, last do
    server:publish { type = "stage_change", order_id = "ORDER-" .. number % 20, data = {
      number = number, newStage = "billed", filling = ("x"):rep(size),
    } }
  end
end

describe("a dictionary of 64 KiB", function()
  it("is enough for every event, in order, however slow a worker's handlers are", function()
    local server = world.server()
    local site = scene.start(server, { memory = "64k", handlers = [[
      resty.on_event("stage_change", function(event)
        if worker == 1 then ngx.sleep(0.001) end
        hear(event.data.number)
      end)
    ]] })
    publish(server, 1, 200, 3000)
    for worker = 0, 1 do world.assert_in_order(site:await_heard(worker, 200), 200) end
    assert.equal(0, site:metric "worker_missed_total")
    site:assert_clean_exits()
  end)

  it("has `resync` in the place of an event that is larger, and goes on", function()
    local server = world.server()
    local site = scene.start(server, { memory = "64k", handlers = [[
      resty.subscribe(function(event) hear(event.data.number or event.type .. ": " .. event.data.reason) end)
    ]] })
    local page = site:open_events()
    scene.await_text(page, "event: health\n")
    publish(server, 1, 2, 10)
    publish(server, 3, 3, 100000)
    publish(server, 4, 5, 10)
    for worker = 0, 1 do assert.same({ 1, 2, "resync: too large", 4, 5 }, site:await_heard(worker, 5)) end
    local body = scene.await_text(page, '"number":5')
    assert.matches('"number":2.*event: resync\ndata: {"reason":"too large"}\n.*"number":4', body)
    world.await(function() return site:metric "events_too_large_total" == 1 end)
    assert.matches("event stage_change of ORDER%-3 is too large for the shared dictionary: %d+ bytes", site.program.output)
  end)

  it("keeps what a reload needs when it is full: the stream and pages go on where they were", function()
    local server = world.server()
    local site = scene.start(server, { memory = "64k", serving = "retry_ms = 1" })
    local page = world.connect({ url = site.url .. "/events" }, { max_reconnect_attempts = 1000 })
    local numbers, resyncs = world.collect_numbers(page), world.collect(page, { event_types = "resync" })
    world.await_state(page)
    for round = 0, 4 do
      for number = 1, 40 do publish(server, 40 * round + number, 40 * round + number, 100 + number * 37 % 700) end
      for worker = 0, 1 do site:await_heard(worker, 40 * round + 40) end
      world.await(function() return #numbers == 40 * round + 40 end)
      site:reload()
      site:await_connected()
    end
    world.assert_in_order(numbers, 200)
    for worker = 0, 1 do world.assert_in_order(site:heard(worker), 200) end
    assert.same({}, resyncs)
    for index = 2, #server.requests do assert.is_string(server.requests[index].headers["last-event-id"]) end
  end)
end)
