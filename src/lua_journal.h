/* lua_journal.h - methods of the core's clients: what a client's journal is told and asked. */
#ifndef SYNC_LUA_JOURNAL_H
#define SYNC_LUA_JOURNAL_H

#include "lua_compat.h"

/* Pushes a table. */
void lua_journal_push_letter(lua_State *L, const sync_dead_letter *letter);

/* Adds them to the metatable on top of the stack. */
void lua_journal_open(lua_State *L);

#endif
