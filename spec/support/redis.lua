--- A real Redis of a spec: a port and a directory of its own, and nothing in it at first.

local directory = require "spec.support.directory"
local port = require "spec.support.port"
local program = require "spec.support.program"
local world = require "spec.support.world"

local redis = {}

---@class spec.support.Redis
---@field port integer of 127.0.0.1
---@field program spec.support.Program
local Redis = {}
Redis.__index = Redis

function Redis:run()
  self.program = world.own(program.start("redis-server", {
    "--port", tostring(self.port), "--bind", "127.0.0.1", "--dir", self.directory.path, "--save", "",
  }))
  world.await(function() return self.program:says "Ready to accept connections" end)
end

---Start Redis, and wait until it serves. The world ends it.
---@return spec.support.Redis
function redis.start()
  local reserved = world.own(port.reserve())
  local self = setmetatable({ directory = world.own(directory.new()), port = reserved.number }, Redis)
  self:run()
  return self
end

---Kill it: what it held is gone.
function Redis:kill()
  self.program:close()
end

---Start it again, on the same port, with nothing in it.
function Redis:restart()
  self:run()
end

return redis
