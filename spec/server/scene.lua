--- What a spec of the server needs around it: servers, clients, and the certainty that nothing is left.
-- Use: `after_each(scene.clear)`.

local client = require "spec.server.client"
local server = require "sync.server"
local uv = require "luv"

local scene = { events_path = "/api/v1/sync/events" }

local servers, clients = {}, {}

---Start a server, without heartbeats if none are asked for.
---@param options table|nil
---@return sync.server.Server
function scene.start(options)
  options = options or {}
  options.heartbeat_ms = options.heartbeat_ms or 0
  local started = assert(server.start(options))
  servers[#servers + 1] = started
  return started
end

---@param s sync.server.Server
---@return spec.server.Client
function scene.connect(s)
  local connected = assert(client.connect(s.port))
  clients[#clients + 1] = connected
  return connected
end

---Open a stream and wait for `connected`.
---@param s sync.server.Server
---@param query string|nil with its question mark
---@param headers table|nil
---@return spec.server.Client
function scene.open(s, query, headers)
  local opened = scene.connect(s):request("GET", scene.events_path .. (query or ""), headers)
  opened:await_body('established"}\n\n')
  return opened
end

---Publish events; they are told apart by their orders, ORDER-1 and so on.
---@param s sync.server.Server
---@param count integer
---@return string[] wires
function scene.publish(s, count)
  local wires = {}
  for index = 1, count do
    wires[index] = s:publish({ type = "stage_change", order_id = "ORDER-" .. index, data = { newStage = "open" } }).wire
  end
  return wires
end

---What follows `connected` in a body.
---@param body string
---@return string
function scene.after_connected(body)
  return body:match("event: connected\n.-\n\n(.*)$")
end

---Wait until the body contains a plain text, and give what follows `connected`.
---@param opened spec.server.Client
---@param text string
---@return string
function scene.body_until(opened, text)
  return scene.after_connected(opened:await_body(text))
end

---Close everything.
function scene.clear()
  for _, each in ipairs(clients) do each:close() end
  for _, each in ipairs(servers) do each:close() end
  servers, clients = {}, {}
  uv.run() -- ends only when nothing is left: a leaked handle hangs here
end

return scene
