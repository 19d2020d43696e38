/*
 * lua_table.h - fields of the table on top of the stack.
 */
#ifndef SYNC_LUA_TABLE_H
#define SYNC_LUA_TABLE_H

#include "lua_compat.h"

static inline void lua_set_text(lua_State *L, const char *name, const char *text) {
  lua_pushstring(L, text);
  lua_setfield(L, -2, name);
}

static inline void lua_set_span(lua_State *L, const char *name, sync_span text) {
  compat_push_span(L, text);
  lua_setfield(L, -2, name);
}

static inline void lua_set_number(lua_State *L, const char *name, int64_t value) {
  compat_push_integer(L, value);
  lua_setfield(L, -2, name);
}

static inline void lua_set_fraction(lua_State *L, const char *name, double value) {
  lua_pushnumber(L, (lua_Number)value);
  lua_setfield(L, -2, name);
}

static inline void lua_set_flag(lua_State *L, const char *name, bool value) {
  lua_pushboolean(L, value);
  lua_setfield(L, -2, name);
}

#endif
