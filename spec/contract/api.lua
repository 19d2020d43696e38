--- The service's side of the contract-test protocol: which request gets which answer, and what it sets off.
-- It owns the streams under test and their reporters. It knows neither sockets nor how a stream is read.

local cjson = require "cjson"
local reporter = require "spec.contract.reporter"
local stream = require "spec.contract.stream"

local api = {}

-- All there are but "event-type-listeners": every type is reported without being asked for.
local CAPABILITIES = {
  "bom", "comments", "headers", "last-event-id", "payload-size-stress-testable", "post", "read-timeout", "report",
  "restart", "server-directed-shutdown-request",
}

---@class contract.Api
---@field capabilities string[]
---@field subjects table<string, {stream: contract.Stream, reporter: contract.Reporter}> by path
local Api = {}
Api.__index = Api

---@param parts {uv: table, log: fun(text: string), on_quit: fun()}
---@return contract.Api
function api.new(parts)
  return setmetatable({
    uv = parts.uv, log = parts.log, on_quit = parts.on_quit, capabilities = CAPABILITIES,
    new_reporter = reporter.new, open_stream = stream.open, subjects = {}, count = 0,
  }, Api)
end

local function bad_request(problem)
  return 400, { { "Content-Type", "text/plain; charset=utf-8" } }, problem .. "\n"
end

local function decode(body)
  local ok, value = pcall(cjson.decode, body)
  if not ok then return nil, "the body is not JSON" end
  return value
end

local function describe(self)
  local body = cjson.encode { name = "ordersync", capabilities = self.capabilities }
  return 200, { { "Content-Type", "application/json" } }, body
end

local function create(self, request)
  local given, problem = decode(request.body)
  local fields, made, opened
  if not problem then fields, problem = stream.check(given) end
  if not fields then return bad_request(problem) end
  local function log(text) self.log(("%s: %s"):format(fields.tag or "-", text)) end
  made, problem = self.new_reporter(self.uv, fields.callbackUrl, log)
  if not made then return bad_request(problem) end
  opened, problem = self.open_stream(fields, function(kind, content) made:report(kind, content) end)
  if not opened then return bad_request(problem) end
  self.count = self.count + 1
  local path = ("/streams/%d"):format(self.count)
  self.subjects[path] = { stream = opened, reporter = made }
  return 201, { { "Location", path } }
end

-- Every type is reported anyway, so that `listen` has nothing to do.
local COMMANDS = {
  restart = function(subject) subject.stream:restart() end,
  listen = function() end,
}

local function command(_, request, subject)
  local given, problem = decode(request.body)
  if problem then return bad_request(problem) end
  local run = type(given) == "table" and COMMANDS[given.command]
  if not run then return bad_request("unknown command") end
  run(subject)
  return 204, {}
end

local function delete(self, request, subject)
  self.subjects[request.path] = nil
  subject.reporter:close()
  subject.stream:close()
  return 204, {}
end

local function quit(self)
  self.on_quit()
  return 204, {}
end

local SERVICE = { GET = describe, POST = create, DELETE = quit }
local SUBJECT = { POST = command, DELETE = delete }

---Answer a request.
---@param request table of `sync.server.http`
---@return integer status
---@return table[] headers
---@return string|nil body
function Api:answer(request)
  local subject = self.subjects[request.path]
  local routes = request.path == "/" and SERVICE or subject and SUBJECT
  if not routes then return 404, {} end
  local route = routes[request.method]
  if not route then return 405, {} end
  return route(self, request, subject)
end

---End all streams.
function Api:close()
  for _, subject in pairs(self.subjects) do
    subject.reporter:close()
    subject.stream:close()
  end
  self.subjects = {}
end

return api
