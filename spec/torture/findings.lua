--- What plays have come to, added up, and the line that says it.

local findings = {}

local NAMES = { "kills", "events", "lost", "doubled", "out_of_order", "book_differs" }

---@class spec.torture.Findings
---@field kills integer
---@field events integer
---@field lost integer events that took no effect
---@field doubled integer effects beyond the first of an event
---@field out_of_order integer effects behind one of a later event of the same order
---@field book_differs integer orders that the server has otherwise than the client

---@return spec.torture.Findings
function findings.none()
  return { kills = 0, events = 0, lost = 0, doubled = 0, out_of_order = 0, book_differs = 0 }
end

---@param sum spec.torture.Findings what others are added to
---@param other spec.torture.Findings
function findings.add(sum, other)
  for _, name in ipairs(NAMES) do sum[name] = sum[name] + other[name] end
end

---@param found spec.torture.Findings
---@return boolean
function findings.are_clean(found)
  return found.lost + found.doubled + found.out_of_order + found.book_differs == 0
end

---@param found spec.torture.Findings
---@return string
function findings.line(found)
  local words = {}
  for index, name in ipairs(NAMES) do words[index] = ("%s %d"):format(name:gsub("_", " "), found[name]) end
  return table.concat(words, ", ")
end

return findings
