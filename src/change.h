/*
 * change.h - news about one order, whatever brought them: and how an event of the wire is read as such.
 *
 * An event tells of a part of an order. If its data holds the order, under `order`, that is the part. If not, the data
 * is taken for it, without what is about the event and not about the order (`previousStage`, `newStage`, `message`,
 * ...). On top comes what the type itself says: a stage change's new stage, a payment's new status.
 */
#ifndef SYNC_CHANGE_H
#define SYNC_CHANGE_H

#include "order.h"

struct sync_change {
  sync_span order_id;
  sync_span patch;          /* a JSON object, or empty */
  sync_span previous_stage; /* as the event says, in plain text; empty: it does not */
  bool whole;               /* the patch is all there is to the order: it comes from a snapshot */
  bool deleted;             /* the order is gone; the patch counts for nothing */
  int64_t at_ms;            /* when it was told, by the server's clock; 0: unknown */
  int64_t as_of_ms;         /* when it arrived here; for a snapshot: when it was asked for */
  uint64_t mark;            /* of a snapshot: sync_book_mark() when it was asked for */
  sync_source source;
  bool silent; /* nobody is told of it: of the first snapshot */
};

/* The parts of an event, in plain text but for `data`, which is JSON. */
struct sync_news {
  sync_span type;
  sync_span order_id;
  sync_span timestamp;
  sync_span data;
};

/* Reads events, one after the other; its buffers are used again and again. */
struct sync_change_reader {
  const struct sync_order_names *names;
  struct sync_object data;
  struct sync_object order;
  struct sync_buffer patch;
  struct sync_buffer order_id; /* plain texts of what had escapes */
  struct sync_buffer previous_stage;
};

/* `names` must outlive the reader. It takes no memory until it reads. */
void sync_change_reader_init(struct sync_change_reader *reader, const sync_allocator *alloc,
                             const struct sync_order_names *names);
void sync_change_reader_fini(struct sync_change_reader *reader);

enum sync_change_outcome {
  SYNC_CHANGE_READ,
  SYNC_CHANGE_NONE, /* it is not about an order, or says nothing of it */
  SYNC_CHANGE_NO_MEMORY,
};

/* Reads `news`, of a stream and in part, into `change`, whose texts are valid until the next call and as long as the
 * news' are; as_of_ms and mark stay 0. */
enum sync_change_outcome sync_change_read(struct sync_change_reader *reader, const struct sync_news *news,
                                          struct sync_change *change);

#endif
