-- The processor time of this thread: what work costs, whatever else the machine does meanwhile.

local ffi = require "ffi"

ffi.cdef [[
  struct sync_resty_time { long seconds, nanoseconds; };
  int clock_gettime(int clock, struct sync_resty_time *time);
]]

local THREAD_CPU = 3 -- CLOCK_THREAD_CPUTIME_ID

local cpu = {}

local time = ffi.new "struct sync_resty_time"

---@return number milliseconds
function cpu.thread_ms()
  ffi.C.clock_gettime(THREAD_CPU, time)
  return tonumber(time.seconds) * 1000 + tonumber(time.nanoseconds) / 1e6
end

return cpu
