/*
 * queue.h - what waits for the host, in order: events, state changes, failures, comments, questions.
 *
 * Its limit stops the parser, so it bounds what a server can send without end (events, comments, bad events). The
 * client's own few state changes and failures are always taken, or the host would not learn why nothing arrives.
 */
#ifndef SYNC_QUEUE_H
#define SYNC_QUEUE_H

#include "alloc.h"

struct sync_entry {
  sync_item_kind kind;
  union {
    uint32_t changes; /* EVENT: of the index of subscriptions when `only` was found, see interest.h */
    bool resumed;     /* STATE */
  };
  union {
    struct {
      sync_state from; /* STATE */
      sync_state to;
    };
    uint64_t only; /* EVENT: the one subscription that wants it; 0: look it up */
  };
  union {
    sync_event *event;      /* EVENT, COMMENT, HEARD, ASKED, LISTED: the queue has a reference */
    sync_failure *failure;  /* ERROR: the queue owns it */
    sync_poll_report *poll; /* POLLED: as well */
    sync_gap *gap;          /* GAP: as well */
  };
};

struct sync_queue {
  const sync_allocator *alloc;
  struct sync_entry *ring;
  size_t capacity; /* a power of two, or 0 */
  size_t head;
  size_t count;
  size_t peak;
  size_t limit;
};

void sync_queue_init(struct sync_queue *queue, const sync_allocator *alloc, size_t limit);
void sync_queue_fini(struct sync_queue *queue);

bool sync_queue_full(const struct sync_queue *queue);

/* Takes over what `entry` points to; false: no memory, and the caller still has it. */
bool sync_queue_push(struct sync_queue *queue, struct sync_entry entry);

/* Hands the oldest entry over to the caller; false: empty. */
bool sync_queue_pop(struct sync_queue *queue, struct sync_entry *entry);

/* The `index`-th of those that wait, the oldest first. */
const struct sync_entry *sync_queue_at(const struct sync_queue *queue, size_t index);

/* Lets go of what an entry owns. */
void sync_entry_fini(const sync_allocator *alloc, struct sync_entry *entry);

#endif
