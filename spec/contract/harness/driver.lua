--- The harness as a client of the service: describe, create, command, delete; one request at a time over a connection
-- that is kept, and every answer exact to the byte. It waits through the scene it was given.

local caller = require "spec.contract.caller"
local cjson = require "cjson"
local uv = require "luv"

local driver = {}

---@class contract.Driver
---@field caller contract.Caller
local Driver = {}
Driver.__index = Driver

---@param url string of the service
---@param await fun(what: string, condition: fun(): any): any
---@return contract.Driver
function driver.new(url, await)
  return setmetatable({ caller = assert(caller.new(uv, url)), url = url, await = await }, Driver)
end

local function check_framing(self, answer, what)
  local headers = answer.headers
  if answer.status ~= 204 and not headers["content-length"] and headers.connection ~= "close" then
    error(what .. ": neither a Content-Length nor Connection: close", 0)
  end
  if self.caller.socket and self.caller.reader:has_begun() then
    error(what .. ": bytes behind the end of the answer", 0)
  end
end

---Ask and wait for the answer.
---@param method string
---@param path string below the service's url
---@param body string|table|nil a table is sent as JSON
---@return contract.Message
function Driver:ask(method, path, body)
  local what = ("%s %s"):format(method, path == "" and "/" or path)
  if type(body) == "table" then body = cjson.encode(body) end
  local answer, problem
  self.caller:call(method, path, body, function(...) answer, problem = ... end)
  self.await("an answer to " .. what, function() return answer or problem end)
  if not answer then error(("%s: %s"):format(what, problem), 0) end
  check_framing(self, answer, what)
  return answer
end

-- A location as the public harness reads it: a whole url, or a path to add to the service's.
local function path_of(self, location)
  if location:sub(1, 5) ~= "http:" then return location end
  if location:sub(1, #self.url) ~= self.url then error("the Location is elsewhere: " .. location, 0) end
  return location:sub(#self.url + 1)
end

---Create a stream under test.
---@param fields table
---@return string path of the stream
function Driver:create(fields)
  local answer = self:ask("POST", "", fields)
  if answer.status < 200 or answer.status > 299 then
    error(("the service refused a stream: %d %s"):format(answer.status, answer.body), 0)
  end
  local location = answer.headers.location or ""
  if location == "" then error("the service created a stream without a Location", 0) end
  return path_of(self, location)
end

---Command a stream.
---@param path string
---@param command table
function Driver:command(path, command)
  local answer = self:ask("POST", path, command)
  if answer.status >= 300 then
    error(("the service refused a command: %d %s"):format(answer.status, answer.body), 0)
  end
end

---End a stream.
---@param path string
function Driver:delete(path)
  local status = self:ask("DELETE", path).status
  if status ~= 200 and status ~= 204 then error(("the service refused to delete: %d"):format(status), 0) end
end

---What the service can do.
---@return table description `{capabilities=, name=}`
function Driver:describe()
  local answer = self:ask("GET", "")
  if answer.status ~= 200 then error(("the service answered %d"):format(answer.status), 0) end
  return cjson.decode(answer.body)
end

function Driver:close()
  self.caller:close()
end

return driver
