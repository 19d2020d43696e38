/* lua_orders.h - methods of the core's clients: polls, snapshots of the host's, and the order book. */
#ifndef SYNC_LUA_ORDERS_H
#define SYNC_LUA_ORDERS_H

#include "lua_compat.h"

/* Adds them to the metatable on top of the stack. */
void lua_orders_open(lua_State *L);

#endif
