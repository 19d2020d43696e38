-- report.lua: from the runs of the plan to medians, ratios and one Markdown table. Runs nothing, prints nothing.

local report = {}

local COLUMNS = { "read", "frames", "cjson", "today" }

--- What a result is worth: for bursts and the parser more is better, for the others less.
local VALUE = {
  burst = function(result) return result.events / result.seconds end,
  parser = function(result) return result.bytes / result.seconds end,
  latency = function(result) return result.p50_us end,
  reconnect = function(result) return result.seconds * 1000 / (result.connections - 1) end,
  idle = function(result) return result.bytes_per_client end,
  idle_step = function(result) return result.cpu_seconds / result.steps * 1e9 end,
  budget = function(result) return result.worst_us end,
  journal = function(result) return result.bare_cpu_seconds / result.cpu_seconds end,
  start = function(result) return result.start_ms end,
}

--- What a case adds its work to, so that it can be said what that costs.
local WITHOUT = { book = "type_and_order", journaled = "type_and_order", book_journaled = "book", once = "journaled" }

local function median(values)
  table.sort(values)
  local middle = (#values + 1) / 2
  if #values == 0 then return nil end
  return (values[math.floor(middle)] + values[math.ceil(middle)]) / 2
end

--- The median of `pick(result)` over the rounds that went well.
local function median_of(measurement, pick)
  local values = {}
  for round = 1, measurement.rounds do
    local result = measurement.results[round]
    if result then values[#values + 1] = pick(result) end
  end
  return median(values)
end

local function cpu_of_event(result)
  return result.cpu_seconds / result.events
end

--- The median over the rounds of this value in units of the other's in the same round: the machine changes its speed
--- under a bench, and a pair that ran close together changes alike.
local function ratio(measurement, other, value)
  local values = {}
  for round = 1, measurement.rounds do
    local mine, theirs = measurement.results[round], other.results[round]
    if mine and theirs then values[#values + 1] = value(mine) / value(theirs) end
  end
  return median(values)
end

--- The measurement of `case` in the same group: of the same runtime, or of none.
local function find(measurements, like, case)
  for _, other in ipairs(measurements) do
    local same_runtime = other.runtime == like.runtime or other.runtime == nil
    if other.group == like.group and other.case == case and same_runtime then return other end
  end
end

--- Which of the two programs of today's Lua user does the same work.
local function today_case(case)
  return (case == "data" or case == "latency") and "today_data" or "today"
end

--- 12345678 as "12,345,678".
local function grouped(number)
  local groups = string.format("%.0f", number):reverse():gsub("%d%d%d", "%0,")
  return (groups:reverse():gsub("^,", ""))
end

--- Three digits that say something, whatever the size.
local function shown_ratio(value)
  if not value then return "" end
  return string.format(value < 0.1 and "%.3f" or value < 10 and "%.2f" or "%.1f", value)
end

local SHOWN = {
  burst = function(measurement, value)
    local cpu_ns = median_of(measurement, function(result) return cpu_of_event(result) * 1e9 end)
    return string.format("%s events/s, %s ns of CPU each", grouped(value), grouped(cpu_ns))
  end,
  parser = function(measurement, value)
    local events = median_of(measurement, function(result) return result.events / result.seconds end)
    local lines = median_of(measurement, function(result) return result.lines_seconds / result.seconds end)
    return string.format("%.2f GB/s, %s events/s, %.2f of `memchr` for line ends", value / 1e9, grouped(events), lines)
  end,
  latency = function(measurement, value)
    local p99_us = median_of(measurement, function(result) return result.p99_us end)
    return string.format("p50 %.0f µs, p99 %.0f µs", value, p99_us)
  end,
  reconnect = function(_, value) return string.format("%.2f ms per reconnect", value) end,
  idle = function(_, value) return string.format("%.1f KiB per client", value / 1024) end,
  idle_step = function(_, value) return string.format("%.0f ns of CPU", value) end,
  budget = function(measurement, value)
    local p99_us = median_of(measurement, function(result) return result.p99_us end)
    local cpu_us = median_of(measurement, function(result) return result.worst_cpu_us end)
    return string.format("worst %.2f ms (%.2f ms of CPU), p99 %.2f ms", value / 1000, cpu_us / 1000, p99_us / 1000)
  end,
  journal = function(measurement, value)
    local by_clock = median_of(measurement, function(result) return result.bare_seconds / result.seconds end)
    local events = median_of(measurement, function(result) return result.events / result.seconds end)
    local cpu_ns = median_of(measurement, function(result) return cpu_of_event(result) * 1e9 end)
    return string.format("%.2f of a bare loop by CPU time (%.2f by the clock), %s events/s, %s ns of CPU each", value,
      by_clock, grouped(events), grouped(cpu_ns))
  end,
  start = function(measurement, value)
    local plain_ms = median_of(measurement, function(result) return result.plain_start_ms end)
    return string.format("%.1f ms (%.2f ms without a journal)", value, plain_ms)
  end,
}

-- Targets that are no ratios.
local BOUND = {
  idle = function(bound) return string.format("%g KiB", bound / 1024) end,
  idle_step = function(bound) return string.format("%g ns", bound) end,
  journal = function(bound) return string.format("%g × a bare loop", bound) end,
}

local function judge(measurements, measurement, target)
  local other = target.against and find(measurements, measurement, target.against)
  local reached = other and ratio(measurement, other, VALUE[measurement.kind]) or nil
  if not target.against then reached = median_of(measurement, VALUE[measurement.kind]) end
  local bound = target.at_least or target.at_most
  local text = target.against and string.format("%g × %s", bound, target.against)
    or BOUND[measurement.kind](bound)
  local met = reached ~= nil and (target.at_least and reached >= bound or target.at_most and reached <= bound) or false
  return { text = (target.at_least and "≥ " or "≤ ") .. text, reached = reached, met = met }
end

---@class bench.Summary
---@field value number|nil nil: no run went well
---@field shown string the value with its unit
---@field ratios table<string, number> by column
---@field cpu_ratio number|nil processor time of an event, in units of the case's that it adds its work to
---@field targets {text: string, reached: number|nil, met: boolean}[]

--- Adds its `summary` to each measurement, so that it stands in the JSON file too.
---@param measurements bench.Measurement[]
---@return bench.Measurement[]
function report.summarize(measurements)
  for _, measurement in ipairs(measurements) do
    local value = VALUE[measurement.kind]
    local summary = { value = median_of(measurement, value), ratios = {}, targets = {} }
    for _, column in ipairs(COLUMNS) do
      local case = column == "today" and today_case(measurement.case) or column
      local other = find(measurements, measurement, case)
      if other and other ~= measurement then summary.ratios[column] = ratio(measurement, other, value) end
    end
    local without = find(measurements, measurement, WITHOUT[measurement.case])
    if without then summary.cpu_ratio = ratio(measurement, without, cpu_of_event) end
    for i, target in ipairs(measurement.targets) do summary.targets[i] = judge(measurements, measurement, target) end
    summary.shown = summary.value and SHOWN[measurement.kind](measurement, summary.value) or "failed"
    measurement.summary = summary
  end
  return measurements
end

local function cells(measurement)
  local summary, row = measurement.summary, {}
  row[1], row[2], row[3] = measurement.group, measurement.label, measurement.runtime or "C"
  row[4] = summary.shown
  for _, column in ipairs(COLUMNS) do
    row[#row + 1] = shown_ratio(summary.ratios[column])
  end
  row[#row + 1] = shown_ratio(summary.cpu_ratio)
  local texts, verdicts = {}, {}
  for i, target in ipairs(summary.targets) do
    texts[i] = target.text
    verdicts[i] = target.met and "yes" or "**no**"
  end
  row[#row + 1], row[#row + 2] = table.concat(texts, "; "), table.concat(verdicts, "; ")
  return row
end

--- One Markdown table: a row for each measurement, its ratios to the yardsticks of its group.
---@param measurements bench.Measurement[] summarized
---@return string
function report.table(measurements)
  local lines = {
    "| events | case | runs on | measured | ÷ read | ÷ frames | ÷ cJSON | ÷ today | CPU ÷ without | target | met |",
    "| --- | --- | --- | --- | ---: | ---: | ---: | ---: | ---: | --- | --- |",
  }
  for _, measurement in ipairs(measurements) do
    lines[#lines + 1] = "| " .. table.concat(cells(measurement), " | ") .. " |"
    for _, why in ipairs(measurement.failures) do
      lines[#lines + 1] = "| | a run that failed: " .. why:gsub("[|\n]", " ") .. " | | | | | | | | | |"
    end
  end
  return table.concat(lines, "\n")
end

return report
