--- What lies in shared memory, piece by piece: the ring, the lease, the book. Each chunk runs in a real nginx, with a
-- small dictionary of its own, and answers with what it prints.

local scene = require "spec.nginx.scene"
local world = require "spec.support.world"

after_each(world.close)

local PREPARED = [[
  local dict = ngx.shared.spare
  local function news(number)
    return { type = "stage_change", order_id = "ORDER-" .. number, id = tostring(number),
      raw = '{"data":' .. number .. "}", received_at = 1, source = "stream" }
  end
  local event, ring = require "sync.resty.event", require "sync.resty.ring"
  local function publish(to, last, item, read)
    return to:publish(last, item, event.pack(item, nil, false), read or math.huge)
  end
]]

local function answer_of(chunk)
  local site = scene.start(world.server(), {
    workers = 1, outside = "lua_shared_dict spare 64k;",
    inside = "location = /try { content_by_lua_block {" .. PREPARED .. chunk .. "} }",
  })
  local text, status = site:get "/try"
  assert.equal(200, status, site.program.output)
  return text
end

describe("the ring", function()
  it("numbers events without a hole, keeps the latest, and says what is gone", function()
    assert.equal("5 nil 3 5 true false false\n", answer_of [[
      local kept = ring.new(dict, 3, "data")
      local last = 0
      for number = 1, 5 do last = publish(kept, last, news(number)) end
      local other = ring.new(dict, 3, "data")
      ngx.say(other:head(), " ", other:entry(2), " ", other:entry(3).data, " ", other:entry(5).data, " ",
        other:has_lost(1), " ", other:has_lost(2), " ", other:has_lost(5))
    ]])
  end)

  it("has what two publishers bring once, when one does not know of the other", function()
    assert.equal("1 2 1 2 3 3 4: 1 2 3 4\n", answer_of [[
      local first, second = ring.new(dict, 10, "data"), ring.new(dict, 10, "data")
      ngx.print(publish(first, 0, news(1)), " ", publish(first, 1, news(2)), " ")
      ngx.print(publish(second, 0, news(1)), " ", publish(second, 1, news(2)), " ")
      ngx.print(publish(second, 2, news(3)), " ", publish(first, 2, news(3)), " ")
      ngx.print(publish(first, 2, news(4)), ":")
      for number = 1, first:head() do ngx.print(" ", second:entry(number).data) end
      ngx.say()
    ]])
  end)

  it("goes on from an entry whose publisher was killed before it could say so", function()
    assert.equal("2 2\n", answer_of [[
      local kept = ring.new(dict, 10, "data")
      publish(kept, 0, news(1))
      dict:set("e:2", event.pack(news(2), nil, false))
      ngx.say(kept:head(), " ", publish(kept, 1, news(2)))
    ]])
  end)

  it("gets shorter where memory does not suffice, leaves some to others, and says what cannot fit", function()
    assert.equal("40 true true true false true\n", answer_of [[
      local kept = ring.new(dict, 1000, "data")
      local last = 0
      for number = 1, 40 do
        local item = news(number)
        item.raw = '{"data":"' .. ("x"):rep(3000) .. '"}'
        last = publish(kept, last, item)
      end
      ngx.print(last, " ", kept:entry(1) == nil, " ", #kept:entry(40).data == 3000, " ")
      ngx.print(dict:free_space() > 8192, " ")
      ngx.say(kept:is_too_large(("x"):rep(10000)), " ", kept:is_too_large(("x"):rep(100000)))
    ]])
  end)

  it("keeps what somebody has still to read, however short memory is", function()
    assert.equal("true true true true\n", answer_of [[
      local kept = ring.new(dict, 1000, "data")
      local function large(number)
        local item = news(number)
        item.raw = ("x"):rep(3000)
        return item
      end
      local last, number = 0, 0
      while number do
        last = number
        number = publish(kept, last, large(last + 1), 2)
      end
      ngx.print(last > 5, " ", kept:entry(1) == nil, " ", kept:entry(3) ~= nil, " ")
      ngx.say(publish(kept, last, large(last + 1), 4) == last + 1)
    ]])
  end)

  it("takes nothing from a publisher that has been left far behind", function()
    assert.equal("nil 10 10 nil\n", answer_of [[
      local first, second = ring.new(dict, 3, "data"), ring.new(dict, 3, "data")
      local last = publish(first, 0, news(1))
      for number = 2, 10 do publish(second, number - 1, news(number)) end
      ngx.say(publish(first, last, news(2)), " ", first:head(), " ", dict:get "head", " ", dict:get "e:2")
    ]])
  end)

  it("knows ids of its own only", function()
    assert.equal("7 nil nil\n", answer_of [[
      local kept = ring.new(dict, 3, "data")
      ngx.say(kept:number_of(kept:id(7)), " ", kept:number_of("0:7"), " ", kept:number_of("x"))
    ]])
  end)
end)

describe("a lease", function()
  local TWO = [[
    local lease, now_ms = require "sync.resty.lease", 0
    local function clock_ms() return now_ms end
    local function of(token, ttl_ms) return lease.new(dict, "lease", token, ttl_ms or 60000, clock_ms) end
    local alive = "x-" .. ngx.worker.pid() .. "-"
    local first, second = of(alive .. "1"), of(alive .. "2")
  ]]

  it("has one holder, until that gives it back", function()
    assert.equal("true false true true false true x\n", answer_of(TWO .. [[
      ngx.print(first:acquire(), " ", second:acquire(), " ", first:acquire(), " ")
      ngx.print(first:renew(), " ", second:renew(), " ")
      second:release() -- it is not his to give
      first:release()
      ngx.say(second:acquire(), " ", second:holder():sub(1, 1))
    ]]))
  end)

  it("is lost by one that stood still, whatever the dictionary says", function()
    assert.equal("true false false\n", answer_of(TWO .. [[
      ngx.print(first:acquire(), " ")
      now_ms = 60000
      ngx.say(first:is_held(), " ", first:renew())
    ]]))
  end)

  it("is taken at once from a process that is gone, by one of those who see it", function()
    assert.equal("true false true\n", answer_of(TWO .. [[
      local gone = of("x-4194305-") -- beyond the largest pid that Linux gives
      gone:acquire()
      ngx.say(first:acquire(), " ", second:acquire(), " ", first:is_held())
    ]]))
  end)
end)

describe("the book", function()
  it("lists orders by their latest change, through changes and removals", function()
    assert.equal("C B A\nB C A\nD B A\nD B\nE D B: 3\n:0\n", answer_of [[
      local book = require "sync.resty.book"
      local kept = ring.new(dict, 100, "data")
      local writer, last = book.writer(dict), 0
      local reader = book.reader(dict, kept, function() return { stale = false } end)
      local function change(name, is_gone)
        last = last + 1
        kept:publish(last - 1, {}, event.pack({ type = "t", order_id = name, raw = "{}" }, nil, false), last)
        writer:settle(last)
        if is_gone then return writer:remove(name) end
        writer:put(name, { json = '{"orderID":"' .. name .. '"}', stage = "", payment = "", status = "", updated_ms = 0,
          as_of = 1, source = "stream", seq = last })
      end
      local function names(of)
        local list = {}
        for _, order in ipairs(of:orders()) do list[#list + 1] = order.orderID end
        return table.concat(list, " ")
      end
      for _, name in ipairs { "A", "B", "C" } do change(name) end
      ngx.say(names(reader))
      change "B"
      ngx.say(names(reader))
      change("C", true)
      change "D"
      ngx.say(names(reader))
      change("A", true)
      ngx.say(names(book.reader(dict, kept, reader.health))) -- one that comes later
      change "E"
      ngx.say(names(reader), ": ", dict:get "orders")
      writer:clear()
      ngx.say(names(reader), ":", dict:get "orders")
    ]])
  end)

  it("leaves new orders out when the dictionary is nearly full, and keeps those that it has", function()
    assert.equal("true true true\n", answer_of [[
      local book = require "sync.resty.book"
      local writer = book.writer(dict)
      local function put(number, stage)
        writer:put("ORDER-" .. number, { json = ("x"):rep(1000), stage = stage, payment = "", status = "",
          updated_ms = 0, as_of = 1, source = "stream", seq = number })
      end
      for number = 1, 100 do put(number, "open") end
      local kept = dict:get "orders"
      put(1, "paid")
      local changed = dict:get("o:ORDER-1"):find("paid", 1, true) ~= nil
      ngx.say(kept + writer.left_out == 100, " ", writer.left_out > 50, " ", changed)
    ]])
  end)

  it("forgets an order that has grown out of it, and can have it back", function()
    assert.equal("2: B A, 1: B, 2: A B\n", answer_of [[
      local book = require "sync.resty.book"
      local writer, seq = book.writer(dict), 0
      local function put(name, size)
        seq = seq + 1
        writer:put(name, { json = '{"orderID":"' .. name .. '","x":"' .. ("x"):rep(size) .. '"}', stage = "",
          payment = "", status = "", updated_ms = 0, as_of = 1, source = "stream", seq = seq })
      end
      local function say(last)
        local list = {}
        local reader = book.reader(dict, ring.new(dict, 3, "data"), function() return { stale = false } end)
        for _, order in ipairs(reader:orders()) do list[#list + 1] = order.orderID end
        ngx.print(dict:get "orders", ": ", table.concat(list, " "), last)
      end
      put("A", 10)
      put("B", 10)
      say ", "
      put("A", 100000)
      say ", "
      put("A", 10)
      say "\n"
    ]])
  end)
end)
