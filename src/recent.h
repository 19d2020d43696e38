/*
 * recent.h - the last events seen, to know those that a server sends again: after a resume, or from a second stream.
 *
 * An event counts as the same when its id, type and data are: ids alone are not enough, some servers number everything
 * alike. Kept as 64-bit fingerprints, so two different events in a window of thousands are taken for one another once
 * in 10^12 windows or so.
 */
#ifndef SYNC_RECENT_H
#define SYNC_RECENT_H

#include "alloc.h"

/* A ring of fingerprints, oldest first, and a table to find them. Grows with what it holds, up to `limit`. */
struct sync_recent {
  const sync_allocator *alloc;
  size_t limit;
  size_t capacity; /* of the ring: a power of two, or 0 */
  size_t count;
  size_t next; /* where the next one goes */
  uint64_t *ring;
  uint32_t *table; /* places in the ring plus one, twice as many as the ring has; 0: free */
};

/* Empty. A window of 0 remembers nothing. */
void sync_recent_init(struct sync_recent *recent, const sync_allocator *alloc, size_t limit);
void sync_recent_fini(struct sync_recent *recent);

/* Another limit, at most SYNC_RECENT_MAX; what does not fit any more is forgotten. */
#define SYNC_RECENT_MAX 65536u
void sync_recent_resize(struct sync_recent *recent, size_t limit);

/* An event's fingerprint; never 0. */
uint64_t sync_recent_fingerprint(sync_span id, sync_span type, sync_span data);

/* Whether it is among the last `limit`. */
bool sync_recent_has(const struct sync_recent *recent, uint64_t fingerprint);

/* The same, and forgets it. */
bool sync_recent_take(struct sync_recent *recent, uint64_t fingerprint);

/* Remembers it, and forgets the oldest for it. Without memory for a longer window it stays as long as it is. */
void sync_recent_add(struct sync_recent *recent, uint64_t fingerprint);

#endif
