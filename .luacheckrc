std = "max"
max_line_length = 130
files["spec"] = { std = "max+busted" }
files["examples/testing"] = { std = "max+busted" }
exclude_files = { "build", "lua_modules" }
