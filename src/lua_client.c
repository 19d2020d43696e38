/*
 * lua_client.c - a sync_client as a userdata, and what arrives as Lua values.
 *
 * The userdata owns the client until close; its anchor keeps the loop, so that the collector cannot end that first.
 */
#include "lua_client.h"

#include <string.h>

#include "lua_event.h"
#include "lua_json.h"
#include "lua_options.h"
#include "lua_played.h"
#include "lua_record.h"

#define CLIENT_TYPE "sync.client"

struct handle {
  sync_client *client; /* NULL: closed */
  sync_loop *loop;
  sync_decode decode;
  bool decoded_by_host; /* every event first goes to entry DECODER, which calls core:route() */
};

/* Entries of the table of subscriptions that are not the engine's. */
enum entry { ENTRY_DECODER = -1, ENTRY_SIGNALS };

static struct handle *check_handle(lua_State *L) {
  return luaL_checkudata(L, 1, CLIENT_TYPE);
}

sync_client *lua_client_check(lua_State *L) {
  return check_handle(L)->client;
}

int lua_push_failure(lua_State *L, sync_code code, const char *message) {
  lua_pushnil(L);
  lua_pushfstring(L, "%s: %s (%s)", sync_code_name(code), message, sync_code_hint(code));
  lua_pushstring(L, sync_code_name(code));
  return 3;
}

/* true; or nil and why. */
static int push_outcome(lua_State *L, sync_code code) {
  if (code != SYNC_OK) return lua_push_failure(L, code, sync_code_text(code));
  lua_pushboolean(L, 1);
  return 1;
}

/* How events are decoded, of the options at stack index 2. */
static void set_decode(lua_State *L, struct handle *handle, sync_decode decode) {
  handle->decode = decode;
  lua_getfield(L, 2, "decoded_by_host");
  handle->decoded_by_host = lua_toboolean(L, -1);
  lua_pop(L, 1);
}

/* ---- made and ended ---------------------------------------------------------------------------------------------- */

int lua_client_new(lua_State *L, sync_loop *loop) {
  sync_options options;
  sync_failure failure = {.code = SYNC_OK};
  luaL_checktype(L, 2, LUA_TTABLE);
  lua_options_read(L, 2, &options);
  struct handle *handle = lua_newuserdata(L, sizeof *handle);
  *handle = (struct handle){.loop = loop};
  set_decode(L, handle, options.decode);
  luaL_getmetatable(L, CLIENT_TYPE);
  lua_setmetatable(L, -2);
  lua_createtable(L, 1, 0);
  lua_pushvalue(L, 1);
  lua_rawseti(L, -2, 1);
  compat_set_anchor(L, -2);
  handle->client = sync_client_new(loop, &options, &failure);
  if (!handle->client) return lua_push_failure(L, failure.code, failure.message);
  sync_client_set_data(handle->client, handle);
  return 1;
}

static int client_close(lua_State *L) {
  struct handle *handle = check_handle(L);
  sync_client_free(handle->client);
  handle->client = NULL;
  return 0;
}

/* ---- what the host wants ----------------------------------------------------------------------------------------- */

static int command(lua_State *L, sync_code (*act)(sync_client *client)) {
  struct handle *handle = check_handle(L);
  return push_outcome(L, handle->client ? act(handle->client) : SYNC_CLOSED);
}

static int client_connect(lua_State *L) {
  return command(L, sync_client_connect);
}

static int client_disconnect(lua_State *L) {
  return command(L, sync_client_disconnect);
}

static int client_reconnect(lua_State *L) {
  return command(L, sync_client_reconnect);
}

static int client_network_changed(lua_State *L) {
  return command(L, sync_client_network_changed);
}

/* core:configure(options): all of them, as to core.client() */
static int client_configure(lua_State *L) {
  struct handle *handle = check_handle(L);
  sync_options options;
  sync_failure failure = {.code = SYNC_OK};
  luaL_checktype(L, 2, LUA_TTABLE);
  if (!handle->client) return push_outcome(L, SYNC_CLOSED);
  lua_options_read(L, 2, &options);
  if (sync_client_configure(handle->client, &options, &failure) != SYNC_OK)
    return lua_push_failure(L, failure.code, failure.message);
  set_decode(L, handle, options.decode);
  return push_outcome(L, SYNC_OK);
}

/* core:answer({name, value, ...}, ttl_ms): nil or 0: without end */
static int client_answer(lua_State *L) {
  struct handle *handle = check_handle(L);
  int64_t ttl_ms = (int64_t)luaL_optnumber(L, 3, 0);
  sync_failure failure = {.code = SYNC_OK};
  size_t count;
  const sync_header *headers = lua_options_headers(L, 2, &count);
  if (!handle->client) return push_outcome(L, SYNC_CLOSED);
  sync_code code = sync_client_answer(handle->client, headers, count, ttl_ms, &failure);
  return code == SYNC_HEADER ? lua_push_failure(L, code, failure.message) : push_outcome(L, code);
}

/* core:refuse(why) */
static int client_refuse(lua_State *L) {
  struct handle *handle = check_handle(L);
  const char *why = luaL_checkstring(L, 2);
  return push_outcome(L, handle->client ? sync_client_refuse(handle->client, why) : SYNC_CLOSED);
}

/* core:want(every_event, comments, pull) */
static int client_want(lua_State *L) {
  struct handle *handle = check_handle(L);
  unsigned wants = 0;
  if (lua_toboolean(L, 2)) wants |= SYNC_WANT_EVERY_EVENT;
  if (lua_toboolean(L, 3)) wants |= SYNC_WANT_COMMENTS;
  if (lua_toboolean(L, 4)) wants |= SYNC_WANT_PULL;
  if (handle->client) sync_client_want(handle->client, wants);
  return 0;
}

/* ---- subscriptions ----------------------------------------------------------------------------------------------- */

/* The list of strings at `index` (nil: none) as spans; pushes their anchor. */
static const sync_span *read_texts(lua_State *L, int index, size_t *count) {
  *count = lua_istable(L, index) ? lua_rawlen(L, index) : 0;
  sync_span *texts = lua_newuserdata(L, *count * sizeof *texts + 1);
  for (size_t i = 0; i < *count; i++) {
    lua_rawgeti(L, index, (int)i + 1);
    texts[i].bytes = lua_tolstring(L, -1, &texts[i].length);
    lua_pop(L, 1); /* the list keeps it */
  }
  return texts;
}

/* core:subscribe(order_ids, types): the subscription's number */
static int client_subscribe(lua_State *L) {
  struct handle *handle = check_handle(L);
  sync_filter filter;
  lua_settop(L, 3);
  filter.order_ids = read_texts(L, 2, &filter.order_id_count);
  filter.types = read_texts(L, 3, &filter.type_count);
  if (!handle->client) return push_outcome(L, SYNC_CLOSED);
  uint64_t id = sync_client_subscribe(handle->client, &filter);
  if (id == 0) return push_outcome(L, sync_loop_forked(handle->loop) ? SYNC_FORKED : SYNC_NO_MEMORY);
  compat_push_integer(L, (int64_t)id);
  return 1;
}

static int client_unsubscribe(lua_State *L) {
  struct handle *handle = check_handle(L);
  if (handle->client) sync_client_unsubscribe(handle->client, (uint64_t)luaL_checknumber(L, 2));
  return 0;
}

/* ---- what arrives ------------------------------------------------------------------------------------------------ */

static void set_text(lua_State *L, const char *name, const char *text) {
  lua_pushstring(L, text);
  lua_setfield(L, -2, name);
}

static void set_number(lua_State *L, const char *name, int64_t value) {
  compat_push_integer(L, value);
  lua_setfield(L, -2, name);
}

static void set_fraction(lua_State *L, const char *name, double value) {
  lua_pushnumber(L, (lua_Number)value);
  lua_setfield(L, -2, name);
}

static void set_flag(lua_State *L, const char *name, bool value) {
  lua_pushboolean(L, value);
  lua_setfield(L, -2, name);
}

static void push_failure_table(lua_State *L, const sync_failure *failure) {
  lua_createtable(L, 0, 9);
  set_text(L, "code", sync_code_name(failure->code));
  set_text(L, "class", sync_class_name(failure->error_class));
  set_text(L, "message", failure->message);
  set_text(L, "hint", sync_code_hint(failure->code));
  set_flag(L, "retryable", failure->retryable);
  if (failure->status) set_number(L, "status", failure->status);
  if (failure->attempt) set_number(L, "attempt", failure->attempt);
  if (failure->next_retry_at_ms) set_number(L, "next_retry_at", failure->next_retry_at_ms);
}

/* What stream or poll says of an order, for the comparison of the two. */
static void set_word(lua_State *L, const char *kind, const sync_event *event) {
  sync_span type = sync_event_text(event, SYNC_EVENT_TYPE), order_id = sync_event_text(event, SYNC_EVENT_ORDER_ID);
  set_text(L, "kind", kind);
  set_number(L, "at_ms", sync_event_received_at_ms(event));
  if (type.length) set_flag(L, "deleted", true); /* it has no other */
  if (order_id.length == 0) return;
  compat_push_span(L, order_id);
  lua_setfield(L, -2, "order_id");
  compat_push_span(L, sync_event_text(event, SYNC_EVENT_RAW));
  lua_setfield(L, -2, "text");
}

static void push_signal(lua_State *L, const sync_item *item) {
  if (item->kind == SYNC_ITEM_ERROR) {
    push_failure_table(L, item->failure);
    set_text(L, "kind", "error");
    return;
  }
  lua_createtable(L, 0, 3);
  switch (item->kind) {
  case SYNC_ITEM_STATE:
    set_text(L, "kind", "state");
    set_text(L, "from", sync_state_name(item->from));
    set_text(L, "to", sync_state_name(item->to));
    if (item->resumed) set_flag(L, "resumed", true);
    break;
  case SYNC_ITEM_HEARD: set_word(L, "heard", item->event); break;
  case SYNC_ITEM_ASKED: set_word(L, "asked", item->event); break;
  case SYNC_ITEM_LISTED: set_word(L, "listed", item->event); break;
  case SYNC_ITEM_COMMENT:
    set_text(L, "kind", "comment");
    compat_push_span(L, sync_event_text(item->event, SYNC_EVENT_RAW));
    lua_setfield(L, -2, "text");
    break;
  case SYNC_ITEM_POLLED:
    set_text(L, "kind", "polled");
    set_text(L, "source", sync_source_name(item->poll->source));
    set_flag(L, "unchanged", item->poll->unchanged);
    set_number(L, "orders", (int64_t)item->poll->orders);
    set_number(L, "changed", (int64_t)item->poll->changed);
    break;
  default: set_text(L, "kind", item->kind == SYNC_ITEM_FETCH ? "fetch" : "ask"); break;
  }
}

/* Upvalues of the taker, behind those of lua_event_push. */
enum taker_upvalue { TAKER_CLIENT = LUA_EVENT_UPVALUES + 1, TAKER_SUBSCRIPTIONS };

static void push_subscription(lua_State *L, int64_t id) {
  lua_rawgeti(L, lua_upvalueindex(TAKER_SUBSCRIPTIONS), (int)id);
}

/* Gives the next item and one of those it is for. 0: nothing to do. */
static int take_item(lua_State *L, struct handle *handle, bool pull) {
  sync_item item;
  while (!sync_loop_spent(handle->loop) && sync_client_next(handle->client, &item)) {
    if (item.kind != SYNC_ITEM_EVENT) {
      push_signal(L, &item);
      push_subscription(L, ENTRY_SIGNALS);
      return 2;
    }
    int64_t id = handle->decoded_by_host ? ENTRY_DECODER : (int64_t)sync_client_subscriber(handle->client);
    if (id == 0 && !pull) continue; /* whoever wanted it has unsubscribed since */
    lua_event_push(L, item.event, handle->decode);
    if (id == 0) return 1;
    push_subscription(L, id);
    return 2;
  }
  return 0;
}

/* take(event, pull): what to do next, one call at a time: an item and the subscription that it is for (signals: entry
 * 0). `event` is what the call before gave: as long as more subscriptions want it, it comes back with the next of them.
 * With `pull`, an event is also given when nobody wants it, and once more at the end, both without a subscription.
 * Nothing: the queue is empty, or the step's budget is spent. */
static int take(lua_State *L) {
  struct handle *handle = lua_touserdata(L, lua_upvalueindex(TAKER_CLIENT));
  bool has_event = lua_toboolean(L, 1);
  if (!handle->client) return 0;
  uint64_t id = has_event ? sync_client_subscriber(handle->client) : 0;
  if (id == 0 && !(has_event && lua_toboolean(L, 2))) return take_item(L, handle, lua_toboolean(L, 2));
  lua_settop(L, 1);
  if (id == 0) return 1;
  push_subscription(L, (int64_t)id);
  return 2;
}

/* core:taker(subscriptions): a function take(event, pull) with everything it needs at hand; it runs for every event. */
static int client_taker(lua_State *L) {
  check_handle(L);
  luaL_checktype(L, 2, LUA_TTABLE);
  lua_event_push_upvalues(L);
  lua_pushvalue(L, 1);
  lua_pushvalue(L, 2);
  lua_pushcclosure(L, take, LUA_EVENT_UPVALUES + 2);
  return 1;
}

/* core:route([type [, order_id]]): who gets the event taken last; without arguments nobody does. */
static int client_route(lua_State *L) {
  struct handle *handle = check_handle(L);
  sync_span type = {"", 0}, order_id = {"", 0};
  type.bytes = luaL_optlstring(L, 2, "", &type.length);
  order_id.bytes = luaL_optlstring(L, 3, "", &order_id.length);
  if (handle->client) sync_client_route(handle->client, type, order_id);
  return 0;
}

/* The function history(age) behind core:historian(): the event that is `age` older than the latest, or nothing. */
static int history(lua_State *L) {
  const struct handle *handle = lua_touserdata(L, lua_upvalueindex(TAKER_CLIENT));
  sync_event *event = NULL;
  if (handle->client) event = sync_client_history(handle->client, (size_t)luaL_checknumber(L, 1));
  if (!event) return 0;
  lua_event_push(L, event, handle->decode);
  return 1;
}

static int client_historian(lua_State *L) {
  check_handle(L);
  lua_event_push_upvalues(L);
  lua_pushvalue(L, 1);
  lua_pushcclosure(L, history, LUA_EVENT_UPVALUES + 1);
  return 1;
}

/* ---- polling and the order book ---------------------------------------------------------------------------------- */

static int client_poll(lua_State *L) {
  return command(L, sync_client_poll);
}

static int client_start_polling(lua_State *L) {
  return command(L, sync_client_start_polling);
}

static int client_stop_polling(lua_State *L) {
  return command(L, sync_client_stop_polling);
}

/* core:snapshot(json): "": nothing has changed */
static int client_snapshot(lua_State *L) {
  struct handle *handle = check_handle(L);
  sync_span json;
  json.bytes = luaL_checklstring(L, 2, &json.length);
  return push_outcome(L, handle->client ? sync_client_snapshot(handle->client, json) : SYNC_CLOSED);
}

/* core:snapshot_failed(why) */
static int client_snapshot_failed(lua_State *L) {
  struct handle *handle = check_handle(L);
  const char *why = luaL_checkstring(L, 2);
  return push_outcome(L, handle->client ? sync_client_snapshot_failed(handle->client, why) : SYNC_CLOSED);
}

/* The order's own members, and how it came by them. */
static void push_order(lua_State *L, const sync_order *order) {
  if (!lua_json_push(L, order->json, lua_upvalueindex(1))) lua_newtable(L);
  set_number(L, "as_of", order->as_of_ms);
  set_text(L, "source", sync_source_name(order->source));
}

/* core:librarian(): two functions, order(id): the order or nothing; and each(place): a place and an order, from nil to
 * nil. They have what makes tables of JSON. */
static int order_by_id(lua_State *L) {
  const struct handle *handle = lua_touserdata(L, lua_upvalueindex(LUA_JSON_MEMORY_VALUES + 1));
  sync_order order;
  sync_span id;
  id.bytes = luaL_checklstring(L, 1, &id.length);
  if (!handle->client || !sync_client_order(handle->client, id, &order)) return 0;
  push_order(L, &order);
  return 1;
}

static int next_order(lua_State *L) {
  const struct handle *handle = lua_touserdata(L, lua_upvalueindex(LUA_JSON_MEMORY_VALUES + 1));
  sync_order order;
  lua_settop(L, 1);
  sync_order_place *place = lua_touserdata(L, 1);
  if (!place) {
    place = lua_newuserdata(L, sizeof *place);
    memset(place, 0, sizeof *place);
    lua_replace(L, 1);
  }
  if (!handle->client || !sync_client_each_order(handle->client, place, &order)) return 0;
  compat_push_span(L, order.stage);
  compat_push_span(L, order.payment);
  compat_push_span(L, order.status);
  compat_push_integer(L, order.updated_ms);
  compat_push_span(L, order.id);
  return 6;
}

/* What has been learned of orders is shared: all clients' look alike, and it takes kilobytes. */
static void push_librarian(lua_State *L, lua_CFunction function) {
  luaL_getmetatable(L, CLIENT_TYPE);
  for (int value = 1; value <= LUA_JSON_MEMORY_VALUES; value++) lua_rawgeti(L, -value, value);
  lua_remove(L, -1 - LUA_JSON_MEMORY_VALUES);
  lua_pushvalue(L, 1);
  lua_pushcclosure(L, function, LUA_JSON_MEMORY_VALUES + 1);
}

static int client_librarian(lua_State *L) {
  check_handle(L);
  push_librarian(L, order_by_id);
  push_librarian(L, next_order);
  return 2;
}

/* ---- health and metrics ------------------------------------------------------------------------------------------ */

static int client_state(lua_State *L) {
  const struct handle *handle = check_handle(L);
  lua_pushstring(L, sync_state_name(handle->client ? sync_client_state(handle->client) : SYNC_STATE_CLOSED));
  return 1;
}

static int client_health(lua_State *L) {
  const struct handle *handle = check_handle(L);
  sync_health health;
  if (!handle->client) return 0;
  sync_client_health(handle->client, &health);
  lua_createtable(L, 0, 20);
  set_text(L, "state", sync_state_name(health.state));
  set_number(L, "uptime_ms", health.uptime_ms);
  set_number(L, "total_events", (int64_t)health.total_events);
  set_number(L, "total_reconnects", (int64_t)health.total_reconnects);
  set_number(L, "idle_timeout_ms", health.idle_timeout_ms);
  set_number(L, "failed_polls", health.failed_polls);
  if (health.data_age_ms >= 0) set_number(L, "data_age_ms", health.data_age_ms);
  if (health.last_connected_at_ms) set_number(L, "last_connected_at", health.last_connected_at_ms);
  if (health.next_retry_at_ms) set_number(L, "next_retry_at", health.next_retry_at_ms);
  lua_createtable(L, 0, 2);
  set_fraction(L, "p50", health.latency_p50_ms);
  set_fraction(L, "p99", health.latency_p99_ms);
  lua_setfield(L, -2, "latency_ms");
  if (health.last_event_id.length) {
    compat_push_span(L, health.last_event_id);
    lua_setfield(L, -2, "last_event_id");
  }
  if (health.last_failure.code != SYNC_OK) {
    push_failure_table(L, &health.last_failure);
    lua_setfield(L, -2, "error");
  }
  return 1;
}

static const struct metric {
  const char *name;
  size_t offset;
} metrics[] = {
    {"total_events", offsetof(sync_metrics, total_events)},
    {"total_connections", offsetof(sync_metrics, total_connections)},
    {"total_reconnects", offsetof(sync_metrics, total_reconnects)},
    {"total_bytes", offsetof(sync_metrics, total_bytes)},
    {"comments", offsetof(sync_metrics, comments)},
    {"heartbeats", offsetof(sync_metrics, heartbeats)},
    {"parse_errors", offsetof(sync_metrics, parse_errors)},
    {"too_large", offsetof(sync_metrics, too_large)},
    {"overtaken", offsetof(sync_metrics, overtaken)},
    {"polls", offsetof(sync_metrics, polls)},
    {"polls_unchanged", offsetof(sync_metrics, polls_unchanged)},
    {"poll_failures", offsetof(sync_metrics, poll_failures)},
    {"poll_bytes", offsetof(sync_metrics, poll_bytes)},
    {"poll_sessions", offsetof(sync_metrics, poll_sessions)},
    {"polling_ms", offsetof(sync_metrics, polling_ms)},
    {"duplicates", offsetof(sync_metrics, duplicates)},
    {"renewals", offsetof(sync_metrics, renewals)},
    {"failures", offsetof(sync_metrics, failures)},
    {"untold", offsetof(sync_metrics, untold)},
    {"pauses", offsetof(sync_metrics, pauses)},
    {"queue_depth", offsetof(sync_metrics, queue_depth)},
    {"queue_peak", offsetof(sync_metrics, queue_peak)},
    {"connected_ms", offsetof(sync_metrics, connected_ms)},
};

static void push_event_counts(lua_State *L, const sync_client *client) {
  sync_span type;
  uint64_t count;
  lua_newtable(L);
  for (size_t index = 0; sync_client_type_count(client, index, &type, &count); index++) {
    compat_push_span(L, type);
    compat_push_integer(L, (int64_t)count);
    lua_rawset(L, -3);
  }
}

static int client_metrics(lua_State *L) {
  const struct handle *handle = check_handle(L);
  sync_metrics values;
  if (!handle->client) return 0;
  sync_client_metrics(handle->client, &values);
  lua_createtable(L, 0, 20);
  for (size_t i = 0; i < sizeof metrics / sizeof *metrics; i++) {
    int64_t value; /* unsigned counts stay far below the sign */
    memcpy(&value, (const char *)&values + metrics[i].offset, sizeof value);
    set_number(L, metrics[i].name, value);
  }
  push_event_counts(L, handle->client);
  lua_setfield(L, -2, "event_counts");
  return 1;
}

/* ---- registration ------------------------------------------------------------------------------------------------ */

void lua_client_open(lua_State *L) {
  static const luaL_Reg functions[] = {
      {"__gc", client_close},
      {"answer", client_answer},
      {"close", client_close},
      {"configure", client_configure},
      {"connect", client_connect},
      {"disconnect", client_disconnect},
      {"health", client_health},
      {"historian", client_historian},
      {"librarian", client_librarian},
      {"metrics", client_metrics},
      {"poll", client_poll},
      {"snapshot", client_snapshot},
      {"snapshot_failed", client_snapshot_failed},
      {"start_polling", client_start_polling},
      {"stop_polling", client_stop_polling},
      {"network_changed", client_network_changed},
      {"reconnect", client_reconnect},
      {"refuse", client_refuse},
      {"route", client_route},
      {"state", client_state},
      {"subscribe", client_subscribe},
      {"taker", client_taker},
      {"unsubscribe", client_unsubscribe},
      {"want", client_want},
      {NULL, NULL},
  };
  luaL_newmetatable(L, CLIENT_TYPE);
  compat_set_functions(L, functions);
  lua_played_open(L);
  lua_record_open(L);
  lua_json_push_memory(L);
  for (int value = LUA_JSON_MEMORY_VALUES; value >= 1; value--) lua_rawseti(L, -1 - value, value);
  lua_pushvalue(L, -1);
  lua_setfield(L, -2, "__index");
  lua_pop(L, 1);
}
