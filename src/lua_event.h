/*
 * lua_event.h - events as Lua tables.
 *
 * A table has `type` and `order_id`; its other fields are made from the engine's record when first touched. The record
 * is kept by a home: a userdata that a run of events shares, so that an event costs one table and no finalizer.
 */
#ifndef SYNC_LUA_EVENT_H
#define SYNC_LUA_EVENT_H

#include "lua_compat.h"

/* Registers the metatables. */
void lua_event_open(lua_State *L);

/* Where lua_event_push finds what it needs without a look-up by name: upvalues of the C function that calls it, from
 * this one on. */
enum lua_event_upvalue {
  LUA_EVENT_HOMES = 1,
  LUA_EVENT_METATABLE,
  LUA_EVENT_TYPE,
  LUA_EVENT_ORDER_ID,
  LUA_EVENT_UPVALUES = 4
};

/* Pushes those upvalues. */
void lua_event_push_upvalues(lua_State *L);

/* Pushes the event as a table. `decode` is how its `data` is made. */
void lua_event_push(lua_State *L, sync_event *event, sync_decode decode);

/* The record of the event at `index`; raises if it is none. */
sync_event *lua_event_check(lua_State *L, int index);

#endif
