--- A real program that dies for real, by SIGKILL in the middle of a handler, and what the next one finds.

local directory = require "spec.support.directory"
local world = require "spec.support.world"

local SIGKILL = 9

local folder, server

before_each(function()
  folder = directory.new()
  server = world.server { replay_limit = 1000000 } -- a program takes its time to start
  world.publish_steadily(server)
end)

after_each(function()
  world.close()
  folder:close()
end)

-- What every program begins with: `note` writes a line that outlives it, `die` ends it where it stands, and `handle` is
-- called with each event, of which `count` have come by then, until it gives true.
local PRELUDE = [[
  local sync, uv = require "sync", require "luv"
  local log = assert(io.open(%q, "a"))
  local function note(...)
    log:write(table.concat({ ... }, " "), "\n")
    log:flush()
  end
  local function die() uv.kill(uv.os_getpid(), "sigkill") end
  local client = assert(sync.connect { url = %q, persistence = %q, reconnect_delay_ms = 1 })
  client:on_error(function(problem)
    if problem.code ~= "HANDLER" then return end
    io.stderr:write(problem.message, "\n")
    os.exit(1)
  end)
  local count, handle = 0, nil
  client:on_event("stage_change", function(event)
    count = count + 1
    if handle(event, ("%%d"):format(event.data.number)) then client:close() end
  end)
]]

---Run a program to its end; its exit, and the lines that it noted.
local function run(body)
  local log = folder:write("log", "")
  local exit = world.run_program(PRELUDE:format(log, server.url, folder:of "orders.db") .. body .. "\nsync.run()")
  local lines = {}
  for line in io.lines(log) do lines[#lines + 1] = line end
  return exit, lines
end

local NOTE_TEN = [[
  function handle(event, number)
    note(number, event.redelivered and "again" or "new")
    return count == 10
  end
]]

local function number_of(line) return tonumber(line:match "^%d+") end

-- Raises unless the lines are about each number from that of the first on.
local function assert_in_order(lines)
  for index, line in ipairs(lines) do assert.equal(number_of(lines[1]) + index - 1, number_of(line)) end
end

describe("a program that is killed in a handler", function()
  -- What was done a moment before may come again with it: that it was done was not on disk yet.
  it("gets that event again, marked, and every one behind it once and in order", function()
    local exit, before = run [[
      function handle(_, number)
        note(number)
        if count == 7 then die() end
      end
    ]]
    assert.equal(SIGKILL, exit.signal)
    assert.equal(7, #before)
    assert_in_order(before)
    local last = number_of(before[7])

    local after
    exit, after = run(NOTE_TEN)
    assert.equal(0, exit.code)
    assert_in_order(after)
    local first = number_of(after[1])
    assert.is_true(first > last - 7 and first <= last, after[1])
    for index = 1, last - first + 1 do assert.matches("again$", after[index]) end

    local later
    exit, later = run(NOTE_TEN)
    assert.equal(0, exit.code)
    assert_in_order(later)
    assert.equal(first + 10, number_of(later[1]))
  end)

  local ONCE = [[
    local notes = 0
    function handle(event, number)
      client:once(event, "print", function(_, effect)
        note(number, effect.maybe_done and "maybe" or "first")
        notes = notes + 1
        %s
      end)
      %s
      return notes == 3
    end
  ]]

  it("is told that what it was about to do once may be done", function()
    local exit, before = run(ONCE:format("if notes == 2 then die() end", ""))
    assert.equal(SIGKILL, exit.signal)
    local first = number_of(before[1])
    assert.same({ first .. " first", first + 1 .. " first" }, before)
    local after
    exit, after = run(ONCE:format("", ""))
    assert.equal(0, exit.code)
    assert.same({ first + 1 .. " maybe", first + 2 .. " first", first + 3 .. " first" }, after)
  end)

  it("does not do again what it had done before it was killed", function()
    local exit, before = run(ONCE:format("", "if notes == 2 then die() end"))
    assert.equal(SIGKILL, exit.signal)
    assert.equal(2, #before)
    local last = number_of(before[2])
    local after
    exit, after = run(ONCE:format("", ""))
    assert.equal(0, exit.code)
    assert.same({ last + 1 .. " first", last + 2 .. " first", last + 3 .. " first" }, after)
  end)
end)
