--- The pages say what the code does: codes, options, situations, steps, targets, links, types, and the Lua in them.

local directory = require "spec.support.directory"
local misbehave = require "sync.server.misbehave"
local options = require "sync.options"
local stages = require "sync.stages"
local sync = require "sync"
local uv = require "luv"
local violations = require "sync.violations"
local world = require "spec.support.world"

local PAGES = {
  "README.md", "CHANGELOG.md", "bench/README.md", "docs/architecture.md", "docs/connection.md", "docs/decisions.md",
  "docs/embedding-c.md", "docs/errors.md", "docs/events.md", "docs/from-react.md", "docs/gaps.md", "docs/guarantees.md",
  "docs/hosts.md", "docs/journal.md", "docs/migrating.md", "docs/openresty.md", "docs/options.md", "docs/orders.md",
  "docs/polling.md", "docs/scale.md", "docs/server.md", "docs/testing.md", "docs/testing-your-code.md",
  "examples/nchan/README.md", "examples/openresty/README.md",
}
local EXAMPLE_URL = "http://127.0.0.1:8080"
local SIGTERM = 15
local HOUR_MS = 60 * 60 * 1000

after_each(world.close)

local function read(path)
  local file = assert(io.open(path, "rb"))
  local text = file:read "*a"
  file:close()
  return text
end

local function sorted_keys(set)
  local keys = {}
  for key in pairs(set) do keys[#keys + 1] = key end
  table.sort(keys)
  return keys
end

---A local of the module's that one of its functions sees.
local function upvalue(fn, name)
  local index = 1
  repeat
    local found, value = debug.getupvalue(fn, index)
    if found == name then return value end
    index = index + 1
  until not found
  error("no upvalue " .. name)
end

-- The classes of the codes, and those that have a row in a table of a page.
local function classes()
  local names = {}
  for _, row in pairs(sync.codes) do names[row.class] = true end
  return names
end

local function classes_of(page)
  local names = {}
  for class in page:match("\n## Classes.-(\n|.-)\n\n"):gmatch "\n| `(%l+)` |" do names[class] = true end
  return names
end

-- ---- facts ---------------------------------------------------------------------------------------------------------

describe("docs/errors.md", function()
  local page = read "docs/errors.md"

  it("has every code and no other, with its text", function()
    local written = {}
    for code, text in page:gmatch "\n### ([%u_]+): ([^\n]+)" do written[code] = text end
    for code, row in pairs(sync.codes) do assert.equal(row.text, written[code], code) end
    assert.same(sorted_keys(sync.codes), sorted_keys(written))
  end)

  local function section_of(code)
    return (page .. "\n##"):match("\n### " .. code .. ":[^\n]*\n(.-)\n##")
  end

  -- As the code has it: in one line, and without the marks of code.
  local function plain(text)
    return (text:gsub("%s+", " "):gsub("`", ""))
  end

  it("says of each its class, and what to do about it as the hint does", function()
    for code, row in pairs(sync.codes) do
      local section = section_of(code)
      assert.equal(row.class, section:match "^Class: (%l+)", code)
      assert.equal(row.hint, plain(section:match "\nCure: (.*)$"):sub(1, #row.hint), code)
    end
  end)

  it("has a table of the classes", function()
    assert.same(sorted_keys(classes()), sorted_keys(classes_of(page)))
  end)
end)

describe("docs/connection.md", function()
  local page = read "docs/connection.md"

  -- The rows of its last table, by their first column.
  local function situations()
    local rows = {}
    local list = page:match "\n| when | the client | you see | you do |\n[^\n]*(\n.*)"
    for when, does, seen, todo in list:gmatch "\n| ([^|]+) | ([^|]+) | ([^|]+) | ([^|]+) |" do
      rows[when] = { does = does, seen = seen, todo = todo }
    end
    return rows
  end

  it("says what happens in each of these situations", function()
    local rows = situations()
    for _, when in ipairs {
      "the server restarts", "a deploy answers 503", "401", "403", "404", "204", "a redirect", "a proxy buffers",
      "the laptop sleeps", "the network changes", "DNS fails", "the certificate expired", "a duplicate comes",
      "the connection is half-open", "an event is too big", "the token expires", "one of several urls fails", "a tight loop",
    } do
      assert.is_table(rows[when], when)
    end
  end)

  it("names codes that exist, and a state or a metric in every row", function()
    for code in page:gmatch "`(%u[%u_]+)`" do assert.is_table(sync.codes[code], code) end
    for when, row in pairs(situations()) do
      assert.is_truthy(row.seen:find "`%l+`" or row.seen:find "metrics", when)
    end
  end)

  it("has every class, and every state with what it means", function()
    assert.same(sorted_keys(classes()), sorted_keys(classes_of(page)))
    local states = read("types/sync.lua"):match '@alias sync.State ([^\n]+)'
    for state in states:gmatch '"([%l_]+)"' do
      assert.is_truthy(page:find("\n| `" .. state .. "` |"), state)
      assert.is_truthy(page:match("\n```\n(.-)\n```"):find(state, 1, true), state)
    end
  end)

  -- What the server does, with which options; `count`: of errors that are told, of which the last one counts.
  local PLAYED = {
    ["the server restarts"] = { { { stream = 0 }, { cut = true } } },
    ["a deploy answers 503"] = { { { status = 503 } } },
    ["401"] = { { { status = 401 } } },
    ["403"] = { { { status = 403 } } },
    ["404"] = { { { status = 404 } } },
    ["204"] = { { { status = 204 } } },
    ["a redirect"] = { { { headers = { Location = "ftp://orders.example" } }, { status = 302 } } },
    ["an HTML page answers"] = { { { html = 200 } } },
    ["a proxy buffers"] = { { { stall = true } }, options = { connect_timeout_ms = 1 } },
    ["DNS fails"] = { url = "http://no-such-host.invalid" },
    ["a file of `tls` is missing"] = { tls = true, options = { tls = { ca_file = "no-such-file.pem" } } },
    ["the connection is half-open"] = { { { stream = 0 }, { half_open = true } }, options = { idle_timeout_ms = 1 } },
    ["an event is too big"] = { { { stream = true } }, options = { max_event_bytes = 16 } },
    ["the token function fails"] = { options = { token = function() error "no token" end } },
    ["a tight loop"] = { { { stream = 0 } }, { { stream = 0 } }, { { stream = 0 } }, count = 3,
      options = { reconnect_delay_ms = 1, max_reconnect_delay_ms = 1 } },
  }

  local function play(scene)
    local server = world.server()
    for _, script in ipairs(scene) do server:behave { script } end
    local given = { reconnect_delay_ms = HOUR_MS, max_reconnect_delay_ms = HOUR_MS }
    for name, value in pairs(scene.options or {}) do given[name] = value end
    local url = scene.url or scene.tls and server.url:gsub("^http:", "https:") or server.url
    local client, seen = world.connect({ url = url }, given)
    local problem = world.await(function() return seen.errors[scene.count or 1] end)
    return problem.code, client:health().state
  end

  for _, when in ipairs(sorted_keys(PLAYED)) do
    it("is right about what is seen: " .. when, function()
      local seen = situations()[when].seen
      for _, word in ipairs { play(PLAYED[when]) } do assert.is_truthy(seen:find("`" .. word .. "`", 1, true), word) end
    end)
  end
end)

describe("docs/options.md", function()
  local page, spec = read "docs/options.md", upvalue(options.check, "SPEC")

  local function option_paths()
    local paths = {}
    for name, descriptor in pairs(spec) do
      paths[name] = true
      for nested in pairs(descriptor.fields or {}) do paths[name .. "." .. nested] = true end
    end
    return paths
  end

  it("has every option", function()
    for _, path in ipairs(sorted_keys(option_paths())) do
      assert.matches("`" .. path .. "[` ]", page, nil, nil, path)
    end
  end)

  it("has no option that is not there", function()
    local known = option_paths()
    for first_column in page:gmatch "\n| (`[^|]+)|" do
      for path in first_column:gmatch "`([%w_.]+)`" do assert.is_true(known[path], path) end
    end
  end)
end)

describe("docs/server.md", function()
  it("has every step of misbehaviour and no other", function()
    local written = {}
    local steps = read("docs/server.md"):match "| step | value | does |(\n.*)"
    for first_column in steps:gmatch "\n| (`[^|]+)|" do
      for name in first_column:gmatch "`([%w_]+)`" do written[name] = true end
    end
    assert.same(sorted_keys(misbehave.steps), sorted_keys(written))
  end)
end)

describe("every page", function()
  it("links to files that are there", function()
    for _, path in ipairs(PAGES) do
      local parent = path:match "^.*/" or ""
      for target in read(path):gmatch "%]%(([^)#]+)[^)]*%)" do
        if not target:find "^%a+:" then assert.is_truthy(uv.fs_stat(parent .. target), path .. ": " .. target) end
      end
    end
  end)

  it("names targets that the Makefile has", function()
    local makefile = "\n" .. read "Makefile" .. "\n" .. read "bench/bench.mk"
    for _, path in ipairs(PAGES) do
      for target in read(path):gmatch "`make ([%l-]+)" do
        local rule = "\n" .. target:gsub("%-", "%%-") .. ":"
        assert.is_truthy(makefile:find(rule), path .. ": make " .. target)
      end
    end
  end)
end)

-- ---- types ---------------------------------------------------------------------------------------------------------

describe("types/sync.lua", function()
  local text = read "types/sync.lua"

  -- The fields that a class is said to have.
  local function fields_of(class)
    local names = {}
    local body = text:match("@class " .. class:gsub("%.", "%%.") .. "([ \n].-)\n\n")
    for name in body:gmatch "@field ([%w_]+) " do names[name] = true end
    return names
  end

  local function typed(class)
    local names = {}
    for name in text:gmatch("\nfunction " .. class .. "[.:]([%w_]+)%(") do names[name] = true end
    return names
  end

  -- What is public of a table of methods: functions whose name is no metamethod.
  local function methods(class)
    local names = {}
    for name, value in pairs(class) do
      if type(value) == "function" and not name:find "^__" then names[name] = true end
    end
    return names
  end

  it("has every function of the module and no other", function()
    assert.same(sorted_keys(methods(sync)), sorted_keys(typed "sync"))
  end)

  -- What the files of a client have of each other, and nobody else.
  local INTERNAL = {
    "call_listeners", "closed", "compare", "end_steps", "fetch_snapshot", "follow_mode", "hold", "is_gated", "listen",
    "passes_gate", "release", "renew_gate", "select", "settle_promises", "tell_failure", "tell_handler_error",
    "touch_refreshers", "want",
  }

  it("has every method of a client that others may call, and no other", function()
    local client = world.open { url = EXAMPLE_URL, auto_connect = false }
    local present, known = methods(getmetatable(client).__index), typed "Client"
    for _, name in ipairs(INTERNAL) do
      assert.is_nil(known[name], name)
      known[name] = true
    end
    assert.same(sorted_keys(present), sorted_keys(known))
  end)

  it("has every method of a subscription and of a listener, and no other", function()
    local client = world.open { url = EXAMPLE_URL, auto_connect = false }
    local given = { Subscription = client:subscribe(print), Listener = client:on_state(print) }
    for class, object in pairs(given) do
      assert.same(sorted_keys(methods(getmetatable(object).__index)), sorted_keys(typed(class)))
    end
  end)

  it("has every method of what the order book and refreshing give, and no other", function()
    local client = world.open { url = EXAMPLE_URL, auto_connect = false }
    local given = {
      Promise = client:optimistic("ORDER-001", {}), Refresher = client:auto_refresh("*", print),
      Watch = client:on_overdue({ stage = "open", after_ms = 1 }, print),
    }
    for class, object in pairs(given) do
      assert.same(sorted_keys(methods(getmetatable(object).__index)), sorted_keys(typed(class)))
    end
  end)

  it("has every code and no other", function()
    local aliases, written = text:match "@alias sync.Code\n(.-)\n\n", {}
    for code in aliases:gmatch '"([%u_]+)"' do written[code] = true end
    assert.same(sorted_keys(sync.codes), sorted_keys(written))
  end)

  it("has every class of codes, and what a code has", function()
    local written = {}
    for class in text:match("@alias sync.Class ([^\n]+)"):gmatch '"(%l+)"' do written[class] = true end
    assert.same(sorted_keys(classes()), sorted_keys(written))
    local names = {}
    for name in text:match("@field codes table<sync.Code, {(.-)}>"):gmatch "(%l+):" do names[name] = true end
    for code, row in pairs(sync.codes) do assert.same(sorted_keys(row), sorted_keys(names), code) end
  end)

  it("has every option that is there today and no other", function()
    local spec, today = upvalue(options.check, "SPEC"), {}
    for name in pairs(spec) do today[name] = true end
    assert.same(sorted_keys(today), sorted_keys(fields_of "sync.Options"))
    local classes_of_options = { tls = "Tls", fields = "Fields", polling = "Polling", compare = "Compare",
      persistence = "Persistence", retry = "Retry" }
    for name, class in pairs(classes_of_options) do
      assert.same(sorted_keys(spec[name].fields), sorted_keys(fields_of("sync.Options." .. class)))
    end
  end)

  it("has every part of the options that have rules of their own, and no other", function()
    assert.same(sorted_keys(violations.check(nil)), sorted_keys(fields_of "sync.Options.Violations"))
    assert.same(sorted_keys(stages.default), sorted_keys(fields_of "sync.Stages"))
  end)

  it("has every part of what a comparison reports, and no other", function()
    local client = world.open {
      url = EXAMPLE_URL, auto_connect = false, mode = "compare", polling = { url = "/api/v1/orders" },
    }
    assert.same(sorted_keys(client:drift()), sorted_keys(fields_of "sync.DriftReport"))
  end)

  it("has every metric and no other", function()
    local folder = world.own(directory.new())
    local client = world.open { url = EXAMPLE_URL, auto_connect = false, persistence = folder:of "orders.db" }
    assert.same(sorted_keys(client:metrics()), sorted_keys(fields_of "sync.Metrics"))
    for name in pairs(client:health().journal) do assert.is_true(fields_of("sync.Health.Journal")[name], name) end
  end)

  it("has every field of an error and of health", function()
    local server = world.server()
    server:behave { { { status = 503 } } }
    local client, seen = world.connect(server, { reconnect_delay_ms = HOUR_MS, max_reconnect_delay_ms = HOUR_MS })
    local problem = world.await(function() return seen.errors[1] end)
    for name in pairs(problem) do assert.is_true(fields_of("sync.Error")[name], name) end
    for name in pairs(client:health()) do assert.is_true(fields_of("sync.Health")[name], name) end
  end)
end)

-- ---- Lua in the pages ----------------------------------------------------------------------------------------------

-- The blocks of a page whose fence says `lua`, and whether they are to be run.
local function lua_blocks(path)
  local blocks = {}
  for info, code in ("\n" .. read(path)):gmatch "\n```(lua[^\n]*)\n(.-)\n```" do
    blocks[#blocks + 1] = { code = code, run = info == "lua run", info = info }
  end
  return blocks
end

-- The program has a folder of its own to write to: what is found from here is found from there.
local function absolute(path_list)
  return (path_list:gsub("[^;]+", function(path) return path:find "^/" and path or uv.cwd() .. "/" .. path end))
end

local function environment()
  local list = {}
  for name, value in pairs(uv.os_environ()) do
    if name:find "^LUA_C?PATH" then value = absolute(value) end
    if not name:lower():find "_proxy$" then list[#list + 1] = name .. "=" .. value end
  end
  return list
end

local function read_all(pipe, child, name)
  uv.read_start(pipe, function(message, bytes)
    assert(not message, message)
    child[name] = child[name] .. (bytes or "")
    if bytes then return end
    child.open = child.open - 1
    uv.close(pipe)
  end)
end

---Run a program that comes in by standard input, on the interpreter that runs this.
local function start(code, folder)
  local input, out, err = uv.new_pipe(false), uv.new_pipe(false), uv.new_pipe(false)
  local child = { out = "", err = "", open = 3 }
  child.handle = assert(uv.spawn(uv.exepath(), {
    args = { "-e", "io.stdout:setvbuf 'line'", "-" }, env = environment(), cwd = folder, stdio = { input, out, err },
  }, function(exit_code, signal)
    child.exit_code, child.signal, child.open = exit_code, signal, child.open - 1
    uv.close(child.handle)
  end))
  uv.write(input, code, function() uv.close(input) end)
  read_all(out, child, "out")
  read_all(err, child, "err")
  return child
end

-- A program whose last line is sync.run() would go on for ever: it is ended once it has printed something.
local function is_endless(code)
  return code:find "\nsync%.run%(%)$" ~= nil
end

local function run(code)
  local server = world.server { simulate = { orders = 3, interval_ms = 1 } }
  local folder = directory.new()
  local child = start(code:gsub(EXAMPLE_URL:gsub("%p", "%%%0"), server.url), folder.path)
  world.await_servers(function() return child.out:find "\n" or child.open == 0 end)
  if is_endless(code) and child.open == 3 then uv.process_kill(child.handle, "sigterm") end
  world.await_servers(function() return child.open == 0 end)
  folder:close()
  return child
end

describe("Lua in the pages", function()
  it("says how it is to be taken: `lua` or `lua run`", function()
    for _, path in ipairs(PAGES) do
      for _, block in ipairs(lua_blocks(path)) do
        assert.is_true(block.run or block.info == "lua", path .. ": " .. block.info)
      end
    end
  end)

  for _, path in ipairs(PAGES) do
    for number, block in ipairs(lua_blocks(path)) do
      local name = ("%s, block %d "):format(path, number)

      it(name .. "compiles", function() assert((loadstring or load)(block.code, "=" .. path)) end)

      if block.run then
        it(name .. "runs against a real server", function()
          local child = run(block.code)
          assert.equal("", child.err)
          assert.is_truthy(child.out:find "\n", "it printed nothing")
          assert.equal(is_endless(block.code) and SIGTERM or 0, child.signal)
          assert.equal(0, child.exit_code)
        end)
      end
    end
  end
end)
