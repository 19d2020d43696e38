/* wire.c - events as the server would have written them. */
#include "wire.h"

#include <stdio.h>
#include <time.h>

#include "span.h"

static bool put(struct sync_buffer *out, const char *text) {
  return sync_buffer_append(out, sync_span_of(text));
}

/* What cannot stand in a JSON string as it is (RFC 8259, 7). */
static bool put_escape(struct sync_buffer *out, unsigned char byte) {
  char escape[8];
  if (byte == '"' || byte == '\\')
    (void)snprintf(escape, sizeof escape, "\\%c", byte);
  else
    (void)snprintf(escape, sizeof escape, "\\u%04x", byte);
  return put(out, escape);
}

bool sync_wire_string(struct sync_buffer *out, sync_span text) {
  bool whole = put(out, "\"");
  size_t begin = 0;
  for (size_t at = 0; whole && at < text.length; at++) {
    unsigned char byte = (unsigned char)text.bytes[at];
    if (byte >= ' ' && byte != '"' && byte != '\\') continue;
    whole = sync_buffer_append(out, (sync_span){text.bytes + begin, at - begin}) && put_escape(out, byte);
    begin = at + 1;
  }
  return whole && sync_buffer_append(out, (sync_span){text.bytes + begin, text.length - begin}) && put(out, "\"");
}

/* The first of a role's names is the one that is written. */
static sync_span name_of(const struct sync_event_names *names, enum sync_event_role role) {
  size_t index = 0;
  while (names->list[index].role != role) index++;
  return names->list[index].text;
}

static bool put_key(struct sync_buffer *out, const struct sync_event_names *names, enum sync_event_role role) {
  return sync_wire_string(out, name_of(names, role)) && put(out, ":");
}

/* As JavaScript's toISOString() has it. */
static bool put_time(struct sync_buffer *out, int64_t at_ms) {
  time_t seconds = (time_t)(at_ms / 1000);
  struct tm parts;
  char date[32], text[48];
  if (!gmtime_r(&seconds, &parts) || strftime(date, sizeof date, "%Y-%m-%dT%H:%M:%S", &parts) == 0)
    return put(out, "\"\"");
  (void)snprintf(text, sizeof text, "\"%s.%03dZ\"", date, (int)(at_ms % 1000));
  return put(out, text);
}

bool sync_wire_event(struct sync_buffer *out, const struct sync_event_names *names, sync_span type, sync_span order_id,
                     int64_t at_ms, sync_span data) {
  bool whole = put(out, "{") && put_key(out, names, SYNC_ROLE_TYPE) && sync_wire_string(out, type) && put(out, ",");
  if (order_id.length)
    whole = whole && put_key(out, names, SYNC_ROLE_ORDER_ID) && sync_wire_string(out, order_id) && put(out, ",");
  return whole && put_key(out, names, SYNC_ROLE_TIMESTAMP) && put_time(out, at_ms) && put(out, ",") &&
         put_key(out, names, SYNC_ROLE_DATA) && sync_buffer_append(out, data) && put(out, "}");
}
