-- Which part of many terminals does something new: a stable hash of a terminal's key, so that a terminal that was chosen
-- stays chosen when the percentage grows, on every VM and after every restart.

local suggest = require "sync.suggest"

local rollout = {}

local NAMES = { "key", "percent" }

-- ---- the hash ------------------------------------------------------------------------------------------------------

-- FNV-1a of Fowler, Noll and Vo, 32 bits (draft-eastlake-fnv). Lua 5.1 has no bit operators, and its numbers are exact up
-- to 2^53 only.
local OFFSET_BASIS = 2166136261
local PRIME_LOW = 403 -- the prime is 2^24 + 403
local TWO_24, TWO_32 = 16777216, 4294967296

local XOR = {} -- of two numbers of 4 bits: XOR[16 * a + b]
for a = 0, 15 do
  for b = 0, 15 do
    local sum, bit, rest_a, rest_b = 0, 1, a, b
    for _ = 1, 4 do
      if rest_a % 2 ~= rest_b % 2 then sum = sum + bit end
      rest_a, rest_b, bit = math.floor(rest_a / 2), math.floor(rest_b / 2), 2 * bit
    end
    XOR[16 * a + b] = sum
  end
end

local function xor_bytes(a, b)
  local low_a, low_b = a % 16, b % 16
  return XOR[(a - low_a) + (b - low_b) / 16] * 16 + XOR[16 * low_a + low_b]
end

--- The hash FNV-1a of a text, 32 bits.
---@param text string
---@return integer
function rollout.hash(text)
  local hash = OFFSET_BASIS
  for index = 1, #text do
    local low = hash % 256
    hash = hash - low + xor_bytes(low, text:byte(index))
    hash = ((hash % 256) * TWO_24 + hash * PRIME_LOW) % TWO_32
  end
  return hash
end

-- ---- the choice ----------------------------------------------------------------------------------------------------

local function fail(path, text, ...)
  error(("%s: " .. text):format(path, ...), 0)
end

--- Checks {percent =, key =}. Raises for an unknown name or a wrong value.
---@param given {percent: number, key: string}
---@param path? string of the option, default "rollout"
---@return {percent: number, key: string} given
function rollout.check(given, path)
  path = path or "rollout"
  if type(given) ~= "table" then fail(path, "expected a table, got a %s", type(given)) end
  for name in pairs(given) do
    if name ~= "percent" and name ~= "key" then
      fail(path .. "." .. tostring(name), "unknown option%s", suggest.hint(tostring(name), NAMES))
    end
  end
  local percent, key = given.percent, given.key
  if type(percent) ~= "number" or not (percent >= 0 and percent <= 100) then
    fail(path .. ".percent", "expected a number from 0 to 100, got %s", tostring(percent))
  end
  if type(key) ~= "string" or key == "" then
    fail(path .. ".key", "expected a string that is not empty, got %s", key == "" and '""' or "a " .. type(key))
  end
  return given
end

--- Where a key lies: from 0 to 99.99, in steps of a hundredth.
---@param key string
---@return number
function rollout.position(key)
  return rollout.hash(key) % 10000 / 100
end

--- Whether a key belongs to the first `percent` of all keys. Of one key, the answer changes once at most as `percent` grows.
---@param given {percent: number, key: string}
---@return boolean
function rollout.chosen(given)
  rollout.check(given)
  return rollout.position(given.key) < given.percent
end

return rollout
