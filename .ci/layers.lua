-- Proves the floors of src/: a file may include headers of its own floor and of those below it, and a foreign library
-- is known to one floor only. Prints what breaks the rule and fails, or says how many files keep it.

-- From the ground up. A name stands for NAME.c and NAME.h.
local FLOORS = {
  { name = "base", files = { "sync", "alloc", "buffer", "error", "segment", "map", "due", "span" } },
  { name = "protocol", files = {
    "utf8", "sse", "json", "event", "backoff", "timestamp", "fingerprint", "object", "merge", "order",
    "wire", "redact",
  } },
  { name = "state", files = {
    "queue", "history", "interest", "metrics", "recent", "stamp", "change", "snapshot", "record", "book", "copy",
    "gap_list", "gaps", "held",
  } },
  { name = "journal", files = { "database", "ownership", "journal", "store", "schema", "archive", "ledger", "notes" } },
  { name = "connection", files = { "connection", "renewal", "verdict", "poller" } },
  { name = "engine", files = {
    "options", "url", "request", "transport", "redirect", "sleep", "loop", "client", "stream", "actions", "intake",
    "polling", "snapshots", "bookkeeping", "comparison", "cures", "keeper", "recovery",
    "totals", "undertakings", "letters", "played", "delivery", "waker",
  } },
  { name = "binding", files = { "lua_compat", "lua_table", "lua_json", "lua_event", "lua_options", "lua_played",
    "lua_orders", "lua_gaps", "lua_journal", "lua_letters", "lua_waker", "lua_client", "lua_sync",
  } },
}

-- Programs stand beside the house.
local PROGRAMS = { sse_replay = true }

-- Which foreign header belongs to whom: a file, or a floor.
local FOREIGN = {
  ["^curl/"] = { url = true, request = true, transport = true },
  ["^uv%.h$"] = { loop = true, transport = true, client = true, actions = true, sleep = true },
  ["^lua%.h$"] = { lua_compat = true },
  ["^lauxlib%.h$"] = { lua_compat = true },
  ["^cjson/"] = {},
  ["^sqlite3%.h$"] = { database = true },
}

-- The binding sees the engine as any host does.
local BINDING_SEES = "^sync$"

local floor_of = {}
for level, floor in ipairs(FLOORS) do
  for _, file in ipairs(floor.files) do floor_of[file] = level end
end

local faults, checked = {}, 0

local function fault(path, line, text, ...)
  faults[#faults + 1] = ("%s:%d: " .. text):format(path, line, ...)
end

local function check_own(path, line, from, header)
  local target = header:gsub("%.h$", "")
  local level, target_level = floor_of[from], floor_of[target]
  if not target_level then return fault(path, line, "%s is on no floor: add it to .ci/layers.lua", header) end
  if target_level > level then
    return fault(path, line, "%s (%s) includes %s (%s), a floor above", from, FLOORS[level].name, header,
      FLOORS[target_level].name)
  end
  if FLOORS[level].name == "binding" and target_level < level and not target:match(BINDING_SEES) then
    fault(path, line, "the binding uses sync.h only, not %s", header)
  end
end

local function check_foreign(path, line, from, header)
  for pattern, owners in pairs(FOREIGN) do
    if header:match(pattern) and not owners[from] then
      fault(path, line, "%s is not for %s: one foreign library, one place", header, from)
    end
  end
end

local function check_file(path)
  local from = path:match("([%w_]+)%.[ch]$")
  if PROGRAMS[from] then return end
  checked = checked + 1
  if not floor_of[from] then return fault(path, 1, "is on no floor: add it to .ci/layers.lua") end
  local number = 0
  for text in io.lines(path) do
    number = number + 1
    local own = text:match('^#include "(.-)"')
    local foreign = text:match("^#include <(.-)>")
    if own then check_own(path, number, from, own) end
    if foreign then check_foreign(path, number, from, foreign) end
  end
end

for index = 1, #arg do check_file(arg[index]) end
for _, text in ipairs(faults) do print(text) end
print(("layers: %d files on %d floors, %d faults"):format(checked, #FLOORS, #faults))
os.exit(#faults == 0 and checked > 0 and 0 or 1)
