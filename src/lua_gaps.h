/*
 * lua_gaps.h - what a client knows to be missing in its stream, as Lua values.
 */
#ifndef SYNC_LUA_GAPS_H
#define SYNC_LUA_GAPS_H

#include "lua_compat.h"

/* Adds the functions to the metatable of clients, which is on top of the stack. */
void lua_gaps_open(lua_State *L);

/* Pushes a table of what is known of it. */
void lua_gap_push(lua_State *L, const sync_gap *gap);

#endif
