/*
 * book.h - the order book: the latest known state of each order, made of events and snapshots.
 *
 * An event vouches for the members that it names, a snapshot for the whole order. So the book keeps, of each order, how
 * new it is as a whole and which members events have changed since; a snapshot that is newer than the one before, but
 * not newer than those events, renews the others and leaves these alone. What is older than the whole changes nothing.
 *
 * A deleted order leaves a tombstone, lest an older snapshot brings it back. Both orders and tombstones are bounded:
 * beyond it tombstones go first, then orders in a final state, then the others, each the least recently changed first.
 *
 * The book owns copies of all that it holds; it is told the time and never asks for it.
 */
#ifndef SYNC_BOOK_H
#define SYNC_BOOK_H

#include "change.h"
#include "map.h"
#include "merge.h"
#include "stamp.h"

/* Defaults of the bound. A hundred thousand orders of 300 bytes of JSON take less than 64 MB in all. */
#define SYNC_BOOK_ORDERS UINT32_C(100000)
#define SYNC_BOOK_BYTES  (UINT64_C(256) << 20)

/* One order is not allowed more JSON than this: events that add members could make it grow without end. */
#define SYNC_BOOK_ORDER_BYTES_MAX (UINT32_C(4) << 20)

struct sync_record;

struct sync_book_link {
  struct sync_book_link *previous; /* changed more recently */
  struct sync_book_link *next;
};

/* In the order in which they go when there are too many. */
enum sync_book_class { SYNC_BOOK_TOMBSTONES, SYNC_BOOK_FINAL, SYNC_BOOK_OPEN, SYNC_BOOK_CLASSES };

/* Told the id of an order or tombstone that was thrown out because there were too many. It must not use the book. */
typedef void sync_book_watcher(void *arg, sync_span id);

struct sync_book {
  const sync_allocator *alloc;
  const struct sync_order_names *names;
  struct sync_map by_id;                          /* values: struct sync_record */
  struct sync_book_link lists[SYNC_BOOK_CLASSES]; /* rings, each headed by its link here */
  struct sync_book_link noted;                    /* a ring of all records, in the order of what is to be noted */
  sync_book_watcher *watcher;                     /* NULL: nobody */
  void *watcher_arg;
  size_t tombstones;
  size_t bytes; /* of records and their ids; the table of ids comes on top */
  size_t limit;
  size_t limit_bytes;
  uint64_t clock;           /* counts changes that were offered */
  uint64_t older;           /* of them, those that came too late */
  uint64_t refused;         /* and those that could not be read, or that a full book did not take in */
  uint64_t evicted;         /* orders that went because there were too many */
  struct sync_object known; /* the order that a change is about, as it is */
  struct sync_object patch;
  struct sync_buffer text;   /* ... as it becomes */
  struct sync_buffer before; /* texts of the last effect */
};

/* An empty book of up to `limit` orders and tombstones, of `limit_bytes` in all (the one changed last is always kept).
 * `names` must outlive it, and it must not be moved. */
void sync_book_init(struct sync_book *book, const sync_allocator *alloc, const struct sync_order_names *names,
                    size_t limit, size_t limit_bytes);
void sync_book_fini(struct sync_book *book);

/* Another bound; what is too much goes. */
void sync_book_set_limits(struct sync_book *book, size_t limit, size_t limit_bytes);

enum sync_book_outcome {
  SYNC_BOOK_NEW,       /* the order was not listed, and is */
  SYNC_BOOK_CHANGED,   /* it has another value */
  SYNC_BOOK_SAME,      /* what the book says was confirmed */
  SYNC_BOOK_OLDER,     /* the book knows better */
  SYNC_BOOK_DELETED,   /* it was listed, and is not any more */
  SYNC_BOOK_FULL,      /* of a snapshot with more orders than the book may hold: not taken in, as below */
  SYNC_BOOK_REFUSED,   /* no id, no JSON object, or too large */
  SYNC_BOOK_NO_MEMORY, /* and the book is as it was */
};

/* What has another value now, in sync_book_effect.changed. */
enum sync_book_part {
  SYNC_BOOK_STAGE = 1,
  SYNC_BOOK_PAYMENT = 2,
  SYNC_BOOK_STATUS = 4,
  SYNC_BOOK_STAMP = 8, /* the time or the number that comes with each change */
  SYNC_BOOK_OTHER = 16,
};

/* What an order was before, in plain text; empty: not known. Valid until the next apply. */
struct sync_book_effect {
  unsigned changed;
  sync_span previous_stage; /* if the book knew none, what the change says of it */
  sync_span previous_payment;
  sync_span previous_status;
};

/* Takes a change in. A change whose age cannot be told applies, and so does an event as new as what is known: the
 * stream is in order. A snapshot as new as what is known applies if nothing was heard of the order since it was asked
 * for.
 *
 * A snapshot does not push out orders that it mentions itself: then a book that is too small for it would take in and
 * lose the same orders at every poll. */
enum sync_book_outcome sync_book_apply(struct sync_book *book, const struct sync_change *change,
                                       struct sync_book_effect *effect);

/* All that the book knows of an order, for a copy of the book that is kept elsewhere. */
struct sync_book_entry {
  sync_span id;
  sync_span json;          /* empty: a tombstone */
  uint64_t changed;        /* when it was changed last, as sync_book_mark() tells time */
  struct sync_stamp whole; /* how new the order is as a whole */
  struct sync_stamp last;  /* and the newest of what is known of it */
  uint64_t later;          /* bits of members (merge.h) that are newer than the whole */
  int64_t as_of_ms;
  sync_source source;
  bool silent;
};

/* The next order or tombstone of which the copy made at `since` (0: none was) does not know all that counts, in no
 * particular order; false: that was all. A confirmation counts if from then on the book judges news otherwise; when an
 * order was confirmed last does not. The cost is that of those alone. `place` is {0} at first; any change of the book
 * ends the walk. */
bool sync_book_each_changed(const struct sync_book *book, uint64_t since, sync_order_place *place,
                            struct sync_book_entry *entry);

/* Who is told what is thrown out, which a copy is to throw out as well; NULL: nobody. */
void sync_book_watch(struct sync_book *book, sync_book_watcher *watcher, void *arg);

/* Takes an entry back, those that changed first before the others; not of an order that the book knows of, listed or
 * deleted: that is newer. The book goes on as the one that the copy was made of; where the copy has SYNC_REDACTED
 * (redact.h), news may put the value back, which changes nothing that anybody is told of. An entry that cannot be read
 * is refused, and counted as such. false: no memory, and the book is as it was. */
bool sync_book_restore(struct sync_book *book, const struct sync_book_entry *entry);

/* How many orders are listed. */
size_t sync_book_count(const struct sync_book *book);

/* The order called `id`; false: it is not listed. */
bool sync_book_get(const struct sync_book *book, sync_span id, sync_order *order);

/* The next order, the most recently changed first; false: that was all. During a walk the order that was given last may
 * be deleted; any other change ends the walk. */
bool sync_book_each(const struct sync_book *book, sync_order_place *cursor, sync_order *order);

/* The present moment, to be kept when a snapshot is asked for. */
uint64_t sync_book_mark(const struct sync_book *book);

/* As sync_book_each(), those orders that no change has mentioned since `mark`: after a whole snapshot has been taken
 * in, those that were gone when it was made. */
bool sync_book_each_missing(const struct sync_book *book, uint64_t mark, sync_order_place *cursor, sync_order *order);

#endif
