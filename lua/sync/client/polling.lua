-- Polling as users see it: where a snapshot comes from, and what to do on each poll. Methods of sync.Client.

local checks = require "sync.client.checks"
local encode = require "sync.encode"
local raised = require "sync.raised"

local methods = {}

-- ---- the fetch function --------------------------------------------------------------------------------------------

-- JSON text of what the user's function gave; "": nothing new.
local function text_of(snapshot)
  if snapshot == nil then return "" end
  if type(snapshot) == "string" then return snapshot end
  return encode(snapshot)
end

local function fetch(self)
  local ask = self.options.polling and self.options.polling.fetch
  if not ask then return "" end
  local snapshot, problem = ask()
  if snapshot == nil and problem ~= nil then error(raised.text(problem), 0) end
  return text_of(snapshot)
end

--- The engine wants a snapshot. The function may yield; the poll waits for it.
function methods:fetch_snapshot()
  local ok, text = pcall(fetch, self)
  if not self.core then return end
  if ok then self.core:snapshot(text) else self.core:snapshot_failed(raised.text(text)) end
end

-- ---- what users say ------------------------------------------------------------------------------------------------

-- Without a source there is nothing to fetch, and a poll is just the time to call the listeners.
local function without_source(self)
  local polling = self.options.polling
  return not polling or (not polling.url and not polling.fetch and not polling.order_url)
end

--- Calls `fn(report)` after every poll: `{source =, unchanged =, orders =, changed =}`. Where nothing is configured to poll,
--- `fn` itself is the poll: it is called at the interval for as long as the stream is away.
---@param fn fun(report: table)
---@param interval_ms? integer the polling interval from now on
---@return sync.Listener|nil, string|nil message, string|nil code
function methods:on_poll(fn, interval_ms)
  checks.fn("on_poll", fn)
  interval_ms = checks.integer("on_poll", "interval_ms", interval_ms, 1)
  local listener, message, code = self:listen("poll", fn)
  if not listener then return nil, message, code end
  if interval_ms or without_source(self) then
    local polling = {}
    for name, value in pairs(self.options.polling or {}) do polling[name] = value end
    polling.interval_ms = interval_ms or polling.interval_ms
    if without_source(self) then polling.fetch = function() return nil end end
    self:configure { polling = polling }
  end
  return listener
end

return methods
