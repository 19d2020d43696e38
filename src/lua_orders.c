/* lua_orders.c - polls, snapshots of the host's, and the order book as Lua tables. */
#include "lua_orders.h"

#include <string.h>

#include "lua_client.h"
#include "lua_json.h"
#include "lua_table.h"

static int client_poll(lua_State *L) {
  return lua_client_command(L, sync_client_poll);
}

static int client_start_polling(lua_State *L) {
  return lua_client_command(L, sync_client_start_polling);
}

static int client_stop_polling(lua_State *L) {
  return lua_client_command(L, sync_client_stop_polling);
}

/* core:snapshot(json): "": nothing has changed */
static int client_snapshot(lua_State *L) {
  sync_client *client = lua_client_check(L);
  sync_span json;
  json.bytes = luaL_checklstring(L, 2, &json.length);
  return lua_push_outcome(L, client ? sync_client_snapshot(client, json) : SYNC_CLOSED);
}

/* core:snapshot_failed(why) */
static int client_snapshot_failed(lua_State *L) {
  sync_client *client = lua_client_check(L);
  const char *why = luaL_checkstring(L, 2);
  return lua_push_outcome(L, client ? sync_client_snapshot_failed(client, why) : SYNC_CLOSED);
}

/* The order's own members, and how it came by them. */
static void push_order(lua_State *L, const sync_order *order) {
  if (!lua_json_push(L, order->json, lua_upvalueindex(1))) lua_newtable(L);
  lua_set_number(L, "as_of", order->as_of_ms);
  lua_set_text(L, "source", sync_source_name(order->source));
}

/* core:librarian(): two functions, order(id): the order or nothing; and each(place): a place and an order, from nil to
 * nil. They have what makes tables of JSON. */
static int order_by_id(lua_State *L) {
  const sync_client *client = lua_client_at(L, lua_upvalueindex(LUA_JSON_MEMORY_VALUES + 1));
  sync_order order;
  sync_span id;
  id.bytes = luaL_checklstring(L, 1, &id.length);
  if (!client || !sync_client_order(client, id, &order)) return 0;
  push_order(L, &order);
  return 1;
}

static int next_order(lua_State *L) {
  const sync_client *client = lua_client_at(L, lua_upvalueindex(LUA_JSON_MEMORY_VALUES + 1));
  sync_order order;
  lua_settop(L, 1);
  sync_order_place *place = lua_touserdata(L, 1);
  if (!place) {
    place = lua_newuserdata(L, sizeof *place);
    memset(place, 0, sizeof *place);
    lua_replace(L, 1);
  }
  if (!client || !sync_client_each_order(client, place, &order)) return 0;
  compat_push_span(L, order.stage);
  compat_push_span(L, order.payment);
  compat_push_span(L, order.status);
  compat_push_integer(L, order.updated_ms);
  compat_push_span(L, order.id);
  return 6;
}

/* What has been learned of orders is shared: all clients' look alike, and it takes kilobytes. */
static void push_librarian(lua_State *L, lua_CFunction function) {
  lua_getmetatable(L, 1);
  for (int value = 1; value <= LUA_JSON_MEMORY_VALUES; value++) lua_rawgeti(L, -value, value);
  lua_remove(L, -1 - LUA_JSON_MEMORY_VALUES);
  lua_pushvalue(L, 1);
  lua_pushcclosure(L, function, LUA_JSON_MEMORY_VALUES + 1);
}

static int client_librarian(lua_State *L) {
  (void)lua_client_check(L);
  push_librarian(L, order_by_id);
  push_librarian(L, next_order);
  return 2;
}

/* core:record(id): json, stage, payment, status, updated_ms, as_of_ms, source: an order as text, for memory that
 * processes share (lua/sync/resty/); nothing: it is not known */
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

void lua_orders_open(lua_State *L) {
  static const luaL_Reg functions[] = {
      {"librarian", client_librarian},
      {"poll", client_poll},
      {"record", client_record},
      {"snapshot", client_snapshot},
      {"snapshot_failed", client_snapshot_failed},
      {"start_polling", client_start_polling},
      {"stop_polling", client_stop_polling},
      {NULL, NULL},
  };
  compat_set_functions(L, functions);
  lua_json_push_memory(L);
  for (int value = LUA_JSON_MEMORY_VALUES; value >= 1; value--) lua_rawseti(L, -1 - value, value);
}
