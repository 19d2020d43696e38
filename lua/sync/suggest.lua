-- Which known name did somebody mean? For messages about unknown names.

local suggest = {}

-- Optimal string alignment distance: inserted, deleted, changed and swapped letters each count one.
local function distance(a, b)
  local before, previous, current = {}, {}, {}
  for j = 0, #b do previous[j] = j end
  for i = 1, #a do
    current[0] = i
    for j = 1, #b do
      local cost = a:byte(i) == b:byte(j) and 0 or 1
      local best = math.min(previous[j] + 1, current[j - 1] + 1, previous[j - 1] + cost)
      local swapped = i > 1 and j > 1 and a:byte(i) == b:byte(j - 1) and a:byte(i - 1) == b:byte(j)
      if swapped then best = math.min(best, before[j - 2] + 1) end
      current[j] = best
    end
    before, previous, current = previous, current, before
  end
  return previous[#b]
end

--- The known name nearest to `name`, if it is near: at most a third of its letters differ, and at least one may.
---@param name string
---@param known string[]
---@return string|nil
function suggest.nearest(name, known)
  local best, best_distance = nil, math.max(1, math.floor(#name / 3)) + 1
  for _, candidate in ipairs(known) do
    local d = distance(name:lower(), candidate:lower())
    if d < best_distance then best, best_distance = candidate, d end
  end
  return best
end

--- " (did you mean 'NAME'?)", or "" where nothing is near.
---@param name string
---@param known string[]
---@return string
function suggest.hint(name, known)
  local nearest = suggest.nearest(name, known)
  return nearest and (" (did you mean '%s'?)"):format(nearest) or ""
end

return suggest
