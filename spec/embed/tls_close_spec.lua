--- Programs that end while their stream is over TLS: the state is closed by the interpreter, or in the middle of a handler.
-- Moments without TLS are in close_test.c.

local certificates = require "spec.support.certificates"
local tls_front = require "spec.support.tls_front"
local world = require "spec.support.world"

after_each(world.close)

local EVENTS = ("data: {\"eventType\":\"order_created\",\"orderID\":\"ORDER-1\"}\n\n"):rep(50)

local PRELUDE = [[
  local sync = require "sync"
  local client = assert(sync.connect { url = %q, tls = { ca_file = %q } })
  client:on_error(function(problem) error(problem.message) end)
]]

local ENDINGS = {
  "", "sync.step(0)",
  "repeat sync.step(100) until client:health().is_connected",
  "client:next(0) repeat sync.step(100) until client:metrics().queue_depth > 5",
  "client:subscribe(function() sync.stop() end) sync.run()",
  "client:subscribe(function() os.exit(0, true) end) sync.run()",
  "local run = coroutine.wrap(function() client:subscribe(coroutine.yield) sync.run() end) run()",
}

describe("a program that ends while its stream is over TLS", function()
  it("ends cleanly, whatever its client is doing", function()
    local issued = certificates.make()
    local server = world.server()
    local front = tls_front.start(server, issued:of "server")
    for _, ending in ipairs(ENDINGS) do
      server:behave { { stream = 0 }, { send = EVENTS }, { stall = true } }
      local program = PRELUDE:format(front.url, issued.authority_file) .. ending
      assert.same({ code = 0, signal = 0 }, world.run_program(program), ending)
    end
    issued:close()
  end)
end)
