--- A burst of a million events, for specs of what it does to a host: a server that sends as fast as it is read, and a count
-- of what arrives.

local listener = require "spec.support.listener"
local world = require "spec.support.world"

-- A checker of memory, under which all takes fifty times as long, is content with fewer: whole thousands.
local burst = { EVENTS = tonumber(os.getenv "BURST_EVENTS") or 1000000 }

local BLOCK_EVENTS = 1000

-- The events of a block are of orders 1 to BLOCK_EVENTS: who counts knows which one is next.
local order_ids, texts = {}, {}
for number = 1, BLOCK_EVENTS do
  order_ids[number] = ("ORDER-%d"):format(number)
  texts[number] = ('data: {"eventType":"stage_change","orderID":"%s","data":{"newStage":"open"}}\n\n')
    :format(order_ids[number])
end
local block = table.concat(texts)

-- What a client of the server needs: no order book, for it is not about that; and no second stream.
burst.OPTIONS = {
  book_limit = 0, queue_limit = 10000, reconnect_delay_ms = 3600000, max_reconnect_delay_ms = 3600000,
}

---A server that sends them all, once it is told to.
---@return {url: string, begin: fun()} server `begin`: once the client is connected
function burst.server()
  local blocks_left = burst.EVENTS / BLOCK_EVENTS
  local server = {}
  local function send(peer)
    blocks_left = blocks_left - 1
    if blocks_left >= 0 then peer:write(block, function(message) if not message then send(peer) end end) end
  end
  server.url = world.listener(function(peer)
    peer:write(listener.STREAM_HEAD)
    server.begin = function() send(peer) end
  end).url
  return server
end

---Count what comes, and raise unless it comes in order.
---@param client sync.Client
---@return {events: integer} count
function burst.count(client)
  local count = { events = 0 }
  client:subscribe(function(event)
    local due = order_ids[count.events % BLOCK_EVENTS + 1]
    if event.order_id ~= due then error(event.order_id .. " came where " .. due .. " was due") end
    count.events = count.events + 1
  end)
  return count
end

return burst
