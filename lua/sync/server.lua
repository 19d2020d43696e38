--- The order server to develop and test against: the event-stream endpoint of the design, snapshots, and misbehaviour
-- on command. It is no server for production: it trusts whoever reaches it, and keeps everything in memory.
--
--   local server = require "sync.server"
--   local s = assert(server.start { port = 8080, simulate = { orders = 5 } })
--   s:publish { type = "stage_change", order_id = "ORDER-001", data = { previousStage = "open", newStage = "billed" } }
--
-- Everything runs on luv's loop: requests are seen, and answers finished, only inside `uv.run`. This file is the public
-- interface and owns all state; the files of `sync/server/` hold one thing each:
--   listener, connection, http   the port, one socket, the protocol      routes    which request gets which answer
--   stream, outbox, gzip         one response, its bytes, its coding     event     the wire form
--   ring, ring_file, orders      ids, replay, the state of orders        simulate  orders on the move
--   script, misbehave            scripts, and what their steps do        options   of `start`
--
-- Resuming: ids are `<epoch>-<sequence>`, the sequence without holes. A stream whose Last-Event-ID (or query
-- `lastEventId`) is in the ring goes on right after it. If it is older, of another epoch, or no id of ours, `connected`
-- is followed by `event: resync` with `{"reason":"too_old"|"other_epoch"|"unknown_id","lastEventID":...}` and a new id,
-- then by what the ring has. A client without an id gets its first position as the id of `connected`.

local connection = require "sync.server.connection"
local event = require "sync.server.event"
local listener = require "sync.server.listener"
local options = require "sync.server.options"
local orders = require "sync.server.orders"
local ring = require "sync.server.ring"
local ring_file = require "sync.server.ring_file"
local routes = require "sync.server.routes"
local script = require "sync.server.script"
local simulate = require "sync.server.simulate"

local server = {}

-- The report of requests is for specs; a server that runs for weeks keeps the last of them.
local REQUESTS_KEPT = 10000

local BASE_36 = "0123456789abcdefghijklmnopqrstuvwxyz"

---@class sync.server.Server
---@field port integer
---@field url string `http://127.0.0.1:PORT`, without a path
---@field requests table[] what was asked: `{method, target, path, query, headers, body, at, connection}`; `headers` by
---  lower-case name, `at` in ms of a monotonic clock, `connection` counts from 1
---@field streams sync.server.Stream[] responses on the stream endpoint whose head is sent and which have not ended
---@field simulation sync.server.Simulation|nil `:step()` moves one order by hand
local Server = {}
Server.__index = Server

local function now_ms(uv)
  local second, microsecond = uv.gettimeofday()
  return second * 1000 + math.floor(microsecond / 1000)
end

local function url_of(host, port)
  return ("http://%s:%d"):format(host:find(":", 1, true) and "[" .. host .. "]" or host, port)
end

---Start a server.
---
---| option | default | |
---| --- | --- | --- |
---| `host`, `port` | `"127.0.0.1"`, 0 | port 0: any free one |
---| `path` | `"/api/v1/sync/events"` | of the stream endpoint |
---| `ids` | true | false: no ids, no replay, Last-Event-ID ignored, as the existing server does |
---| `replay_limit` | 1000 | events that are kept for replay |
---| `ring_file` | none | keeps those events beyond the life of this process: the next one goes on with the same ids |
---| `heartbeat_ms` | 30000 | 0: none |
---| `chunked` | true | false: a stream ends with its connection |
---| `retry_ms` | none | sent first on every stream |
---| `backlog_limit_bytes` | 256 MiB | a client that is further behind is disconnected |
---| `simulate` | none | `{orders=5, interval_ms=300, seed=1}`; interval 0: only by hand |
---| `uv` | luv | |
---| `log` | none | `function(line)` |
---@param given table|nil unknown options and wrong types raise
---@return sync.server.Server|nil, string|nil message, string|nil code `LISTEN`, `RING_FILE`
function server.start(given)
  local read = options.read(given)
  local uv = read.uv or require "luv"
  local epoch = now_ms(uv)
  local self = setmetatable({
    options = read, uv = uv, orders = orders.new(tostring(epoch)), ring = ring.new(epoch, read.replay_limit),
    streams = {}, connections = {}, accepted = 0, scripts = {}, requests = {},
  }, Server)
  local ok, message, code = self:open_ring_file()
  if ok then ok, message, code = self:listen() end
  if not ok then
    self:close_ring_file()
    return nil, message, code
  end
  self:start_timers()
  return self
end

---Read scripts from JSON.
---@param text string
---@return table|nil scripts for `behave`
---@return string|nil message
---@return string|nil code `SCRIPT`
function server.load_script(text)
  return script.load(text)
end

function Server:listen()
  local host, port = self.options.host, self.options.port
  local found, message, code = listener.new(self.uv, host, port, function(socket) self:accept(socket) end)
  if not found then return nil, message, code end
  self.listener, self.port, self.url = found, found.port, url_of(found.host, found.port)
  local ok
  ok, message, code = found:open()
  if not ok then found:close() end
  return ok, message, code
end

-- Takes up what the file has of the past: the ring, and the orders as far as its events tell of them.
function Server:open_ring_file()
  if not self.options.ring_file then return true end
  local message, code
  self.ring_file, message, code = ring_file.open(self.options.ring_file, self.ring)
  if not self.ring_file then return nil, message, code end
  for past in self.ring:events() do self.orders:apply(past) end
  return true
end

function Server:close_ring_file()
  if self.ring_file then self.ring_file:close() end
end

function Server:start_timers()
  local uv, heartbeat_ms, simulation = self.uv, self.options.heartbeat_ms, self.options.simulate
  if heartbeat_ms > 0 then
    self.heartbeat_timer = uv.new_timer()
    uv.timer_start(self.heartbeat_timer, heartbeat_ms, heartbeat_ms, function() self:heartbeat() end)
  end
  if simulation then
    local function publish(spec) self:publish(spec) end
    self.simulation = simulate.new(publish, simulation, function() return self:timestamp() end)
    if simulation.interval_ms > 0 then self.simulation:start(uv, simulation.interval_ms) end
  end
end

-- Connections and requests -------------------------------------------------------------------------------------------

function Server:accept(socket)
  self.accepted = self.accepted + 1
  local accepted = connection.new(self.uv, socket, self.accepted, function(from, request)
    self:record(from, request)
    routes.handle(self, from, request)
  end, function(gone) self.connections[gone] = nil end)
  self.connections[accepted] = true
end

function Server:record(from, request)
  local requests = self.requests
  if #requests >= REQUESTS_KEPT then table.remove(requests, 1) end
  requests[#requests + 1] = {
    method = request.method, target = request.target, path = request.path, query = request.query,
    headers = request.headers, body = request.body, at = self.uv.hrtime() / 1e6, connection = from.number,
  }
  self:log("connection %d: %s %s", from.number, request.method, request.path) -- the query may hold a token
end

---How many requests were seen.
---@param path string|nil only those to this path
---@return integer
function Server:request_count(path)
  local count = 0
  for _, request in ipairs(self.requests) do
    if not path or request.path == path then count = count + 1 end
  end
  return count
end

---Write a line to the log, if there is one.
---@param format string
function Server:log(format, ...)
  if self.options.log then self.options.log(format:format(...)) end
end

-- Streams ------------------------------------------------------------------------------------------------------------

---For the stream that sends its head.
---@param stream sync.server.Stream
function Server:add_stream(stream)
  self.streams[#self.streams + 1] = stream
end

---For the stream that ends. Does nothing if it is not there.
---@param stream sync.server.Stream
function Server:remove_stream(stream)
  for index, each in ipairs(self.streams) do
    if each == stream then
      table.remove(self.streams, index)
      return self:log("connection %d: stream ended", stream.connection.number)
    end
  end
end

---How many streams are open.
---@return integer
function Server:stream_count()
  return #self.streams
end

---A name for the client of a stream, as the existing server makes it.
---@return string
function Server:client_id()
  local suffix = self.uv.random(9):gsub(".", function(byte)
    local index = byte:byte() % 36 + 1
    return BASE_36:sub(index, index)
  end)
  return ("client_%d_%s"):format(now_ms(self.uv), suffix)
end

---The present as the endpoint writes it.
---@return string
function Server:timestamp()
  return event.timestamp(self.uv.gettimeofday())
end

---Publish an event: it gets its id, changes the orders, is kept for replay and goes to every stream that wants it.
---Raises on misuse, and when the event cannot be written to the ring's file.
---@param spec table `{type=, order_id=, data=, timestamp=, text=}`. `data` is anything that cjson encodes, by default
---  {}; `text` is sent as it is in place of the JSON object of the design
---@return table event `{type, order_id, data, timestamp, sequence, id, wire}`; `wire` is the text that is sent
function Server:publish(spec)
  local sequence = self.ring:next_sequence()
  local id = self.options.ids and self.ring:id(sequence) or nil
  local published = event.new(spec, sequence, id, self:timestamp())
  if self.ring_file then self.ring_file:append(published) end
  self.ring:append(published)
  self.orders:apply(published)
  for index = #self.streams, 1, -1 do -- backwards: a stream that ends takes itself out of the list
    local stream = self.streams[index]
    if stream.following then stream:offer(published) end
  end
  return published
end

function Server:broadcast(text)
  for index = #self.streams, 1, -1 do
    local stream = self.streams[index]
    if stream.following then stream:write(text) end
  end
end

---Send a heartbeat to every stream.
function Server:heartbeat()
  self:broadcast(event.heartbeat(self:timestamp(), self:stream_count()))
end

---Send a comment to every stream.
---@param text string
function Server:comment(text)
  self:broadcast(event.comment(text))
end

local drops = {
  clean = function(stream) stream:finish() end,
  cut = function(stream) stream:cut() end,
  reset = function(stream) stream:reset() end,
}

---End every open stream.
---@param kind string|nil "clean" (the default): after what is on its way, as the framing asks; "cut": FIN in the middle
---  of an event whose id is that of the next one; "reset": RST, now
function Server:drop(kind)
  local drop = drops[kind or "clean"]
  if not drop then error("drop: 'clean', 'cut' or 'reset' wanted, not " .. tostring(kind), 2) end
  for index = #self.streams, 1, -1 do
    local stream = self.streams[index]
    -- A half-open connection cannot be told anything any more.
    if stream.connection.frozen and kind ~= "reset" then stream.connection:destroy() else drop(stream) end
  end
end

---Queue scripts: each of the next requests for a stream takes one, later ones are served normally again.
---Raises on misuse.
---@param scripts table one step, one script (a list of steps) or a list of scripts; see `sync/server/script.lua`
---@return sync.server.Server self
function Server:behave(scripts)
  local compiled, message = script.compile(scripts)
  if not compiled then error("behave: " .. message, 2) end
  for _, each in ipairs(compiled) do self.scripts[#self.scripts + 1] = each end
  return self
end

---For the request that begins a stream: its script, if there is one.
---@return table|nil
function Server:take_script()
  return table.remove(self.scripts, 1)
end

-- Life ---------------------------------------------------------------------------------------------------------------

---Lose the past: ids start again in a new epoch, nothing older can be replayed. Open streams go on. The orders stay.
function Server:new_epoch()
  self.ring:restart(math.max(self.ring.epoch + 1, now_ms(self.uv)))
  if self.ring_file then assert(self.ring_file:rewrite()) end
  for _, stream in ipairs(self.streams) do stream:enter_epoch() end
end

---Refuse connections and end all there are (FIN, no RST). The port stays ours, the ring stays, events can be published.
---@return true|nil, string|nil message, string|nil code `LISTEN`
function Server:stop()
  local ok, message, code = self.listener:refuse()
  local present = {}
  for each in pairs(self.connections) do present[#present + 1] = each end
  for _, each in ipairs(present) do each:destroy() end
  if not ok then return nil, message, code end
  return true
end

---Stop, and listen again on the same port.
---@param how {forget: boolean}|nil `forget` begins a new epoch: the ring is lost
---@return true|nil, string|nil message, string|nil code `LISTEN`
function Server:restart(how)
  local ok, message, code = self:stop()
  if not ok then return nil, message, code end
  if how and how.forget then self:new_epoch() end
  return self.listener:open()
end

---End everything and give the port back. The loop has nothing of this server left after its next turn. Idempotent.
function Server:close()
  if self.closed then return end
  self.closed = true
  self:stop()
  self.listener:close()
  self:close_ring_file()
  if self.heartbeat_timer then self.uv.close(self.heartbeat_timer) end
  if self.simulation then self.simulation:stop() end
end

return server
