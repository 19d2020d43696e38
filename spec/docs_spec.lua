--- The pages say what the code does: codes, options, steps, targets, links, types, and the Lua in them.

local misbehave = require "sync.server.misbehave"
local options = require "sync.options"
local sync = require "sync"
local uv = require "luv"
local world = require "spec.support.world"

local PAGES = {
  "README.md", "CHANGELOG.md", "bench/README.md", "docs/architecture.md", "docs/decisions.md", "docs/errors.md", "docs/events.md",
  "docs/options.md", "docs/server.md", "docs/testing.md",
}
local EXAMPLE_URL = "http://127.0.0.1:8080"
local SIGTERM = 15

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

-- ---- facts ---------------------------------------------------------------------------------------------------------

describe("docs/errors.md", function()
  local page = read "docs/errors.md"

  it("has every code and no other, with its text", function()
    local written = {}
    for code, text in page:gmatch "\n### ([%u_]+): ([^\n]+)" do written[code] = text end
    for code, row in pairs(sync.codes) do assert.equal(row.text, written[code], code) end
    assert.same(sorted_keys(sync.codes), sorted_keys(written))
  end)

  it("says of each whether it is retried, and what to do", function()
    for code, row in pairs(sync.codes) do
      local section = assert(page:match("\n### " .. code .. ":[^\n]*\n(.-)\n##") or page:match("\n### " .. code .. ":(.*)"))
      assert.equal(row.retryable and "yes" or "no", section:match "Retried: (%l+)", code)
      assert.matches("\nCure: ", section, 1, true)
    end
  end)
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
      local directory = path:match "^.*/" or ""
      for target in read(path):gmatch "%]%(([^)#]+)[^)]*%)" do
        if not target:find "^%a+:" then assert.is_truthy(uv.fs_stat(directory .. target), path .. ": " .. target) end
      end
    end
  end)

  it("names targets that the Makefile has", function()
    local makefile = "\n" .. read "Makefile"
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

  it("has every method of a client that others may call, and no other", function()
    local client = world.open { url = EXAMPLE_URL, auto_connect = false }
    local present = methods(getmetatable(client).__index)
    present.select, present.want, present.hold = nil, nil, nil -- for the module's own files
    assert.same(sorted_keys(present), sorted_keys(typed "Client"))
  end)

  it("has every method of a subscription and of a listener, and no other", function()
    local client = world.open { url = EXAMPLE_URL, auto_connect = false }
    local given = { Subscription = client:subscribe(print), Listener = client:on_state(print) }
    for class, object in pairs(given) do
      assert.same(sorted_keys(methods(getmetatable(object).__index)), sorted_keys(typed(class)))
    end
  end)

  it("has every code and no other", function()
    local aliases, written = text:match "@alias sync.Code\n(.-)\n\n", {}
    for code in aliases:gmatch '"([%u_]+)"' do written[code] = true end
    assert.same(sorted_keys(sync.codes), sorted_keys(written))
  end)

  it("has every option that is there today", function()
    local class = text:match "@class sync.Options\n(.-)\n\n"
    for name, descriptor in pairs(upvalue(options.check, "SPEC")) do
      local found = class:find("@field " .. name .. " ", 1, true) ~= nil
      assert.equal(not descriptor.later, found, name)
    end
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

local function environment()
  local list = {}
  for name, value in pairs(uv.os_environ()) do
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
local function start(code)
  local input, out, err = uv.new_pipe(false), uv.new_pipe(false), uv.new_pipe(false)
  local child = { out = "", err = "", open = 3 }
  child.handle = assert(uv.spawn(uv.exepath(), {
    args = { "-e", "io.stdout:setvbuf 'line'", "-" }, env = environment(), stdio = { input, out, err },
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
  local child = start(code:gsub(EXAMPLE_URL:gsub("%p", "%%%0"), server.url))
  world.await_servers(function() return child.out:find "\n" or child.open == 0 end)
  if is_endless(code) and child.open == 3 then uv.process_kill(child.handle, "sigterm") end
  world.await_servers(function() return child.open == 0 end)
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
