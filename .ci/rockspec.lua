-- Keeps the rockspec's lists of files equal to what is in the tree: rewrites them, or with --check says what differs.

local PATH = "rockspec/ordersync-scm-1.rockspec"

local function lines_of(command)
  local lines = {}
  for line in assert(io.popen(command)):lines() do lines[#lines + 1] = line end
  return lines
end

local function sources()
  local list = {}
  for _, path in ipairs(lines_of("ls src/*.c")) do
    if path ~= "src/sse_replay.c" then list[#list + 1] = ('        "%s",'):format(path) end
  end
  return table.concat(list, "\n") .. "\n"
end

local function modules()
  local list = {}
  for _, path in ipairs(lines_of("find lua -name '*.lua' | LC_ALL=C sort")) do
    local name = path:gsub("^lua/", ""):gsub("%.lua$", ""):gsub("/init$", ""):gsub("/", ".")
    list[#list + 1] = ('    ["%s"] = "%s",'):format(name, path)
  end
  return table.concat(list, "\n") .. "\n"
end

local file = assert(io.open(PATH))
local before = file:read("*a")
file:close()

local function literal(text)
  return (text:gsub("%%", "%%%%"))
end

local after = before:gsub("(sources = {\n).-(      },)", "%1" .. literal(sources()) .. "%2", 1)
after = after:gsub("(CURL_LIBDIR%)\" },\n    },\n).-(  },\n  install)", "%1" .. literal(modules()) .. "%2", 1)

if arg[1] == "--check" then
  if before ~= after then
    print(PATH .. ": its lists differ from the tree: run lua5.4 .ci/rockspec.lua")
    os.exit(1)
  end
else
  file = assert(io.open(PATH, "w"))
  file:write(after)
  file:close()
end
