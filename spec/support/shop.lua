--- A shop's terminal over several days: each day a client of its own, without network and on a clock of its own
-- (sync.testing), all on one file. What was on disk at the end of a day is what the next one begins with.

local directory = require "spec.support.directory"
local testing = require "sync.testing"

local shop = {}

---@class spec.support.Shop
---@field path string of the journal
---@field directory spec.support.Directory
---@field mocks sync.Mock[]
local Shop = {}
Shop.__index = Shop

---@return spec.support.Shop
function shop.new()
  local folder = directory.new()
  return setmetatable({ directory = folder, path = folder:of "orders.db", mocks = {} }, Shop)
end

---A new day: a client on the same file. The one before must have been closed.
---@param options table|nil of sync.connect
---@return sync.Mock
function Shop:open(options)
  local complete = { persistence = self.path }
  for name, value in pairs(options or {}) do complete[name] = value end
  local mock = testing.new(complete)
  table.insert(self.mocks, mock)
  return mock
end

---An order is billed, which the server tells with an id of its own.
---@param mock sync.Mock
---@param number integer
function shop.bill(mock, number)
  mock:emit {
    type = "stage_change", order_id = ("ORDER-%d"):format(number), id = tostring(number),
    data = { previousStage = "open", newStage = "billed", number = number },
  }
end

---A list that a handler of every order event fills with the events' numbers.
---@param mock sync.Mock
---@return integer[]
function shop.numbers(mock)
  local list = {}
  mock.client:subscribe(function(event) list[#list + 1] = event.data.number end)
  return list
end

---What the files of the journal hold, its log included.
---@return string bytes
function Shop:bytes()
  local bytes = ""
  for _, suffix in ipairs { "", "-wal" } do
    local file = io.open(self.path .. suffix, "rb")
    if file then
      bytes = bytes .. file:read "*a"
      file:close()
    end
  end
  return bytes
end

---Close everything and remove the files.
function Shop:close()
  for _, mock in ipairs(self.mocks) do mock:close() end
  self.directory:close()
end

return shop
