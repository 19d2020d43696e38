--- Text from strangers made fit for a terminal: what may be shown, how wide it is, where to cut it.
-- Pure functions on UTF-8; colours are the terminal's matter. A server that writes escape sequences into an order id must
-- not move the cursor, retitle the window or turn a line around: whatever is not plain is written out as an escape.

local text = {}

local NAMED = { ["\t"] = "\\t", ["\n"] = "\\n", ["\r"] = "\\r" }

-- The smallest code point of a sequence by its length: a smaller one is overlong, which terminals decode all the same.
local LEAST = { 0x80, 0x800, 0x10000 }

-- Code points that act instead of being seen: C1 controls, direction marks and overrides, line separators, and those
-- that UTF-8 may not encode at all.
local HIDDEN = {
  { 0x80, 0x9F }, { 0x61C, 0x61C }, { 0x200E, 0x200F }, { 0x2028, 0x202E }, { 0x2066, 0x2069 }, { 0xD800, 0xDFFF },
  { 0xFEFF, 0xFEFF }, { 0x110000, 0x1FFFFF },
}

-- Two columns wide (Unicode Standard Annex 11, wide and full width, by block), and none.
local WIDE = {
  { 0x1100, 0x115F }, { 0x2E80, 0x303E }, { 0x3041, 0xA4CF }, { 0xAC00, 0xD7A3 }, { 0xF900, 0xFAFF },
  { 0xFE30, 0xFE6F }, { 0xFF00, 0xFF60 }, { 0xFFE0, 0xFFE6 }, { 0x1F300, 0x1F64F }, { 0x1F680, 0x1F6FF },
  { 0x1F900, 0x1FAFF }, { 0x20000, 0x3FFFD },
}
local NARROWEST = { { 0x300, 0x36F }, { 0x200B, 0x200D }, { 0x20D0, 0x20FF }, { 0xFE00, 0xFE0F } }

local function is_in(ranges, code_point)
  for _, range in ipairs(ranges) do
    if code_point < range[1] then return false end
    if code_point <= range[2] then return true end
  end
  return false
end

-- How many bytes follow a first byte; nil: it begins nothing.
local function following(lead)
  if lead < 0xC2 or lead > 0xF4 then return nil end
  return lead < 0xE0 and 1 or lead < 0xF0 and 2 or 3
end

local function code_point_of(sequence)
  local lead = sequence:byte()
  if lead < 0x80 then return lead end
  local code_point = lead % 2 ^ (7 - #sequence)
  for index = 2, #sequence do code_point = code_point * 64 + sequence:byte(index) % 64 end
  return code_point
end

-- A first byte with all the continuation bytes behind it: a character, or bytes that no terminal should get.
local function show_sequence(sequence)
  local count = following(sequence:byte())
  if not count or #sequence <= count then
    return (sequence:gsub(".", function(byte) return ("\\x%02x"):format(byte:byte()) end))
  end
  local character, rest = sequence:sub(1, count + 1), sequence:sub(count + 2)
  local code_point = code_point_of(character)
  if code_point < LEAST[count] or is_in(HIDDEN, code_point) then character = ("\\u{%x}"):format(code_point) end
  return character .. (rest == "" and "" or show_sequence(rest))
end

---What a terminal may get: one line, without control characters, escape sequences or broken UTF-8.
---@param given string
---@return string
function text.printable(given)
  if not given:find("[%c\128-\255]") then return given end
  local shown = given:gsub("%c", function(control)
    return NAMED[control] or ("\\x%02x"):format(control:byte())
  end)
  return (shown:gsub("[\128-\255][\128-\191]*", show_sequence))
end

local function width_of(character)
  local code_point = code_point_of(character)
  if code_point < 0x300 then return 1 end
  return is_in(WIDE, code_point) and 2 or is_in(NARROWEST, code_point) and 0 or 1
end

---Columns that printable text takes.
---@param printable string
---@return integer
function text.width(printable)
  if not printable:find("[\128-\255]") then return #printable end
  local columns = 0
  for character in printable:gmatch("[^\128-\191][\128-\191]*") do columns = columns + width_of(character) end
  return columns
end

---Fill up with spaces.
---@param printable string
---@param columns integer
---@return string
function text.pad(printable, columns)
  return printable .. (" "):rep(columns - text.width(printable))
end

---Cut printable text to a width; three dots say that something is missing.
---@param printable string
---@param columns integer
---@return string
function text.cut(printable, columns)
  if text.width(printable) <= columns then return printable end
  if columns <= 3 then return ("."):rep(columns) end
  local left, bytes = columns - 3, 0
  for character in printable:gmatch("[^\128-\191][\128-\191]*") do
    left = left - width_of(character)
    if left < 0 then break end
    bytes = bytes + #character
  end
  return printable:sub(1, bytes) .. "..."
end

return text
