-- What a comparison of stream and polls has found, in numbers that stay bounded however long it runs: differences by
-- class, how far ahead the stream is, and whether that is enough to switch. What a difference is, is decided in drift.lua.

local suggest = require "sync.suggest"

local ledger = {}

---@alias sync.DriftClass
---| "missing_in_stream" polls list an order that the stream never spoke of
---| "missing_in_poll" the stream knows an order that polls do not list
---| "stage_differs"
---| "field_differs"
---| "version_goes_back" a source shows an order older than it did before

---@class sync.Difference
---@field class sync.DriftClass
---@field order_id string
---@field fields table<string, {stream: any, poll: any}>|nil stage_differs, field_differs: what each says
---@field source "stream" | "poll" | nil version_goes_back: which
---@field from number|nil version_goes_back
---@field to number|nil
---@field stood_ms number how long it had been there when it was counted
---@field found_at number milliseconds since the epoch

---@class sync.DriftReport
---@field differences integer
---@field classes table<sync.DriftClass, {count: integer, orders: string[], fields: table<string, integer>}> `orders`: the
--- latest hundred, `fields`: how often each
---@field recent sync.Difference[] the latest hundred, oldest first
---@field lead_ms {p50: number|nil, p99: number|nil, samples: integer} how far ahead the stream is; negative: behind
---@field stream_first integer news that the stream told first
---@field poll_first integer
---@field events integer
---@field polls integer compared
---@field empty_polls integer of these: said nothing that the stream had not said
---@field baselines integer polls that only said which orders there are: the first, and the first after each gap
---@field failed_polls integer
---@field unjudged_polls integer polls while the stream was away
---@field in_flight integer words of polls that were set aside, for the stream was speaking of the same
---@field settled integer suspicions that the stream cleared
---@field pending integer suspicions that there are now
---@field orders integer watched
---@field overflowed boolean there are more orders than are watched
---@field compared_ms number
---@field clean_ms number compared since the last difference
---@field clean_events integer

---@class sync.DriftLedger
---@field counts table<string, integer>
---@field classes table<sync.DriftClass, {count: integer, orders: string[], fields: table<string, integer>}>
---@field recent sync.Difference[] oldest first
---@field leads number[] a ring of samples, milliseconds; negative: the poll was first
local Ledger = {}
Ledger.__index = Ledger

local CLASSES = { "missing_in_stream", "missing_in_poll", "stage_differs", "field_differs", "version_goes_back" }
local COUNTS = {
  "events", "polls", "empty_polls", "failed_polls", "unjudged_polls", "baselines", "in_flight", "settled", "stream_first",
  "poll_first",
}

-- Enough to see what is wrong; the counts say how often.
local RECENT, ORDERS, FIELDS = 100, 100, 100

-- The latest so many; the 99th percentile is then the tenth from the top.
local LEADS = 1000

local OTHERS = "(others)" -- where field names are counted that are beyond the limit

local MS_PER_HOUR = 3600000

---@param epoch_ms fun(): number the wall clock, milliseconds since the epoch
---@return sync.DriftLedger
function ledger.new(epoch_ms)
  local self = setmetatable({
    epoch_ms = epoch_ms, counts = {}, classes = {}, recent = {}, leads = {}, lead_count = 0,
    differences = 0, compared_ms = 0, clean_ms = 0, clean_events = 0,
  }, Ledger)
  for _, name in ipairs(COUNTS) do self.counts[name] = 0 end
  for _, class in ipairs(CLASSES) do self.classes[class] = { count = 0, orders = {}, fields = {}, field_names = 0 } end
  return self
end

-- ---- entries -------------------------------------------------------------------------------------------------------

---@param name string one of the counts
function Ledger:count(name)
  self.counts[name] = self.counts[name] + 1
end

--- An event of the stream was taken into the comparison.
function Ledger:event()
  self:count "events"
  self.clean_events = self.clean_events + 1
end

--- A poll has been compared, or taken as the baseline.
---@param is_baseline boolean
---@param has_news boolean
function Ledger:poll(is_baseline, has_news)
  self:count(is_baseline and "baselines" or "polls")
  if not is_baseline and not has_news then self:count "empty_polls" end
end

--- Stream and polls were compared for so long.
---@param ms number
function Ledger:compared(ms)
  self.compared_ms = self.compared_ms + ms
  self.clean_ms = self.clean_ms + ms
end

--- News was seen in both: so long the stream was ahead.
---@param ms number negative: the poll was
function Ledger:lead(ms)
  self:count(ms >= 0 and "stream_first" or "poll_first")
  self.leads[self.lead_count % LEADS + 1] = ms
  self.lead_count = self.lead_count + 1
end

-- Moves `item` to the end of a list of different ones, and forgets the first beyond the limit.
local function remember(list, item, limit)
  for index, candidate in ipairs(list) do
    if candidate == item then
      table.remove(list, index)
      break
    end
  end
  list[#list + 1] = item
  if #list > limit then table.remove(list, 1) end
end

local function count_field(class, name)
  if not class.fields[name] then
    if class.field_names >= FIELDS then name = OTHERS end
    class.field_names = class.field_names + 1
  end
  class.fields[name] = (class.fields[name] or 0) + 1
end

--- A difference that stood.
---@param difference sync.Difference without found_at
function Ledger:found(difference)
  difference.found_at = self.epoch_ms()
  local class = self.classes[difference.class]
  class.count = class.count + 1
  remember(class.orders, difference.order_id, ORDERS)
  for name in pairs(difference.fields or {}) do count_field(class, name) end
  remember(self.recent, difference, RECENT)
  self.differences = self.differences + 1
  self.clean_ms, self.clean_events = 0, 0
end

-- ---- what it says --------------------------------------------------------------------------------------------------

-- The sample below which `part` of them lie, of a sorted list: the nearest rank.
local function percentile(sorted, part)
  return sorted[math.max(1, math.ceil(part * #sorted))]
end

local function lead_ms(self)
  local sorted = {}
  for index, ms in ipairs(self.leads) do sorted[index] = ms end
  table.sort(sorted)
  return { p50 = percentile(sorted, 0.5), p99 = percentile(sorted, 0.99), samples = #sorted }
end

local function copy(fields)
  local other = {}
  for name, value in pairs(fields) do other[name] = value end
  return other
end

--- Everything, as a table of the caller's own.
---@return sync.DriftReport
function Ledger:report()
  local report = copy(self.counts)
  report.differences, report.compared_ms = self.differences, self.compared_ms
  report.clean_ms, report.clean_events = self.clean_ms, self.clean_events
  report.lead_ms = lead_ms(self)
  report.classes, report.recent = {}, {}
  for name, class in pairs(self.classes) do
    report.classes[name] = { count = class.count, orders = copy(class.orders), fields = copy(class.fields) }
  end
  for index, difference in ipairs(self.recent) do report.recent[index] = copy(difference) end
  return report
end

-- ---- ready to switch -----------------------------------------------------------------------------------------------

local ENOUGH = { hours = 24, events = 1000 }

local function fail(path, text, ...)
  error(("%s: " .. text):format(path, ...), 0)
end

--- Checks what shall be enough to switch, and completes it. Raises for whatever cannot be meant.
---@param given {hours: number|nil, events: integer|nil}|nil
---@param path string for the message
---@return {hours: number, events: integer}
function ledger.check_enough(given, path)
  if given ~= nil and type(given) ~= "table" then fail(path, "expected a table, got a %s", type(given)) end
  local enough = copy(ENOUGH)
  for name, value in pairs(given or {}) do
    local place = path .. "." .. tostring(name)
    if not ENOUGH[name] then fail(place, "unknown%s", suggest.hint(tostring(name), { "events", "hours" })) end
    if type(value) ~= "number" or value ~= value or value < 0 then
      fail(place, "expected a number, 0 or more, got %s", tostring(value))
    end
    enough[name] = value
  end
  return enough
end

-- "stage_differs 3 (latest ORDER-7)" of each class that there was.
local function found_in(self)
  local parts = {}
  for _, name in ipairs(CLASSES) do
    local class = self.classes[name]
    if class.count > 0 then
      parts[#parts + 1] = ("%s %d (latest %s)"):format(name, class.count, class.orders[#class.orders])
    end
  end
  return table.concat(parts, ", ")
end

--- Why the stream cannot yet be trusted alone; nothing: it can.
---@param enough {hours: number, events: integer} compared without a difference
---@return string[]
function Ledger:doubts(enough)
  local doubts = {}
  local function doubt(text, ...) doubts[#doubts + 1] = text:format(...) end
  if self.counts.polls == 0 then doubt "nothing has been compared yet" end
  if self.clean_ms < enough.hours * MS_PER_HOUR then
    doubt("compared without a difference for %.1f of %g hours", self.clean_ms / MS_PER_HOUR, enough.hours)
  end
  if self.clean_events < enough.events then
    doubt("compared without a difference for %d of %g events", self.clean_events, enough.events)
  end
  if #doubts > 0 and self.differences > 0 then doubt("differences so far: %s", found_in(self)) end
  local median = lead_ms(self).p50
  if median and median < 0 then doubt("the stream is behind the polls: by %d ms in the median", -median) end
  return doubts
end

return ledger
