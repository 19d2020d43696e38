--- The program that is killed: a client of the order server that does its work, and says on its standard output how far
-- it has come. Usage: lua client.lua URL DIRECTORY WORKER. At a line on its standard input it shows its order book and ends.

local cjson = require "cjson"
local effect_table = require "spec.torture.effect_table"
local sync = require "sync"
local uv = require "luv"
local workers = require "spec.torture.workers"

io.stdout:setvbuf "line"

local url, place, worker = arg[1], arg[2], workers[arg[3]]

-- A day has more disconnects than attempts by default, and a client that has used them up waits for minutes.
local function connect()
  local options = worker.options(place)
  options.url, options.max_reconnect_attempts = url, 1000
  options.reconnect_delay_ms, options.max_reconnect_delay_ms = 1, 1
  return assert(sync.connect(options))
end

local client = connect()
client:on_order("*", worker.handler(client, effect_table.open(place .. "/effects"), place))

local without_ids = worker.server and not worker.server.ids
local mark, told
client:on_comment(function(text) mark = text:match "^ ?(.*)" end)

-- When everything before the server's mark is done.
local function tell_position()
  if mark == told or client:metrics().queue_depth > 0 then return end
  if without_ids and not client:health().complete then return end -- a snapshot is to come
  if worker.rest then worker.rest(client) end
  told = mark
  io.stdout:write("at ", mark, "\n")
end

local bell, input, over = uv.new_poll(sync.fd()), uv.new_pipe(false), false
uv.poll_start(bell, "r", function() end)
uv.pipe_open(input, 0)
uv.read_start(input, function() over = true end)
repeat
  uv.run(sync.timeout_ms() == 0 and "nowait" or "once")
  assert(sync.step(0))
  tell_position()
until over

io.stdout:write("book ", cjson.encode(client:orders()), "\n")
client:close()
uv.close(bell)
uv.close(input)
uv.run()
