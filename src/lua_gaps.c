/* lua_gaps.c - what a client knows to be missing in its stream. */
#include "lua_gaps.h"

#include "lua_client.h"
#include "lua_table.h"

static void set_known(lua_State *L, const char *name, sync_span text) {
  if (text.length) lua_set_span(L, name, text);
}

void lua_gap_push(lua_State *L, const sync_gap *gap) {
  bool open = gap->cure == SYNC_CURE_NONE;
  lua_createtable(L, 0, 10);
  lua_set_number(L, "number", (int64_t)gap->number);
  lua_set_text(L, "reason", sync_gap_reason_name(gap->reason));
  lua_set_flag(L, "open", open);
  lua_set_number(L, "opened_at", gap->opened_at_ms);
  if (!open) lua_set_text(L, "cure", sync_gap_cure_name(gap->cure));
  if (!open) lua_set_number(L, "closed_at", gap->closed_at_ms);
  if (gap->missing) lua_set_number(L, "missing", (int64_t)gap->missing);
  set_known(L, "after_id", gap->after_id);
  set_known(L, "before_id", gap->before_id);
  set_known(L, "order_id", gap->order_id);
  set_known(L, "detail", gap->detail);
}

/* core:gaps(): a list, the oldest first */
static int client_gaps(lua_State *L) {
  const sync_client *client = lua_client_check(L);
  sync_gap gap;
  if (!client) return lua_push_outcome(L, SYNC_CLOSED);
  lua_newtable(L);
  for (size_t index = 0; sync_client_gap(client, index, &gap); index++) {
    lua_gap_push(L, &gap);
    lua_rawseti(L, -2, (int)index + 1);
  }
  return 1;
}

/* core:give_up_gap(number): whether there was such an open one */
static int client_give_up_gap(lua_State *L) {
  sync_client *client = lua_client_check(L);
  uint64_t number = compat_check_count(L, 2);
  if (!client) return lua_push_outcome(L, SYNC_CLOSED);
  lua_pushboolean(L, sync_client_give_up_gap(client, number));
  return 1;
}

void lua_gaps_open(lua_State *L) {
  static const luaL_Reg functions[] = {
      {"gaps", client_gaps},
      {"give_up_gap", client_give_up_gap},
      {NULL, NULL},
  };
  compat_set_functions(L, functions);
}
