--- redact: what must not touch the disk is in none of the journal's files, at any time.

local shop = require "spec.support.shop"

local SECRET = "5550142"

local place

before_each(function() place = shop.new() end)
after_each(function() place:close() end)

-- All that a journal keeps, with the secret in it: events, orders of a snapshot, a dead letter.
local function keep_everything(redact)
  local mock = place:open { redact = redact, polling = { url = "/api/v1/orders" } }
  mock:snapshot { { orderID = "A", orderStage = "open", whatsappNumber = "+1" .. SECRET } }
  mock:advance()
  local heard
  mock.client:subscribe(function(event)
    heard = event.data.order.whatsappNumber
    error "no paper"
  end)
  mock:emit {
    type = "order_created", order_id = "B", id = "1",
    data = { order = { orderID = "B", orderStage = "open", whatsappNumber = "+1" .. SECRET, whatsappLinked = true } },
  }
  return mock, heard
end

describe("redact", function()
  it("keeps a member's values from the disk, and nowhere else", function()
    local mock, heard = keep_everything { "whatsappNumber" }
    assert.equal("+1" .. SECRET, heard)
    assert.equal("+1" .. SECRET, mock.client:order("A").whatsappNumber)
    assert.is_nil(place:bytes():find(SECRET, 1, true))
    assert.truthy(place:bytes():find("whatsappLinked", 1, true))
    mock:close()
    assert.is_nil(place:bytes():find(SECRET, 1, true))
    mock = place:open { redact = "whatsappNumber", auto_connect = false }
    assert.equal("[redacted]", mock.client:order("B").whatsappNumber)
    assert.equal("[redacted]", mock.client:dead_letters()[1].data.order.whatsappNumber)
  end)

  it("is what keeps it: without, it is there", function()
    local mock = keep_everything(nil)
    assert.truthy(place:bytes():find(SECRET, 1, true))
    mock:close()
  end)
end)
