-- What is asked for once: the orders, the health, the counters.

local encode = require "sync.encode"
local exposition = require "sync.resty.exposition"

local pages = {}

local function send(content_type, text)
  ngx.header["Content-Type"] = content_type
  ngx.header["Cache-Control"] = "no-store"
  ngx.print(text)
end

-- The texts as the book has them: no table is made. The position comes first: what is newer than that may be in them,
-- what is not is still there.
---@param worker sync.resty.Worker
function pages.serve_orders(worker)
  local texts = {}
  ngx.header["Last-Event-ID"] = worker.ring:id(worker.book:position())
  worker.book:each_json(function(json) texts[#texts + 1] = json end)
  send("application/json", '{"docs":[' .. table.concat(texts, ",") .. "]}")
end

-- What JSON has, of what health() gives.
local function plain(health)
  local copy = {}
  for name, value in pairs(health) do copy[name] = value end
  local problem = health.error
  copy.error = problem and { code = problem.code, message = problem.message, hint = problem.hint } or nil
  copy.handler_error = nil
  return copy
end

---@param worker sync.resty.Worker
function pages.serve_health(worker)
  local health = worker:health()
  if health.stale then ngx.status = ngx.HTTP_SERVICE_UNAVAILABLE end
  send("application/json", encode(plain(health)))
end

---@param worker sync.resty.Worker
function pages.serve_metrics(worker)
  send("text/plain; version=0.0.4; charset=utf-8", exposition.of(worker))
end

return pages
