/*
 * loop.c - the private uv loop: one descriptor, a timeout, steps with a budget.
 *
 * Private because a host's loop may be shared with code that walks every handle (luv does). Nested by its descriptor
 * instead: readable means, step. On Linux a timerfd inside the loop makes timers show through that descriptor as well.
 */
#include "client.h"

#include <pthread.h>
#include <time.h>
#include <unistd.h>
#ifdef __linux__
#include <sys/timerfd.h>
#endif

#include "error.h"
#include "keeper.h"

/* A loop that is played begins at midnight, 1 January 2026, UTC: tests see the same times every time. */
#define PLAYED_BEGINS_AT_MS 1767225600000

/* And its waits are spread in the same way every time. */
#define PLAYED_SEED 20260101

/* ---- lists ------------------------------------------------------------------------------------------------------- */

void sync_link_init(struct sync_link *link, sync_client *client) {
  link->next = link->previous = link;
  link->client = client;
}

void sync_link_append(struct sync_link *head, struct sync_link *link) {
  link->previous = head->previous;
  link->next = head;
  head->previous->next = link;
  head->previous = link;
}

void sync_link_remove(struct sync_link *link) {
  link->previous->next = link->next;
  link->next->previous = link->previous;
  link->next = link->previous = link;
}

bool sync_link_alone(const struct sync_link *link) {
  return link->next == link;
}

/* ---- fork -------------------------------------------------------------------------------------------------------- */

/* A child shares the parent's sockets and epoll set: a close there would freeze the parent's streams. So the child's
 * calls do nothing. A counter that fork() bumps costs a read; getpid() would cost a system call an event. */
static unsigned forks;

static void count_fork(void) {
  forks++;
}

static void watch_forks(void) {
  pthread_atfork(NULL, NULL, count_fork);
}

bool sync_loop_ours(const sync_loop *loop) {
  return loop->forks == forks;
}

/* ---- time and chance --------------------------------------------------------------------------------------------- */

int64_t sync_loop_clock_us(void) {
  return (int64_t)(uv_hrtime() / 1000);
}

bool sync_loop_is_played(const sync_loop *loop) {
  return loop->transport == NULL;
}

int64_t sync_loop_now_ms(const sync_loop *loop) {
  return sync_loop_is_played(loop) ? loop->played_ms : (int64_t)uv_now(&loop->uv);
}

int64_t sync_loop_clock_ms(const sync_loop *loop) {
  return sync_loop_is_played(loop) ? loop->played_ms : sync_loop_clock_us() / 1000;
}

int64_t sync_loop_wall_ms(const sync_loop *loop) {
  if (sync_loop_is_played(loop)) return PLAYED_BEGINS_AT_MS + loop->played_ms;
  struct timespec now;
  clock_gettime(CLOCK_REALTIME, &now);
  return (int64_t)now.tv_sec * 1000 + now.tv_nsec / 1000000;
}

/* xorshift64*: even enough to spread waits. */
uint64_t sync_loop_random(void *arg) {
  sync_loop *loop = arg;
  loop->random ^= loop->random >> 12;
  loop->random ^= loop->random << 25;
  loop->random ^= loop->random >> 27;
  return loop->random * 0x2545f4914f6cdd1du;
}

static uint64_t seed(void) {
  uint64_t bits = 0;
  if (uv_random(NULL, NULL, &bits, sizeof bits, 0, NULL) != 0) bits = uv_hrtime();
  return bits | 1; /* xorshift stays at zero */
}

/* ---- what is due ------------------------------------------------------------------------------------------------- */

/* A snapshot is being taken in, and there is room for what it brings. */
static bool has_snapshots(const sync_loop *loop) {
  const struct sync_link *link = loop->snapshots ? loop->clients.next : &loop->clients;
  while (link != &loop->clients && !sync_snapshots_can_go_on(link->client)) link = link->next;
  return link != &loop->clients;
}

static void go_on_with_snapshots(sync_loop *loop) {
  if (loop->snapshots == 0) return;
  for (struct sync_link *link = loop->clients.next; link != &loop->clients; link = link->next)
    if (sync_snapshots_can_go_on(link->client)) sync_snapshots_go_on(link->client);
}

/* Something can be done at once: items wait, or a paused stream has room. */
static bool has_work(const sync_loop *loop) {
  if (!sync_link_alone(&loop->ready) || has_snapshots(loop)) return true;
  return sync_loop_is_played(loop) ? sync_played_can_resume(loop) : sync_transport_can_resume(loop->transport);
}

static int due_in_ms(sync_loop *loop) {
  if (has_work(loop)) return 0;
  if (sync_loop_is_played(loop)) return sync_played_due_in_ms(loop);
  if (!uv_loop_alive(&loop->uv)) return -1; /* uv says 0 then, meaning that uv_run() would not wait */
  uv_update_time(&loop->uv);                /* else the timeout is counted from the last turn of the loop */
  return uv_backend_timeout(&loop->uv);
}

/* ---- the timer that shows through the descriptor ----------------------------------------------------------------- */

#ifdef __linux__

/* Reading clears it; the timer that was due runs in the same turn of the loop. */
static void on_timer_fd(uv_poll_t *poll, int status, int events) {
  (void)status;
  (void)events;
  sync_loop *loop = poll->data;
  uint64_t expirations;
  if (read(loop->timer_fd, &expirations, sizeof expirations) > 0) loop->timer_armed_ms = -1;
}

static void open_timer_fd(sync_loop *loop) {
  loop->timer_fd = timerfd_create(CLOCK_MONOTONIC, TFD_NONBLOCK | TFD_CLOEXEC);
  if (loop->timer_fd < 0) return;
  uv_poll_init(&loop->uv, &loop->timer_poll, loop->timer_fd);
  loop->timer_poll.data = loop;
  uv_poll_start(&loop->timer_poll, UV_READABLE, on_timer_fd);
  uv_run(&loop->uv, UV_RUN_NOWAIT); /* only a turn enters it into the descriptor, and without a reference none would */
  uv_unref((uv_handle_t *)&loop->timer_poll);
}

void sync_loop_settle(sync_loop *loop) {
  if (loop->timer_fd < 0 || !sync_loop_ours(loop)) return; /* a child that goes on with its step shares the timer */
  int timeout_ms = due_in_ms(loop);
  int64_t due_ms = timeout_ms < 0 ? -1 : sync_loop_now_ms(loop) + timeout_ms;
  if (due_ms == loop->timer_armed_ms) return;
  struct itimerspec spec = {.it_value = {.tv_sec = 0}};
  if (timeout_ms > 0) {
    spec.it_value.tv_sec = timeout_ms / 1000;
    spec.it_value.tv_nsec = (long)(timeout_ms % 1000) * 1000000;
  } else if (timeout_ms == 0) {
    spec.it_value.tv_nsec = 1; /* zero would disarm it */
  }
  if (timerfd_settime(loop->timer_fd, 0, &spec, NULL) == 0) loop->timer_armed_ms = due_ms;
}

#else

static void open_timer_fd(sync_loop *loop) {
  loop->timer_fd = -1;
}

void sync_loop_settle(sync_loop *loop) {
  (void)loop;
}

#endif

/* ---- sleep ------------------------------------------------------------------------------------------------------- */

/* After sleep every connection is suspect. The terminals of a shop do not wake together: nothing is spread. */
static void look_for_sleep(void *arg) {
  sync_loop *loop = arg;
  int64_t slept_ms = sync_sleep_look(&loop->sleep, sync_loop_wall_ms(loop), sync_loop_clock_ms(loop));
  if (slept_ms == 0) return;
  sync_failure failure;
  sync_failure_set(&failure, SYNC_SLEPT, "the wall clock jumped %lld ms ahead, as it does when a machine has slept",
                   (long long)slept_ms);
  for (struct sync_link *link = loop->clients.next; link != &loop->clients; link = link->next)
    sync_client_distrust(link->client, &failure, false);
}

/* ---- the loop ---------------------------------------------------------------------------------------------------- */

static sync_loop *new_loop(const sync_allocator *alloc, bool played) {
  static pthread_once_t once = PTHREAD_ONCE_INIT;
  pthread_once(&once, watch_forks);
  if (!alloc) alloc = &sync_alloc_standard;
  sync_loop *loop = sync_alloc_zeroed(alloc, sizeof *loop);
  if (!loop) return NULL;
  loop->alloc = alloc;
  loop->forks = forks;
  loop->random = played ? PLAYED_SEED : seed();
  loop->timer_fd = loop->sleep.fd = -1;
  loop->timer_armed_ms = -1;
  sync_link_init(&loop->clients, NULL);
  sync_link_init(&loop->ready, NULL);
  loop->segments = sync_segment_pool_new(alloc);
  if (!loop->segments || uv_loop_init(&loop->uv) != 0) goto fail;
  loop->alarm_at_ms = -1;
  sync_order_names_init(&loop->order_names);
  sync_change_reader_init(&loop->changes, alloc, &loop->order_names);
  loop->transport = played ? NULL : sync_transport_new(alloc, &loop->uv);
  if (!loop->transport && !played) goto fail_loop;
  uv_timer_init(&loop->uv, &loop->patience);
  uv_timer_init(&loop->uv, &loop->alarm);
  loop->alarm.data = loop;
  if (played) return loop; /* time passes when it is told to */
  sync_sleep_watch(&loop->sleep, &loop->uv, look_for_sleep, loop);
  open_timer_fd(loop);
  return loop;

fail_loop:
  uv_loop_close(&loop->uv);
fail:
  sync_segment_pool_free(loop->segments);
  sync_alloc_free(alloc, loop);
  return NULL;
}

sync_loop *sync_loop_new(const sync_allocator *alloc) {
  return new_loop(alloc, false);
}

sync_loop *sync_loop_new_played(const sync_allocator *alloc) {
  return new_loop(alloc, true);
}

void sync_loop_free(sync_loop *loop) {
  if (!loop || !sync_loop_ours(loop)) return; /* in a child it is the parent's: leaked on purpose */
  while (!sync_link_alone(&loop->clients)) sync_client_free(loop->clients.next->client);
  sync_transport_free(loop->transport);
  uv_close((uv_handle_t *)&loop->patience, NULL);
  uv_close((uv_handle_t *)&loop->alarm, NULL);
  if (loop->timer_fd >= 0) uv_close((uv_handle_t *)&loop->timer_poll, NULL);
  sync_sleep_close(&loop->sleep);
  uv_run(&loop->uv, UV_RUN_DEFAULT);
  uv_loop_close(&loop->uv);
  if (loop->timer_fd >= 0) close(loop->timer_fd);
  sync_sleep_fini(&loop->sleep);
  sync_segment_pool_free(loop->segments);
  sync_change_reader_fini(&loop->changes);
  sync_alloc_free(loop->alloc, loop);
}

int sync_loop_fd(const sync_loop *loop) {
  return uv_backend_fd(&loop->uv);
}

int sync_loop_timeout_ms(sync_loop *loop) {
  if (!sync_loop_ours(loop)) return -1;
  sync_loop_settle(loop);
  return due_in_ms(loop);
}

static void on_patience(uv_timer_t *timer) {
  (void)timer; /* its firing is what ends the wait */
}

static void on_alarm(uv_timer_t *timer) {
  sync_loop *loop = timer->data;
  loop->alarm_at_ms = -1;
  loop->arrivals++;
}

void sync_loop_alarm(sync_loop *loop, int64_t at_ms) {
  if (!sync_loop_ours(loop)) return;
  uv_update_time(&loop->uv);
  int64_t left_ms = at_ms - sync_loop_clock_ms(loop);
  loop->alarm_at_ms = at_ms;
  if (at_ms < 0 || sync_loop_is_played(loop))
    uv_timer_stop(&loop->alarm);
  else
    uv_timer_start(&loop->alarm, on_alarm, left_ms > 0 ? (uint64_t)left_ms : 0, 0);
  sync_loop_settle(loop);
}

/* Turns the loop until there is something to deliver or `timeout_ms` (< 0: for ever) are over. */
static void wait_for_items(sync_loop *loop, int timeout_ms) {
  uint64_t arrivals = loop->arrivals;
  uv_update_time(&loop->uv);
  if (timeout_ms > 0) uv_timer_start(&loop->patience, on_patience, (uint64_t)timeout_ms, 0);
  do {
    uv_run(&loop->uv, UV_RUN_ONCE);
  } while (arrivals == loop->arrivals && !has_work(loop) &&
           (timeout_ms < 0 ? uv_loop_alive(&loop->uv) : uv_is_active((uv_handle_t *)&loop->patience)));
  uv_timer_stop(&loop->patience);
}

/* What a step brought is on disk before anybody gets it. */
static void settle_journals(sync_loop *loop) {
  for (struct sync_link *link = loop->clients.next; link != &loop->clients; link = link->next)
    if (link->client->keeper) sync_keeper_settle(link->client);
}

sync_code sync_loop_step(sync_loop *loop, int timeout_ms, int64_t budget_us) {
  if (!sync_loop_ours(loop)) return SYNC_FORKED;
  loop->budget_us = budget_us > 0 ? budget_us : 0;
  loop->spent_at_us = 0;
  loop->backlog = !sync_link_alone(&loop->ready);
  uv_update_time(&loop->uv); /* the host may have been away: what resumes now is heard now */
  look_for_sleep(loop);
  go_on_with_snapshots(loop);
  if (sync_loop_is_played(loop)) {
    sync_played_resume(loop);
    settle_journals(loop);
    return SYNC_OK;
  }
  sync_transport_resume(loop->transport);
  bool wait = timeout_ms != 0 && !has_work(loop);
  if (wait && timeout_ms < 0 && !uv_loop_alive(&loop->uv)) return SYNC_CLOSED;
  if (wait)
    wait_for_items(loop, timeout_ms);
  else
    uv_run(&loop->uv, UV_RUN_NOWAIT);
  settle_journals(loop);
  if (!has_work(loop)) sync_loop_settle(loop); /* with work, the end of the drain that follows does */
  return SYNC_OK;
}

/* The time of waiting is not spent on anything: the first look starts the clock, so that every step gets something
 * done. */
bool sync_loop_over_budget(sync_loop *loop) {
  if (loop->budget_us == 0) return false;
  int64_t now_us = sync_loop_clock_us();
  if (loop->spent_at_us == 0) loop->spent_at_us = now_us + loop->budget_us;
  return now_us >= loop->spent_at_us;
}

bool sync_loop_may_read(sync_loop *loop) {
  if (loop->budget_us > 0 && loop->backlog) return false;
  return !sync_loop_over_budget(loop);
}

bool sync_loop_spent(sync_loop *loop) {
  if (!sync_loop_over_budget(loop)) return false;
  sync_loop_settle(loop); /* whoever asks stops now: what is left must show through the descriptor */
  return true;
}

bool sync_loop_forked(const sync_loop *loop) {
  return !sync_loop_ours(loop);
}

sync_client *sync_loop_ready(sync_loop *loop) {
  if (!sync_loop_ours(loop)) return NULL;
  if (sync_link_alone(&loop->ready)) {
    sync_loop_settle(loop);
    return NULL;
  }
  struct sync_link *first = loop->ready.next;
  sync_link_remove(first); /* to the end of the ring: every client has its turn */
  sync_link_append(&loop->ready, first);
  return first->client;
}
