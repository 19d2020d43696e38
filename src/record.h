/*
 * record.h - how the order book holds an order: one block of memory with all of it. Private to the book.
 *
 * Here is where orders are kept, found, filed by class and thrown out; what becomes of an order is decided in book.c.
 */
#ifndef SYNC_RECORD_H
#define SYNC_RECORD_H

#include "book.h"
#include "stamp.h"

/* The texts of an order that are known in plain. */
enum sync_record_text { SYNC_RECORD_STAGE, SYNC_RECORD_PAYMENT, SYNC_RECORD_STATUS, SYNC_RECORD_TEXTS };

/* Where a text is in `bytes` of the record. */
struct sync_record_span {
  uint32_t at;
  uint32_t length;
};

struct sync_record {
  struct sync_book_link link; /* in the ring of its class */
  uint64_t changed;           /* book->clock at that time; a ring is in this order */
  uint64_t mentioned;
  struct sync_stamp whole; /* the order is known in whole as of this */
  struct sync_stamp last;  /* the newest of what is known of it */
  uint64_t later;          /* members, as bits of merge.h, that are newer than `whole` */
  int64_t as_of_ms;
  uint32_t room; /* bytes of the block */
  uint32_t id_length;
  uint32_t json_length; /* 0: a tombstone */
  struct sync_record_span texts[SYNC_RECORD_TEXTS];
  uint8_t class;  /* enum sync_book_class */
  uint8_t source; /* sync_source */
  bool silent;    /* no event has told of the last change */
  char bytes[];   /* the id; the JSON; those texts that have escapes in it, without */
};

/* What a record will be filled with. */
struct sync_record_content {
  sync_span text; /* the JSON and what is behind it */
  uint32_t json_length;
  struct sync_record_span texts[SYNC_RECORD_TEXTS]; /* counted from the beginning of `text` */
};

sync_span sync_record_id(const struct sync_record *record);
sync_span sync_record_json(const struct sync_record *record);
sync_span sync_record_text(const struct sync_record *record, enum sync_record_text which);

/* Whether it is an order and not a tombstone. */
bool sync_record_listed(const struct sync_record *record);

/* The record of `id`, or NULL. */
struct sync_record *sync_record_find(const struct sync_book *book, sync_span id);

/* The record (NULL: a new one, called `id`) filled with `content`, at its place in memory from now on. NULL: no memory,
 * and nothing has changed. A new one is in no ring yet, and nothing else is known of it. */
struct sync_record *sync_record_fill(struct sync_book *book, struct sync_record *record, sync_span id,
                                     const struct sync_record_content *content);

/* Files it as the one that was changed last, in the ring of the class that its texts put it in. */
void sync_record_file(struct sync_book *book, struct sync_record *record);

/* The class of an order with this stage and status. */
enum sync_book_class sync_record_class(sync_span stage, sync_span status);

/* Whether `records` more of `bytes` bytes would be too many. */
bool sync_record_too_many(const struct sync_book *book, size_t records, size_t bytes);

/* The record that goes first, were there too many; not `spared` (may be NULL), unless it is a tombstone. NULL: none. */
struct sync_record *sync_record_first_to_go(const struct sync_book *book, const struct sync_record *spared);

/* Throws records out until there are not too many. */
void sync_record_evict(struct sync_book *book, const struct sync_record *spared);

/* Throws one out. */
void sync_record_drop(struct sync_book *book, struct sync_record *record);

#endif
