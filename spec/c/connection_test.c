/* connection_test.c - the life of a connection under a virtual clock: connects, losses, waits, giving up, commands. */
#include "virtual_connection.h"

static struct virtual_connection life;

static int set_up(void **state) {
  (void)state;
  virtual_init(&life, virtual_config());
  return 0;
}

/* The next loss waits between 0 and `ceiling_ms`, both possible. Tried on copies: `life` itself is not touched. */
static void check_ceiling(int64_t ceiling_ms) {
  struct virtual_connection copy = life;
  copy.connection.random_arg = &copy;
  copy.random = (uint64_t)ceiling_ms;
  virtual_ended(&copy, SYNC_STREAM_CUT, 0);
  assert_int_equal(sync_connection_deadline_ms(&copy.connection) - copy.now_ms, ceiling_ms);
  copy = life;
  copy.connection.random_arg = &copy;
  copy.random = (uint64_t)ceiling_ms + 1;
  virtual_ended(&copy, SYNC_STREAM_CUT, 0);
  assert_int_equal(sync_connection_deadline_ms(&copy.connection) - copy.now_ms, 0);
}

/* ---- connecting -------------------------------------------------------------------------------------------------- */

static void it_begins_away(void **state) {
  (void)state;
  virtual_check_at(&life, SYNC_PHASE_AWAY, SYNC_DISCONNECTED);
  assert_int_equal(sync_connection_deadline_ms(&life.connection), -1);
  virtual_tick(&life);
  assert_int_equal(life.actions.count, 0);
}

static void the_first_connect_is_told_and_timed(void **state) {
  (void)state;
  virtual_start(&life);
  assert_int_equal(life.actions.count, 2);
  assert_int_equal(life.actions.list[0].to, SYNC_CONNECTING);
  assert_int_equal(life.actions.list[1].kind, SYNC_ACTION_OPEN);
  assert_int_equal(sync_connection_deadline_ms(&life.connection), life.now_ms + 10000);
  virtual_opened(&life);
  virtual_check_at(&life, SYNC_PHASE_OPEN, SYNC_CONNECTED);
}

static void a_loss_is_told_and_followed_by_a_wait_and_a_new_request(void **state) {
  (void)state;
  virtual_open(&life);
  life.random = 700;
  virtual_ended(&life, SYNC_STREAM_ENDED, 0);
  virtual_check_at(&life, SYNC_PHASE_WAITING, SYNC_RECONNECTING);
  assert_int_equal(virtual_failure(&life, SYNC_STREAM_ENDED)->next_retry_at_ms, life.now_ms + 700);
  life.now_ms += 699;
  virtual_tick(&life);
  assert_int_equal(life.actions.count, 0);
  virtual_due(&life);
  assert_true(virtual_did(&life, SYNC_ACTION_OPEN));
  virtual_check_at(&life, SYNC_PHASE_OPENING, SYNC_RECONNECTING);
  virtual_opened(&life);
  virtual_check_at(&life, SYNC_PHASE_OPEN, SYNC_CONNECTED);
}

static void no_response_in_time_is_a_failure(void **state) {
  (void)state;
  virtual_start(&life);
  life.now_ms += 9999;
  virtual_tick(&life);
  assert_int_equal(life.actions.count, 0);
  virtual_due(&life);
  assert_true(virtual_did(&life, SYNC_ACTION_ABORT));
  assert_int_equal(virtual_failure(&life, SYNC_CONNECT_TIMEOUT)->attempt, 1);
  virtual_check_at(&life, SYNC_PHASE_WAITING, SYNC_RECONNECTING);
}

/* ---- backoff ----------------------------------------------------------------------------------------------------- */

static void useless_connects_double_the_wait_up_to_its_cap(void **state) {
  (void)state;
  static const int64_t ceilings[] = {1000, 2000, 4000, 8000, 16000, 30000, 30000};
  struct sync_connection_config config = virtual_config();
  config.max_reconnect_attempts = 100;
  virtual_init(&life, config);
  virtual_start(&life);
  for (size_t i = 0; i < COUNT_OF(ceilings); i++) {
    check_ceiling(ceilings[i]);
    virtual_ended(&life, SYNC_REFUSED, 0);
    assert_int_equal(virtual_failure(&life, SYNC_REFUSED)->attempt, i + 1);
    virtual_due(&life);
  }
}

/* A server that accepts and hangs up at once is no better than one that refuses, but it never exhausts the attempts. */
static void streams_that_bring_nothing_and_do_not_last_are_useless_too(void **state) {
  (void)state;
  static const int64_t ceilings[] = {1000, 2000, 4000, 8000, 16000, 30000, 30000};
  for (size_t i = 0; i < COUNT_OF(ceilings); i++) {
    virtual_open(&life);
    life.now_ms += 9999;
    check_ceiling(ceilings[i]);
    virtual_ended(&life, SYNC_STREAM_CUT, 0);
    assert_int_equal(virtual_failure(&life, i < 2 ? SYNC_STREAM_CUT : SYNC_TIGHT_LOOP)->attempt, 0);
    virtual_check_at(&life, SYNC_PHASE_WAITING, SYNC_RECONNECTING);
  }
}

static void only_a_stable_stream_starts_the_backoff_afresh(void **state) {
  (void)state;
  virtual_start(&life);
  virtual_ended(&life, SYNC_REFUSED, 0);
  virtual_due(&life);
  virtual_ended(&life, SYNC_REFUSED, 0);
  virtual_due(&life);
  virtual_opened(&life);
  check_ceiling(4000); /* opened is not stable */
  life.now_ms += 10000;
  check_ceiling(1000);
  virtual_ended(&life, SYNC_STREAM_CUT, 0);
  virtual_due(&life);
  virtual_opened(&life);
  check_ceiling(2000);
}

static void a_short_stream_that_brought_an_event_does_not_grow_the_wait(void **state) {
  (void)state;
  virtual_start(&life);
  virtual_ended(&life, SYNC_REFUSED, 0);
  for (int i = 0; i < 10; i++) {
    virtual_open(&life);
    sync_connection_event(&life.connection, false);
    check_ceiling(2000);
    virtual_ended(&life, SYNC_STREAM_ENDED, 0);
  }
  virtual_open(&life); /* and the next one has to bring one itself */
  virtual_ended(&life, SYNC_STREAM_ENDED, 0);
  virtual_open(&life);
  check_ceiling(4000);
}

/* ---- floors ------------------------------------------------------------------------------------------------------ */

/* The least and the most that the next loss can wait. */
static void check_wait(int64_t retry_after_ms, int64_t least_ms, int64_t most_ms) {
  for (uint64_t random = 0; random < 5000; random++) {
    struct virtual_connection copy = life;
    copy.connection.random_arg = &copy;
    copy.random = random * 0x9e3779b97f4a7c15u;
    virtual_ended(&copy, SYNC_HTTP_STATUS, retry_after_ms);
    int64_t wait_ms = sync_connection_deadline_ms(&copy.connection) - copy.now_ms;
    if (wait_ms < least_ms || wait_ms > most_ms)
      fail_msg("%lld ms, not %lld to %lld", (long long)wait_ms, (long long)least_ms, (long long)most_ms);
  }
}

static void what_the_server_asks_for_is_the_least(void **state) {
  (void)state;
  virtual_start(&life);
  check_wait(5000, 5000, 7500);
  check_wait(60000, 60000, 90000); /* beyond max_reconnect_delay_ms too */
  check_wait(48 * (int64_t)HOUR_MS, HOUR_MS, HOUR_MS * 3 / 2);
  virtual_opened(&life);
  sync_connection_retry(&life.connection, 3000);
  check_wait(0, 3000, 4500);
  check_wait(1000, 3000, 4500);
  check_wait(20000, 20000, 30000);
  sync_connection_retry(&life.connection, 48 * (int64_t)HOUR_MS);
  check_wait(0, HOUR_MS, HOUR_MS * 3 / 2);
  sync_connection_retry(&life.connection, 0);
  check_wait(0, 0, 1000);
}

static void retry_outlives_its_stream_and_retry_after_does_not(void **state) {
  (void)state;
  virtual_open(&life);
  sync_connection_retry(&life.connection, 3000);
  virtual_ended(&life, SYNC_STREAM_ENDED, 20000);
  virtual_due(&life);
  check_wait(0, 3000, 6000);
}

static void another_server_is_not_bound_by_what_the_last_one_asked_for(void **state) {
  (void)state;
  virtual_open(&life);
  sync_connection_retry(&life.connection, 3000);
  sync_connection_forget_server(&life.connection);
  check_wait(0, 0, 1000);
}

static void a_server_that_is_only_probed_can_ask_for_a_longer_wait_too(void **state) {
  (void)state;
  virtual_start(&life);
  for (int i = 0; i < 5; i++) {
    virtual_ended(&life, SYNC_REFUSED, 0);
    virtual_due(&life);
  }
  check_wait(0, 120000, 144000);
  check_wait(600000, 600000, 900000);
}

/* ---- exhausted --------------------------------------------------------------------------------------------------- */

static void fail_attempts(int count) {
  virtual_start(&life);
  for (int i = 0; i < count; i++) {
    if (life.connection.phase == SYNC_PHASE_WAITING) virtual_due(&life);
    virtual_ended(&life, SYNC_REFUSED, 0);
  }
}

static void after_the_last_attempt_the_stream_is_probed(void **state) {
  (void)state;
  fail_attempts(4);
  virtual_check_at(&life, SYNC_PHASE_WAITING, SYNC_RECONNECTING);
  assert_null(virtual_failure(&life, SYNC_EXHAUSTED));
  fail_attempts(1);
  virtual_check_at(&life, SYNC_PHASE_WAITING, SYNC_ERROR);
  assert_int_equal(virtual_failure(&life, SYNC_EXHAUSTED)->attempt, 5);
  assert_int_equal(virtual_failure(&life, SYNC_REFUSED)->attempt, 5);
  for (int i = 0; i < 100; i++) {
    assert_in_range(sync_connection_deadline_ms(&life.connection) - life.now_ms, 120000, 144000);
    virtual_due(&life);
    assert_int_equal(life.actions.count, 1); /* the state stays what it is until the probe has worked */
    life.random = (uint64_t)i * 0x9e3779b97f4a7c15u;
    virtual_ended(&life, SYNC_REFUSED, 0);
    assert_null(virtual_failure(&life, SYNC_EXHAUSTED));
    virtual_check_at(&life, SYNC_PHASE_WAITING, SYNC_ERROR);
  }
}

static void a_probe_that_works_ends_the_error_and_the_count(void **state) {
  (void)state;
  fail_attempts(7);
  virtual_due(&life);
  virtual_opened(&life);
  virtual_check_at(&life, SYNC_PHASE_OPEN, SYNC_CONNECTED);
  virtual_ended(&life, SYNC_STREAM_CUT, 0);
  virtual_check_at(&life, SYNC_PHASE_WAITING, SYNC_RECONNECTING);
  fail_attempts(4);
  assert_null(virtual_failure(&life, SYNC_EXHAUSTED));
  fail_attempts(1);
  assert_non_null(virtual_failure(&life, SYNC_EXHAUSTED));
}

static void one_attempt_can_be_all(void **state) {
  (void)state;
  struct sync_connection_config config = virtual_config();
  config.max_reconnect_attempts = 1;
  virtual_init(&life, config);
  fail_attempts(1);
  assert_non_null(virtual_failure(&life, SYNC_EXHAUSTED));
  virtual_check_at(&life, SYNC_PHASE_WAITING, SYNC_ERROR);
}

/* The limit may become lower than what has failed already. */
static void a_lower_limit_is_exhausted_with_the_next_failure(void **state) {
  (void)state;
  fail_attempts(4);
  life.connection.config.max_reconnect_attempts = 2;
  fail_attempts(1);
  virtual_check_at(&life, SYNC_PHASE_WAITING, SYNC_ERROR);
  assert_non_null(virtual_failure(&life, SYNC_EXHAUSTED));
}

static void it_stays_away_when_exhausted_if_it_is_told_to(void **state) {
  (void)state;
  struct sync_connection_config config = virtual_config();
  config.stop_when_exhausted = true;
  virtual_init(&life, config);
  fail_attempts(5);
  virtual_check_at(&life, SYNC_PHASE_GIVEN_UP, SYNC_ERROR);
  assert_int_equal(virtual_failure(&life, SYNC_EXHAUSTED)->next_retry_at_ms, -1);
  virtual_start(&life);
  virtual_check_at(&life, SYNC_PHASE_OPENING, SYNC_CONNECTING);
  virtual_ended(&life, SYNC_REFUSED, 0);
  virtual_check_at(&life, SYNC_PHASE_WAITING, SYNC_RECONNECTING);
}

static void without_auto_reconnect_a_loss_is_the_end(void **state) {
  (void)state;
  struct sync_connection_config config = virtual_config();
  config.auto_reconnect = false;
  virtual_init(&life, config);
  virtual_open(&life);
  virtual_ended(&life, SYNC_STREAM_ENDED, 5000);
  virtual_check_at(&life, SYNC_PHASE_GIVEN_UP, SYNC_ERROR);
  assert_int_equal(virtual_failure(&life, SYNC_STREAM_ENDED)->next_retry_at_ms, -1);
  virtual_open(&life);
}

static void what_no_retry_can_help_is_the_end(void **state) {
  (void)state;
  static const sync_code codes[] = {SYNC_HTTP_AUTH, SYNC_HTTP_NO_CONTENT, SYNC_HTTP_REDIRECT, SYNC_CONTENT_TYPE};
  for (size_t i = 0; i < COUNT_OF(codes); i++) {
    virtual_start(&life);
    virtual_ended(&life, codes[i], 5000);
    virtual_check_at(&life, SYNC_PHASE_GIVEN_UP, SYNC_ERROR);
    assert_non_null(virtual_failure(&life, codes[i]));
    assert_null(virtual_failure(&life, SYNC_EXHAUSTED));
  }
}

/* That it was the last of the attempts as well is no news any more. */
static void the_end_is_told_once(void **state) {
  (void)state;
  fail_attempts(4);
  virtual_due(&life);
  virtual_ended(&life, SYNC_CONTENT_TYPE, 0);
  virtual_check_at(&life, SYNC_PHASE_GIVEN_UP, SYNC_ERROR);
  assert_int_equal(virtual_failure(&life, SYNC_CONTENT_TYPE)->attempt, 5);
  assert_null(virtual_failure(&life, SYNC_EXHAUSTED));
}

/* ---- put right on this machine ----------------------------------------------------------------------------------- */

/* A file that cannot be read, say: no retry helps, but somebody may put it right, and nobody should have to restart. */
static void what_can_be_put_right_here_is_an_error_and_is_probed(void **state) {
  (void)state;
  static const sync_code codes[] = {SYNC_TLS_FILE, SYNC_URL, SYNC_HEADER, SYNC_OPTION};
  for (size_t i = 0; i < COUNT_OF(codes); i++) {
    virtual_init(&life, virtual_config());
    virtual_start(&life);
    for (int attempt = 1; attempt <= 20; attempt++) {
      life.random = (uint64_t)attempt * 0x9e3779b97f4a7c15u;
      virtual_ended(&life, codes[i], 0);
      virtual_check_at(&life, SYNC_PHASE_WAITING, SYNC_ERROR);
      const sync_failure *failure = virtual_failure(&life, codes[i]);
      assert_int_equal(failure->attempt, attempt);
      assert_false(failure->retryable);
      assert_in_range(failure->next_retry_at_ms - life.now_ms, 120000, 144000);
      assert_null(virtual_failure(&life, SYNC_EXHAUSTED));
      virtual_due(&life);
    }
    virtual_opened(&life);
    virtual_check_at(&life, SYNC_PHASE_OPEN, SYNC_CONNECTED);
  }
}

static void probes_of_a_file_are_spread_by_a_fifth(void **state) {
  (void)state;
  static const int64_t waits[][2] = {{0, 120000}, {24000, 144000}, {24001, 120000}};
  for (size_t i = 0; i < COUNT_OF(waits); i++) {
    virtual_start(&life);
    life.random = (uint64_t)waits[i][0];
    virtual_ended(&life, SYNC_TLS_FILE, 0);
    assert_int_equal(sync_connection_deadline_ms(&life.connection) - life.now_ms, waits[i][1]);
    virtual_stop(&life);
  }
}

static void they_end_with_the_attempts_if_it_is_told_to_stop(void **state) {
  (void)state;
  struct sync_connection_config config = virtual_config();
  config.stop_when_exhausted = true;
  virtual_init(&life, config);
  virtual_start(&life);
  for (int attempt = 1; attempt < 5; attempt++) {
    virtual_ended(&life, SYNC_TLS_FILE, 0);
    virtual_check_at(&life, SYNC_PHASE_WAITING, SYNC_ERROR);
    virtual_due(&life);
  }
  virtual_ended(&life, SYNC_TLS_FILE, 0);
  virtual_check_at(&life, SYNC_PHASE_GIVEN_UP, SYNC_ERROR);
  assert_int_equal(virtual_failure(&life, SYNC_TLS_FILE)->next_retry_at_ms, -1);
}

static void without_auto_reconnect_nothing_is_probed(void **state) {
  (void)state;
  life.connection.config.auto_reconnect = false;
  virtual_start(&life);
  virtual_ended(&life, SYNC_TLS_FILE, 0);
  virtual_check_at(&life, SYNC_PHASE_GIVEN_UP, SYNC_ERROR);
}

/* The file is there again, but the server is not: that is an outage like any. */
static void an_outage_after_it_is_retried_as_outages_are(void **state) {
  (void)state;
  virtual_start(&life);
  virtual_ended(&life, SYNC_TLS_FILE, 0);
  virtual_due(&life);
  virtual_ended(&life, SYNC_REFUSED, 0);
  virtual_check_at(&life, SYNC_PHASE_WAITING, SYNC_RECONNECTING);
  assert_in_range(sync_connection_deadline_ms(&life.connection) - life.now_ms, 0, 2000);
}

/* ---- commands at any moment -------------------------------------------------------------------------------------- */

/* A connection in `phase`. */
static void be_in(enum sync_phase phase) {
  struct sync_connection_config config = virtual_config();
  config.ask = phase == SYNC_PHASE_ASKING;
  config.auto_reconnect = phase != SYNC_PHASE_GIVEN_UP;
  virtual_init(&life, config);
  if (phase != SYNC_PHASE_AWAY) virtual_start(&life);
  if (phase == SYNC_PHASE_OPEN) virtual_opened(&life);
  if (phase == SYNC_PHASE_WAITING || phase == SYNC_PHASE_GIVEN_UP) virtual_ended(&life, SYNC_REFUSED, 0);
  assert_int_equal(life.connection.phase, phase);
}

static void stop_ends_every_phase(void **state) {
  (void)state;
  for (int phase = SYNC_PHASE_AWAY; phase <= SYNC_PHASE_GIVEN_UP; phase++) {
    be_in((enum sync_phase)phase);
    bool was_under_way = life.under_way;
    virtual_stop(&life);
    assert_int_equal(virtual_did(&life, SYNC_ACTION_ABORT), was_under_way);
    virtual_check_at(&life, SYNC_PHASE_AWAY, SYNC_DISCONNECTED);
    virtual_stop(&life);
    assert_int_equal(life.actions.count, 0);
  }
}

static void start_acts_only_when_nothing_is_wanted_yet(void **state) {
  (void)state;
  for (int phase = SYNC_PHASE_AWAY; phase <= SYNC_PHASE_GIVEN_UP; phase++) {
    be_in((enum sync_phase)phase);
    bool away = phase == SYNC_PHASE_AWAY || phase == SYNC_PHASE_GIVEN_UP;
    virtual_start(&life);
    assert_int_equal(virtual_did(&life, SYNC_ACTION_OPEN), away);
    if (!away) assert_int_equal(life.actions.count, 0);
  }
}

static void restart_opens_at_once_from_every_phase(void **state) {
  (void)state;
  for (int phase = SYNC_PHASE_AWAY; phase <= SYNC_PHASE_GIVEN_UP; phase++) {
    be_in((enum sync_phase)phase);
    bool was_under_way = life.under_way;
    virtual_restart(&life);
    assert_int_equal(virtual_did(&life, SYNC_ACTION_ABORT), was_under_way);
    assert_true(virtual_did(&life, phase == SYNC_PHASE_ASKING ? SYNC_ACTION_ASK : SYNC_ACTION_OPEN));
    bool again = phase == SYNC_PHASE_OPEN || phase == SYNC_PHASE_WAITING;
    assert_string_equal(sync_state_name(life.connection.state),
                        sync_state_name(again ? SYNC_RECONNECTING : SYNC_CONNECTING));
  }
}

/* What a transport or a host says too late, of a request that is no more. */
static void what_comes_too_late_changes_nothing(void **state) {
  (void)state;
  static const enum sync_phase phases[] = {SYNC_PHASE_AWAY, SYNC_PHASE_ASKING, SYNC_PHASE_WAITING, SYNC_PHASE_GIVEN_UP};
  for (size_t i = 0; i < COUNT_OF(phases); i++) {
    be_in(phases[i]);
    virtual_opened(&life);
    assert_int_equal(life.actions.count, 0);
    virtual_ended(&life, SYNC_STREAM_CUT, 1000);
    assert_int_equal(life.actions.count, 0);
    if (phases[i] == SYNC_PHASE_ASKING) continue;
    virtual_answer(&life, 0);
    virtual_refuse(&life);
    assert_int_equal(life.actions.count, 0);
  }
}

#define TEST(name) cmocka_unit_test_setup(name, set_up)

int main(void) {
  static const struct CMUnitTest tests[] = {
      TEST(it_begins_away),
      TEST(the_first_connect_is_told_and_timed),
      TEST(a_loss_is_told_and_followed_by_a_wait_and_a_new_request),
      TEST(no_response_in_time_is_a_failure),
      TEST(useless_connects_double_the_wait_up_to_its_cap),
      TEST(streams_that_bring_nothing_and_do_not_last_are_useless_too),
      TEST(only_a_stable_stream_starts_the_backoff_afresh),
      TEST(a_short_stream_that_brought_an_event_does_not_grow_the_wait),
      TEST(what_the_server_asks_for_is_the_least),
      TEST(retry_outlives_its_stream_and_retry_after_does_not),
      TEST(another_server_is_not_bound_by_what_the_last_one_asked_for),
      TEST(a_server_that_is_only_probed_can_ask_for_a_longer_wait_too),
      TEST(after_the_last_attempt_the_stream_is_probed),
      TEST(a_probe_that_works_ends_the_error_and_the_count),
      TEST(one_attempt_can_be_all),
      TEST(a_lower_limit_is_exhausted_with_the_next_failure),
      TEST(it_stays_away_when_exhausted_if_it_is_told_to),
      TEST(without_auto_reconnect_a_loss_is_the_end),
      TEST(what_no_retry_can_help_is_the_end),
      TEST(the_end_is_told_once),
      TEST(what_can_be_put_right_here_is_an_error_and_is_probed),
      TEST(probes_of_a_file_are_spread_by_a_fifth),
      TEST(they_end_with_the_attempts_if_it_is_told_to_stop),
      TEST(without_auto_reconnect_nothing_is_probed),
      TEST(an_outage_after_it_is_retried_as_outages_are),
      TEST(stop_ends_every_phase),
      TEST(start_acts_only_when_nothing_is_wanted_yet),
      TEST(restart_opens_at_once_from_every_phase),
      TEST(what_comes_too_late_changes_nothing),
  };
  return cmocka_run_group_tests(tests, NULL, NULL);
}
