/* segment.c - records packed into counted blocks. One thread owns them all, so a count is a plain number. */
#include "segment.h"

#include <stdalign.h>

/* A collector lets go of hundreds of segments at a time; this many are worth keeping for the next burst: 1 MiB. */
#define SPARE_SEGMENTS_MAX 256u

struct sync_segment {
  struct sync_segment_pool *pool;
  struct sync_segment *next_spare;
  size_t references;
  size_t used;
  size_t capacity;
  alignas(max_align_t) char bytes[];
};

/* What a segment of the usual size has room for. */
#define USUAL_CAPACITY (SYNC_SEGMENT_BYTES - sizeof(struct sync_segment))

struct sync_segment_pool {
  const sync_allocator *alloc;
  struct sync_segment *spare;
  size_t spare_count;
  size_t segments; /* under way, out of the pool */
  bool owned;      /* false: it only waits for its last segment */
};

/* ---- pool -------------------------------------------------------------------------------------------------------- */

struct sync_segment_pool *sync_segment_pool_new(const sync_allocator *alloc) {
  struct sync_segment_pool *pool = sync_alloc_zeroed(alloc, sizeof *pool);
  if (!pool) return NULL;
  pool->alloc = alloc;
  pool->owned = true;
  return pool;
}

static void end_if_unused(struct sync_segment_pool *pool) {
  if (!pool->owned && pool->segments == 0) sync_alloc_free(pool->alloc, pool);
}

void sync_segment_pool_free(struct sync_segment_pool *pool) {
  if (!pool) return;
  while (pool->spare) {
    struct sync_segment *segment = pool->spare;
    pool->spare = segment->next_spare;
    sync_alloc_free(pool->alloc, segment);
  }
  pool->owned = false;
  end_if_unused(pool);
}

/* A segment of `size` bytes, or larger: a record that does not fit gets a segment of its own size. */
static struct sync_segment *take_segment(struct sync_segment_pool *pool, size_t size, size_t bytes) {
  size_t capacity = size - sizeof(struct sync_segment);
  if (capacity < bytes) capacity = bytes;
  struct sync_segment *segment = capacity == USUAL_CAPACITY ? pool->spare : NULL;
  if (segment) {
    pool->spare = segment->next_spare;
    pool->spare_count--;
  } else {
    segment = sync_alloc_resize(pool->alloc, NULL, sizeof *segment + capacity);
    if (!segment) return NULL;
  }
  pool->segments++;
  segment->pool = pool;
  segment->references = 1;
  segment->used = 0;
  segment->capacity = capacity;
  return segment;
}

static void give_back(struct sync_segment *segment) {
  struct sync_segment_pool *pool = segment->pool;
  pool->segments--;
  if (pool->owned && segment->capacity == USUAL_CAPACITY && pool->spare_count < SPARE_SEGMENTS_MAX) {
    segment->next_spare = pool->spare;
    pool->spare = segment;
    pool->spare_count++;
    return;
  }
  sync_alloc_free(pool->alloc, segment);
  end_if_unused(pool);
}

/* ---- records ----------------------------------------------------------------------------------------------------- */

void sync_segments_init(struct sync_segments *segments, struct sync_segment_pool *pool) {
  *segments = (struct sync_segments){.pool = pool, .next_bytes = SYNC_SEGMENT_FIRST_BYTES};
}

void sync_segments_fini(struct sync_segments *segments) {
  if (segments->open) sync_segment_release(segments->open);
  segments->open = NULL;
}

void *sync_segments_take(struct sync_segments *segments, size_t bytes, struct sync_segment **home) {
  const size_t mask = alignof(max_align_t) - 1;
  bytes = (bytes + mask) & ~mask;
  struct sync_segment *segment = segments->open;
  if (!segment || segment->capacity - segment->used < bytes) {
    segment = take_segment(segments->pool, segments->next_bytes, bytes);
    if (!segment) return NULL;
    if (segments->next_bytes < SYNC_SEGMENT_BYTES) segments->next_bytes *= 2;
    sync_segments_fini(segments);
    segments->open = segment;
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
  if (--segment->references == 0) give_back(segment);
}
