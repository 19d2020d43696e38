--- What can be said to `ordersync`: its commands, their options, and the help for them.
-- It knows what is said rightly, and nothing of what it leads to: the commands themselves are not even loaded.

local argparse = require "argparse"
local suggest = require "sync.suggest"

local grammar = {}

local DESCRIPTION = [[Live orders over an event stream: follow them, serve them to develop against, or see both at work.]]

local EPILOG = [[
Try it:   ordersync demo
Or:       ordersync serve --simulate      and in another terminal
          ordersync tail http://127.0.0.1:8080]]

local TAIL_EPILOG = [[
Events go to standard output; the state of the connection and problems go to standard error, or, with --json, to
standard output as well: one object a line, whose "kind" is "event", "state", "error" or "comment".

A URL without a path means /api/v1/sync/events. The token may be given in the environment as ORDERSYNC_TOKEN, which,
unlike --token, other users of the machine cannot see. NO_COLOR in the environment turns colours off.

Exit codes: 0 stopped by Ctrl-C or --count, or nobody reads any more; 1 could not connect, or gave up; 2 wrong usage.

  ordersync tail http://127.0.0.1:8080 --order ORDER-001 --type stage_change
  ordersync tail http://127.0.0.1:8080 --json --count 10 | jq -c .data]]

local SERVE_EPILOG = [=[
A server to develop and test against, not for production: it trusts whoever reaches it and keeps all in memory.

  GET  /api/v1/sync/events?orderID=..&eventTypes=..     the stream; honours Last-Event-ID
  GET  /api/v1/orders, /api/v1/orders/ID                what the orders are now
  POST /api/v1/sync/events, /api/v1/orders/ID/events    make an event: {"eventType":..,"orderID":..,"data":{..}}
  GET  /healthz

A misbehaviour script is JSON: a list of scripts, each a list of steps for one request on the stream; see the head of
sync/server/script.lua.   [[{"status":503,"headers":{"Retry-After":"1"}}],[{"stream":3},{"cut":true}]].

Exit codes: 0 stopped (Ctrl-C); 1 cannot listen; 2 wrong usage.]=]

local DEMO_EPILOG = [[
Offline, in this terminal: a shop makes orders, a server (another process) sends them, a client receives them. In the
middle the server is killed with SIGKILL and started again; the client reconnects and resumes by its last event ID.

Exit codes: 0 every event that was sent was received, once and in order; 1 not so, or interrupted; 2 wrong usage.]]

local DEAD_EPILOG = [[
Dead letters are events that a handler could not do; a client with `persistence` keeps them in its journal. They are
named by that file, or by the URL of a client with `persistence = true`, whose file is in this directory.

  ordersync dead orders.db                    lists them
  ordersync dead orders.db show 7             all that is known of one
  ordersync dead orders.db redeliver 7        delivers it again; `all`: all of them
  ordersync dead orders.db forget 7           forgets it; `all`: all of them

A program that has the file open goes on meanwhile: it delivers what is to be delivered again within a second or so of
its next step. If none has, the next one that opens it does.

Exit codes: 0 done; 1 there is no such letter, or the journal cannot be read or written; 2 wrong usage.]]

-- Values -------------------------------------------------------------------------------------------------------------

local function whole_number(least, most)
  return function(value)
    local number = value:match("^%d+$") and tonumber(value)
    if number and number >= least and number <= most then return number end
    return nil, ("a whole number from %d to %d is wanted, not '%s'"):format(least, most, value)
  end
end

local ACTIONS = { "list", "show", "redeliver", "forget" }

local function action(value)
  for _, name in ipairs(ACTIONS) do
    if name == value then return name end
  end
  return nil, ("list, show, redeliver or forget is wanted, not '%s'%s"):format(value, suggest.hint(value, ACTIONS))
end

-- 0 means all of them, as it does below.
local function letter_number(value)
  if value == "all" then return 0 end
  return whole_number(1, 2 ^ 53)(value)
end

local COUNT, MILLISECONDS = whole_number(1, 1e9), whole_number(0, 86400000)

local function read_file(path)
  local file, message = io.open(path, "rb")
  if not file then return nil, message end
  local content
  content, message = file:read("*a")
  file:close()
  return content, message
end

-- The value itself may be a secret, so a wrong one is not shown.
local function header(value)
  local name, text = value:match("^([^%s:]+):%s*(.-)%s*$")
  if not name then return nil, "a header is wanted as 'Name: value'" end
  return { name, text }
end

local function add_header(result, target, given)
  result[target][given[1]] = given[2]
end

-- What can be said ---------------------------------------------------------------------------------------------------

local function add_color(command)
  command:option("--color", "Colours: always, never, or auto, which is on a terminal."):argname("WHEN")
    :choices { "always", "never", "auto" }:default "auto"
end

local function define_serve(command)
  command:option("--host", "The address to listen on."):argname("HOST"):default "127.0.0.1"
  command:option("--port", "The port; 0: any free one."):argname("PORT"):default "8080"
    :convert(whole_number(0, 65535))
  command:flag("--no-ids", "Neither ids nor replay, like a server that keeps nothing.")
  command:option("--replay", "How many events are kept for replay."):argname("N"):default "1000"
    :convert(whole_number(0, 1e7))
  command:option("--ring", "Keep them in this file: the next server that gets it goes on."):argname("FILE")
  command:option("--heartbeat", "Period of heartbeats; 0: none."):argname("MS"):default "30000":convert(MILLISECONDS)
  command:option("--simulate", "Orders walk through their stages, so many (5) at a time."):argname("ORDERS")
    :args "?":convert(COUNT)
  command:option("--interval", "Pause between two steps of the simulation (300)."):argname("MS"):convert(MILLISECONDS)
  command:option("--seed", "Which walk the orders take (1)."):argname("N"):convert(whole_number(0, 2147483647))
  command:option("--script", "Misbehave as this file says."):argname("FILE"):convert(read_file)
  command:flag("--until-eof", "Stop when standard input ends: for programs that start a server.")
  command:flag("-q --quiet", "Only say where it listens.")
  add_color(command)
end

local function define_tail(command)
  command:argument("url", "Where the stream is, such as http://127.0.0.1:8080"):argname "URL"
  command:option("--order", "Only events of this order (repeatable)."):argname("ID"):count "*"
  command:option("--type", "Only events of this type (repeatable)."):argname("TYPE"):count "*"
  command:option("--count", "Stop after so many events."):argname("N"):convert(COUNT)
  command:option("--since-id", "Begin behind this event, where the server still has it."):argname "ID"
  command:flag("-j --json", "One JSON object a line.")
  command:flag("-a --all", "Also `connected`, heartbeats and comments.")
  command:option("--decode", "What messages are: events of orders, any JSON, or none: text."):argname("AS")
    :choices { "order", "json", "none" }:default "order"
  command:option("--header", "Send this header, 'Name: value' (repeatable)."):argname("HEADER"):count "*"
    :convert(header):init({}):action(add_header)
  command:option("--token", "Send this bearer token; see below."):argname "TOKEN"
  command:mutex(
    command:flag("--no-reconnect", "End with the first stream."),
    command:option("--retries", "Give up after so many failures in a row\n(5 until it is connected once, then never).")
      :argname("N"):convert(COUNT))
  add_color(command)
end

local function define_dead(command)
  command:argument("journal", "The journal's file, or the url of its client."):argname "URL|FILE"
  command:argument("action", "list (the default), show, redeliver or forget."):argname("ACTION"):args "?":convert(action)
  command:argument("number", "A letter's number; all: every one, but for show."):argname("N"):args "?":convert(letter_number)
  command:flag("-j --json", "One JSON object a line.")
  add_color(command)
end

local function define_demo(command)
  command:option("--events", "How many events are sent."):argname("N"):default "200":convert(whole_number(1, 100000))
  command:option("--kills", "How many times the server is killed."):argname("N"):default "2"
    :convert(whole_number(0, 100))
  add_color(command)
end

local function define_help(command)
  command:argument("topic", "A command."):argname("COMMAND"):args "?"
end

-- What argparse cannot check. Each completes the arguments, or gives what is wrong with them.

local function complete_serve(arguments)
  local orders = arguments.simulate
  if not orders and (arguments.interval or arguments.seed) then
    return ("%s is about the simulation: add --simulate"):format(arguments.interval and "--interval" or "--seed")
  end
  arguments.simulate = orders and (orders[1] or 5)
  if arguments.interval == 0 then return "--interval 0 would stop the simulation: 1 is the least" end
end

local function complete_tail(arguments)
  local token = arguments.token or os.getenv("ORDERSYNC_TOKEN")
  arguments.token = token ~= "" and token or nil
  arguments.has_limit = arguments.retries ~= nil
end

local function complete_dead(arguments)
  arguments.action = arguments.action or "list"
  if arguments.action == "list" then return arguments.number and "list takes no number: show does" end
  if not arguments.number then return arguments.action .. " wants the number of a letter" end
  if arguments.action == "show" and arguments.number == 0 then return "show wants the number of a letter, not all" end
end

local function complete_demo(arguments)
  if arguments.kills >= arguments.events then
    return ("--kills %d: each kill wants an event of its own before it, and there are only %d")
      :format(arguments.kills, arguments.events)
  end
end

-- In the order in which help shows them.
local COMMANDS = {
  { name = "demo", define = define_demo, complete = complete_demo, epilog = DEMO_EPILOG, usage = "[OPTIONS]",
    summary = "See it at work, offline: orders move, and the server is killed on the way." },
  { name = "tail", define = define_tail, complete = complete_tail, epilog = TAIL_EPILOG, usage = "[OPTIONS] URL",
    summary = "Follow a stream: one line an event." },
  { name = "serve", define = define_serve, complete = complete_serve, epilog = SERVE_EPILOG, usage = "[OPTIONS]",
    summary = "Serve orders to develop and test against." },
  { name = "dead", define = define_dead, complete = complete_dead, epilog = DEAD_EPILOG,
    usage = "[OPTIONS] URL|FILE [ACTION] [N]",
    summary = "Look at the events that handlers could not do, and deliver them again." },
  { name = "help", define = define_help, usage = "[COMMAND]", summary = "Show the help of a command." },
}

-- Reading ------------------------------------------------------------------------------------------------------------

-- argparse calls this in place of ending the process, as it would by itself.
local function raise_usage(parser, message)
  error({ message = message .. "\n" .. parser:get_usage() .. "   (--help says more)" }, 0)
end

local function add_version(parser)
  parser:flag("--version", "Show the version and exit."):action(function()
    print(require("sync")._VERSION)
    os.exit(0)
  end)
end

-- Gives the parser of each command by name, too.
local function make_parser()
  local parser, by_name = argparse("ordersync", DESCRIPTION, EPILOG):command_target "command", {}
  parser:help_description_margin(28):help_usage_margin(2):usage "Usage: ordersync [--help] [--version] COMMAND ..."
  parser.error = raise_usage
  add_version(parser)
  for _, row in ipairs(COMMANDS) do
    local command = parser:command(row.name):summary(row.summary):description(row.summary)
    command:usage(("Usage: ordersync %s %s"):format(row.name, row.usage))
    if row.epilog then command:epilog(row.epilog) end
    row.define(command)
    by_name[row.name] = command
  end
  return parser, by_name
end

local function find_row(name)
  local names = {}
  for index, row in ipairs(COMMANDS) do
    if row.name == name then return row end
    names[index] = row.name
  end
  return nil, ("unknown command '%s'%s"):format(name, suggest.hint(name, names))
end

local function show_help(parser, by_name, topic)
  local row, message = find_row(topic or "help")
  if not row then raise_usage(parser, message) end
  print((topic and by_name[topic] or parser):get_help())
end

local function parse(given)
  local parser, by_name = make_parser()
  local arguments = parser:parse(given)
  if arguments.command == "help" then
    show_help(parser, by_name, arguments.topic)
    return false
  end
  local message = find_row(arguments.command).complete(arguments)
  if message then raise_usage(by_name[arguments.command], message) end
  return arguments
end

---Read a command line. `--help` and `--version` are answered here, and end the process.
---@param given string[]
---@return table|false|nil arguments `command` names the command; false: all is done; nil: wrong usage
---@return string|nil message what is wrong
function grammar.read(given)
  local ok, result = pcall(parse, given)
  if ok then return result end
  if type(result) == "table" then return nil, result.message end
  error(result, 0)
end

return grammar
