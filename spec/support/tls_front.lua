--- nginx as the TLS and HTTP/2 front of a server: what a shop has before its order server.
-- The server behind it sees in `x-connection` which TCP connection of nginx's a request came by, in `x-protocol` how.

local nginx = require "spec.support.nginx"

local tls_front = {}

local HTTP = [[
  server {
    listen 127.0.0.1:<port> ssl http2;
    ssl_certificate <cert_file>;
    ssl_certificate_key <key_file>;
    <more>
    location / {
      proxy_pass http://127.0.0.1:<upstream>;
      proxy_http_version 1.1;
      proxy_buffering off;
      proxy_read_timeout 1h;
      proxy_set_header Connection "";
      proxy_set_header X-Connection $connection;
      proxy_set_header X-Protocol $server_protocol;
    }
  }
]]

---@class spec.support.TlsFront: spec.support.Nginx
---@field url string by the host name "localhost"

---Start a front.
---@param upstream {port: integer}
---@param certificate {cert_file: string, key_file: string}
---@param more string|nil further lines of its `server` block, with `<name>` of `values`
---@param values table|nil
---@return spec.support.TlsFront
function tls_front.start(upstream, certificate, more, values)
  local all = { upstream = upstream.port, cert_file = certificate.cert_file, key_file = certificate.key_file }
  for name, value in pairs(values or {}) do all[name] = value end
  local front = nginx.start(HTTP:gsub("<more>", { ["<more>"] = more or "" }), all)
  front.url = "https://localhost:" .. front.port
  return front
end

return tls_front
