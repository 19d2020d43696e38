-- How long to wait before something that has failed is tried again: full jitter under a ceiling that doubles, as for
-- reconnects (https://aws.amazon.com/blogs/architecture/exponential-backoff-and-jitter/).

local backoff = {}

---@class sync.Backoff
---@field base_ms integer the first ceiling
---@field cap_ms integer the highest

---@param given sync.Backoff
---@param failures integer so far, in a row: 1 or more
---@param random fun(): number 0 <= it < 1
---@return integer delay_ms
function backoff.delay_ms(given, failures, random)
  local ceiling = math.min(given.cap_ms, given.base_ms * 2 ^ (failures - 1))
  return math.floor(random() * (ceiling + 1))
end

return backoff
