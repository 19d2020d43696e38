--- TLS against nginx: whom the client trusts, who it says it is, and what it says when there is no trust.

local certificates = require "spec.support.certificates"
local tls_front = require "spec.support.tls_front"
local world = require "spec.support.world"

local issued

setup(function() issued = certificates.make() end)
teardown(function() issued:close() end)
after_each(world.close)

-- The project's server behind nginx, which shows a certificate.
local function fronted(name, more)
  local server = world.server()
  return tls_front.start(server, issued:of(name), more, { authority = issued.authority_file }), server
end

-- Options of a client that trusts the authority.
local function trusting(changes)
  local tls = { ca_file = issued.authority_file }
  for name, value in pairs(changes or {}) do tls[name] = value end
  return { tls = tls }
end

-- The stream opens and brings events; nothing is told but the codes that are expected.
local function assert_served(front, server, options, codes)
  local client, seen = world.connect(front, options)
  local events = world.collect(client)
  world.await_state(client)
  world.publish(server, 1, 3)
  world.await(function() return #events == 3 end)
  assert.same(codes or {}, seen.codes)
end

-- There is no handshake: the client says why and tries again, and no request has reached the server.
local function assert_distrusted(front, server, options, pattern)
  local client, seen = world.connect(front, options)
  world.await(function() return #seen.errors >= 2 end)
  assert.same({ "TLS", "TLS" }, { seen.codes[1], seen.codes[2] })
  assert.matches(pattern, seen.errors[1].message)
  assert.is_true(seen.errors[1].retryable)
  assert.is_number(seen.errors[1].next_retry_at)
  assert.equal("TLS", client:health().error.code)
  assert.equal(0, server:request_count())
end

-- A file of the options is no use: nothing is tried, and the client says why.
local function assert_unusable(front, server, options, pattern)
  local client, seen = world.connect(front, options)
  assert.matches(pattern, world.await_error(seen, "TLS_FILE").message)
  assert.same({ "TLS_FILE" }, seen.codes)
  assert.equal("error", client:health().state)
  assert.equal(0, server:request_count())
end

describe("a server's certificate", function()
  it("of an authority in ca_file is trusted", function()
    local front, server = fronted("server")
    assert_served(front, server, trusting())
  end)

  it("of an authority that nobody named is TLS", function()
    local front, server = fronted("server")
    assert_distrusted(front, server, nil, "certificate")
  end)

  it("for another host is TLS, though the authority is trusted", function()
    local front, server = fronted("elsewhere")
    assert_distrusted(front, server, trusting(), "localhost")
  end)

  it("that has expired is TLS; once it is renewed the client comes by itself", function()
    local front, server = fronted("expired")
    local options = trusting()
    options.max_reconnect_attempts = 1000000 -- it tries for as long as nginx takes to change the certificate
    local client, seen = world.connect(front, options)
    local events = world.collect(client)
    world.await_error(seen, "TLS")
    assert.matches("expired", seen.errors[1].message)
    front:reload(issued:of("server"))
    world.await_state(client)
    world.publish(server, 1, 1)
    world.await(function() return #events == 1 end)
    for _, code in ipairs(seen.codes) do assert.equal("TLS", code) end
  end)

  it("is not looked at with insecure_skip_verify, and that is told", function()
    for _, name in ipairs { "expired", "elsewhere" } do
      local front, server = fronted(name)
      assert_served(front, server, { tls = { insecure_skip_verify = true } }, { "TLS_UNVERIFIED" })
      world.close()
    end
  end)
end)

describe("a ca_file", function()
  it("that is not there is TLS_FILE, and its name is said", function()
    local front, server = fronted("server")
    assert_unusable(front, server, { tls = { ca_file = "no-such-authority.pem" } }, "no%-such%-authority%.pem")
  end)
end)

describe("a pinned key", function()
  it("that is the server's is fine", function()
    local front, server = fronted("server")
    assert_served(front, server, trusting { pinned_public_key = issued:pin("server") })
  end)

  it("that is not the server's is TLS, whoever signed the certificate", function()
    local front, server = fronted("server")
    assert_distrusted(front, server, trusting { pinned_public_key = issued:pin("elsewhere") }, "public key")
  end)

  it("counts even where nothing else is verified", function()
    local front, server = fronted("server")
    local pinned = { insecure_skip_verify = true, pinned_public_key = issued:pin("elsewhere") }
    assert_distrusted(front, server, { tls = pinned }, "public key")
  end)
end)

describe("a server that wants a client's certificate", function()
  local WANTS_ONE = [[
    ssl_client_certificate <authority>;
    ssl_verify_client on;
  ]]

  it("has the one of cert_file and key_file", function()
    local front, server = fronted("server", WANTS_ONE)
    assert_served(front, server, trusting(issued:of("terminal")))
  end)

  it("refuses who has none, and what it says is told", function()
    local front, server = fronted("server", WANTS_ONE)
    local client, seen = world.connect(front, trusting())
    local problem = world.await_error(seen, "HTTP_STATUS")
    assert.equal(400, problem.status)
    assert.matches("No required SSL certificate was sent", problem.message)
    assert.is_false(problem.retryable)
    assert.equal("error", client:health().state)
    assert.equal(0, server:request_count())
  end)

  it("is not asked without the certificate's key: that is TLS_FILE", function()
    local front, server = fronted("server", WANTS_ONE)
    local without_key = trusting { cert_file = issued:of("terminal").cert_file }
    assert_unusable(front, server, without_key, "key")
  end)

  it("is not shown a certificate with another one's key: that is TLS_FILE", function()
    local front, server = fronted("server", WANTS_ONE)
    local mixed = trusting { cert_file = issued:of("terminal").cert_file, key_file = issued:of("server").key_file }
    assert_unusable(front, server, mixed, "key")
  end)
end)

describe("tls.min_version", function()
  local ONLY_1_2 = "ssl_protocols TLSv1.2;"

  it("refuses a server that speaks older versions only", function()
    local front, server = fronted("server", ONLY_1_2)
    assert_distrusted(front, server, trusting { min_version = "1.3" }, "version")
  end)

  it("is fine with a server that speaks it", function()
    local front, server = fronted("server", ONLY_1_2)
    assert_served(front, server, trusting { min_version = "1.2" })
  end)

  it("is a least one: a newer version is taken where there is one", function()
    local front, server = fronted("server", "ssl_protocols TLSv1.2 TLSv1.3;")
    assert_served(front, server, trusting { min_version = "1.3" })
  end)
end)

describe("http:// to a port that speaks TLS", function()
  it("is a status, and what nginx says about it is told", function()
    local front, server = fronted("server")
    local _, seen = world.connect({ url = front.url:gsub("^https", "http") })
    local problem = world.await_error(seen, "HTTP_STATUS")
    assert.equal(400, problem.status)
    assert.matches("plain HTTP request was sent to HTTPS port", problem.message)
    assert.equal(0, server:request_count())
  end)
end)
