/*
 * snapshot.h - the orders of a snapshot, one by one: a list of orders, bare or in an object under `docs`, `orders` or
 * `data`. The text is read where it lies; nothing is copied.
 *
 * A text that is cut off, or an answer that is no snapshot at all (`{"error":...}`), is told before the first order is
 * given: an order that such a text does not mention has not been deleted.
 */
#ifndef SYNC_SNAPSHOT_H
#define SYNC_SNAPSHOT_H

#include "change.h"

struct sync_snapshot {
  const struct sync_order_names *names;
  sync_json json;
  struct sync_buffer order_id; /* without its escapes, if it had any */
  uint64_t bad;                /* elements passed over so far: no object, or without an id */
};

/* Finds the list in `text`, which must outlive the walk. false: it is none; `*at_byte` is the offset of the first wrong
 * byte, or 0 if it is JSON and has no list. Takes no memory. */
bool sync_snapshot_init(struct sync_snapshot *snapshot, const sync_allocator *alloc,
                        const struct sync_order_names *names, sync_span text, size_t *at_byte);
void sync_snapshot_fini(struct sync_snapshot *snapshot);

enum sync_snapshot_outcome {
  SYNC_SNAPSHOT_ORDER,
  SYNC_SNAPSHOT_END,
  SYNC_SNAPSHOT_NO_MEMORY, /* the same order can be asked for again */
};

/* Sets `order_id`, `patch` and `whole` of `change` to the next order, valid until the next call; the other fields are
 * the caller's. */
enum sync_snapshot_outcome sync_snapshot_next(struct sync_snapshot *snapshot, struct sync_change *change);

#endif
