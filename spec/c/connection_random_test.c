/*
 * connection_random_test.c - millions of inputs in any order: what virtual_connection.h checks holds after each of
 * them, and the connection is never deaf without a reason.
 */
#include "virtual_connection.h"

#define INPUTS 3000000u

static struct virtual_connection life;

/* splitmix64; the seed is fixed, so that a failure can be looked at again. */
static uint64_t bits(void) {
  static uint64_t state = 1;
  uint64_t mixed = (state += 0x9e3779b97f4a7c15u);
  mixed = (mixed ^ (mixed >> 30)) * 0xbf58476d1ce4e5b9u;
  mixed = (mixed ^ (mixed >> 27)) * 0x94d049bb133111ebu;
  return mixed ^ (mixed >> 31);
}

static unsigned below(unsigned bound) {
  return (unsigned)(bits() % bound);
}

/* Mostly short, now and then beyond every limit. */
static int64_t some_ms(void) {
  static const unsigned bounds[] = {1, 2, 100, 5000, 200000, 48 * HOUR_MS};
  return below(bounds[below(COUNT_OF(bounds))]);
}

/* Whatever can end an exchange. */
static sync_code some_code(void) {
  return (sync_code)(SYNC_DNS + below(SYNC_IDLE_TIMEOUT - SYNC_DNS + 1));
}

static bool once_in(unsigned count) {
  return below(count) == 0;
}

static struct sync_connection_config some_config(void) {
  struct sync_connection_config config = virtual_config();
  config.ask = once_in(3);
  config.auto_reconnect = !once_in(4);
  config.stop_when_exhausted = once_in(4);
  config.max_reconnect_attempts = 1 + below(6);
  config.reconnect_delay_ms = some_ms() % (24 * HOUR_MS);
  config.max_reconnect_delay_ms = some_ms() % HOUR_MS;
  config.stable_after_ms = some_ms();
  config.stream_retry_interval_ms = 1 + some_ms() % HOUR_MS;
  config.heartbeat_interval_ms = 1 + some_ms();
  config.idle_timeout_ms = some_ms();
  config.connect_timeout_ms = 1 + some_ms();
  return config;
}

static void pass_some_time(void) {
  int64_t deadline_ms = sync_connection_deadline_ms(&life.connection);
  if (deadline_ms > life.now_ms && once_in(2))
    life.now_ms = deadline_ms - (once_in(2) ? 1 : 0);
  else
    life.now_ms += some_ms();
}

/* Whether the failure told last says that nothing can be done. */
static bool may_give_up(void) {
  const struct sync_connection_config *config = &life.connection.config;
  if (!config->auto_reconnect || config->stop_when_exhausted) return true;
  for (int i = 0; i < life.actions.count; i++)
    if (life.actions.list[i].kind == SYNC_ACTION_FAILURE && !life.actions.list[i].failure.retryable) return true;
  return false;
}

static void hear_something(void) {
  sync_connection_heard(&life.connection, life.now_ms);
  if (once_in(2)) sync_connection_event(&life.connection, false);
  if (once_in(2)) sync_connection_keepalive(&life.connection, life.now_ms);
  if (once_in(4)) sync_connection_retry(&life.connection, some_ms());
}

static void give_some_input(void) {
  life.random = bits();
  switch (below(12)) {
  case 0: virtual_start(&life); break;
  case 1: virtual_stop(&life); break;
  case 2: virtual_restart(&life); break;
  case 3:
  case 4: virtual_answer(&life); break;
  case 5: virtual_refuse(&life); break;
  case 6:
  case 7: virtual_opened(&life); break;
  case 8: virtual_ended(&life, some_code(), once_in(3) ? some_ms() : 0); break;
  case 9:
    if (life.under_way) hear_something();
    break;
  case 10: life.connection.config = some_config(); break;
  default: virtual_tick(&life); break;
  }
}

static void any_order_of_inputs_keeps_what_must_hold(void **state) {
  (void)state;
  unsigned visits[SYNC_PHASE_GIVEN_UP + 1] = {0};
  virtual_init(&life, virtual_config());
  for (unsigned i = 0; i < INPUTS; i++) {
    enum sync_phase before = life.connection.phase;
    life.actions.count = 0;
    give_some_input();
    if (life.connection.phase == SYNC_PHASE_GIVEN_UP && before != SYNC_PHASE_GIVEN_UP) assert_true(may_give_up());
    visits[life.connection.phase]++;
    if (once_in(2)) pass_some_time();
  }
  for (size_t phase = 0; phase < COUNT_OF(visits); phase++) assert_true(visits[phase] > INPUTS / 1000);
}

/* Whatever happened before, when the host wants the stream and the server is well again, it opens: a few deadlines on,
 * no command, no luck. */
static void the_stream_always_comes_back(void **state) {
  (void)state;
  for (unsigned round = 0; round < 2000; round++) {
    virtual_init(&life, some_config());
    for (unsigned i = 0; i < 50; i++) {
      give_some_input();
      pass_some_time();
    }
    life.connection.config.auto_reconnect = true;
    virtual_start(&life);
    for (unsigned i = 0; i < 5 && life.connection.phase != SYNC_PHASE_OPEN; i++) {
      if (life.connection.phase == SYNC_PHASE_WAITING) virtual_due(&life);
      if (life.connection.phase == SYNC_PHASE_ASKING) virtual_answer(&life);
      if (life.connection.phase == SYNC_PHASE_OPENING) virtual_opened(&life);
    }
    virtual_check_at(&life, SYNC_PHASE_OPEN, SYNC_CONNECTED);
  }
}

int main(void) {
  static const struct CMUnitTest tests[] = {
      cmocka_unit_test(any_order_of_inputs_keeps_what_must_hold),
      cmocka_unit_test(the_stream_always_comes_back),
  };
  return cmocka_run_group_tests(tests, NULL, NULL);
}
