--- A script: what happens to one request on the stream endpoint, as a list of steps. This file says what a script may
-- look like and runs it; what each step does is in `misbehave.lua`.
--
--   { {send = "data: a\n\n"}, {wait_ms = 50}, {cut = true} }           one script
--   {status = 503, headers = {["Retry-After"] = "1"}}                  one script of one step
--   { {{status = 503}}, {{stream = 3}, {reset = true}} }               two scripts, for two requests
--
-- A step is a table with one action and any settings that shall hold from it on. A script that runs out ends the
-- response cleanly; `{stream = true}` makes the rest of it the normal endpoint.
--
-- A script runs in a coroutine, so that a step reads as a sequence although every write and pause in it is awaited.

local cjson = require "cjson"
local misbehave = require "sync.server.misbehave"

local script = {}

local function is_list(value)
  return type(value) == "table" and (value[1] ~= nil or next(value) == nil)
end

local function known_steps()
  local names = {}
  for name in pairs(misbehave.steps) do names[#names + 1] = name end
  table.sort(names)
  return table.concat(names, ", ")
end

-- JSON has no integers, and an id made from 3.0 would read "3.0".
local function whole(value)
  return type(value) == "number" and value < math.huge and math.floor(value) == value and math.floor(value) or value
end

local function compile_entry(name, value)
  local step = misbehave.steps[name]
  if not step then return nil, ("unknown step '%s' (known: %s)"):format(tostring(name), known_steps()) end
  value = whole(value)
  local wanted = step.check(value)
  if wanted then return nil, ("%s: %s wanted"):format(name, wanted) end
  local ends = step.kind == "ending" or step.kind == "answer" or value == true and step.endless
  return { name = name, value = value, step = step, ends = ends }
end

local function is_setting(entry)
  return entry.step.kind == "head" or entry.step.kind == "pace"
end

-- One table of a script: its settings, then its action.
local function compile_step(step)
  if type(step) ~= "table" then return nil, "a step is a table, not a " .. type(step) end
  local entries, action = {}, nil
  for name, value in pairs(step) do
    local entry, message = compile_entry(name, value)
    if not entry then return nil, message end
    if is_setting(entry) then
      entries[#entries + 1] = entry
    elseif action then
      return nil, ("'%s' and '%s' are two actions: give each a table of its own"):format(action.name, name)
    else
      action = entry
    end
  end
  table.sort(entries, function(a, b) return a.name < b.name end) -- the same script does the same each time
  entries[#entries + 1] = action
  return entries
end

local function check_order(compiled, entry)
  local last = compiled[#compiled]
  if last and last.ends then
    return ("'%s' comes after '%s', which ends the script (a second script needs a list of its own)")
      :format(entry.name, last.name)
  end
  if compiled.has_written and (entry.step.kind == "head" or entry.step.kind == "answer") then
    return ("'%s' must come before anything is sent"):format(entry.name)
  end
end

local function compile_script(steps)
  local compiled = { has_written = false }
  for number, step in ipairs(is_list(steps) and steps or { steps }) do
    local entries, message = compile_step(step)
    for _, entry in ipairs(entries or {}) do
      message = message or check_order(compiled, entry)
      compiled[#compiled + 1] = entry
      compiled.has_written = compiled.has_written or entry.step.kind == "write"
    end
    if message then return nil, ("step %d: %s"):format(number, message) end
  end
  if #compiled == 0 then return nil, "a script without steps" end
  return compiled
end

---Check scripts and make them ready to run.
---@param value table a step, a script or a list of scripts
---@return table[]|nil compiled one per request
---@return string|nil message what is wrong, and where
function script.compile(value)
  if type(value) ~= "table" then return nil, "a table is wanted, not " .. type(value) end
  local scripts = is_list(value) and is_list(value[1]) and value or { value }
  local compiled = {}
  for number, steps in ipairs(scripts) do
    local message
    compiled[number], message = compile_script(steps)
    if not compiled[number] then return nil, ("script %d, %s"):format(number, message) end
  end
  return compiled
end

---Read scripts from JSON.
---@param text string
---@return table|nil scripts for `behave`
---@return string|nil message
---@return string|nil code `SCRIPT`
function script.load(text)
  local ok, value = pcall(cjson.decode, text)
  local message = not ok and value or select(2, script.compile(value))
  if message then return nil, "SCRIPT: " .. message, "SCRIPT" end
  return value
end

---@class sync.server.Run
---@field stream sync.server.Stream
---@field server sync.server.Server
local Run = {}
Run.__index = Run

---Run a compiled script on a response.
---@param stream sync.server.Stream
---@param compiled table
function script.run(stream, compiled)
  local self = setmetatable({ stream = stream, server = stream.server }, Run)
  self.thread = coroutine.create(function() self:play(compiled) end)
  self.wake = function()
    if self.cancelled then return end
    local ok, message = coroutine.resume(self.thread)
    if not ok then error(debug.traceback(self.thread, message), 0) end
  end
  stream.run = self
  self.wake()
end

function Run:play(compiled)
  for _, entry in ipairs(compiled) do
    entry.step.run(self, entry.value)
    if self.cancelled or entry.ends then return end
  end
  self.stream:finish()
end

---Wait until all that was written has left.
function Run:flush()
  local outbox = self.stream.outbox
  if outbox:is_empty() or self.cancelled then return end
  outbox:when_empty(self.wake)
  coroutine.yield()
end

---Wait.
---@param duration_ms integer
function Run:pause(duration_ms)
  local uv = self.server.uv
  self.timer = self.timer or uv.new_timer()
  uv.timer_start(self.timer, duration_ms, 0, self.wake)
  coroutine.yield()
end

---Be the normal endpoint for some events.
---@param limit integer
function Run:follow(limit)
  local is_done, waits = false, false
  self.stream:follow(limit, function()
    is_done = true
    if waits then self.wake() end
  end)
  if is_done or self.cancelled then return end
  waits = true
  coroutine.yield()
end

---Write bytes past the head and the framing of the response.
---@param bytes string
function Run:write_raw(bytes)
  self:flush()
  self.stream:open_raw()
  self.stream.connection:write(bytes, self.wake)
  coroutine.yield()
end

---Never go on: the response has ended, or somebody else ends it.
function Run:cancel()
  if self.cancelled then return end
  self.cancelled = true
  if self.timer then self.server.uv.close(self.timer) end
end

return script
