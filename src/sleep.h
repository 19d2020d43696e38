/*
 * sleep.h - to know when the machine has slept: its connections are dead then, though nobody will ever say so.
 *
 * During sleep the wall clock goes on and the monotonic one stands still. So the difference of the two jumps; a clock
 * that is being corrected drifts instead, or jumps too, and then a reconnect in vain is what it costs.
 */
#ifndef SYNC_SLEEP_H
#define SYNC_SLEEP_H

#include <stdbool.h>
#include <stdint.h>
#include <uv.h>

/* A shorter absence is no reason to think that a connection died. */
#define SYNC_SLEEP_LEAST_MS 5000

/* All zero at first. */
struct sync_sleep {
  bool begun;
  int64_t ahead_ms; /* of the monotonic clock the wall clock was, at the last look */
  int fd;           /* readable when the wall clock was set, as it is when the machine wakes; -1: not on this system */
  uv_poll_t poll;
  void (*woken)(void *arg);
  void *arg;
};

/* Looks at both clocks. How long the machine has slept since the last look, in ms; 0: it has not. */
int64_t sync_sleep_look(struct sync_sleep *sleep, int64_t wall_ms, int64_t clock_ms);

/* Calls `woken` when it is time to look, out of `uv` and without keeping that alive: else a silent stream would be
 * looked after at its next deadline only. Where the system cannot say, nothing is called. */
void sync_sleep_watch(struct sync_sleep *sleep, uv_loop_t *uv, void (*woken)(void *arg), void *arg);

/* Ends the watch: its handle is closing. Then, when `uv` has let go of that, what it held. */
void sync_sleep_close(struct sync_sleep *sleep);
void sync_sleep_fini(struct sync_sleep *sleep);

#endif
