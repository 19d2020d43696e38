--- A gzip stream that is flushed after every write, in plain Lua: the data goes into "stored" blocks.
-- It does not compress. It is there to prove that a client undoes a content coding, and that needs only the format:
-- RFC 1952 (gzip) around RFC 1951, section 3.2.4 (stored blocks end on a byte, so each write can be decoded at once).

local gzip = {}

local STORED_BYTES = 65535 -- the length of a stored block has 16 bits
local TWO_32 = 2 ^ 32

-- The operator of Lua 5.3+ does not parse on LuaJIT, and LuaJIT's `bit` is not in Lua.
local has_bit, bit = pcall(require, "bit")
local xor = has_bit and bit.bxor or load("return function(a, b) return a ~ b end")()

local function shift_right(value, bits)
  return math.floor(value / 2 ^ bits)
end

local crc_table = {}
for byte = 0, 255 do
  local value = byte
  for _ = 1, 8 do
    local half = shift_right(value, 1)
    value = value % 2 == 1 and xor(half, 0xEDB88320) % TWO_32 or half
    value = math.floor(value) -- `%` with a float gives a float, which `~` takes only while it is whole
  end
  crc_table[byte] = value
end

---CRC-32 as gzip has it (RFC 1952, section 8).
---@param text string
---@param crc integer|nil of what came before
---@return integer
function gzip.crc32(text, crc)
  local value = xor(crc or 0, 0xFFFFFFFF) % TWO_32
  for index = 1, #text do
    local slot = xor(value % 256, text:byte(index)) % 256
    value = xor(crc_table[slot], shift_right(value, 8)) % TWO_32
  end
  return math.floor(xor(value, 0xFFFFFFFF) % TWO_32)
end

local function little_endian(value, bytes)
  local out = {}
  for index = 1, bytes do
    out[index] = string.char(value % 256)
    value = math.floor(value / 256)
  end
  return table.concat(out)
end

local function stored_block(text, is_final)
  return string.char(is_final and 1 or 0) .. little_endian(#text, 2) .. little_endian(65535 - #text, 2) .. text
end

---@class sync.server.Gzip
local Gzip = {}
Gzip.__index = Gzip

---@return sync.server.Gzip
function gzip.new()
  return setmetatable({ crc = 0, bytes = 0 }, Gzip)
end

---The ten bytes that begin a gzip stream: deflate, no name, no time, unknown system.
gzip.header = "\31\139\8\0\0\0\0\0\0\255"

---Encode text so that the reader has all of it.
---@param text string
---@return string
function Gzip:encode(text)
  self.crc, self.bytes = gzip.crc32(text, self.crc), self.bytes + #text
  local blocks = {}
  for first = 1, #text, STORED_BYTES do
    blocks[#blocks + 1] = stored_block(text:sub(first, first + STORED_BYTES - 1), false)
  end
  return table.concat(blocks)
end

---The end: an empty final block, the checksum and the length.
---@return string
function Gzip:finish()
  return stored_block("", true) .. little_endian(self.crc, 4) .. little_endian(self.bytes, 4)
end

return gzip
