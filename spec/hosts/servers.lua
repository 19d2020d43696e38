--- The loop that the servers of a spec are on (luv's), nested by its descriptor in a host's: one wait is for both.

local uv = require "luv"

local servers = {}

---What the host is to watch: readable means, run().
---@return integer
function servers.fd()
  return uv.backend_fd()
end

---Do what is due.
function servers.run()
  uv.run "nowait"
end

---How long the host may wait after that.
---@param does_wait boolean whether it shall wait at all
---@return number|nil seconds nil: only the descriptor matters
function servers.timeout(does_wait)
  if not does_wait then return 0 end
  local timeout_ms = uv.backend_timeout()
  return timeout_ms >= 0 and timeout_ms / 1000 or nil
end

return servers
