--- A real browser: headless Chromium, as a child of the specs, driven over its debugging pipe (Chrome DevTools Protocol,
-- https://chromedevtools.github.io/devtools-protocol/): JSON on descriptors 3 and 4, a zero byte behind each message. It
-- ends when the pipe is closed, so it never outlives the runner.
--
-- Nothing is polled: `await` has the page itself watch its DOM. It knows nothing of the page that is opened.

local cjson = require "cjson"
local directory = require "spec.support.directory"
local uv = require "luv"
local world = require "spec.support.world"

local browser = {}

-- The sandbox wants privileges that a root user of a container has not; what is opened here is ours. The rest keeps the
-- browser from the network, from sharing memory that containers have little of, and from slowing down what is not seen.
local SWITCHES = {
  "--headless", "--remote-debugging-pipe", "--no-sandbox", "--disable-gpu", "--disable-dev-shm-usage", "--no-first-run",
  "--disable-background-networking", "--disable-component-update", "--disable-default-apps", "--disable-sync",
  "--disable-extensions", "--no-proxy-server", "--disable-renderer-backgrounding", "--hide-scrollbars", "about:blank",
}

---@class spec.support.Browser
---@field problems string[] what the page has complained of: errors in its console, exceptions, failed requests
local Browser = {}
Browser.__index = Browser

-- ---- the pipe ------------------------------------------------------------------------------------------------------

local function note(self, text)
  self.problems[#self.problems + 1] = text
end

local ON_EVENT = {
  ["Page.lifecycleEvent"] = function(self, params)
    if params.name == "DOMContentLoaded" then self.loaded[params.loaderId] = true end
  end,
  ["Runtime.exceptionThrown"] = function(self, params)
    local details = params.exceptionDetails
    note(self, details.exception and details.exception.description or details.text)
  end,
  ["Runtime.consoleAPICalled"] = function(self, params)
    if params.type == "error" then note(self, cjson.encode(params.args)) end
  end,
  ["Log.entryAdded"] = function(self, params)
    if params.entry.level == "error" then note(self, params.entry.text .. " " .. (params.entry.url or "")) end
  end,
}

local function take(self, message)
  if message.id then
    self.answers[message.id] = message
  elseif ON_EVENT[message.method] then
    ON_EVENT[message.method](self, message.params)
  end
end

local function read(self, bytes)
  self.received = self.received .. bytes
  local first = 1
  for last in function() return self.received:find("\0", first, true) end do
    take(self, cjson.decode(self.received:sub(first, last - 1)))
    first = last + 1
  end
  self.received = self.received:sub(first)
end

---Ask the browser to do something, and wait until it has.
---@param method string of the protocol
---@param params table|nil
---@return table result
function Browser:call(method, params)
  self.last_id = self.last_id + 1
  local id = self.last_id
  local request = { id = id, method = method, params = params, sessionId = self.session }
  uv.write(self.input, cjson.encode(request) .. "\0")
  local answer = world.await(function()
    if self.exit_code then error("the browser has ended; it wrote:\n" .. self.said, 0) end
    return self.answers[id]
  end)
  self.answers[id] = nil
  if answer.error then error(("%s: %s"):format(method, answer.error.message), 2) end
  return answer.result
end

-- ---- its life ------------------------------------------------------------------------------------------------------

-- Whatever it writes is in its profile; and what is preloaded into the runner, a sanitizer's runtime, is not for it.
local function environment(home)
  local variables, list = uv.os_environ(), {}
  variables.LD_PRELOAD, variables.XDG_CONFIG_HOME, variables.XDG_CACHE_HOME = nil, nil, nil
  variables.HOME, variables.TMPDIR = home, home
  for name, value in pairs(variables) do list[#list + 1] = name .. "=" .. value end
  return list
end

local function spawn(self)
  local stderr, input, output = uv.new_pipe(false), uv.new_pipe(false), uv.new_pipe(false)
  local words = { "--user-data-dir=" .. self.profile.path }
  for _, switch in ipairs(SWITCHES) do words[#words + 1] = switch end
  self.input, self.output = input, output
  local message
  self.process, message = uv.spawn("chromium", {
    args = words, stdio = { nil, nil, stderr, input, output }, env = environment(self.profile.path),
  }, function(code)
    self.exit_code = code
    uv.close(self.process)
  end)
  assert(self.process, message)
  uv.read_start(stderr, function(_, bytes)
    self.said = self.said .. (bytes or "")
    if bytes then return end
    self.is_silent = true
    uv.close(stderr)
  end)
  uv.read_start(output, function(_, bytes)
    if bytes then read(self, bytes) end
  end)
end

---Start a browser with an empty page. The world ends it.
---@return spec.support.Browser
function browser.start()
  local self = setmetatable({
    profile = world.own(directory.new()), received = "", said = "", answers = {}, last_id = 0, loaded = {}, problems = {},
  }, Browser)
  spawn(self)
  world.own(self)
  local page = self:call("Target.createTarget", { url = "about:blank" })
  self.session = self:call("Target.attachToTarget", { targetId = page.targetId, flatten = true }).sessionId
  for _, domain in ipairs { "Page", "Runtime", "Log" } do self:call(domain .. ".enable") end
  self:call("Page.setLifecycleEventsEnabled", { enabled = true })
  return self
end

---End it, and wait for the end of all of its processes, which write to the profile as long as they live: the last of them
---closes their standard error. Idempotent.
function Browser:close()
  if self.is_closed then return end
  self.is_closed = true
  uv.close(self.input)
  uv.close(self.output)
  while not (self.exit_code and self.is_silent) do uv.run "once" end
end

-- ---- looking and waiting -------------------------------------------------------------------------------------------

---Have a window of such a size.
---@param width integer CSS pixels
---@param height integer
---@param media {phone: boolean|nil, scheme: string|nil, motion: string|nil}|nil a finger in place of a mouse;
---  prefers-color-scheme; prefers-reduced-motion
function Browser:resize(width, height, media)
  media = media or {}
  self:call("Emulation.setDeviceMetricsOverride", {
    width = width, height = height, deviceScaleFactor = 1, mobile = media.phone or false,
  })
  self:call("Emulation.setTouchEmulationEnabled", { enabled = media.phone or false })
  self:call("Emulation.setEmulatedMedia", { features = {
    { name = "prefers-color-scheme", value = media.scheme or "light" },
    { name = "prefers-reduced-motion", value = media.motion or "no-preference" },
  } })
end

---Go to a page, and wait until it has been read and its modules have run.
---@param url string
function Browser:open(url)
  local gone = self:call("Page.navigate", { url = url })
  if gone.errorText then error(url .. ": " .. gone.errorText, 2) end
  world.await(function() return self.loaded[gone.loaderId] end)
end

---The value of an expression in the page. It may be a promise.
---@param expression string JavaScript
---@return any value
function Browser:evaluate(expression)
  local answer = self:call("Runtime.evaluate", { expression = expression, awaitPromise = true, returnByValue = true })
  local problem = answer.exceptionDetails
  if problem then error(expression .. ": " .. (problem.exception and problem.exception.description or problem.text), 2) end
  return answer.result.value
end

local AWAIT = [[
new Promise((resolve) => {
  const look = () => {
    const value = (%s);
    if (!value) return;
    observer.disconnect();
    resolve(value);
  };
  const observer = new MutationObserver(look);
  observer.observe(document, { subtree: true, childList: true, attributes: true, characterData: true });
  look();
})]]

---Wait until an expression is truthy. The page looks again whenever its DOM changes.
---@param expression string JavaScript
---@return any value
function Browser:await(expression)
  return self:evaluate(AWAIT:format((expression:gsub("%%", "%%%%"))))
end

---What the page looks like.
---@return string png
function Browser:screenshot()
  local text = self:call("Page.captureScreenshot", { format = "png" }).data
  return (require "mime".unb64(text))
end

return browser
