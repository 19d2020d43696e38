--- An nginx with sync.resty in its workers, for the specs beside this: what its handlers hear is kept in shared
-- memory of its own, and can be asked for.

local cjson = require "cjson"
local http = require "spec.server.client"
local nginx = require "spec.support.nginx"
local uv = require "luv"
local world = require "spec.support.world"

local scene = {}

local MODULES = { "ndk_http_module", "ngx_http_lua_module" }

-- The module as nginx's VM needs it, whatever VM the specs run on.
local CPATH = os.getenv "RESTY_CPATH" or uv.cwd() .. "/build/luajit/?.so"

local HTTP = [[
  lua_package_path "<root>/lua/?.lua;<root>/lua/?/init.lua;;";
  lua_package_cpath "<cpath>;;";
  send_timeout 1h;
  lua_shared_dict ordersync <memory>;
  lua_shared_dict heard 32m;
  <outside>
  init_worker_by_lua_block {
    local resty = require "sync.resty"
    assert(resty.init_worker { dict = "ordersync", url = "<url>", reconnect_delay_ms = 1, max_reconnect_delay_ms = 1,
      max_reconnect_attempts = 1000, <options> })
    local heard, worker = ngx.shared.heard, ngx.worker.id()
    local function hear(item) heard:set(worker .. ":" .. heard:incr(worker, 1, 0), item) end
    <handlers>
  }
  server {
    listen 127.0.0.1:<port>;
    keepalive_requests 100000000;
    <inside>
    location = /events { content_by_lua_block { require("sync.resty").serve_events { <serving> } } }
    location = /orders { content_by_lua_block { require("sync.resty").serve_orders() } }
    location = /healthz { content_by_lua_block { require("sync.resty").serve_health() } }
    location = /metrics { content_by_lua_block { require("sync.resty").serve_metrics() } }
    location = /hello { return 200 "hello\n"; }
    location = /heard { content_by_lua_block {
      local heard, worker = ngx.shared.heard, tonumber(ngx.var.arg_worker)
      for number = 1, heard:get(worker) or 0 do
        local item = heard:get(worker .. ":" .. number)
        if item then ngx.print(item, "\n") end -- else its worker was killed before it could write it
      end
    } }
    location = /heard_count { content_by_lua_block {
      ngx.print(ngx.shared.heard:get(tonumber(ngx.var.arg_worker)) or 0)
    } }
  }
]]

-- Each stage change's number, as world.publish counts them.
local NUMBERS = [[resty.on_event("stage_change", function(event) hear(event.data.number) end)]]

local DEFAULTS = {
  root = uv.cwd(), cpath = CPATH, memory = "10m", outside = "", inside = "", options = "", handlers = NUMBERS,
  serving = "",
}

---@class spec.nginx.Scene: spec.support.Nginx
---@field url string
local Scene = {}

---Start nginx, and wait until its stream is open (unless the server is not there: `awaits` false).
---@param target {url: string}
---@param values table|nil of the configuration above; `workers`: how many, 2; `awaits`
---@return spec.nginx.Scene
function scene.start(target, values)
  local all = { url = target.url }
  for _, layer in ipairs { DEFAULTS, values or {} } do
    for name, value in pairs(layer) do all[name] = value end
  end
  local self = nginx.start(HTTP, all, MODULES, all.workers or 2)
  for name, method in pairs(Scene) do self[name] = method end
  self.url = "http://127.0.0.1:" .. self.port
  if all.awaits ~= false then self:await_connected() end
  return self
end

---Ask it for something. The answer is chunked, and the loops of the specs go on.
---@param target string
---@param headers table|nil
---@return string body
---@return integer status
---@return table headers
function Scene:get(target, headers)
  local from = assert(http.connect(self.port)):request("GET", target, headers)
  local body
  world.await(function()
    local text, is_complete = from:body()
    if is_complete then body = text end
    return is_complete or from.ended
  end)
  from:close()
  local status, fields = from:head()
  return body or error("no answer to " .. target .. ": " .. from.bytes), status, fields
end

---@return table
function Scene:health()
  return cjson.decode((self:get "/healthz"))
end

---Wait until the stream is open, and its holder is not `other`.
---@param other integer|nil
---@return integer pid of the worker that holds it
function Scene:await_connected(other)
  return world.await(function()
    local health = self:health()
    return health.is_connected and health.holder ~= other and health.holder
  end)
end

---What the handlers of nginx's worker number `worker` have heard.
---@param worker integer 0 is the first
---@return string[]
function Scene:heard(worker)
  local list = {}
  for item in self:get("/heard?worker=" .. worker):gmatch "[^\n]+" do list[#list + 1] = tonumber(item) or item end
  return list
end

---Wait until they have heard so much.
---@param worker integer
---@param count integer
---@return string[]
function Scene:await_heard(worker, count)
  world.await(function() return tonumber((self:get("/heard_count?worker=" .. worker))) >= count end)
  return self:heard(worker)
end

---The value of a metric; of one with several, their sum. Workers report by and by: it waits until there is one.
---@param name string
---@return number
function Scene:metric(name)
  return world.await(function()
    local sum
    for value in self:get("/metrics"):gmatch("\nordersync_" .. name .. "[^%s]* ([^\n]+)") do
      sum = (sum or 0) + tonumber(value)
    end
    return sum
  end)
end

---An event stream of its own, byte by byte.
---@param query string|nil
---@param headers table|nil
---@return spec.server.Client
function Scene:open_events(query, headers)
  local from = world.own(assert(http.connect(self.port)))
  return from:request("GET", "/events" .. (query or ""), headers)
end

---Wait for a text in the body of such a stream.
---@param from spec.server.Client
---@param text string a pattern
---@return string body
function scene.await_text(from, text)
  return world.await(function()
    local body = from:body()
    assert(body:find(text) or not from.ended, "the stream ended without '" .. text .. "'; it brought:\n" .. from.bytes)
    return body:find(text) and body
  end)
end

---Raise unless every worker that is gone ended by itself and well, and nothing else was wrong.
function Scene:assert_clean_exits()
  for line in self.program.output:gmatch "[^\n]+" do
    if line:find "exited" and not line:find "exited with code 0" then error(line, 2) end
    if line:find "%[alert%]" or line:find "%[error%]" or line:find "%[emerg%]" then error(line, 2) end
  end
end

return scene
