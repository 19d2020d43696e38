--- The command line, as its user has it: real processes, their output, their exit codes.

local cjson = require "cjson"
local client = require "spec.server.client"
local program = require "spec.cli.program"
local server = require "sync.server"
local uv = require "luv"

local await, fetch = client.await, client.fetch
local EVENTS = "/api/v1/sync/events"

local running, started = nil, {}

local function serve(options)
  options = options or {}
  options.heartbeat_ms = options.heartbeat_ms or 0
  running = assert(server.start(options))
  return running
end

local function start(...)
  local one = program.start(...)
  started[#started + 1] = one
  return one
end

-- A tail of `running` that is connected.
local function tail(...)
  local one = start("tail", running.url, ...)
  await(function()
    assert(not one:has_ended(), one.stdout .. one.stderr)
    return running:stream_count() > 0
  end)
  return one
end

local function publish(order_id, type, data)
  return running:publish { type = type or "stage_change", order_id = order_id, data = data }
end

local function change(order_id, previous, new)
  return publish(order_id, "stage_change", { previousStage = previous, newStage = new })
end

local function with_file(content, fn)
  local path = os.tmpname()
  local file = assert(io.open(path, "wb"))
  file:write(content)
  file:close()
  local ok, message = pcall(fn, path)
  os.remove(path)
  assert(ok, message)
end

after_each(function()
  for _, one in ipairs(started) do one:stop() end
  if running then running:close() end
  running, started = nil, {}
  uv.run() -- ends only when nothing is left
end)

describe("ordersync", function()
  it("tells its version", function()
    local run = program.run("--version")
    assert.same({ 0, require("sync")._VERSION .. "\n", "" }, { run.code, run.stdout, run.stderr })
  end)

  it("has help for itself and every command, in two ways", function()
    local overview = program.run("--help")
    assert.same({ 0, overview.stdout }, { program.run("help").code, program.run("help").stdout })
    for _, name in ipairs { "serve", "tail", "demo", "dead" } do
      assert.matches("\n  " .. name .. " +%u", overview.stdout)
      local help = program.run(name, "--help")
      assert.matches("Usage: ordersync " .. name .. ".*Exit codes: 0 .*1 .*2 wrong usage", help.stdout)
      assert.equal(help.stdout, program.run("help", name).stdout)
      assert.equal(0, help.code)
    end
  end)

  it("says what is wrong on standard error, with the nearest name, and exits with 2", function()
    for _, case in ipairs {
      { {}, "a command is required" },
      { { "sreve" }, "unknown command 'sreve'\nDid you mean 'serve'?" },
      { { "help", "tial" }, "unknown command 'tial' (did you mean 'tail'?)" },
      { { "tail" }, "missing argument 'url'" },
      { { "tail", "x", "--ordr", "A" }, "unknown option '--ordr'\nDid you mean '--order'?" },
      { { "tail", "x", "--count", "0" }, "a whole number from 1 to 1000000000 is wanted, not '0'" },
      { { "tail", "x", "--header", "no colon" }, "a header is wanted as 'Name: value'" },
      { { "tail", "ftp://127.0.0.1" }, "URL: " },
      { { "serve", "--port", "65536" }, "a whole number from 0 to 65535 is wanted, not '65536'" },
      { { "serve", "--seed", "2" }, "--seed is about the simulation: add --simulate" },
      { { "serve", "--script", "no/such/file" }, "no/such/file: No such file" },
      { { "demo", "--events", "3", "--kills", "3" }, "there are only 3" },
      { { "dead" }, "missing argument 'journal'" },
      { { "dead", "x", "shwo" }, "list, show, redeliver or forget is wanted, not 'shwo' (did you mean 'show'?)" },
      { { "dead", "x", "show" }, "show wants the number of a letter" },
      { { "dead", "x", "show", "all" }, "show wants the number of a letter, not all" },
      { { "dead", "x", "list", "7" }, "list takes no number: show does" },
      { { "dead", "x", "forget", "0" }, "a whole number from 1" },
    } do
      local run = program.run((table.unpack or unpack)(case[1]))
      assert.same({ 2, "" }, { run.code, run.stdout })
      assert.matches("^ordersync: ", run.stderr)
      assert.truthy(run.stderr:find(case[2], 1, true), run.stderr)
    end
  end)
end)

describe("ordersync tail", function()
  it("writes a readable line for each event, and states to standard error", function()
    serve()
    local one = tail("--count", "3")
    change("ORDER-001", "open", "billed")
    publish("ORDER-002", "payment_update", { previousStatus = "pending", newStatus = "paid" })
    publish("ORDER-003", "note", { text = "hot" })
    one:await_end()
    assert.equal(0, one.code)
    local lines = one:lines()
    assert.matches("^%d%d:%d%d:%d%d ORDER%-001 +stage_change +open %-> billed$", lines[1])
    assert.matches(" ORDER%-002 +payment_update pending %-> paid$", lines[2])
    assert.matches(' ORDER%-003 +note +{"text":"hot"}$', lines[3])
    assert.matches("%-%- connecting\n.*%-%- connected\n$", one.stderr)
    assert.is_nil((one.stdout .. one.stderr):find("\27", 1, true))
  end)

  it("colours when told to, whatever NO_COLOR says", function()
    serve()
    local one = tail("--count", "1", "--color", "always", { NO_COLOR = "1" })
    change("ORDER-001", "open", "paid")
    assert.matches("\27%[1;32mpaid\27%[0m\n$", one:await_end().stdout)
    assert.matches("\27%[1;32m%-%- connected\27%[0m", one.stderr)
  end)

  local function on_terminal(...)
    local one = program.start_on_terminal("tail", running.url, "--count", "1", ...)
    started[#started + 1] = one
    await(function() return running:stream_count() > 0 end)
    publish("ORDER-001", "note", { text = ("x"):rep(500) })
    return one:await_end().stdout
  end

  it("colours on a terminal, and cuts the line to its width", function()
    serve()
    local line = on_terminal():match("[^\n]*ORDER%-001[^\n]*")
    assert.matches("\27%[1mORDER%-001 *\27%[0m", line)
    assert.equal(program.TERMINAL_COLUMNS, #line:gsub("\27%[[%d;]*m", ""):gsub("\r", ""))
    assert.matches("xxx%.%.%.", line)
  end)

  it("does not colour on a terminal where NO_COLOR is set, but does where it is empty", function()
    serve()
    assert.is_nil(on_terminal({ NO_COLOR = "1" }):find("\27[", 1, true))
    assert.truthy(on_terminal({ NO_COLOR = "" }):find("\27[", 1, true))
    assert.is_nil(on_terminal("--color", "never"):find("\27[", 1, true))
  end)

  it("lets no control character of the server through to the terminal", function()
    serve()
    local one = tail("--count", "2")
    change("A\27]0;owned\7", "open\r", "\194\155paid")
    publish("B", "note", { text = "\226\128\174drawkcab" })
    one:await_end()
    assert.is_nil(one.stdout:find("[%z\1-\9\11-\31\127\194\226]"))
    assert.truthy(one.stdout:find("A\\x1b]0;owned\\x07", 1, true))
    assert.truthy(one.stdout:find("open\\r -> \\u{9b}paid", 1, true))
    assert.truthy(one.stdout:find("\\u{202e}drawkcab", 1, true))
  end)

  it("writes one JSON object a line with --json, and the server's JSON as it came", function()
    serve()
    local one = tail("--json", "--count", "1")
    local text = '{"eventType":"note","orderID":"A","data":{"n":12345678901234567890.10,\n "list":[], "s":"]}\\"\\u001b"}}'
    running:publish { type = "note", order_id = "A", text = text }
    one:await_end()
    local kinds, event = {}, nil
    for index, line in ipairs(one:lines()) do
      local object = cjson.decode(line)
      kinds[index], event = object.kind, object
    end
    assert.same({ "state", "state", "event" }, kinds)
    assert.same({ "note", "A", text, "stream" }, { event.type, event.order_id, event.raw, event.source })
    assert.truthy(one.stdout:find('"data":{"n":12345678901234567890.10,  "list":[], "s":"]}\\"\\u001b"}}\n', 1, true))
    assert.equal("", one.stderr)
  end)

  it("says in JSON what went wrong, and why it ended on standard error", function()
    serve():stop()
    local run = program.run("tail", running.url, "--json", "--no-reconnect")
    local objects = {}
    for index, line in ipairs(run:lines()) do objects[index] = cjson.decode(line) end
    assert.same({ "connecting", "REFUSED", "error" }, { objects[1].state, objects[2].code, objects[3].state })
    assert.is_true(objects[2].retryable)
    assert.equal(1, run.code)
    assert.matches("^ordersync: REFUSED: .+\n$", run.stderr)
  end)

  it("takes text that is no JSON", function()
    serve()
    local one = tail("--json", "--decode", "none", "--count", "1")
    running:publish { type = "note", text = 'say "hi"' }
    assert.equal('say "hi"', cjson.decode(one:await_end():lines()[3]).data)
  end)

  it("filters by several orders and types, here and at the server", function()
    serve()
    local one = tail("--order", "A", "--order", "B", "--type", "note", "--type", "stage_change", "--count", "2")
    assert.equal("note,stage_change", running.requests[1].query.eventTypes)
    assert.is_nil(running.requests[1].query.orderID)
    for _, order_id in ipairs { "C", "A", "B" } do
      publish(order_id, "other")
      change(order_id, "open", "billed")
    end
    one:await_end()
    assert.matches("^%S+ A +stage_change[^\n]+\n%S+ B +stage_change[^\n]+\n$", one.stdout)
  end)

  it("asks the server for one order", function()
    serve()
    tail("--order", "A")
    assert.equal("A", running.requests[1].query.orderID)
  end)

  it("begins behind a known event", function()
    serve()
    local first = change("A", "empty", "initiated")
    change("A", "initiated", "open")
    local run = start("tail", running.url, "--since-id", first.id, "--count", "1")
    assert.matches("initiated %-> open", run:await("stdout", "\n").stdout)
    assert.equal(first.id, running.requests[1].headers["last-event-id"])
  end)

  it("sends headers and the token, and never shows it", function()
    serve()
    local one = tail("--header", "X-Shop: 7", "--header", "X-Till: 2", "--token", "s3cret", "--json", "--all")
    local headers = running.requests[1].headers
    assert.same({ "7", "2", "Bearer s3cret" }, { headers["x-shop"], headers["x-till"], headers.authorization })
    running:behave { status = 401 }
    running:drop("reset")
    one:await_end()
    assert.equal(1, one.code)
    assert.is_nil((one.stdout .. one.stderr):find("s3cret", 1, true))
  end)

  it("takes the token from the environment", function()
    serve()
    tail({ ORDERSYNC_TOKEN = "s3cret" })
    assert.equal("Bearer s3cret", running.requests[1].headers.authorization)
  end)

  it("also shows connected, heartbeats and comments with --all, without counting them", function()
    serve()
    local one = tail("--all", "--count", "1")
    running:heartbeat()
    running:comment("still here")
    one:await("stdout", ": still here")
    change("A", "open", "paid")
    assert.matches(" connected .* heartbeat .*: still here.* A +stage_change", one:await_end().stdout)
    assert.equal(0, one.code)
  end)

  it("goes on after an outage, and says so", function()
    serve()
    local one = tail("--count", "2")
    change("A", "open", "billed")
    one:await("stdout", "billed")
    running:stop()
    one:await("stderr", "-- reconnecting")
    change("A", "billed", "paid")
    running:restart()
    one:await_end()
    assert.equal(0, one.code)
    assert.matches("open %-> billed\n.*billed %-> paid\n$", one.stdout)
    assert.matches("next try in %d+%.%d s\n.*%-%- reconnecting\n.*%-%- connected\n$", one.stderr)
  end)

  it("gives up with 1 when it cannot connect", function()
    serve():stop()
    local run = program.run("tail", running.url, "--retries", "1")
    assert.same({ 1, "" }, { run.code, run.stdout })
    assert.matches("REFUSED .+ check that the server runs", run.stderr)
  end)

  it("gives up at once where trying again is of no use", function()
    serve():behave { html = 200 }
    local run = program.run("tail", running.url)
    assert.equal(1, run.code)
    assert.matches("CONTENT_TYPE", run.stderr)
  end)

  it("ends with the first stream when it may not reconnect", function()
    serve()
    local one = tail("--no-reconnect")
    running:drop()
    assert.equal(1, one:await_end().code)
    assert.matches("STREAM_ENDED", one.stderr)
    assert.equal(1, running:request_count(EVENTS))
  end)

  for _, signal in ipairs { "sigint", "sigterm", "sighup" } do
    it("stops cleanly at " .. signal, function()
      serve()
      local one = tail():await("stderr", "connected\n"):kill(signal):await_end()
      assert.same({ 0, 0, "" }, { one.code, one.signal, one.stdout })
      assert.matches("%-%- connected\n$", one.stderr)
    end)
  end

  it("ends quietly when nobody reads any more", function()
    serve()
    local one = tail():await("stderr", "connected\n")
    one:close_output()
    change("A", "open", "paid")
    one:await_end()
    assert.same({ 0, 0 }, { one.code, one.signal })
    assert.matches("%-%- connected\n$", one.stderr)
  end)
end)

describe("ordersync serve", function()
  local function listening(...)
    local one = start("serve", "--port", "0", ...)
    one.port = tonumber(one:await("stdout", EVENTS .. "\n").stdout:match("http://127%.0%.0%.1:(%d+)/"))
    return one
  end

  local function connect(port, headers)
    return assert(client.connect(port)):request("GET", EVENTS, headers)
  end

  it("serves, logs a line a request, and stops cleanly at Ctrl-C", function()
    local one = listening()
    assert.equal(200, (fetch(one.port, "GET", "/healthz")))
    one:await("stdout", "GET /healthz\n"):kill("sigint"):await_end()
    assert.same({ 0, 0, "" }, { one.code, one.signal, one.stderr })
    assert.matches("\n%d%d:%d%d:%d%d connection 1: GET /healthz\n$", one.stdout)
  end)

  it("says nothing but where it listens when it is to be quiet", function()
    local one = listening("--quiet")
    fetch(one.port, "GET", "/healthz")
    assert.equal(1, #one:kill("sigterm"):await_end():lines())
    assert.equal(0, one.code)
  end)

  it("says what to do when the port is taken", function()
    serve()
    local run = program.run("serve", "--port", tostring(running.port))
    assert.same({ 1, 0, "" }, { run.code, run.signal, run.stdout })
    assert.matches("EADDRINUSE.*\n.*choose another with %-%-port", run.stderr)
  end)

  it("lets orders move, with the walk and the pace asked for", function()
    local one = listening("--simulate", "2", "--interval", "1", "--seed", "7")
    local opened = connect(one.port)
    opened:await_body("event: stage_change")
    opened:close()
  end)

  it("can have neither ids nor replay", function()
    local one = listening("--no-ids")
    local opened = connect(one.port)
    opened:await_body("event: connected")
    fetch(one.port, "POST", EVENTS, {}, '{"type":"note"}')
    opened:await_body("event: note")
    assert.is_nil(opened:body():find("id: ", 1, true))
    opened:close()
  end)

  it("misbehaves as a script says, and refuses one that it does not understand", function()
    with_file('[[{"status":503}]]', function(path)
      local one = listening("--script", path)
      assert.equal(503, (fetch(one.port, "GET", EVENTS)))
    end)
    with_file('[[{"stutus":503}]]', function(path)
      local run = program.run("serve", "--port", "0", "--script", path)
      assert.equal(2, run.code)
      assert.matches("SCRIPT: script 1, step 1: unknown step 'stutus'", run.stderr)
    end)
  end)

  it("goes on where a killed one stopped, given its ring", function()
    with_file("", function(path)
      local first = listening("--ring", path)
      local _, _, answer = fetch(first.port, "POST", EVENTS, {}, '{"type":"note","data":{"n":1}}')
      fetch(first.port, "POST", EVENTS, {}, '{"type":"note","data":{"n":2}}')
      first:kill("sigkill"):await_end()
      local second = listening("--ring", path)
      local opened = connect(second.port, { ["Last-Event-ID"] = cjson.decode(answer).id })
      opened:await_body('"n":2')
      assert.is_nil(opened:body():find('"n":1', 1, true))
      opened:close()
    end)
  end)

  it("ends with its standard input when told to", function()
    local one = listening("--until-eof")
    one:close_input()
    assert.equal(0, one:await_end().code)
  end)
end)

describe("ordersync demo", function()
  local folder

  before_each(function() folder = assert(uv.fs_mkdtemp(uv.os_tmpdir() .. "/ordersync-spec-XXXXXX")) end)
  after_each(function() assert(uv.fs_rmdir(folder)) end) -- which fails unless the demo has cleaned up

  -- Every process that it says it started is gone.
  local function count_processes(output)
    local count = 0
    for pid in output:gmatch("server started, process (%d+)") do
      count = count + 1
      assert.same({ nil, "ESRCH" }, { nil, select(3, uv.kill(tonumber(pid), 0)) })
    end
    return count
  end

  it("loses nothing though the server is killed", function()
    local run = start("demo", "--events", "40", "--kills", "2", { TMPDIR = folder }):await_end()
    local lines = run:lines()
    assert.matches("^sent 40, received 40, lost 0, duplicated 0, out of order 0, reconnects 2, longest outage %d+ ms$",
      lines[#lines])
    assert.same({ 0, "" }, { run.code, run.stderr })
    local _, kills = run.stdout:gsub("server killed: SIGKILL", "")
    assert.same({ 2, 3 }, { kills, count_processes(run.stdout) })
    assert.matches("%-%- connected\n.*%-%- STREAM_CUT.*%-%- reconnecting\n.*%-%- connected\n", run.stdout)
    assert.matches(" ORDER%-001 +stage_change +empty %-> initiated\n", run.stdout)
  end)

  for _, signal in ipairs { "sigint", "sigterm" } do
    it("leaves nothing running after " .. signal, function()
      local one = start("demo", "--events", "100000", { TMPDIR = folder }):await("stdout", "stage_change")
      one:kill(signal):await_end()
      assert.same({ 1, 0, "ordersync: interrupted\n" }, { one.code, one.signal, one.stderr })
      assert.equal(1, count_processes(one.stdout))
    end)
  end
end)
