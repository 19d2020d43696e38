/*
 * segment.h - records packed into counted blocks.
 *
 * A stream's events are written once, one behind the other, into a segment; the queue, the history and the host's
 * references share it, and it is freed with its last reference. So an event costs no malloc, and its bytes are copied
 * once. The price: one retained event keeps its segment, SYNC_SEGMENT_BYTES at most beyond the event's own size.
 *
 * Segments come from a pool that keeps some of those that were let go: handing 4 KiB back to the C library between
 * Lua's small blocks makes it consolidate its heap again and again, which cost more than everything else here.
 */
#ifndef SYNC_SEGMENT_H
#define SYNC_SEGMENT_H

#include "alloc.h"

/* About sixteen order events; small, because a retained event pins it. A stream's first segments are smaller, doubling
 * up to this: an idle client has one event, and there may be a thousand of them. */
#define SYNC_SEGMENT_BYTES       4096u
#define SYNC_SEGMENT_FIRST_BYTES 512u

struct sync_segment;
struct sync_segment_pool;

/* A pool with one reference, or NULL: no memory. It lives until that is let go and its last segment is. */
struct sync_segment_pool *sync_segment_pool_new(const sync_allocator *alloc);

/* Lets go of the pool, and of the spare segments in it. NULL is fine. */
void sync_segment_pool_free(struct sync_segment_pool *pool);

/* Where records are made; holds one reference to the segment that is being filled. */
struct sync_segments {
  struct sync_segment_pool *pool;
  struct sync_segment *open;
  size_t next_bytes; /* size of the segment that will be opened next */
};

void sync_segments_init(struct sync_segments *segments, struct sync_segment_pool *pool);
void sync_segments_fini(struct sync_segments *segments);

/* Room for a record of `bytes`, aligned for any type; `*home` is its segment, and the caller has a reference to it.
 * NULL: no memory. */
void *sync_segments_take(struct sync_segments *segments, size_t bytes, struct sync_segment **home);

void sync_segment_retain(struct sync_segment *segment);
void sync_segment_release(struct sync_segment *segment);

#endif
