--- Checks of the event stream itself: what is sent in which pieces, and what must be reported while it stays open. What
-- its end does, and every corner of the format, is in checks/vectors.lua.

local BOM = "\239\187\191"

-- {title, pieces, reports, needs = capability}; a report is an event's data, `{type=, data=, id=}`, or `{comment=}`.
local CASES = {
  { "F01 F24: one data line is a message", { "data: Hello\n\n" }, { "Hello" } },
  { "P24: a line cut by a chunk is joined", { "data: Hel", "lo\n\n" }, { "Hello" } },
  { "P25: two events in one chunk", { "data: Hello\n\ndata: World\n\n" }, { "Hello", "World" } },
  { "F02: data lines are joined with LF", { "data: Hello\ndata:World\n\n" }, { "Hello\nWorld" } },
  { "F03: empty data is an event", { "data:\n\n" }, { "" } },
  { "F04 F05: a line without a colon is a field", { "data\n\ndata\ndata\n\n" }, { "", "\n" } },
  { "F06 F07 F08: one space after the colon goes",
    { "event:  greeting\ndata:  Hello\n\nevent:greeting\ndata:Hello\n\n" },
    { { type = " greeting", data = " Hello" }, { type = "greeting", data = "Hello" } } },
  { "F12: an unknown field is passed over", { "event: greeting\ncolor: blue\ndata: Hello\n\n" },
    { { type = "greeting", data = "Hello" } } },
  { "F15 I14: the order of the fields does not matter", { "data: Hello\nid: abc\nevent: greeting\n\n" },
    { { type = "greeting", data = "Hello", id = "abc" } } },
  { "F16 F19: a type holds for one event", { "event: greeting\ndata: Hello\n\ndata: World\n\n" },
    { { type = "greeting", data = "Hello" }, "World" } },
  { "F16: the order server's own types are types like any other",
    { "event: connected\ndata: 1\n\nevent: heartbeat\ndata: 2\n\nevent: resync\ndata: {}\n\ndata: 3\n\n" },
    { { type = "connected", data = "1" }, { type = "heartbeat", data = "2" }, { type = "resync", data = "{}" }, "3" } },
  { "P25: equal events are not merged", { "id: 1\ndata: x\n\nid: 1\ndata: x\n\n", "id: 1\ndata: x\n\n" },
    { { data = "x", id = "1" }, { data = "x", id = "1" }, { data = "x", id = "1" } } },
  { "P02 P03: characters of many bytes survive any cut",
    { "data: \226", "\130", "\172\232\177\134\232", "\133\144\n\n" },
    { "\226\130\172\232\177\134\232\133\144" } },
  { "P17: CR and LF in two chunks end one line",
    { "data: Hello\r", "\ndata: World\r", "\n\r\ndata: OK\r", "\n", "\r", "\n" }, { "Hello\nWorld", "OK" } },
  { "P19: a final CR is an end of line, and the event is told at once", { "data: Hello\r\r" }, { "Hello" } },
  { "P30: NUL in data is kept", { "data: a\0b\n\n" }, { "a\0b" } },
  { "F20 F21: nothing but comments and blank lines is no event", { "\n\nevent: x\n\n\r\n", "data: y\n\n" }, { "y" } },

  { "F23: a comment is told as soon as its line ends", { ":Hello\n" }, { { comment = "Hello" } }, needs = "comments" },
  { "F23: a comment's text is not trimmed", { ": a b \n", ":\n" },
    { { comment = " a b " }, { comment = "" } }, needs = "comments" },
  { "F22 F23: a comment inside an event comes before it and does not split it", { "data: a\n:note\ndata: b\n\n" },
    { { comment = "note" }, "a\nb" }, needs = "comments" },
  { "F23: comments and events keep their order", { ":1\ndata: 2\n\n:3\r", ":4\r\n" },
    { { comment = "1" }, "2", { comment = "3" }, { comment = "4" } }, needs = "comments" },

  { "P05: a BOM at the start is dropped", { BOM .. "event: greeting\nid: abc\ndata: Hello\n\ndata: World\n\n" },
    { { type = "greeting", data = "Hello", id = "abc" }, { data = "World", id = "abc" } }, needs = "bom" },
  { "P06 P07: only the first BOM is dropped",
    { BOM .. BOM .. "data: 1\n\n" .. BOM .. "data: 2\n\ndata: 3\n\n" }, { "3" }, needs = "bom" },
  { "P08: a BOM in a value is kept",
    { "data: First\n\n", "data: " .. BOM .. "Second\n\n" }, { "First", BOM .. "Second" }, needs = "bom" },
  { "P09: a BOM may come in pieces", { "\239", "\187", "\191", "data: Hello\n\n" }, { "Hello" }, needs = "bom" },
  { "P10: a BOM before a comment, empty data, several lines", { BOM .. ":note\ndata:\ndata: a\n\n" },
    { { comment = "note" }, "\na" }, needs = "bom" },
}

local function expect(subject, report)
  if type(report) == "string" then return subject:expect_event { data = report } end
  if report.comment then return subject:expect_comment(report.comment) end
  subject:expect_event(report)
end

local function check_case(pieces, reports)
  return function(scene)
    local subject, exchange = scene:open_stream()
    exchange:send((table.unpack or unpack)(pieces))
    for _, report in ipairs(reports) do expect(subject, report) end
  end
end

local function cut(text, size)
  local pieces = {}
  for first = 1, #text, size do pieces[#pieces + 1] = text:sub(first, first + size - 1) end
  return pieces
end

local TERMINATORS = { { "P13", "LF", "\n" }, { "P14", "CRLF", "\r\n" }, { "P15", "CR", "\r" } }

-- Two events, blank lines of data at all places, extra blank lines; in pieces of every small size, and whole.
local function check_terminator(terminator)
  local lines = { "data: one", "", "data:", "data: a", "data:", "data: b", "data:", "", "", "", "data: three", "", "" }
  local text = table.concat(lines, terminator)
  return function(scene)
    for _, size in ipairs { 1, 2, 3, #text } do
      local subject, exchange = scene:open_stream()
      exchange:send((table.unpack or unpack)(cut(text, size)))
      for _, data in ipairs { "one", "\na\n\nb\n", "three" } do subject:expect_event { data = data } end
    end
  end
end

-- Sizes around the buffers that clients read with.
local SIZES = { 1, 1023, 1024, 1025, 4095, 4096, 4097, 8191, 8192, 8193, 65535, 65536, 65537, 262144, 1048576 }
local MEBIBYTE = 1024 * 1024

local function text_of(size)
  local alphabet = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/"
  return alphabet:rep(math.ceil(size / #alphabet)):sub(1, size)
end

local MANY = {
  { "P25: a hundred events at once keep their order", function(scene)
    local subject, exchange = scene:open_stream()
    local events = {}
    for number = 1, 100 do events[number] = ("data: message %d\n\n"):format(number) end
    exchange:send(table.concat(events))
    for number = 1, 100 do subject:expect_event { data = ("message %d"):format(number) } end
  end },

  { "P26: events of many sizes, each told while the stream is silent", function(scene)
    local subject, exchange = scene:open_stream()
    for _, size in ipairs(SIZES) do
      exchange:send("data: " .. text_of(size) .. "\n\n")
      subject:expect_event { data = text_of(size) }
    end
  end },

  { "P26: an event of 5 MiB in one chunk, and one of 10 MiB in two", function(scene)
    local subject, exchange = scene:open_stream()
    local half = text_of(5 * MEBIBYTE)
    exchange:send("data: " .. half .. "\n\n")
    subject:expect_event { data = half }
    exchange:send("data: " .. half, half .. "\n\n", ":behind\n")
    subject:expect_event { data = half .. half }
    subject:expect_comment("behind")
  end },
}

local checks = {}
for _, case in ipairs(CASES) do
  checks[#checks + 1] = { case[1], check_case(case[2], case[3]), needs = case.needs }
end
for _, row in ipairs(TERMINATORS) do
  local title = ("%s P21 P24 F11: lines that end with %s"):format(row[1], row[2])
  checks[#checks + 1] = { title, check_terminator(row[3]) }
end
for _, check in ipairs(MANY) do checks[#checks + 1] = check end
return checks
