--- sync.cqueues: how a controller ends that has nothing but the module, what becomes of a step that fails, and handlers
-- that sleep.

local cqueues = require "cqueues"
local host = require "spec.hosts.cqueues"
local main = require "sync.loop".main
local world = require "spec.support.world"

describe("sync.cqueues", function()
  before_each(host.open)

  after_each(function()
    if main.attachment then main.attachment:detach() end
    main.step = nil
    host.close()
    world.close()
  end)

  local function await(condition)
    while not condition() do host.turn(true) end
  end

  it("lets cq:loop() end once every client is closed", function()
    local server = world.server()
    local chunk = [[
      local sync, cq = require "sync", require("cqueues").new()
      require("sync.cqueues").attach(cq)
      for _ = 1, 2 do
        local client = assert(sync.connect(%q))
        client:on_state(function(state) if state == "connected" then client:close() end end)
        assert(cq:loop())
        assert(client:health().state == "closed")
      end
    ]]
    assert.same({ code = 0, signal = 0 }, world.run_program(chunk:format(server.url)))
    assert.equal(2, server:request_count())
  end)

  it("lets cq:loop() end once it is detached, whatever is open", function()
    local server = world.server()
    local chunk = [[
      local sync, cq = require "sync", require("cqueues").new()
      local attachment = require("sync.cqueues").attach(cq)
      local client = assert(sync.connect(%q))
      client:on_state(function(state) if state == "connected" then attachment:detach() end end)
      assert(cq:loop())
      assert(client:health().is_connected)
      client:close()
    ]]
    assert.same({ code = 0, signal = 0 }, world.run_program(chunk:format(server.url)))
  end)

  it("gives a step that fails to who runs the controller, once, and is detached", function()
    main.step = function() return nil, "BROKEN: for the test", "BROKEN" end
    host.attach()
    world.connect(world.server())
    local problems = {}
    local step = host.controller.step
    await(function()
      local ok, problem = step(host.controller, 0)
      problems[#problems + 1] = not ok and problem or nil
      return problems[1]
    end)
    assert.same({ "BROKEN: for the test" }, problems)
    assert.is_nil(main.attachment)
    for _ = 1, 100 do host.turn(false) end -- which would raise
  end)

  it("lets handlers sleep: their client's events stay in order", function()
    host.attach()
    local server = world.server()
    local client = world.open(server.url)
    await(function() return client:health().is_connected end)
    local numbers = {}
    client:subscribe(function(event)
      cqueues.sleep(0.001)
      numbers[#numbers + 1] = event.data.number
    end)
    world.publish(server, 1, 20)
    await(function() return #numbers == 20 end)
    world.assert_in_order(numbers, 20)
  end)

  it("wants a controller", function()
    for _, wrong in ipairs { {}, 1, "cq" } do
      local function attach() host.adapter.attach(wrong) end
      assert.error_matches(attach, "expected a controller, of cqueues.new(), got a", 1, true)
    end
    assert.error_matches(function() return host.adapter.attach() end, "got a nil")
  end)
end)
