/*
 * lua_json.h - JSON text straight to Lua values, no tree in between.
 */
#ifndef SYNC_LUA_JSON_H
#define SYNC_LUA_JSON_H

#include "lua_compat.h"

/* What a decoder has learned: orders look alike. Two values, the second one a table that belongs to the first. */
#define LUA_JSON_MEMORY_VALUES 2

/* Pushes a fresh memory. */
void lua_json_push_memory(lua_State *L);

/* Pushes the value of `text`. true: done; false: `text` is no JSON, nothing is pushed. Integers are exact: on Lua 5.3
 * and later a lua_Integer, and what does not fit (on 5.1 and LuaJIT: beyond 2^53) a string of its digits. null is the
 * light userdata NULL, so that it is not lost from arrays and tables. `memory` is the index of the first value of a
 * memory: absolute, or a pseudo-index. May raise a memory error. */
bool lua_json_push(lua_State *L, sync_span text, int memory);

/* Pushes the text of a string's token, its escapes undone. */
void lua_json_push_string(lua_State *L, const sync_json_token *token);

#endif
