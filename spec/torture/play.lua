--- One day, played: a server in this process, and a client program that is killed and begun again until the day is over.
-- It runs in a coroutine, so that several plays go on at once: see `crew.lua`.

local audit = require "spec.torture.audit"
local cjson = require "cjson"
local directory = require "spec.support.directory"
local effect_table = require "spec.torture.effect_table"
local event = require "sync.server.event"
local program = require "spec.support.program"
local server = require "sync.server"
local sync = require "sync"
local uv = require "luv"
local workers = require "spec.torture.workers"

local play = {}

local REPLAYING_SERVER = { ids = true, repeats = true }

-- How many events a server sends again: those of more than one beat, and so of before a client's death.
local SENT_AGAIN = 8

-- What the server does in the midst of a beat, by the beat's name for it.
local troubles = {
  none = function() end,
  again = function(self)
    if not self.manner.repeats then return end
    for _, stream in ipairs(self.server.streams) do -- each has had them: this is no other order
      for _, sent in ipairs(self.server.ring:last(SENT_AGAIN)) do stream:write(sent.wire) end
    end
  end,
  rebirth = function(self)
    self.server:close()
    self.server = self:open_server()
  end,
}
for _, kind in ipairs { "clean", "cut", "reset" } do
  troubles[kind] = function(self) self.server:drop(kind) end
end

---@class spec.torture.Killing one incarnation of the client and its end
---@field at integer the call at which it is killed
---@field when string "before", "after"
---@field calls string "writes", "all"
---@field tally string|nil the file in which a client that lives leaves how many calls it made

---@class spec.torture.Play
---@field beats spec.torture.Beat[]
---@field worker string
---@field killings spec.torture.Killing[] the first incarnation's, the second's, ...; those after the last live
---@field manner {ids: boolean, repeats: boolean} of the server: it gives ids, and sends events again
---@field kills integer
---@field mark string names what has been published so far
local Play = {}
Play.__index = Play

-- ---- the server ----------------------------------------------------------------------------------------------------

function Play:open_server()
  local port = self.server and self.server.port or 0
  return assert(server.start { port = port, heartbeat_ms = 0, ring_file = self.place:of "ring", ids = self.manner.ids })
end

-- Half of the events are on their way when it happens.
function Play:next_beat()
  self.beat = self.beat + 1
  local beat = self.beats[self.beat]
  local half = math.floor(#beat.events / 2)
  for index, happening in ipairs(beat.events) do
    if index == half + 1 then troubles[beat.trouble](self) end
    self.server:publish(happening)
  end
  self.published = self.published + #beat.events
  self.mark = ("%d published"):format(self.published)
end

-- A comment behind what has been sent: a client that has seen it has had all of that.
function Play:mark_streams()
  for _, stream in ipairs(self.server.streams) do
    if stream.following and self.marks[stream] ~= self.mark then
      self.marks[stream] = self.mark
      stream:write(event.comment(self.mark))
    end
  end
end

-- ---- the client ----------------------------------------------------------------------------------------------------

local CLIENT = "spec/torture/client.lua"

local function killing_environment(killing)
  if not killing then return {} end
  return {
    LD_PRELOAD = os.getenv "KILL_AT_LIBRARY" or "build/kill_at.so",
    KILL_AT = killing.at, KILL_WHEN = killing.when, KILL_CALLS = killing.calls, KILL_TALLY = killing.tally,
  }
end

function Play:begin_client()
  self.incarnation = self.incarnation + 1
  local arguments = { CLIENT, self.server.url, self.place.path, self.worker }
  self.client = program.start(uv.exepath(), arguments, killing_environment(self.killings[self.incarnation]))
end

-- Where the client says it is. It says nothing twice.
function Play:position()
  return self.client.output:match "at ([^\n]*)\n[^\n]*$"
end

function Play:has_been_killed()
  return self.client.signal == 9 and self.killings[self.incarnation] ~= nil
end

-- The day goes on when a client dies: the next one finds more to do.
function Play:replace_client()
  if not self:has_been_killed() then self.client:fail "ended by itself" end
  self.kills = self.kills + 1
  if self.beat > 0 and self.beat < #self.beats then self:next_beat() end
  self:begin_client()
end

-- Waits until there is a client that is where the server is.
function Play:catch_up()
  while self.client:has_ended() or self:position() ~= self.mark do
    if self.client:has_ended() then self:replace_client() end
    self:mark_streams()
    coroutine.yield()
  end
end

-- The end of the day is a moment to be killed at as well.
function Play:close_shop()
  repeat
    self:catch_up()
    if not self.client.code then self.client:tell "over\n" end
    while not self.client:has_ended() do coroutine.yield() end
  until not self:has_been_killed()
  if self.client.code ~= 0 then self.client:fail("ended with " .. self.client.code) end
end

-- ---- what came of it -----------------------------------------------------------------------------------------------

-- What the next client would know before it has heard of the server.
function Play:book_in_journal()
  local path = self.place:of "orders.db"
  local client = assert(sync.connect { url = self.server.url, mode = "off", persistence = path })
  local orders = client:orders()
  client:close()
  assert(sync.step(0)) -- lets the loop finish what was closed
  return orders
end

function Play:findings()
  local theirs = cjson.decode((self.server.orders:snapshot())).docs
  local shown = cjson.decode((self.client.output:match "book ([^\n]*)\n"))
  local findings = audit.effects(self.published, effect_table.read(self.place:of "effects"))
  findings.book_differs = audit.books(theirs, shown) + audit.books(theirs, self:book_in_journal())
  findings.kills, findings.events = self.kills, self.published
  return findings
end

---Play a day, in a coroutine.
---@param given {beats: spec.torture.Beat[], worker: string, killings: spec.torture.Killing[]}
---@return spec.torture.Findings
function play.run(given)
  local self = setmetatable({
    beats = given.beats, worker = given.worker, killings = given.killings,
    manner = workers[given.worker].server or REPLAYING_SERVER,
    place = directory.new(), beat = 0, published = 0, incarnation = 0, kills = 0,
    mark = "open", marks = setmetatable({}, { __mode = "k" }),
  }, Play)
  self.server = self:open_server()
  self:begin_client()
  self:catch_up()
  while self.beat < #self.beats do
    self:next_beat()
    self:catch_up()
  end
  self:close_shop()
  local findings = self:findings()
  self.server:close()
  self.place:close()
  return findings
end

return play
