-- What a shop does with its orders: the script of pos.c, which owns the loop and calls the four functions at the end.

local sync = require "sync"

local url = ...
local client = assert(sync.connect(url))
local receipt -- the last one
local keys = {}

local function amount_of(order_id)
  local order = client:order(order_id)
  local cents = order and order.totalAmount or 0
  return ("%d.%02d"):format(math.floor(cents / 100), cents % 100)
end

client:on_event("order_created", function(event)
  print(("taken: %s, %s"):format(event.order_id, amount_of(event.order_id)))
end)

client:on_stage_change("*", function(event, _, new)
  if new ~= "paid" then return end
  receipt = ("+--- RECEIPT %s\n|    paid %s\n+---"):format(event.order_id, amount_of(event.order_id))
  print(receipt)
end)

client:on_error(function(problem) io.stderr:write(problem.code, ": ", problem.message, "\n") end)

function keys.l()
  local open = client:orders { where = function(order) return order.orderStage ~= "paid" end }
  print(("open: %d"):format(#open))
  for _, order in ipairs(open) do print(("  %s %s, %s"):format(order.orderID, order.orderStage, amount_of(order.orderID))) end
end

function keys.r()
  print(receipt or "no receipt yet")
end

function keys.q()
  client:close()
end

local function is_open()
  return client:health().state == "closed" and 0 or 1
end

return {
  fd = sync.fd,
  timeout_ms = sync.timeout_ms,
  step = function(budget_ms)
    assert(sync.step(0, budget_ms))
    return is_open()
  end,
  key = function(byte)
    local press = keys[string.char(byte)]
    if press then press() end -- the end of a line is a key as well
    return is_open()
  end,
}
