--- The table of effects: what the shop has done, one line each, in the order in which it was done. The user's own file,
-- not the journal's; it stands for the printer.
--
-- A line is one write(2) to a file opened with O_APPEND: it is there or it is not, whenever the process dies.

local uv = require "luv"

local effect_table = {}

---@class spec.torture.EffectTable
---@field path string
---@field file integer descriptor
local EffectTable = {}
EffectTable.__index = EffectTable

---@param path string
---@return spec.torture.EffectTable
function effect_table.open(path)
  return setmetatable({ path = path, file = assert(uv.fs_open(path, "a", 420)) }, EffectTable) -- 0644
end

---Enter an effect.
---@param number integer of the event: its place in the day
---@param order_id string
function EffectTable:enter(number, order_id)
  assert(uv.fs_write(self.file, ("%d %s\n"):format(number, order_id)))
end

---Whether an event's effect is there.
---@param number integer
---@return boolean
function EffectTable:has(number)
  for _, entry in ipairs(effect_table.read(self.path)) do
    if entry.number == number then return true end
  end
  return false
end

---What is in a table, oldest first; nothing, if it was never opened.
---@param path string
---@return {number: integer, order_id: string}[]
function effect_table.read(path)
  local entries = {}
  local file = io.open(path, "r")
  if not file then return entries end
  for line in file:lines() do
    local number, order_id = line:match "^(%d+) (.+)$"
    assert(number, "torn: " .. line)
    entries[#entries + 1] = { number = tonumber(number), order_id = order_id }
  end
  file:close()
  return entries
end

return effect_table
