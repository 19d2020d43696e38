/* backoff.c - exponential backoff with full jitter. */
#include "backoff.h"

static int64_t ceiling_ms(const struct sync_backoff *backoff, unsigned step) {
  int64_t ceiling = backoff->base_ms;
  for (; step > 0 && ceiling < backoff->cap_ms; step--) ceiling *= 2;
  return ceiling < backoff->cap_ms ? ceiling : backoff->cap_ms;
}

int64_t sync_backoff_delay_ms(const struct sync_backoff *backoff, unsigned step, uint64_t random) {
  int64_t spread = ceiling_ms(backoff, step);
  if (backoff->floor_ms > 0) {
    spread -= backoff->floor_ms;
    if (spread < backoff->floor_ms / 2) spread = backoff->floor_ms / 2;
  }
  return backoff->floor_ms + (int64_t)(random % (uint64_t)(spread + 1));
}
