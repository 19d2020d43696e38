--- Proxies between client and server: HTTP (tinyproxy), CONNECT for https, SOCKS (microsocks), the environment's, and
-- what is said when one refuses.

local certificates = require "spec.support.certificates"
local directory = require "spec.support.directory"
local port = require "spec.support.port"
local program = require "spec.support.program"
local tls_front = require "spec.support.tls_front"
local uv = require "luv"
local world = require "spec.support.world"

local SECRET = "hush4711"

local issued

setup(function() issued = certificates.make() end)
teardown(function() issued:close() end)
after_each(world.close)

-- ---- proxies ---------------------------------------------------------------------------------------------------------

local TINYPROXY = [[
Port %d
Listen 127.0.0.1
Timeout 3600
MaxClients 20
LogLevel Info
%s
]]

-- An HTTP proxy; `lines` are added to its configuration.
local function http_proxy(lines)
  local reserved, place = world.own(port.reserve()), world.own(directory.new())
  local file = place:write("tinyproxy.conf", TINYPROXY:format(reserved.number, lines or ""))
  local proxy = world.own(program.start("tinyproxy", { "-d", "-c", file })):await_port(reserved.number)
  proxy.port = reserved.number
  return proxy
end

-- A SOCKS 5 proxy; `arguments` are added to its own.
local function socks_proxy(arguments)
  local reserved = world.own(port.reserve())
  local words = { "-i", "127.0.0.1", "-p", tostring(reserved.number) }
  for _, word in ipairs(arguments or {}) do words[#words + 1] = word end
  local proxy = world.own(program.start("microsocks", words)):await_port(reserved.number)
  proxy.port = reserved.number
  return proxy
end

local function url_of(scheme, proxy, credentials)
  return ("%s://%s127.0.0.1:%d"):format(scheme, credentials and credentials .. "@" or "", proxy.port)
end

-- ---- what comes of it ------------------------------------------------------------------------------------------------

-- The stream opens by the proxy and brings events as they are sent.
local function assert_served(target, server, options)
  local client, seen = world.connect(target, options)
  local events = world.collect(client)
  world.await_state(client)
  for number = 1, 3 do
    world.publish(server, number, number)
    world.await(function() return #events == number end)
  end
  assert.same({}, seen.codes)
  assert.equal(1, server:request_count())
  return server.requests[1]
end

-- The stream does not open; the problem that is told, in which no secret is.
local function refused(target, server, options)
  local said = {}
  options.log = function(level, message) said[#said + 1] = level .. message end
  local client, seen = world.connect(target, options)
  local problem = world.await(function() return seen.errors[1] end)
  assert.equal(0, server:request_count())
  said[#said + 1] = problem.message .. problem.hint .. tostring(client)
  assert.is_nil(table.concat(said):find(SECRET, 1, true))
  return problem, seen
end

local function tls_target()
  local server = world.server()
  return tls_front.start(server, issued:of("server")), server
end

local function trusting(options)
  options.tls = { ca_file = issued.authority_file }
  return options
end

describe("an HTTP proxy", function()
  it("is asked for the stream of an http url", function()
    local proxy, server = http_proxy(), world.server()
    local request = assert_served(server, server, { proxy = url_of("http", proxy) })
    assert.matches("tinyproxy", request.headers.via)
  end)

  it("is asked for a tunnel to the server of an https url", function()
    local proxy, front, server = http_proxy(), tls_target()
    local request = assert_served(front, server, trusting { proxy = url_of("http", proxy) })
    assert.is_nil(request.headers.via) -- it cannot look into the tunnel
    assert.matches("CONNECT localhost:" .. front.port, proxy.output, 1, true)
    assert.equal("HTTP/2.0", request.headers["x-protocol"])
  end)

  it("gets its user and password, and the server does not", function()
    local proxy = http_proxy("BasicAuth till " .. SECRET)
    local server = world.server()
    local front, behind = tls_target()
    local options = { proxy = url_of("http", proxy, "till:" .. SECRET) }
    local direct = assert_served(server, server, options)
    local tunnelled = assert_served(front, behind, trusting(options))
    for _, request in ipairs { direct, tunnelled } do
      assert.is_nil(request.headers["proxy-authorization"])
      assert.is_nil(request.headers.authorization)
    end
  end)

  it("that ends in the middle of a stream is found again", function()
    local proxy, front, server = http_proxy(), tls_target()
    local client, seen = world.connect(front, trusting { proxy = url_of("http", proxy), max_reconnect_attempts = 1000000 })
    local numbers = world.collect_numbers(client)
    world.await_state(client)
    world.publish(server, 1, 10)
    proxy:close()
    world.publish(server, 11, 20)
    world.await_error(seen, "REFUSED")
    world.own(program.start("tinyproxy", proxy.arguments))
    world.await(function() return #numbers >= 20 end)
    world.publish(server, 21, 21)
    world.await(function() return #numbers >= 21 end)
    world.assert_in_order(numbers, 21)
  end)
end)

describe("a proxy that refuses", function()
  it("a connection: REFUSED, and where is said", function()
    local nobody = world.own(port.reserve())
    local server = world.server()
    local proxy = ("http://till:%s@127.0.0.1:%d"):format(SECRET, nobody.number)
    local problem = refused(server, server, { proxy = proxy })
    assert.equal("REFUSED", problem.code)
    assert.matches("127.0.0.1 port " .. nobody.number, problem.message, 1, true)
    assert.is_true(problem.retryable)
  end)

  it("a tunnel without its password, with a wrong one, or to that port: PROXY, with its status", function()
    local refusals = {
      { status = "407", lines = "BasicAuth till right" },
      { status = "401", lines = "BasicAuth till right", credentials = "till:" .. SECRET }, -- so says tinyproxy
      { status = "403", lines = "ConnectPort 1", credentials = "till:" .. SECRET },
    }
    for _, each in ipairs(refusals) do
      local proxy, front, server = http_proxy(each.lines), tls_target()
      local problem = refused(front, server, trusting { proxy = url_of("http", proxy, each.credentials) })
      assert.equal("PROXY", problem.code)
      assert.matches(each.status, problem.message)
      assert.is_true(problem.retryable)
      world.close()
    end
  end)

  it("an http url without its password: its status is told", function()
    local proxy, server = http_proxy("BasicAuth till right"), world.server()
    local problem = refused(server, server, { proxy = url_of("http", proxy) })
    assert.equal(407, problem.status)
    assert.matches("Proxy Authentication Required", problem.message)
  end)

  it("by a name that does not resolve: PROXY", function()
    local server = world.server()
    local name = ("x"):rep(64) .. ".example" -- longer than DNS allows: no name server is asked
    local problem = refused(server, server, { proxy = ("http://till:%s@%s:3128"):format(SECRET, name) })
    assert.equal("PROXY", problem.code)
    assert.matches(name, problem.message, 1, true)
  end)
end)

describe("a SOCKS proxy", function()
  it("is given the server's name with socks5h, and resolves it", function()
    -- microsocks tries one address only: the server must be at the one that this machine names first
    local host = assert(uv.getaddrinfo("localhost", nil, { socktype = "stream" }))[1].addr
    local proxy, server = socks_proxy(), world.server { host = host }
    assert_served({ url = "http://localhost:" .. server.port }, server, { proxy = url_of("socks5h", proxy) })
    assert.is_true(proxy:says("connected to localhost:" .. server.port))
  end)

  it("is given an address with socks5", function()
    local proxy, server = socks_proxy(), world.server()
    assert_served(server, server, { proxy = url_of("socks5", proxy) })
    assert.is_true(proxy:says("connected to 127%.0%.0%.1:" .. server.port))
  end)

  it("carries TLS and HTTP/2", function()
    local proxy, front, server = socks_proxy(), tls_target()
    local target = { url = "https://127.0.0.1:" .. front.port }
    local request = assert_served(target, server, trusting { proxy = url_of("socks5h", proxy) })
    assert.equal("HTTP/2.0", request.headers["x-protocol"])
    assert.is_true(proxy:says("connected to 127%.0%.0%.1:" .. front.port))
  end)

  it("gets its user and password", function()
    local proxy, server = socks_proxy { "-u", "till", "-P", SECRET }, world.server()
    assert_served(server, server, { proxy = url_of("socks5h", proxy, "till:" .. SECRET) })
  end)

  it("that wants another password is PROXY", function()
    local proxy, server = socks_proxy { "-u", "till", "-P", "right" }, world.server()
    local problem = refused(server, server, { proxy = url_of("socks5h", proxy, "till:" .. SECRET) })
    assert.equal("PROXY", problem.code)
    assert.is_true(problem.retryable)
  end)

  it("that cannot reach the server is PROXY", function()
    local proxy, server = socks_proxy(), world.server()
    local nobody = world.own(port.reserve())
    local target = { url = ("http://127.0.0.1:%d"):format(nobody.number) }
    local problem = refused(target, server, { proxy = url_of("socks5h", proxy, "till:" .. SECRET) })
    assert.equal("PROXY", problem.code)
  end)
end)

-- ---- the environment -------------------------------------------------------------------------------------------------

-- A program that holds one stream open until it is connected; it fails when there is an error.
local PROGRAM = [[
local uv = require "luv"
for name, value in pairs { %s } do uv.os_setenv(name, value) end
local sync = require "sync"
local client = assert(sync.connect { url = %q, %s })
client:on_error(function(problem) error(problem.code .. problem.message) end)
client:on_state(function(state) if state == "connected" then client:close() end end)
sync.run()
]]

-- The request of a program to which the environment says this.
local function request_in(environment, options, target, server)
  local assignments = {}
  for name, value in pairs(environment) do assignments[#assignments + 1] = ("[%q] = %q"):format(name, value) end
  local chunk = PROGRAM:format(table.concat(assignments, ", "), target.url, options or "")
  assert.same({ code = 0, signal = 0 }, world.run_program(chunk))
  return server.requests[#server.requests]
end

describe("the environment's proxy", function()
  it("is taken for the url's scheme", function()
    local proxy, server = http_proxy(), world.server()
    local request = request_in({ http_proxy = url_of("http", proxy) }, nil, server, server)
    assert.matches("tinyproxy", request.headers.via)
    assert.is_nil(request_in({ https_proxy = url_of("http", proxy) }, nil, server, server).headers.via)
  end)

  it("is taken for https, in either case", function()
    local proxy, front, server = http_proxy(), tls_target()
    local tls = ("tls = { ca_file = %q }"):format(issued.authority_file)
    for times, name in ipairs { "https_proxy", "HTTPS_PROXY" } do
      request_in({ [name] = url_of("http", proxy) }, tls, front, server)
      assert.equal(times, select(2, proxy.output:gsub("CONNECT localhost:" .. front.port, "")))
    end
  end)

  it("may be for every scheme, and SOCKS", function()
    local proxy, server = socks_proxy(), world.server()
    request_in({ ALL_PROXY = url_of("socks5h", proxy) }, nil, server, server)
    assert.is_true(proxy:says("connected to 127%.0%.0%.1:" .. server.port))
  end)

  it("is not taken from HTTP_PROXY, which a web server may have set from a header", function()
    local proxy, server = http_proxy(), world.server()
    assert.is_nil(request_in({ HTTP_PROXY = url_of("http", proxy) }, nil, server, server).headers.via)
  end)

  it("is not for the hosts of NO_PROXY", function()
    local proxy, server = http_proxy(), world.server()
    for _, name in ipairs { "NO_PROXY", "no_proxy" } do
      local environment = { http_proxy = url_of("http", proxy), [name] = "shop.example,127.0.0.1" }
      assert.is_nil(request_in(environment, nil, server, server).headers.via)
      environment[name] = "shop.example"
      assert.matches("tinyproxy", request_in(environment, nil, server, server).headers.via)
    end
  end)

  it("gives way to the options", function()
    local proxy, server = http_proxy(), world.server()
    local nobody = world.own(port.reserve())
    local environment = { http_proxy = "http://127.0.0.1:" .. nobody.number }
    local option = ("proxy = %q"):format(url_of("http", proxy))
    assert.matches("tinyproxy", request_in(environment, option, server, server).headers.via)
    assert.is_nil(request_in(environment, 'proxy = ""', server, server).headers.via)
    assert.is_nil(request_in(environment, 'no_proxy = "127.0.0.1"', server, server).headers.via)
  end)
end)

describe("no_proxy", function()
  it("names the hosts that are reached without the proxy", function()
    local proxy, server = http_proxy(), world.server()
    local function via(no_proxy)
      local before = server:request_count()
      local client = world.connect(server, { proxy = url_of("http", proxy), no_proxy = no_proxy })
      world.await_state(client)
      client:close()
      return server.requests[before + 1].headers.via
    end
    assert.is_nil(via("shop.example, 127.0.0.1"))
    assert.is_nil(via("*"))
    assert.matches("tinyproxy", via("shop.example"))
    assert.matches("tinyproxy", via("127.0.0.2"))
  end)
end)
