/* event.c - which fields a message has, and the record that holds them. */
#include "event.h"

#include <string.h>

#include "json.h"

/* Where a text of the record is: behind the record's start, so that a record is one run of bytes. */
struct text {
  uint32_t at;
  uint32_t length;
};

struct sync_event {
  struct sync_segment *home;
  uint64_t seq;
  int64_t received_at_ms;
  struct text texts[SYNC_EVENT_RAW + 1];
};

/* ---- names ------------------------------------------------------------------------------------------------------- */

static const char *const default_spellings[SYNC_ROLE_COUNT][SYNC_EVENT_SPELLINGS] = {
    [SYNC_ROLE_TYPE] = {"eventType", "event_type"},
    [SYNC_ROLE_ORDER_ID] = {"orderID", "orderId", "order_id"},
    [SYNC_ROLE_TIMESTAMP] = {"timestamp"},
    [SYNC_ROLE_DATA] = {"data"},
};

static sync_span span_of(const char *text) {
  return (sync_span){text, text ? strlen(text) : 0};
}

void sync_event_names_init(struct sync_event_names *names, const sync_options *options) {
  const char *const mapped[SYNC_ROLE_COUNT] = {
      [SYNC_ROLE_TYPE] = options->field_type,
      [SYNC_ROLE_ORDER_ID] = options->field_order_id,
      [SYNC_ROLE_TIMESTAMP] = options->field_timestamp,
      [SYNC_ROLE_DATA] = options->field_data,
  };
  for (int role = 0; role < SYNC_ROLE_COUNT; role++)
    for (int i = 0; i < SYNC_EVENT_SPELLINGS; i++) {
      const char *spelling = !mapped[role] ? default_spellings[role][i] : i == 0 ? mapped[role] : NULL;
      names->spellings[role][i] = span_of(spelling);
    }
}

static bool same(sync_span a, sync_span b) {
  return a.length == b.length && memcmp(a.bytes, b.bytes, a.length) == 0;
}

/* The role that `key` has on this wire; SYNC_ROLE_COUNT: none. */
static int role_of(const struct sync_event_names *names, sync_span key) {
  for (int role = 0; role < SYNC_ROLE_COUNT; role++)
    for (int i = 0; i < SYNC_EVENT_SPELLINGS && names->spellings[role][i].bytes; i++)
      if (same(names->spellings[role][i], key)) return role;
  return SYNC_ROLE_COUNT;
}

/* ---- looking a message up ---------------------------------------------------------------------------------------- */

/* The text of the value that `token` opened, quotes and brackets included; the reader then stands behind it. */
static bool value_text(sync_json *json, const sync_json_token *token, sync_span *text) {
  bool container = token->kind == SYNC_JSON_OBJECT || token->kind == SYNC_JSON_ARRAY;
  if (container && !sync_json_skip(json)) return false;
  const char *start = token->text.bytes - (token->kind == SYNC_JSON_STRING);
  *text = (sync_span){start, (size_t)(json->at - start)};
  return true;
}

/* Ids are strings; a number stands for its text. */
static bool names_something(const sync_json_token *token) {
  return token->kind == SYNC_JSON_STRING || token->kind == SYNC_JSON_NUMBER;
}

static void take_scalar(struct sync_envelope *envelope, int role, const sync_json_token *token) {
  switch (role) {
  case SYNC_ROLE_TYPE:
    if (token->kind != SYNC_JSON_STRING || token->text.length == 0) return;
    envelope->type = token->text;
    envelope->type_escaped = token->escaped;
    break;
  case SYNC_ROLE_ORDER_ID:
    if (!names_something(token) || envelope->order_id.length) return;
    envelope->order_id = token->text;
    envelope->order_id_escaped = token->escaped;
    break;
  case SYNC_ROLE_TIMESTAMP:
    if (names_something(token)) envelope->timestamp = token->text;
    break;
  default: break;
  }
}

/* Walks the top level of an object, whose brace has been read, to its end. */
static bool walk_fields(const struct sync_event_names *names, sync_json *json, struct sync_envelope *envelope) {
  sync_json_token key, value;
  while (sync_json_next(json, &key) == SYNC_JSON_KEY) {
    sync_json_next(json, &value);
    if (value.kind == SYNC_JSON_INVALID) return false;
    int role = key.escaped ? SYNC_ROLE_COUNT : role_of(names, key.text);
    sync_span text;
    if (!value_text(json, &value, &text)) return false;
    if (role == SYNC_ROLE_DATA)
      envelope->data = text;
    else
      take_scalar(envelope, role, &value);
  }
  return key.kind == SYNC_JSON_OBJECT_END;
}

static bool open_order(const struct sync_event_names *names, sync_span raw, struct sync_envelope *envelope,
                       size_t *at_byte) {
  sync_json json;
  sync_json_token token;
  sync_json_init(&json, raw);
  bool sound = true;
  if (sync_json_next(&json, &token) == SYNC_JSON_OBJECT)
    sound = walk_fields(names, &json, envelope);
  else if (token.kind == SYNC_JSON_ARRAY)
    sound = sync_json_skip(&json);
  if (sound && sync_json_next(&json, &token) == SYNC_JSON_END) return true;
  *at_byte = sync_json_offset(&json);
  return false;
}

bool sync_event_open(const struct sync_event_names *names, sync_decode decode, const struct sync_sse_message *message,
                     struct sync_envelope *envelope, size_t *at_byte) {
  *envelope = (struct sync_envelope){.type = message->type, .data = message->data};
  switch (decode) {
  case SYNC_DECODE_ORDER: return open_order(names, message->data, envelope, at_byte);
  case SYNC_DECODE_JSON: return sync_json_valid(message->data, at_byte);
  case SYNC_DECODE_NONE: break;
  }
  return true;
}

/* ---- the record -------------------------------------------------------------------------------------------------- */

static bool inside(sync_span part, sync_span whole) {
  return part.bytes >= whole.bytes && part.bytes + part.length <= whole.bytes + whole.length;
}

/* The record under construction: its next free byte, and where the message's bytes were and are. */
struct writer {
  sync_event *event;
  char *next;
  sync_span raw;
};

static void put_text(struct writer *writer, sync_event_field field, sync_span text, bool escaped) {
  size_t length = text.length;
  if (length == 0) return;
  char *start = writer->next;
  if (escaped) {
    length = sync_json_unescape(text, start);
    writer->next += length;
  } else if (inside(text, writer->raw)) {
    start = (char *)writer->event + writer->event->texts[SYNC_EVENT_RAW].at + (text.bytes - writer->raw.bytes);
  } else {
    memcpy(start, text.bytes, length);
    writer->next += length;
  }
  writer->event->texts[field] = (struct text){(uint32_t)(start - (char *)writer->event), (uint32_t)length};
}

sync_event *sync_event_new(struct sync_segments *segments, const struct sync_sse_message *message,
                           const struct sync_envelope *envelope, uint64_t seq, int64_t received_at_ms) {
  size_t bytes = sizeof(sync_event) + message->data.length + message->id.length + envelope->type.length;
  if (envelope->order_id_escaped) bytes += envelope->order_id.length;
  struct sync_segment *home;
  sync_event *event = sync_segments_take(segments, bytes, &home);
  if (!event) return NULL;
  *event = (sync_event){.home = home, .seq = seq, .received_at_ms = received_at_ms};
  struct writer writer = {event, (char *)(event + 1), {NULL, 0}};
  put_text(&writer, SYNC_EVENT_RAW, message->data, false);
  writer.raw = message->data;
  put_text(&writer, SYNC_EVENT_ID, message->id, false);
  put_text(&writer, SYNC_EVENT_TYPE, envelope->type, envelope->type_escaped);
  put_text(&writer, SYNC_EVENT_ORDER_ID, envelope->order_id, envelope->order_id_escaped);
  put_text(&writer, SYNC_EVENT_TIMESTAMP, envelope->timestamp, false);
  put_text(&writer, SYNC_EVENT_DATA, envelope->data, false);
  return event;
}

sync_span sync_event_text(const sync_event *event, sync_event_field field) {
  struct text text = event->texts[field];
  return (sync_span){(const char *)event + text.at, text.length};
}

uint64_t sync_event_seq(const sync_event *event) {
  return event->seq;
}

int64_t sync_event_received_at_ms(const sync_event *event) {
  return event->received_at_ms;
}

const void *sync_event_home(const sync_event *event) {
  return event->home;
}

void sync_event_retain(sync_event *event) {
  sync_segment_retain(event->home);
}

void sync_event_release(sync_event *event) {
  sync_segment_release(event->home);
}
