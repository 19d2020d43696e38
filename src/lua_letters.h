/* lua_letters.h - core.letters(path): the dead letters of a journal, without a client. */
#ifndef SYNC_LUA_LETTERS_H
#define SYNC_LUA_LETTERS_H

#include "lua_compat.h"

/* Registers the metatable. */
void lua_letters_open(lua_State *L);

/* core.letters(path): a userdata; or nil and why */
int lua_letters_new(lua_State *L);

#endif
