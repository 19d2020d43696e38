--- sync.luv: how a program ends that has nothing but the module on luv's loop, and what becomes of a step that fails.

local program = require "spec.support.program"
local uv = require "luv"
local world = require "spec.support.world"

after_each(world.close)

describe("sync.luv", function()
  it("lets uv.run() end once every client is closed", function()
    local server = world.server()
    local chunk = [[
      local sync, uv = require "sync", require "luv"
      require("sync.luv").attach()
      for _ = 1, 2 do
        local client = assert(sync.connect(%q))
        client:on_state(function(state) if state == "connected" then client:close() end end)
        uv.run()
        assert(client:health().state == "closed")
      end
    ]]
    assert.same({ code = 0, signal = 0 }, world.run_program(chunk:format(server.url)))
    assert.equal(2, server:request_count())
  end)

  it("lets uv.run() end once it is detached, whatever is open", function()
    local server = world.server()
    local chunk = [[
      local sync, uv = require "sync", require "luv"
      local attachment = require("sync.luv").attach()
      local client = assert(sync.connect(%q))
      client:on_state(function(state) if state == "connected" then attachment:detach() end end)
      uv.run()
      assert(client:health().is_connected)
      client:close()
    ]]
    assert.same({ code = 0, signal = 0 }, world.run_program(chunk:format(server.url)))
  end)

  -- Nothing but a bug of ours, or a fork, makes a step fail: this one is made to.
  it("makes a step that fails an error of a luv callback: told, and the end of the program", function()
    local server = world.server()
    local chunk = [[
      local sync, uv = require "sync", require "luv"
      require("sync.loop").main.step = function() return nil, "BROKEN: for the test", "BROKEN" end
      require("sync.luv").attach()
      assert(sync.connect(%q))
      uv.run()
      print "still here"
    ]]
    local preloaded = { LD_PRELOAD = os.getenv "LD_PRELOAD" }
    local child = world.own(program.start(uv.exepath(), { "-e", chunk:format(server.url) }, preloaded))
    world.await_servers(function() return child:has_ended() end)
    assert.equal(255, child.code)
    assert.matches("Uncaught Error: .*BROKEN: for the test", child.output)
    assert.is_nil(child.output:find "still here")
  end)

  it("blames who calls it wrong", function()
    local _, message = pcall(function()
      local attachment = require("sync.luv").attach { budget_ms = "soon" }
      return attachment
    end)
    assert.matches("^spec/hosts/luv_spec.lua:%d+: sync.luv.attach: budget_ms: ", message)
  end)
end)
