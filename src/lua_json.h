/*
 * lua_json.h - JSON text straight to Lua values, no tree in between.
 */
#ifndef SYNC_LUA_JSON_H
#define SYNC_LUA_JSON_H

#include "lua_compat.h"

/* Pushes the value of `text`. true: done; false: `text` is no JSON, nothing is pushed. Integers are exact: on Lua 5.3
 * and later a lua_Integer, and what does not fit (on 5.1 and LuaJIT: beyond 2^53) a string of its digits. null is the
 * light userdata NULL, so that it is not lost from arrays and tables. May raise a memory error. */
bool lua_json_push(lua_State *L, sync_span text);

#endif
