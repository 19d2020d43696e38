/*
 * history.h - the latest events, whether anybody wanted them or not: a ring of references.
 */
#ifndef SYNC_HISTORY_H
#define SYNC_HISTORY_H

#include "alloc.h"

struct sync_history {
  const sync_allocator *alloc;
  sync_event **ring;
  size_t capacity; /* grows up to the limit */
  size_t limit;
  size_t next; /* where the next event goes */
  size_t count;
};

void sync_history_init(struct sync_history *history, const sync_allocator *alloc, size_t limit);
void sync_history_fini(struct sync_history *history);

/* Keeps a reference to `event` and lets the oldest go beyond the limit; false: no memory, and nothing has changed. */
bool sync_history_add(struct sync_history *history, sync_event *event);

/* 0: the latest; NULL: not so many. The history's own reference. */
sync_event *sync_history_get(const struct sync_history *history, size_t age);

/* Another limit; the latest events stay. false: no memory, and nothing has changed. */
bool sync_history_resize(struct sync_history *history, size_t limit);

#endif
