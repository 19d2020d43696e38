--- All checks, in order. A file of checks lists them as `{title, run, needs = capability}`; `run(scene)` raises what is
-- wrong. Titles begin with the behaviours they are about (P: parsing, F: fields, I: ids, L: Last-Event-ID,
-- R: reconnecting, H: HTTP, C: closing), or with "service".

local FILES = { "protocol", "parsing", "requests", "answers", "connection", "vectors" }

local checks = {}
for _, name in ipairs(FILES) do
  for _, check in ipairs(require("spec.contract.harness.checks." .. name)) do
    checks[#checks + 1] = { title = check[1], run = check[2], needs = check.needs }
  end
end
return checks
