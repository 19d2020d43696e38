-- Events that handlers could not do: to be looked at, delivered again or forgotten. Methods of sync.Client.

local checks = require "sync.client.checks"
local core = require "sync.core"
local decoder = require "sync.decoder"

local methods = {}

-- ---- what is in a letter -------------------------------------------------------------------------------------------

-- As an event's `data`: of the order wire the member that has it, if there is one.
local function data_of(options, raw)
  local value = core.decode(raw)
  if options.decode == "json" or type(value) ~= "table" then return value end
  local data = value[options.fields and options.fields.data or "data"]
  if data == nil then return value end
  return data
end

local function complete(self, letter)
  local decode = self.options.decode
  if type(decode) == "function" then
    pcall(decoder.apply, decode, letter)
  else
    letter.data = decode ~= "none" and data_of(self.options, letter.raw) or letter.raw
  end
  return letter
end

local function number_of(method, letter)
  local number = type(letter) == "table" and letter.number or letter
  if type(number) ~= "number" or number < 1 or number % 1 ~= 0 then -- not-a-number, too
    checks.misuse(method, "expected a dead letter, or its number")
  end
  return number
end

-- ---- what users say ------------------------------------------------------------------------------------------------

--- The dead letters, the oldest first: `number`, `problem` (what the handler said last), `attempts`, `failed_at` (milliseconds
--- since the epoch), `wanted` (it is to be delivered again), and of the event `seq`, `id`, `type`, `order_id`, `data` and `raw`.
---@return sync.DeadLetter[]|nil, string|nil message, string|nil code NO_JOURNAL, or why the journal cannot be read
function methods:dead_letters()
  if not self.core then return self.closed() end
  local letters, message, code = self.core:dead_letters()
  if not letters then return nil, message, code end
  for _, letter in ipairs(letters) do complete(self, letter) end
  return letters
end

--- Delivers a dead letter again, or all of them, as an event that is redelivered, to every handler that wants it: what
--- must not happen twice is for once(). It is a dead letter no more when its handlers have returned.
---@param letter? sync.DeadLetter|integer nil: all
---@return true|nil, string|nil message, string|nil code
function methods:redeliver(letter)
  local number = letter == nil and 0 or number_of("redeliver", letter)
  if not self.core then return self.closed() end
  return self.core:redeliver(number)
end

--- Forgets a dead letter: the event counts as done.
---@param letter sync.DeadLetter|integer
---@return true|nil, string|nil message, string|nil code
function methods:forget(letter)
  local number = number_of("forget", letter)
  if not self.core then return self.closed() end
  return self.core:forget_dead(number)
end

return methods
