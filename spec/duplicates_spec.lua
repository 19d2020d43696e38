--- Duplicates: an event that comes again is delivered once, and nothing else is taken for one.

local world = require "spec.support.world"
local STREAM_HEAD = require("spec.support.listener").STREAM_HEAD

after_each(world.close)

-- The raw data of the order events that `text` brings, as text. The last one is there only to say that all have come.
local function read(text, options)
  local server = world.server()
  server:behave { { send = text .. "event: last\ndata: end\n\n" }, { stall = true } }
  options = options or {}
  options.decode = "none"
  local client, seen = world.connect(server, options)
  local events = world.collect(client)
  world.await(function() return #events > 0 and events[#events].type == "last" end)
  local data = {}
  for index = 1, #events - 1 do data[index] = events[index].data end
  assert.same({}, seen.codes)
  return data, client
end

-- Events with the ids from `first` to `last`.
local function numbered(first, last)
  local text = {}
  for number = first, last do text[#text + 1] = ("id: %d\ndata: %d\n\n"):format(number, number) end
  return table.concat(text)
end

describe("an event with an id that comes again", function()
  it("is dropped, and counted as a duplicate and as nothing else", function()
    local server = world.server()
    server:behave { { stream = 3 }, { duplicate = 3 }, { duplicate = 2 }, { stream = true } }
    local client, seen = world.connect(server)
    local numbers = world.collect_numbers(client)
    world.await_state(client)
    world.publish(server, 1, 5)
    world.await(function() return #numbers >= 5 end)
    world.assert_in_order(numbers, 5)
    assert.equal(5, client:metrics().duplicates)
    assert.equal(5, client:metrics().total_events)
    assert.equal(5, client:metrics().event_counts.stage_change)
    assert.equal(5, #client:events())
    assert.equal(5, client:latest().data.number)
    assert.same({}, seen.codes)
  end)

  it("is dropped on every reconnect to a server that sends too much of the past", function()
    local past = numbered(1, 10)
    local listener = world.listener(function(peer)
      local requests = #peer.listener.heads
      peer:write(STREAM_HEAD .. past .. numbered(10 + requests, 10 + requests))
      if requests < 5 then peer:finish() end
    end)
    local client = world.connect(listener, { decode = "none" })
    local events = world.collect(client)
    world.await(function() return #events >= 15 end)
    for number, event in ipairs(events) do assert.equal(tostring(number), event.data) end
    assert.equal(40, client:metrics().duplicates)
  end)

  it("moves the id to resume from all the same, for the server may mean it", function()
    local _, client = read "id: 1\ndata: a\n\nid: 2\ndata: b\n\nid: 1\ndata: a\n\n"
    assert.equal("1", client:health().last_event_id)
  end)
end)

describe("an event", function()
  it("with an id that was there, and other data or another type, is delivered", function()
    local data, client = read(table.concat {
      "id: 1\ndata: a\n\n", "id: 1\ndata: b\n\n", "id: 1\nevent: kind\ndata: a\n\n", "id: 1\ndata: a\n\n",
      "id: 1\nevent: kind\ndata: a\n\n", "id: 11\ndata: a\n\n", "id: 1\ndata: 1a\n\n", "id: 1\ndata: a\ndata:\n\n",
    })
    assert.same({ "a", "b", "a", "a", "1a", "a\n" }, data)
    assert.equal(2, client:metrics().duplicates)
  end)

  it("without an id of its own is delivered each time: nothing tells that it is the same", function()
    assert.same({ "a", "a", "a" }, (read "data: a\n\ndata: a\n\ndata: a\n\n"))
    world.close()
    assert.same({ "a", "a", "a" }, (read "id: 1\ndata: a\n\ndata: a\n\ndata: a\n\n"))
    world.close()
    assert.same({ "a", "a" }, (read "id\ndata: a\n\nid:\ndata: a\n\n"))
  end)

  it("without an id is delivered again on the next connection too", function()
    local server = world.server()
    for _ = 1, 3 do server:behave { { { send = "data: a\n\n" } } } end
    local client = world.connect(server, { decode = "none" })
    local events = world.collect(client)
    world.await(function() return #events == 3 end)
    assert.equal(0, client:metrics().duplicates)
  end)

  it("of another url is another one, whatever its id", function()
    local listener = world.listener(function(peer, head)
      local is_last = head:find "^GET /other " and "id: 2\ndata: end\n\n" or ""
      peer:write(STREAM_HEAD .. "id: 1\ndata: a\n\n" .. is_last)
    end)
    local client = world.connect({ url = listener.url .. "/one" }, { decode = "none" })
    local events = world.collect(client)
    world.await(function() return #events == 1 end)
    client:configure { url = listener.url .. "/other" }
    world.await(function() return events[#events].data == "end" end)
    assert.equal(3, #events)
  end)

  -- A server may stamp its position on everything that it sends.
  it("that is a sign of life counts each time, though its id and data are the same", function()
    local _, client = read(("event: heartbeat\nid: 7\ndata: {}\n\n"):rep(3))
    assert.equal(3, client:metrics().heartbeats)
    assert.equal(0, client:metrics().duplicates)
  end)
end)

describe("duplicate_window", function()
  local function count_of_twice(count, options)
    local data, client = read(numbered(1, count):rep(2), options)
    local duplicates = client:metrics().duplicates
    world.close()
    return #data, duplicates
  end

  it("is how many events are remembered: 4096, or what the caller says", function()
    assert.same({ 4096, 4096 }, { count_of_twice(4096) })
    assert.same({ 2 * 4097, 0 }, { count_of_twice(4097) }) -- the first of them was forgotten, and so on
    assert.same({ 3, 3 }, { count_of_twice(3, { duplicate_window = 3 }) })
    assert.same({ 8, 0 }, { count_of_twice(4, { duplicate_window = 3 }) })
  end)

  it("of 0 lets everything through", function()
    assert.same({ 6, 0 }, { count_of_twice(3, { duplicate_window = 0 }) })
  end)

  it("may be changed while the stream is open", function()
    local server = world.server()
    local client = world.connect(server)
    local numbers = world.collect_numbers(client)
    world.await_state(client)
    world.publish(server, 1, 6)
    world.await(function() return #numbers == 6 end)
    assert.is_true(client:configure { duplicate_window = 2 })
    server:behave { { { send = server.ring:at(1).wire .. server.ring:at(6).wire }, { stream = true } } }
    client:reconnect()
    world.publish(server, 7, 7)
    world.await(function() return numbers[#numbers] == 7 end)
    assert.same({ 1, 2, 3, 4, 5, 6, 1, 7 }, numbers) -- 1 was forgotten, 6 was not
    assert.equal(1, client:metrics().duplicates)
  end)
end)
