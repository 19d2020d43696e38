/* sleep.c - to know when the machine has slept. */
#include "sleep.h"

int64_t sync_sleep_look(struct sync_sleep *sleep, int64_t wall_ms, int64_t clock_ms) {
  int64_t ahead_ms = wall_ms - clock_ms;
  int64_t jump_ms = sleep->begun ? ahead_ms - sleep->ahead_ms : 0;
  sleep->ahead_ms = ahead_ms;
  sleep->begun = true;
  return jump_ms >= SYNC_SLEEP_LEAST_MS ? jump_ms : 0;
}

#ifdef __linux__

#include <sys/timerfd.h>
#include <time.h>
#include <unistd.h>

/* So far ahead that only the clock's being set ends the wait. */
#define NEVER_S (100LL * 365 * 24 * 60 * 60)

static void arm(const struct sync_sleep *sleep) {
  const struct itimerspec never = {.it_value = {.tv_sec = time(NULL) + NEVER_S}};
  (void)timerfd_settime(sleep->fd, TFD_TIMER_ABSTIME | TFD_TIMER_CANCEL_ON_SET, &never, NULL);
}

static void on_clock_set(uv_poll_t *poll, int status, int events) {
  (void)status;
  (void)events;
  struct sync_sleep *sleep = poll->data;
  uint64_t expirations;
  if (read(sleep->fd, &expirations, sizeof expirations) < 0) arm(sleep); /* ECANCELED: it was set */
  sleep->woken(sleep->arg);
}

void sync_sleep_watch(struct sync_sleep *sleep, uv_loop_t *uv, void (*woken)(void *arg), void *arg) {
  sleep->woken = woken;
  sleep->arg = arg;
  sleep->fd = timerfd_create(CLOCK_REALTIME, TFD_NONBLOCK | TFD_CLOEXEC);
  if (sleep->fd < 0) return;
  arm(sleep);
  uv_poll_init(uv, &sleep->poll, sleep->fd);
  sleep->poll.data = sleep;
  uv_poll_start(&sleep->poll, UV_READABLE, on_clock_set);
  uv_run(uv, UV_RUN_NOWAIT); /* only a turn enters it into the descriptor, and without a reference none would */
  uv_unref((uv_handle_t *)&sleep->poll);
}

void sync_sleep_close(struct sync_sleep *sleep) {
  if (sleep->fd >= 0) uv_close((uv_handle_t *)&sleep->poll, NULL);
}

void sync_sleep_fini(struct sync_sleep *sleep) {
  if (sleep->fd >= 0) close(sleep->fd);
}

#else

void sync_sleep_watch(struct sync_sleep *sleep, uv_loop_t *uv, void (*woken)(void *arg), void *arg) {
  (void)uv;
  (void)woken;
  (void)arg;
  sleep->fd = -1;
}

void sync_sleep_close(struct sync_sleep *sleep) {
  (void)sleep;
}

void sync_sleep_fini(struct sync_sleep *sleep) {
  (void)sleep;
}

#endif
