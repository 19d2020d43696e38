--- A contract-test harness of our own: drives any service that speaks the protocol through every check, and prints TAP.
--
--   lua5.4 spec/contract/harness.lua http://127.0.0.1:8123          exit code 0: nothing failed
--
-- As in the public harness, each report and each connection that is awaited has 5 s, and where nothing may come nothing
-- must come for 1 s. The checks are in harness/checks/; spec/contract/contract_spec.lua runs them, too.

local argparse = require "argparse"
local checks = require "spec.contract.harness.checks"
local run = require "spec.contract.harness.run"

local WINDOW_MS, QUIET_MS = 5000, 1000

local function arguments()
  local parser = argparse("harness.lua", "Drives a contract-test service through every check.")
  parser:argument("url", "Of the service, without a slash at its end.")
  parser:option("--only", "Only checks whose title has this text.", "")
  return parser:parse()
end

local LINES = {
  passed = "ok %d - %s",
  failed = "not ok %d - %s\n  # %s",
  skipped = "ok %d - %s # SKIP needs %s",
}

local given = arguments()
local counts = { passed = 0, failed = 0, skipped = 0 }
local number = 0
for _, check in ipairs(checks) do
  if check.title:find(given.only, 1, true) then
    local outcome, reason = run.one(check, given.url, { window_ms = WINDOW_MS, quiet_ms = QUIET_MS })
    number = number + 1
    counts[outcome] = counts[outcome] + 1
    print(LINES[outcome]:format(number, check.title, reason and reason:gsub("\n", "\n  # ")))
    io.stdout:flush()
  end
end
print(("1..%d"):format(number))
print(("%d passed, %d failed, %d skipped"):format(counts.passed, counts.failed, counts.skipped))
os.exit(counts.failed == 0 and number > 0 and 0 or 1)
