--- sync.connect: what it takes, what it refuses, and how it says so.

local sync = require "sync"
local world = require "spec.support.world"

after_each(world.close)

local EVENTS = "/api/v1/sync/events"
local URL = "http://127.0.0.1:1"

-- The message of the error that sync.connect raises, which is told where this file called it.
local function misuse(options)
  local ok, message = pcall(function() sync.connect(options) end)
  assert.is_false(ok)
  local text = message:match("^spec/connect_spec%.lua:%d+: (.*)$")
  assert.is_string(text, "blames somebody else: " .. message)
  return text
end

-- The code and text of a failure that is returned.
local function refusal(options)
  if not options.url then options.url = URL end
  options.auto_connect = false
  local client, message, code = sync.connect(options)
  assert.is_nil(client)
  assert.equal(code .. ": ", message:sub(1, #code + 2))
  return code, message
end

local function path_of(options)
  local server = world.server { path = options.path }
  world.connect({ url = server.url .. options.given }, options.options)
  world.await(function() return server.requests[1] end)
  return server.requests[1].target
end

describe("the url", function()
  it("is all that is needed", function()
    local server = world.server()
    local client = world.open(server.url)
    world.await_state(client)
    assert.equal(1, server:request_count(EVENTS))
  end)

  it("gets the path of the endpoint when it has none, or the root", function()
    assert.equal(EVENTS, path_of { given = "" })
    assert.equal(EVENTS, path_of { given = "/" })
  end)

  it("keeps a path and a query of its own", function()
    assert.equal("/sse", path_of { given = "/sse", path = "/sse" })
    assert.equal("/sse?tenant=7", path_of { given = "/sse?tenant=7", path = "/sse" })
    assert.equal("/sse?tenant=7&orderID=A", path_of { given = "/sse?tenant=7", path = "/sse", options = { order_id = "A" } })
  end)

  it("is refused when it cannot be used (H24)", function()
    for _, url in ipairs {
      "", "nonsense", "127.0.0.1:8080", "http://", "http://:80", "ftp://127.0.0.1/", "mailto:a@b", "http://127.0.0.1:99999",
      "http://127.0.0.1:port", "http://with space/", "http://[::1",
    } do
      assert.equal("URL", (refusal { url = url }), url)
    end
  end)
end)

describe("misuse", function()
  it("names what was expected", function()
    assert.equal("sync.connect: expected a url or a table of options, got a nil", misuse(nil))
    assert.equal("sync.connect: expected a url or a table of options, got 7", misuse(7))
    assert.matches("^url: required, for example \"http://", misuse {})
    assert.equal("url: expected a string or a list of strings, got 7", misuse { url = 7 })
    assert.matches("^url: expected a string or a list of strings, got ", misuse { url = {} })
    assert.matches("^url: expected a string or a list of strings, got ", misuse { url = { URL, 7 } })
  end)

  it("names an unknown option and the nearest known one", function()
    assert.equal("order_Id: unknown option (did you mean 'order_id'?)", misuse { url = URL, order_Id = "A" })
    assert.equal("reconect_delay_ms: unknown option (did you mean 'reconnect_delay_ms'?)",
      misuse { url = URL, reconect_delay_ms = 1 })
    assert.equal("event_type: unknown option (did you mean 'event_types'?)", misuse { url = URL, event_type = "a" })
    assert.equal("on_message: unknown option", misuse { url = URL, on_message = print })
    assert.equal("1: unknown option", misuse { url = URL, "positional" })
  end)

  it("names the full path of a nested option", function()
    assert.equal("tls.cafile: unknown option (did you mean 'ca_file'?)", misuse { url = URL, tls = { cafile = "x" } })
    assert.equal("tls.insecure_skip_verify: expected true or false, got \"yes\"",
      misuse { url = URL, tls = { insecure_skip_verify = "yes" } })
    assert.equal("tls.min_version: expected a string, got 1.3", misuse { url = URL, tls = { min_version = 1.3 } })
    assert.equal("fields.orderid: unknown option (did you mean 'order_id'?)",
      misuse { url = URL, fields = { orderid = "nr" } })
  end)

  it("is noticed for a wrong type of every option", function()
    local wrong = {
      order_id = 1, event_types = { 1 }, last_event_id = {}, mode = "streem", auto_connect = 1, auto_reconnect = "no",
      max_reconnect_attempts = 1.5, reconnect_delay_ms = "1s", max_reconnect_delay_ms = {}, stable_after_ms = true,
      stream_retry_interval_ms = 0 / 0, on_exhausted = "give up", heartbeat_interval_ms = 1 / 0,
      idle_timeout_ms = "never", connect_timeout_ms = 0.5, event_history_limit = "all", max_event_bytes = false,
      queue_limit = "10", headers = "X: y", token = 7, method = 1, body = {}, proxy = 1, unix_socket = true,
      http_version = 2, accept_encoding = true, decode = "xml", profile = "staging", log = "stdout", tls = true,
      fields = "type", strict = "yes", max_redirects = -1, duplicate_window = 0.5, no_proxy = { "host" },
      resolve = { host = 1 },
    }
    for name, value in pairs(wrong) do
      assert.matches("^" .. name .. ": expected .+, got ", misuse { url = URL, [name] = value })
    end
  end)

  it("takes no empty list of event types", function()
    assert.matches("^event_types: expected a string or a list of strings", misuse { url = URL, event_types = {} })
  end)
end)

describe("a value that no type catches", function()
  it("is refused with OPTION", function()
    local refused = {
      reconnect_delay_ms = -1, max_reconnect_delay_ms = -1, stable_after_ms = -1, connect_timeout_ms = 0,
      heartbeat_interval_ms = 0, stream_retry_interval_ms = 0, idle_timeout_ms = -1, max_reconnect_attempts = 0,
      queue_limit = 0, event_history_limit = 2000000, max_event_bytes = 1, method = "GE T", http_version = "3",
      max_redirects = 1000, duplicate_window = 2 ^ 40, no_proxy = "a\nb", resolve = { ["host:80"] = "127.0.0.1" },
    }
    for name, value in pairs(refused) do
      local code, message = refusal { [name] = value }
      assert.equal("OPTION", code, name)
      assert.matches(name, message, 1, true)
    end
  end)

  it("is refused with OPTION in a nested option, named by its path", function()
    local code, message = refusal { tls = { min_version = "1.1" } }
    assert.equal("OPTION", code)
    assert.matches('tls.min_version: expected "1.2" or "1.3", got "1.1"', message, 1, true)
  end)

  it("is refused with URL wherever in a list of urls it stands", function()
    for _, urls in ipairs { { "ftp://first", URL }, { URL, "ftp://last" }, { URL, "" } } do
      assert.equal("URL", (refusal { url = urls }))
    end
  end)

  it("is refused with HEADER where a header could be smuggled in, and is not shown", function()
    local headers = {
      { ["X-A"] = "hush\r\nX-B: 1" }, { ["X-A"] = "hush\n" }, { ["X-A"] = "hush\0" }, { ["X-A\r\nX-B"] = "hush" },
      { ["X A"] = "hush" }, { ["X:A"] = "hush" }, { [""] = "hush" },
    }
    for _, each in ipairs(headers) do
      local code, message = refusal { headers = each }
      assert.equal("HEADER", code)
      assert.is_nil(message:find("hush", 1, true))
    end
    assert.equal("HEADER", (refusal { token = "hush\r\nX-B: 1" }))
  end)

  it("cannot smuggle a header in through any other option", function()
    local server = world.server()
    local smuggled = "a\r\nX-Smuggled: 1"
    for _, name in ipairs { "accept_encoding", "last_event_id", "order_id", "event_types" } do
      local before = server:request_count()
      local is_taken, client = pcall(world.open, { url = server.url, [name] = smuggled })
      if is_taken then -- it may be refused; what is taken must arrive as one value
        world.await(function() return server:request_count() > before end)
        assert.is_nil(server.requests[before + 1].headers["x-smuggled"], name)
        client:close()
      end
    end
  end)

  it("is not cut short at a NUL", function()
    for _, name in ipairs { "url", "order_id", "event_types", "last_event_id", "accept_encoding", "unix_socket" } do
      local options = { url = URL, auto_connect = false }
      options[name] = (options[name] or "A") .. "\0B"
      local is_taken = pcall(world.open, options)
      assert.is_false(is_taken, name .. " was taken without what follows the NUL")
    end
  end)
end)

describe("a default", function()
  local function kept_events(options)
    local server = world.server()
    local client = world.connect(server, options)
    world.await_state(client)
    world.publish(server, 1, 210)
    world.await(function() return client:metrics().total_events == 210 end)
    return #client:events()
  end

  it("is what the design says of the history", function()
    assert.equal(100, kept_events())
    assert.equal(7, kept_events { event_history_limit = 7 })
    assert.equal(0, kept_events { event_history_limit = 0 })
  end)

  it("is what the design says of the idle timeout: 2.5 heartbeats, within 5 s and 5 min", function()
    local function idle_timeout_ms(options)
      options.url, options.auto_connect = URL, false
      return world.open(options):health().idle_timeout_ms
    end
    assert.equal(75000, idle_timeout_ms {})
    assert.equal(25000, idle_timeout_ms { heartbeat_interval_ms = 10000 })
    assert.equal(5000, idle_timeout_ms { heartbeat_interval_ms = 1 })
    assert.equal(300000, idle_timeout_ms { heartbeat_interval_ms = 3600000 })
    assert.equal(1, idle_timeout_ms { idle_timeout_ms = 1 })
  end)

  it("comes from a profile, which what is given overrides", function()
    assert.equal(200, kept_events { profile = "development" })
    assert.equal(50, kept_events { profile = "production" })
    assert.equal(7, kept_events { profile = "production", event_history_limit = 7 })
  end)

  it("is the number of attempts: 5; of development 10", function()
    local function attempts(profile)
      local _, seen = world.connect({ url = world.refusing_url() }, { profile = profile, reconnect_delay_ms = 0 })
      return world.await_error(seen, "EXHAUSTED").attempt
    end
    assert.equal(5, attempts(nil))
    assert.equal(5, attempts("production"))
    assert.equal(10, attempts("development"))
  end)
end)

describe("auto_connect = false", function()
  it("waits for connect()", function()
    local server = world.server()
    local client = world.connect(server, { auto_connect = false })
    world.turn()
    assert.is_true(world.is_at_rest())
    assert.equal("disconnected", client:health().state)
    assert.is_true(client:connect())
    world.await_state(client)
    assert.equal(1, server:request_count())
  end)
end)

describe("mode", function()
  it("off asks nothing of the server", function()
    local server = world.server()
    local client = world.connect(server, { mode = "off" })
    world.turn()
    assert.is_true(world.is_at_rest())
    assert.equal("disconnected", client:health().state)
    assert.equal(0, server:request_count())
  end)

  it("stream and auto hold a stream open", function()
    local server = world.server()
    for _, mode in ipairs { "stream", "auto" } do
      local client = world.connect(server, { mode = mode })
      world.await_state(client)
    end
    assert.equal(2, server:stream_count())
  end)
end)
