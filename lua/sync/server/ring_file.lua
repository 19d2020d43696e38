--- The ring on disk: a server that was killed goes on with the same ids, and replays what it sent before.
-- An event is written before anybody hears of it, its publisher included. Written means: handed to the kernel, which
-- survives SIGKILL, not a power cut.
--
-- One JSON object a line: first `{"epoch":..,"newest":..}`, where the ring was when the file was last made anew, then the
-- events as the ring has them. The file is made anew when it is opened and when more than half of it is of no use any more.

local cjson = require "cjson"

local ring_file = {}

-- Below this many lines there is nothing to gain.
local LINES_WORTH_COMPACTING = 1000

---@class sync.server.RingFile
---@field path string
---@field ring sync.server.Ring
local RingFile = {}
RingFile.__index = RingFile

local function failure(path, message)
  return nil, ("RING_FILE: %s: %s"):format(path, message), "RING_FILE"
end

-- Its lines as objects. A last line without an end was under way when the writer was killed: nobody heard of it.
local function read_objects(path)
  local file = io.open(path, "rb")
  if not file then return {} end -- the first start; if it cannot be read for another reason, it cannot be written either
  local content = file:read("*a")
  file:close()
  local objects = {}
  for line in content:gmatch("([^\n]*)\n") do
    local ok, object = pcall(cjson.decode, line)
    if not ok or type(object) ~= "table" then return nil, ("line %d is not of a ring"):format(#objects + 1) end
    objects[#objects + 1] = object
  end
  return objects
end

-- cjson gives floats where Lua has integers.
local function whole(value)
  return type(value) == "number" and math.floor(value) or nil
end

local function fill(ring, objects)
  local head = table.remove(objects, 1)
  if not head then return true end
  local epoch, newest = whole(head.epoch), whole(head.newest)
  if not epoch or not newest then return nil, "line 1 is not of a ring" end
  ring:restart(epoch)
  for index, event in ipairs(objects) do
    event.sequence = whole(event.sequence)
    if not event.sequence or type(event.wire) ~= "string" then
      return nil, ("line %d is not an event"):format(index + 1)
    end
    ring:append(event)
  end
  ring.newest = math.max(ring.newest, newest)
  return true
end

---Read what a file has into a ring; the file stays as it is.
---@param path string a file that is not there has nothing
---@param ring sync.server.Ring without events; keeps its epoch only when there is no file
---@return true|nil, string|nil message, string|nil code `RING_FILE`
function ring_file.load(path, ring)
  local objects, message = read_objects(path)
  local ok = objects
  if objects then ok, message = fill(ring, objects) end
  if not ok then return failure(path, message) end
  return true
end

---Take a ring from its file, or begin the file, and keep both together from then on.
---@param path string
---@param ring sync.server.Ring as for `load`
---@return sync.server.RingFile|nil, string|nil message, string|nil code `RING_FILE`
function ring_file.open(path, ring)
  local ok, message, code = ring_file.load(path, ring)
  if not ok then return nil, message, code end
  local self = setmetatable({ path = path, ring = ring }, RingFile)
  ok, message = self:rewrite()
  if not ok then return failure(path, message) end
  return self
end

-- Never leaves half a file where a whole one was.
local function write_beside(path, lines)
  local beside = path .. ".new"
  local file, message = io.open(beside, "wb")
  if not file then return nil, message end
  file:setvbuf("no") -- so that a line is with the kernel when its write returns
  local ok
  ok, message = file:write(table.concat(lines, "\n"), "\n")
  if ok then ok, message = os.rename(beside, path) end
  if ok then return file end
  file:close()
  return nil, message
end

---Make the file anew: what the ring has, and nothing else.
---@return true|nil, string|nil message
function RingFile:rewrite()
  local ring = self.ring
  local lines = { cjson.encode { epoch = ring.epoch, newest = ring.newest } }
  for event in ring:events() do lines[#lines + 1] = cjson.encode(event) end
  local file, message = write_beside(self.path, lines)
  if not file then return nil, message end
  self:close()
  self.file, self.lines = file, #lines
  return true
end

---Write an event down; the ring gets it afterwards. Raises when it cannot be written: it must not go out then.
---@param event table
function RingFile:append(event)
  if self.lines >= math.max(LINES_WORTH_COMPACTING, 2 * self.ring.limit) then assert(self:rewrite()) end
  assert(self.file:write(cjson.encode(event), "\n"))
  self.lines = self.lines + 1
end

---Close the file, which stays.
function RingFile:close()
  if self.file then self.file:close() end
  self.file = nil
end

return ring_file
