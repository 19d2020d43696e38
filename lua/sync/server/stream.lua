--- One response on the stream endpoint, from its head to its end, whatever that end is.
-- It knows who wants which event and from where; how bytes leave is the outbox's matter, and what else may happen to
-- a response is told by a script. The server owns the list of open streams; a stream enters it with its head and
-- leaves it when it ends.

local event = require "sync.server.event"
local gzip = require "sync.server.gzip"
local http = require "sync.server.http"
local outbox = require "sync.server.outbox"

local stream = {}

---@class sync.server.Stream
---@field connection sync.server.Connection
---@field request table
---@field outbox sync.server.Outbox
---@field position integer sequence of the last event that was considered for this client
---@field following boolean whether events go out as they are published
local Stream = {}
Stream.__index = Stream

local function set_of(list)
  if not list or list == "" then return nil end
  local set = {}
  for name in list:gmatch("[^,]+") do set[name:match("^%s*(.-)%s*$")] = true end
  return set
end

---Begin a response; nothing is sent yet.
---@param server sync.server.Server
---@param connection sync.server.Connection
---@param request table
---@return sync.server.Stream
function stream.new(server, connection, request)
  local chunked = server.options.chunked and request.minor_version > 0
  local self = setmetatable({
    server = server, connection = connection, request = request, overrides = {}, chunked = chunked,
    outbox = outbox.new(server.uv, connection, chunked), following = false,
    order_ids = set_of(request.query.orderID), event_types = set_of(request.query.eventTypes),
  }, Stream)
  if server.options.ids then
    local last_event_id = request.headers["last-event-id"] or request.query.lastEventId
    self.last_event_id = last_event_id ~= "" and last_event_id or nil
  end
  self:locate()
  connection.on_close = function() self:detach() end
  return self
end

-- Finds where this client goes on. The answer holds for one epoch.
function Stream:locate()
  local ring = self.server.ring
  self.epoch = ring.epoch
  self.position, self.gap = ring:resume(self.last_event_id)
end

---A new epoch has begun: everything in it is due.
function Stream:enter_epoch()
  self.position = 0
end

---Change a field of the head to come.
---@param name string
---@param value string|string[]|false
function Stream:override_header(name, value)
  self.overrides[#self.overrides + 1] = { name, value }
end

---A list of fields with the overrides of this response.
---@param headers table[]
---@return table[]
function Stream:with_overrides(headers)
  for _, override in ipairs(self.overrides) do http.set_header(headers, override[1], override[2]) end
  return headers
end

---Encode the body with gzip; before the head is sent.
function Stream:use_gzip()
  self.encoder = gzip.new()
end

local function head_of(self)
  local headers = {
    { "Content-Type", "text/event-stream" },
    { "Cache-Control", "no-cache" },
    { "X-Accel-Buffering", "no" }, -- nginx in between would hold events back
  }
  if self.chunked then http.set_header(headers, "Transfer-Encoding", "chunked") end
  if self.encoder then http.set_header(headers, "Content-Encoding", "gzip") end
  local lasts = self.chunked and self.request.keep_alive
  http.set_header(headers, "Connection", lasts and "keep-alive" or "close")
  return http.head(200, self:with_overrides(headers))
end

---Send the head, once.
function Stream:open()
  if self.is_open then return end
  self:enter()
  self.outbox.chunked = self.chunked
  self.connection:write(head_of(self))
  if self.encoder then self.outbox:push(gzip.header) end
end

---Count as an open stream without a head of ours: a script wrote its own bytes, which nothing frames.
function Stream:open_raw()
  if self.is_open then return end
  self.chunked, self.outbox.chunked = false, false
  self:enter()
end

function Stream:enter()
  self.is_open = true
  self.server:add_stream(self)
end

---Send event-stream text.
---@param text string
function Stream:write(text)
  self:open()
  self.outbox:push(self.encoder and self.encoder:encode(text) or text)
  local backlog_limit = self.server.options.backlog_limit_bytes
  if self.outbox.bytes > backlog_limit then
    self.server:log("connection %d: closed, more than %d bytes behind", self.connection.number, backlog_limit)
    self.connection:destroy()
  end
end

-- `connected` gives a new client its first position, so that it can resume even if it never saw an event; a client that
-- has an id keeps it until it gets a newer event, or until `resync` says that its id means nothing here.
function Stream:greet()
  if self.greeted then return end
  self.greeted = true
  local server = self.server
  if self.epoch ~= server.ring.epoch then self:locate() end -- a script has begun a new one meanwhile
  local position_id = server.options.ids and server.ring:id(self.position) or nil
  local retry = server.options.retry_ms and ("retry: %d\n\n"):format(server.options.retry_ms) or ""
  local first_id = not self.last_event_id and position_id or nil
  local connected = event.connected(server:client_id(), server:timestamp(), first_id)
  local resync = self.gap and event.resync(self.gap, self.last_event_id, position_id) or ""
  self:write(retry .. connected .. resync)
end

function Stream:wants(published)
  if self.event_types and not self.event_types[published.type] then return false end
  return not self.order_ids or self.order_ids[published.order_id or ""] == true
end

---Go on as the endpoint does: greet, replay, then every event as it is published.
---@param limit integer events after which to stop again; `math.huge` for none
---@param on_limit function|nil called when that many were sent
function Stream:follow(limit, on_limit)
  self:greet()
  self.following, self.remaining, self.on_limit = true, limit, on_limit
  if limit == 0 then return self:stop_following() end
  local ring = self.server.ring
  for sequence = math.max(self.position + 1, ring:oldest()), ring.newest do
    local published = ring:at(sequence)
    if published then self:offer(published) end
    if not self.following then return end
  end
end

function Stream:stop_following()
  local on_limit = self.on_limit
  self.following, self.on_limit = false, nil
  if on_limit then on_limit() end
end

---Send an event, if this client wants it.
---@param published table
function Stream:offer(published)
  self.position = published.sequence
  if not self:wants(published) then return end
  self:write(published.wire)
  self.remaining = self.remaining - 1
  if self.remaining == 0 then self:stop_following() end
end

-- From here on this is no open stream; what was pushed still leaves.
function Stream:leave()
  self.following = false
  self.server:remove_stream(self)
  if self.run then self.run:cancel() end
end

---The socket is gone.
function Stream:detach()
  self:leave()
  self.outbox:close()
end

---End cleanly, after all that was pushed; on a chunked response the connection lives on.
function Stream:finish()
  self:open()
  if self.encoder then self.outbox:push(self.encoder:finish()) end
  self:leave()
  self.outbox:when_empty(function()
    self.outbox:close()
    if self.chunked then self.connection:write(http.last_chunk) end
    self.connection:done(not self.chunked)
  end)
end

---End with FIN in the middle of an event, without the end that the framing asks for.
---@param text string|nil the beginning of an event; nil: of the one that would come next
function Stream:cut(text)
  local ring = self.server.ring
  self:write(text or event.half(self.server.options.ids and ring:id(ring:next_sequence()) or nil))
  self:leave()
  self.outbox:when_empty(function() self.connection:finish() end)
end

---End with RST, now.
function Stream:reset()
  self.connection:reset()
end

---Neither read nor write nor close: the connection is up and the server is gone.
function Stream:freeze()
  self.following = false
  self.outbox:close()
  self.connection:freeze()
end

return stream
