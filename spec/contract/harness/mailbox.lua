--- Where the reports of one stream under test arrive: in order, numbered from 1, over one connection, or there is a
-- problem. It takes what is told; whether that is what should be told is a check's matter.

local cjson = require "cjson"

local mailbox = {}

---@class contract.Mailbox
---@field url string
---@field reports table[] decoded, in order: `{kind=, event=|comment=|error=}`
---@field problem string|nil the first breach of the protocol
local Mailbox = {}
Mailbox.__index = Mailbox

local CONTENT = { event = "table", comment = "string", error = "string" }

local function decode(body)
  local ok, report = pcall(cjson.decode, body)
  if not ok or type(report) ~= "table" then return nil, "a report is not a JSON object: " .. body:sub(1, 200) end
  local wanted = CONTENT[report.kind]
  if not wanted then return nil, "a report of no known kind: " .. body:sub(1, 200) end
  if type(report[report.kind]) ~= wanted then
    return nil, ("a report without its %s: %s"):format(report.kind, body:sub(1, 200))
  end
  return report
end

local function breach(self, exchange)
  if exchange.method ~= "POST" then return "a callback by " .. exchange.method end
  local number, wanted = exchange.path:match("^/(%d+)$"), #self.reports + 1
  if tonumber(number) ~= wanted then
    return ("a callback to %s where /%d was due"):format(exchange.path, wanted)
  end
  self.connection = self.connection or exchange.connection
  if exchange.connection ~= self.connection then return "callbacks came over several connections" end
end

local function accept(self, exchange)
  local problem, report = breach(self, exchange), nil
  if not problem then report, problem = decode(exchange.body) end
  self.problem = self.problem or problem
  self.reports[#self.reports + 1] = report
  if self.held then self.held[#self.held + 1] = exchange else exchange:respond(202) end
end

---A mailbox on an endpoint of its own.
---@param server contract.Server
---@return contract.Mailbox
function mailbox.new(server)
  local self = setmetatable({ reports = {} }, Mailbox)
  self.endpoint = server:endpoint(function(exchange) accept(self, exchange) end)
  self.url = self.endpoint.url
  return self
end

---Answer nothing until `release`.
function Mailbox:hold()
  self.held = {}
end

---Answer what was held, and go on answering.
function Mailbox:release()
  local held = self.held
  self.held = nil
  for _, exchange in ipairs(held) do exchange:respond(202) end
end

function Mailbox:close()
  self.endpoint:close()
end

return mailbox
