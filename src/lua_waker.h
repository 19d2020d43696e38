/*
 * lua_waker.h - a sync_waker as a userdata.
 */
#ifndef SYNC_LUA_WAKER_H
#define SYNC_LUA_WAKER_H

#include "lua_compat.h"

/* Registers the metatable, and puts the function `waker` into the table on top of the stack. */
void lua_waker_open(lua_State *L);

#endif
