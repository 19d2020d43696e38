--- Several plays at once, each in a coroutine, on luv's loop: while one client starts, another one works.

local uv = require "luv"

local crew = {}

-- A server that writes to a client that has just been killed gets SIGPIPE.
local function survive_broken_pipes()
  local guard = uv.new_signal()
  uv.signal_start(guard, "sigpipe", function() end)
  uv.unref(guard)
  return guard
end

-- Lets each go on for a turn. Whether one has ended, and left.
local function turn(running)
  local before = #running
  for index = before, 1, -1 do
    local ok, message = coroutine.resume(running[index])
    if not ok then error(debug.traceback(running[index], message), 0) end
    if coroutine.status(running[index]) == "dead" then table.remove(running, index) end
  end
  return #running < before
end

---Do jobs, some of them at once.
---@param width integer how many
---@param next_job fun(): fun()|nil gives the next job, a function that yields while it waits for luv; nil: that was all
function crew.run(width, next_job)
  local guard, running, job = survive_broken_pipes(), {}, next_job()
  while job or #running > 0 do
    while job and #running < width do
      running[#running + 1] = coroutine.create(job)
      job = next_job()
    end
    if not turn(running) then uv.run("once") end
  end
  uv.close(guard)
  uv.run("nowait")
end

return crew
