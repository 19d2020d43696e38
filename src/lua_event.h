/*
 * lua_event.h - events as Lua tables.
 *
 * A table has `type` and `order_id`; its other fields are made from the engine's record when first touched. The record
 * is kept by a home: a userdata that a run of events shares, so that an event costs one table and no finalizer.
 */
#ifndef SYNC_LUA_EVENT_H
#define SYNC_LUA_EVENT_H

#include "lua_compat.h"

/* Registers the metatables. `null`s, `plain` and friends are ready after this. */
void lua_event_open(lua_State *L);

/* Pushes the event as a table. `anchor` is the stack index of a table, its element 1 the home used last. `decode` is
 * how `data` is made. */
void lua_event_push(lua_State *L, sync_event *event, sync_decode decode, int anchor);

#endif
