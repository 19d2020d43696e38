/*
 * host.h - a program with Lua inside, as tests play it: a state with ordersync linked in, and chunks that it runs.
 *
 * A chunk is given a url, and has what PRELUDE defines.
 */
#ifndef EMBED_HOST_H
#define EMBED_HOST_H

#include <lauxlib.h>
#include <lua.h>
#include <lualib.h>

#include "server.h"

int luaopen_sync_core(lua_State *L);

#define HOST_PRELUDE                                                                                                   \
  "sync = require 'sync'\n"                                                                                            \
  "function connect(url, options)\n"                                                                                   \
  "  options = options or {}\n"                                                                                        \
  "  options.url = url\n"                                                                                              \
  "  return assert(sync.connect(options))\n"                                                                           \
  "end\n"                                                                                                              \
  "function await(condition)\n"                                                                                        \
  "  while not condition() do assert(sync.step(100)) end\n"                                                            \
  "end\n"                                                                                                              \
  "function connected(url, options)\n"                                                                                 \
  "  local client = connect(url, options)\n"                                                                           \
  "  await(function() return client:health().is_connected end)\n"                                                      \
  "  return client\n"                                                                                                  \
  "end\n"

/* A function of C's, for chunks. */
static inline void host_register(lua_State *L, const char *name, lua_CFunction function, void *arg) {
  lua_pushlightuserdata(L, arg);
  lua_pushcclosure(L, function, 1);
  lua_setglobal(L, name);
}

static inline bool host_try(lua_State *L, const char *chunk, const char *url) {
  lua_settop(L, 0);
  if (luaL_loadstring(L, chunk) != 0) return false;
  lua_pushstring(L, url);
  return lua_pcall(L, 1, 0, 0) == 0;
}

static inline void host_run(lua_State *L, const char *chunk, const char *url) {
  if (!host_try(L, chunk, url)) fail_msg("%s", lua_tostring(L, -1));
}

static inline lua_State *host_new(void) {
  lua_State *L = luaL_newstate();
  assert_non_null(L);
  luaL_openlibs(L);
  return L;
}

/* A state whose sync.core is linked into the program. */
static inline lua_State *host_open(void) {
  lua_State *L = host_new();
  lua_getglobal(L, "package");
  lua_getfield(L, -1, "preload");
  lua_pushcfunction(L, luaopen_sync_core);
  lua_setfield(L, -2, "sync.core");
  host_run(L, HOST_PRELUDE, NULL);
  return L;
}

#endif
