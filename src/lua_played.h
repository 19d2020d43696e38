/*
 * lua_played.h - playing the server to a client whose loop is played. Private to lua/sync/testing.lua.
 */
#ifndef SYNC_LUA_PLAYED_H
#define SYNC_LUA_PLAYED_H

#include "lua_compat.h"

/* Adds the methods to the table of client methods on top of the stack. */
void lua_played_open(lua_State *L);

#endif
