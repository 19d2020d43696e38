-- The option `persistence`: which file keeps a client's journal, and how. What is in the file: docs/journal.md.

local persistence = {}

local PORTS = { http = "80", https = "443" }

--- The file of `persistence = true`, in the working directory: ordersync-HOST-PORT.db. Two clients of one server want
--- files of their own, and so have to name them.
---@param url string as sync.connect takes it
---@return string path
function persistence.default_path(url)
  local scheme, authority = url:match "^(%a[%w+.-]*)://([^/?#]*)"
  authority = (authority or url):gsub("^.*@", ""):lower()
  local host, port = authority:match "^(.-):(%d+)$"
  host, port = host or authority, port or PORTS[(scheme or ""):lower()]
  local name = (host:gsub("[%[%]]", "")):gsub("[^%w.-]", "_")
  return port and ("ordersync-%s-%s.db"):format(name, port) or ("ordersync-%s.db"):format(name)
end

-- true, a path or a table of options becomes a table of options, with a path.
local function complete(given, url)
  if given == true then given = {} elseif type(given) == "string" then given = { path = given } end
  local copy = { path = persistence.default_path(url) }
  for name, value in pairs(given) do copy[name] = value end
  return copy
end

--- Writes what the core takes of it into its flat options; nothing is kept without it.
---@param flat table
---@param given table|string|boolean|nil checked
---@param url string
function persistence.flatten(flat, given, url)
  if not given then return end
  for name, value in pairs(complete(given, url)) do flat["journal_" .. name] = value end
end

return persistence
