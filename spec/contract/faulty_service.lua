--- A contract-test service with one fault of your choice, to see that the harness finds it.
--
--   lua5.4 spec/contract/faulty_service.lua two-errors

local api = require "spec.contract.api"
local host = require "spec.contract.host"
local uv = require "luv"

-- A fault in what is reported: `change(report, kind, content)` calls `report(kind, content)` as often as it likes.
local function in_reports(change)
  return function(faulty)
    local open_stream = faulty.open_stream
    function faulty.open_stream(fields, report)
      return open_stream(fields, function(kind, content) change(report, kind, content) end)
    end
  end
end

-- A fault in how reports are sent: `change(made, ...)` spoils a reporter made of those arguments.
local function in_reporter(change)
  return function(faulty)
    local new_reporter = faulty.new_reporter
    function faulty.new_reporter(...)
      local made, problem = new_reporter(...)
      if made then change(made, new_reporter, ...) end
      return made, problem
    end
  end
end

local FAULTS = {
  ["two-errors"] = in_reports(function(report, kind, content)
    report(kind, content)
    if kind == "error" then report(kind, content) end
  end),

  ["no-ids"] = in_reports(function(report, kind, content)
    if kind == "event" then content.id = nil end
    report(kind, content)
  end),

  ["deaf"] = in_reports(function() end),

  ["comments-unasked"] = function(faulty)
    faulty.capabilities = { "bom" }
  end,

  ["begins-at-two"] = in_reporter(function(made) made.number = 1 end),

  ["many-connections"] = in_reporter(function(made, new_reporter, ...)
    local arguments = { ... }
    function made:report(kind, content)
      local another = new_reporter((table.unpack or unpack)(arguments))
      another.number, self.number = self.number, self.number + 1
      another:report(kind, content)
    end
  end),

  ["last-word"] = in_reporter(function(made)
    function made:close() self:report("error", "closed") end
  end),

  ["guesses-an-id"] = function(faulty)
    local open_stream = faulty.open_stream
    function faulty.open_stream(fields, report)
      fields.lastEventId = fields.lastEventId or "0"
      return open_stream(fields, report)
    end
  end,

  ["never-gives-up"] = function(faulty)
    local open_stream = faulty.open_stream
    function faulty.open_stream(fields, report)
      local opened, problem = open_stream(fields, report)
      if opened then opened.client:on_error(function() opened:restart() end) end
      return opened, problem
    end
  end,
}

local spoil = FAULTS[arg[1]] or error("no such fault: " .. tostring(arg[1]), 0)
local serving = assert(host.listen(0))
local faulty = api.new { uv = uv, log = function() end, on_quit = function() serving:stop() end }
spoil(faulty)
print("contract service on " .. serving.url)
io.stdout:flush()
serving:run(faulty)
