-- The workers' bells, in shared memory: whoever has news for all rings each. A worker's bell is its waker
-- (src/waker.c).

---@class sync.resty.Bells
---@field private dict table
---@field private waker userdata
---@field private ttl_s number
---@field private number integer of our own bell
---@field private first integer no bell with a lower number is left
---@field private names table<integer, string> that are rung, by number; ours is not among them
---@field private known integer up to this number we have looked
local Bells = {}
Bells.__index = Bells

local bells = {}

---@param dict table
---@param waker userdata
---@param ttl_ms integer what is not renewed for so long is of a worker that is gone
---@return sync.resty.Bells
function bells.new(dict, waker, ttl_ms)
  local self = setmetatable({
    dict = dict, waker = waker, ttl_s = ttl_ms / 1000, first = dict:get "bells:first" or 1, names = {}, known = 0,
  }, Bells)
  self.number = dict:incr("bells", 1, 0)
  self:renew()
  return self
end

local function key(number) return "bell:" .. number end

-- Looks at the numbers from `number` on.
local function look(self, number)
  for other = number, self.dict:get "bells" or 0 do
    if other ~= self.number then self.names[other] = self.dict:get(key(other)) end
    self.known = other
  end
end

--- Says that this worker lives, and sees who else does.
function Bells:renew()
  self.dict:set(key(self.number), self.waker:name(), self.ttl_s)
  while self.first < self.number and not self.dict:get(key(self.first)) do self.first = self.first + 1 end
  if self.first > (self.dict:get "bells:first" or 1) then self.dict:set("bells:first", self.first) end
  self.names = {}
  look(self, self.first)
end

--- Takes the bell down.
function Bells:remove()
  self.dict:delete(key(self.number))
end

--- Rings all the others.
function Bells:ring()
  if self.dict:get "bells" ~= self.known then look(self, self.known + 1) end
  for number, name in pairs(self.names) do
    if not self.waker:ring(name) then self.names[number] = nil end
  end
end

--- The numbers of the bells of workers that live, this one's included.
---@return integer[]
function Bells:numbers()
  local numbers = { self.number }
  for number in pairs(self.names) do numbers[#numbers + 1] = number end
  table.sort(numbers)
  return numbers
end

return bells
