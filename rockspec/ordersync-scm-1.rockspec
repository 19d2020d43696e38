rockspec_format = "3.0"
package = "ordersync"
version = "scm-1"
source = { url = "git+file://." }
description = {
  summary = "Holds a real-time order stream (Server-Sent Events) open and calls Lua handlers",
  detailed = [[
    A C extension that keeps an event stream of orders open: it reconnects with backoff and jitter, resumes by the last
    event ID, checks what arrives, and hands events to Lua handlers. The module is `require "sync"`.
  ]],
  license = "MIT",
}
supported_platforms = { "linux" }
dependencies = {
  "lua >= 5.1, < 5.5",
  "luv", -- the command line and the server to develop against; the module itself does not need these three
  "lua-cjson",
  "argparse",
}
external_dependencies = {
  LIBUV = { header = "uv.h", library = "uv" },
  CURL = { library = "curl" }, -- its headers are in a multiarch folder on Debian, where a search by name misses them
}
build = {
  type = "builtin",
  modules = {
    ["sync.core"] = {
      sources = {
        "src/alloc.c",
        "src/backoff.c",
        "src/buffer.c",
        "src/client.c",
        "src/connection.c",
        "src/error.c",
        "src/event.c",
        "src/history.c",
        "src/intake.c",
        "src/interest.c",
        "src/json.c",
        "src/loop.c",
        "src/lua_client.c",
        "src/lua_event.c",
        "src/lua_json.c",
        "src/lua_options.c",
        "src/lua_sync.c",
        "src/map.c",
        "src/metrics.c",
        "src/options.c",
        "src/queue.c",
        "src/segment.c",
        "src/sse.c",
        "src/transport.c",
        "src/utf8.c",
      },
      defines = { "_GNU_SOURCE" },
      libraries = { "uv", "curl", "pthread", "dl", "m" },
      incdirs = { "src", "$(LIBUV_INCDIR)" },
      libdirs = { "$(LIBUV_LIBDIR)", "$(CURL_LIBDIR)" },
    },
    ["sync.cli"] = "lua/sync/cli.lua",
    ["sync.cli.child"] = "lua/sync/cli/child.lua",
    ["sync.cli.clock"] = "lua/sync/cli/clock.lua",
    ["sync.cli.demo"] = "lua/sync/cli/demo.lua",
    ["sync.cli.grammar"] = "lua/sync/cli/grammar.lua",
    ["sync.cli.host"] = "lua/sync/cli/host.lua",
    ["sync.cli.json_text"] = "lua/sync/cli/json_text.lua",
    ["sync.cli.line"] = "lua/sync/cli/line.lua",
    ["sync.cli.ndjson"] = "lua/sync/cli/ndjson.lua",
    ["sync.cli.publisher"] = "lua/sync/cli/publisher.lua",
    ["sync.cli.serve"] = "lua/sync/cli/serve.lua",
    ["sync.cli.signals"] = "lua/sync/cli/signals.lua",
    ["sync.cli.tail"] = "lua/sync/cli/tail.lua",
    ["sync.cli.tally"] = "lua/sync/cli/tally.lua",
    ["sync.cli.terminal"] = "lua/sync/cli/terminal.lua",
    ["sync.cli.text"] = "lua/sync/cli/text.lua",
    ["sync.client"] = "lua/sync/client.lua",
    ["sync.decoder"] = "lua/sync/decoder.lua",
    ["sync.duration"] = "lua/sync/duration.lua",
    ["sync.filter"] = "lua/sync/filter.lua",
    ["sync"] = "lua/sync/init.lua",
    ["sync.listeners"] = "lua/sync/listeners.lua",
    ["sync.loop"] = "lua/sync/loop.lua",
    ["sync.options"] = "lua/sync/options.lua",
    ["sync.raised"] = "lua/sync/raised.lua",
    ["sync.server"] = "lua/sync/server.lua",
    ["sync.server.connection"] = "lua/sync/server/connection.lua",
    ["sync.server.event"] = "lua/sync/server/event.lua",
    ["sync.server.gzip"] = "lua/sync/server/gzip.lua",
    ["sync.server.http"] = "lua/sync/server/http.lua",
    ["sync.server.listener"] = "lua/sync/server/listener.lua",
    ["sync.server.misbehave"] = "lua/sync/server/misbehave.lua",
    ["sync.server.options"] = "lua/sync/server/options.lua",
    ["sync.server.orders"] = "lua/sync/server/orders.lua",
    ["sync.server.outbox"] = "lua/sync/server/outbox.lua",
    ["sync.server.ring"] = "lua/sync/server/ring.lua",
    ["sync.server.ring_file"] = "lua/sync/server/ring_file.lua",
    ["sync.server.routes"] = "lua/sync/server/routes.lua",
    ["sync.server.script"] = "lua/sync/server/script.lua",
    ["sync.server.simulate"] = "lua/sync/server/simulate.lua",
    ["sync.server.stream"] = "lua/sync/server/stream.lua",
    ["sync.subscription"] = "lua/sync/subscription.lua",
    ["sync.suggest"] = "lua/sync/suggest.lua",
  },
  install = { bin = { ordersync = "bin/ordersync" } },
  copy_directories = { "docs", "examples", "types" },
}
