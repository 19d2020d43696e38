/* queue.c - a ring that doubles up to what the limit needs. */
#include "queue.h"

#include <string.h>

#define QUEUE_FIRST_ENTRIES 8u

void sync_queue_init(struct sync_queue *queue, const sync_allocator *alloc, size_t limit) {
  *queue = (struct sync_queue){.alloc = alloc, .limit = limit};
}

void sync_entry_fini(const sync_allocator *alloc, struct sync_entry *entry) {
  if (entry->kind == SYNC_ITEM_ERROR)
    sync_alloc_free(alloc, entry->failure);
  else if (entry->kind == SYNC_ITEM_POLLED)
    sync_alloc_free(alloc, entry->poll);
  else if (entry->kind == SYNC_ITEM_GAP)
    sync_alloc_free(alloc, entry->gap);
  else if (entry->event)
    sync_event_release(entry->event);
  entry->event = NULL;
}

void sync_queue_fini(struct sync_queue *queue) {
  struct sync_entry entry;
  while (sync_queue_pop(queue, &entry)) sync_entry_fini(queue->alloc, &entry);
  sync_alloc_free(queue->alloc, queue->ring);
  sync_queue_init(queue, queue->alloc, queue->limit);
}

bool sync_queue_full(const struct sync_queue *queue) {
  return queue->count >= queue->limit;
}

static bool grow(struct sync_queue *queue) {
  size_t capacity = queue->capacity ? queue->capacity * 2 : QUEUE_FIRST_ENTRIES;
  struct sync_entry *ring = sync_alloc_resize(queue->alloc, NULL, capacity * sizeof *ring);
  if (!ring) return false;
  size_t first = queue->capacity - queue->head;
  if (first > queue->count) first = queue->count;
  if (first) memcpy(ring, queue->ring + queue->head, first * sizeof *ring);
  if (queue->count > first) memcpy(ring + first, queue->ring, (queue->count - first) * sizeof *ring);
  sync_alloc_free(queue->alloc, queue->ring);
  queue->ring = ring;
  queue->capacity = capacity;
  queue->head = 0;
  return true;
}

bool sync_queue_push(struct sync_queue *queue, struct sync_entry entry) {
  if (queue->count == queue->capacity && !grow(queue)) return false;
  queue->ring[(queue->head + queue->count++) & (queue->capacity - 1)] = entry;
  if (queue->count > queue->peak) queue->peak = queue->count;
  return true;
}

bool sync_queue_pop(struct sync_queue *queue, struct sync_entry *entry) {
  if (queue->count == 0) return false;
  *entry = queue->ring[queue->head];
  queue->head = (queue->head + 1) & (queue->capacity - 1);
  queue->count--;
  return true;
}

const struct sync_entry *sync_queue_at(const struct sync_queue *queue, size_t index) {
  return &queue->ring[(queue->head + index) & (queue->capacity - 1)];
}
