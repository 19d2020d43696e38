--- Which request gets which answer. The server behind it keeps the state; a stream, once begun, looks after itself.

local cjson = require "cjson"
local http = require "sync.server.http"
local script = require "sync.server.script"
local stream = require "sync.server.stream"

local routes = {}

local JSON = { { "Content-Type", "application/json" } }

local function answer_error(connection, status, message)
  connection:respond(status, JSON, cjson.encode { error = message })
end

local function open_stream(server, connection, request)
  local opened = stream.new(server, connection, request)
  local next_script = server:take_script()
  if next_script then return script.run(opened, next_script) end
  opened:follow(math.huge)
end

-- The JSON names of an event and those of `publish`; a body may use either.
local body_fields = {
  eventType = "type", type = "type", orderID = "order_id", order_id = "order_id",
  data = "data", timestamp = "timestamp",
}

local function read_event(body)
  local ok, object = pcall(cjson.decode, body)
  if not ok or type(object) ~= "table" then return nil, "the body must be a JSON object" end
  local spec = {}
  for name, value in pairs(object) do
    local field = body_fields[name]
    if not field then return nil, ("%s: unknown field"):format(tostring(name)) end
    spec[field] = value
  end
  return spec
end

local function make_event(server, connection, request, order_id)
  local spec, message = read_event(request.body)
  if not spec then return answer_error(connection, 400, message) end
  spec.order_id = order_id or spec.order_id
  local ok, published = pcall(server.publish, server, spec)
  if not ok then return answer_error(connection, 400, published) end
  connection:respond(201, JSON, cjson.encode { id = published.id or cjson.null })
end

-- A client may be told to open its stream by POST; an event comes by POST as well. What the client accepts tells them
-- apart.
local function post_to_stream(server, connection, request)
  local accept = request.headers.accept or ""
  if accept:find("text/event-stream", 1, true) then return open_stream(server, connection, request) end
  make_event(server, connection, request)
end

local function matches_etag(field, etag)
  if not field then return false end
  for candidate in field:gmatch("[^,%s]+") do
    if candidate == "*" or candidate:gsub("^W/", "") == etag then return true end
  end
  return false
end

local function list_orders(server, connection, request)
  local json, etag = server.orders:snapshot()
  local headers = { { "Content-Type", "application/json" }, { "ETag", etag }, { "Cache-Control", "no-cache" } }
  local is_known = matches_etag(request.headers["if-none-match"], etag)
  connection:respond(is_known and 304 or 200, headers, json)
end

local function show_order(server, connection, _, id)
  local json = server.orders:json(id)
  if not json then return answer_error(connection, 404, "no such order") end
  connection:respond(200, JSON, json)
end

local function show_health(server, connection)
  connection:respond(200, JSON, cjson.encode {
    status = "ok", streams = server:stream_count(), orders = server.orders:count(),
  })
end

local stream_methods = { GET = open_stream, REPORT = open_stream, POST = post_to_stream }

local resources = {
  { "^/api/v1/orders$", { GET = list_orders } },
  { "^/api/v1/orders/([^/]+)$", { GET = show_order } },
  { "^/api/v1/orders/([^/]+)/events$", { POST = make_event } },
  { "^/healthz$", { GET = show_health } },
}

local function find_resource(server, path)
  if path == server.options.path then return stream_methods end
  for _, resource in ipairs(resources) do
    local capture = path:match(resource[1])
    if capture then return resource[2], http.decode_uri(capture) end
  end
end

local function allowed(methods)
  local names = {}
  for name in pairs(methods) do names[#names + 1] = name end
  table.sort(names)
  return table.concat(names, ", ")
end

---Answer a request.
---@param server sync.server.Server
---@param connection sync.server.Connection
---@param request table
function routes.handle(server, connection, request)
  local methods, capture = find_resource(server, request.path)
  if not methods then return answer_error(connection, 404, "no such path") end
  local is_head = request.method == "HEAD" and methods ~= stream_methods
  local handler = methods[is_head and "GET" or request.method]
  if handler then return handler(server, connection, request, capture) end
  local headers = { { "Content-Type", "application/json" }, { "Allow", allowed(methods) } }
  connection:respond(405, headers, cjson.encode { error = "method not allowed" })
end

return routes
