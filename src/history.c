/* history.c - a ring of references to the latest events. It is full, and turns, only once it has grown to its limit. */
#include "history.h"

#define HISTORY_FIRST_EVENTS 8u

void sync_history_init(struct sync_history *history, const sync_allocator *alloc, size_t limit) {
  *history = (struct sync_history){.alloc = alloc, .limit = limit};
}

void sync_history_fini(struct sync_history *history) {
  for (size_t age = 0; age < history->count; age++) sync_event_release(sync_history_get(history, age));
  sync_alloc_free(history->alloc, history->ring);
  sync_history_init(history, history->alloc, history->limit);
}

/* Before the limit is reached, `next` is the end of what is there: growing keeps the order. */
static bool grow(struct sync_history *history) {
  size_t capacity = history->capacity ? history->capacity * 2 : HISTORY_FIRST_EVENTS;
  if (capacity > history->limit) capacity = history->limit;
  sync_event **ring = sync_alloc_resize(history->alloc, history->ring, capacity * sizeof(sync_event *));
  if (!ring) return false;
  history->ring = ring;
  history->capacity = capacity;
  history->next = history->count;
  return true;
}

bool sync_history_add(struct sync_history *history, sync_event *event) {
  if (history->limit == 0) return true;
  if (history->count == history->capacity && history->capacity < history->limit && !grow(history)) return false;
  if (history->count == history->limit)
    sync_event_release(history->ring[history->next]);
  else
    history->count++;
  sync_event_retain(event);
  history->ring[history->next] = event;
  history->next = history->next + 1 == history->capacity ? 0 : history->next + 1;
  return true;
}

sync_event *sync_history_get(const struct sync_history *history, size_t age) {
  if (age >= history->count) return NULL;
  size_t back = age + 1;
  return history->ring[history->next >= back ? history->next - back : history->capacity + history->next - back];
}

bool sync_history_resize(struct sync_history *history, size_t limit) {
  if (limit == history->limit) return true;
  struct sync_history other;
  sync_history_init(&other, history->alloc, limit);
  size_t keep = history->count < limit ? history->count : limit;
  while (keep > 0)
    if (!sync_history_add(&other, sync_history_get(history, --keep))) goto fail;
  sync_history_fini(history);
  *history = other;
  return true;

fail:
  sync_history_fini(&other);
  return false;
}
