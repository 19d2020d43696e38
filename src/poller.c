/* poller.c - when to poll. */
#include "poller.h"

#include "backoff.h"

static void set_phase(struct sync_poller *poller, enum sync_poller_phase phase, int64_t deadline_ms) {
  poller->phase = phase;
  poller->deadline_ms = deadline_ms;
}

static uint64_t bits(const struct sync_poller *poller) {
  return poller->config.random(poller->config.random_arg);
}

void sync_poller_init(struct sync_poller *poller, const struct sync_poller_config *config) {
  *poller = (struct sync_poller){.config = *config};
  set_phase(poller, SYNC_POLLER_IDLE, -1);
}

/* Nine tenths to eleven tenths of the interval: terminals that were switched on together drift apart. */
static int64_t regular_ms(const struct sync_poller *poller) {
  int64_t interval_ms = poller->config.interval_ms;
  return interval_ms - interval_ms / 10 + (int64_t)(bits(poller) % ((uint64_t)interval_ms / 5 + 1));
}

/* After the first failure at least half the interval, then twice as long each time. */
static int64_t backoff_ms(const struct sync_poller *poller, int64_t retry_after_ms) {
  const struct sync_poller_config *config = &poller->config;
  int64_t least_ms = sync_poller_is_broken(poller) ? config->breaker_ms : config->interval_ms / 2;
  const struct sync_backoff backoff = {
      .base_ms = config->interval_ms,
      .cap_ms = config->breaker_ms > config->interval_ms ? config->breaker_ms : config->interval_ms,
      .floor_ms = retry_after_ms > least_ms ? retry_after_ms : least_ms,
  };
  return sync_backoff_delay_ms(&backoff, (unsigned)poller->failures - 1, bits(poller));
}

void sync_poller_start(struct sync_poller *poller, int64_t now_ms) {
  if (poller->regular) return;
  poller->regular = true;
  if (poller->phase != SYNC_POLLER_BUSY) set_phase(poller, SYNC_POLLER_WAITING, now_ms);
}

void sync_poller_stop(struct sync_poller *poller) {
  poller->regular = false;
  if (poller->phase == SYNC_POLLER_WAITING && !poller->asked) set_phase(poller, SYNC_POLLER_IDLE, -1);
}

void sync_poller_reset(struct sync_poller *poller) {
  const struct sync_poller_config config = poller->config;
  sync_poller_init(poller, &config);
}

void sync_poller_once(struct sync_poller *poller, int64_t now_ms) {
  if (poller->phase == SYNC_POLLER_BUSY) {
    poller->again = true;
    return;
  }
  poller->asked = true;
  set_phase(poller, SYNC_POLLER_WAITING, now_ms);
}

/* The poll is over: when is the next, if one is wanted? */
static void rest(struct sync_poller *poller, int64_t next_at_ms) {
  bool wanted = poller->asked || poller->regular;
  poller->again = false;
  set_phase(poller, wanted ? SYNC_POLLER_WAITING : SYNC_POLLER_IDLE, wanted ? next_at_ms : -1);
}

void sync_poller_succeeded(struct sync_poller *poller, int64_t now_ms) {
  if (poller->phase != SYNC_POLLER_BUSY) return;
  poller->failures = 0;
  poller->asked = poller->again;
  rest(poller, poller->asked ? now_ms : now_ms + regular_ms(poller));
}

/* A poll that was asked for is tried again until it succeeds: somebody waits for what it would have told. The next one
 * begins later than any that was asked for meanwhile, and so stands for that too. */
void sync_poller_failed(struct sync_poller *poller, int64_t now_ms, int64_t retry_after_ms) {
  if (poller->phase != SYNC_POLLER_BUSY) return;
  poller->failures++;
  poller->asked = poller->asked || poller->again;
  rest(poller, now_ms + backoff_ms(poller, retry_after_ms));
}

bool sync_poller_is_broken(const struct sync_poller *poller) {
  return poller->failures >= SYNC_POLLER_BREAKER_FROM;
}

int64_t sync_poller_deadline_ms(const struct sync_poller *poller) {
  return poller->deadline_ms;
}

enum sync_poller_due sync_poller_tick(struct sync_poller *poller, int64_t now_ms) {
  if (poller->deadline_ms < 0 || now_ms < poller->deadline_ms) return SYNC_POLLER_NOTHING;
  if (poller->phase == SYNC_POLLER_BUSY) return SYNC_POLLER_TIMEOUT;
  set_phase(poller, SYNC_POLLER_BUSY, now_ms + poller->config.timeout_ms);
  return SYNC_POLLER_POLL;
}
