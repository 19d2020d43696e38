--- Every behaviour of spec/fixtures/behaviours.lua has a spec that names it: in the title of a spec or of a contract
-- check, as a case of the parser's vectors, or in a comment of a C test.

local behaviours = require "spec.fixtures.behaviours"
local checks = require "spec.contract.harness.checks"
local cjson = require "cjson"
local uv = require "luv"

-- The files below a folder whose name ends so.
local function files_below(folder, ending, found)
  found = found or {}
  local entries = assert(uv.fs_scandir(folder))
  local name, kind = uv.fs_scandir_next(entries)
  while name do
    local path = folder .. "/" .. name
    if kind == "directory" then
      files_below(path, ending, found)
    elseif name:sub(-#ending) == ending then
      found[#found + 1] = path
    end
    name, kind = uv.fs_scandir_next(entries)
  end
  return found
end

local function note_ids(text, where, named)
  for id in text:gmatch "%f[%w]%u%d%d%f[%W]" do
    named[id] = named[id] or {}
    named[id][where] = true
  end
end

-- Ids in parentheses, and nothing else in them: "(R07, H12)".
local function note_parentheses(text, where, named)
  for ids in text:gmatch "%((%u%d%d[%u%d, ]*)%)" do note_ids(ids, where, named) end
end

local function note_titles(named)
  for _, path in ipairs(files_below("spec", "_spec.lua")) do
    for line in io.lines(path) do
      if line:find "^%s*it%(" or line:find "^%s*describe%(" then note_parentheses(line, path, named) end
    end
  end
end

local function note_c_comments(named)
  for _, path in ipairs(files_below("spec/c", "_test.c")) do
    for line in io.lines(path) do
      if line:find "^%s*/?%*" then note_parentheses(line, path, named) end
    end
  end
end

-- A check's title begins with its ids: "R17 L08: ...".
local function note_checks(named)
  for _, check in ipairs(checks) do note_ids(check.title:match "^[^:]*", "contract checks", named) end
end

local function note_vectors(named)
  for line in io.lines "spec/fixtures/sse-vectors.jsonl" do note_ids(cjson.decode(line).behaviour, "vectors", named) end
end

-- id -> the set of places that name it.
local function find_named()
  local named = {}
  note_titles(named)
  note_c_comments(named)
  note_checks(named)
  note_vectors(named)
  return named
end

-- The ids of a list that nothing names, in order.
local function without_spec(list, named)
  local missing = {}
  for id in pairs(list) do
    if not named[id] then missing[#missing + 1] = id end
  end
  table.sort(missing)
  return missing
end

describe("the behaviours of an event-stream client", function()
  local named = find_named()

  it("have a spec each, all 115 of the core", function()
    local count = 0
    for _ in pairs(behaviours.core) do count = count + 1 end
    assert.equal(115, count)
    assert.same({}, without_spec(behaviours.core, named))
  end)

  it("have a spec each, where they are optional and held", function()
    assert.same({}, without_spec(behaviours.optional, named))
  end)

  it("are known where they are named, and not named where they are declined", function()
    local strangers = {}
    for id, places in pairs(named) do
      if not behaviours.core[id] and not behaviours.optional[id] then strangers[id] = places end
    end
    assert.same({}, strangers)
  end)

  it("are found missing when nothing names them", function()
    assert.same({ "P01", "R08" }, without_spec({ R08 = "", P02 = "", P01 = "" }, { P02 = { vectors = true } }))
  end)
end)
