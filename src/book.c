/* book.c - what becomes of an order when news of it come. Where memory can run out, nothing has been changed yet: an
 * order is merged into a buffer first, and then moves into its record in one step. */
#include "book.h"

#include <string.h>

#include "record.h"

/* How much of a change counts. */
enum standing {
  ABOVE,  /* all of it: nothing newer is known */
  BESIDE, /* it is newer than the whole order is, but events have told of some members since */
  BELOW,  /* nothing */
};

/* A change on its way into the book. */
struct attempt {
  struct sync_book *book;
  const struct sync_change *change;
  struct sync_book_effect *effect;
  struct sync_record *record; /* NULL: there is none of this order */
  bool listed;
  struct sync_stamp stamp;
  enum standing standing;
  struct sync_merge merge;
};

/* ---- how much counts --------------------------------------------------------------------------------------------- */

/* A snapshot that tells no age, or the same age, shows the order as it was when the snapshot was asked for, or later:
 * it is right unless something was heard in between. */
static bool was_mentioned_since(const struct attempt *attempt) {
  return attempt->record->mentioned > attempt->change->mark;
}

static enum standing stand(const struct attempt *attempt) {
  const struct sync_record *record = attempt->record;
  bool whole = attempt->change->whole;
  if (!record) return ABOVE;
  enum sync_age age = sync_stamp_age(&attempt->stamp, whole, &record->last);
  if (age == SYNC_AGE_NEWER) return ABOVE;
  if (age != SYNC_AGE_OLDER) return whole && was_mentioned_since(attempt) ? BESIDE : ABOVE;
  return sync_stamp_age(&attempt->stamp, whole, &record->whole) == SYNC_AGE_OLDER ? BELOW : BESIDE;
}

/* What the book knows from now on. A copy that missed it would take older news for newer, one day. */
static void settle(const struct attempt *attempt, struct sync_record *record) {
  const struct sync_change *change = attempt->change;
  const struct sync_stamp whole = record->whole, last = record->last;
  uint64_t later = record->later;
  bool above = attempt->standing == ABOVE;
  if (above || change->whole) sync_stamp_raise(&record->last, &attempt->stamp);
  if (!change->whole) {
    record->later |= attempt->merge.taken;
  } else if (above) {
    record->later = 0;
    record->whole = record->last;
  } else {
    record->later = attempt->merge.kept;
    sync_stamp_raise(&record->whole, &attempt->stamp);
  }
  record->mentioned = attempt->book->clock;
  if (later != record->later || !sync_stamp_same(&whole, &record->whole) || !sync_stamp_same(&last, &record->last))
    sync_record_note(attempt->book, record);
}

/* The order is so as of now. */
static void confirm(const struct attempt *attempt, struct sync_record *record) {
  if (record->as_of_ms < attempt->change->as_of_ms) record->as_of_ms = attempt->change->as_of_ms;
}

/* ---- merging ----------------------------------------------------------------------------------------------------- */

/* Appends `text` as a JSON string; false: no memory. */
static bool put_string(struct sync_buffer *out, sync_span text) {
  static const char digits[] = "0123456789abcdef";
  if (!sync_buffer_reserve(out, text.length * strlen("\\u0000") + 2)) return false;
  char *next = out->bytes + out->length;
  *next++ = '"';
  for (size_t i = 0; i < text.length; i++) {
    unsigned char byte = (unsigned char)text.bytes[i];
    if (byte < ' ') {
      memcpy(next, "\\u00", 4);
      next[4] = digits[byte >> 4];
      next[5] = digits[byte & 15];
      next += 6;
      continue;
    }
    if (byte == '"' || byte == '\\') *next++ = '\\';
    *next++ = (char)byte;
  }
  *next++ = '"';
  out->length = (size_t)(next - out->bytes);
  return true;
}

/* An order that only has its id, in `out`; false: no memory. */
static bool write_seed(const struct attempt *attempt, struct sync_buffer *out) {
  sync_span name = sync_order_name(attempt->book->names, SYNC_ORDER_ID);
  sync_buffer_clear(out);
  return sync_buffer_append(out, (sync_span){"{", 1}) && put_string(out, name) &&
         sync_buffer_append(out, (sync_span){":", 1}) && put_string(out, attempt->change->order_id) &&
         sync_buffer_append(out, (sync_span){"}", 1});
}

static bool has_id(const struct attempt *attempt, const struct sync_object *order) {
  return sync_order_find(attempt->book->names, order, SYNC_ORDER_ID) != NULL;
}

/* Reads the order as the book has it. One that is not listed is empty but for its id, if the patch does not tell it:
 * every order has one. false: no memory. */
static bool read_known(const struct attempt *attempt) {
  struct sync_book *book = attempt->book;
  sync_span json = {"{}", 2};
  if (attempt->listed) {
    json = sync_record_json(attempt->record);
  } else if (!has_id(attempt, &book->patch)) {
    if (!write_seed(attempt, &book->before)) return false;
    json = sync_buffer_span(&book->before);
  }
  return sync_object_read(&book->known, json) == SYNC_OK;
}

/* Merges the change into what is known, in book->text; false: no memory. */
static bool merge(struct attempt *attempt) {
  struct sync_book *book = attempt->book;
  if (!read_known(attempt)) return false;
  attempt->merge.whole = attempt->change->whole;
  if (attempt->listed && attempt->standing == BESIDE) attempt->merge.keep = attempt->record->later;
  if (!has_id(attempt, &book->patch)) {
    const struct sync_member *id = sync_order_find(book->names, &book->known, SYNC_ORDER_ID);
    attempt->merge.keep |= sync_member_bit((size_t)(id - book->known.list));
  }
  sync_buffer_clear(&book->text);
  return sync_merge_objects(&book->text, &book->known, &book->patch, &attempt->merge);
}

/* ---- what came of it --------------------------------------------------------------------------------------------- */

static unsigned part_of(const struct sync_book *book, const struct sync_member *member) {
  if (!member->differs) return 0;
  switch (sync_order_role_of(book->names, member->name)) {
  case SYNC_ORDER_STAGE: return SYNC_BOOK_STAGE;
  case SYNC_ORDER_PAYMENT: return SYNC_BOOK_PAYMENT;
  case SYNC_ORDER_STATUS: return SYNC_BOOK_STATUS;
  case SYNC_ORDER_UPDATED:
  case SYNC_ORDER_NUMBER: return SYNC_BOOK_STAMP;
  default: return SYNC_BOOK_OTHER;
  }
}

static unsigned changed_parts(const struct sync_book *book) {
  unsigned parts = 0;
  for (size_t i = 0; i < book->patch.count; i++) parts |= part_of(book, &book->patch.list[i]);
  for (size_t i = 0; i < book->known.count; i++) parts |= part_of(book, &book->known.list[i]);
  return parts;
}

/* Copies a text of the record; there is room for it. */
static sync_span keep_text(struct sync_buffer *out, const struct sync_record *record, enum sync_record_text which) {
  sync_span text = sync_record_text(record, which);
  sync_span kept = {out->bytes + out->length, text.length};
  (void)sync_buffer_append(out, text);
  return kept;
}

/* Tells what a listed order was before; false: no memory. */
static bool tell_before(const struct attempt *attempt) {
  struct sync_buffer *out = &attempt->book->before;
  const struct sync_record *record = attempt->record;
  struct sync_book_effect *effect = attempt->effect;
  size_t most = 0;
  for (int i = 0; i < SYNC_RECORD_TEXTS; i++) most += record->text_length[i];
  sync_buffer_clear(out);
  if (!sync_buffer_reserve(out, most + 1)) return false; /* never NULL, that spans can be made from it */
  if (record->text_length[SYNC_RECORD_STAGE] > 0) effect->previous_stage = keep_text(out, record, SYNC_RECORD_STAGE);
  effect->previous_payment = keep_text(out, record, SYNC_RECORD_PAYMENT);
  effect->previous_status = keep_text(out, record, SYNC_RECORD_STATUS);
  return true;
}

/* ---- taking in --------------------------------------------------------------------------------------------------- */

static enum sync_book_outcome note_older(const struct attempt *attempt) {
  attempt->record->mentioned = attempt->book->clock;
  attempt->book->older++;
  return SYNC_BOOK_OLDER;
}

static sync_span text_in(const struct sync_record_content *content, enum sync_record_text which) {
  return (sync_span){content->text.bytes + content->text_at[which], content->text_length[which]};
}

/* Whether a snapshot's order finds no place, because only such would have to go for it that matter as much, and that
 * the same snapshot has mentioned. */
static bool finds_no_place(const struct attempt *attempt, const struct sync_record_content *content) {
  const struct sync_book *book = attempt->book;
  size_t bytes = sizeof(struct sync_record) + attempt->change->order_id.length + content->text.length;
  if (attempt->record || !attempt->change->whole || !sync_record_too_many(book, 1, bytes)) return false;
  const struct sync_record *first = sync_record_first_to_go(book, NULL);
  enum sync_book_class own =
      sync_record_class(text_in(content, SYNC_RECORD_STAGE), text_in(content, SYNC_RECORD_STATUS));
  return first && first->class >= own && first->mentioned > attempt->change->mark;
}

/* Makes the merged order the one that the book has. */
static enum sync_book_outcome replace(struct attempt *attempt) {
  struct sync_book *book = attempt->book;
  struct sync_record_content content = {.json_length = (uint32_t)book->text.length};
  if (book->text.length + attempt->change->order_id.length > SYNC_BOOK_ORDER_BYTES_MAX) return SYNC_BOOK_REFUSED;
  if (!sync_record_find_texts(book, &content)) return SYNC_BOOK_NO_MEMORY;
  content.text = sync_buffer_span(&book->text);
  if (finds_no_place(attempt, &content)) return SYNC_BOOK_FULL;
  if (attempt->listed && !tell_before(attempt)) return SYNC_BOOK_NO_MEMORY;
  attempt->effect->changed = changed_parts(book);
  struct sync_record *record = sync_record_fill(book, attempt->record, attempt->change->order_id, &content);
  if (!record) return SYNC_BOOK_NO_MEMORY;
  settle(attempt, record);
  confirm(attempt, record);
  record->source = attempt->change->source;
  record->silent = attempt->change->silent;
  sync_record_file(book, record);
  sync_record_evict(book, record);
  return attempt->listed ? SYNC_BOOK_CHANGED : SYNC_BOOK_NEW;
}

/* What was redacted on disk is known again. Nothing else is new, so the order keeps its place, and what is left of it
 * on disk is right. false: no memory. */
static bool reveal(struct attempt *attempt) {
  struct sync_book *book = attempt->book;
  struct sync_record_content content = {.json_length = (uint32_t)book->text.length};
  if (book->text.length + attempt->change->order_id.length > SYNC_BOOK_ORDER_BYTES_MAX) return true;
  if (!sync_record_find_texts(book, &content)) return false;
  content.text = sync_buffer_span(&book->text);
  struct sync_record *record = sync_record_fill(book, attempt->record, attempt->change->order_id, &content);
  if (!record) return false;
  attempt->record = record;
  sync_record_evict(book, record);
  return true;
}

static enum sync_book_outcome take(struct attempt *attempt) {
  struct sync_book *book = attempt->book;
  const struct sync_change *change = attempt->change;
  sync_code code = sync_object_read(&book->patch, change->patch.length > 0 ? change->patch : (sync_span){"{}", 2});
  if (code != SYNC_OK) return code == SYNC_NO_MEMORY ? SYNC_BOOK_NO_MEMORY : SYNC_BOOK_REFUSED;
  attempt->stamp = sync_stamp_read(book->names, &book->patch, change->at_ms);
  attempt->standing = stand(attempt);
  bool buried = attempt->record && !attempt->listed;
  if (attempt->standing == BELOW || (buried && attempt->standing != ABOVE)) return note_older(attempt);
  if (!merge(attempt)) return SYNC_BOOK_NO_MEMORY;
  if (!attempt->listed || attempt->merge.differs) return replace(attempt);
  if (attempt->merge.revealed && !reveal(attempt)) return SYNC_BOOK_NO_MEMORY;
  settle(attempt, attempt->record);
  if (attempt->merge.disputed) return note_older(attempt);
  confirm(attempt, attempt->record);
  return SYNC_BOOK_SAME;
}

/* ---- deleting ---------------------------------------------------------------------------------------------------- */

/* How new a tombstone is: as the deletion, by one time or, without any, by number. Not both: an order that is made
 * again may count from 1 again. */
static struct sync_stamp stamp_of_tombstone(const struct attempt *attempt) {
  struct sync_stamp stamp = attempt->record ? attempt->record->last : sync_stamp_none;
  sync_stamp_raise(&stamp, &attempt->stamp);
  stamp.told_ms = sync_stamp_latest_ms(&stamp);
  stamp.updated_ms = 0;
  if (stamp.told_ms) stamp.number = SYNC_STAMP_NO_NUMBER;
  return stamp;
}

static enum sync_book_outcome bury(struct attempt *attempt) {
  static const struct sync_record_content nothing = {.text = {NULL, 0}};
  struct sync_book *book = attempt->book;
  struct sync_record *record = attempt->record;
  attempt->stamp = (struct sync_stamp){SYNC_STAMP_NO_NUMBER, 0, attempt->change->at_ms};
  if (record && sync_stamp_age(&attempt->stamp, false, &record->last) == SYNC_AGE_OLDER) return note_older(attempt);
  if (attempt->listed && !tell_before(attempt)) return SYNC_BOOK_NO_MEMORY;
  struct sync_stamp stamp = stamp_of_tombstone(attempt);
  record = sync_record_fill(book, record, attempt->change->order_id, &nothing);
  if (!record) return SYNC_BOOK_NO_MEMORY;
  record->whole = record->last = stamp; /* nothing is all there is to it */
  record->later = 0;
  record->mentioned = book->clock;
  sync_record_file(book, record);
  sync_record_evict(book, record);
  return attempt->listed ? SYNC_BOOK_DELETED : SYNC_BOOK_SAME;
}

enum sync_book_outcome sync_book_apply(struct sync_book *book, const struct sync_change *change,
                                       struct sync_book_effect *effect) {
  enum sync_book_outcome outcome = SYNC_BOOK_REFUSED;
  *effect = (struct sync_book_effect){.previous_stage = change->previous_stage};
  book->clock++;
  if (change->order_id.length > 0 && change->order_id.length <= SYNC_BOOK_ORDER_BYTES_MAX) {
    struct attempt attempt = {.book = book, .change = change, .effect = effect};
    attempt.record = sync_record_find(book, change->order_id);
    attempt.listed = attempt.record && sync_record_listed(attempt.record);
    outcome = change->deleted ? bury(&attempt) : take(&attempt);
  }
  if (outcome == SYNC_BOOK_NO_MEMORY) *effect = (struct sync_book_effect){.changed = 0};
  book->refused += outcome == SYNC_BOOK_REFUSED || outcome == SYNC_BOOK_FULL;
  return outcome;
}

/* ---- looking up -------------------------------------------------------------------------------------------------- */

static void describe(const struct sync_record *record, sync_order *order) {
  *order = (sync_order){
      .id = sync_record_id(record),
      .json = sync_record_json(record),
      .stage = sync_record_text(record, SYNC_RECORD_STAGE),
      .payment = sync_record_text(record, SYNC_RECORD_PAYMENT),
      .status = sync_record_text(record, SYNC_RECORD_STATUS),
      .updated_ms = sync_stamp_latest_ms(&record->last),
      .as_of_ms = record->as_of_ms,
      .source = record->source,
      .silent = record->silent,
  };
}

size_t sync_book_count(const struct sync_book *book) {
  return book->by_id.count - book->tombstones;
}

bool sync_book_get(const struct sync_book *book, sync_span id, sync_order *order) {
  const struct sync_record *record = sync_record_find(book, id);
  if (!record || !sync_record_listed(record)) return false;
  describe(record, order);
  return true;
}

/* The next record of a walk, or NULL: the one that was changed last of those that are next in their rings. */
static const struct sync_record *next_record(const struct sync_book *book, sync_order_place *cursor) {
  const struct sync_record *newest = NULL;
  for (int class = SYNC_BOOK_FINAL; class <= SYNC_BOOK_OPEN; class ++) {
    if (!cursor->begun) cursor->next[class] = book->lists[class].next;
    if (cursor->next[class] == &book->lists[class]) continue;
    const struct sync_record *record = (const struct sync_record *)(const void *)cursor->next[class];
    if (!newest || record->changed > newest->changed) newest = record;
  }
  cursor->begun = true;
  if (newest) cursor->next[newest->class] = newest->link.next;
  return newest;
}

bool sync_book_each(const struct sync_book *book, sync_order_place *cursor, sync_order *order) {
  const struct sync_record *record = next_record(book, cursor);
  if (record) describe(record, order);
  return record != NULL;
}

uint64_t sync_book_mark(const struct sync_book *book) {
  return book->clock;
}

bool sync_book_each_missing(const struct sync_book *book, uint64_t mark, sync_order_place *cursor, sync_order *order) {
  const struct sync_record *record;
  while ((record = next_record(book, cursor)) && record->mentioned > mark) continue;
  if (record) describe(record, order);
  return record != NULL;
}

/* ---- the book ---------------------------------------------------------------------------------------------------- */

void sync_book_init(struct sync_book *book, const sync_allocator *alloc, const struct sync_order_names *names,
                    size_t limit, size_t limit_bytes) {
  *book = (struct sync_book){.alloc = alloc, .names = names, .limit = limit, .limit_bytes = limit_bytes};
  for (int class = 0; class < SYNC_BOOK_CLASSES; class ++)
    book->lists[class] = (struct sync_book_link){&book->lists[class], &book->lists[class]};
  book->noted = (struct sync_book_link){&book->noted, &book->noted};
  sync_map_init(&book->by_id, alloc);
  sync_object_init(&book->known, alloc);
  sync_object_init(&book->patch, alloc);
  sync_buffer_init(&book->text, alloc);
  sync_buffer_init(&book->before, alloc);
}

void sync_book_fini(struct sync_book *book) {
  for (struct sync_record *record; (record = sync_record_first_to_go(book, NULL));) sync_record_drop(book, record);
  sync_map_fini(&book->by_id);
  sync_object_fini(&book->known);
  sync_object_fini(&book->patch);
  sync_buffer_fini(&book->text);
  sync_buffer_fini(&book->before);
  sync_book_init(book, book->alloc, book->names, book->limit, book->limit_bytes);
}

void sync_book_set_limits(struct sync_book *book, size_t limit, size_t limit_bytes) {
  book->limit = limit;
  book->limit_bytes = limit_bytes;
  sync_record_evict(book, NULL);
}
