/* record.c - how the order book holds an order. A record that grows may move: whoever changes one goes on with what
 * sync_record_fill() gives. */
#include "record.h"

#include <string.h>

#include "span.h"

/* Blocks grow by steps, so that most changes of a word stay in place. C libraries hand out multiples of 16 bytes, and
 * keep a word of each to themselves. */
#define RECORD_STEP    16u
#define LIBRARYS_BYTES 8u

static sync_span span_in(const struct sync_record *record, size_t at, size_t length) {
  return (sync_span){record->bytes + at, length};
}

sync_span sync_record_id(const struct sync_record *record) {
  return span_in(record, 0, record->id_length);
}

sync_span sync_record_json(const struct sync_record *record) {
  return span_in(record, record->id_length, record->json_length);
}

sync_span sync_record_text(const struct sync_record *record, enum sync_record_text which) {
  return span_in(record, record->text_at[which], record->text_length[which]);
}

bool sync_record_listed(const struct sync_record *record) {
  return record->json_length > 0;
}

struct sync_record *sync_record_find(const struct sync_book *book, sync_span id) {
  const union sync_map_value *value = sync_map_find(&book->by_id, id);
  return value ? value->pointer : NULL;
}

/* ---- texts ------------------------------------------------------------------------------------------------------- */

static const enum sync_order_role text_roles[SYNC_RECORD_TEXTS] = {SYNC_ORDER_STAGE, SYNC_ORDER_PAYMENT,
                                                                   SYNC_ORDER_STATUS};

/* The member of the merged order that has `role`, or NULL. */
static const struct sync_member *merged_member(const struct sync_book *book, enum sync_order_role role) {
  const struct sync_member *member = sync_order_find(book->names, &book->patch, role);
  if (!member || member->at == SYNC_MEMBER_NOWHERE) member = sync_order_find(book->names, &book->known, role);
  return member && member->at != SYNC_MEMBER_NOWHERE ? member : NULL;
}

bool sync_record_find_texts(struct sync_book *book, struct sync_record_content *content) {
  for (int i = 0; i < SYNC_RECORD_TEXTS; i++) {
    const struct sync_member *member = merged_member(book, text_roles[i]);
    size_t end = book->text.length;
    sync_span plain;
    content->text_at[i] = content->text_length[i] = 0;
    if (!member) continue;
    if (!sync_json_plain(member->text, &book->text, &plain)) return false;
    size_t at = book->text.length > end ? end : member->at + (size_t)(plain.bytes - member->text.bytes);
    if (plain.length == 0 || plain.length > UINT16_MAX) continue;
    content->text_at[i] = (uint32_t)at;
    content->text_length[i] = (uint16_t)plain.length;
  }
  return true;
}

/* ---- room -------------------------------------------------------------------------------------------------------- */

/* What a record takes, its id in the table included. */
static size_t cost_of(const struct sync_record *record) {
  return (size_t)record->room + record->id_length + 1;
}

static size_t room_for(size_t id_length, size_t text_length) {
  size_t bytes = LIBRARYS_BYTES + sizeof(struct sync_record) + id_length + text_length;
  return (bytes + RECORD_STEP - 1) / RECORD_STEP * RECORD_STEP - LIBRARYS_BYTES;
}

static struct sync_record *record_new(struct sync_book *book, sync_span id, size_t room) {
  struct sync_record *record = sync_alloc_zeroed(book->alloc, room);
  if (!record) return NULL;
  union sync_map_value *value = sync_map_put(&book->by_id, id);
  if (!value) {
    sync_alloc_free(book->alloc, record);
    return NULL;
  }
  value->pointer = record;
  record->link = (struct sync_book_link){&record->link, &record->link};
  record->note = (struct sync_book_link){&record->note, &record->note};
  record->whole = record->last = sync_stamp_none;
  record->room = (uint32_t)room;
  record->id_length = (uint32_t)id.length;
  memcpy(record->bytes, id.bytes, id.length);
  book->bytes += cost_of(record);
  return record;
}

/* The record in a block of another size; its neighbours and the table learn where it is now. */
static struct sync_record *record_resize(struct sync_book *book, struct sync_record *record, size_t room) {
  struct sync_record *moved = sync_alloc_resize(book->alloc, record, room);
  if (!moved) return NULL;
  book->bytes += room - moved->room;
  moved->room = (uint32_t)room;
  moved->link.previous->next = moved->link.next->previous = &moved->link;
  moved->note.previous->next = moved->note.next->previous = &moved->note;
  sync_map_find(&book->by_id, sync_record_id(moved))->pointer = moved;
  return moved;
}

/* A block that has become twice too large is given back; if that fails, it is kept. */
static struct sync_record *make_room(struct sync_book *book, struct sync_record *record, sync_span id, size_t length) {
  size_t room = room_for(id.length, length);
  if (!record) return record_new(book, id, room);
  if (room > record->room) return record_resize(book, record, room);
  struct sync_record *smaller = room < record->room / 2 ? record_resize(book, record, room) : NULL;
  return smaller ? smaller : record;
}

struct sync_record *sync_record_fill(struct sync_book *book, struct sync_record *record, sync_span id,
                                     const struct sync_record_content *content) {
  record = make_room(book, record, id, content->text.length);
  if (!record) return NULL;
  if (content->text.length) memcpy(record->bytes + record->id_length, content->text.bytes, content->text.length);
  record->json_length = content->json_length;
  for (int i = 0; i < SYNC_RECORD_TEXTS; i++) {
    record->text_at[i] = record->id_length + content->text_at[i];
    record->text_length[i] = content->text_length[i];
  }
  return record;
}

/* ---- rings ------------------------------------------------------------------------------------------------------- */

enum sync_book_class sync_record_class(sync_span stage, sync_span status) {
  bool final = sync_span_is(stage, "paid") || sync_span_is(status, "picked_up") || sync_span_is(status, "cancelled");
  return final ? SYNC_BOOK_FINAL : SYNC_BOOK_OPEN;
}

/* Where it was, there is a gap no more; it is alone. */
static void leave_ring(struct sync_book_link *link) {
  link->previous->next = link->next;
  link->next->previous = link->previous;
  *link = (struct sync_book_link){link, link};
}

/* Out of the ring it is in, and first in the one with this head. */
static void move_to(struct sync_book_link *head, struct sync_book_link *link) {
  leave_ring(link);
  *link = (struct sync_book_link){head, head->next};
  head->next = head->next->previous = link;
}

void sync_record_note(struct sync_book *book, struct sync_record *record) {
  move_to(&book->noted, &record->note);
  record->noted = book->clock;
}

const struct sync_record *sync_record_of_note(const struct sync_book_link *note) {
  return (const struct sync_record *)(const void *)((const char *)note - offsetof(struct sync_record, note));
}

void sync_record_file(struct sync_book *book, struct sync_record *record) {
  bool alone = record->link.next == &record->link;
  if (!alone) book->tombstones -= record->class == SYNC_BOOK_TOMBSTONES;
  enum sync_book_class class = SYNC_BOOK_TOMBSTONES;
  if (sync_record_listed(record))
    class =
        sync_record_class(sync_record_text(record, SYNC_RECORD_STAGE), sync_record_text(record, SYNC_RECORD_STATUS));
  record->class = class;
  record->changed = book->clock;
  move_to(&book->lists[class], &record->link);
  sync_record_note(book, record);
  book->tombstones += class == SYNC_BOOK_TOMBSTONES;
}

void sync_record_drop(struct sync_book *book, struct sync_record *record) {
  book->tombstones -= record->class == SYNC_BOOK_TOMBSTONES;
  book->bytes -= cost_of(record);
  leave_ring(&record->link);
  leave_ring(&record->note);
  sync_map_remove(&book->by_id, sync_record_id(record));
  sync_alloc_free(book->alloc, record);
}

/* ---- the bound --------------------------------------------------------------------------------------------------- */

bool sync_record_too_many(const struct sync_book *book, size_t records, size_t bytes) {
  return book->by_id.count + records > book->limit || book->bytes + bytes > book->limit_bytes;
}

struct sync_record *sync_record_first_to_go(const struct sync_book *book, const struct sync_record *spared) {
  for (int class = SYNC_BOOK_TOMBSTONES; class < SYNC_BOOK_CLASSES; class ++) {
    struct sync_book_link *oldest = book->lists[class].previous;
    if (oldest == &book->lists[class]) continue;
    struct sync_record *record = (struct sync_record *)(void *)oldest;
    if (record != spared || class == SYNC_BOOK_TOMBSTONES) return record;
  }
  return NULL;
}

void sync_record_evict(struct sync_book *book, const struct sync_record *spared) {
  struct sync_record *victim;
  while (sync_record_too_many(book, 0, 0) && (victim = sync_record_first_to_go(book, spared))) {
    book->evicted += sync_record_listed(victim);
    if (book->watcher) book->watcher(book->watcher_arg, sync_record_id(victim));
    sync_record_drop(book, victim);
  }
}
