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

/* A record is as small as it can be: there may be a hundred thousand. */
struct sync_record {
  struct sync_book_link link; /* in the ring of its class */
  struct sync_book_link note; /* in the ring of what is to be noted */
  uint64_t changed;           /* book->clock at that time; a ring is in this order */
  uint64_t noted;             /* likewise, when what a copy of the book must know of it changed */
  uint64_t mentioned;
  struct sync_stamp whole; /* the order is known in whole as of this */
  struct sync_stamp last;  /* the newest of what is known of it */
  uint64_t later;          /* members, as bits of merge.h, that are newer than `whole` */
  int64_t as_of_ms;
  uint32_t room; /* bytes of the block */
  uint32_t id_length;
  uint32_t json_length;                /* 0: a tombstone */
  uint32_t text_at[SYNC_RECORD_TEXTS]; /* in `bytes` */
  uint16_t text_length[SYNC_RECORD_TEXTS];
  enum sync_book_class class : 4;
  sync_source source : 4;
  bool silent;  /* no event has told of the last change */
  char bytes[]; /* the id; the JSON; those texts that have escapes in it, without */
};

/* What a record will be filled with. */
struct sync_record_content {
  sync_span text; /* the JSON and what is behind it */
  uint32_t json_length;
  uint32_t text_at[SYNC_RECORD_TEXTS]; /* counted from the beginning of `text` */
  uint16_t text_length[SYNC_RECORD_TEXTS];
};

/* Finds the plain texts of the order in book->text, made of book->known and book->patch, whose members say where they
 * are; those with escapes are put behind it. One of more than 65535 bytes is none. false: no memory. */
bool sync_record_find_texts(struct sync_book *book, struct sync_record_content *content);

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

/* Files it as the one that was changed last, in the ring of the class that its texts put it in, and to be noted. */
void sync_record_file(struct sync_book *book, struct sync_record *record);

/* Files it as the one whose news a copy of the book has been waiting for the shortest. */
void sync_record_note(struct sync_book *book, struct sync_record *record);

/* The record that has this link in the ring of what is to be noted. */
const struct sync_record *sync_record_of_note(const struct sync_book_link *note);

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
