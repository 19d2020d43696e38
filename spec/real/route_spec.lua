--- Ways to a server other than its name and a TCP port of IPv4: a Unix socket, IPv6, an address given for a name.
-- A Unix socket without TLS is in spec/requests_spec.lua.

local certificates = require "spec.support.certificates"
local directory = require "spec.support.directory"
local port = require "spec.support.port"
local tls_front = require "spec.support.tls_front"
local world = require "spec.support.world"

local issued

setup(function() issued = certificates.make() end)
teardown(function() issued:close() end)
after_each(world.close)

-- The stream opens and brings events.
local function assert_served(url, server, options)
  local before = server:request_count()
  local client, seen = world.connect({ url = url }, options)
  local events = world.collect(client)
  world.await_state(client)
  world.publish(server, 1, 3)
  world.await(function() return #events == 3 end)
  assert.same({}, seen.codes)
  client:close()
  return server.requests[before + 1]
end

local function server_on_ipv6()
  world.own(port.reserve("::1")) -- fails clearly on a machine that has no IPv6 loopback
  return world.server { host = "::1" }
end

local function trusting(options)
  options.tls = { ca_file = issued.authority_file }
  return options
end

describe("a Unix socket", function()
  it("may carry TLS: the certificate must be for the url's host", function()
    local server, place = world.server(), world.own(directory.new())
    local path = place:of("events.sock")
    tls_front.start(server, issued:of("server"), "listen unix:<path> ssl http2;", { path = path })
    local request = assert_served("https://orders.example/api/v1/sync/events?tenant=7", server,
      trusting { unix_socket = path })
    assert.equal("/api/v1/sync/events?tenant=7", request.target)
    local _, seen = world.connect({ url = "https://kitchen.example" }, trusting { unix_socket = path })
    assert.matches("kitchen.example", world.await_error(seen, "TLS").message, 1, true)
  end)

  it("that nobody listens on is REFUSED", function()
    local place = world.own(directory.new())
    local _, seen = world.connect({ url = "http://kitchen.example" }, { unix_socket = place:of("none.sock") })
    assert.equal("REFUSED", world.await(function() return seen.errors[1] end).code)
  end)
end)

describe("IPv6", function()
  it("is reached by an address in the url", function()
    local server = server_on_ipv6()
    local request = assert_served(("http://[::1]:%d"):format(server.port), server)
    assert.equal(("[::1]:%d"):format(server.port), request.headers.host)
  end)

  it("is reached over TLS, with a certificate for the address", function()
    local server, reserved = world.server(), world.own(port.reserve("::1"))
    tls_front.start(server, issued:of("server"), "listen [::1]:<port6> ssl http2;", { port6 = reserved.number })
    assert_served("https://[::1]:" .. reserved.number, server, trusting {})
  end)

  it("and IPv4 are both tried for a name that has both", function()
    for _, server in ipairs { server_on_ipv6(), world.server() } do
      assert_served("http://localhost:" .. server.port, server)
    end
  end)
end)

describe("resolve", function()
  it("gives the address of a name, for any port; the server hears the name", function()
    for _ = 1, 2 do
      local server = world.server()
      local url = "http://orders.example:" .. server.port
      local request = assert_served(url, server, { resolve = { ["orders.example"] = "127.0.0.1" } })
      assert.equal("orders.example:" .. server.port, request.headers.host)
    end
  end)

  it("takes addresses of IPv6", function()
    local server = server_on_ipv6()
    assert_served("http://orders.example:" .. server.port, server, { resolve = { ["orders.example"] = "::1" } })
  end)

  it("leaves other names alone", function()
    local server = world.server()
    assert_served("http://localhost:" .. server.port, server, { resolve = { ["orders.example"] = "127.0.0.2" } })
  end)

  it("asks the certificate for the name", function()
    local server = world.server()
    local front = tls_front.start(server, issued:of("server"))
    local resolve = { ["orders.example"] = "127.0.0.1", ["kitchen.example"] = "127.0.0.1" }
    assert_served("https://orders.example:" .. front.port, server, trusting { resolve = resolve })
    local _, seen = world.connect({ url = "https://kitchen.example:" .. front.port }, trusting { resolve = resolve })
    assert.matches("kitchen.example", world.await_error(seen, "TLS").message, 1, true)
  end)

  it("holds on every reconnect", function()
    local server = world.server()
    server:behave { { { stream = 0 }, { cut = true } }, { { status = 503 } } }
    local client = world.connect({ url = "http://orders.example:" .. server.port },
      { resolve = { ["orders.example"] = "127.0.0.1" } })
    world.await(function() return server:request_count() == 3 and client:health().is_connected end)
  end)
end)
