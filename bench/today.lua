-- today.lua CASE URL: the yardstick that matters most, what a Lua user would write today with Debian's packages.
-- luv for the socket, a line splitter in Lua, lua-cjson for each event. Written to be fast and right for this stream,
-- as a careful user would: no reconnection, no `\r\n`, no chunked encoding (which would only slow it down).
--
--   type_and_order  decodes each event and touches its type and its order id
--   data            touches data.newStage
--   latency         reads the paced stream's stamps

local cjson = require "cjson"
local outcome = require "bench.outcome"
local uv = require "luv"

local decode, find, sub = cjson.decode, string.find, string.sub
local case, url = arg[1], arg[2]
local host, port, path = url:match("^http://([^:/]+):(%d+)(/.*)$")

local counts = { events = 0, fields = 0, stages = 0, last_order = "" }
local samples_ns = {}
local beginning, socket

local handlers = {}

function handlers.type_and_order(event)
  local order_id = event.orderID
  counts.events = counts.events + 1
  counts.fields = counts.fields + #event.eventType + #order_id
  counts.last_order = order_id
end

function handlers.data(event)
  counts.events = counts.events + 1
  local stage = event.data and event.data.newStage
  if stage then counts.stages = counts.stages + #stage end
end

function handlers.latency(event)
  samples_ns[#samples_ns + 1] = outcome.clock_ns() - tonumber(event.data.sentNs)
  counts.events = counts.events + 1
end

local handler = assert(handlers[case], "usage: today.lua type_and_order|data|latency URL")

local function finish()
  outcome.finish(counts, beginning)
  outcome.percentiles(counts, samples_ns)
  outcome.print(counts)
  socket:close()
end

local event_type, data

local function dispatch()
  if event_type == "done" then return finish() end
  if data then handler(decode(data)) end
  event_type, data = nil, nil
end

local function take_line(line)
  if line == "" then return dispatch() end
  local name = sub(line, 1, 5)
  if name == "data:" then
    data = sub(line, 7)
  elseif name == "event" then
    event_type = sub(line, 8)
  end
end

local rest = ""

local function take_body(chunk)
  local text, from = rest .. chunk, 1
  while true do
    local newline = find(text, "\n", from, true)
    if not newline then break end
    take_line(sub(text, from, newline - 1))
    from = newline + 1
  end
  rest = sub(text, from)
end

local head = ""

local function take_head(chunk)
  head = head .. chunk
  local _, head_end = find(head, "\r\n\r\n", 1, true)
  if not head_end then return end
  assert(find(head, "^HTTP/1.1 200 "), head)
  local body = sub(head, head_end + 1)
  head = nil
  take_body(body)
end

socket = uv.new_tcp()
socket:connect(host, tonumber(port), function(connect_error)
  assert(not connect_error, connect_error)
  socket:write("GET " .. path .. " HTTP/1.1\r\nHost: " .. host .. "\r\nAccept: text/event-stream\r\n\r\n")
  socket:read_start(function(read_error, chunk)
    assert(not read_error, read_error)
    if not chunk then return end
    if head then take_head(chunk) else take_body(chunk) end
  end)
end)
beginning = outcome.start()
uv.run()
