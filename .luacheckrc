std = "max"
max_line_length = 130
files["lua/sync/resty.lua"] = { std = "max+ngx_lua" }
files["lua/sync/resty"] = { std = "max+ngx_lua" }
files["examples/openresty"] = { std = "max+ngx_lua" }
files["spec"] = { std = "max+busted" }
files["examples/testing"] = { std = "max+busted" }
exclude_files = { "build", "lua_modules" }
