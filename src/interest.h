/*
 * interest.h - who wants which event: the index of subscriptions.
 *
 * Each subscription is filed once: under each of its order ids, or else under each of its types, or else under "any".
 * An event looks at three lists only, so ten thousand subscriptions to single orders cost it no more than ten.
 */
#ifndef SYNC_INTEREST_H
#define SYNC_INTEREST_H

#include "map.h"

struct sync_subscription;

/* Subscriptions in the order they were made; ids grow, so it is sorted. */
struct sync_subscriptions {
  struct sync_subscription **list;
  size_t count;
  size_t capacity;
};

struct sync_interest {
  const sync_allocator *alloc;
  struct sync_map by_order; /* values: struct sync_subscriptions */
  struct sync_map by_type;
  struct sync_subscriptions any;
  struct sync_subscriptions all;
  uint64_t last_id;
  uint64_t changes; /* counts subscribes and unsubscribes: a match made before may be out of date */
};

/* Ids of matching subscriptions, oldest first; reused from event to event. */
struct sync_match {
  uint64_t *ids;
  size_t count;
  size_t capacity;
  size_t next;
  uint64_t only; /* a match of this one comes before those of `ids`; 0: none */
  uint64_t changes;
};

void sync_interest_init(struct sync_interest *interest, const sync_allocator *alloc);
void sync_interest_fini(struct sync_interest *interest);

/* A new subscription's id, or 0: no memory, and nothing has changed. `filter` NULL: every order event. */
uint64_t sync_interest_add(struct sync_interest *interest, const sync_filter *filter);

/* Forgets it, if it is there. */
void sync_interest_remove(struct sync_interest *interest, uint64_t id);

/* Whether any subscription wants an event of this type and order (empty: none). `*only` is its id if it is the only
 * one, else 0; it holds as long as interest->changes does. */
bool sync_interest_wants(const struct sync_interest *interest, sync_span type, sync_span order_id, uint64_t *only);

/* Whether events of this type reach only those who name it: `connected` and `heartbeat`. */
bool sync_interest_must_name(sync_span type);

/* Fills `match` with the subscriptions that want the event; false: no memory. */
bool sync_interest_match(const struct sync_interest *interest, sync_span type, sync_span order_id,
                         struct sync_match *match);

/* Makes `match` the one that sync_interest_wants() found. */
void sync_interest_match_only(const struct sync_interest *interest, uint64_t only, struct sync_match *match);

/* Makes `match` empty. */
void sync_match_clear(struct sync_match *match);

/* The next id of `match` whose subscription still stands; 0: that was all. */
uint64_t sync_interest_next(const struct sync_interest *interest, struct sync_match *match);

void sync_match_fini(const sync_allocator *alloc, struct sync_match *match);

#endif
