--- nginx with nchan: a server that replays by id, does not chunk, and ends streams cleanly when it is reloaded.

local cjson = require "cjson"
local http = require "spec.server.client"
local nginx = require "spec.support.nginx"
local relay = require "spec.support.relay"
local world = require "spec.support.world"

after_each(world.close)

local HTTP = [[
  nchan_shared_memory_size 16M;
  server {
    listen 127.0.0.1:<port>;
    location ~ ^/pub/(\w+)$ {
      nchan_publisher http;
      nchan_channel_id $1;
      nchan_message_buffer_length 1000;
      nchan_message_timeout 10m;
    }
    location ~ ^/orders/(\w+)$ {
      nchan_subscriber eventsource;
      nchan_channel_id $1;
      nchan_subscriber_first_message <first_message>;
      nchan_eventsource_ping_interval 3600;
      nchan_eventsource_ping_comment "ping";
      nchan_eventsource_ping_event "";
      nchan_eventsource_ping_data "";
    }
  }
]]

local function start(first_message)
  return nginx.start(HTTP, { first_message = first_message or "newest" }, { "ngx_nchan_module" })
end

-- Publishes stage changes with the numbers `first` to `last`.
local function publish(nchan, first, last)
  for number = first, last do
    local status = http.fetch(nchan.port, "POST", "/pub/shop", { ["X-EventSource-Event"] = "stage_change" }, cjson.encode {
      eventType = "stage_change", orderID = "ORDER-" .. number, timestamp = "2026-11-22T10:00:01.000Z",
      data = { previousStage = "open", newStage = "billed", number = number },
    })
    assert(status == 201 or status == 202, status) -- somebody has got it; it is kept
  end
end

-- A client of the channel, by `way`, and the numbers that it hears.
local function listening(way, options)
  local complete = { max_reconnect_attempts = 1000 }
  for name, value in pairs(options or {}) do complete[name] = value end
  local client, seen = world.connect({ url = ("http://127.0.0.1:%d/orders/shop"):format(way.port) }, complete)
  return client, seen, world.collect_numbers(client)
end

local function await_count(numbers, count)
  world.await(function() return #numbers >= count end)
end

describe("a stream of nchan", function()
  it("is not chunked, greets with a comment, and brings events with ids", function()
    local nchan = start()
    local wire = world.own(relay.new(nchan.port))
    local client = listening(wire)
    local comments, events = {}, world.collect(client)
    client:on_comment(function(text) comments[#comments + 1] = text end)
    world.await_state(client)
    publish(nchan, 1, 2)
    world.await(function() return #events == 2 end)
    assert.same({ " hi" }, comments)
    assert.is_nil(wire.wires[1].received:find("chunked", 1, true))
    assert.equal("stage_change", events[1].type)
    assert.equal("ORDER-1", events[1].order_id)
    for _, event in ipairs(events) do assert.matches("^%d+:%d+$", event.id) end
    assert.equal(events[2].id, client:health().last_event_id)
  end)

  it("is for who accepts event streams, as the client does (H02): others get 403", function()
    local nchan = start()
    local _, seen = listening(nchan, { headers = { Accept = "text/html" } })
    assert.equal(403, world.await_error(seen, "HTTP_AUTH").status)
  end)
end)

describe("resuming with nchan", function()
  it("loses and doubles nothing through cuts in the middle of a burst (L02, L06, R11)", function()
    local nchan = start()
    local wire = world.own(relay.new(nchan.port))
    local client, seen, numbers = listening(wire)
    world.await_state(client)
    publish(nchan, 1, 1) -- from an id on it can resume
    await_count(numbers, 1)
    for round = 1, 10 do
      publish(nchan, 30 * round - 28, 30 * round - 10)
      wire:cut()
      publish(nchan, 30 * round - 9, 30 * round + 1)
      await_count(numbers, 30 * round + 1 - (round % 2) * 5) -- sometimes the next cut comes before all is there
    end
    await_count(numbers, 301)
    world.assert_in_order(numbers, 301)
    assert.is_true(client:health().total_reconnects >= 10)
    for _, code in ipairs(seen.codes) do assert.equal("STREAM_CUT", code) end
    for number = 2, #wire.wires do
      assert.matches("\r\nLast%-Event%-ID: %d+:%d+\r\n", wire.wires[number].sent)
    end
  end)

  it("loses nothing when the client itself reconnects", function()
    local nchan = start()
    local client, seen, numbers = listening(nchan)
    world.await_state(client)
    publish(nchan, 1, 1)
    await_count(numbers, 1)
    for round = 1, 10 do
      publish(nchan, 2 * round, 2 * round)
      client:reconnect()
      publish(nchan, 2 * round + 1, 2 * round + 1)
      world.await_state(client)
    end
    await_count(numbers, 21)
    world.assert_in_order(numbers, 21)
    assert.same({}, seen.codes)
  end)

  -- nchan keeps its messages in memory that does not outlive a reload, so it can only be asked for what comes after.
  it("goes on through reloads of nginx: a comment, a clean end, and nothing twice", function()
    local nchan = start()
    local client, seen, numbers = listening(nchan)
    local comments = {}
    client:on_comment(function(text) comments[#comments + 1] = text end)
    world.await_state(client)
    publish(nchan, 1, 10)
    await_count(numbers, 10)
    for round = 1, 3 do
      nchan:reload()
      world.await(function() return client:health().total_reconnects == round end)
      publish(nchan, 10 * round + 1, 10 * round + 10)
      await_count(numbers, 10 * round + 10)
    end
    world.assert_in_order(numbers, 40)
    assert.same({ "STREAM_ENDED", "STREAM_ENDED", "STREAM_ENDED" }, seen.codes)
    assert.same({ " hi", "410: 410 Gone", " hi", "410: 410 Gone", " hi", "410: 410 Gone", " hi" }, comments)
  end)

  it("begins with all that is kept where nchan is told to (last_event_id absent)", function()
    local nchan = start("oldest")
    publish(nchan, 1, 50)
    local _, _, numbers = listening(nchan)
    await_count(numbers, 50)
    publish(nchan, 51, 60)
    await_count(numbers, 60)
    world.assert_in_order(numbers, 60)
  end)

  it("takes up where another client's id says (L05)", function()
    local nchan = start()
    local first, _, numbers = listening(nchan)
    world.await_state(first)
    publish(nchan, 1, 5)
    await_count(numbers, 5)
    local id = first:health().last_event_id
    first:close()
    publish(nchan, 6, 12)
    local _, _, later = listening(nchan, { last_event_id = id })
    await_count(later, 7)
    world.assert_in_order(later, 7, 6)
  end)
end)
