/*
 * loop.h - the loop's inside, for the engine: what client.c needs of it. Hosts see sync.h.
 */
#ifndef SYNC_LOOP_H
#define SYNC_LOOP_H

#include <uv.h>

#include "change.h"
#include "segment.h"
#include "sleep.h"
#include "transport.h"

/* A client's place in the loop's lists. */
struct sync_link {
  struct sync_link *next;
  struct sync_link *previous;
  sync_client *client;
};

struct sync_loop {
  const sync_allocator *alloc;
  struct sync_transport *transport; /* NULL: the loop is played */
  struct sync_segment_pool *segments;
  struct sync_link clients; /* head of the ring of all clients */
  struct sync_link ready;   /* head of the ring of those with items */
  struct sync_order_names order_names;
  struct sync_change_reader changes; /* of all clients: one at a time reads */
  size_t snapshots;                  /* clients that are taking one in */
  uint64_t arrivals;                 /* items so far, of clients that are pulled from as well */
  int64_t budget_us;                 /* of the step; 0: no bound */
  bool backlog;                      /* the step began with items left over */
  int64_t spent_at_us;               /* when it is used up; 0: nothing has been done yet in this step */
  uint64_t random;
  unsigned forks; /* of the process when the loop was made */
  uv_loop_t uv;
  uv_timer_t patience; /* ends a step that waits */
  uv_timer_t alarm;    /* the host's */
  int64_t alarm_at_ms; /* -1: none */
  int64_t played_ms;   /* the clock of a loop that is played; and how many requests it has seen */
  uint64_t played_requests;
  int timer_fd; /* shows the loop's next timer through its descriptor; -1: not on this system */
  uv_poll_t timer_poll;
  int64_t timer_armed_ms; /* what timer_fd is set to, in loop time; -1: nothing */
  struct sync_sleep sleep;
};

void sync_link_init(struct sync_link *link, sync_client *client);
void sync_link_append(struct sync_link *head, struct sync_link *link);
void sync_link_remove(struct sync_link *link);
bool sync_link_alone(const struct sync_link *link);

/* False in a child of the process that made the loop. */
bool sync_loop_ours(const sync_loop *loop);

/* Whether the step's budget is used up. */
bool sync_loop_over_budget(sync_loop *loop);

/* Whether more may be read: within the budget, and, when there is one, not in a step that began with items left over by
 * the one before: else reading could use up the budget of every step. */
bool sync_loop_may_read(sync_loop *loop);

/* Makes the descriptor show what is due; after anything that may have changed it. */
void sync_loop_settle(sync_loop *loop);

/* Microseconds of a clock that never goes back. */
int64_t sync_loop_clock_us(void);

/* Milliseconds of the loop's clock, as of this turn. */
int64_t sync_loop_now_ms(const sync_loop *loop);

/* Whether there is neither a network nor a clock: played.c. */
bool sync_loop_is_played(const sync_loop *loop);

/* 64 even bits; `loop` is a sync_loop. For jitter, not for secrets. */
uint64_t sync_loop_random(void *loop);

#endif
