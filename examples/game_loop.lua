-- A loop that must not stall: 60 frames a second, one step in each, with a budget. What a burst brings beyond the budget
-- waits for the next frame; beyond queue_limit it waits in the server's socket.
--
--   lua5.4 examples/game_loop.lua [URL]
--
-- With ORDERSYNC_EVENTS=N in the environment it ends after N events and says how bad the worst frame was.

local sync = require "sync"
local uv = require "luv" -- only for a clock and a sleep

local FRAME_MS = 1000 / 60
local BUDGET_MS = 2

local limit = tonumber(os.getenv "ORDERSYNC_EVENTS") or math.huge
local client = assert(sync.connect(arg[1] or "http://127.0.0.1:8080"))
local shown = client:on_order("*", function(event) return event.new_stage end) -- a game would move something here

local function now_ms()
  return uv.hrtime() / 1e6
end

local frames = { count = 0, busy = 0, worst_ms = 0 }

-- A game would also read its input and draw.
local function frame()
  local before, began_ms = shown.delivered, now_ms()
  assert(sync.step(0, BUDGET_MS))
  frames.worst_ms = math.max(frames.worst_ms, now_ms() - began_ms)
  frames.count = frames.count + 1
  if shown.delivered > before then frames.busy = frames.busy + 1 end
end

-- As a screen waits for its next refresh; a frame that is late does not make the following ones late.
local due_ms = now_ms()
local function await_refresh()
  due_ms = math.max(due_ms + FRAME_MS, now_ms())
  uv.sleep(math.floor(due_ms - now_ms()))
end

repeat
  frame()
  await_refresh()
until shown.delivered >= limit
client:close()
print(("%d events in %d of %d frames"):format(shown.delivered, frames.busy, frames.count))
print(("worst frame %.1f ms of %.1f, budget %d ms"):format(frames.worst_ms, FRAME_MS, BUDGET_MS))
