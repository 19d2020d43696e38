/* sleep_test.c - the jump between two clocks, and the watch that says when to look. */
#include "sleep.h"

#include <string.h>
#include <time.h>
#include <unistd.h>
#ifdef __linux__
#include <sys/timerfd.h>
#endif

#include "spans.h"

/* ---- looking ----------------------------------------------------------------------------------------------------- */

static void the_first_look_finds_nothing(void **state) {
  (void)state;
  struct sync_sleep sleep = {.begun = false};
  assert_int_equal(sync_sleep_look(&sleep, 1700000000000, 5), 0);
  assert_int_equal(sync_sleep_look(&sleep, 1700000000001, 6), 0);
}

static void clocks_that_go_together_are_no_sleep(void **state) {
  (void)state;
  struct sync_sleep sleep = {.begun = false};
  for (int64_t now_ms = 0; now_ms < 1000; now_ms++) /* looked at every other day */
    assert_int_equal(sync_sleep_look(&sleep, 1700000000000 + now_ms * 172800000, now_ms * 172800000), 0);
}

static void a_jump_is_told_once_and_how_far_it_went(void **state) {
  (void)state;
  struct sync_sleep sleep = {.begun = false};
  (void)sync_sleep_look(&sleep, 1000, 1000);
  assert_int_equal(sync_sleep_look(&sleep, 3600000 + 1010, 1010), 3600000);
  assert_int_equal(sync_sleep_look(&sleep, 3600000 + 1020, 1020), 0);
  assert_int_equal(sync_sleep_look(&sleep, 3600000 * 3 + 1020, 1020), 3600000 * 2);
}

static void an_absence_counts_from_the_least_on(void **state) {
  (void)state;
  for (int64_t jump_ms = SYNC_SLEEP_LEAST_MS - 2; jump_ms <= SYNC_SLEEP_LEAST_MS + 2; jump_ms++) {
    struct sync_sleep sleep = {.begun = false};
    (void)sync_sleep_look(&sleep, 0, 0);
    assert_int_equal(sync_sleep_look(&sleep, jump_ms + 7, 7), jump_ms < SYNC_SLEEP_LEAST_MS ? 0 : jump_ms);
  }
}

static void a_clock_that_is_corrected_drifts_and_is_no_sleep(void **state) {
  (void)state;
  struct sync_sleep sleep = {.begun = false};
  for (int64_t look = 0; look < 1000; look++) /* half a second in ten, for hours */
    assert_int_equal(sync_sleep_look(&sleep, look * 10500, look * 10000), 0);
}

static void a_clock_that_is_set_back_is_no_sleep_and_forward_again_is_one(void **state) {
  (void)state;
  struct sync_sleep sleep = {.begun = false};
  (void)sync_sleep_look(&sleep, 10000000, 0);
  assert_int_equal(sync_sleep_look(&sleep, 10, 10), 0);
  assert_int_equal(sync_sleep_look(&sleep, 20, 20), 0);
  assert_int_equal(sync_sleep_look(&sleep, 10000030, 30), 10000000);
}

/* ---- watching ---------------------------------------------------------------------------------------------------- */

static uv_loop_t uv;
static struct sync_sleep watched;
static int calls;

static void count_call(void *arg) {
  assert_ptr_equal(arg, &calls);
  calls++;
}

static int set_up(void **state) {
  (void)state;
  calls = 0;
  memset(&watched, 0, sizeof watched);
  if (uv_loop_init(&uv) != 0) return -1;
  sync_sleep_watch(&watched, &uv, count_call, &calls);
  return 0;
}

static int tear_down(void **state) {
  (void)state;
  sync_sleep_close(&watched);
  assert_int_equal(uv_run(&uv, UV_RUN_DEFAULT), 0);
  sync_sleep_fini(&watched);
  return uv_loop_close(&uv); /* not 0: something was left */
}

static void a_watch_does_not_keep_the_loop_alive(void **state) {
  (void)state;
  assert_false(uv_loop_alive(&uv));
  assert_int_equal(uv_backend_timeout(&uv), 0);
  assert_int_equal(uv_run(&uv, UV_RUN_DEFAULT), 0);
  assert_int_equal(calls, 0);
}

#ifdef __linux__

/* Only root sets the clock; the descriptor is readable then. Here it is, because its time has come. */
static void make_it_readable(void) {
  const struct itimerspec past = {.it_value = {.tv_nsec = 1}};
  assert_int_equal(timerfd_settime(watched.fd, TFD_TIMER_ABSTIME, &past, NULL), 0);
}

static void on_hour(uv_timer_t *timer) {
  (void)timer;
  fail_msg("an hour has passed");
}

static void when_it_is_time_to_look_it_says_so_once(void **state) {
  (void)state;
  uv_timer_t hour; /* what a stream is to the loop: a reason to turn */
  uv_timer_init(&uv, &hour);
  uv_timer_start(&hour, on_hour, 60 * 60 * 1000, 0);
  for (int times = 1; times <= 3; times++) {
    make_it_readable();
    while (calls < times) (void)uv_run(&uv, UV_RUN_ONCE);
    for (int i = 0; i < 3; i++) (void)uv_run(&uv, UV_RUN_NOWAIT);
    assert_int_equal(calls, times);
  }
  uv_close((uv_handle_t *)&hour, NULL);
  (void)uv_run(&uv, UV_RUN_NOWAIT);
}

static void it_waits_for_the_clock_to_be_set_and_for_nothing_else(void **state) {
  (void)state;
  struct itimerspec armed;
  assert_int_equal(timerfd_gettime(watched.fd, &armed), 0);
  assert_true(armed.it_value.tv_sec > 50LL * 365 * 24 * 60 * 60);
  assert_int_equal(armed.it_interval.tv_sec, 0);
}

/* A descriptor that is left open would be the lowest free one no more. */
static void it_leaves_no_descriptor(void **state) {
  (void)state;
  uv_loop_t other;
  struct sync_sleep sleep = {.begun = false};
  assert_int_equal(uv_loop_init(&other), 0);
  int free_before = dup(STDERR_FILENO);
  close(free_before);
  sync_sleep_watch(&sleep, &other, count_call, &calls);
  assert_int_equal(sleep.fd, free_before);
  sync_sleep_close(&sleep);
  assert_int_equal(uv_run(&other, UV_RUN_DEFAULT), 0);
  sync_sleep_fini(&sleep);
  int free_after = dup(STDERR_FILENO);
  close(free_after);
  assert_int_equal(free_after, free_before);
  assert_int_equal(uv_loop_close(&other), 0);
}

#endif

#define WATCH(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)

int main(void) {
  static const struct CMUnitTest tests[] = {
      cmocka_unit_test(the_first_look_finds_nothing),
      cmocka_unit_test(clocks_that_go_together_are_no_sleep),
      cmocka_unit_test(a_jump_is_told_once_and_how_far_it_went),
      cmocka_unit_test(an_absence_counts_from_the_least_on),
      cmocka_unit_test(a_clock_that_is_corrected_drifts_and_is_no_sleep),
      cmocka_unit_test(a_clock_that_is_set_back_is_no_sleep_and_forward_again_is_one),
      WATCH(a_watch_does_not_keep_the_loop_alive),
#ifdef __linux__
      WATCH(when_it_is_time_to_look_it_says_so_once),
      WATCH(it_waits_for_the_clock_to_be_set_and_for_nothing_else),
      WATCH(it_leaves_no_descriptor),
#endif
  };
  return cmocka_run_group_tests(tests, NULL, NULL);
}
