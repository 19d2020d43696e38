--- The reports of one stream under test to its callback URL: numbered from 1, in order, each after the answer to the
-- one before. It knows how a report is written down, not when one is due.

local caller = require "spec.contract.caller"
local cjson = require "cjson"

local reporter = {}

---@class contract.Reporter
---@field number integer of the latest report
local Reporter = {}
Reporter.__index = Reporter

---A reporter; nothing is sent before the first report.
---@param uv table luv
---@param url string callback URL
---@param log fun(text: string) hears of reports that could not be delivered
---@return contract.Reporter|nil
---@return string|nil problem
function reporter.new(uv, url, log)
  local mailbox, problem = caller.new(uv, url)
  if not mailbox then return nil, "callbackUrl: " .. problem end
  return setmetatable({ mailbox = mailbox, number = 0, log = log }, Reporter)
end

---Report. Never waits: what the mailbox has not taken yet is kept here.
---@param kind "event"|"comment"|"error"
---@param content table|string `{type=, data=, id=}` of an event, the text of the others
function Reporter:report(kind, content)
  self.number = self.number + 1
  local number = self.number
  local body = cjson.encode { kind = kind, [kind] = content }
  self.mailbox:call("POST", ("/%d"):format(number), body, function(_, problem)
    if problem then self.log(("report %d was not delivered: %s"):format(number, problem)) end
  end)
end

---Send nothing more, not even what waits.
function Reporter:close()
  self.mailbox:close()
end

return reporter
