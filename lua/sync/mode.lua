-- Which mode a client is in: what the environment says, or else the options, or else the rollout.

local rollout = require "sync.rollout"

local mode = {}

local NAMES = { auto = true, stream = true, poll = true, compare = true, off = true }

-- The rollback switch: read whenever a mode is asked for, so that a program that is started anew follows it.
local VARIABLE = "SYNC_MODE"

-- The chosen ones get the stream, the others go on polling.
local function rolled_out(complete)
  if not complete.rollout then return "auto" end
  return rollout.chosen(complete.rollout) and "auto" or "poll"
end

local function checked(value, whence)
  if NAMES[value] then return value end
  error(("%s: expected one of auto, stream, poll, compare, off, got %s"):format(whence, tostring(value)), 0)
end

--- The mode of complete options: what SYNC_MODE says, or `mode`, a function of no arguments being asked, or `rollout`.
--- Raises for a mode that is none.
---@param complete table
---@return string
function mode.of(complete)
  local switch = os.getenv(VARIABLE)
  if switch and switch ~= "" then return checked(switch, VARIABLE) end
  local given = complete.mode
  if type(given) == "function" then return checked(given(), "mode") end
  return given or rolled_out(complete)
end

return mode
