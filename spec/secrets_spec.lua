--- No secret leaves: not in logs, errors, health or tostring, whatever goes wrong; and only the server meant gets them.

local sync = require "sync"
local world = require "spec.support.world"

after_each(world.close)

local SECRET = "hush4711"

-- Everything that a value says, its tables' contents included.
local function said_by(value, seen)
  seen = seen or {}
  if type(value) ~= "table" or seen[value] then return tostring(value) end
  seen[value] = true
  local parts = {}
  for name, each in pairs(value) do parts[#parts + 1] = said_by(name, seen) .. "=" .. said_by(each, seen) end
  return table.concat(parts, " ")
end

local function assert_silent(...)
  for _, value in ipairs { ... } do
    local text = said_by(value)
    assert.is_nil(text:find(SECRET, 1, true), text)
  end
end

-- Options that hold the secret, each in another place.
local function secretive(server)
  return {
    token = { token = SECRET },
    ["token function"] = { token = function() return SECRET end },
    headers = { headers = { ["X-Api-Key"] = SECRET } },
    ["headers function"] = { headers = function() return { ["X-Api-Key"] = SECRET } end },
    body = { body = SECRET },
    ["password in the url"] = { url = server.url:gsub("//", "//till:" .. SECRET .. "@") .. "/api/v1/sync/events" },
    ["token in the query"] = { url = server.url .. "/api/v1/sync/events?access_token=" .. SECRET },
  }
end

-- What a client with `options` has said by the time that its requests have met each script and it has given up.
local function hear(server, options, scripts)
  local said = {}
  options.log = function(...) said[#said + 1] = { ... } end
  server:behave(scripts)
  local client = world.connect(server, options)
  client:on_state(function() said[#said + 1] = tostring(client) end)
  client:on_error(function(problem) said[#said + 1] = problem end)
  client:on_health(function(health) said[#said + 1] = health end)
  world.await(function() return #server.scripts == 0 and client:health().state == "error" end)
  world.turn()
  said[#said + 1] = { tostring(client), client:health(), client:metrics() }
  client:close()
  said[#said + 1] = tostring(client)
  return said
end

describe("a secret", function()
  it("is never said, whatever the server does", function()
    local server = world.server()
    for name, options in pairs(secretive(server)) do
      local requests = server:request_count()
      local said = hear(server, options, {
        { { stream = 0 }, { cut = true } }, { { status = 503 } }, { { refuse = true } },
        { { status = 302, headers = { Location = "/elsewhere" } } },
      })
      assert_silent(said)
      assert.is_true(#said > 5, name)
      local request = server.requests[requests + 1]
      assert.matches(name:find("password") and "Basic" or SECRET, said_by(request), 1, true) -- the server did get it
    end
  end)

  it("is never said to another origin, nor of it", function()
    local server, other = world.server(), world.server()
    for name, options in pairs(secretive(server)) do
      other:behave { status = 404 }
      local before = other:request_count()
      local said = hear(server, options, { { { status = 303, headers = { Location = other.url .. "/api/v1/sync/events" } } } })
      assert_silent(said, other.requests)
      assert.equal(before + 1, other:request_count(), name)
      assert.is_nil(said_by(other.requests):find("Basic", 1, true))
    end
  end)

  it("is never said of a redirect that is not followed", function()
    local server = world.server()
    for _, location in ipairs {
      "http://till:" .. SECRET .. "@127.0.0.1:99999/", "ftp://till:" .. SECRET .. "@127.0.0.1/?key=" .. SECRET,
      "mailto:till:" .. SECRET .. "@kitchen.example",
    } do
      assert_silent(hear(server, {}, { { { status = 302, headers = { Location = location } } } }))
    end
    local target = server.url:gsub("//", "//till:" .. SECRET .. "@") .. "/?key=" .. SECRET
    assert_silent(hear(server, { max_redirects = 0 }, { { { status = 302, headers = { Location = target } } } }))
  end)

  it("is never said by what sync.connect refuses", function()
    local url = "http://127.0.0.1:1"
    for _, options in ipairs {
      { url = url, token = { SECRET } }, { url = url, token = SECRET .. "\n" }, { url = url, headers = SECRET },
      { url = url, headers = { ["X-Api-Key"] = { SECRET } } }, { url = url, headers = { ["X-Api-Key"] = SECRET .. "\r\n" } },
      { url = url, headers = { SECRET } }, { url = url, body = { SECRET } },
      { url = "http://till:" .. SECRET .. "@" }, { url = "ftp://till:" .. SECRET .. "@127.0.0.1" },
      { url = "http://till:" .. SECRET .. "@127.0.0.1:99999" }, { url = url, proxy = { "http://till:" .. SECRET .. "@proxy" } },
    } do
      options.auto_connect = false
      local is_checked, first, message = pcall(sync.connect, options)
      assert.is_falsy(is_checked and first)
      assert_silent(first, message)
    end
  end)

  it("is never said by a function that gives something else", function()
    local wrong = {
      { headers = function() return SECRET end }, { headers = function() return { ["X-Api-Key"] = { SECRET } } end },
      { headers = function() return { [SECRET .. "\r\n"] = "x" } end }, { token = function() return { SECRET } end },
      { token = function() return SECRET .. "\r\n" end }, { headers = function() return { ["X-Api-Key"] = SECRET .. "\n" } end },
    }
    for _, options in ipairs(wrong) do
      local server = world.server()
      local client, seen = world.connect(server, options)
      world.await_error(seen, "CREDENTIALS")
      assert_silent(seen.errors, client:health())
      assert.equal(0, server:request_count())
      world.close()
    end
  end)

  it("in the url is not said by a failure to connect", function()
    for _, url in ipairs {
      world.refusing_url():gsub("//", "//till:" .. SECRET .. "@") .. "/sse?key=" .. SECRET,
      "http://till:" .. SECRET .. "@no-such-host.invalid/sse?key=" .. SECRET,
    } do
      local client, seen = world.connect({ url = url })
      world.await(function() return #seen.errors > 0 end)
      assert_silent(seen.errors, client:health(), tostring(client))
      client:close()
    end
  end)

  it("in a url that cannot be used is not said", function()
    for _, url in ipairs { "user:hush4711@host:80", "http://user:hush@4711@ho st/", "ftp://h/?token=hush4711" } do
      local _, message, code = sync.connect(url)
      assert.equal("URL", code)
      assert.is_nil(message:find("hush", 1, true) or message:find("4711", 1, true), message)
    end
  end)

  it("of the proxy is not said when the proxy is not there", function()
    local proxy = world.refusing_url():gsub("//", "//till:" .. SECRET .. "@")
    local client, seen = world.connect({ url = "http://kitchen.example" }, { proxy = proxy })
    world.await(function() return #seen.errors > 0 end)
    assert_silent(seen.errors, client:health(), tostring(client))
  end)
end)
