/*
 * snapshot_fuzz.c - any bytes as news about orders: as a snapshot, as the data of events of every type, and, cut in two
 * at the first line feed, as two objects to be merged. Whatever comes, the order book holds whole JSON and keeps its
 * bound.
 */
#include <assert.h>
#include <string.h>

#include "book.h"
#include "fingerprint.h"
#include "json.h"
#include "snapshot.h"
#include "span.h"

#define ORDERS_MOST 3u

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t size);

/* ---- values ------------------------------------------------------------------------------------------------------ */

static void put(struct sync_buffer *out, sync_span text) {
  bool put = sync_buffer_append(out, text);
  assert(put);
}

/* A string's text with its plain ASCII letters and digits as \u00XX. */
static void put_spelled(struct sync_buffer *out, sync_span text) {
  static const char digits[] = "0123456789ABCDEF";
  for (size_t i = 0; i < text.length; i++) {
    unsigned char byte = (unsigned char)text.bytes[i];
    size_t escape = byte != '\\' ? 0 : text.bytes[i + 1] == 'u' ? 6 : 2;
    const char spelled[] = {'\\', 'u', '0', '0', digits[byte >> 4], digits[byte & 15]};
    bool plain = byte > ' ' && byte < 127 && byte != '\\';
    put(out, plain ? (sync_span){spelled, sizeof spelled} : (sync_span){text.bytes + i, escape ? escape : 1});
    if (escape) i += escape - 1;
  }
}

/* One token in other words, with space around it; a mark before it if it needs one. */
static void put_token(struct sync_buffer *out, const sync_json_token *token, bool first) {
  bool closes = token->kind == SYNC_JSON_OBJECT_END || token->kind == SYNC_JSON_ARRAY_END;
  bool quoted = token->kind == SYNC_JSON_KEY || token->kind == SYNC_JSON_STRING;
  if (!first && !closes) put(out, sync_span_of(" , "));
  if (quoted) put(out, sync_span_of("\""));
  if (quoted)
    put_spelled(out, token->text);
  else
    put(out, closes ? sync_span_of(token->kind == SYNC_JSON_OBJECT_END ? "\n}" : "\n]") : token->text);
  if (quoted) put(out, sync_span_of("\""));
  if (token->kind == SYNC_JSON_KEY) put(out, sync_span_of("\t: "));
}

/* A text that is JSON has the fingerprint of the same text in another spelling. */
static void check_fingerprint(sync_span text) {
  struct sync_buffer other;
  sync_json json;
  sync_json_token token;
  bool first = true; /* in its container, or behind its key */
  assert((sync_json_fingerprint(text) != 0) == sync_json_valid(text, NULL));
  if (!sync_json_valid(text, NULL)) return;
  sync_buffer_init(&other, &sync_alloc_standard);
  sync_json_init(&json, text);
  while (sync_json_next(&json, &token) != SYNC_JSON_END) {
    put_token(&other, &token, first);
    first = token.kind == SYNC_JSON_OBJECT || token.kind == SYNC_JSON_ARRAY || token.kind == SYNC_JSON_KEY;
  }
  assert(sync_json_same(text, sync_buffer_span(&other)));
  sync_buffer_fini(&other);
}

/* ---- merging ----------------------------------------------------------------------------------------------------- */

struct merging {
  struct sync_object base, patch, merged;
  struct sync_buffer out;
  struct sync_merge merge;
};

/* Each member of `from` that is in the merged object is where it says it is. */
static void check_places(const struct merging *merging, const struct sync_object *from) {
  for (size_t i = 0; i < from->count; i++) {
    const struct sync_member *member = &from->list[i];
    if (member->at == SYNC_MEMBER_NOWHERE) continue;
    assert(member->at + member->text.length <= merging->out.length);
    assert(memcmp(merging->out.bytes + member->at, member->text.bytes, member->text.length) == 0);
  }
}

/* Each member of the merged object is the one it should be, and none is missing. */
static void check_members(const struct merging *merging) {
  const struct sync_object *base = &merging->base, *patch = &merging->patch, *merged = &merging->merged;
  size_t shared = 0, dropped = 0;
  for (size_t i = 0; i < base->count; i++) {
    bool kept = (merging->merge.keep & sync_member_bit(i)) != 0;
    const struct sync_member *own = &base->list[i], *other = sync_object_find(patch, own->name);
    const struct sync_member *result = sync_object_find(merged, own->name);
    shared += other != NULL;
    dropped += !result;
    if (!result)
      assert(merging->merge.whole && !kept && !other);
    else
      assert(sync_span_same(result->text, kept || !other ? own->text : other->text));
  }
  for (size_t i = 0; i < patch->count; i++) assert(sync_object_find(merged, patch->list[i].name));
  assert(merged->count == base->count + patch->count - shared - dropped);
}

static void merge_as(struct merging *merging, uint64_t keep, bool whole) {
  merging->merge = (struct sync_merge){.keep = keep, .whole = whole};
  sync_buffer_clear(&merging->out);
  bool merged = sync_merge_objects(&merging->out, &merging->base, &merging->patch, &merging->merge);
  sync_code code = sync_object_read(&merging->merged, sync_buffer_span(&merging->out));
  assert(merged && code == SYNC_OK);
  check_members(merging);
  check_places(merging, &merging->base);
  check_places(merging, &merging->patch);
}

static void merge_halves(sync_span base, sync_span patch) {
  struct merging merging;
  sync_object_init(&merging.base, &sync_alloc_standard);
  sync_object_init(&merging.patch, &sync_alloc_standard);
  sync_object_init(&merging.merged, &sync_alloc_standard);
  sync_buffer_init(&merging.out, &sync_alloc_standard);
  if (sync_object_read(&merging.base, base) == SYNC_OK && sync_object_read(&merging.patch, patch) == SYNC_OK) {
    merge_as(&merging, 0, false);
    merge_as(&merging, 0, true);
    merge_as(&merging, UINT64_MAX, false);
    merge_as(&merging, 5, true);
  }
  sync_object_fini(&merging.base);
  sync_object_fini(&merging.patch);
  sync_object_fini(&merging.merged);
  sync_buffer_fini(&merging.out);
}

/* ---- the book ---------------------------------------------------------------------------------------------------- */

static void check_book(const struct sync_book *book) {
  sync_order_place cursor = {0};
  sync_order order, again;
  size_t count = 0;
  for (; sync_book_each(book, &cursor, &order); count++) {
    assert(order.json.length > 0 && order.json.bytes[0] == '{' && sync_json_valid(order.json, NULL));
    bool found = sync_book_get(book, order.id, &again);
    assert(found && sync_span_same(order.json, again.json));
  }
  assert(count == sync_book_count(book));
  assert(book->by_id.count <= ORDERS_MOST);
}

/* What was the same has not been touched; what was taken in is there. */
static void apply(struct sync_book *book, const struct sync_change *change) {
  struct sync_book_effect effect;
  sync_order before, after;
  bool listed = sync_book_get(book, change->order_id, &before);
  uint64_t fingerprint = listed ? sync_json_fingerprint(before.json) : 0;
  enum sync_book_outcome outcome = sync_book_apply(book, change, &effect);
  assert(outcome != SYNC_BOOK_NO_MEMORY && outcome != SYNC_BOOK_REFUSED);
  bool remains = sync_book_get(book, change->order_id, &after);
  bool changed = fingerprint != (remains ? sync_json_fingerprint(after.json) : 0);
  assert(changed == (outcome == SYNC_BOOK_NEW || outcome == SYNC_BOOK_CHANGED || outcome == SYNC_BOOK_DELETED));
  assert(outcome == SYNC_BOOK_NEW || (outcome == SYNC_BOOK_CHANGED) == (effect.changed != 0));
  check_book(book);
}

static void walk_snapshot(struct sync_book *book, sync_span text) {
  struct sync_snapshot snapshot;
  size_t at_byte;
  struct sync_change change = {.source = SYNC_SOURCE_POLL, .mark = sync_book_mark(book)};
  bool found = sync_snapshot_init(&snapshot, &sync_alloc_standard, book->names, text, &at_byte);
  if (!found) assert(at_byte <= text.length);
  while (sync_snapshot_next(&snapshot, &change) == SYNC_SNAPSHOT_ORDER) {
    assert(found);
    apply(book, &change);
  }
  sync_snapshot_fini(&snapshot);
}

static void read_events(struct sync_book *book, sync_span data) {
  static const char *const types[] = {"stage_change",  "payment_update", "status_update", "qr_generated",
                                      "order_created", "order_deleted",  "table_moved",   "heartbeat"};
  struct sync_change_reader reader;
  struct sync_change change;
  sync_change_reader_init(&reader, &sync_alloc_standard, book->names);
  for (size_t i = 0; i < sizeof types / sizeof *types; i++) {
    struct sync_news news = {sync_span_of(types[i]), sync_span_of(i % 2 ? "A" : ""),
                             sync_span_of("2026-11-22T10:00:00Z"), data};
    enum sync_change_outcome outcome = sync_change_read(&reader, &news, &change);
    assert(outcome != SYNC_CHANGE_NO_MEMORY);
    if (outcome == SYNC_CHANGE_READ) apply(book, &change);
  }
  sync_change_reader_fini(&reader);
}

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t size) {
  sync_span text = {size ? (const char *)bytes : "", size};
  const char *cut = memchr(text.bytes, '\n', size);
  size_t half = cut ? (size_t)(cut - text.bytes) : size;
  struct sync_order_names names;
  struct sync_book book;
  sync_order_names_init(&names);
  sync_book_init(&book, &sync_alloc_standard, &names, ORDERS_MOST, SYNC_BOOK_BYTES);
  check_fingerprint(text);
  merge_halves((sync_span){text.bytes, half}, (sync_span){text.bytes + half, size - half});
  walk_snapshot(&book, text);
  read_events(&book, text);
  walk_snapshot(&book, text);
  sync_book_fini(&book);
  return 0;
}
