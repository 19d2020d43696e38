--- What came of a day: its events against the table of effects, the server's orders against the client's.

local audit = {}

---Hold a table of effects against the events of a day.
---@param count integer events of the day, which are numbered from 1
---@param entries {number: integer, order_id: string}[] the effects in the order in which they happened
---@return {lost: integer, doubled: integer, out_of_order: integer}
function audit.effects(count, entries)
  local findings = { lost = count, doubled = 0, out_of_order = 0 }
  local seen, latest = {}, {}
  for _, entry in ipairs(entries) do
    if seen[entry.number] then
      findings.doubled = findings.doubled + 1
    else
      seen[entry.number] = true
      findings.lost = findings.lost - 1
      if entry.number < (latest[entry.order_id] or 0) then findings.out_of_order = findings.out_of_order + 1 end
      latest[entry.order_id] = math.max(entry.number, latest[entry.order_id] or 0)
    end
  end
  return findings
end

local function same(a, b)
  if type(a) ~= "table" or type(b) ~= "table" then return a == b end
  for name, value in pairs(a) do
    if not same(value, b[name]) then return false end
  end
  for name in pairs(b) do
    if a[name] == nil then return false end
  end
  return true
end

-- How the client came by an order is its own affair.
local CLIENTS_OWN = { as_of = true, source = true, stale = true }

local function by_id(orders)
  local map = {}
  for _, order in ipairs(orders) do
    local members = {}
    for name, value in pairs(order) do
      if not CLIENTS_OWN[name] then members[name] = value end
    end
    map[order.orderID] = members
  end
  return map
end

---Hold an order book against the server's orders.
---@param theirs table[] as the server's snapshot has them
---@param ours table[] as client:orders() gives them
---@return integer differences how many orders differ
function audit.books(theirs, ours)
  local differences, expected, found = 0, by_id(theirs), by_id(ours)
  for id, order in pairs(expected) do
    if not same(order, found[id]) then differences = differences + 1 end
  end
  for id in pairs(found) do
    if not expected[id] then differences = differences + 1 end
  end
  return differences
end

return audit
