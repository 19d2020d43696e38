--- Certificates for specs, made by the openssl command: an authority, and what it has signed. Elliptic curve keys, for
-- they are quick to make. Use: `setup` makes them, `teardown` closes them, once for a file of specs.

local directory = require "spec.support.directory"
local program = require "spec.support.program"

local certificates = {}

-- Names that the servers' certificates are for, and the days for which they hold: -1 is over already.
local ISSUED = {
  { name = "server", subject = "DNS:orders.example,DNS:localhost,IP:127.0.0.1,IP:::1", days = 2 },
  { name = "elsewhere", subject = "DNS:elsewhere.example", days = 2 },
  { name = "expired", subject = "DNS:localhost,IP:127.0.0.1", days = -1 },
  { name = "terminal", subject = "DNS:terminal-7.example", days = 2 },
}

local AUTHORITY = [[
cd "$1"
openssl req -x509 -newkey ec -pkeyopt ec_paramgen_curve:prime256v1 -nodes -days 2 -subj "/CN=Authority of the specs" \
  -keyout authority.key -out authority.pem 2>&1
]]

local ISSUE = [[
cd "$1"
openssl req -newkey ec -pkeyopt ec_paramgen_curve:prime256v1 -nodes -subj "/CN=$2" -keyout "$2.key" -out "$2.csr" 2>&1
echo "subjectAltName=$3" >"$2.ext"
openssl x509 -req -in "$2.csr" -CA authority.pem -CAkey authority.key -CAcreateserial -days "$4" -extfile "$2.ext" \
  -out "$2.pem" 2>&1
]]

-- RFC 7469: the digest of the key's SubjectPublicKeyInfo.
local PIN = [[
cd "$1"
openssl x509 -in "$2.pem" -noout -pubkey | openssl pkey -pubin -outform DER | openssl dgst -sha256 -binary | openssl base64
]]

local function shell(script, ...)
  return program.run("sh", { "-euc", script, "sh", ... })
end

---@class spec.support.Certificates
---@field directory spec.support.Directory
---@field authority_file string the authority's certificate
local Certificates = {}
Certificates.__index = Certificates

local function issue_all(path)
  shell(AUTHORITY, path)
  for _, each in ipairs(ISSUED) do shell(ISSUE, path, each.name, each.subject, tostring(each.days)) end
end

---Make them.
---@return spec.support.Certificates
function certificates.make()
  local place = directory.new()
  local ok, message = pcall(issue_all, place.path)
  if not ok then
    place:close()
    error(message, 0)
  end
  return setmetatable({ directory = place, authority_file = place:of("authority.pem") }, Certificates)
end

---A certificate and its key.
---@param name string "server" (for orders.example, localhost, 127.0.0.1, ::1), "elsewhere" (for another host),
---  "expired", "terminal" (a client's)
---@return {cert_file: string, key_file: string}
function Certificates:of(name)
  return { cert_file = self.directory:of(name .. ".pem"), key_file = self.directory:of(name .. ".key") }
end

---What `tls.pinned_public_key` takes for the key of a certificate.
---@param name string
---@return string
function Certificates:pin(name)
  return "sha256//" .. shell(PIN, self.directory.path, name):gsub("%s+$", "")
end

function Certificates:close()
  self.directory:close()
end

return certificates
