/*
 * segment.h - records packed into counted blocks.
 *
 * A stream's events are written once, one behind the other, into a segment; the queue, the history and the host's
 * references share it, and it is freed with its last reference. So an event costs no malloc, and its bytes are copied
 * once. The price: one retained event keeps its segment, SYNC_SEGMENT_BYTES at most beyond the event's own size.
 */
#ifndef SYNC_SEGMENT_H
#define SYNC_SEGMENT_H

#include "alloc.h"

/* About sixteen order events; small, because a retained event pins it. */
#define SYNC_SEGMENT_BYTES 4096u

struct sync_segment;

/* Where records are made; holds one reference to the segment that is being filled. */
struct sync_segments {
  const sync_allocator *alloc;
  struct sync_segment *open;
};

void sync_segments_init(struct sync_segments *segments, const sync_allocator *alloc);
void sync_segments_fini(struct sync_segments *segments);

/* Room for a record of `bytes`, aligned for any type; `*home` is its segment, and the caller has a reference to it.
 * NULL: no memory. */
void *sync_segments_take(struct sync_segments *segments, size_t bytes, struct sync_segment **home);

void sync_segment_retain(struct sync_segment *segment);
void sync_segment_release(struct sync_segment *segment);

#endif
