/*
 * poller.h - when to poll: at an interval with jitter, never two at once, with backoff after failures, and a circuit
 * breaker after many. No socket, no clock, no memory: like connection.h, it is told what happened and when.
 */
#ifndef SYNC_POLLER_H
#define SYNC_POLLER_H

#include <stdbool.h>
#include <stdint.h>

struct sync_poller_config {
  int64_t interval_ms;
  int64_t timeout_ms;         /* of one poll */
  int64_t breaker_ms;         /* the interval while the circuit is open */
  uint64_t (*random)(void *); /* 64 even bits */
  void *random_arg;
};

enum sync_poller_phase {
  SYNC_POLLER_IDLE,    /* nothing is planned */
  SYNC_POLLER_WAITING, /* the deadline is the next poll's */
  SYNC_POLLER_BUSY,    /* the deadline is the end of this one's time */
};

/* Failures in a row after which the circuit opens: the server is not asked as often as it fails any more. */
#define SYNC_POLLER_BREAKER_FROM 5

/* Fields are for reading. */
struct sync_poller {
  struct sync_poller_config config;
  enum sync_poller_phase phase;
  bool regular;        /* polls go on at the interval */
  bool asked;          /* the one planned or under way was asked for: it is not only a regular one */
  bool again;          /* one more was asked for while one was under way */
  int failures;        /* in a row */
  int64_t deadline_ms; /* -1: none */
};

enum sync_poller_due {
  SYNC_POLLER_NOTHING,
  SYNC_POLLER_POLL,    /* begin one */
  SYNC_POLLER_TIMEOUT, /* the one under way has taken too long: drop it, then sync_poller_failed() */
};

void sync_poller_init(struct sync_poller *poller, const struct sync_poller_config *config);

/* Polls at the interval from now on, the first one at once; or not any more: one under way may come to its end, and one
 * that was asked for is still made. */
void sync_poller_start(struct sync_poller *poller, int64_t now_ms);
void sync_poller_stop(struct sync_poller *poller);

/* Nothing is under way and nothing planned; failures are forgotten. */
void sync_poller_reset(struct sync_poller *poller);

/* One poll at once, whether regular ones go on or not; after the one under way, whose answer may be too old. */
void sync_poller_once(struct sync_poller *poller, int64_t now_ms);

/* How the one under way ended. `retry_after_ms`: what the server asked for; 0: nothing. */
void sync_poller_succeeded(struct sync_poller *poller, int64_t now_ms);
void sync_poller_failed(struct sync_poller *poller, int64_t now_ms, int64_t retry_after_ms);

/* Whether the server has failed so often that it is asked less. */
bool sync_poller_is_broken(const struct sync_poller *poller);

/* When to call tick at the latest; -1: never. What is due then; POLL makes it busy. */
int64_t sync_poller_deadline_ms(const struct sync_poller *poller);
enum sync_poller_due sync_poller_tick(struct sync_poller *poller, int64_t now_ms);

#endif
