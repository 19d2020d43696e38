--- Those who do the shop's work: how a client is made, and what it does with each event. The honest ones enter an event's
-- effect once, whatever happens; each of the others makes a mistake that people make, and is there to show that the audit
-- finds it.

local uv = require "luv"

local workers = {}

---@class spec.torture.Worker
---@field options fun(place: string): table for sync.connect; `place` is the directory of the play
---@field handler fun(client: sync.Client, effects: spec.torture.EffectTable, place: string): fun(event: sync.Event)
---@field server {ids: boolean, repeats: boolean}|nil the server's manner; nil: as the guarantees want it
---@field rest fun(client: sync.Client)|nil called when there is nothing else to do

local function with_journal(settings)
  return function(place)
    local options = { persistence = { path = place .. "/orders.db" } }
    options.persistence.durability, options.ack = settings.durability, settings.ack
    return options
  end
end

-- ---- the honest ----------------------------------------------------------------------------------------------------

local function enter(client, effects, event)
  assert(client:once(event, "enter", function(_, effect)
    local number = event.data.number
    if effect.maybe_done and effects:has(number) then return end
    effects:enter(number, event.order_id)
  end) ~= nil)
end

local function enter_each(client, effects)
  return function(event) enter(client, effects, event) end
end

workers.once = { options = with_journal {}, handler = enter_each }
workers.full = { options = with_journal { durability = "full" }, handler = enter_each }

-- Acknowledges when there is time, and what came last first.
workers.manual = {
  options = with_journal { ack = "manual" },
  handler = function(client, effects)
    client.entered = {}
    return function(event)
      enter(client, effects, event)
      table.insert(client.entered, 1, event)
    end
  end,
  rest = function(client)
    for _, event in ipairs(client.entered) do assert(client:ack(event)) end
    client.entered = {}
  end,
}

-- Does without effects: a second time is announced, and its own table knows the rest.
workers.redelivered = {
  options = with_journal {},
  handler = function(_, effects)
    return function(event)
      if event.redelivered and effects:has(event.data.number) then return end
      effects:enter(event.data.number, event.order_id)
    end
  end,
}

-- For a server without ids. What a snapshot tells is no event of the day, and what is sent again is another event.
workers.without_ids = {
  server = { ids = false, repeats = false },
  options = function(place)
    local options = with_journal({})(place)
    options.polling = { url = "/api/v1/orders", interval_ms = 3600000 }
    return options
  end,
  handler = function(client, effects)
    return function(event)
      if event.source == "stream" then enter(client, effects, event) end
    end
  end,
}

-- ---- those who make a mistake --------------------------------------------------------------------------------------

-- Takes it that a handler is called once.
workers.without_once = {
  options = with_journal {},
  handler = function(_, effects)
    return function(event) effects:enter(event.data.number, event.order_id) end
  end,
}

local function read_cursor(place)
  local file = io.open(place .. "/cursor", "r")
  local cursor = file and file:read "*l"
  if file then file:close() end
  return cursor
end

local function write_cursor(place, cursor)
  local file = assert(uv.fs_open(place .. "/cursor.new", "w", 420)) -- 0644
  assert(uv.fs_write(file, cursor .. "\n"))
  assert(uv.fs_close(file))
  assert(uv.fs_rename(place .. "/cursor.new", place .. "/cursor"))
end

-- Keeps the cursor by hand, and writes it before the work is done. What it knows of orders dies with it, and what it has
-- lost would come back if the server sent it again.
workers.cursor_first = {
  server = { ids = true, repeats = false },
  options = function(place) return { last_event_id = read_cursor(place) } end,
  handler = function(client, effects, place)
    client:on_event("connected", function(event) write_cursor(place, event.id) end)
    return function(event)
      write_cursor(place, event.id)
      effects:enter(event.data.number, event.order_id)
    end
  end,
}

-- Collects what comes, and does the last first.
workers.last_first = {
  options = with_journal { ack = "manual" },
  handler = function(client, effects)
    client.pile, client.effects = {}, effects
    return function(event) table.insert(client.pile, 1, event) end
  end,
  rest = function(client)
    for _, event in ipairs(client.pile) do
      enter(client, client.effects, event)
      assert(client:ack(event))
    end
    client.pile = {}
  end,
}

return workers
