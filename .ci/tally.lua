-- Runs test programs that speak TAP, one after the other, shows what fails as it comes, and closes with the one line
-- that counts: "N passed, N failed". Usage: lua tally.lua TITLE COMMAND [TITLE COMMAND ...]

local passed, failed = 0, 0

local function exit_code(ok, kind, code)
  if type(ok) == "number" then return ok end -- Lua 5.1
  if ok then return 0 end
  return kind == "exit" and code or 128 + (code or 0)
end

-- No test looks at a clock; one that waits for what never comes is ended here.
local SUITE_SECONDS = 600

-- A program that ends badly without a failed test of its own (a crash, nothing run) is one failure.
local function run(title, command)
  io.write(("== %s\n"):format(title))
  io.flush()
  local good, bad, tail = 0, 0, {}
  local pipe = assert(io.popen(("timeout -k 10 %d %s 2>&1"):format(SUITE_SECONDS, command)))
  for line in pipe:lines() do
    local verdict = line:match("^(ok) %d") or line:match("^(not ok) %d")
    if verdict == "ok" then good = good + 1 end
    if verdict == "not ok" then bad = bad + 1 end
    if verdict ~= "ok" and not line:match("^%d+%.%.%d+$") then tail[#tail + 1] = line end
  end
  local code = exit_code(pipe:close())
  if bad == 0 and (code ~= 0 or good == 0) then
    bad = 1
    tail[#tail + 1] = ("%s: ended with %d after %d tests"):format(command, code, good)
  end
  if bad > 0 then print(table.concat(tail, "\n")) end
  print(("   %d passed, %d failed"):format(good, bad))
  passed, failed = passed + good, failed + bad
end

for index = 1, #arg, 2 do run(arg[index], arg[index + 1]) end
print(("%d passed, %d failed"):format(passed, failed))
os.exit(failed == 0 and passed > 0 and 0 or 1)
