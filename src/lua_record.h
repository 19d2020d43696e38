/*
 * lua_record.h - an order of the book as text, for those who keep it elsewhere.
 */
#ifndef SYNC_LUA_RECORD_H
#define SYNC_LUA_RECORD_H

#include "lua_compat.h"

/* Puts core:record into the client's metatable, which is on top of the stack. */
void lua_record_open(lua_State *L);

#endif
