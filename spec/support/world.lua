--- What a spec of the module lives in: servers and clients in one process, the loops that drive them, and the sweep
-- after each test. It waits for conditions and for nothing else: no sleep, no limit; a test that hangs is the runner's
-- to end.
--
-- It owns whatever it made until `world.close()`, which also checks that nothing is left: no client that is open, no
-- work in the module's loop, no handle on luv's. Give it to `after_each`.

local listener = require "spec.support.listener"
local server = require "sync.server"
local sync = require "sync"
local uv = require "luv"

local world = {}

-- libcurl reads these; what a spec sends goes to loopback, whatever the machine is told.
for _, name in ipairs { "http_proxy", "HTTP_PROXY", "all_proxy", "ALL_PROXY" } do uv.os_unsetenv(name) end

-- Waits as short as they get: a spec awaits the reconnect, not the delay.
local DEFAULTS = { reconnect_delay_ms = 1, max_reconnect_delay_ms = 1 }

local owned = {}   -- everything with a close(), oldest first
local doorbell     -- watches the module's descriptor: uv.run("once") returns when a step has something to do
local rings = 0
local pipe_guard   -- a signal handle, as long as there are servers

local function own(thing)
  owned[#owned + 1] = thing
  return thing
end

---Have something closed by the sweep: a program, a directory. What is owned later is closed first.
---@generic T
---@param thing T with a method `close`
---@return T thing
world.own = own

local function hang_doorbell()
  if doorbell then return end
  doorbell = uv.new_poll(sync.fd())
  uv.poll_start(doorbell, "r", function() rings = rings + 1 end)
end

-- Turns luv's loop; waits if nothing is ready in the module's.
local function run_luv()
  uv.run(sync.timeout_ms() == 0 and "nowait" or "once")
end

-- ---- time ----------------------------------------------------------------------------------------------------------

---One turn of both loops, without waiting.
function world.turn()
  hang_doorbell()
  uv.run("nowait")
  assert(sync.step(0))
end

---Turn both loops until a condition holds. Nothing is polled: each turn waits for a descriptor or a timer.
---@param condition fun(): any
---@return any # what the condition gave
function world.await(condition)
  hang_doorbell()
  local result = condition()
  while not result do
    run_luv()
    assert(sync.step(0))
    result = condition()
  end
  return result
end

---Turn luv's loop until a condition holds, and step when the module's descriptor is readable, and only then.
---@param condition fun(): any
---@return integer rings how often it was readable
function world.await_by_descriptor(condition)
  hang_doorbell()
  local first = rings
  while not condition() do
    local before = rings
    uv.run("once")
    if rings > before then assert(sync.step(0)) end
  end
  return rings - first
end

---Pull the next order event; only `client:next` turns the module's loop meanwhile.
---@param client sync.Client
---@return sync.Event
function world.pull(client)
  hang_doorbell()
  local event = client:next(0)
  while not event do
    run_luv()
    event = client:next(0)
  end
  return event
end

---Turn luv's loop alone, so that servers run and the module does not, until a condition holds.
---@param condition fun(): any
function world.await_servers(condition)
  while not condition() do uv.run("once") end
end

---A host that steps in a coroutine of its own: a handler's yield comes out of `resume`.
---@return fun(value: any): any resume gives what a handler yielded, or "stepped"
---@return thread
function world.host()
  local thread = coroutine.create(function()
    while true do
      assert(sync.step(0))
      coroutine.yield("stepped")
    end
  end)
  return function(value)
    local ok, yielded = coroutine.resume(thread, value)
    assert(ok, yielded)
    return yielded
  end, thread
end

---One turn of luv's loop alone, without waiting.
function world.turn_servers()
  uv.run("nowait")
end

---How often the module's descriptor has been readable while luv's loop ran.
---@return integer
function world.rings()
  return rings
end

-- A server that writes to a client that has just left gets SIGPIPE, which would end the runner.
local function survive_broken_pipes()
  if pipe_guard then return end
  pipe_guard = uv.new_signal()
  uv.signal_start(pipe_guard, "sigpipe", function() end)
  uv.unref(pipe_guard)
end

-- ---- servers -------------------------------------------------------------------------------------------------------

---The project's own server, without heartbeats unless they are asked for.
---@param options table|nil
---@return sync.server.Server
function world.server(options)
  survive_broken_pipes()
  options = options or {}
  options.heartbeat_ms = options.heartbeat_ms or 0
  return own(assert(server.start(options)))
end

---A server whose every byte the spec writes.
---@param serve fun(peer: spec.support.Peer, head: string) called with each request
---@param options {path: string|nil, greeting: string|nil}|nil see spec/support/listener.lua
---@return spec.support.Listener
function world.listener(serve, options)
  survive_broken_pipes()
  return own(listener.new(serve, options))
end

---A server that takes the request and never answers.
---@return spec.support.Listener
function world.black_hole()
  return world.listener(function() end)
end

---A port that nobody listens on, for as long as the test runs.
---@return string url
function world.refusing_url()
  local refusing = world.server()
  assert(refusing:stop())
  return refusing.url
end

---Publish stage changes of orders "ORDER-<first>" to "ORDER-<last>"; `data.number` counts.
---@param target sync.server.Server
---@param first integer
---@param last integer
function world.publish(target, first, last)
  for number = first, last do
    target:publish {
      type = "stage_change", order_id = ("ORDER-%d"):format(number),
      data = { previousStage = "open", newStage = "billed", number = number },
    }
  end
end

---Publish a stage change every millisecond, until it is closed; `data.number` counts from 1.
---@param target sync.server.Server
---@return {count: integer, close: fun(self)} publisher `count`: how many so far
function world.publish_steadily(target)
  local publisher, timer = { count = 0 }, uv.new_timer()
  function publisher:close()
    if not uv.is_closing(timer) then uv.close(timer) end
    return self
  end
  uv.timer_start(timer, 1, 1, function()
    publisher.count = publisher.count + 1
    world.publish(target, publisher.count, publisher.count)
  end)
  return own(publisher)
end

-- ---- other programs ---------------------------------------------------------------------------------------------------

---Run Lua in a process of its own, on the VM of this one, while the servers here go on.
---@param chunk string
---@return {code: integer, signal: integer} exit
function world.run_program(chunk)
  local exit
  local handle = assert(uv.spawn(uv.exepath(), { args = { "-e", chunk }, stdio = { nil, nil, 2 } }, function(code, signal)
    exit = { code = code, signal = signal }
  end))
  world.await_servers(function() return exit end)
  uv.close(handle)
  return exit
end

-- ---- clients -------------------------------------------------------------------------------------------------------

---A client with the options given and nothing added.
---@param options table|string
---@return sync.Client
function world.open(options)
  return own(assert(sync.connect(options)))
end

---A client of a server, with the shortest waits; what it hears is kept, see `world.watch`.
---@param target {url: string}
---@param options table|nil
---@return sync.Client client
---@return table seen
function world.connect(target, options)
  local complete = { url = target.url }
  for name, value in pairs(DEFAULTS) do complete[name] = value end
  for name, value in pairs(options or {}) do complete[name] = value end
  local client = world.open(complete)
  return client, world.watch(client)
end

---Keep what a client says.
---@param client sync.Client
---@return {states: string[], errors: table[], codes: string[], comments: string[]} seen
function world.watch(client)
  local seen = { states = {}, errors = {}, codes = {} }
  client:on_state(function(state) seen.states[#seen.states + 1] = state end)
  client:on_error(function(problem)
    seen.errors[#seen.errors + 1] = problem
    seen.codes[#seen.codes + 1] = problem.code
  end)
  return seen
end

---Keep the order events of a client.
---@param client sync.Client
---@param filter table|nil
---@return sync.Event[] events
function world.collect(client, filter)
  local events = {}
  assert(client:subscribe(function(event) events[#events + 1] = event end, filter))
  return events
end

---Keep the numbers of the events that `world.publish` made.
---@param client sync.Client
---@return integer[] numbers
function world.collect_numbers(client)
  local numbers = {}
  assert(client:on_event("stage_change", function(event) numbers[#numbers + 1] = event.data.number end))
  return numbers
end

---Raise unless the numbers are those from `first` (1, if there is none) on, each once and in order.
---@param numbers integer[]
---@param count integer how many there must be
---@param first integer|nil
function world.assert_in_order(numbers, count, first)
  for index, number in ipairs(numbers) do
    local expected = index + (first or 1) - 1
    if number ~= expected then error(("number %s came where %d was due"):format(number, expected), 2) end
  end
  if #numbers ~= count then error(("%d numbers came, not %d"):format(#numbers, count), 2) end
end

---Await a state.
---@param client sync.Client
---@param state string|nil "connected"
function world.await_state(client, state)
  world.await(function() return client:health().state == (state or "connected") end)
end

---Await an error.
---@param seen table of `world.watch`
---@param code string
---@return table problem
function world.await_error(seen, code)
  return world.await(function()
    for _, problem in ipairs(seen.errors) do
      if problem.code == code then return problem end
    end
  end)
end

---Whether the module's loop has nothing to do and nothing to wait for: no timer will ever wake it.
---@return boolean
function world.is_at_rest()
  return sync.timeout_ms() == -1
end

-- ---- the end -------------------------------------------------------------------------------------------------------

local function handles_left()
  local names = {}
  uv.walk(function(handle)
    if not uv.is_closing(handle) then names[#names + 1] = uv.handle_get_type(handle) end
  end)
  return names
end

-- Closes clients that a spec made without the world, and counts them: later tests must not meet them.
local function close_strays()
  local strays = 0
  while pcall(sync.close) do strays = strays + 1 end
  return strays
end

---End everything, newest first, and check that nothing is left.
function world.close()
  for index = #owned, 1, -1 do owned[index]:close() end
  owned = {}
  if doorbell then uv.close(doorbell) end
  if pipe_guard then uv.close(pipe_guard) end
  doorbell, pipe_guard, rings = nil, nil, 0
  local strays = close_strays()
  assert(sync.step(0)) -- lets the module's loop finish what was closed
  uv.run("nowait")
  assert(strays == 0, strays .. " clients were left open")
  assert(world.is_at_rest(), "the module's loop still waits for something")
  local left = handles_left()
  assert(#left == 0, "handles were left on luv's loop: " .. table.concat(left, ", "))
end

return world
