--- The steps of a script: everything that a stream endpoint can do to a client, each under one name.
-- How steps are put together, and when one has to wait, is `script.lua`; a step only says what it does.
--
-- Kinds: "head" settings shape the head and come before it is sent; "pace" settings hold for all later writes; "write"
-- and "act" steps do something and let the script go on; an "ending" is the last step, and so is an `endless` one with
-- `true`; an "answer" is an ending that takes the place of the stream, so nothing may have been sent before it.

local http = require "sync.server.http"

local misbehave = {}

-- An endless line must not be made in memory before it is sent.
local LINE_BLOCK_BYTES = 64 * 1024

-- Each check returns nil, or what it wants.
local function is_text(value) return type(value) ~= "string" and "a string" or nil end
local function is_boolean(value) return type(value) ~= "boolean" and "true or false" or nil end
local function is_true(value) return value ~= true and "true" or nil end

local function is_count(value)
  local ok = type(value) == "number" and value >= 0 and value < 2 ^ 53 and value % 1 == 0
  return not ok and "a whole number" or nil
end

local function is_count_or_true(value) return value ~= true and is_count(value) and "a whole number or true" or nil end
local function is_text_or_true(value) return value ~= true and is_text(value) and "a string or true" or nil end

local function is_field_value(value)
  return value == false or type(value) == "string" and not value:find("[\r\n]")
end

local function is_content_type(value) return not is_field_value(value) and "a string of one line, or false" or nil end

local function is_status(value)
  return (is_count(value) or value < 200 or value > 999) and "a status from 200 to 999" or nil
end

local function is_split(value)
  local ok = value == "every_byte" or value == false or not is_count(value) and value > 0
  return not ok and "'every_byte', a number of bytes, or false" or nil
end

local function is_list_of_text(value)
  if type(value) ~= "table" then return "a list of strings" end
  for _, text in ipairs(value) do
    if is_text(text) then return "a list of strings" end
  end
end

local function is_headers(value)
  local wanted = "a table of fields (a string of one line, a list of them, or false)"
  if type(value) ~= "table" then return wanted end
  for name, each in pairs(value) do
    if type(name) ~= "string" then return wanted end
    for _, field in ipairs(type(each) == "table" and each or { each }) do
      if not is_field_value(field) then return wanted end
    end
    if type(each) ~= "table" and not is_field_value(each) then return wanted end
  end
end

---@type table<string, {kind: string, check: fun(value): string|nil, run: fun(run, value), endless: boolean|nil}>
local steps = {}
misbehave.steps = steps

local function answer(run, status, content_type, body)
  local stream = run.stream
  local headers = stream:with_overrides { { "Content-Type", content_type } }
  stream.connection:respond(status, headers, run.body or body)
end

-- Settings of the head -----------------------------------------------------------------------------------------------

steps.headers = { kind = "head", check = is_headers, run = function(run, headers)
  local names = {}
  for name in pairs(headers) do names[#names + 1] = name end
  table.sort(names) -- the same script gives the same bytes
  for _, name in ipairs(names) do run.stream:override_header(name, headers[name]) end
end }

steps.content_type = { kind = "head", check = is_content_type, run = function(run, content_type)
  run.stream:override_header("Content-Type", content_type)
end }

-- The body of a `status` or `html` answer.
steps.body = { kind = "head", check = is_text, run = function(run, body) run.body = body end }

steps.gzip = { kind = "head", check = is_true, run = function(run) run.stream:use_gzip() end }

-- Without chunks the end of the connection is the end of the stream; HTTP/1.0 has nothing else.
steps.chunked = { kind = "head", check = is_boolean, run = function(run, chunked)
  run.stream.chunked = chunked and run.stream.request.minor_version > 0
end }

-- Settings of the pace -----------------------------------------------------------------------------------------------

steps.split = { kind = "pace", check = is_split, run = function(run, size)
  run.stream.outbox.piece_bytes = size == "every_byte" and 1 or size or nil
end }

-- A pause after every piece; without a `split` a drip is one byte.
steps.drip_ms = { kind = "pace", check = is_count, run = function(run, drip_ms)
  run.stream.outbox.drip_ms = drip_ms
end }

-- Writing ------------------------------------------------------------------------------------------------------------

steps.send = { kind = "write", check = is_text, run = function(run, text)
  run.stream:write(text)
  run:flush()
end }

-- Each piece is a write, and a chunk, of its own.
steps.pieces = { kind = "write", check = is_list_of_text, run = function(run, pieces)
  for _, piece in ipairs(pieces) do steps.send.run(run, piece) end
end }

-- Bytes in place of a response, or past the framing of one that has begun.
steps.raw = { kind = "write", check = is_text, run = function(run, bytes) run:write_raw(bytes) end }

-- A data line that goes on: so many bytes without a line end, or for ever.
steps.endless_line = { kind = "write", check = is_count_or_true, endless = true, run = function(run, bytes)
  local left = bytes == true and math.huge or bytes
  local block = "data: " .. ("x"):rep(LINE_BLOCK_BYTES - 6)
  while left > 0 and not run.cancelled do
    steps.send.run(run, #block > left and block:sub(1, left) or block)
    left = left - #block
    block = ("x"):rep(LINE_BLOCK_BYTES)
  end
end }

-- The last events again.
steps.duplicate = { kind = "write", check = is_count, run = function(run, count)
  for _, published in ipairs(run.server.ring:last(count)) do
    if run.stream:wants(published) then run.stream:write(published.wire) end
  end
  run:flush()
end }

-- The normal endpoint: for so many events (0: only `connected`), or from here on.
steps.stream = { kind = "write", check = is_count_or_true, endless = true, run = function(run, limit)
  if limit == true then return run.stream:follow(math.huge) end
  run:follow(limit)
  run:flush()
end }

-- Acting -------------------------------------------------------------------------------------------------------------

steps.wait_ms = { kind = "act", check = is_count, run = function(run, duration_ms) run:pause(duration_ms) end }

steps.skip_ids = { kind = "act", check = is_count, run = function(run, count) run.server.ring:skip(count) end }

steps.new_epoch = { kind = "act", check = is_true, run = function(run) run.server:new_epoch() end }

-- Endings ------------------------------------------------------------------------------------------------------------

-- A complete answer that is no stream; the connection lives on.
steps.status = { kind = "answer", check = is_status, run = function(run, status)
  answer(run, status, "text/plain", "")
end }

-- What a proxy says when the server behind it is gone.
steps.html = { kind = "answer", check = is_status, run = function(run, status)
  local title = ("%d %s"):format(status, http.reason(status))
  local page = "<!DOCTYPE html>\n<html><head><title>%s</title></head><body><h1>%s</h1></body></html>\n"
  answer(run, status, "text/html", page:format(title, title))
end }

-- Say nothing more, not even a head that was not sent; read on, so that the client's leaving is seen.
steps.stall = { kind = "ending", check = is_true, run = function() end }

steps.finish = { kind = "ending", check = is_true, run = function(run) run.stream:finish() end }

steps.cut = { kind = "ending", check = is_text_or_true, run = function(run, text)
  run.stream:cut(text ~= true and text or nil)
end }

steps.reset = { kind = "ending", check = is_true, run = function(run) run.stream:reset() end }

steps.half_open = { kind = "ending", check = is_true, run = function(run) run.stream:freeze() end }

-- The request is read, then the connection closed without a word. (`server:stop()` refuses connections.)
steps.refuse = { kind = "ending", check = is_true, run = function(run) run.stream.connection:destroy() end }

return misbehave
