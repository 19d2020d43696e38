/* lua_record.c - an order of the book as text: what lua/sync/resty/ puts into memory that processes share. */
#include "lua_record.h"

#include "lua_client.h"

/* core:record(id): json, stage, payment, status, updated_ms, as_of_ms, source; nothing: it is not known */
static int client_record(lua_State *L) {
  const sync_client *client = lua_client_check(L);
  sync_order order;
  sync_span id;
  id.bytes = luaL_checklstring(L, 2, &id.length);
  if (!client || !sync_client_order(client, id, &order)) return 0;
  compat_push_span(L, order.json);
  compat_push_span(L, order.stage);
  compat_push_span(L, order.payment);
  compat_push_span(L, order.status);
  compat_push_integer(L, order.updated_ms);
  compat_push_integer(L, order.as_of_ms);
  lua_pushstring(L, sync_source_name(order.source));
  return 7;
}

void lua_record_open(lua_State *L) {
  lua_pushcfunction(L, client_record);
  lua_setfield(L, -2, "record");
}
