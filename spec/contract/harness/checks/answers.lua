--- Checks of the answers that are no event stream, or one with conditions: redirects, statuses, content types.
-- What fails for good by the standard must do so here: a service whose client is kinder by default switches that off.

local REDIRECTS = { 301, 302, 303, 307, 308 }
local FATAL = { 205, 299, 400, 401, 404, 408, 410, 429, 500, 503 }
local STREAM_TYPES = {
  { "P01 H16", "text/event-stream;charset=windows-1252" }, { "H15", "text/event-stream;" },
  { "H15", "TEXT/Event-Stream; charset=utf-8" },
}
local OTHER_TYPES = { { "H13", "text/html" }, { "H13", "text/x-bogus" }, { "H14", "x bogus" }, { "H17", false } }

local function redirect(exchange, status, location)
  exchange:respond(status, location and { { "Location", location } })
end

-- An endpoint that collects what is asked of it.
local function new_target(scene, server)
  local target = { requests = {} }
  target.endpoint = server:endpoint(function(exchange) target.requests[#target.requests + 1] = exchange end)
  function target.await_request()
    return scene:await("the redirected request", function() return table.remove(target.requests, 1) end)
  end
  return target
end

local function check_redirect(status)
  return function(scene)
    local subject = scene:subject { initialDelayMs = 0 }
    local target = new_target(scene, scene.server)
    redirect(subject:await_request(), status, target.endpoint.url)
    local request = target.await_request()
    if request.method ~= "GET" then error("redirected to " .. request.method, 0) end
    request:open():send("data: Hello\n\n")
    subject:expect_event { data = "Hello" }
  end
end

local function check_lost_redirect(status, location)
  return function(scene)
    local subject = scene:subject { initialDelayMs = 0 }
    redirect(subject:await_request(), status, location)
    subject:expect_error()
    subject:expect_silence()
  end
end

local function check_fatal(status)
  return function(scene)
    local subject = scene:subject { initialDelayMs = 0 }
    subject:await_request():respond(status, { { "Content-Type", "text/event-stream" } }, "data: not an event\n\n")
    subject:expect_error()
    subject:expect_silence()
  end
end

local function check_stream_type(content_type)
  return function(scene)
    local subject = scene:subject()
    subject:await_request():open(content_type):send("data: ok\226\128\166\n\n")
    subject:expect_event { data = "ok\226\128\166" }
  end
end

local function check_other_type(content_type)
  return function(scene)
    local subject = scene:subject { initialDelayMs = 0 }
    subject:await_request():open(content_type):send("data: not an event\n\n")
    subject:expect_error()
    subject:expect_silence()
  end
end

local checks = {
  { "H07: a Location may be relative", function(scene)
    local subject = scene:subject()
    local target = new_target(scene, scene.server)
    redirect(subject:await_request(), 307, target.endpoint.path)
    target.await_request():open():send("data: Hello\n\n")
    subject:expect_event { data = "Hello" }
  end },

  { "H10: 204 behind a redirect is told once, and no request follows", needs = "server-directed-shutdown-request",
    function(scene)
      local subject = scene:subject { initialDelayMs = 0 }
      local target = new_target(scene, scene.server)
      redirect(subject:await_request(), 301, target.endpoint.url)
      target.await_request():respond(204)
      subject:expect_error()
      subject:expect_silence()
    end },

  { "H18: Authorization follows to the same origin, and not to another", needs = "headers", function(scene)
    local subject = scene:subject { headers = { authorization = "Bearer secret" } }
    local near, far = new_target(scene, scene.server), new_target(scene, scene:new_server())
    redirect(subject:await_request(), 307, near.endpoint.url)
    local request = near.await_request()
    if request.headers.authorization ~= "Bearer secret" then error("the header is lost at the same origin", 0) end
    redirect(request, 307, far.endpoint.url)
    request = far.await_request()
    if request.headers.authorization then error("Authorization went to another origin", 0) end
    request:open():send("data: Hello\n\n")
    subject:expect_event { data = "Hello" }
  end },

  { "R17 L08: a reconnect begins at the first url, and its id goes along", function(scene)
    local subject = scene:subject { initialDelayMs = 0 }
    local target = new_target(scene, scene.server)
    redirect(subject:await_request(), 301, target.endpoint.url)
    target.await_request():open():send("id: abc\ndata: Hello\n\n"):finish()
    subject:expect_event { data = "Hello", id = "abc" }
    subject:expect_error()
    redirect(subject:await_request(), 301, target.endpoint.url)
    local request = target.await_request()
    if request.headers["last-event-id"] ~= "abc" then error("the id is lost on the way", 0) end
    request:open():send("data: again\n\n")
    subject:expect_event { data = "again", id = "abc" }
  end },
}

local function add(title, run) checks[#checks + 1] = { title, run } end

for _, status in ipairs(REDIRECTS) do add(("H07: %d is followed"):format(status), check_redirect(status)) end
for _, status in ipairs(REDIRECTS) do
  add(("H08: %d without a Location is told once, and no request follows"):format(status), check_lost_redirect(status))
  add(("H08: %d to nowhere is told once, and no request follows"):format(status), check_lost_redirect(status, ""))
end
for _, status in ipairs(FATAL) do add(("H12: %d fails for good"):format(status), check_fatal(status)) end
for _, row in ipairs(STREAM_TYPES) do
  add(("%s: %s is an event stream"):format(row[1], row[2]), check_stream_type(row[2]))
end
for _, row in ipairs(OTHER_TYPES) do
  add(("%s: %s fails for good"):format(row[1], row[2] or "no Content-Type"), check_other_type(row[2]))
end

return checks
