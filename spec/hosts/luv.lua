--- luv as a host of the module, for specs: its loop turned by hand, its timers, its way to let a handler wait. The servers
-- of the spec are on the same loop.
--
-- The three hosts of this folder have the same functions: spec/hosts/adapters_spec.lua asks the same of all.

local uv = require "luv"

local host = { name = "sync.luv", adapter = require "sync.luv" }

local waiting, ticker = {}, nil

---Make it ready for a test.
function host.open()
  waiting = {}
end

---Attach the module to it.
---@param options table|nil
---@return sync.Attachment
function host.attach(options)
  return host.adapter.attach(options)
end

---One turn of its loop, and of the servers'.
---@param does_wait boolean whether it waits when nothing is ready
function host.turn(does_wait)
  uv.run(does_wait and "once" or "nowait")
end

---Call a function every millisecond, by the host's own timers.
---@param fn fun()
function host.every_ms(fn)
  ticker = uv.new_timer()
  uv.timer_start(ticker, 1, 1, fn)
end

---In a handler: wait, as handlers do in this host, until `release`.
function host.pause()
  waiting[#waiting + 1] = coroutine.running()
  coroutine.yield()
end

---Let the handler go on that has waited longest.
function host.release()
  local timer, thread = uv.new_timer(), table.remove(waiting, 1)
  uv.timer_start(timer, 0, 0, function()
    uv.close(timer)
    assert(coroutine.resume(thread))
  end)
end

---In a handler: connect, and wait for a line of text.
---@param port integer of 127.0.0.1
---@return string line
function host.read_line(port)
  local thread, tcp, text = coroutine.running(), uv.new_tcp(), ""
  uv.tcp_connect(tcp, "127.0.0.1", port, function(message)
    assert(not message, message)
    uv.read_start(tcp, function(_, bytes)
      text = text .. (bytes or "\n")
      if not text:find "\n" or uv.is_closing(tcp) then return end
      uv.close(tcp)
      assert(coroutine.resume(thread))
    end)
  end)
  coroutine.yield()
  return text:match "[^\n]*"
end

function host.close()
  if ticker then uv.close(ticker) end
  ticker = nil
end

return host
