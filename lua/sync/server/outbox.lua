--- The bytes on their way to one client: in order, one write in flight, the rest waiting here.
-- It knows batches, pieces, drips and chunks, but neither events nor requests. It does not own the connection.
--
-- One write in flight is the back-pressure: a client that does not read keeps its own bytes waiting and nobody else's.
-- What comes in meanwhile is joined into writes of up to BATCH_BYTES: a burst costs a write per batch, not per event.

local http = require "sync.server.http"

local outbox = {}

-- About what a loopback socket takes at once: larger writes are split by the kernel, smaller ones cost more calls.
local BATCH_BYTES = 64 * 1024

---@class sync.server.Outbox
---@field bytes integer not yet given to the socket
---@field chunked boolean frame each write as a chunk
---@field piece_bytes integer|nil write in pieces of this size; nil: as much as possible, or single bytes in a drip
---@field drip_ms integer pause after each write
local Outbox = {}
Outbox.__index = Outbox

---@param uv table luv
---@param connection sync.server.Connection
---@param chunked boolean
---@return sync.server.Outbox
function outbox.new(uv, connection, chunked)
  local self = setmetatable({
    uv = uv, connection = connection, chunked = chunked, drip_ms = 0, bytes = 0,
    items = {}, first = 1, last = 0, offset = 1, -- `offset`: where in the first item the unsent part begins
  }, Outbox)
  self.on_written = function(err)
    if err or self.closed then return end
    if self.drip_ms > 0 then return self:wait() end
    self.writing = false
    self:pump()
  end
  return self
end

---Send text after all that was pushed before. Empty text is nothing.
---@param text string
function Outbox:push(text)
  if text == "" or self.closed then return end
  self.last = self.last + 1
  self.items[self.last] = text
  self.bytes = self.bytes + #text
  if not self.writing then self:pump() end
end

---Whether all was given to the socket, and taken by it.
---@return boolean
function Outbox:is_empty()
  return not self.writing and self.first > self.last
end

---Call back once all is sent: now, if it is. A later call replaces an earlier one.
---@param callback function
function Outbox:when_empty(callback)
  if self:is_empty() then return callback() end
  self.on_empty = callback
end

---Send nothing more and forget what waits.
function Outbox:close()
  if self.closed then return end
  self.closed = true
  self.items, self.first, self.last, self.bytes, self.on_empty = {}, 1, 0, 0, nil
  if self.timer then self.uv.close(self.timer) end
end

function Outbox:wait()
  self.timer = self.timer or self.uv.new_timer()
  self.uv.timer_start(self.timer, self.drip_ms, 0, function()
    self.writing = false
    self:pump()
  end)
end

function Outbox:pump()
  if self.first > self.last then return self:report_empty() end
  self.writing = true
  local size = self.piece_bytes or self.drip_ms > 0 and 1
  local payload = size and self:take_piece(size) or self:take_batch()
  self.bytes = self.bytes - #payload
  self.connection:write(self.chunked and http.chunk(payload) or payload, self.on_written)
end

function Outbox:report_empty()
  local callback = self.on_empty
  self.on_empty = nil
  if callback then callback() end
end

function Outbox:drop_first()
  self.items[self.first] = nil
  self.first, self.offset = self.first + 1, 1
  if self.first > self.last then self.items, self.first, self.last = {}, 1, 0 end
end

function Outbox:take_piece(size)
  local item = self.items[self.first]
  local piece = item:sub(self.offset, self.offset + size - 1)
  self.offset = self.offset + size
  if self.offset > #item then self:drop_first() end
  return piece
end

function Outbox:take_batch()
  local items, first = self.items, self.first
  items[first] = items[first]:sub(self.offset)
  local last, size = first, #items[first]
  while last < self.last and size + #items[last + 1] <= BATCH_BYTES do
    last = last + 1
    size = size + #items[last]
  end
  local payload = table.concat(items, "", first, last)
  for _ = first, last do self:drop_first() end
  return payload
end

return outbox
