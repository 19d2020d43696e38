--- Checks of the requests that a stream makes: method, headers, body, Last-Event-ID; and what is told of ids.

local function expect_header(request, name, wanted)
  local value = request.headers[name]
  if value ~= wanted then
    error(("%s: expected %s, got %s"):format(name, tostring(wanted), tostring(value)), 0)
  end
end

local function expect_equal(what, wanted, got)
  if wanted ~= got then error(("%s: expected %s, got %s"):format(what, wanted, got), 0) end
end

-- Breaks the connection, and gives the request that follows.
local function reconnect(subject, exchange)
  exchange:finish()
  subject:expect_error()
  return subject:await_request()
end

local LONG_ID = "<" .. ("a"):rep(253) .. ">"

-- {title, stream of the first connection, Last-Event-ID of the second}
local RESUMED = {
  { "L02: the last id is sent on reconnect", "id: abc\ndata: x\n\n", "abc" },
  { "L03 I02: it is sent even if later events had none", "id: abc\ndata: x\n\ndata: y\n\n", "abc" },
  { "L04 I04: an empty id takes it away", "id: abc\ndata: x\n\nid:\ndata: y\n\n", nil },
  { "I05: a bare id takes it away", "id: abc\ndata: x\n\nid\ndata: y\n\n", nil },
  { "I03 I11: the last id wins", "id: 1\nid: 2\ndata: x\n\nid: 3\ndata: y\n\n", "3" },
  { "I06: an id with a NUL is passed over", "id: abc\ndata: x\n\nid: d\0ef\ndata: y\n\n", "abc" },
  { "I07: an id is sent as UTF-8", "id: \226\128\166\ndata: x\n\n", "\226\128\166" },
  { "I08: an id without data counts", "id: abc\ndata: x\n\nid: def\n\n", "def" },
  { "I09 P27: an id of half an event does not", "id: abc\ndata: x\n\nid: def\ndata: y", "abc" },
  { "I12: long and odd ids come back unchanged", "id: " .. LONG_ID .. "\ndata: x\n\n", LONG_ID },
  { "L07: an id that no header can hold is left out", "id: a\1b\ndata: x\n\n", nil },
}

-- Events are told before the error of the lost connection; which, is not this check's matter.
local function check_resumed(stream, wanted)
  return function(scene)
    local subject, exchange = scene:open_stream()
    expect_header(exchange, "last-event-id", nil)
    exchange:send(stream):finish()
    while subject:next_report().kind ~= "error" do end
    expect_header(subject:await_request(), "last-event-id", wanted)
  end
end

local JSON = '{"hello": "world"}'

local function check_body(method)
  return function(scene)
    local subject = scene:subject {
      initialDelayMs = 0, method = method, body = JSON,
      headers = { ["content-type"] = "application/json; charset=utf-8", ["header-name-1"] = "value-1" },
    }
    local request = subject:await_request()
    for _ = 1, 2 do
      expect_equal("the method", method, request.method)
      expect_equal("the body", JSON, request.body)
      expect_header(request, "content-type", "application/json; charset=utf-8")
      expect_header(request, "header-name-1", "value-1")
      expect_header(request, "accept", "text/event-stream")
      request = reconnect(subject, request:open())
    end
  end
end

local checks = {
  { "H01 H02 H03 L01: GET, Accept, Cache-Control, and no Last-Event-ID at first", function(scene)
    local subject = scene:subject { initialDelayMs = 0 }
    local request = subject:await_request()
    for _ = 1, 2 do
      expect_equal("the method", "GET", request.method)
      expect_equal("the body", "", request.body)
      expect_header(request, "accept", "text/event-stream")
      expect_header(request, "cache-control", "no-cache")
      expect_header(request, "last-event-id", nil)
      request = reconnect(subject, request:open())
    end
  end },

  { "H04: the caller's headers are in every request", needs = "headers", function(scene)
    local subject = scene:subject {
      initialDelayMs = 0, headers = { ["header-name-1"] = "value-1", ["header-name-2"] = "value-2" },
    }
    local request = subject:await_request()
    for _ = 1, 2 do
      expect_header(request, "header-name-1", "value-1")
      expect_header(request, "header-name-2", "value-2")
      expect_header(request, "accept", "text/event-stream")
      request = reconnect(subject, request:open())
    end
  end },

  { "H05 R16: POST with a body, again on every reconnect", needs = "post", check_body("POST") },
  { "H06 R16: REPORT with a body, again on every reconnect", needs = "report", check_body("REPORT") },

  { "L05: the caller may set the first Last-Event-ID", needs = "last-event-id", function(scene)
    local subject = scene:subject { initialDelayMs = 0, lastEventId = "abc" }
    local request = subject:await_request()
    expect_header(request, "last-event-id", "abc")
    request:open():send("data: x\n\n")
    subject:expect_event { data = "x", id = "abc" }
    expect_header(reconnect(subject, request), "last-event-id", "abc")
  end },

  { "L06 I13: the id lasts over several reconnects, for events and for requests", function(scene)
    local subject, exchange = scene:open_stream()
    exchange:send("id: abc\ndata: 1\n\n")
    subject:expect_event { data = "1", id = "abc" }
    for number = 2, 4 do
      exchange = reconnect(subject, exchange):open()
      expect_header(exchange, "last-event-id", "abc")
      exchange:send(("data: %d\n\n"):format(number))
      subject:expect_event { data = tostring(number), id = "abc" }
    end
  end },
}

for _, row in ipairs(RESUMED) do checks[#checks + 1] = { row[1], check_resumed(row[2], row[3]) } end

return checks
