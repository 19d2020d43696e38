--- One stream under test as the harness sees it: the requests that it makes of its event-stream server, the reports in
-- its mailbox, and its path at the service. The next report is always the one that is expected, or the check fails.

local cjson = require "cjson"
local mailbox = require "spec.contract.harness.mailbox"

local subject = {}

---@class contract.Subject
---@field url string of its event stream
---@field path string of the stream at the service
---@field requests contract.Exchange[] all, in order
---@field mailbox contract.Mailbox
local Subject = {}
Subject.__index = Subject

-- What the public harness always sends, over which goes what the check wants.
local function create_request(self, fields)
  local complete = {
    streamUrl = self.url, callbackUrl = self.mailbox.url, tag = self.scene.title,
    initialDelayMs = cjson.null, readTimeoutMs = cjson.null,
  }
  for name, value in pairs(fields or {}) do complete[name] = value end
  return complete
end

---Create a stream under test.
---@param scene contract.Scene
---@param fields table|nil of the create request
---@param server contract.Server of its event stream
---@return contract.Subject
function subject.new(scene, fields, server)
  local self = setmetatable({
    scene = scene, mailbox = mailbox.new(scene.server), requests = {}, taken = 0, read = 0,
  }, Subject)
  self.endpoint = server:endpoint(function(exchange) self.requests[#self.requests + 1] = exchange end)
  self.url = self.endpoint.url
  self.path = scene.driver:create(create_request(self, fields))
  return self
end

---The next request of its event-stream server.
---@return contract.Exchange
function Subject:await_request()
  self.taken = self.taken + 1
  return self.scene:await(("request %d"):format(self.taken), function() return self.requests[self.taken] end)
end

local function shown(value)
  local text = type(value) == "table" and cjson.encode(value) or tostring(value)
  return #text > 300 and ("%s... (%d bytes)"):format(text:sub(1, 300), #text) or text
end

---Whatever is reported next.
---@return table report
function Subject:next_report()
  self.read = self.read + 1
  return self.scene:await(("report %d"):format(self.read), function()
    if self.mailbox.problem then error(self.mailbox.problem, 0) end
    return self.mailbox.reports[self.read]
  end)
end

local function next_of(self, kind)
  local report = self:next_report()
  if report.kind ~= kind then error(("expected a report of kind %s, got %s"):format(kind, shown(report)), 0) end
  return report[kind]
end

---The next report is this event.
---@param expected {type: string|nil, data: string, id: string|nil} "message" and no id unless told
function Subject:expect_event(expected)
  local event = next_of(self, "event")
  local wanted = { type = expected.type or "message", data = expected.data, id = expected.id or "" }
  local got = { type = event.type or "message", data = event.data, id = event.id or "" }
  for _, name in ipairs { "type", "id", "data" } do
    if got[name] ~= wanted[name] then
      error(("%s of an event: expected %s, got %s"):format(name, shown(wanted[name]), shown(got[name])), 0)
    end
  end
end

---The next report is this comment; none is, if the service does not report comments.
---@param text string
function Subject:expect_comment(text)
  if not self.scene.capabilities.comments then return end
  local comment = next_of(self, "comment")
  if comment ~= text then error(("expected the comment %s, got %s"):format(shown(text), shown(comment)), 0) end
end

---Pass over comments, however many come before the next report of another kind.
function Subject:skip_comments()
  local report
  repeat report = self:next_report() until report.kind ~= "comment"
  self.read = self.read - 1
end

---The next report is an error.
function Subject:expect_error()
  next_of(self, "error")
end

---There is no report that was not expected.
function Subject:expect_no_report()
  if self.mailbox.problem then error(self.mailbox.problem, 0) end
  local report = self.mailbox.reports[self.read + 1]
  if report then error("an unexpected report: " .. shown(report), 0) end
end

---It stays away: neither a request nor a report comes any more.
function Subject:expect_silence()
  self.scene:settle()
  self:expect_no_report()
  if #self.requests > self.taken then
    error(("%d requests, where %d were due"):format(#self.requests, self.taken), 0)
  end
end

---Await the end of its connection, if one is open.
function Subject:await_gone()
  self.scene:await("the end of the connection", function()
    for _, exchange in ipairs(self.requests) do
      if exchange:is_under_way() then return false end
    end
    return true
  end)
end

---Delete it.
function Subject:delete()
  self.is_deleted = true
  self.scene.driver:delete(self.path)
end

---Delete it, and judge what was left over: all reports were expected, and nothing comes of the end itself.
function Subject:finish()
  if self.is_deleted then return end
  self:expect_no_report()
  self:delete()
  self:await_gone()
  self:expect_no_report()
end

---Give everything back, however the check went.
function Subject:close()
  if not self.is_deleted then pcall(self.delete, self) end
  self.endpoint:close()
  self.mailbox:close()
end

return subject
