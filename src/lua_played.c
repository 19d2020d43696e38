/* lua_played.c - requests of a loop that is played as Lua tables, and the answers to them. */
#include "lua_played.h"

#include <string.h>

#include "lua_client.h"
#include "lua_table.h"

/* Those of `headers` into the table on top, by name. */
static void set_headers(lua_State *L, const sync_header *headers, size_t count) {
  for (size_t i = 0; i < count; i++) {
    compat_push_span(L, headers[i].name);
    compat_push_span(L, headers[i].value);
    lua_rawset(L, -3);
  }
}

/* core:played_request(): {number =, url =, headers =, last_event_id =, renewal =, poll =}; nothing: none waits */
static int played_request(lua_State *L) {
  const sync_client *client = lua_client_check(L);
  sync_played_request request;
  if (!client || !sync_client_play_request(client, &request)) return 0;
  lua_createtable(L, 0, 6);
  compat_push_integer(L, (int64_t)request.number);
  lua_setfield(L, -2, "number");
  lua_pushstring(L, request.url);
  lua_setfield(L, -2, "url");
  lua_newtable(L);
  set_headers(L, request.headers, request.header_count);
  set_headers(L, request.answer, request.answer_count);
  lua_setfield(L, -2, "headers");
  if (request.last_event_id.length) {
    compat_push_span(L, request.last_event_id);
    lua_setfield(L, -2, "last_event_id");
  }
  lua_set_flag(L, "renewal", request.renewal);
  lua_set_flag(L, "poll", request.poll);
  return 1;
}

/* core:played_response(status, content_type, location, retry_after_ms, body): nil where there is none */
static int played_response(lua_State *L) {
  sync_client *client = lua_client_check(L);
  int status = (int)luaL_checkinteger(L, 2);
  const char *content_type = luaL_optstring(L, 3, NULL);
  const char *location = luaL_optstring(L, 4, NULL);
  int64_t retry_after_ms = (int64_t)luaL_optnumber(L, 5, 0);
  sync_span body;
  body.bytes = luaL_optlstring(L, 6, "", &body.length);
  if (client) sync_client_play_response(client, status, content_type, location, retry_after_ms, body);
  return 0;
}

/* core:played_bytes(text): whether a stream is open */
static int played_bytes(lua_State *L) {
  sync_client *client = lua_client_check(L);
  sync_span text;
  text.bytes = luaL_checklstring(L, 2, &text.length);
  lua_pushboolean(L, client && sync_client_play_bytes(client, text));
  return 1;
}

static sync_code check_code(lua_State *L, int index) {
  const char *name = luaL_checkstring(L, index);
  for (int code = SYNC_OK + 1; code < SYNC_CODE_COUNT; code++)
    if (strcmp(name, sync_code_name((sync_code)code)) == 0) return (sync_code)code;
  return (sync_code)luaL_error(L, "sync: '%s' is no code", name);
}

/* core:played_end(code): whether there was anything to end */
static int played_end(lua_State *L) {
  sync_client *client = lua_client_check(L);
  sync_code code = check_code(L, 2);
  lua_pushboolean(L, client && sync_client_play_end(client, code));
  return 1;
}

void lua_played_open(lua_State *L) {
  static const luaL_Reg functions[] = {
      {"played_request", played_request},
      {"played_response", played_response},
      {"played_bytes", played_bytes},
      {"played_end", played_end},
      {NULL, NULL},
  };
  compat_set_functions(L, functions);
}
