--- The contract-test service, driven by our harness through every check; and the harness, which must find the fault of
-- services that have one.

local checks = require "spec.contract.harness.checks"
local child = require "spec.contract.child"
local run = require "spec.contract.harness.run"
local scene = require "spec.contract.harness.scene"
local uv = require "luv"

local function start(...)
  local service = child.start(...)
  service.url = service:await_url()
  return service
end

-- Without a window: what does not come is the runner's to end, unless the service has died.
local function watch(service)
  return { on_turn = function() service:check_alive() end }
end

local function check_titled(text)
  for _, check in ipairs(checks) do
    if check.title:find(text, 1, true) then return check end
  end
  error("no check is about " .. text)
end

describe("the contract-test service", function()
  local service

  setup(function() service = start("spec/contract/service.lua", "--port", "0") end)

  teardown(function()
    service:stop()
    uv.run()
    assert.same({ 0, 0 }, { service.code, service.signal })
  end)

  for _, check in ipairs(checks) do
    it(check.title, function()
      local outcome, problem = run.one(check, service.url, watch(service))
      assert(outcome == "passed", problem and outcome .. ": " .. problem)
    end)
  end

  it("retries 503 when it is not asked to be strict (decision 8)", function()
    local made = scene.new(service.url, watch(service))
    finally(function() made:close() end)
    made:read_capabilities()
    local subject = made:subject { initialDelayMs = 0, strict = false }
    subject:await_request():respond(503)
    subject:expect_error()
    subject:await_request():open():send("data: Hello\n\n")
    subject:expect_event { data = "Hello" }
    made:finish()
  end)
end)

describe("the contract-test service's end", function()
  it("comes with DELETE, in the middle of whatever it does", function()
    local service = start("spec/contract/service.lua", "--port", "0")
    local made = scene.new(service.url, watch(service))
    local _, exchange = made:open_stream()
    exchange:send("data: Hello\n\n")
    made.on_turn = nil
    assert.equal(204, made.driver:ask("DELETE", "").status)
    service:await_end()
    made:close()
    uv.run()
    assert.same({ 0, 0 }, { service.code, service.signal })
  end)

  it("comes at once when the port is taken, with a message", function()
    local service = start("spec/contract/service.lua", "--port", "0")
    local second = child.start("spec/contract/service.lua", "--port", service.url:match("%d+$")):await_end()
    service:stop()
    uv.run()
    assert.equal(1, second.code)
    assert.matches("EADDRINUSE", second.errors)
    assert.equal("", second.output)
  end)
end)

describe("the harness", function()
  -- {fault, title of a check that must find it, what the check says}
  local FOUND = {
    { "two-errors", "R07 R11 R13: a stream that ends", "expected a report of kind event, got .*error" },
    { "no-ids", "L06 I13", "id of an event: expected abc, got" },
    { "comments-unasked", "P10", "expected a report of kind event, got .*comment" },
    { "begins-at-two", "F01 F24", "a callback to /2 where /1 was due" },
    { "many-connections", "L06 I13", "several connections" },
    { "last-word", "C03 C04: deleted while the stream", "an unexpected report: .*error" },
    { "guesses-an-id", "L01", "last%-event%-id: expected nil, got 0" },
    { "never-gives-up", "H09", "2 requests, where 1 were due" },
  }

  for _, row in ipairs(FOUND) do
    it("finds the fault " .. row[1], function()
      local service = start("spec/contract/faulty_service.lua", row[1])
      local outcome, problem = run.one(check_titled(row[2]), service.url, watch(service))
      service:stop()
      uv.run()
      assert.equal("failed", outcome)
      assert.matches(row[3], problem)
    end)
  end

  it("finds the fault deaf, when the window is over", function()
    local service = start("spec/contract/faulty_service.lua", "deaf")
    local outcome, problem = run.one(check_titled("F01 F24"), service.url, { window_ms = 500 })
    service:stop()
    uv.run()
    assert.equal("failed", outcome)
    assert.matches("did not come within 500 ms", problem)
  end)

  it("skips what the service does not claim to do", function()
    local service = start("spec/contract/faulty_service.lua", "comments-unasked")
    local outcome, reason = run.one(check_titled("H04"), service.url, watch(service))
    service:stop()
    uv.run()
    assert.same({ "skipped", "headers" }, { outcome, reason })
  end)

  it("is a program that prints TAP and counts", function()
    local service = start("spec/contract/service.lua", "--port", "0")
    local harness = child.start("spec/contract/harness.lua", service.url, "--only", "P13"):await_end()
    service:stop()
    uv.run()
    assert.equal(0, harness.code)
    assert.matches("^ok 1 %- P13 .-\n", harness.output)
    assert.matches("\n1%.%.%d+\n%d+ passed, 0 failed, 0 skipped\n$", harness.output)
  end)

  it("is a program that fails when a check does", function()
    local service = start("spec/contract/faulty_service.lua", "no-ids")
    local harness = child.start("spec/contract/harness.lua", service.url, "--only", "F15 I14"):await_end()
    service:stop()
    uv.run()
    assert.equal(1, harness.code)
    assert.matches("^not ok 1 %- F15 I14.-\n  # id of an event: expected abc, got \n", harness.output)
    assert.matches("\n1%.%.1\n0 passed, 1 failed, 0 skipped\n$", harness.output)
  end)
end)
