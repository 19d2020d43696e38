-- A loop that must not stall: 60 frames a second, and a budget for each step. What a burst brings beyond the budget waits
-- for the next frame; beyond queue_limit it waits in the server's socket.
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

local busy_frames, worst_ms = 0, 0

local function frame()
  local before, began_ms = shown.delivered, now_ms()
  assert(sync.step(0, BUDGET_MS))
  local took_ms = now_ms() - began_ms
  if shown.delivered > before then busy_frames = busy_frames + 1 end
  worst_ms = math.max(worst_ms, took_ms)
  local left_ms = math.floor(FRAME_MS - took_ms)
  if left_ms > 0 then uv.sleep(left_ms) end -- a game would draw, and wait for the screen
end

repeat frame() until shown.delivered >= limit
client:close()
print(("%d events in %d frames"):format(shown.delivered, busy_frames))
print(("worst step %.1f ms, budget %d ms"):format(worst_ms, BUDGET_MS))
