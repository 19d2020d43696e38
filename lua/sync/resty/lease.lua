-- A lease in a shared dictionary: at most one worker holds it. It lapses by itself when its holder does not renew it,
-- and is taken at once from one whose process is gone. It says who should act, not who can: what must not happen
-- twice is kept from it elsewhere (ring.lua).

local ffi = require "ffi"

ffi.cdef [[ int kill(int pid, int signal); ]]

local NO_SUCH_PROCESS = 3 -- ESRCH

---@class sync.resty.Lease
---@field key string
---@field token string names the process: what is between its first two "-" is the pid
---@field ttl_ms integer
---@field private dict table
---@field private clock_ms fun(): integer
---@field private good_until_ms integer|nil nil: not held
local Lease = {}
Lease.__index = Lease

local lease = {}

---@param token string
---@return integer
function lease.pid_of(token)
  return tonumber(token:match "%-(%d+)%-")
end

local function is_gone(token)
  return ffi.C.kill(lease.pid_of(token), 0) ~= 0 and ffi.errno() == NO_SUCH_PROCESS
end

---@param dict table
---@param key string
---@param token string
---@param ttl_ms integer
---@param clock_ms fun(): integer a clock that goes on while this process is stopped
---@return sync.resty.Lease
function lease.new(dict, key, token, ttl_ms, clock_ms)
  return setmetatable({ dict = dict, key = key, token = token, ttl_ms = ttl_ms, clock_ms = clock_ms }, Lease)
end

local function grant(self)
  self.good_until_ms = self.clock_ms() + self.ttl_ms
  return true
end

-- Of all who find the holder dead, one may take its lease away.
local function bury(self, token)
  if self.dict:add(self.key .. ":gone:" .. token, true, self.ttl_ms / 1000) and self.dict:get(self.key) == token then
    self.dict:delete(self.key)
  end
end

--- Takes it if nobody has it.
---@return boolean held
function Lease:acquire()
  if self:is_held() then return true end
  local holder = self.dict:get(self.key)
  if holder and holder ~= self.token and is_gone(holder) then bury(self, holder) end
  if self.dict:add(self.key, self.token, self.ttl_ms / 1000) then return grant(self) end
  return false
end

--- Whether it is ours; by the clock, for a process that was stopped has lost it without knowing.
---@return boolean
function Lease:is_held()
  return self.good_until_ms ~= nil and self.clock_ms() < self.good_until_ms
end

--- Keeps it for another while, if it is still ours.
---@return boolean held
function Lease:renew()
  if self:is_held() and self.dict:get(self.key) == self.token and self.dict:expire(self.key, self.ttl_ms / 1000) then
    return grant(self)
  end
  self.good_until_ms = nil
  return false
end

--- Gives it back.
function Lease:release()
  if self:is_held() and self.dict:get(self.key) == self.token then self.dict:delete(self.key) end
  self.good_until_ms = nil
end

--- Who holds it, or nil.
---@return string|nil token
function Lease:holder()
  return (self.dict:get(self.key))
end

return lease
