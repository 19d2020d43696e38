--- Checks of the service itself: how it answers, and how it reports. What it reports is the other checks' matter.

local cjson = require "cjson"

local KNOWN_CAPABILITIES = {
  bom = true, comments = true, headers = true, ["last-event-id"] = true, post = true, report = true,
  ["read-timeout"] = true, restart = true, ["server-directed-shutdown-request"] = true,
  ["event-type-listeners"] = true, ["payload-size-stress-testable"] = true,
}

local function expect_status(scene, wanted, method, path, body)
  local status = scene.driver:ask(method, path, body).status
  if status ~= wanted then
    error(("%s %s %s: expected %d, got %d"):format(method, path, tostring(body), wanted, status), 0)
  end
end

local function urls(scene, fields)
  local complete = { streamUrl = scene.server.url .. "/nowhere", callbackUrl = scene.server.url .. "/nowhere" }
  for name, value in pairs(fields) do complete[name] = value end
  return cjson.encode(complete)
end

local BAD_FIELDS = {
  { streamUrl = cjson.null }, { callbackUrl = cjson.null }, { streamUrl = 1 }, { callbackUrl = { "x" } },
  { streamUrl = "mailto:orders@example" }, { callbackUrl = "mailto:orders@example" },
  { initialDelayMs = -1 }, { initialDelayMs = 0.5 }, { initialDelayMs = "1" }, { readTimeoutMs = true },
  { lastEventId = 7 }, { method = {} }, { body = {} }, { headers = "x" }, { headers = { x = 1 } },
  { headers = { ["a b"] = "c" } }, { headers = { a = "b\r\nc: d" } },
}

return {
  { "service: GET says what it can do", function(scene)
    local known = 0
    for _, name in ipairs(scene.driver:describe().capabilities) do
      if not KNOWN_CAPABILITIES[name] then error("an unknown capability: " .. name, 0) end
      known = known + 1
    end
    if known == 0 then error("no capabilities", 0) end
  end },

  { "service: a connection is kept for many requests", function(scene)
    for _ = 1, 5 do scene.driver:describe() end
    expect_status(scene, 404, "POST", "/no/such/stream", "{}")
    expect_status(scene, 400, "POST", "", "{}")
    if scene.driver.caller.connections ~= 1 then error("the service does not keep the connection", 0) end
  end },

  { "service: a body that is no JSON object is a bad request", function(scene)
    for _, body in ipairs { "", "{", "nonsense", "null", "7", '"text"', "[]", "{}" } do
      expect_status(scene, 400, "POST", "", body)
    end
  end },

  { "service, H24: fields that cannot be used are a bad request", function(scene)
    for _, fields in ipairs(BAD_FIELDS) do expect_status(scene, 400, "POST", "", urls(scene, fields)) end
  end },

  { "service: null is the same as absent", function(scene)
    local subject = scene:subject {
      tag = cjson.null, initialDelayMs = cjson.null, readTimeoutMs = cjson.null, lastEventId = cjson.null,
      method = cjson.null, headers = cjson.null, body = cjson.null,
    }
    local request = subject:await_request()
    if request.method ~= "GET" then error("the method is " .. request.method, 0) end
    request:open():send("data: Hello\n\n")
    subject:expect_event { data = "Hello" }
  end },

  { "service, H27: a stream is created before its server has answered", function(scene)
    local subject = scene:subject()
    subject:await_request()
    subject:expect_no_report()
  end },

  { "service: an unknown command is a bad request, to an unknown stream it is not found", function(scene)
    local subject = scene:open_stream()
    for _, body in ipairs { "", "[]", "7", "{}", '{"command":"dance"}', '{"command":null}', '{"command":{}}' } do
      expect_status(scene, 400, "POST", subject.path, body)
    end
    expect_status(scene, 404, "POST", subject.path .. "0", '{"command":"restart"}')
    expect_status(scene, 404, "DELETE", subject.path .. "0")
  end },

  { "service: listen is taken", function(scene)
    local subject, exchange = scene:open_stream()
    scene.driver:command(subject.path, { command = "listen", listen = { type = "greeting" } })
    exchange:send("event: greeting\ndata: Hello\n\n")
    subject:expect_event { type = "greeting", data = "Hello" }
  end },

  { "service: a stream that was deleted is gone", function(scene)
    local subject = scene:open_stream()
    subject:delete()
    subject:await_gone()
    expect_status(scene, 404, "DELETE", subject.path)
    expect_status(scene, 404, "POST", subject.path, '{"command":"restart"}')
  end },

  { "service: reports are numbered and come in order over one connection", function(scene)
    local subject, exchange = scene:open_stream()
    for number = 1, 50 do exchange:send(("data: %d\n\n"):format(number)) end
    for number = 1, 50 do subject:expect_event { data = tostring(number) } end
    exchange:finish()
    subject:expect_error()
    subject:await_request():open():send("data: again\n\n")
    subject:expect_event { data = "again" }
  end },

  { "service: a mailbox that does not answer keeps nothing else waiting", function(scene)
    local subject, exchange = scene:open_stream()
    subject.mailbox:hold()
    exchange:send("data: 1\n\n")
    subject:expect_event { data = "1" }
    exchange:send("data: 2\n\n"):finish()
    local second = subject:await_request():open():send("data: 3\n\n")
    scene.driver:describe()
    subject:expect_no_report()
    subject.mailbox:release()
    subject:expect_event { data = "2" }
    subject:expect_error()
    subject:expect_event { data = "3" }
    second:send("data: 4\n\n")
    subject:expect_event { data = "4" }
  end },

  { "service: a mailbox that is gone harms nobody else", function(scene)
    local gone = scene:new_server()
    gone:refuse()
    local orphan = scene:subject { initialDelayMs = 0, callbackUrl = gone.url .. "/endpoints/1" }
    orphan:await_request():open():send("data: 1\n\ndata: 2\n\n"):finish()
    orphan:await_request():open()
    local subject, exchange = scene:open_stream()
    exchange:send("data: Hello\n\n")
    subject:expect_event { data = "Hello" }
  end },

  { "service, C03 C06: nothing is reported after the stream was deleted", function(scene)
    local subject, exchange = scene:open_stream()
    subject.mailbox:hold()
    exchange:send("data: 1\n\ndata: 2\n\ndata: 3\n\n")
    subject:expect_event { data = "1" }
    subject:delete()
    subject:await_gone()
    subject.mailbox:release()
    subject:expect_silence()
  end },

  { "service: streams do not mix", function(scene)
    local one, to_one = scene:open_stream()
    local two, to_two = scene:open_stream()
    to_two:send("id: b\ndata: two\n\n")
    to_one:send("id: a\ndata: one\n\n")
    one:expect_event { data = "one", id = "a" }
    two:expect_event { data = "two", id = "b" }
    to_one:finish()
    one:expect_error()
    one:await_request():open():send("data: one again\n\n")
    one:expect_event { data = "one again", id = "a" }
    two:expect_no_report()
  end },
}
