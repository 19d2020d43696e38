--- The options of `server.start`: their types and defaults, and the check that finds every other.

local options = {}

local descriptors = {
  host = { "string", "127.0.0.1" },
  port = { "integer", 0 },
  path = { "string", "/api/v1/sync/events" },
  ids = { "boolean", true },
  replay_limit = { "integer", 1000 },
  ring_file = { "string" },
  heartbeat_ms = { "integer", 30000 },
  chunked = { "boolean", true },
  retry_ms = { "integer" },
  -- A client that is this far behind will not come back; what it missed it gets by its last event ID.
  backlog_limit_bytes = { "integer", 256 * 1024 * 1024 },
  simulate = { "table" },
  uv = { "table" },
  log = { "function" },
}

local simulate_descriptors = {
  orders = { "integer", 5 },
  interval_ms = { "integer", 300 },
  seed = { "integer", 1 },
}

local function known(table_of_descriptors)
  local names = {}
  for name in pairs(table_of_descriptors) do names[#names + 1] = name end
  table.sort(names)
  return table.concat(names, ", ")
end

local function is_of_type(value, wanted)
  if wanted ~= "integer" then return type(value) == wanted end
  return type(value) == "number" and value >= 0 and value % 1 == 0
end

local function read(given, table_of_descriptors, prefix)
  local read_options = {}
  for name, value in pairs(given) do
    local descriptor = table_of_descriptors[name]
    if not descriptor then
      error(("%s%s: unknown option (known: %s)"):format(prefix, tostring(name), known(table_of_descriptors)), 4)
    elseif not is_of_type(value, descriptor[1]) then
      error(("%s%s: %s wanted, not %s"):format(prefix, name, descriptor[1], tostring(value)), 4)
    end
    read_options[name] = value
  end
  for name, descriptor in pairs(table_of_descriptors) do
    if read_options[name] == nil then read_options[name] = descriptor[2] end
  end
  return read_options
end

---Fill in the defaults. Raises on an unknown option or a wrong type.
---@param given table|nil
---@return table
function options.read(given)
  local all = read(given or {}, descriptors, "server.start: ")
  if all.simulate then all.simulate = read(all.simulate, simulate_descriptors, "server.start: simulate.") end
  return all
end

return options
