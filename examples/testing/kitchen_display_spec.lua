-- How a program that uses ordersync is tested: busted, the real client, no server, no waiting. CI runs it.

local kitchen_display = require "kitchen_display"
local testing = require "sync.testing"

describe("the kitchen display", function()
  local mock, lines

  before_each(function()
    mock, lines = testing.new(), {}
    kitchen_display.start(mock.client, function(line) lines[#lines + 1] = line end)
  end)

  after_each(function() mock:close() end)

  it("prints each new order once", function()
    mock:emit { type = "order_created", order_id = "ORDER-1" }
    mock:emit { type = "order_created", order_id = "ORDER-1" }
    mock:emit { type = "order_created", order_id = "ORDER-2" }
    assert.same({ "ONLINE", "TICKET ORDER-1", "TICKET ORDER-2" }, lines)
    assert.same({}, mock.errors)
  end)

  it("prints what is paid, and nothing of other stages", function()
    mock:emit { type = "stage_change", order_id = "ORDER-1", data = { newStage = "billed" } }
    mock:emit { type = "stage_change", order_id = "ORDER-1", data = { newStage = "paid" } }
    assert.same({ "ONLINE", "PAID ORDER-1" }, lines)
  end)

  it("warns while the server is away, and resumes where it was", function()
    mock:emit { type = "order_created", order_id = "ORDER-1", id = "1" }
    mock:status(503, { retry_after_ms = 20000 })
    mock:drop()
    assert.equal("OFFLINE", lines[#lines])
    mock:advance(60000)
    assert.equal("ONLINE", lines[#lines])
    assert.equal("1", mock.requests[#mock.requests].last_event_id)
  end)
end)
