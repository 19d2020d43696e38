--- Polling as a source of its own: mode "poll", by url and by a function. What is done when polls fail; what a snapshot
-- changes arrives as events. Polling beside a stream is in fallback_spec.lua; when to poll is tested in C
-- (spec/c/poller_test.c).

local cjson = require "cjson"
local sync = require "sync"
local world = require "spec.support.world"

after_each(world.close)

local SNAPSHOTS = "/api/v1/orders"

-- A client that polls and nothing else; `polling` over a short interval.
local function connect(target, polling, options)
  local complete = { mode = "poll", polling = { interval_ms = 1 }, stream_retry_interval_ms = 1 }
  for name, value in pairs(polling) do complete.polling[name] = value end
  for name, value in pairs(options or {}) do complete[name] = value end
  return world.connect(target, complete)
end

-- A client that is given what `picture` holds: {orders = {order, ...}}.
local function connect_to_picture(picture, options)
  return connect({ url = "http://127.0.0.1:1" }, { fetch = function() return picture.orders end }, options)
end

-- Awaits that `count` more polls have begun and ended.
local function await_polls(client, count)
  local left = count
  local listener = client:on_poll(function() left = left - 1 end)
  world.await(function() return left <= 0 end)
  listener:cancel()
end

local function collect(client)
  local lines = {}
  client:subscribe(function(event)
    if event.type ~= "polling_data_refresh" then lines[#lines + 1] = event end
  end)
  return lines
end

-- "type id" of each.
local function names(events)
  local list = {}
  for index, event in ipairs(events) do list[index] = event.type .. " " .. event.order_id end
  return list
end

local function order(id, fields)
  local made = { orderID = id, orderStage = "open", paymentStatus = "pending", overallStatus = "pending" }
  for name, value in pairs(fields or {}) do made[name] = value end
  return made
end

-- Answers each request for a snapshot with what `answer(number)` gives: a whole response.
local function answering(answer)
  local number = 0
  return world.listener(function(peer)
    number = number + 1
    peer:write(answer(number), function() peer:finish() end)
  end)
end

local function response(body, fields)
  return ("HTTP/1.1 200 OK\r\nConnection: close\r\nContent-Type: application/json\r\n%sContent-Length: %d\r\n\r\n%s"):format(
    fields or "", #body, body)
end

local function failing(status, fields)
  return ("HTTP/1.1 %d No\r\nConnection: close\r\n%sContent-Length: 0\r\n\r\n"):format(status, fields or "")
end

describe("polling a url", function()
  it("opens no stream, and says what state it is in", function()
    local server = world.server()
    local client, seen = connect(server, { url = SNAPSHOTS })
    await_polls(client, 2)
    assert.equal(0, server:request_count("/api/v1/sync/events"))
    assert.same({ "polling_fallback" }, seen.states)
    local health = client:health()
    assert.equal("polling", health.status)
    assert.is_true(health.is_polling_fallback)
    assert.is_false(health.is_connected)
    assert.is_false(health.stale)
  end)

  it("fills the book in silence first, and then tells what changes", function()
    local server = world.server()
    world.publish(server, 1, 2)
    local client = connect(server, { url = SNAPSHOTS })
    local events = collect(client)
    await_polls(client, 2)
    assert.same({}, events)
    assert.equal("billed", client:order("ORDER-2").orderStage)
    assert.equal("poll", client:order("ORDER-2").source)
    server:publish { type = "stage_change", order_id = "ORDER-1", data = { newStage = "paid" } }
    server:publish { type = "order_created", order_id = "ORDER-3" }
    server:publish { type = "order_deleted", order_id = "ORDER-2" }
    world.await(function() return #events == 3 end)
    assert.same({ "stage_change ORDER-1", "order_created ORDER-3", "order_deleted ORDER-2" }, names(events))
    assert.equal("poll", events[1].source)
    assert.equal("billed", events[1].previous_stage)
    assert.equal("paid", events[1].new_stage)
    assert.equal("ORDER-1", events[1].data.order.orderID)
    assert.is_nil(client:order("ORDER-2"))
  end)

  it("asks with the ETag, and what has not changed costs nothing", function()
    local server = world.server()
    world.publish(server, 1, 1)
    local client = connect(server, { url = SNAPSHOTS })
    local reports = {}
    client:on_poll(function(report) reports[#reports + 1] = report end)
    world.await(function() return #reports == 3 end)
    assert.same({ source = "poll", unchanged = false, orders = 1, changed = 1 }, reports[1])
    assert.same({ source = "poll", unchanged = true, orders = 0, changed = 0 }, reports[2])
    assert.is_nil(server.requests[1].headers["if-none-match"])
    assert.is_string(server.requests[2].headers["if-none-match"])
    local metrics = client:metrics()
    assert.equal(metrics.polls_unchanged, metrics.polls - 1)
    local bytes = metrics.poll_bytes
    await_polls(client, 3)
    assert.equal(bytes, client:metrics().poll_bytes)
  end)

  it("asks with the last modification where there is no ETag", function()
    local stamp = "Sun, 22 Nov 2026 10:00:00 GMT"
    local server = answering(function(number)
      if number > 1 then return "HTTP/1.1 304 Same\r\nConnection: close\r\n\r\n" end
      return response("[]", "Last-Modified: " .. stamp .. "\r\n")
    end)
    local client = connect(server, { url = "/list" })
    await_polls(client, 2)
    assert.is_nil(server.heads[1]:match("If%-Modified%-Since"))
    assert.equal(stamp, server.heads[2]:match("If%-Modified%-Since: ([^\r]+)"))
    assert.equal(1, client:metrics().polls_unchanged)
  end)

  it("sends its headers, and the client's to the stream's origin only", function()
    local stream, elsewhere = world.server(), world.server()
    local options = { headers = { ["X-Key"] = "k" }, token = function() return "t" end }
    local home = connect(stream, { url = SNAPSHOTS, headers = { ["X-Poll"] = "p" } }, options)
    await_polls(home, 1)
    local headers = stream.requests[1].headers
    assert.same({ "k", "Bearer t", "p" }, { headers["x-key"], headers.authorization, headers["x-poll"] })
    local away = connect(stream, { url = elsewhere.url .. SNAPSHOTS, headers = { ["X-Poll"] = "p" } }, options)
    await_polls(away, 1)
    headers = elsewhere.requests[1].headers
    assert.equal("p", headers["x-poll"])
    assert.is_nil(headers["x-key"])
    assert.is_nil(headers.authorization)
  end)

  it("asks one at a time, however long an answer takes", function()
    local held = {}
    local server = world.listener(function(peer) held[#held + 1] = peer end)
    local client = connect(server, { url = "/list" })
    world.await(function() return #held == 1 end)
    local other = connect_to_picture { orders = {} } -- many intervals pass meanwhile
    await_polls(other, 20)
    assert.equal(1, #held)
    held[1]:write(response("[]"))
    await_polls(client, 1)
    world.await(function() return #held == 2 end)
  end)

  it("takes bare arrays and lists under docs, orders and data", function()
    local bodies = { '[{"orderID":"A"}]', '{"docs":[{"orderID":"B"}]}', '{"n":1,"orders":[{"order_id":"C"}]}',
      '{"data":[{"orderId":"D"}]}' }
    for index, body in ipairs(bodies) do
      local server = answering(function() return response(body) end)
      local client = connect(server, { url = "/list" })
      await_polls(client, 1)
      local id = ("ABCD"):sub(index, index)
      assert.is_table(client:order(id), body)
    end
  end)
end)

describe("a poll that fails", function()
  it("is told with its code, and tried again", function()
    local answers = {
      failing(503), response("<html>"), response('{"docs":7}'), response('[{"orderID":"A"},7,{"x":1}]'),
      response('[{"orderID":"A"}]'),
    }
    local server = answering(function(number) return answers[math.min(number, #answers)] end)
    local client, seen = connect(server, { url = "/list" })
    await_polls(client, 2)
    assert.same({ "HTTP_STATUS", "SNAPSHOT", "SNAPSHOT", "SNAPSHOT" }, seen.codes)
    assert.matches("503", seen.errors[1].message)
    assert.equal(503, seen.errors[1].status)
    assert.equal(1, seen.errors[1].attempt)
    assert.is_true(seen.errors[1].next_retry_at > 0)
    assert.matches("2 elements", seen.errors[4].message)
    assert.equal(3, client:metrics().poll_failures)
    assert.is_table(client:order("A"))
  end)

  it("does not take half a snapshot for a whole one", function()
    local server = answering(function(number)
      if number == 2 then
        return 'HTTP/1.1 200 OK\r\nETag: "two"\r\nContent-Length: 100\r\n\r\n[{"orderID":"B"}]'
      end
      return response('[{"orderID":"A"}]', ('ETag: "%d"\r\n'):format(number))
    end)
    local client, seen = connect(server, { url = "/list" })
    local events = collect(client)
    await_polls(client, 2)
    assert.same({ "POLL_FAILED" }, seen.codes)
    assert.same({}, events)
    assert.matches('If%-None%-Match: "1"', server.heads[2])
    assert.is_nil(server.heads[3]:match("If%-None%-Match"))
  end)

  it("is given up after its time", function()
    local server = world.black_hole()
    local client, seen = connect(server, { url = "/list", timeout_ms = 5 })
    local problem = world.await_error(seen, "POLL_FAILED")
    assert.matches("no snapshot within 5 ms", problem.message)
    world.await(function() return client:metrics().poll_failures >= 2 end)
  end)

  it("is refused when it is too large", function()
    local server = answering(function() return response('[{"orderID":"A"}]' .. (" "):rep(100)) end)
    local client, seen = connect(server, { url = "/list" }, { max_snapshot_bytes = 50 })
    assert.matches("max_snapshot_bytes %(50%)", world.await_error(seen, "POLL_FAILED").message)
    assert.is_nil(client:order("A"))
  end)

  it("opens the circuit, which closes with the first that succeeds", function()
    local broken = true
    local client, seen = connect({ url = "http://127.0.0.1:1" }, { fetch = function()
      if broken then return nil, "no database" end
      return {}
    end })
    local problem = world.await_error(seen, "CIRCUIT_OPEN")
    assert.matches("polls in a row failed", problem.message)
    assert.is_true(problem.next_retry_at > 0)
    world.await(function() return client:metrics().poll_failures >= 6 end)
    local told = 0
    for _, code in ipairs(seen.codes) do told = told + (code == "CIRCUIT_OPEN" and 1 or 0) end
    assert.equal(1, told)
    broken = false
    await_polls(client, 3)
  end)

  it("makes what is known old, until one succeeds", function()
    local broken = false
    local client = connect({ url = "http://127.0.0.1:1" }, { fetch = function()
      if broken then return nil, "down" end
      return { order("A") }
    end })
    await_polls(client, 1)
    assert.is_false(client:order("A").stale)
    broken = true
    world.await(function() return client:order("A").stale end)
    assert.is_true(client:health().is_polling_fallback)
    broken = false
    world.await(function() return not client:order("A").stale end)
  end)

  it("waits as long as the server asks", function()
    local server = answering(function() return failing(503, "Retry-After: 3600\r\n") end)
    local _, seen = connect(server, { url = "/list" })
    local problem = world.await_error(seen, "HTTP_STATUS")
    assert.is_true(problem.next_retry_at - world.open("http://127.0.0.1:1").loop:wall_ms() > 3500 * 1000)
  end)
end)

describe("polling a function", function()
  it("takes tables, JSON and nil", function()
    local gives = { { order("A") }, { docs = { order("A"), order("B") } }, cjson.encode { order("A") } }
    local asked = 0
    local client = connect({ url = "http://127.0.0.1:1" }, { fetch = function()
      asked = asked + 1
      return gives[asked]
    end })
    local events, reports = collect(client), {}
    client:on_poll(function(report) reports[#reports + 1] = report.orders .. "/" .. report.changed end)
    world.await(function() return #reports >= 4 end)
    assert.same({ "order_created B", "order_deleted B" }, names(events))
    assert.same({ "1/1", "2/1", "1/1", "0/0" }, { reports[1], reports[2], reports[3], reports[4] })
  end)

  it("takes every value that JSON has", function()
    local given = order("A", {
      text = 'quote " backslash \\ tab \t nul \0 é', whole = 9007199254740991, negative = -1, fraction = 0.1, large = 1e300,
      yes = true, no = false, nothing = sync.null, list = { 1, "two", { three = 3 } }, object = { deep = { er = {} } },
    })
    local client = connect({ url = "http://127.0.0.1:1" }, { fetch = function() return { given } end })
    await_polls(client, 1)
    local known = client:order("A")
    for name, value in pairs(given) do assert.same(value, known[name], name) end
  end)

  it("refuses what JSON has not", function()
    local deep = {}
    for _ = 1, 200 do deep = { deep } end
    local values = { 0 / 0, math.huge, print, { 1, 2, x = 3 }, { [1] = 1, [3] = 3 }, { [true] = 1 }, { [2] = 1 }, deep }
    for index = 1, #values do
      local client, seen = connect({ url = "http://127.0.0.1:1" }, { fetch = function()
        return { order("A", { value = values[index] }) }
      end })
      world.await_error(seen, "POLL_FAILED")
      assert.is_nil(client:order("A"))
      client:close()
    end
  end)

  it("tells what it says of its failure, in every way a function can fail", function()
    local ways = {
      function() return nil, "down" end,
      function() error("broken", 0) end,
      function() error { message = "a table" } end,
      function() return { print } end,
      function() return 7 end,
    }
    local asked = 0
    local client, seen = connect({ url = "http://127.0.0.1:1" }, { fetch = function()
      asked = asked + 1
      return (ways[asked] or function() return {} end)()
    end })
    await_polls(client, 1)
    local texts = {}
    for _, problem in ipairs(seen.errors) do
      if problem.code ~= "CIRCUIT_OPEN" then texts[#texts + 1] = problem.code .. " " .. problem.message end
    end
    assert.equal(5, #texts)
    assert.matches("POLL_FAILED down", texts[1])
    assert.matches("POLL_FAILED broken", texts[2])
    assert.matches("POLL_FAILED", texts[3])
    assert.matches("POLL_FAILED.*function", texts[4])
    assert.matches("SNAPSHOT", texts[5])
  end)

  it("may yield: the next poll waits for it", function()
    local calls, waiting = 0, nil
    local client = connect({ url = "http://127.0.0.1:1" }, { fetch = function()
      calls = calls + 1
      if calls == 2 then
        waiting = true
        coroutine.yield("fetching")
      end
      return { order("A") }
    end })
    local resume = world.host()
    world.await_servers(function() return waiting or resume() == "fetching" end)
    assert.equal(2, calls)
    await_polls(client, 0)
    local polls = 0
    client:on_poll(function() polls = polls + 1 end)
    world.await_servers(function()
      resume()
      return polls == 2
    end)
    assert.equal(3, calls)
  end)

  it("may close the client", function()
    local client
    client = connect({ url = "http://127.0.0.1:1" }, { fetch = function()
      client:close()
      return {}
    end })
    world.await(function() return client:health().state == "closed" end)
  end)
end)

describe("what a snapshot changes", function()
  local picture, client, events

  before_each(function()
    picture = { orders = { order("A"), order("B") } }
    client = connect_to_picture(picture)
    events = collect(client)
    await_polls(client, 1)
  end)

  it("arrives part by part", function()
    picture.orders = {
      order("A", { orderStage = "billed", paymentStatus = "cash", overallStatus = "ready" }), order("B", { note = "x" }),
    }
    world.await(function() return #events == 4 end)
    assert.same({ "stage_change A", "payment_update A", "status_update A", "order_updated B" }, names(events))
    assert.same({ "open", "billed" }, { events[1].previous_stage, events[1].new_stage })
    assert.equal("pending", events[2].data.previousPaymentStatus)
    assert.equal("cash", events[2].data.paymentStatus)
    assert.equal("ready", events[3].data.overallStatus)
    assert.equal("x", events[4].data.order.note)
  end)

  it("arrives once", function()
    picture.orders = { order("A", { orderStage = "billed" }), order("B") }
    world.await(function() return #events == 1 end)
    await_polls(client, 3)
    assert.equal(1, #events)
  end)

  it("reaches on_stage_change, on_order and the history", function()
    local heard = {}
    client:on_stage_change("A", function(event, previous, new)
      heard[#heard + 1] = ("%s>%s %s"):format(previous, new, event.source)
    end)
    client:on_order("A", function(event) heard[#heard + 1] = event.type end)
    picture.orders = { order("A", { orderStage = "billed" }), order("B") }
    world.await(function() return #heard == 2 end)
    table.sort(heard)
    assert.same({ "open>billed poll", "stage_change" }, heard)
    assert.equal("A", client:latest { event_types = "stage_change" }.order_id)
  end)

  it("is an order gone, unless the snapshots are partial", function()
    picture.orders = { order("B") }
    world.await(function() return #events == 1 end)
    assert.same({ "order_deleted A" }, names(events))
    local partial = connect({ url = "http://127.0.0.1:1" }, { fetch = function() return picture.orders end, partial = true })
    local told = collect(partial)
    await_polls(partial, 1)
    picture.orders = { order("C") }
    world.await(function() return #told == 1 end)
    await_polls(partial, 1)
    assert.same({ "order_created C" }, names(told))
    assert.is_table(partial:order("B"))
  end)

  it("is not that which is older than what is known", function()
    picture.orders = { order("A", { orderStage = "paid", updatedAt = "2026-11-22T10:00:02.000Z" }), order("B") }
    world.await(function() return #events == 1 end)
    picture.orders = { order("A", { orderStage = "open", updatedAt = "2026-11-22T10:00:01.000Z" }), order("B") }
    await_polls(client, 3)
    assert.equal(1, #events)
    assert.equal("paid", client:order("A").orderStage)
  end)

  it("is followed by polling_data_refresh after every poll", function()
    local refreshes = {}
    client:on_event("polling_data_refresh", function(event) refreshes[#refreshes + 1] = event end)
    await_polls(client, 2)
    assert.is_true(#refreshes >= 1)
    assert.equal("poll", refreshes[1].source)
    assert.is_nil(refreshes[1].order_id)
  end)

  it("comes bit by bit through a queue that is smaller", function()
    client:close()
    local small = connect_to_picture(picture, { queue_limit = 4 })
    local told = collect(small)
    await_polls(small, 1)
    local orders = { order("A"), order("B") }
    for number = 1, 100 do orders[#orders + 1] = order("N" .. number) end
    picture.orders = orders
    world.await(function() return #told == 100 end)
    for number, event in ipairs(told) do assert.equal("N" .. number, event.order_id) end
    assert.is_true(small:metrics().queue_peak <= 12)
  end)
end)

describe("start_polling and stop_polling", function()
  it("stop until they are started again", function()
    local client, seen = connect_to_picture { orders = {} }
    await_polls(client, 1)
    assert.is_true(client:stop_polling())
    assert.equal("disconnected", client:health().state)
    local polls = client:metrics().polls
    local other = connect_to_picture { orders = {} }
    await_polls(other, 10)
    assert.equal(polls, client:metrics().polls)
    assert.is_true(client:start_polling())
    await_polls(client, 2)
    assert.same({ "polling_fallback", "disconnected", "polling_fallback" }, seen.states)
    assert.equal(2, client:metrics().poll_sessions)
  end)

  it("poll beside a stream that works", function()
    local server = world.server()
    local client = world.connect(server, { polling = { url = SNAPSHOTS, interval_ms = 1 } })
    world.await_state(client)
    client:start_polling()
    await_polls(client, 3)
    assert.equal("connected", client:health().state)
    client:stop_polling()
    await_polls(client, 0)
    assert.equal("connected", client:health().state)
  end)

  it("say so where there is nothing to poll, and after close", function()
    local server = world.server()
    local client = world.connect(server)
    local ok, message, code = client:start_polling()
    assert.is_nil(ok)
    assert.equal("OPTION", code)
    assert.matches("^OPTION: ", message)
    client:close()
    assert.equal("CLOSED", (select(3, client:start_polling())))
    assert.equal("CLOSED", (select(3, client:stop_polling())))
    assert.equal("CLOSED", (select(3, client:on_poll(print))))
  end)

  it("reconnect polls at once in mode poll", function()
    local client = connect_to_picture({ orders = {} }, { polling = { interval_ms = 86400000, fetch = function() return {} end } })
    await_polls(client, 1)
    client:reconnect()
    await_polls(client, 1)
  end)

  it("disconnect ends it", function()
    local client = connect_to_picture { orders = {} }
    await_polls(client, 1)
    client:disconnect()
    assert.equal("disconnected", client:health().state)
    world.await(world.is_at_rest)
    client:connect()
    await_polls(client, 1)
  end)
end)

describe("on_poll", function()
  it("is itself the poll where nothing else is", function()
    local client = world.connect({ url = world.refusing_url() }, { mode = "poll" })
    local reports = 0
    client:on_poll(function(report)
      assert.is_true(report.unchanged)
      reports = reports + 1
    end, 1)
    world.await(function() return reports == 3 end)
    assert.equal("polling_fallback", client:health().state)
  end)

  it("sets the interval, and may be cancelled inside itself", function()
    local client = connect_to_picture({ orders = {} }, { polling = { interval_ms = 86400000, fetch = function() return {} end } })
    local calls, listener = 0, nil
    listener = client:on_poll(function()
      calls = calls + 1
      listener:cancel()
    end, 1)
    client:reconnect()
    await_polls(client, 3)
    assert.equal(1, calls)
    assert.error_matches(function() client:on_poll(print, 0) end, "client:on_poll: interval_ms: expected an integer, 1 or more")
  end)
end)
