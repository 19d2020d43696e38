/* lua_event.c - events as Lua tables. */
#include "lua_event.h"

#include <string.h>

#include "lua_json.h"

/* The table's hidden fields have numbers, away from the names that users see. Two of them and two names: the table is
 * made with room for four. */
enum slot { SLOT_HOME = 1, SLOT_EVENT, SLOT_COUNT = SLOT_EVENT };

#define HOME_TYPE  "sync.home"
#define EVENT_TYPE "sync.event"

/* Keeps one event of a home retained, and with it all of them. */
struct home {
  sync_event *event;
  sync_decode decode;
};

/* Upvalues of event_index. */
enum index_upvalue { INDEX_NAMES = 1, INDEX_JSON_MEMORY }; /* names to field numbers, or to methods */

/* ---- fields ------------------------------------------------------------------------------------------------------ */

/* Pushes the field's value, or nothing. */
typedef int (*push_field)(lua_State *L, const sync_event *event, sync_decode decode);

static int push_text(lua_State *L, sync_span text) {
  if (text.length == 0) return 0;
  compat_push_span(L, text);
  return 1;
}

static int push_id(lua_State *L, const sync_event *event, sync_decode decode) {
  (void)decode;
  return push_text(L, sync_event_text(event, SYNC_EVENT_ID));
}

static int push_timestamp(lua_State *L, const sync_event *event, sync_decode decode) {
  (void)decode;
  return push_text(L, sync_event_text(event, SYNC_EVENT_TIMESTAMP));
}

static int push_raw(lua_State *L, const sync_event *event, sync_decode decode) {
  (void)decode;
  compat_push_span(L, sync_event_text(event, SYNC_EVENT_RAW));
  return 1;
}

static int push_data(lua_State *L, const sync_event *event, sync_decode decode) {
  sync_span data = sync_event_text(event, SYNC_EVENT_DATA);
  if (decode == SYNC_DECODE_NONE || !lua_json_push(L, data, lua_upvalueindex(INDEX_JSON_MEMORY)))
    compat_push_span(L, data);
  return 1;
}

static int push_received_at(lua_State *L, const sync_event *event, sync_decode decode) {
  (void)decode;
  compat_push_integer(L, sync_event_received_at_ms(event));
  return 1;
}

static int push_seq(lua_State *L, const sync_event *event, sync_decode decode) {
  (void)decode;
  compat_push_integer(L, (int64_t)sync_event_seq(event));
  return 1;
}

static int push_source(lua_State *L, const sync_event *event, sync_decode decode) {
  (void)decode;
  lua_pushstring(L, sync_source_name(sync_event_source(event)));
  return 1;
}

static int push_redelivered(lua_State *L, const sync_event *event, sync_decode decode) {
  (void)decode;
  lua_pushboolean(L, sync_event_redelivered(event));
  return 1;
}

static int push_acknowledged(lua_State *L, const sync_event *event, sync_decode decode) {
  (void)decode;
  lua_pushboolean(L, sync_event_acknowledged(event));
  return 1;
}

static bool is_called(const sync_json_token *key, const char *name) {
  return key->text.length == strlen(name) && memcmp(key->text.bytes, name, key->text.length) == 0;
}

/* The string member of an object that is called `camel` or `snake`; a look into JSON without a table. */
static bool find_member(sync_span object, const char *camel, const char *snake, sync_json_token *found) {
  sync_json json;
  sync_json_token key;
  sync_json_init(&json, object);
  if (sync_json_next(&json, &key) != SYNC_JSON_OBJECT) return false;
  while (sync_json_next(&json, &key) == SYNC_JSON_KEY) {
    sync_json_kind kind = sync_json_next(&json, found);
    if (kind == SYNC_JSON_STRING && (is_called(&key, camel) || is_called(&key, snake))) return true;
    if ((kind == SYNC_JSON_OBJECT || kind == SYNC_JSON_ARRAY) && !sync_json_skip(&json)) break;
  }
  return false;
}

static int push_stage(lua_State *L, const sync_event *event, sync_decode decode, const char *camel, const char *snake) {
  sync_json_token stage;
  if (decode != SYNC_DECODE_ORDER) return 0;
  if (!find_member(sync_event_text(event, SYNC_EVENT_DATA), camel, snake, &stage)) return 0;
  lua_json_push_string(L, &stage);
  return 1;
}

static int push_previous_stage(lua_State *L, const sync_event *event, sync_decode decode) {
  if (push_stage(L, event, decode, "previousStage", "previous_stage")) return 1;
  return push_text(L, sync_event_text(event, SYNC_EVENT_PREVIOUS_STAGE));
}

static int push_new_stage(lua_State *L, const sync_event *event, sync_decode decode) {
  return push_stage(L, event, decode, "newStage", "new_stage");
}

static const struct field {
  const char *name;
  push_field push;
} fields[] = {
    {"id", push_id},
    {"timestamp", push_timestamp},
    {"data", push_data},
    {"previous_stage", push_previous_stage},
    {"new_stage", push_new_stage},
    {"received_at", push_received_at},
    {"source", push_source},
    {"seq", push_seq},
    {"redelivered", push_redelivered},
    {"acknowledged", push_acknowledged},
    {"raw", push_raw},
};

#define FIELD_COUNT (sizeof fields / sizeof *fields)

/* Makes field number `index`, whose name is at stack index 2, of the event at 1; keeps it there and leaves it on the
 * stack; 0: it has none.
 */
static int make_field(lua_State *L, size_t index) {
  lua_rawgeti(L, 1, SLOT_EVENT);
  lua_rawgeti(L, 1, SLOT_HOME);
  const sync_event *event = lua_touserdata(L, -2);
  const struct home *home = lua_touserdata(L, -1);
  if (!event || !home || !home->event) return 0; /* a finalizer may touch an event after its home's */
  if (!fields[index].push(L, event, home->decode)) return 0;
  lua_pushvalue(L, 2);
  lua_pushvalue(L, -2);
  lua_rawset(L, 1);
  return 1;
}

/* event.name for a field that is not there yet, or for a method. */
static int event_index(lua_State *L) {
  luaL_checktype(L, 1, LUA_TTABLE);
  lua_pushvalue(L, 2);
  lua_rawget(L, lua_upvalueindex(INDEX_NAMES));
  if (lua_type(L, -1) == LUA_TNUMBER) return make_field(L, (size_t)lua_tointeger(L, -1));
  return 1;
}

/* event:plain(): a copy with every field, none of them hidden. */
static int event_plain(lua_State *L) {
  luaL_checktype(L, 1, LUA_TTABLE);
  lua_settop(L, 1);
  for (size_t index = 0; index < FIELD_COUNT; index++) {
    lua_getfield(L, 1, fields[index].name);
    lua_settop(L, 1);
  }
  lua_createtable(L, 0, (int)FIELD_COUNT + 2);
  for (lua_pushnil(L); lua_next(L, 1); lua_pop(L, 1)) {
    if (lua_type(L, -2) != LUA_TSTRING) continue;
    lua_pushvalue(L, -2);
    lua_pushvalue(L, -2);
    lua_rawset(L, 2);
  }
  return 1;
}

/* pairs(event), where the VM asks: Lua 5.2 and later. Also makes `for k, v in pairs` show no hidden field. */
static int event_pairs(lua_State *L) {
  lua_pushvalue(L, lua_upvalueindex(1)); /* next, as it was at load: a sandbox may have none */
  lua_pushcfunction(L, event_plain);
  lua_pushvalue(L, 1);
  lua_call(L, 1, 1);
  lua_pushnil(L);
  return 3;
}

static int event_tostring(lua_State *L) {
  lua_getfield(L, 1, "type");
  lua_getfield(L, 1, "order_id");
  lua_pushfstring(L, "event %s of %s", lua_tostring(L, 2), lua_isnil(L, 3) ? "no order" : lua_tostring(L, 3));
  return 1;
}

/* ---- events ------------------------------------------------------------------------------------------------------ */

static int home_gc(lua_State *L) {
  struct home *home = lua_touserdata(L, 1);
  if (home->event) sync_event_release(home->event);
  home->event = NULL;
  return 0;
}

static struct home *new_home(lua_State *L, sync_event *event, sync_decode decode) {
  struct home *home = lua_newuserdata(L, sizeof *home);
  home->event = NULL;
  luaL_getmetatable(L, HOME_TYPE);
  lua_setmetatable(L, -2);
  sync_event_retain(event);
  *home = (struct home){event, decode};
  return home;
}

/* Pushes the home of `event`: the one used last, or a new one. */
static void push_home(lua_State *L, sync_event *event, sync_decode decode) {
  lua_rawgeti(L, lua_upvalueindex(LUA_EVENT_HOMES), 1);
  const struct home *last = lua_touserdata(L, -1);
  if (last && last->event && sync_event_home(last->event) == sync_event_home(event) && last->decode == decode) return;
  lua_pop(L, 1);
  new_home(L, event, decode);
  lua_pushvalue(L, -1);
  lua_rawseti(L, lua_upvalueindex(LUA_EVENT_HOMES), 1);
}

void lua_event_push(lua_State *L, sync_event *event, sync_decode decode) {
  sync_span order_id = sync_event_text(event, SYNC_EVENT_ORDER_ID);
  lua_createtable(L, 0, SLOT_COUNT + 2);
  push_home(L, event, decode);
  lua_rawseti(L, -2, SLOT_HOME);
  lua_pushlightuserdata(L, event);
  lua_rawseti(L, -2, SLOT_EVENT);
  lua_pushvalue(L, lua_upvalueindex(LUA_EVENT_TYPE));
  compat_push_span(L, sync_event_text(event, SYNC_EVENT_TYPE));
  lua_rawset(L, -3);
  if (order_id.length) {
    lua_pushvalue(L, lua_upvalueindex(LUA_EVENT_ORDER_ID));
    compat_push_span(L, order_id);
    lua_rawset(L, -3);
  }
  lua_pushvalue(L, lua_upvalueindex(LUA_EVENT_METATABLE));
  lua_setmetatable(L, -2);
}

sync_event *lua_event_check(lua_State *L, int index) {
  luaL_checktype(L, index, LUA_TTABLE);
  lua_rawgeti(L, index, SLOT_EVENT);
  lua_rawgeti(L, index, SLOT_HOME);
  sync_event *event = lua_touserdata(L, -2);
  const struct home *home = lua_touserdata(L, -1);
  if (!event || !home || !home->event) luaL_argerror(L, index, "expected an event");
  lua_pop(L, 2); /* the table keeps them */
  return event;
}

void lua_event_push_upvalues(lua_State *L) {
  lua_newtable(L); /* its element 1 is the home used last */
  luaL_getmetatable(L, EVENT_TYPE);
  lua_pushliteral(L, "type");
  lua_pushliteral(L, "order_id");
}

static void push_names(lua_State *L) {
  lua_createtable(L, 0, (int)FIELD_COUNT + 1);
  lua_pushcfunction(L, event_plain);
  lua_setfield(L, -2, "plain");
  for (size_t index = 0; index < FIELD_COUNT; index++) {
    lua_pushinteger(L, (lua_Integer)index);
    lua_setfield(L, -2, fields[index].name);
  }
}

/* getmetatable() gives false: the functions in it trust what they are called with. */
static void hide_metatable(lua_State *L) {
  lua_pushboolean(L, 0);
  lua_setfield(L, -2, "__metatable");
}

void lua_event_open(lua_State *L) {
  static const luaL_Reg home_metamethods[] = {{"__gc", home_gc}, {NULL, NULL}};
  static const luaL_Reg metamethods[] = {{"__tostring", event_tostring}, {NULL, NULL}};
  luaL_newmetatable(L, HOME_TYPE);
  compat_set_functions(L, home_metamethods);
  hide_metatable(L);
  lua_pop(L, 1);
  luaL_newmetatable(L, EVENT_TYPE);
  compat_set_functions(L, metamethods);
  lua_getglobal(L, "next");
  lua_pushcclosure(L, event_pairs, 1);
  lua_setfield(L, -2, "__pairs");
  push_names(L);
  lua_json_push_memory(L);
  lua_pushcclosure(L, event_index, INDEX_NAMES + LUA_JSON_MEMORY_VALUES);
  lua_setfield(L, -2, "__index");
  hide_metatable(L);
  lua_pop(L, 1);
}
