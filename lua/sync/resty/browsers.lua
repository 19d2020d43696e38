-- The orders' events for browsers: an event stream (WHATWG HTML, server-sent events) out of the ring in shared
-- memory. Ids are the ring's, so a browser that comes back, to whatever worker, goes on where it was.
--
-- Each stream reads the ring at its own pace and waits for its own socket: one that is slow costs no memory, and when
-- what it would read next is gone it is told so by an event `resync`. Then the page asks for all orders again.

local encode = require "sync.encode"
local event_text = require "sync.resty.event".wire_text
local filter = require "sync.filter"

local HEARTBEAT_MS, RETRY_MS = 15000, 1000

-- One write. Behind it other requests have their turn.
local EVENTS_MOST = 50

-- nginx's own status for its log.
local CLIENT_CLOSED_REQUEST = 499

local browsers = {}

-- ---- the request ---------------------------------------------------------------------------------------------------

-- "A,B", or {"A", "B"} when the parameter comes twice; true where it has no value. A list, or nil for any.
local function list_of(values)
  local list = {}
  for _, value in ipairs(type(values) == "table" and values or { values }) do
    for item in tostring(value ~= true and value or ""):gmatch "[^,%s]+" do list[#list + 1] = item end
  end
  return #list > 0 and list or nil
end

-- By the names that the order server knows, and by those of others.
local function wanted(arguments)
  return filter.check {
    order_id = list_of(arguments.orderID or arguments.orderId),
    event_types = list_of(arguments.eventTypes or arguments.types),
  }
end

local function last_event_id(arguments)
  local id = ngx.var.http_last_event_id or arguments.lastEventId or arguments.last_event_id
  return type(id) == "string" and id ~= "" and id or nil
end

local function refuse()
  ngx.header["Allow"] = "GET"
  return ngx.exit(ngx.HTTP_NOT_ALLOWED)
end

local function send_head()
  ngx.header["Content-Type"] = "text/event-stream"
  ngx.header["Cache-Control"] = "no-store"
  ngx.header["X-Accel-Buffering"] = "no"
end

-- ---- what is said --------------------------------------------------------------------------------------------------

local function message(name, data, id)
  return (id and "id: " .. id .. "\n" or "") .. ("event: %s\ndata: %s\n\n"):format(name, encode(data))
end

local function health_message(self)
  self.states, self.told_at = self.worker.dict:get "states", self.worker.clock_ms() -- first: it may change again
  local health = self.worker:health()
  return message("health", {
    status = health.status, state = health.state, stale = health.stale, complete = health.complete,
    data_age_ms = health.data_age_ms,
  })
end

---@class sync.resty.Browser
---@field worker sync.resty.Worker
---@field position integer the latest event that was written, or passed over
---@field wanted table a checked filter
---@field health_ms number the health is told at least so often
---@field states integer the latest change of the stream's state that was told
---@field told_at integer when the health was told
local Browser = {}
Browser.__index = Browser

-- Where it begins: behind what it had, or now. And what is to be said about it.
local function begin(self, id)
  local ring = self.worker.ring
  local head = ring:head()
  local number = id and ring:number_of(id)
  if number and number > head then number = nil end
  if number and not ring:has_lost(number) then
    self.position = number
    return ""
  end
  self.position = head
  if not id then return "" end
  self.worker.resyncs = self.worker.resyncs + 1
  return message("resync", { reason = number and "too old" or "unknown id" }, ring:id(head))
end

local function greeting(self, id)
  local place = begin(self, id)
  local hello = { message = "SSE connection established", replay_limit = self.worker.ring.limit }
  local position = id == nil and self.worker.ring:id(self.position) or nil
  local retry = ("retry: %d\n\n"):format(self.retry_ms * (0.5 + math.random()))
  return retry .. message("connected", hello, position) .. place .. health_message(self)
end

-- It has been too slow, or its machine has slept.
local function resync(self)
  local ring = self.worker.ring
  self.position = ring:head()
  self.worker.resyncs = self.worker.resyncs + 1
  return message("resync", { reason = "too slow" }, ring:id(self.position))
end

-- The next events that are wanted, as text; nil: there are none, and nothing was passed over.
local function next_text(self)
  local ring, pieces, before = self.worker.ring, {}, self.position
  if self.worker.dict:get "states" ~= self.states or self.worker.clock_ms() >= self.told_at + self.health_ms then
    pieces[1] = health_message(self)
  end
  while self.position < before + EVENTS_MOST do
    local event = ring:entry(self.position + 1)
    if not event then break end
    self.position = event.seq
    if filter.accepts(self.wanted, event) then pieces[#pieces + 1] = event_text(event, ring:id(event.seq)) end
  end
  if self.position == before and ring:has_lost(before) then pieces[#pieces + 1] = resync(self) end
  if self.position == before and #pieces == 0 then return nil end
  return table.concat(pieces)
end

-- Waits until the browser's socket has taken it. false: the browser is gone.
local function write(text)
  if text == "" then return true end
  local written, problem = ngx.print(text)
  if written then written, problem = ngx.flush(true) end
  if problem == "buffering" then
    ngx.log(ngx.ERR, "ordersync: HTTP/1.0, and nginx collects the answer: ",
      "lua_http10_buffering off, or proxy_http_version 1.1")
  end
  return written
end

local function follow(self)
  local silent_since = self.worker.clock_ms()
  while not self.worker.exiting do
    local text = next_text(self)
    local now_ms = self.worker.clock_ms()
    if not text and now_ms >= silent_since + self.heartbeat_ms then text = ": heartbeat\n\n" end
    if text then
      if not write(text) then return end
      if text ~= "" then silent_since = self.worker.clock_ms() end
      self.worker:give_way()
    else
      local due_ms = math.min(silent_since + self.heartbeat_ms, self.told_at + self.health_ms)
      self.worker:await_news(math.max(0, due_ms - now_ms) / 1000)
    end
  end
end

-- A worker that exits waits for what is under way, and a browser that does not read would keep it waiting: what has not
-- ended then by itself is cut.
local LAST_WORD_S = 0.1

local function leave(self)
  self.worker.browsers = self.worker.browsers - 1
end

local function write_all(self, id)
  local ok, problem = pcall(function()
    if write(greeting(self, id)) then follow(self) end
  end)
  leave(self)
  if not ok then ngx.log(ngx.ERR, "ordersync: an event stream failed: ", problem) end
  ngx.exit(ngx.OK)
end

-- With lua_check_client_abort nginx ends the request's threads as the browser goes; without, it is noticed in writing.
local function enter(self)
  self.worker.browsers = self.worker.browsers + 1
  ngx.on_abort(function()
    leave(self)
    ngx.exit(CLIENT_CLOSED_REQUEST)
  end)
end

--- Serves the request that is under way, until the browser leaves or the worker exits.
---@param worker sync.resty.Worker
---@param given {heartbeat_ms?: integer, health_ms?: integer, retry_ms?: integer, where?: fun(event: sync.Event): boolean}
function browsers.serve(worker, given)
  if ngx.req.get_method() ~= "GET" then return refuse() end
  local arguments = ngx.req.get_uri_args()
  local self = setmetatable({
    worker = worker, wanted = wanted(arguments), heartbeat_ms = given.heartbeat_ms or HEARTBEAT_MS,
    health_ms = given.health_ms or math.huge, retry_ms = given.retry_ms or RETRY_MS,
  }, Browser)
  self.wanted.where = given.where
  send_head()
  enter(self)
  ngx.thread.spawn(write_all, self, last_event_id(arguments))
  worker:await_exit()
  ngx.sleep(LAST_WORD_S)
  ngx.exit(ngx.ERROR)
end

return browsers
