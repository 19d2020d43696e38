/* lua_waker.c - a sync_waker as a userdata: what wakes a worker of nginx (lua/sync/resty/). */
#include "lua_waker.h"

#include "lua_client.h"

#define WAKER_TYPE "sync.waker"

struct waker_handle {
  sync_waker *waker; /* NULL: closed */
};

static struct waker_handle *check_handle(lua_State *L) {
  return luaL_checkudata(L, 1, WAKER_TYPE);
}

static sync_waker *check_waker(lua_State *L) {
  sync_waker *waker = check_handle(L)->waker;
  if (!waker) luaL_error(L, "sync.waker: it is closed");
  return waker;
}

/* core.waker(fd): a waker that watches a descriptor; or nil, "CODE: text", "CODE" */
static int core_waker(lua_State *L) {
  int fd = (int)luaL_checkinteger(L, 1);
  struct waker_handle *handle = lua_newuserdata(L, sizeof *handle);
  handle->waker = NULL;
  luaL_getmetatable(L, WAKER_TYPE);
  lua_setmetatable(L, -2);
  handle->waker = sync_waker_new(fd);
  return handle->waker ? 1 : lua_push_failure(L, SYNC_SYSTEM, sync_code_text(SYNC_SYSTEM));
}

/* waker:close(): again does nothing */
static int waker_close(lua_State *L) {
  struct waker_handle *handle = check_handle(L);
  sync_waker_free(handle->waker);
  handle->waker = NULL;
  return 0;
}

static int waker_path(lua_State *L) {
  lua_pushstring(L, sync_waker_path(check_waker(L)));
  return 1;
}

static int waker_name(lua_State *L) {
  lua_pushstring(L, sync_waker_name(check_waker(L)));
  return 1;
}

/* waker:arm([timeout_ms]): true; or nil, "CODE: text", "CODE" */
static int waker_arm(lua_State *L) {
  sync_waker *waker = check_waker(L);
  sync_code code = sync_waker_arm(waker, (int)luaL_optinteger(L, 2, -1));
  if (code != SYNC_OK) return lua_push_failure(L, code, sync_code_text(code));
  lua_pushboolean(L, 1);
  return 1;
}

/* waker:ring(name): whether there is one of that name */
static int waker_ring(lua_State *L) {
  sync_waker *waker = check_waker(L);
  lua_pushboolean(L, sync_waker_ring(waker, luaL_checkstring(L, 2)) == SYNC_OK);
  return 1;
}

void lua_waker_open(lua_State *L) {
  static const luaL_Reg functions[] = {
      {"__gc", waker_close}, {"arm", waker_arm},   {"close", waker_close}, {"name", waker_name},
      {"path", waker_path},  {"ring", waker_ring}, {NULL, NULL},
  };
  luaL_newmetatable(L, WAKER_TYPE);
  compat_set_functions(L, functions);
  lua_pushvalue(L, -1);
  lua_setfield(L, -2, "__index");
  lua_pop(L, 1);
  lua_pushcfunction(L, core_waker);
  lua_setfield(L, -2, "waker");
}
