/*
 * lua_client.h - a sync_client as a userdata, and what arrives as Lua values.
 */
#ifndef SYNC_LUA_CLIENT_H
#define SYNC_LUA_CLIENT_H

#include "lua_compat.h"

/* Registers the metatable. */
void lua_client_open(lua_State *L);

/* The client at stack index 1; NULL: closed. */
sync_client *lua_client_check(lua_State *L);

/* The client of a userdata that is known to be one, at any index; NULL: closed. */
sync_client *lua_client_at(lua_State *L, int index);

/* A method that takes nothing: does `act`, and pushes what came of it. */
int lua_client_command(lua_State *L, sync_code (*act)(sync_client *client));

/* Pushes true; or nil and why. */
int lua_push_outcome(lua_State *L, sync_code code);

/* core.client(loop, options): a client userdata; or nil, "CODE: text", "CODE". `loop` is at stack index 1 (the client
 * keeps it alive), the flat options at 2. */
int lua_client_new(lua_State *L, sync_loop *loop);

/* Pushes nil, "CODE: message (what to do)", "CODE". */
int lua_push_failure(lua_State *L, sync_code code, const char *message);

#endif
