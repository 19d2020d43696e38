--- Bytes as they arrive: each piece is written only when the client has read the one before, so that it sees exactly
-- these boundaries; and what is told before the next piece comes.

local gzip = require "sync.server.gzip"
local world = require "spec.support.world"
local STREAM_HEAD = require("spec.support.listener").STREAM_HEAD

after_each(world.close)

-- A client of text, connected to a stream without a byte in it.
local function connected()
  local listener = world.listener(function(peer) peer:write(STREAM_HEAD) end)
  local client, seen = world.connect(listener, { decode = "none" })
  local events = world.collect(client)
  world.await_state(client)
  return { peer = listener.peers[1], client = client, seen = seen, events = events, written = 0 }
end

local function write(stream, piece)
  stream.peer:write(piece)
  stream.written = stream.written + #piece
  world.await(function() return stream.client:metrics().total_bytes == stream.written end)
  world.turn()
end

-- The data of the events that these pieces bring, and after which piece each was there.
local function read(...)
  local stream = connected()
  local told = {}
  for number, piece in ipairs { ... } do
    write(stream, piece)
    while #told < #stream.events do told[#told + 1] = ("%d: %s"):format(number, stream.events[#told + 1].data) end
  end
  assert.same({}, stream.seen.codes)
  world.close()
  return told
end

describe("a line", function()
  it("that ends with CR at the end of a piece is complete, whatever comes next (P18)", function()
    assert.same({ "2: one\ntwo" }, (read("data: one\n:x\r", "data: two\n\n")))
    assert.same({ "2: a" }, (read("data: a\r", "\r")))
    assert.same({ "2: a\nb" }, (read("data: a\r", "data: b\r\n\r\n")))
    assert.same({ "2: b" }, (read("unknown\r", "data: b\n\n")))
    assert.same({ "2: \n" }, (read("data\r", "data\n\n")))
  end)

  it("that ends with CR and LF in two pieces has one end (P17)", function()
    assert.same({ "3: B\nC" }, (read("data: B\r", "\ndata: C\r\n", "\r\n")))
    assert.same({ "2: x" }, (read(":c\r", "\ndata: x\n\n")))
    assert.same({ "1: a", "2: b" }, (read("data: a\r\r", "\ndata: b\n\n")))
  end)

  it("keeps the spaces at its end (F10)", function()
    assert.same({ "1: a  " }, (read "data: a  \n\n"))
    assert.same({ "3: a  " }, (read("data: a ", " ", "\n\n")))
    assert.same({ "1: a \t \nb " }, (read "data: a \t \r\ndata: b \r\n\r\n"))
  end)

  it("without a value is an event without text (F03, F04)", function()
    assert.same({ "1: ", "1: ", "1: " }, (read "data:\n\ndata\n\ndata: \n\n"))
    assert.same({ "4: " }, (read("da", "ta", ":", "\n\n")))
  end)

  it("may be cut within a character, which is joined again (P03)", function()
    assert.same({ "3: ♥ 豆" }, (read("data: \226", "\153\165 \232\177", "\134\n\n")))
  end)
end)

describe("an event", function()
  it("is delivered when its block ends with CR, before another byte comes (P19)", function()
    assert.same({ "1: a" }, (read "data: a\r\r"))
    assert.same({ "1: a" }, (read "data: a\r\n\r"))
    assert.same({ "1: a", "2: b" }, (read("data: a\n\r", "\ndata: b\n\n")))
  end)

  it("is delivered with its piece, not with the next one (P25)", function()
    assert.same({ "1: 1", "1: 2", "2: 3", "3: 4", "3: 5" },
      (read("data: 1\n\ndata: 2\n\nda", "ta: 3\n\ndata: 4\n", "\ndata: 5\n\n")))
  end)

  it("without its blank line is nothing, nor is half a comment or half a line of another field (P27, P28)", function()
    for _, tail in ipairs {
      "data: lost", "data: lost\n", ":half a comm", "unkno", 'retry: 3600000', "event: lost\ndata: x\r\n", '{"error":"x"}',
      "id: lost\n",
    } do
      local stream = connected()
      write(stream, "id: 1\ndata: kept\n\n" .. tail)
      stream.peer:finish()
      world.await_error(stream.seen, "STREAM_ENDED")
      assert.equal(1, #stream.events, tail)
      assert.equal("1", stream.client:health().last_event_id)
      assert.is_true(stream.client:metrics().comments == 0)
      world.close()
    end
  end)

  it("has type, data, id and where it came from (C13)", function()
    local stream = connected()
    write(stream, "event: kind\nid: 7\ndata: text\n\n")
    local event = stream.events[1]
    assert.same({ "kind", "text", "7", "stream" }, { event.type, event.data, event.id, event.source })
  end)
end)

describe("an empty piece", function()
  local GZIP_HEAD = STREAM_HEAD:gsub("\r\n\r\n$", "\r\nContent-Encoding: gzip\r\n\r\n")
  local EMPTY_BLOCK = "\0\0\0\255\255" -- deflate, stored, of no bytes: what a flush without text leaves

  it("is nothing (P23)", function()
    local encoder = gzip.new()
    local listener = world.listener(function(peer)
      peer:write(GZIP_HEAD .. gzip.header)
      for _, text in ipairs { "data: a", "\n", "\n" } do
        peer:write(EMPTY_BLOCK)
        peer:write(encoder:encode(text))
      end
      peer:write(EMPTY_BLOCK .. encoder:finish()):finish()
    end)
    local client, seen = world.connect(listener, { decode = "none", accept_encoding = "gzip" })
    local events = world.collect(client)
    world.await_error(seen, "STREAM_ENDED")
    assert.equal(1, #events)
    assert.equal("a", events[1].data)
  end)
end)
