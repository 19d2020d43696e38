-- Whether two decoded JSON values say the same. That is not `==`: objects are compared by what is in them, and a member
-- that is null is one that is not there, for servers leave it out or write it as they please.

local comparison = {}

-- JSON's null is the only userdata that decoding makes.
local function value_of(value)
  if type(value) == "userdata" then return nil end
  return value
end

local function holds(a, b)
  for key, value in pairs(a) do
    if not comparison.same(value, b[key]) then return false end
  end
  return true
end

---@param a any
---@param b any
---@return boolean
function comparison.same(a, b)
  a, b = value_of(a), value_of(b)
  if type(a) ~= "table" or type(b) ~= "table" then return a == b end
  return a == b or (holds(a, b) and holds(b, a))
end

--- Whether a value says nothing: it is not there, or null.
---@param value any
---@return boolean
function comparison.is_absent(value)
  return value_of(value) == nil
end

return comparison
