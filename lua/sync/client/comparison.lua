-- Mode `compare` as users see it: what the stream and polls disagree on, and whether the stream can be trusted alone. The
-- engine tells what each of them said, in the order in which it happened; drift.lua judges. Methods of sync.Client.

local core = require "sync.core"
local drift = require "sync.drift"
local same = require "sync.drift.comparison".same

local methods = {}

-- The members of an order that may tell which of two states is the newer one, the best one first.
local VERSION_NAMES = { "version", "sequence", "seq", "updatedAt" }

---@class sync.Comparison
---@field drift sync.Drift
---@field given table the option `compare`, as it was when this began
---@field is_on boolean the mode still is compare
---@field at_ms number when what is being told happened, on the loop's clock
---@field version_names {stream: string|nil, poll: string|nil} which of them each source has; one member, for those of
--- different kinds cannot be compared

-- ---- what the engine tells -----------------------------------------------------------------------------------------

local function number_of(value)
  if type(value) == "string" then return tonumber(value) or core.time_ms(value) end
  return type(value) == "number" and value or nil
end

local function find_version_name(fields)
  for _, name in ipairs(VERSION_NAMES) do
    if number_of(fields[name]) then return name end
  end
end

local function version_of(watch, source, fields)
  local name = watch.version_names[source] or find_version_name(fields)
  watch.version_names[source] = name
  return name and number_of(fields[name])
end

local function fields_of(signal)
  return core.decode(signal.text) or {} -- an event may say no more than that there is such an order
end

local TOLD = {}

function TOLD.heard(watch, signal)
  if not signal.order_id then return watch.drift:stream_opened(false) end
  local fields = fields_of(signal)
  watch.drift:heard(signal.order_id, {
    fields = fields, version = version_of(watch, "stream", fields), deleted = signal.deleted,
  })
end

function TOLD.asked(watch)
  watch.drift:begin_poll()
end

-- A stream of one order says nothing of the others.
local function is_streamed(options, order_id)
  local only = options.order_id
  return only == nil or only == "*" or only == "" or only == order_id
end

function TOLD.listed(watch, signal, options)
  if not signal.order_id then return watch.drift:end_poll() end
  if not is_streamed(options, signal.order_id) then return end
  local fields = fields_of(signal)
  watch.drift:listed(signal.order_id, { fields = fields, version = version_of(watch, "poll", fields) })
end

function TOLD.state(watch, signal)
  if signal.to == "connected" then
    watch.drift:stream_opened(signal.resumed == true)
  elseif signal.from == "connected" then
    watch.drift:stream_lost()
  end
end

--- The engine tells this.
---@param signal table
function methods:compare(signal)
  local watch = self.comparison
  if not watch or not watch.is_on then return end
  watch.at_ms = signal.at_ms or watch.at_ms
  TOLD[signal.kind](watch, signal, self.options)
end

-- ---- begun and ended -----------------------------------------------------------------------------------------------

local function new_comparison(self, given)
  local watch = { given = given, is_on = false, at_ms = self.loop:clock_ms(), version_names = {} }
  watch.drift = drift.new {
    now = function() return watch.at_ms end, epoch_ms = function() return self.loop:wall_ms() end,
    settle_ms = given.settle_ms, ignore = type(given.ignore) == "string" and { given.ignore } or given.ignore,
    limit = self.options.book_limit,
  }
  return watch
end

local function begin(self)
  local given = self.options.compare or {}
  local watch = self.comparison
  if not watch or not same(watch.given, given) then watch = new_comparison(self, given) end
  if watch.is_on then return end
  self.comparison, watch.is_on = watch, true
  if self:health().is_connected then watch.drift:stream_opened(false) end
end

--- The options are new. What has been found is kept when the mode is another one, and gone on with when it comes back.
---@param mode string
function methods:follow_mode(mode)
  if mode == "compare" then return begin(self) end
  local watch = self.comparison
  if not watch or not watch.is_on then return end
  watch.is_on = false
  watch.drift:stream_lost()
end

-- ---- what users ask for --------------------------------------------------------------------------------------------

local function nothing_compared()
  return nil, "OPTION: nothing has been compared: the mode is not \"compare\"", "OPTION"
end

--- What the stream and polls disagree on, by class, and how far ahead the stream is; no I/O. A client that has left mode
--- compare, or is closed, tells what it found before.
---@return sync.DriftReport|nil, string|nil message, string|nil code
function methods:drift()
  if not self.comparison then return nothing_compared() end
  return self.comparison.drift:report()
end

--- Whether the stream can be trusted alone: it was compared for so many hours and events without a difference.
---@param given? {hours: number|nil, events: integer|nil} default 24 and 1000
---@return boolean|nil ready
---@return string[]|string|nil doubts why not, each a sentence; with nil, a message
---@return string|nil code
function methods:ready_to_switch(given)
  if not self.core then return self.closed() end
  if not self.comparison then return nothing_compared() end
  local judge = self.comparison.drift
  local ok, ready, doubts = pcall(judge.ready, judge, given)
  if not ok then error("client:" .. ready, 2) end
  return ready, doubts
end

return methods
