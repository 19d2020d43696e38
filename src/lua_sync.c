/*
 * lua_sync.c - `require "sync.core"`: the loop and the table of codes. Private to lua/sync/, which is the surface.
 *
 * No lua_State is kept beyond the call it came with: in nginx every request has another, short-lived one.
 */
#include "lua_client.h"
#include "lua_event.h"
#include "lua_json.h"
#include "lua_letters.h"
#include "lua_waker.h"

#define LOOP_TYPE "sync.loop"

struct loop_handle {
  sync_loop *loop;
};

/* Raises after the loop's finalizer: an older object's finalizer may still call. */
static sync_loop *check_loop(lua_State *L) {
  sync_loop *loop = ((struct loop_handle *)luaL_checkudata(L, 1, LOOP_TYPE))->loop;
  if (!loop) luaL_error(L, "sync: the Lua state is closing");
  return loop;
}

/* core.loop(played): `played`: without network and clock, for tests */
static int core_loop(lua_State *L) {
  bool played = lua_toboolean(L, 1);
  struct loop_handle *handle = lua_newuserdata(L, sizeof *handle);
  handle->loop = NULL;
  luaL_getmetatable(L, LOOP_TYPE);
  lua_setmetatable(L, -2);
  handle->loop = played ? sync_loop_new_played(NULL) : sync_loop_new(NULL);
  return handle->loop ? 1 : lua_push_failure(L, SYNC_SYSTEM, sync_code_text(SYNC_SYSTEM));
}

/* By then no client is left: each keeps the loop's userdata alive, and in lua_close() finalizers run youngest first.
 * loop:close() is for loops that are played, of which tests make hundreds: the collector does not count descriptors. */
static int loop_gc(lua_State *L) {
  struct loop_handle *handle = luaL_checkudata(L, 1, LOOP_TYPE);
  sync_loop_free(handle->loop);
  handle->loop = NULL;
  return 0;
}

/* loop:client(options) */
static int loop_client(lua_State *L) {
  return lua_client_new(L, check_loop(L));
}

/* loop:step(timeout_ms, budget_us): true; or nil, "CODE: text", "CODE" */
static int loop_step(lua_State *L) {
  sync_code code = sync_loop_step(check_loop(L), (int)luaL_checkinteger(L, 2), (int64_t)luaL_optinteger(L, 3, 0));
  if (code != SYNC_OK) return lua_push_failure(L, code, sync_code_text(code));
  lua_pushboolean(L, 1);
  return 1;
}

static int loop_spent(lua_State *L) {
  lua_pushboolean(L, sync_loop_spent(check_loop(L)));
  return 1;
}

/* loop:wall_ms(): milliseconds since the epoch */
static int loop_wall_ms(lua_State *L) {
  compat_push_integer(L, sync_loop_wall_ms(check_loop(L)));
  return 1;
}

/* loop:play(until_ms): time goes on to there, or to the first moment when something is due */
static int loop_play(lua_State *L) {
  sync_loop_play(check_loop(L), (int64_t)luaL_checknumber(L, 2));
  return 0;
}

/* loop:alarm(at_ms): nil takes it back */
static int loop_alarm(lua_State *L) {
  sync_loop_alarm(check_loop(L), (int64_t)luaL_optnumber(L, 2, -1));
  return 0;
}

static int loop_forked(lua_State *L) {
  lua_pushboolean(L, sync_loop_forked(check_loop(L)));
  return 1;
}

static int loop_fd(lua_State *L) {
  lua_pushinteger(L, sync_loop_fd(check_loop(L)));
  return 1;
}

static int loop_timeout_ms(lua_State *L) {
  lua_pushinteger(L, sync_loop_timeout_ms(check_loop(L)));
  return 1;
}

/* loop:ready(): the address of a client userdata with items to take, in turn, or nil; core:address() is the same. */
static int loop_ready(lua_State *L) {
  sync_client *client = sync_loop_ready(check_loop(L));
  if (!client) return 0;
  lua_pushlightuserdata(L, sync_client_data(client));
  return 1;
}

/* loop:clock_ms(): milliseconds of a clock that never goes back */
static int loop_clock_ms(lua_State *L) {
  compat_push_integer(L, sync_loop_clock_ms(check_loop(L)));
  return 1;
}

/* core.address(userdata) */
static int core_address(lua_State *L) {
  lua_pushlightuserdata(L, lua_touserdata(L, 1));
  return 1;
}

/* core.time_ms(text): the point in time that it means, milliseconds since the epoch; nothing: it means none */
static int core_time_ms(lua_State *L) {
  sync_span text;
  text.bytes = luaL_checklstring(L, 1, &text.length);
  int64_t time_ms = sync_time_parse(text);
  if (time_ms == SYNC_TIME_NONE) return 0;
  compat_push_integer(L, time_ms);
  return 1;
}

/* core.decode(text): the value of JSON text, made as an event's `data` is; nothing: it is no JSON */
static int core_decode(lua_State *L) {
  sync_span text;
  text.bytes = luaL_checklstring(L, 1, &text.length);
  return lua_json_push(L, text, lua_upvalueindex(1)) ? 1 : 0;
}

/* core.codes: name -> {text=, hint=, class=, retryable=} */
static void push_codes(lua_State *L) {
  lua_createtable(L, 0, SYNC_CODE_COUNT);
  for (int code = SYNC_OK + 1; code < SYNC_CODE_COUNT; code++) {
    lua_createtable(L, 0, 4);
    lua_pushstring(L, sync_code_text((sync_code)code));
    lua_setfield(L, -2, "text");
    lua_pushstring(L, sync_code_hint((sync_code)code));
    lua_setfield(L, -2, "hint");
    lua_pushstring(L, sync_class_name(sync_code_class((sync_code)code)));
    lua_setfield(L, -2, "class");
    lua_pushboolean(L, sync_code_class((sync_code)code) == SYNC_CLASS_RETRY);
    lua_setfield(L, -2, "retryable");
    lua_setfield(L, -2, sync_code_name((sync_code)code));
  }
}

static void open_loop(lua_State *L) {
  static const luaL_Reg functions[] = {
      {"__gc", loop_gc},
      {"alarm", loop_alarm},
      {"clock_ms", loop_clock_ms},
      {"wall_ms", loop_wall_ms},
      {"play", loop_play},
      {"close", loop_gc},
      {"client", loop_client},
      {"fd", loop_fd},
      {"forked", loop_forked},
      {"ready", loop_ready},
      {"spent", loop_spent},
      {"step", loop_step},
      {"timeout_ms", loop_timeout_ms},
      {NULL, NULL},
  };
  luaL_newmetatable(L, LOOP_TYPE);
  compat_set_functions(L, functions);
  lua_pushvalue(L, -1);
  lua_setfield(L, -2, "__index");
  lua_pop(L, 1);
}

__attribute__((visibility("default"))) int luaopen_sync_core(lua_State *L);

int luaopen_sync_core(lua_State *L) {
  static const luaL_Reg functions[] = {{"address", core_address},
                                       {"letters", lua_letters_new},
                                       {"loop", core_loop},
                                       {"time_ms", core_time_ms},
                                       {NULL, NULL}};
  open_loop(L);
  lua_client_open(L);
  lua_event_open(L);
  lua_letters_open(L);
  lua_newtable(L);
  compat_set_functions(L, functions);
  lua_waker_open(L);
  lua_json_push_memory(L);
  lua_pushcclosure(L, core_decode, LUA_JSON_MEMORY_VALUES);
  lua_setfield(L, -2, "decode");
  push_codes(L);
  lua_setfield(L, -2, "codes");
  lua_pushlightuserdata(L, NULL);
  lua_setfield(L, -2, "null");
  lua_pushliteral(L, SYNC_VERSION);
  lua_setfield(L, -2, "version");
  return 1;
}
