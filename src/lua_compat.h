/*
 * lua_compat.h - the differences between Lua 5.4, 5.3, 5.1 and LuaJIT that the binding meets, in one place.
 */
#ifndef SYNC_LUA_COMPAT_H
#define SYNC_LUA_COMPAT_H

#include <lauxlib.h>
#include <lua.h>

#include "sync.h"

#if LUA_VERSION_NUM < 502

#define lua_rawlen(L, index) lua_objlen(L, index)

/* A userdata's anchor: a table of what must live as long as it does. */
static inline void compat_set_anchor(lua_State *L, int index) {
  lua_setfenv(L, index);
}

static inline void compat_push_anchor(lua_State *L, int index) {
  lua_getfenv(L, index);
}

static inline void compat_set_functions(lua_State *L, const luaL_Reg *functions) {
  luaL_register(L, NULL, functions);
}

static inline int compat_absolute(lua_State *L, int index) {
  return index > 0 || index <= LUA_REGISTRYINDEX ? index : lua_gettop(L) + index + 1;
}

#else

static inline void compat_set_anchor(lua_State *L, int index) {
  lua_setuservalue(L, index);
}

static inline void compat_push_anchor(lua_State *L, int index) {
  lua_getuservalue(L, index);
}

static inline void compat_set_functions(lua_State *L, const luaL_Reg *functions) {
  luaL_setfuncs(L, functions, 0);
}

static inline int compat_absolute(lua_State *L, int index) {
  return lua_absindex(L, index);
}

#endif

/* Integers beyond this are not exact as a double. */
#define COMPAT_EXACT_MAX 9007199254740992

/* The number of something, exact on every VM; not a number at all, negative or larger is the caller's mistake. */
static inline uint64_t compat_check_count(lua_State *L, int index) {
  lua_Number number = luaL_checknumber(L, index);
  luaL_argcheck(L, number >= 0 && number <= COMPAT_EXACT_MAX, index, "a whole number from 0 to 2^53 expected");
  return (uint64_t)number;
}

/* A count or a time: exact on every VM, for it stays far below 2^53. */
static inline void compat_push_integer(lua_State *L, int64_t value) {
#if LUA_VERSION_NUM >= 503
  lua_pushinteger(L, (lua_Integer)value);
#else
  lua_pushnumber(L, (lua_Number)value);
#endif
}

static inline void compat_push_span(lua_State *L, sync_span text) {
  lua_pushlstring(L, text.length ? text.bytes : "", text.length);
}

#endif
