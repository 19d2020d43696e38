/* lua_journal.c - what a client's journal is told and asked: what is done, effects, dead letters, totals. */
#include "lua_journal.h"

#include "lua_client.h"
#include "lua_event.h"
#include "lua_table.h"

/* A method that takes an event's number, or a dead letter's. */
static int number_command(lua_State *L, sync_code (*act)(sync_client *client, uint64_t number)) {
  sync_client *client = lua_client_check(L);
  uint64_t number = compat_check_count(L, 2);
  return lua_push_outcome(L, client ? act(client, number) : SYNC_CLOSED);
}

/* core:ack(seq), core:hold(), core:done(seq) */
static int client_ack(lua_State *L) {
  return number_command(L, sync_client_ack);
}

static int client_hold(lua_State *L) {
  return lua_client_command(L, sync_client_hold);
}

static int client_done(lua_State *L) {
  return number_command(L, sync_client_done);
}

/* core:effect_begin(seq, name): "new", "started" or "done"; or nil and why */
static int client_effect_begin(lua_State *L) {
  static const char *const names[] = {"new", "started", "done"};
  sync_client *client = lua_client_check(L);
  sync_effect effect = SYNC_EFFECT_NEW;
  sync_span name;
  uint64_t seq = compat_check_count(L, 2);
  name.bytes = luaL_checklstring(L, 3, &name.length);
  sync_code code = client ? sync_client_effect_begin(client, seq, name, &effect) : SYNC_CLOSED;
  if (code != SYNC_OK) return lua_push_outcome(L, code);
  lua_pushstring(L, names[effect]);
  return 1;
}

/* core:effect_end(seq, name, happened) */
static int client_effect_end(lua_State *L) {
  sync_client *client = lua_client_check(L);
  sync_span name;
  uint64_t seq = compat_check_count(L, 2);
  name.bytes = luaL_checklstring(L, 3, &name.length);
  return lua_push_outcome(L, client ? sync_client_effect_end(client, seq, name, lua_toboolean(L, 4)) : SYNC_CLOSED);
}

/* core:bury(event, problem, attempts) */
static int client_bury(lua_State *L) {
  sync_client *client = lua_client_check(L);
  sync_event *event = lua_event_check(L, 2);
  sync_span problem;
  problem.bytes = luaL_checklstring(L, 3, &problem.length);
  int64_t attempts = (int64_t)luaL_checknumber(L, 4);
  return lua_push_outcome(L, client ? sync_client_bury(client, event, problem, attempts) : SYNC_CLOSED);
}

void lua_journal_push_letter(lua_State *L, const sync_dead_letter *letter) {
  lua_createtable(L, 0, 10);
  lua_set_number(L, "number", (int64_t)letter->number);
  lua_set_number(L, "seq", (int64_t)letter->seq);
  if (letter->id.length) lua_set_span(L, "id", letter->id);
  lua_set_span(L, "type", letter->type);
  if (letter->order_id.length) lua_set_span(L, "order_id", letter->order_id);
  lua_set_span(L, "raw", letter->raw);
  lua_set_span(L, "problem", letter->problem);
  lua_set_number(L, "attempts", letter->attempts);
  lua_set_number(L, "failed_at", letter->failed_at_ms);
  lua_set_flag(L, "wanted", letter->wanted);
}

/* core:dead_letters(): a list of all */
static int client_dead_letters(lua_State *L) {
  sync_client *client = lua_client_check(L);
  sync_dead_letter letter;
  sync_code code = client ? sync_client_flush(client) : SYNC_CLOSED;
  if (code != SYNC_OK) return lua_push_outcome(L, code);
  uint64_t next = 0;
  lua_newtable(L);
  for (int count = 1; sync_client_next_dead(client, &next, &letter); count++) {
    lua_journal_push_letter(L, &letter);
    lua_rawseti(L, -2, count);
  }
  return 1;
}

/* core:redeliver(number), 0: all; core:forget_dead(number) */
static int client_redeliver(lua_State *L) {
  return number_command(L, sync_client_redeliver);
}

static int client_forget_dead(lua_State *L) {
  return number_command(L, sync_client_forget_dead);
}

static int client_flush(lua_State *L) {
  return lua_client_command(L, sync_client_flush);
}

/* core:totals(): by name; nothing without a journal */
static int client_totals(lua_State *L) {
  const sync_client *client = lua_client_check(L);
  const char *name;
  uint64_t value;
  if (!client || !sync_client_total(client, 0, &name, &value)) return 0;
  lua_newtable(L);
  for (size_t index = 0; sync_client_total(client, index, &name, &value); index++)
    lua_set_number(L, name, (int64_t)value);
  return 1;
}

void lua_journal_open(lua_State *L) {
  static const luaL_Reg functions[] = {
      {"ack", client_ack},
      {"bury", client_bury},
      {"dead_letters", client_dead_letters},
      {"done", client_done},
      {"effect_begin", client_effect_begin},
      {"effect_end", client_effect_end},
      {"flush", client_flush},
      {"forget_dead", client_forget_dead},
      {"hold", client_hold},
      {"redeliver", client_redeliver},
      {"totals", client_totals},
      {NULL, NULL},
  };
  compat_set_functions(L, functions);
}
