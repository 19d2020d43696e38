--- gzip by nginx: each event is there as soon as it is sent, not when the stream ends.

local nginx = require "spec.support.nginx"
local relay = require "spec.support.relay"
local world = require "spec.support.world"

after_each(world.close)

local HTTP = [[
  server {
    listen 127.0.0.1:<port>;
    gzip on;
    gzip_types text/event-stream;
    gzip_min_length 0;
    gzip_proxied any;
    location / {
      proxy_pass http://127.0.0.1:<upstream>;
      proxy_http_version 1.1;
      proxy_buffering off;
      proxy_read_timeout 1h;
      proxy_set_header Connection "";
    }
  }
]]

-- The project's server, nginx that compresses before it, and a wire before that.
local function scene()
  local server = world.server()
  return server, world.own(relay.new(nginx.start(HTTP, { upstream = server.port }).port))
end

local function listening(wire, options)
  local client, seen = world.connect(wire, options)
  local numbers = world.collect_numbers(client)
  world.await_state(client)
  return numbers, seen
end

describe("gzip", function()
  it("is undone as it comes: no event waits for the next one", function()
    local server, wire = scene()
    local numbers = listening(wire, { accept_encoding = "gzip" })
    for number = 1, 100 do
      world.publish(server, number, number)
      world.await(function() return #numbers == number end)
    end
    local received = wire.wires[1].received
    assert.matches("\r\nContent-Encoding: gzip\r\n", received, 1, true)
    assert.is_nil(received:find("stage_change", 1, true))
  end)

  it("begins afresh with every connection: nothing is lost when it is cut", function()
    local server, wire = scene()
    local numbers, seen = listening(wire, { accept_encoding = "gzip" })
    for round = 1, 5 do
      world.publish(server, 20 * round - 19, 20 * round - 10)
      world.await(function() return #numbers >= 20 * round - 15 end)
      wire:cut()
      world.publish(server, 20 * round - 9, 20 * round)
    end
    world.await(function() return #numbers >= 100 end)
    world.assert_in_order(numbers, 100)
    for _, code in ipairs(seen.codes) do assert.equal("STREAM_CUT", code) end
    for _, each in ipairs(wire.wires) do assert.is_nil(each.received:find("stage_change", 1, true)) end
  end)

  it("is not used unless it is asked for", function()
    local server, wire = scene()
    local numbers = listening(wire)
    world.publish(server, 1, 1)
    world.await(function() return #numbers == 1 end)
    assert.is_nil(wire.wires[1].received:find("Content-Encoding", 1, true))
  end)
end)
