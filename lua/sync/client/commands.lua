-- What the engine is told just so. Methods of sync.Client.

local methods = {}

local function command(name)
  return function(self)
    if not self.core then return self.closed() end
    return self.core[name](self.core)
  end
end

--- Drops the stream and stays away until connect(); subscriptions and history stay.
methods.disconnect = command "disconnect"

--- Opens the stream anew at once: a wait, or having given up, is skipped.
methods.reconnect = command "reconnect"

--- The machine is on another network, or was cut off: what is open, being opened or waited for is opened anew at once,
--- and so is a stream that had been given up. A client that was told to stay away does.
methods.network_changed = command "network_changed"

--- Polls now and at the interval, whatever the stream does, until stop_polling().
methods.start_polling = command "start_polling"

--- Polls no more, not even while the stream is away, until start_polling() or the next connect.
methods.stop_polling = command "stop_polling"

return methods
