/* copy.c - the order book as it is kept elsewhere: what a copy has to be told, and how a book is made of one. */
#include "record.h"

/* ---- out --------------------------------------------------------------------------------------------------------- */

static void describe(const struct sync_record *record, struct sync_book_entry *entry) {
  *entry = (struct sync_book_entry){
      .id = sync_record_id(record),
      .json = sync_record_json(record),
      .changed = record->changed,
      .whole = record->whole,
      .last = record->last,
      .later = record->later,
      .as_of_ms = record->as_of_ms,
      .source = record->source,
      .silent = record->silent,
  };
}

bool sync_book_each_changed(const struct sync_book *book, uint64_t since, sync_order_place *place,
                            struct sync_book_entry *entry) {
  const struct sync_book_link *note = place->begun ? place->next[0] : book->noted.next;
  place->begun = true;
  place->next[0] = note;
  if (note == &book->noted) return false;
  const struct sync_record *record = sync_record_of_note(note);
  if (record->noted <= since) return false;
  place->next[0] = note->next;
  describe(record, entry);
  return true;
}

void sync_book_watch(struct sync_book *book, sync_book_watcher *watcher, void *arg) {
  book->watcher = watcher;
  book->watcher_arg = arg;
}

/* ---- and back ---------------------------------------------------------------------------------------------------- */

/* Reads an order into book->text as the outcome of a merge would be there. */
static sync_code read_order(struct sync_book *book, sync_span json, struct sync_record_content *content) {
  struct sync_object *order = &book->patch;
  sync_code code = sync_object_read(order, json);
  if (code == SYNC_OK) code = sync_object_read(&book->known, (sync_span){"{}", 2});
  if (code != SYNC_OK) return code;
  sync_buffer_clear(&book->text);
  if (!sync_buffer_append(&book->text, json)) return SYNC_NO_MEMORY;
  for (size_t i = 0; i < order->count; i++) order->list[i].at = (size_t)(order->list[i].text.bytes - json.bytes);
  content->json_length = (uint32_t)json.length;
  if (!sync_record_find_texts(book, content)) return SYNC_NO_MEMORY;
  content->text = sync_buffer_span(&book->text);
  return SYNC_OK;
}

/* Files the record as its entry says; what was changed later than this is yet to come. */
static void reinstate(struct sync_book *book, struct sync_record *record, const struct sync_book_entry *entry) {
  book->clock = entry->changed > book->clock ? entry->changed : book->clock + 1;
  record->mentioned = book->clock;
  record->whole = entry->whole;
  record->last = entry->last;
  record->later = entry->later;
  record->as_of_ms = entry->as_of_ms;
  record->source = entry->source;
  record->silent = entry->silent;
  sync_record_file(book, record);
  sync_record_evict(book, record);
}

static bool is_too_long(const struct sync_book_entry *entry) {
  return entry->id.length > SYNC_BOOK_ORDER_BYTES_MAX ||
         entry->json.length > SYNC_BOOK_ORDER_BYTES_MAX - entry->id.length;
}

bool sync_book_restore(struct sync_book *book, const struct sync_book_entry *entry) {
  struct sync_record_content content = {.text = {NULL, 0}};
  if (sync_record_find(book, entry->id)) return true;
  sync_code code = entry->id.length == 0 || is_too_long(entry) ? SYNC_EVENT_JSON : SYNC_OK;
  if (code == SYNC_OK && entry->json.length > 0) code = read_order(book, entry->json, &content);
  if (code == SYNC_EVENT_JSON) {
    book->refused++;
    return true;
  }
  struct sync_record *record = code == SYNC_OK ? sync_record_fill(book, NULL, entry->id, &content) : NULL;
  if (record) reinstate(book, record, entry);
  return record != NULL;
}
