/*
 * backoff.h - how long to wait before the next attempt: exponential backoff with full jitter. A pure function.
 *
 * Full jitter (a random wait between nothing and the ceiling) spreads a thousand terminals that lost the same server
 * evenly; equal waits would bring them back as one stampede.
 */
#ifndef SYNC_BACKOFF_H
#define SYNC_BACKOFF_H

#include <stdint.h>

struct sync_backoff {
  int64_t base_ms;  /* ceiling of the first wait */
  int64_t cap_ms;   /* ceiling of all waits */
  int64_t floor_ms; /* what the server asked for (`retry:`, Retry-After): never less; 0: nothing */
};

/* The wait before attempt number `step` (0: the first after a good stream), with `random` evenly spread over all 64
 * bits. Without a floor: between 0 and min(cap, base * 2^step). With one: the floor plus a share of that ceiling, at
 * least half the floor wide, so that clients who were told the same time do not come at the same time. */
int64_t sync_backoff_delay_ms(const struct sync_backoff *backoff, unsigned step, uint64_t random);

#endif
