/*
 * due.h - times at which something is due, on a clock that never goes back; -1: never.
 */
#ifndef SYNC_DUE_H
#define SYNC_DUE_H

#include <stdint.h>

/* The earlier of two. */
static inline int64_t sync_due_earlier_ms(int64_t a_ms, int64_t b_ms) {
  if (a_ms < 0 || b_ms < 0) return a_ms < 0 ? b_ms : a_ms;
  return a_ms < b_ms ? a_ms : b_ms;
}

#endif
