/*
 * connection_random_test.c - millions of inputs in any order: what virtual_connection.h checks holds after each of
 * them, the connection is never deaf without a reason, and it is never stubborn against one.
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

static bool once_in(unsigned count) {
  return below(count) == 0;
}

/* Whatever can end an exchange. What a status means depends on the status, and on how strictly it is taken. */
static sync_failure some_failure(void) {
  sync_failure failure;
  sync_code code = (sync_code)(SYNC_DNS + below(SYNC_IDLE_TIMEOUT - SYNC_DNS + 1));
  sync_failure_set(&failure, code, "%s", sync_code_text(code));
  if ((code == SYNC_HTTP_STATUS || code == SYNC_HTTP_AUTH) && once_in(2))
    sync_failure_class(&failure, SYNC_CLASS_FATAL);
  return failure;
}

static struct sync_connection_config some_config(void) {
  struct sync_connection_config config = virtual_config();
  config.ask = once_in(2);
  config.auto_reconnect = !once_in(4);
  config.stop_when_exhausted = once_in(4);
  config.max_reconnect_attempts = 1 + below(6);
  config.reconnect_delay_ms = some_ms() % (24 * HOUR_MS);
  config.max_reconnect_delay_ms = some_ms() % HOUR_MS;
  config.stable_after_ms = some_ms();
  config.stream_retry_interval_ms = 1 + some_ms() % HOUR_MS;
  config.heartbeat_interval_ms = 1 + some_ms();
  config.idle_timeout_ms = once_in(2) ? 0 : some_ms();
  config.connect_timeout_ms = 1 + some_ms();
  config.urls = 1 + (int)below(4);
  return config;
}

static void pass_some_time(void) {
  int64_t deadline_ms = sync_connection_deadline_ms(&life.connection);
  if (deadline_ms <= life.now_ms || once_in(8))
    life.now_ms += some_ms();
  else
    life.now_ms = deadline_ms - (once_in(4) ? 1 : 0);
}

/* ---- what was said so far ---------------------------------------------------------------------------------------- */

/* What the failures of this round say about the next one. */
static struct {
  bool hope;      /* one of them may pass, or be put right */
  bool stay_away; /* the last one was an instruction */
} outlook;

static void begin_round(void) {
  outlook.hope = outlook.stay_away = false;
}

static void take_in_failures(void) {
  for (int i = 0; i < life.actions.count; i++) {
    const struct sync_action *action = &life.actions.list[i];
    sync_code code = action->failure.code;
    if (action->kind != SYNC_ACTION_FAILURE || code == SYNC_EXHAUSTED) continue;
    if (code == SYNC_SLEPT || code == SYNC_NETWORK_CHANGED) continue; /* the round has only begun */
    sync_class error_class = action->failure.error_class;
    outlook.hope = outlook.hope || error_class == SYNC_CLASS_RETRY || error_class == SYNC_CLASS_CONFIGURATION;
    outlook.stay_away = code == SYNC_HTTP_NO_CONTENT;
  }
}

/* Nobody gives up who may hope, and nobody waits who may not. */
static void check_outlook(enum sync_phase before) {
  const struct sync_connection_config *config = &life.connection.config;
  enum sync_phase phase = life.connection.phase;
  if (phase != before && phase == SYNC_PHASE_GIVEN_UP)
    assert_true(!config->auto_reconnect || config->stop_when_exhausted || outlook.stay_away || !outlook.hope);
  if (phase != before && phase == SYNC_PHASE_WAITING)
    assert_true(config->auto_reconnect && outlook.hope && !outlook.stay_away);
  if (phase != SYNC_PHASE_ASKING && phase != SYNC_PHASE_OPENING) begin_round();
}

/* ---- inputs ------------------------------------------------------------------------------------------------------ */

static void hear_something(void) {
  sync_connection_heard(&life.connection, life.now_ms);
  if (once_in(2)) virtual_event(&life, once_in(2));
  if (once_in(2)) sync_connection_keepalive(&life.connection, life.now_ms);
  if (once_in(4)) sync_connection_retry(&life.connection, some_ms());
}

static void give_command(void) {
  switch (below(16)) {
  case 0: virtual_stop(&life); break;
  case 1: virtual_restart(&life); break;
  case 2: virtual_distrust(&life, once_in(2) ? SYNC_SLEPT : SYNC_NETWORK_CHANGED, once_in(2)); break;
  default: virtual_start(&life); break;
  }
  if (life.actions.count > 0) begin_round();
}

/* As client.c does it: another request begins anew, anything else is reconsidered. */
static void change_config(void) {
  const struct sync_connection_config before = life.connection.config;
  bool away = life.connection.phase == SYNC_PHASE_AWAY || life.connection.phase == SYNC_PHASE_GIVEN_UP;
  life.connection.config = some_config();
  if (away || (before.urls == life.connection.config.urls && before.ask == life.connection.config.ask)) {
    sync_connection_reconsider(&life.connection);
    return;
  }
  virtual_restart(&life);
  begin_round();
}

static void end_stream(void) {
  const sync_failure failure = some_failure();
  virtual_failed(&life, &failure, once_in(3) ? some_ms() : 0);
}

static void renew_somehow(void) {
  if (life.renewing && once_in(4))
    virtual_successor_ended(&life, some_failure().code);
  else
    virtual_successor_opened(&life);
}

static void give_some_input(void) {
  life.random = bits();
  switch (below(16)) {
  case 0: give_command(); break;
  case 1:
    if (once_in(16)) change_config();
    break;
  case 2:
  case 3:
  case 4: virtual_answer(&life, once_in(4) ? 0 : some_ms()); break;
  case 5: virtual_refuse(&life); break;
  case 6:
  case 7:
  case 8: virtual_opened(&life); break;
  case 9:
    if (once_in(2)) end_stream();
    break;
  case 10:
  case 11:
    if (life.under_way) hear_something();
    break;
  case 12:
  case 13: renew_somehow(); break;
  default: virtual_tick(&life); break;
  }
}

/* ---- tests ------------------------------------------------------------------------------------------------------- */

static void any_order_of_inputs_keeps_what_must_hold(void **state) {
  (void)state;
  unsigned visits[SYNC_PHASE_GIVEN_UP + 1] = {0}, renewal_visits[SYNC_RENEWAL_READY + 1] = {0};
  virtual_init(&life, virtual_config());
  begin_round();
  for (unsigned i = 0; i < INPUTS; i++) {
    enum sync_phase before = life.connection.phase;
    life.actions.count = 0;
    give_some_input();
    take_in_failures();
    check_outlook(before);
    visits[life.connection.phase]++;
    renewal_visits[life.connection.renewal.phase]++;
    if (once_in(2)) pass_some_time();
  }
  for (size_t phase = 0; phase < COUNT_OF(visits); phase++) assert_true(visits[phase] > INPUTS / 1000);
  for (size_t phase = 0; phase < COUNT_OF(renewal_visits); phase++) assert_true(renewal_visits[phase] > INPUTS / 1000);
  assert_true(life.replacements > 1000);
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
      if (life.connection.phase == SYNC_PHASE_ASKING) virtual_answer(&life, 0);
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
