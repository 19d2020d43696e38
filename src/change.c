/* change.c - how an event of the wire is read as news about one order. */
#include "change.h"

#include <string.h>

#include "span.h"
#include "timestamp.h"

/* ---- what the types say ------------------------------------------------------------------------------------------ */

#define SOURCES_MOST 4

/* What a type says about an order, besides what its data says. */
struct rule {
  const char *type;
  enum sync_order_role role;         /* this member of the order becomes; SYNC_ORDER_ROLES: none in particular */
  const char *sources[SOURCES_MOST]; /* the first of these in data that has a value */
  const char *fixed;                 /* or this, and the rest of data is about something else */
};

static const struct rule rules[] = {
    {"stage_change", SYNC_ORDER_STAGE, {"newStage", "new_stage"}, NULL},
    {"order_stage_change", SYNC_ORDER_STAGE, {"newStage", "new_stage"}, NULL},
    {"payment_update", SYNC_ORDER_PAYMENT, {"newStatus", "new_status", "paymentStatus", "status"}, NULL},
    {"status_update", SYNC_ORDER_STATUS, {"newStatus", "new_status", "overallStatus", "status"}, NULL},
    {"qr_generated", SYNC_ORDER_QR, {NULL}, "true"},
    {"whatsapp_connected", SYNC_ORDER_WHATSAPP, {NULL}, "true"},
    {"order_created", SYNC_ORDER_ROLES, {NULL}, NULL},
    {"order_deleted", SYNC_ORDER_ROLES, {NULL}, NULL},
};

/* Not about an order, even if they name one. */
static const char *const silent[] = {
    "connected", "heartbeat", "queue_update", "job_progress_update", "polling_data_refresh",
};

static bool is_silent(sync_span type) {
  for (size_t i = 0; i < sizeof silent / sizeof *silent; i++)
    if (sync_span_is(type, silent[i])) return true;
  return false;
}

/* NULL: a type that the design does not have. */
static const struct rule *rule_of(sync_span type) {
  for (size_t i = 0; i < sizeof rules / sizeof *rules; i++)
    if (sync_span_is(type, rules[i].type)) return &rules[i];
  return NULL;
}

static bool is_source(const struct rule *rule, sync_span name) {
  for (size_t i = 0; i < SOURCES_MOST && rule->sources[i]; i++)
    if (sync_span_is(name, rule->sources[i])) return true;
  return false;
}

/* ---- looking the parts up ---------------------------------------------------------------------------------------- */

static struct sync_member *find(const struct sync_object *object, const char *name) {
  return sync_object_find(object, sync_span_of(name));
}

/* A string or a number: what a stage or a status can be. */
static bool is_value(sync_span text) {
  char first = text.bytes[0];
  return first == '"' || first == '-' || (first >= '0' && first <= '9');
}

/* What the rule's member becomes, as JSON; empty: the event does not say. */
static sync_span value_of(const struct rule *rule, const struct sync_object *data) {
  if (rule && rule->fixed) return sync_span_of(rule->fixed);
  for (size_t i = 0; rule && i < SOURCES_MOST && rule->sources[i]; i++) {
    const struct sync_member *member = find(data, rule->sources[i]);
    if (member && is_value(member->text)) return member->text;
  }
  return (sync_span){NULL, 0};
}

/* Data, and the order in it; either is empty if it is no object. false: no memory. */
static bool read_objects(struct sync_change_reader *reader, sync_span data) {
  static const sync_span nothing = {NULL, 0};
  if (sync_object_read(&reader->data, data) == SYNC_NO_MEMORY) return false;
  const struct sync_member *order = find(&reader->data, "order");
  return sync_object_read(&reader->order, order ? order->text : nothing) != SYNC_NO_MEMORY;
}

/* The id that `object` has as an order, empty: none. false: no memory. */
static bool read_own_id(struct sync_change_reader *reader, const struct sync_object *object, sync_span *own) {
  const struct sync_member *member = sync_order_find(reader->names, object, SYNC_ORDER_ID);
  *own = (sync_span){NULL, 0};
  return !member || sync_json_plain(member->text, &reader->order_id, own);
}

static bool read_previous_stage(struct sync_change_reader *reader, const struct rule *rule, sync_span *stage) {
  if (!rule || rule->role != SYNC_ORDER_STAGE) return true;
  const struct sync_member *member = find(&reader->data, "previousStage");
  if (!member) member = find(&reader->data, "previous_stage");
  return !member || sync_json_plain(member->text, &reader->previous_stage, stage);
}

/* ---- the patch --------------------------------------------------------------------------------------------------- */

/* What an event says about an order: members of `body`, and the rule's member on top. */
struct part {
  const struct rule *rule;        /* NULL: none */
  const struct sync_object *body; /* NULL: nothing */
  bool flat;                      /* the body is the event's data, and has other things in it */
  sync_span value;                /* of the rule's member, as JSON; empty: none */
};

static bool starts_with(sync_span name, const char *prefix) {
  size_t length = strlen(prefix);
  if (name.length <= length || memcmp(name.bytes, prefix, length) != 0) return false;
  char next = name.bytes[length];
  return next == '_' || (next >= 'A' && next <= 'Z');
}

/* Members of data that are about the event. */
static bool is_about_event(const struct part *part, sync_span name) {
  return sync_span_is(name, "message") || sync_span_is(name, "order") || starts_with(name, "previous") ||
         starts_with(name, "new") || (part->rule && is_source(part->rule, name));
}

/* Whether a member of the body belongs into the patch. The order's own members do, whatever else they look like. */
static bool belongs(const struct sync_change_reader *reader, const struct part *part,
                    const struct sync_member *member) {
  enum sync_order_role role = sync_order_role_of(reader->names, member->name);
  if (part->value.length > 0 && role == part->rule->role) return false;
  return !part->flat || role != SYNC_ORDER_ROLES || !is_about_event(part, member->name);
}

/* Whether the body, as it is written, says all. */
static bool is_complete(const struct sync_change_reader *reader, const struct part *part) {
  if (!part->body || part->flat) return false;
  if (part->value.length == 0) return true;
  const struct sync_member *member = sync_order_find(reader->names, part->body, part->rule->role);
  return member && sync_span_same(member->text, part->value);
}

static bool put(struct sync_buffer *out, sync_span text) {
  return sync_buffer_append(out, text);
}

static bool put_text(struct sync_buffer *out, const char *text) {
  return put(out, sync_span_of(text));
}

/* A comma, but for the first member. */
static bool put_comma(struct sync_buffer *out) {
  return out->length == 1 || put_text(out, ",");
}

static bool put_value(struct sync_buffer *out, sync_span name, sync_span value) {
  return put_comma(out) && put_text(out, "\"") && put(out, name) && put_text(out, "\":") && put(out, value);
}

/* Writes the patch; false: no memory. */
static bool write_patch(struct sync_change_reader *reader, const struct part *part) {
  struct sync_buffer *out = &reader->patch;
  if (!put_text(out, "{")) return false;
  for (size_t i = 0; part->body && i < part->body->count; i++) {
    const struct sync_member *member = &part->body->list[i];
    if (!belongs(reader, part, member)) continue;
    const char *end = member->text.bytes + member->text.length;
    if (!put_comma(out) || !put(out, (sync_span){member->begin, (size_t)(end - member->begin)})) return false;
  }
  if (part->value.length > 0 && !put_value(out, sync_order_name(reader->names, part->rule->role), part->value))
    return false;
  return put_text(out, "}");
}

/* ---- reading ----------------------------------------------------------------------------------------------------- */

/* Decides what of the event is about the order, and whose it is. false: no memory. */
static bool find_part(struct sync_change_reader *reader, const struct sync_news *news, struct part *part,
                      sync_span *order_id) {
  sync_span own;
  part->rule = rule_of(news->type);
  part->flat = reader->order.text.length == 0;
  part->body = part->flat ? &reader->data : &reader->order;
  part->value = value_of(part->rule, &reader->data);
  if (!read_own_id(reader, part->body, &own)) return false;
  *order_id = news->order_id.length > 0 ? news->order_id : own;
  bool other =
      own.length > 0 && !sync_span_same(own, *order_id); /* about another order: then it says nothing of this one */
  bool elsewhere = part->flat && (!part->rule || part->rule->fixed);
  if (other || elsewhere) part->body = NULL;
  return true;
}

/* Makes the patch; SYNC_CHANGE_NONE: there would be nothing in it. */
static enum sync_change_outcome make_patch(struct sync_change_reader *reader, const struct part *part,
                                           sync_span *patch) {
  if (is_complete(reader, part)) {
    *patch = part->body->text;
    return part->body->count > 0 ? SYNC_CHANGE_READ : SYNC_CHANGE_NONE;
  }
  if (!write_patch(reader, part)) return SYNC_CHANGE_NO_MEMORY;
  *patch = sync_buffer_span(&reader->patch);
  return patch->length > strlen("{}") ? SYNC_CHANGE_READ : SYNC_CHANGE_NONE;
}

enum sync_change_outcome sync_change_read(struct sync_change_reader *reader, const struct sync_news *news,
                                          struct sync_change *change) {
  struct part part;
  *change = (struct sync_change){.source = SYNC_SOURCE_STREAM};
  sync_buffer_clear(&reader->patch);
  sync_buffer_clear(&reader->order_id);
  sync_buffer_clear(&reader->previous_stage);
  if (is_silent(news->type)) return SYNC_CHANGE_NONE;
  if (!read_objects(reader, news->data) || !find_part(reader, news, &part, &change->order_id))
    return SYNC_CHANGE_NO_MEMORY;
  if (change->order_id.length == 0) return SYNC_CHANGE_NONE;
  if (!read_previous_stage(reader, part.rule, &change->previous_stage)) return SYNC_CHANGE_NO_MEMORY;
  int64_t at_ms = sync_time_parse(news->timestamp);
  change->at_ms = at_ms > 0 ? at_ms : 0;
  change->deleted = sync_span_is(news->type, "order_deleted");
  enum sync_change_outcome outcome = change->deleted ? SYNC_CHANGE_READ : make_patch(reader, &part, &change->patch);
  bool created = sync_span_is(news->type, "order_created"); /* news even if there is nothing more to say */
  return outcome == SYNC_CHANGE_NONE && created ? SYNC_CHANGE_READ : outcome;
}

void sync_change_reader_init(struct sync_change_reader *reader, const sync_allocator *alloc,
                             const struct sync_order_names *names) {
  reader->names = names;
  sync_object_init(&reader->data, alloc);
  sync_object_init(&reader->order, alloc);
  sync_buffer_init(&reader->patch, alloc);
  sync_buffer_init(&reader->order_id, alloc);
  sync_buffer_init(&reader->previous_stage, alloc);
}

void sync_change_reader_fini(struct sync_change_reader *reader) {
  sync_object_fini(&reader->data);
  sync_object_fini(&reader->order);
  sync_buffer_fini(&reader->patch);
  sync_buffer_fini(&reader->order_id);
  sync_buffer_fini(&reader->previous_stage);
}

const char *sync_source_name(sync_source source) {
  static const char *const names[] = {"stream", "poll", "backfill"};
  return names[source];
}
