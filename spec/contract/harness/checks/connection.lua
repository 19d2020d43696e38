--- Checks of what becomes of a connection: lost, restarted, silent, ended for good.

local function expect_hello(subject, exchange, data)
  exchange:open():send(("data: %s\n\n"):format(data))
  subject:expect_event { data = data }
end

return {
  { "R07 R11 R13: a stream that ends is told once, and goes on", function(scene)
    local subject, exchange = scene:open_stream()
    for number = 1, 5 do
      exchange:send(("data: %d\n\n"):format(number))
      subject:expect_event { data = tostring(number) }
      exchange:finish()
      subject:expect_error()
      exchange = subject:await_request():open()
    end
    exchange:send("data: last\n\n")
    subject:expect_event { data = "last" }
  end },

  { "R07 R13: a stream that is cut is told once, and goes on", function(scene)
    local subject, exchange = scene:open_stream()
    exchange:send("data: before\n\ndata: ha")
    subject:expect_event { data = "before" }
    exchange:cut()
    subject:expect_error()
    expect_hello(subject, subject:await_request(), "after")
  end },

  { "R10 P27 F19: half an event dies with its connection", function(scene)
    local subject, exchange = scene:open_stream()
    exchange:send("data: before\n\nevent: greeting\nid: 7\ndata: Goodbye"):finish()
    subject:expect_event { data = "before" }
    subject:expect_error()
    exchange = subject:await_request():open()
    exchange:send("data: We meet again\n\n")
    subject:expect_event { data = "We meet again" }
  end },

  { "P05 R10: every connection may begin with a BOM", needs = "bom", function(scene)
    local subject, exchange = scene:open_stream()
    for _ = 1, 2 do
      exchange:send("\239\187\191data: Hello\n\n"):finish()
      subject:expect_event { data = "Hello" }
      subject:expect_error()
      exchange = subject:await_request():open()
    end
  end },

  { "R09: a connection that is refused is told, and tried again until it is not", function(scene)
    local elsewhere = scene:new_server()
    local subject = scene:subject({ initialDelayMs = 1 }, elsewhere)
    subject:await_request():open()
    elsewhere:refuse()
    for _ = 1, 3 do subject:expect_error() end -- the one it had, and two that it never got
    elsewhere:resume()
    subject:await_request():open():send("data: back\n\n")
    local report
    repeat report = subject:next_report() until report.kind ~= "error"
    if report.kind ~= "event" or report.event.data ~= "back" then error("the event is lost", 0) end
  end },

  { "R14: restart opens the stream anew, and is no error", needs = "restart", function(scene)
    local subject, exchange = scene:open_stream()
    exchange:send("id: abc\ndata: Hello\n\n")
    subject:expect_event { data = "Hello", id = "abc" }
    for _ = 1, 3 do
      scene.driver:command(subject.path, { command = "restart" })
      local again = subject:await_request()
      if again.headers["last-event-id"] ~= "abc" then error("the id is lost", 0) end
      again:open():send("data: Thanks\n\n")
      subject:expect_event { data = "Thanks", id = "abc" }
    end
  end },

  { "R14: restart skips the wait", needs = "restart", function(scene)
    local subject, exchange = scene:open_stream { initialDelayMs = 60 * 60 * 1000 }
    exchange:finish()
    subject:expect_error()
    scene.driver:command(subject.path, { command = "restart" })
    expect_hello(subject, subject:await_request(), "Thanks")
  end },

  { "R15: silence is told once, and the stream opened anew", needs = "read-timeout", function(scene)
    local subject, exchange = scene:open_stream { readTimeoutMs = 500 }
    exchange:send("data: Hello\n\n")
    subject:expect_event { data = "Hello" }
    subject:expect_error()
    subject:await_request() -- and no answer: silence counts from there on
  end },

  { "H09: 204 is told once, and no request follows", needs = "server-directed-shutdown-request", function(scene)
    local subject = scene:subject { initialDelayMs = 0 }
    subject:await_request():respond(204)
    subject:expect_error()
    subject:expect_silence()
  end },

  { "H11: 204 on a reconnect ends a stream that had worked", needs = "server-directed-shutdown-request",
    function(scene)
      local subject, exchange = scene:open_stream()
      exchange:finish()
      subject:expect_error()
      subject:await_request():respond(204)
      subject:expect_error()
      subject:expect_silence()
    end },

  { "C03 C04: deleted while the stream is open, it neither reports nor returns", function(scene)
    local subject, exchange = scene:open_stream()
    exchange:send("data: Hello\n\n")
    subject:expect_event { data = "Hello" }
    subject:delete()
    subject:await_gone()
    subject:expect_silence()
  end },

  { "C04 C05: deleted while it waits to reconnect, it stays away", function(scene)
    local subject, exchange = scene:open_stream { initialDelayMs = 60 * 60 * 1000 }
    exchange:finish()
    subject:expect_error()
    subject:delete()
    subject:expect_silence()
  end },

  { "C07: deleted before the answer came, it leaves without a word", function(scene)
    local subject = scene:subject { initialDelayMs = 0 }
    subject:await_request()
    subject:delete()
    subject:await_gone()
    subject:expect_silence()
  end },
}
