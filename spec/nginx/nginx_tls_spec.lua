--- TLS on both sides of a worker: it serves TLS, and so does the server that its stream comes from.

local certificates = require "spec.support.certificates"
local scene = require "spec.nginx.scene"
local tls_front = require "spec.support.tls_front"
local world = require "spec.support.world"

local issued

setup(function() issued = certificates.make() end)
teardown(function() issued:close() end)
after_each(world.close)

-- HTTP/2 keeps its connection when a stream on it ends, and nginx 1.22 goes on serving it in a worker that is to exit.
local MAIN = "worker_shutdown_timeout 1s;"

local INSIDE = [[
    ssl_certificate <cert_file>;
    ssl_certificate_key <key_file>;
    listen 127.0.0.1:<tls_port> ssl http2;
]]

describe("a worker that serves TLS", function()
  it("holds a stream by TLS and HTTP/2, through reloads, and both go on", function()
    local server = world.server()
    local certificate = issued:of "server"
    local front = tls_front.start(server, certificate)
    local port = world.own(require("spec.support.port").reserve())
    local site = scene.start({ url = front.url }, {
      inside = INSIDE:gsub("<([%w_]+)>", {
        cert_file = certificate.cert_file, key_file = certificate.key_file, tls_port = port.number,
      }),
      options = ('replay_limit = 10000, tls = { ca_file = "%s" }'):format(issued.authority_file),
      serving = "retry_ms = 1", main = MAIN,
    })
    local page = world.connect({ url = ("https://localhost:%d/events"):format(port.number) }, {
      tls = { ca_file = issued.authority_file }, max_reconnect_attempts = 1000,
    })
    local numbers = world.collect_numbers(page)
    world.await_state(page)
    for round = 1, 3 do
      world.publish(server, 100 * round - 99, 100 * round)
      world.await(function() return #numbers == 100 * round end)
      site:reload()
    end
    world.assert_in_order(numbers, 300)
    for worker = 0, 1 do world.assert_in_order(site:await_heard(worker, 300), 300) end
    assert.equal("HTTP/2.0", server.requests[#server.requests].headers["x-protocol"])
    site:assert_clean_exits()
  end)

  it("refuses a server whose certificate nobody vouches for, and says so", function()
    local front = tls_front.start(world.server(), issued:of "server")
    local site = scene.start({ url = front.url }, { awaits = false })
    local health = world.await(function()
      local known = site:health()
      return known.error and known
    end)
    assert.equal("TLS", health.error.code)
  end)
end)
