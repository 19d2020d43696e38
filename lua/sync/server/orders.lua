--- The state of every order, made from the events, and the snapshots of it.
-- It sends nothing; JSON is made only when somebody asks, so that an event costs a few assignments.

local cjson = require "cjson"

local orders = {}

---@class sync.server.Orders
local Orders = {}
Orders.__index = Orders

---@param tag string makes the ETags of this collection differ from those of any other
---@return sync.server.Orders
function orders.new(tag)
  return setmetatable({ tag = tag, version = 0, by_id = {}, ids = {} }, Orders)
end

-- What each type of event says about an order; the keys are those of the design, newest spelling first.
local rules = {
  stage_change = { field = "orderStage", from = { "newStage", "orderStage" } },
  payment_update = { field = "paymentStatus", from = { "newStatus", "paymentStatus" } },
  status_update = { field = "overallStatus", from = { "newStatus", "overallStatus", "status" } },
  qr_generated = { field = "qrCodeGenerated", always = true },
  whatsapp_connected = { field = "whatsappLinked", always = true },
  order_created = {},
}
rules.order_stage_change = rules.stage_change

local function new_order(id, timestamp)
  return {
    orderID = id, orderStage = "empty", paymentStatus = "pending", overallStatus = "pending", totalAmount = 0,
    qrCodeGenerated = false, whatsappLinked = false, createdAt = timestamp, updatedAt = timestamp,
  }
end

function Orders:obtain(id, timestamp)
  local order = self.by_id[id]
  if not order then
    order = new_order(id, timestamp)
    self.by_id[id] = order
    self.ids[#self.ids + 1] = id
  end
  return order
end

function Orders:remove(id)
  if not self.by_id[id] then return end
  self.by_id[id] = nil
  for index, known in ipairs(self.ids) do
    if known == id then return table.remove(self.ids, index) end
  end
end

local function merge(order, patch)
  if type(patch) ~= "table" then return end
  for name, value in pairs(patch) do
    if name ~= "orderID" then order[name] = value end
  end
end

local function apply_rule(order, rule, data)
  if rule.always ~= nil then order[rule.field] = rule.always end
  for _, name in ipairs(rule.from or {}) do
    if data[name] ~= nil then
      order[rule.field] = data[name]
      return
    end
  end
end

---Take an event in. Events without an order, and types that say nothing about one, change nothing.
---@param event table `{type, order_id, data, timestamp}`
function Orders:apply(event)
  local id, rule = event.order_id, rules[event.type]
  local data = type(event.data) == "table" and event.data or {}
  if not id then return end
  if event.type == "order_deleted" then
    self:remove(id)
  elseif rule or type(data.order) == "table" then
    local order = self:obtain(id, event.timestamp)
    merge(order, data.order)
    if rule then apply_rule(order, rule, data) end
    order.updatedAt = event.timestamp
  else
    return
  end
  self.version = self.version + 1
end

---How many orders there are.
---@return integer
function Orders:count()
  return #self.ids
end

---One order as JSON.
---@param id string
---@return string|nil
function Orders:json(id)
  local order = self.by_id[id]
  return order and cjson.encode(order)
end

---All orders, oldest first.
---@return string json `{"docs":[...]}`
---@return string etag changes with every change (RFC 9110, section 8.8.3)
function Orders:snapshot()
  if self.snapshot_version ~= self.version then
    local docs = {}
    for index, id in ipairs(self.ids) do docs[index] = self:json(id) end
    self.snapshot_json = '{"docs":[' .. table.concat(docs, ",") .. "]}" -- cjson would write an empty list as {}
    self.snapshot_version = self.version
  end
  return self.snapshot_json, ('"%s-%d"'):format(self.tag, self.version)
end

return orders
