--- The client as a contract-test service, for the public harness (launchdarkly/sse-contract-tests), for ours
-- (spec/contract/harness.lua) and for whoever speaks their protocol.
--
--   lua5.4 spec/contract/service.lua --port 8123       then       sse-contract-tests -url http://127.0.0.1:8123
--
-- This file is the program; the parts are: host, the process; api, requests and answers; stream, one client under test;
-- reporter, its callbacks; caller and message, HTTP as a client has it.

local api = require "spec.contract.api"
local argparse = require "argparse"
local host = require "spec.contract.host"
local uv = require "luv"

local function arguments()
  local parser = argparse("service.lua", "The event-stream client as a contract-test service.")
  parser:option("--port", "Port on 127.0.0.1; 0: any free one.", "8123"):convert(tonumber)
  return parser:parse()
end

local serving, problem = host.listen(arguments().port)
if not serving then
  io.stderr:write(problem, "\n")
  os.exit(1)
end
print("contract service on " .. serving.url)
io.stdout:flush()
serving:run(api.new {
  uv = uv,
  log = function(text) io.stderr:write(text, "\n") end,
  on_quit = function() serving:stop() end,
})
