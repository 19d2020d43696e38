--- HTTP/2 through nginx: the clients of one loop share one connection, and what that means when it breaks, when one of
-- them leaves, and when one of them is slow.

local certificates = require "spec.support.certificates"
local tls_front = require "spec.support.tls_front"
local world = require "spec.support.world"

local CLIENTS = 5

local issued

setup(function() issued = certificates.make() end)
teardown(function() issued:close() end)
after_each(world.close)

local function fronted(options)
  local server = world.server(options)
  return tls_front.start(server, issued:of("server")), server
end

local function connect(front, options)
  local complete = { tls = { ca_file = issued.authority_file } }
  for name, value in pairs(options or {}) do complete[name] = value end
  return world.connect(front, complete)
end

-- A client, and the numbers of the events that it hears.
local function listening(front, options)
  local client, seen = connect(front, options)
  return { client = client, seen = seen, numbers = world.collect_numbers(client) }
end

local function await_open(each_listener)
  world.await(function()
    for _, each in ipairs(each_listener) do
      if not each.client:health().is_connected then return false end
    end
    return true
  end)
end

local function listeners(front, count, options)
  local all = {}
  for index = 1, count do all[index] = listening(front, options) end
  await_open(all)
  return all
end

-- Every listener has heard 1 to `last`, once and in order.
local function await_numbers(all, last)
  world.await(function()
    for _, each in ipairs(all) do
      if #each.numbers < last then return false end
    end
    return true
  end)
  for _, each in ipairs(all) do world.assert_in_order(each.numbers, last) end
end

-- How many of nginx's connections the requests came by.
local function connections_of(server)
  local count, met = 0, {}
  for _, request in ipairs(server.requests) do
    local connection = request.headers["x-connection"]
    if not met[connection] then
      count, met[connection] = count + 1, true
    end
  end
  return count
end

describe("several clients over HTTP/2", function()
  it("share one connection, and each hears everything", function()
    local front, server = fronted()
    local all = listeners(front, CLIENTS)
    assert.equal(CLIENTS, server:request_count())
    for _, request in ipairs(server.requests) do assert.equal("HTTP/2.0", request.headers["x-protocol"]) end
    assert.equal(1, connections_of(server))
    world.publish(server, 1, 200)
    await_numbers(all, 200)
    for _, each in ipairs(all) do assert.same({}, each.seen.codes) end
  end)

  it("have one each with http_version = \"1.1\"", function()
    local front, server = fronted()
    local all = listeners(front, CLIENTS, { http_version = "1.1" })
    for _, request in ipairs(server.requests) do assert.equal("HTTP/1.1", request.headers["x-protocol"]) end
    assert.equal(CLIENTS, connections_of(server))
    world.publish(server, 1, 20)
    await_numbers(all, 20)
  end)

  it("all come back when it breaks, and have lost and doubled nothing (L02, R07, R11)", function()
    local front, server = fronted()
    local all = listeners(front, CLIENTS)
    world.publish(server, 1, 50)
    await_numbers(all, 50)
    world.publish(server, 51, 100) -- some of them are on their way
    front:kill_worker()
    world.publish(server, 101, 150)
    await_numbers(all, 150)
    await_open(all)
    world.publish(server, 151, 200)
    await_numbers(all, 200)
    for _, each in ipairs(all) do
      -- libcurl 7.88 lets who comes back within the same millisecond try the broken connection once more: NETWORK
      assert.equal("STREAM_CUT", table.remove(each.seen.codes, 1))
      for _, code in ipairs(each.seen.codes) do assert.equal("NETWORK", code) end
      assert.equal(1, each.client:health().total_reconnects)
    end
    -- How many connections libcurl makes of it is its own affair: who comes back while the old one dies may get another.
    assert.equal(2 * CLIENTS, server:request_count())
  end)

  it("do not notice when one of them leaves or reconnects", function()
    local front, server = fronted()
    local all = listeners(front, CLIENTS)
    table.remove(all).client:close()
    all[1].client:reconnect()
    world.await(function() return server:request_count() == CLIENTS + 1 end)
    await_open(all)
    world.publish(server, 1, 50)
    await_numbers(all, 50)
    assert.equal(1, connections_of(server))
    for _, each in ipairs(all) do assert.same({}, each.seen.codes) end
  end)
end)

describe("a client that takes nothing", function()
  -- More than the flow control of HTTP/2 lets a server send ahead.
  local BATCHES, BATCH, PADDING = 20, 20, ("x"):rep(20000)

  local function publish_batch(server, number)
    for index = (number - 1) * BATCH + 1, number * BATCH do
      server:publish { type = "stage_change", order_id = "ORDER-001", data = { number = index, padding = PADDING } }
    end
  end

  it("does not hold up the others on its connection, and gets everything in the end", function()
    local front, server = fronted()
    local slow = connect(front, { queue_limit = 5 })
    world.await_state(slow)
    assert.is_nil((slow:next(0))) -- from here on it is pulled from
    local all = listeners(front, CLIENTS)
    assert.equal(1, connections_of(server))
    for number = 1, BATCHES do
      publish_batch(server, number)
      await_numbers(all, number * BATCH)
    end
    assert.equal(5, slow:metrics().queue_peak)
    for number = 1, BATCHES * BATCH do assert.equal(number, world.pull(slow).data.number) end
    assert.equal(CLIENTS + 1, server:request_count()) -- nobody had to come again
  end)
end)
