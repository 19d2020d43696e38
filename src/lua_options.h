/*
 * lua_options.h - a Lua table of options to a sync_options. Types and names have been checked by lua/sync/options.lua;
 * this end knows only where each value goes.
 */
#ifndef SYNC_LUA_OPTIONS_H
#define SYNC_LUA_OPTIONS_H

#include "lua_compat.h"

/* Fills `options` from the flat table at `index`. Its texts stay Lua's: they are valid as long as the table is on the
 * stack. Pushes one value (an anchor for the headers), which must stay as long as `options` is used. */
void lua_options_read(lua_State *L, int index, sync_options *options);

/* The {name, value, name, value, ...} list at `index` (nil: none) as headers; pushes their anchor. */
const sync_header *lua_options_headers(lua_State *L, int index, size_t *count);

#endif
