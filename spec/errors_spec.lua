--- What on_error is told: the fields of a problem, and what its class says about what follows.

local sync = require "sync"
local uv = require "luv"
local world = require "spec.support.world"

after_each(world.close)

local FIELDS = {
  code = "string", class = "string", message = "string", hint = "string", retryable = "boolean", status = "number",
  attempt = "number", next_retry_at = "number", event = "table",
}

local function wall_ms()
  local second, microsecond = uv.gettimeofday()
  return second * 1000 + math.floor(microsecond / 1000)
end

-- The first problem of a client whose first request meets `script`.
local function problem_of(script, options)
  local server = world.server()
  server:behave { script }
  local client, seen = world.connect(server, options)
  return world.await(function() return seen.errors[1] end), client
end

-- The problem is what its code says, has the fields it should and no others, and health knows it.
local function assert_problem(problem, code, class, present)
  assert.equal(code, problem.code)
  assert.equal(class, problem.class)
  assert.equal(sync.codes[code].hint, problem.hint)
  assert.is_true(#problem.message > 0)
  assert.equal(class == "retry", problem.retryable)
  local expected = { code = true, class = true, message = true, hint = true, retryable = true }
  for _, name in ipairs(present) do expected[name] = true end
  for name, type_name in pairs(FIELDS) do
    assert.equal(expected[name] and type_name or "nil", type(problem[name]), name)
  end
  for name in pairs(problem) do assert.is_string(FIELDS[name], name) end
end

describe("a problem of class retry", function()
  it("says which attempt it was, and when the next one is", function()
    local before = wall_ms()
    local client, seen = world.connect({ url = world.refusing_url() },
      { reconnect_delay_ms = 3600000, max_reconnect_delay_ms = 3600000 })
    local problem = world.await_error(seen, "REFUSED")
    assert_problem(problem, "REFUSED", "retry", { "attempt", "next_retry_at" })
    assert.equal(1, problem.attempt)
    assert.is_true(problem.next_retry_at >= before and problem.next_retry_at <= wall_ms() + 3600000)
    assert.is_true(math.abs(client:health().next_retry_at - problem.next_retry_at) <= 1)
    assert.equal("reconnecting", client:health().state)
  end)

  it("has the status of an answer (C14)", function()
    local problem, client = problem_of { status = 503, headers = { ["Retry-After"] = "600" } }
    assert_problem(problem, "HTTP_STATUS", "retry", { "status", "attempt", "next_retry_at" })
    assert.equal(503, problem.status)
    assert.equal(1, problem.attempt)
    assert.equal("reconnecting", client:health().state)
  end)

  it("has no attempt when it was an open stream that was lost", function()
    assert_problem(problem_of { { stream = 0 }, { finish = true } }, "STREAM_ENDED", "retry", { "next_retry_at" })
    world.close()
    assert_problem(problem_of { { stream = 0 }, { cut = true } }, "STREAM_CUT", "retry", { "next_retry_at" })
  end)
end)

describe("a problem of class authentication", function()
  it("is the end where nobody can be asked for other credentials", function()
    local problem, client = problem_of({ status = 401 }, { token = "static" })
    assert_problem(problem, "HTTP_AUTH", "authentication", { "status", "attempt" })
    assert.equal(401, problem.status)
    assert.equal("error", client:health().state)
    assert.is_true(world.is_at_rest())
  end)
end)

describe("a problem of class configuration", function()
  it("is the state error, and a try now and then: somebody may put it right", function()
    local server = world.server()
    local before = wall_ms()
    local client, seen = world.connect({ url = (server.url:gsub("^http:", "https:")) },
      { tls = { ca_file = "no/such/authority.pem" }, stream_retry_interval_ms = 3600000 })
    local problem = world.await(function() return seen.errors[1] end)
    assert_problem(problem, "TLS_FILE", "configuration", { "attempt", "next_retry_at" })
    assert.is_true(problem.next_retry_at >= before + 3600000)
    assert.matches("no/such/authority.pem", problem.message, 1, true)
    assert.same({ "connecting", "error" }, seen.states)
    assert.same({ "TLS_FILE" }, seen.codes)
    assert.equal("error", client:health().state)
    assert.equal(0, server:request_count())
  end)
end)

describe("a problem of class fatal", function()
  it("of the connection is the end", function()
    for _, case in ipairs {
      { { status = 404 }, "HTTP_STATUS", 404 }, { { status = 204 }, "HTTP_NO_CONTENT", 204 },
      { { html = 200 }, "CONTENT_TYPE", 200 }, { { status = 301, headers = { Location = "" } }, "HTTP_REDIRECT", 301 },
    } do
      local problem, client = problem_of(case[1])
      assert_problem(problem, case[2], "fatal", { "status", "attempt" })
      assert.equal(case[3], problem.status)
      assert.equal("error", client:health().state)
      assert.equal(case[2], client:health().error.code)
      assert.is_true(world.is_at_rest())
      world.close()
    end
  end)

  it("of an event is that event's alone", function()
    local problem, client = problem_of { { send = "data: {\n\n" }, { stream = true } }
    assert_problem(problem, "EVENT_JSON", "fatal", {})
    assert.is_true(client:health().is_connected)
    assert.is_nil(client:health().error)
  end)

  it("of a handler has the event", function()
    local server = world.server()
    local client, seen = world.connect(server)
    client:subscribe(function() error "burnt" end)
    world.await_state(client)
    world.publish(server, 1, 1)
    local problem = world.await_error(seen, "HANDLER")
    assert_problem(problem, "HANDLER", "fatal", { "attempt", "event" })
    assert.equal("ORDER-1", problem.event.order_id)
  end)
end)

describe("every code", function()
  it("has a text, a hint, a class, and is retryable in class retry", function()
    local classes = { retry = true, authentication = true, configuration = true, fatal = true }
    for code, row in pairs(sync.codes) do
      assert.is_true(#row.text > 0 and #row.hint > 0, code)
      assert.is_true(classes[row.class], code)
      assert.equal(row.class == "retry", row.retryable, code)
    end
  end)
end)

describe("a page in place of a stream", function()
  it("is shown by its status and its first 200 bytes", function()
    local page = ("0123456789"):rep(20)
    for _, status in ipairs { 200, 404 } do
      local problem = problem_of { status = status, content_type = "text/html", body = page .. "BEYOND" }
      assert.equal(status, problem.status)
      assert.matches(tostring(status), problem.message, 1, true)
      assert.matches(": " .. page .. "$", problem.message)
      world.close()
    end
  end)

  it("is shown without control characters, and not with half a character", function()
    local problem = problem_of { status = 404, body = "\27[31m" .. ("x"):rep(194) .. "é" } -- byte 200 is half of the é
    assert.is_nil(problem.message:find("%c"))
    assert.matches(":  %[31mx+$", problem.message)
  end)
end)
