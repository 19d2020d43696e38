/* segment.c - records packed into counted blocks. One thread owns them all, so a count is a plain number. */
#include "segment.h"

#include <stdalign.h>

struct sync_segment {
  const sync_allocator *alloc;
  size_t references;
  size_t used;
  size_t capacity;
  alignas(max_align_t) char bytes[];
};

void sync_segments_init(struct sync_segments *segments, const sync_allocator *alloc) {
  *segments = (struct sync_segments){.alloc = alloc};
}

void sync_segments_fini(struct sync_segments *segments) {
  if (segments->open) sync_segment_release(segments->open);
  segments->open = NULL;
}

/* Starts a segment that has room for `bytes`; a record larger than a segment gets one of its own size. */
static bool open_segment(struct sync_segments *segments, size_t bytes) {
  size_t capacity = SYNC_SEGMENT_BYTES - sizeof(struct sync_segment);
  if (capacity < bytes) capacity = bytes;
  struct sync_segment *segment = sync_alloc_resize(segments->alloc, NULL, sizeof *segment + capacity);
  if (!segment) return false;
  segment->alloc = segments->alloc;
  segment->references = 1;
  segment->used = 0;
  segment->capacity = capacity;
  sync_segments_fini(segments);
  segments->open = segment;
  return true;
}

void *sync_segments_take(struct sync_segments *segments, size_t bytes, struct sync_segment **home) {
  const size_t mask = alignof(max_align_t) - 1;
  bytes = (bytes + mask) & ~mask;
  struct sync_segment *segment = segments->open;
  if (!segment || segment->capacity - segment->used < bytes) {
    if (!open_segment(segments, bytes)) return NULL;
    segment = segments->open;
  }
  void *record = segment->bytes + segment->used;
  segment->used += bytes;
  sync_segment_retain(segment);
  *home = segment;
  return record;
}

void sync_segment_retain(struct sync_segment *segment) {
  segment->references++;
}

void sync_segment_release(struct sync_segment *segment) {
  if (--segment->references == 0) sync_alloc_free(segment->alloc, segment);
}
