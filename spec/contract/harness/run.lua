--- Runs checks against a service, each in a scene of its own.

local scene = require "spec.contract.harness.scene"

local run = {}

local function judge(check, made)
  made.title = check.title
  made:read_capabilities()
  if check.needs and not made.capabilities[check.needs] then return "skipped" end
  check.run(made)
  made:finish()
  return "passed"
end

---Run one check.
---@param check table
---@param service_url string
---@param options table|nil of the scene
---@return "passed"|"failed"|"skipped"
---@return string|nil problem of a check that failed; of one that was skipped, the capability it needs
function run.one(check, service_url, options)
  local made = scene.new(service_url, options)
  local ok, outcome = pcall(judge, check, made)
  made:close()
  if not ok then return "failed", tostring(outcome) end
  return outcome, outcome == "skipped" and check.needs or nil
end

return run
