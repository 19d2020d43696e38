/* event.c - which fields a message has, and the record that holds them. */
#include "event.h"

#include <string.h>

#include "json.h"
#include "span.h"

/* Where a text of the record is: behind the record's start, so that a record is one run of bytes. */
struct text {
  uint32_t at;
  uint32_t length;
};

struct sync_event {
  struct sync_segment *home;
  uint64_t seq;
  int64_t received_at_ms;
  uint64_t fingerprint;
  bool whole; /* timestamp and data are known */
  bool redelivered;
  bool acknowledged;
  sync_source source;
  struct text texts[SYNC_EVENT_RAW + 1];
};

/* ---- names ------------------------------------------------------------------------------------------------------- */

static const struct {
  const char *text;
  enum sync_event_role role;
} defaults[] = {
    {"eventType", SYNC_ROLE_TYPE},  {"orderID", SYNC_ROLE_ORDER_ID}, {"timestamp", SYNC_ROLE_TIMESTAMP},
    {"data", SYNC_ROLE_DATA},       {"orderId", SYNC_ROLE_ORDER_ID}, {"order_id", SYNC_ROLE_ORDER_ID},
    {"event_type", SYNC_ROLE_TYPE},
};

static void add_name(struct sync_event_names *names, const char *text, enum sync_event_role role) {
  names->list[names->count].text = sync_span_of(text);
  names->list[names->count++].role = role;
}

void sync_event_names_init(struct sync_event_names *names, const sync_options *options) {
  const char *const mapped[SYNC_ROLE_COUNT] = {
      [SYNC_ROLE_TYPE] = options->field_type,
      [SYNC_ROLE_ORDER_ID] = options->field_order_id,
      [SYNC_ROLE_TIMESTAMP] = options->field_timestamp,
      [SYNC_ROLE_DATA] = options->field_data,
  };
  names->count = 0;
  for (int role = 0; role < SYNC_ROLE_COUNT; role++)
    if (mapped[role]) add_name(names, mapped[role], (enum sync_event_role)role);
  for (size_t i = 0; i < sizeof defaults / sizeof *defaults; i++)
    if (!mapped[defaults[i].role]) add_name(names, defaults[i].text, defaults[i].role);
}

/* The role that `key` has on this wire; SYNC_ROLE_COUNT: none. */
static enum sync_event_role role_of(const struct sync_event_names *names, sync_span key) {
  for (size_t i = 0; i < names->count; i++) {
    if (sync_span_same(names->list[i].text, key)) return names->list[i].role;
  }
  return SYNC_ROLE_COUNT;
}

/* ---- looking a message up ---------------------------------------------------------------------------------------- */

/* Ids are strings; a number stands for its text. */
static bool names_something(const sync_json_token *token) {
  return token->kind == SYNC_JSON_STRING || token->kind == SYNC_JSON_NUMBER;
}

static void take_scalar(struct sync_envelope *envelope, enum sync_event_role role, const sync_json_token *token) {
  switch (role) {
  case SYNC_ROLE_TYPE:
    if (token->kind != SYNC_JSON_STRING || token->text.length == 0 || envelope->typed) return;
    envelope->typed = true;
    envelope->type = token->text;
    envelope->type_escaped = token->escaped;
    break;
  case SYNC_ROLE_ORDER_ID:
    if (!names_something(token) || envelope->order_id.length) return;
    envelope->order_id = token->text;
    envelope->order_id_escaped = token->escaped;
    break;
  case SYNC_ROLE_TIMESTAMP:
    if (!names_something(token)) return;
    envelope->timestamp = token->text;
    envelope->timestamp_escaped = token->escaped;
    break;
  default: break;
  }
}

/* Reads one member of an object whose key has been read. */
static bool read_member(const struct sync_event_names *names, const sync_json_token *key,
                        struct sync_envelope *envelope) {
  sync_json_token value;
  sync_span text;
  if (sync_json_next(&envelope->json, &value) == SYNC_JSON_INVALID) return false;
  if (!sync_json_value(&envelope->json, &value, &text)) return false;
  enum sync_event_role role = key->escaped ? SYNC_ROLE_COUNT : role_of(names, key->text);
  if (role == SYNC_ROLE_DATA)
    envelope->data = text;
  else
    take_scalar(envelope, role, &value);
  return true;
}

/* Walks the top level of an object: to its end, or, if `look`, until its addressee is known. */
static bool walk(const struct sync_event_names *names, struct sync_envelope *envelope, bool look) {
  sync_json_token token;
  while (sync_json_next(&envelope->json, &token) == SYNC_JSON_KEY) {
    if (!read_member(names, &token, envelope)) return false;
    if (look && envelope->typed && envelope->order_id.length > 0) return true;
  }
  envelope->whole = token.kind == SYNC_JSON_OBJECT_END && sync_json_next(&envelope->json, &token) == SYNC_JSON_END;
  return envelope->whole;
}

/* A text with escapes needs room of its own in the record, so it has to be known before the record is made. */
static bool has_escapes(sync_span text) {
  return text.length > 0 && memchr(text.bytes, '\\', text.length) != NULL;
}

bool sync_event_look(const struct sync_event_names *names, sync_decode decode, const struct sync_sse_message *message,
                     struct sync_envelope *envelope, size_t *at_byte) {
  sync_json_token token;
  *envelope = (struct sync_envelope){.type = message->type, .data = message->data, .whole = decode == SYNC_DECODE_NONE};
  if (decode != SYNC_DECODE_ORDER) return true;
  sync_json_init(&envelope->json, message->data);
  bool sound = true;
  if (sync_json_next(&envelope->json, &token) == SYNC_JSON_OBJECT)
    sound = walk(names, envelope, !has_escapes(message->data));
  else /* no object has no fields */
    sound = envelope->whole = sync_json_valid(message->data, at_byte);
  if (!sound && token.kind == SYNC_JSON_OBJECT) *at_byte = sync_json_offset(&envelope->json);
  return sound;
}

bool sync_event_check(const struct sync_event_names *names, sync_decode decode, const struct sync_sse_message *message,
                      struct sync_envelope *envelope, size_t *at_byte) {
  if (envelope->whole) return true;
  if (decode == SYNC_DECODE_JSON) return envelope->whole = sync_json_valid(message->data, at_byte);
  if (walk(names, envelope, false)) return true;
  *at_byte = sync_json_offset(&envelope->json);
  return false;
}

/* ---- the record -------------------------------------------------------------------------------------------------- */

static bool inside(sync_span part, sync_span whole) {
  return whole.length > 0 && part.bytes >= whole.bytes && part.bytes + part.length <= whole.bytes + whole.length;
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

/* Room that a text needs beside the message's bytes. */
static size_t own_bytes(sync_span text, bool escaped, sync_span raw) {
  return escaped || !inside(text, raw) ? text.length : 0;
}

sync_event *sync_event_new(struct sync_segments *segments, const struct sync_sse_message *message,
                           const struct sync_envelope *envelope, uint64_t seq, int64_t received_at_ms) {
  size_t bytes = sizeof(sync_event) + message->data.length + message->id.length + envelope->type.length +
                 envelope->previous_stage.length;
  bytes += own_bytes(envelope->order_id, envelope->order_id_escaped, message->data);
  bytes += own_bytes(envelope->timestamp, envelope->timestamp_escaped, message->data);
  struct sync_segment *home;
  sync_event *event = sync_segments_take(segments, bytes, &home);
  if (!event) return NULL;
  *event = (sync_event){
      .home = home,
      .seq = seq,
      .received_at_ms = received_at_ms,
      .fingerprint = envelope->fingerprint,
      .whole = envelope->whole,
      .redelivered = envelope->redelivered,
      .acknowledged = envelope->acknowledged,
      .source = envelope->source,
  };
  struct writer writer = {event, (char *)(event + 1), {NULL, 0}};
  put_text(&writer, SYNC_EVENT_RAW, message->data, false);
  writer.raw = message->data;
  put_text(&writer, SYNC_EVENT_ID, message->id, false);
  put_text(&writer, SYNC_EVENT_TYPE, envelope->type, envelope->type_escaped);
  put_text(&writer, SYNC_EVENT_ORDER_ID, envelope->order_id, envelope->order_id_escaped);
  put_text(&writer, SYNC_EVENT_TIMESTAMP, envelope->timestamp, envelope->timestamp_escaped);
  put_text(&writer, SYNC_EVENT_PREVIOUS_STAGE, envelope->previous_stage, false);
  put_text(&writer, SYNC_EVENT_DATA, envelope->data, false);
  return event;
}

void sync_event_complete(sync_event *event, const struct sync_event_names *names, sync_decode decode) {
  if (event->whole) return;
  const struct sync_sse_message message = {.data = sync_event_text(event, SYNC_EVENT_RAW)};
  struct sync_envelope envelope;
  size_t at_byte;
  event->whole = true;
  if (!sync_event_look(names, decode, &message, &envelope, &at_byte) ||
      !sync_event_check(names, decode, &message, &envelope, &at_byte))
    return;
  struct writer writer = {event, NULL, message.data}; /* without escapes both are inside the raw text */
  put_text(&writer, SYNC_EVENT_TIMESTAMP, envelope.timestamp, false);
  put_text(&writer, SYNC_EVENT_DATA, envelope.data, false);
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

sync_source sync_event_source(const sync_event *event) {
  return event->source;
}

uint64_t sync_event_fingerprint(const sync_event *event) {
  return event->fingerprint;
}

bool sync_event_redelivered(const sync_event *event) {
  return event->redelivered;
}

bool sync_event_acknowledged(const sync_event *event) {
  return event->acknowledged;
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
