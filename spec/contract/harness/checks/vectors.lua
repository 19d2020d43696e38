--- Checks made of the byte-exact cases in spec/fixtures/sse-vectors.jsonl: the chunks of a case as one connection, then
-- its end, which is reported as an error and so closes the list of events; then the Last-Event-ID of the reconnect.

local cjson = require "cjson"

local VECTORS = "spec/fixtures/sse-vectors.jsonl"
local ALPHABET = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/"

local function decode_base64(text)
  local bits, count, bytes = 0, 0, {}
  for digit in text:gmatch("[%w+/]") do
    bits, count = bits % 64 * 64 + ALPHABET:find(digit, 1, true) - 1, count + 6
    if count >= 8 then
      count = count - 8
      bytes[#bytes + 1] = string.char(math.floor(bits / 2 ^ count) % 256)
    end
  end
  return table.concat(bytes)
end

-- The id as a request can show it: none, if it is empty or holds a byte that no header can; HTTP trims it.
local function header_of(id)
  if id:find("[%z\1-\8\10-\31\127]") then return nil end
  id = id:match("^[ \t]*(.-)[ \t]*$")
  return id ~= "" and id or nil
end

local function read_vector(line)
  local vector = cjson.decode(line)
  for index, chunk in ipairs(vector.chunks) do vector.chunks[index] = decode_base64(chunk) end
  for _, event in ipairs(vector.events) do
    if event.data_b64 then event.data = decode_base64(event.data_b64) end
    if event.type_b64 then event.type = decode_base64(event.type_b64) end
  end
  return vector
end

local function check_vector(vector)
  return function(scene)
    local subject, exchange = scene:open_stream { lastEventId = vector.initial_last_event_id }
    exchange:send((table.unpack or unpack)(vector.chunks)):finish()
    for _, event in ipairs(vector.events) do
      subject:skip_comments()
      subject:expect_event(event)
    end
    subject:skip_comments()
    subject:expect_error()
    if vector.retry ~= cjson.null then return end -- it would reconnect when the case says
    local got = subject:await_request().headers["last-event-id"]
    local wanted = header_of(vector.last_event_id)
    if got ~= wanted then error(("last-event-id: expected %s, got %s"):format(tostring(wanted), tostring(got)), 0) end
  end
end

local checks = {}
for line in io.lines(VECTORS) do
  local vector = read_vector(line)
  checks[#checks + 1] = {
    ("%s: vector %s"):format(vector.behaviour:gsub(",", " "), vector.id), check_vector(vector),
    needs = vector.initial_last_event_id and "last-event-id" or nil,
  }
end
return checks
