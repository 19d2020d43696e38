--- sync.copas: what is left in copas when the module has nothing to do there, and what becomes of a step that fails.

local copas = require "copas"
local host = require "spec.hosts.copas"
local main = require "sync.loop".main
local program = require "spec.support.program"
local uv = require "luv"
local world = require "spec.support.world"

describe("sync.copas", function()
  local threads -- that were added to copas in this test
  local addthread = copas.addthread

  before_each(function()
    host.open()
    threads = {}
    copas.addthread = function(...)
      local thread = addthread(...)
      threads[#threads + 1] = thread
      return thread
    end
  end)

  after_each(function()
    copas.addthread = addthread
    if main.attachment then main.attachment:detach() end
    host.close()
    world.close()
  end)

  local function await(condition)
    while not condition() do host.turn(true) end
  end

  local function living()
    local count = 0
    for _, thread in ipairs(threads) do
      if coroutine.status(thread) ~= "dead" then count = count + 1 end
    end
    return count
  end

  local function connected_client()
    local client = world.open(world.server().url)
    await(function() return client:health().is_connected end)
    return client
  end

  it("has one thread in copas while a client is open, and none after", function()
    host.attach()
    assert.equal(0, living())
    local client = connected_client()
    assert.equal(1, living())
    client:close()
    await(function() return living() == 0 end)
  end)

  it("has no thread in copas once detached, whatever is open", function()
    local attachment = host.attach()
    connected_client()
    attachment:detach()
    await(function() return living() == 0 end)
  end)

  -- Copas 1 prints what a thread raises.
  it("leaves a step that fails to copas, once, and is detached", function()
    local server = world.server()
    local chunk = [[
      local sync, copas, main = require "sync", require "copas", require("sync.loop").main
      main.step = function() return nil, "BROKEN: for the test", "BROKEN" end
      require("sync.copas").attach()
      assert(sync.connect(%q))
      while main.attachment do copas.step() end
      for _ = 1, 100 do copas.step(0) end
      print "still here"
    ]]
    local preloaded = { LD_PRELOAD = os.getenv "LD_PRELOAD" }
    local child = world.own(program.start(uv.exepath(), { "-e", chunk:format(server.url) }, preloaded))
    world.await_servers(function() return child:has_ended() end)
    assert.equal(0, child.code)
    assert.equal(1, select(2, child.output:gsub("BROKEN: for the test", "")))
    assert.matches("still here\n$", child.output)
  end)
end)
