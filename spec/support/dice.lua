--- Random numbers that are the same on every VM and in every run: a spec that fails by chance fails again.
--
-- The minimal standard generator of Park and Miller (1988); its products stay below 2^53, so a double holds them.

local dice = {}

---@class spec.support.Dice
---@field state integer
local Dice = {}
Dice.__index = Dice

---@param seed integer 1 or more
---@return spec.support.Dice
function dice.new(seed)
  local self = setmetatable({ state = seed }, Dice)
  for _ = 1, 8 do self:fraction() end -- the first numbers of small seeds are alike
  return self
end

---@return number # 0 <= it < 1
function Dice:fraction()
  self.state = self.state * 16807 % 2147483647
  return self.state / 2147483647
end

---A whole number from `low` to `high`, both included.
---@param low integer
---@param high integer
---@return integer
function Dice:between(low, high)
  return low + math.floor(self:fraction() * (high - low + 1))
end

---@param probability number
---@return boolean
function Dice:chance(probability)
  return self:fraction() < probability
end

---@generic T
---@param list T[]
---@return T
function Dice:pick(list)
  return list[self:between(1, #list)]
end

return dice
