/* snapshot.c - the orders of a snapshot, one by one. The text was checked to its end at first, so no step meets a wrong
 * byte. */
#include "snapshot.h"

#include "json.h"
#include "span.h"

static bool is_list_name(const sync_json_token *key) {
  return sync_span_is(key->text, "docs") || sync_span_is(key->text, "orders") || sync_span_is(key->text, "data");
}

/* Goes to the first element of the list. */
static bool enter_list(sync_json *json) {
  sync_json_token key, value;
  sync_span text;
  if (sync_json_next(json, &key) == SYNC_JSON_ARRAY) return true;
  if (key.kind != SYNC_JSON_OBJECT) return false;
  while (sync_json_next(json, &key) == SYNC_JSON_KEY) {
    if (sync_json_next(json, &value) == SYNC_JSON_ARRAY && is_list_name(&key)) return true;
    if (!sync_json_value(json, &value, &text)) return false;
  }
  return false;
}

bool sync_snapshot_init(struct sync_snapshot *snapshot, const sync_allocator *alloc,
                        const struct sync_order_names *names, sync_span text, size_t *at_byte) {
  *snapshot = (struct sync_snapshot){.names = names};
  sync_buffer_init(&snapshot->order_id, alloc);
  sync_json_init(&snapshot->json, text);
  *at_byte = 0;
  if (sync_json_valid(text, at_byte) && enter_list(&snapshot->json)) return true;
  sync_json_init(&snapshot->json, (sync_span){NULL, 0}); /* nothing to walk */
  return false;
}

void sync_snapshot_fini(struct sync_snapshot *snapshot) {
  sync_buffer_fini(&snapshot->order_id);
}

/* The first member of `order` that is an id; it is hardly ever far. Empty: it has none. */
static sync_span find_id(const struct sync_order_names *names, sync_span order) {
  sync_json json;
  sync_json_token key, value;
  sync_span text;
  sync_json_init(&json, order);
  if (sync_json_next(&json, &key) != SYNC_JSON_OBJECT) return (sync_span){NULL, 0};
  while (sync_json_next(&json, &key) == SYNC_JSON_KEY) {
    sync_json_next(&json, &value);
    if (!sync_json_value(&json, &value, &text)) break;
    if (!key.escaped && sync_order_role_of(names, key.text) == SYNC_ORDER_ID) return text;
  }
  return (sync_span){NULL, 0};
}

enum sync_snapshot_outcome sync_snapshot_next(struct sync_snapshot *snapshot, struct sync_change *change) {
  sync_json json = snapshot->json;
  sync_json_token token;
  sync_span text, order_id;
  while (sync_json_next(&json, &token) != SYNC_JSON_ARRAY_END) {
    if (!sync_json_value(&json, &token, &text)) return SYNC_SNAPSHOT_END; /* there was no list */
    sync_buffer_clear(&snapshot->order_id);
    if (!sync_json_plain(find_id(snapshot->names, text), &snapshot->order_id, &order_id))
      return SYNC_SNAPSHOT_NO_MEMORY;
    snapshot->json = json;
    if (order_id.length == 0) {
      snapshot->bad++;
      continue;
    }
    change->order_id = order_id;
    change->patch = text;
    change->whole = true;
    return SYNC_SNAPSHOT_ORDER;
  }
  return SYNC_SNAPSHOT_END;
}
