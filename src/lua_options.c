/* lua_options.c - a Lua table of options to a sync_options, by one table of places. */
#include "lua_options.h"

#include <string.h>

enum kind {
  KIND_TEXT,
  KIND_FLAG,
  KIND_NUMBER,
  KIND_SIZE,
  KIND_DECODE,
  KIND_MODE,
  KIND_DURABILITY,
  KIND_GAP_IDS,
  KIND_SPAN
};

static const struct place {
  const char *name;
  enum kind kind;
  size_t offset;
} places[] = {
    {"url", KIND_TEXT, offsetof(sync_options, url)},
    {"order_id", KIND_TEXT, offsetof(sync_options, order_id)},
    {"event_types", KIND_TEXT, offsetof(sync_options, event_types)},
    {"last_event_id", KIND_TEXT, offsetof(sync_options, last_event_id)},
    {"method", KIND_TEXT, offsetof(sync_options, method)},
    {"body", KIND_SPAN, offsetof(sync_options, body)},
    {"ask_headers", KIND_FLAG, offsetof(sync_options, ask_headers)},
    {"accept_encoding", KIND_TEXT, offsetof(sync_options, accept_encoding)},
    {"http_version", KIND_TEXT, offsetof(sync_options, http_version)},
    {"proxy", KIND_TEXT, offsetof(sync_options, proxy)},
    {"no_proxy", KIND_TEXT, offsetof(sync_options, no_proxy)},
    {"unix_socket", KIND_TEXT, offsetof(sync_options, unix_socket)},
    {"ca_file", KIND_TEXT, offsetof(sync_options, ca_file)},
    {"cert_file", KIND_TEXT, offsetof(sync_options, cert_file)},
    {"key_file", KIND_TEXT, offsetof(sync_options, key_file)},
    {"pinned_public_key", KIND_TEXT, offsetof(sync_options, pinned_public_key)},
    {"tls_min_version", KIND_TEXT, offsetof(sync_options, tls_min_version)},
    {"insecure_skip_verify", KIND_FLAG, offsetof(sync_options, insecure_skip_verify)},
    {"mode", KIND_MODE, offsetof(sync_options, mode)},
    {"poll_url", KIND_TEXT, offsetof(sync_options, poll_url)},
    {"poll_order_url", KIND_TEXT, offsetof(sync_options, poll_order_url)},
    {"poll_by_host", KIND_FLAG, offsetof(sync_options, poll_by_host)},
    {"poll_is_partial", KIND_FLAG, offsetof(sync_options, poll_is_partial)},
    {"poll_interval_ms", KIND_NUMBER, offsetof(sync_options, poll_interval_ms)},
    {"poll_timeout_ms", KIND_NUMBER, offsetof(sync_options, poll_timeout_ms)},
    {"max_snapshot_bytes", KIND_SIZE, offsetof(sync_options, max_snapshot_bytes)},
    {"book_limit", KIND_SIZE, offsetof(sync_options, book_limit)},
    {"decode", KIND_DECODE, offsetof(sync_options, decode)},
    {"field_type", KIND_TEXT, offsetof(sync_options, field_type)},
    {"field_order_id", KIND_TEXT, offsetof(sync_options, field_order_id)},
    {"field_timestamp", KIND_TEXT, offsetof(sync_options, field_timestamp)},
    {"field_data", KIND_TEXT, offsetof(sync_options, field_data)},
    {"auto_connect", KIND_FLAG, offsetof(sync_options, auto_connect)},
    {"auto_reconnect", KIND_FLAG, offsetof(sync_options, auto_reconnect)},
    {"strict", KIND_FLAG, offsetof(sync_options, strict)},
    {"stop_when_exhausted", KIND_FLAG, offsetof(sync_options, stop_when_exhausted)},
    {"max_reconnect_attempts", KIND_NUMBER, offsetof(sync_options, max_reconnect_attempts)},
    {"reconnect_delay_ms", KIND_NUMBER, offsetof(sync_options, reconnect_delay_ms)},
    {"max_reconnect_delay_ms", KIND_NUMBER, offsetof(sync_options, max_reconnect_delay_ms)},
    {"stable_after_ms", KIND_NUMBER, offsetof(sync_options, stable_after_ms)},
    {"stream_retry_interval_ms", KIND_NUMBER, offsetof(sync_options, stream_retry_interval_ms)},
    {"heartbeat_interval_ms", KIND_NUMBER, offsetof(sync_options, heartbeat_interval_ms)},
    {"idle_timeout_ms", KIND_NUMBER, offsetof(sync_options, idle_timeout_ms)},
    {"connect_timeout_ms", KIND_NUMBER, offsetof(sync_options, connect_timeout_ms)},
    {"max_redirects", KIND_NUMBER, offsetof(sync_options, max_redirects)},
    {"event_history_limit", KIND_SIZE, offsetof(sync_options, event_history_limit)},
    {"max_event_bytes", KIND_SIZE, offsetof(sync_options, max_event_bytes)},
    {"queue_limit", KIND_SIZE, offsetof(sync_options, queue_limit)},
    {"gap_ids", KIND_GAP_IDS, offsetof(sync_options, gap_ids)},
    {"duplicate_window", KIND_SIZE, offsetof(sync_options, duplicate_window)},
    {"journal_path", KIND_TEXT, offsetof(sync_options, journal_path)},
    {"journal_stream", KIND_TEXT, offsetof(sync_options, journal_stream)},
    {"journal_durability", KIND_DURABILITY, offsetof(sync_options, journal_durability)},
    {"journal_required", KIND_FLAG, offsetof(sync_options, journal_required)},
    {"journal_max_events", KIND_SIZE, offsetof(sync_options, journal_max_events)},
    {"journal_max_bytes", KIND_SIZE, offsetof(sync_options, journal_max_bytes)},
    {"journal_max_age_ms", KIND_NUMBER, offsetof(sync_options, journal_max_age_ms)},
    {"dead_letter_limit", KIND_SIZE, offsetof(sync_options, dead_letter_limit)},
    {"manual_ack", KIND_FLAG, offsetof(sync_options, manual_ack)},
};

static sync_decode decode_named(const char *name) {
  if (name && strcmp(name, "json") == 0) return SYNC_DECODE_JSON;
  return name && strcmp(name, "none") == 0 ? SYNC_DECODE_NONE : SYNC_DECODE_ORDER;
}

static sync_mode mode_named(const char *name) {
  static const struct {
    const char *name;
    sync_mode mode;
  } modes[] = {
      {"stream", SYNC_MODE_STREAM}, {"poll", SYNC_MODE_POLL}, {"compare", SYNC_MODE_COMPARE}, {"off", SYNC_MODE_OFF}};
  for (size_t i = 0; name && i < sizeof modes / sizeof *modes; i++)
    if (strcmp(name, modes[i].name) == 0) return modes[i].mode;
  return SYNC_MODE_AUTO;
}

static sync_durability durability_named(const char *name) {
  if (name && strcmp(name, "full") == 0) return SYNC_DURABILITY_FULL;
  return name && strcmp(name, "off") == 0 ? SYNC_DURABILITY_OFF : SYNC_DURABILITY_NORMAL;
}

static sync_gap_ids gap_ids_named(const char *name) {
  if (name && strcmp(name, "dense") == 0) return SYNC_GAP_IDS_DENSE;
  return name && strcmp(name, "opaque") == 0 ? SYNC_GAP_IDS_OPAQUE : SYNC_GAP_IDS_AUTO;
}

static sync_span span_at(lua_State *L, int index) {
  sync_span span = {NULL, 0};
  span.bytes = lua_tolstring(L, index, &span.length);
  return span;
}

/* Stores the value on the stack's top. */
static void store(lua_State *L, const struct place *place, sync_options *options) {
  void *to = (char *)options + place->offset;
  switch (place->kind) {
  case KIND_TEXT: *(const char **)to = lua_tostring(L, -1); break;
  case KIND_FLAG: *(bool *)to = lua_toboolean(L, -1); break;
  case KIND_NUMBER: *(int64_t *)to = (int64_t)lua_tonumber(L, -1); break;
  case KIND_SIZE: *(size_t *)to = (size_t)lua_tonumber(L, -1); break;
  case KIND_DECODE: *(sync_decode *)to = decode_named(lua_tostring(L, -1)); break;
  case KIND_MODE: *(sync_mode *)to = mode_named(lua_tostring(L, -1)); break;
  case KIND_DURABILITY: *(sync_durability *)to = durability_named(lua_tostring(L, -1)); break;
  case KIND_GAP_IDS: *(sync_gap_ids *)to = gap_ids_named(lua_tostring(L, -1)); break;
  case KIND_SPAN: *(sync_span *)to = span_at(L, -1); break;
  }
}

const sync_header *lua_options_headers(lua_State *L, int index, size_t *count) {
  index = compat_absolute(L, index);
  *count = lua_istable(L, index) ? lua_rawlen(L, index) / 2 : 0;
  sync_header *headers = lua_newuserdata(L, *count * sizeof *headers + 1);
  for (size_t i = 0; i < *count; i++) {
    lua_rawgeti(L, index, (int)(2 * i + 1));
    lua_rawgeti(L, index, (int)(2 * i + 2));
    headers[i] = (sync_header){span_at(L, -2), span_at(L, -1)};
    lua_pop(L, 2); /* the list keeps them */
  }
  return headers;
}

/* The list of strings in field `name` of the table at `index`; leaves its anchor on the stack. */
static const char *const *read_list(lua_State *L, int index, const char *name, size_t *count) {
  lua_getfield(L, index, name);
  *count = lua_istable(L, -1) ? lua_rawlen(L, -1) : 0;
  const char **texts = lua_newuserdata(L, *count * sizeof *texts + 1);
  for (size_t i = 0; i < *count; i++) {
    lua_rawgeti(L, -2, (int)i + 1);
    texts[i] = lua_tostring(L, -1);
    lua_pop(L, 1); /* the list keeps it */
  }
  lua_remove(L, -2); /* the options keep the list */
  return texts;
}

void lua_options_read(lua_State *L, int index, sync_options *options) {
  index = compat_absolute(L, index);
  sync_options_init(options);
  for (size_t i = 0; i < sizeof places / sizeof *places; i++) {
    lua_getfield(L, index, places[i].name);
    if (!lua_isnil(L, -1)) store(L, &places[i], options);
    lua_pop(L, 1); /* the table keeps it */
  }
  lua_getfield(L, index, "headers");
  options->headers = lua_options_headers(L, -1, &options->header_count);
  lua_remove(L, -2);
  lua_getfield(L, index, "poll_headers");
  options->poll_headers = lua_options_headers(L, -1, &options->poll_header_count);
  lua_remove(L, -2);
  options->fallback_urls = read_list(L, index, "fallback_urls", &options->fallback_url_count);
  options->resolve = read_list(L, index, "resolve", &options->resolve_count);
  options->redact = read_list(L, index, "redact", &options->redact_count);
}
