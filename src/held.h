/*
 * held.h - events that were taken and are not done: they wait for a word of the host's. In the order of their numbers.
 */
#ifndef SYNC_HELD_H
#define SYNC_HELD_H

#include "alloc.h"

struct sync_held_event {
  uint64_t seq;
  sync_event *event;
};

struct sync_held {
  const sync_allocator *alloc;
  struct sync_held_event *list;
  size_t first; /* most go from the front */
  size_t end;
  size_t capacity;
};

void sync_held_init(struct sync_held *held, const sync_allocator *alloc);
void sync_held_fini(struct sync_held *held);

size_t sync_held_count(const struct sync_held *held);

/* Holds a reference to `event`, once. false: no memory. */
bool sync_held_add(struct sync_held *held, sync_event *event);

/* Lets it go; false: it was not held. */
bool sync_held_remove(struct sync_held *held, uint64_t seq);

bool sync_held_has(const struct sync_held *held, uint64_t seq);

/* The `index`-th, the oldest first; NULL: not so many. */
sync_event *sync_held_get(const struct sync_held *held, size_t index);

#endif
