--- A drift, and the two sources that a spec plays itself, word by word. Time is the spec's.

local drift = require "sync.drift"
local virtual_time = require "spec.support.virtual_time"

local drift_scene = { SETTLE_MS = 1000, EPOCH_MS = 1700000000000 }

---@param options table|nil for drift.new
---@return table scene {drift =, time =, hear =, list =, poll =, settle =, found =}
function drift_scene.new(options)
  local time = virtual_time.new()
  local given = {
    now = function() return time.now_ms end,
    epoch_ms = function() return drift_scene.EPOCH_MS + time.now_ms end,
    settle_ms = drift_scene.SETTLE_MS,
  }
  for name, value in pairs(options or {}) do given[name] = value end
  local own = drift.new(given)
  own:stream_opened(false)
  local scene = { drift = own, time = time }

  ---The stream says this.
  function scene.hear(order_id, fields, change)
    change = change or {}
    change.fields = fields
    own:heard(order_id, change)
  end

  ---The poll under way lists these: {A = fields}; `versions` by order.
  function scene.list(orders, versions)
    for id, fields in pairs(orders) do
      own:listed(id, { fields = fields, version = versions and versions[id] })
    end
  end

  ---A poll that is answered at once.
  function scene.poll(orders, versions)
    own:begin_poll()
    scene.list(orders, versions)
    own:end_poll()
  end

  ---Wait until every event that was sent has come.
  function scene.settle() time:advance(drift_scene.SETTLE_MS) end

  ---"class order field stream/poll ..." of each difference.
  ---@return string[]
  function scene.found()
    local lines = {}
    for _, difference in ipairs(own:report().recent) do
      local parts = {}
      for name, sides in pairs(difference.fields or {}) do
        parts[#parts + 1] = (" %s %s/%s"):format(name, tostring(sides.stream), tostring(sides.poll))
      end
      table.sort(parts)
      lines[#lines + 1] = difference.class .. " " .. difference.order_id .. table.concat(parts)
    end
    return lines
  end

  return scene
end

return drift_scene
