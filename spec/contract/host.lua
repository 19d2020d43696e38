--- The process that the contract-test service lives in: its port, the two loops as one, and its end.
-- luv carries the requests and the reports, the module its streams; each turn serves both. It knows nothing of the
-- protocol (`spec.contract.api` does).

local connection = require "sync.server.connection"
local listener = require "sync.server.listener"
local signals = require "sync.cli.signals"
local sync = require "sync"
local uv = require "luv"

local host = {}

-- A flood of events must not keep a request waiting.
local STEP_BUDGET_MS = 10

---@class contract.Host
---@field url string
local Host = {}
Host.__index = Host

---Listen.
---@param port integer 0: any free one
---@return contract.Host|nil
---@return string|nil problem
function host.listen(port)
  local self = setmetatable({ connections = {}, accepted = 0, is_stopped = false }, Host)
  local problem, ok
  self.listener, problem = listener.new(uv, "127.0.0.1", port, function(socket) self:accept(socket) end)
  if not self.listener then return nil, problem end
  ok, problem = self.listener:open()
  if not ok then return nil, problem end
  self.url = ("http://127.0.0.1:%d"):format(self.listener.port)
  return self
end

function Host:accept(socket)
  self.accepted = self.accepted + 1
  local accepted = connection.new(uv, socket, self.accepted, function(from, request)
    from:respond(self.api:answer(request))
  end, function(gone) self.connections[gone] = nil end)
  self.connections[accepted] = true
end

---Serve until `stop` or a signal, then give everything back.
---@param api contract.Api
function Host:run(api)
  self.api = api
  local release = signals.watch(function() self:stop() end)
  local bell = uv.new_poll(sync.fd())
  uv.poll_start(bell, "r", function() end) -- ends the wait of uv.run; the step after it does the work
  while not self.is_stopped do
    uv.run(sync.timeout_ms() == 0 and "nowait" or "once")
    assert(sync.step(0, STEP_BUDGET_MS))
  end
  self:close()
  release()
  uv.close(bell)
  uv.run() -- until nothing is left
end

---End after the turn under way, so that the answer to whoever asked for it leaves.
function Host:stop()
  self.is_stopped = true
end

function Host:close()
  self.api:close()
  self.listener:close()
  local open = {}
  for each in pairs(self.connections) do open[#open + 1] = each end
  for _, each in ipairs(open) do each:destroy() end
end

return host
