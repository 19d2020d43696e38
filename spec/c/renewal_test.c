/*
 * renewal_test.c - credentials with a time to live: a new stream takes over before they expire, and nobody notices.
 * What happens when something else comes in between is in renewal_break_test.c.
 */
#include "virtual_connection.h"

#define TTL_MS (15 * 60 * 1000)

static struct virtual_connection life;

static void be(struct sync_connection_config config) {
  config.ask = true;
  virtual_init(&life, config);
}

static int set_up(void **state) {
  (void)state;
  be(virtual_config());
  return 0;
}

/* It is time, and the host is asked. */
static void begin_renewal(void) {
  virtual_renewal_due(&life);
  assert_int_equal(life.actions.count, 1);
  assert_true(virtual_did(&life, SYNC_ACTION_ASK));
}

/* The renewal as it should be, up to the moment before the new stream takes over. */
static void be_ready(int64_t ttl_ms) {
  begin_renewal();
  virtual_answer(&life, ttl_ms);
  assert_int_equal(life.actions.count, 1);
  assert_int_equal(virtual_url(&life, SYNC_ACTION_RENEW), 0);
  virtual_successor_opened(&life);
  assert_int_equal(life.connection.renewal.phase, SYNC_RENEWAL_READY);
}

static void check_connected(void) {
  virtual_check_at(&life, SYNC_PHASE_OPEN, SYNC_CONNECTED);
  assert_int_equal(life.connection.failures, 0);
  assert_false(virtual_did(&life, SYNC_ACTION_STATE));
}

/* ---- when -------------------------------------------------------------------------------------------------------- */

static void check_planned(int64_t ttl_ms, uint64_t random, int64_t left_ms) {
  be(virtual_config());
  virtual_start(&life);
  virtual_answer(&life, ttl_ms);
  life.random = random;
  virtual_opened(&life);
  assert_int_equal(virtual_renewal_in_ms(&life), ttl_ms - left_ms);
}

/* A fifth of the time before the end, a minute at most, and up to half of that later: not all terminals at once. */
static void it_is_planned_well_before_the_end(void **state) {
  (void)state;
  static const int64_t cases[][2] = {{10, 2},         {1000, 200},     {60000, 12000},       {300000, 60000},
                                     {299999, 59999}, {TTL_MS, 60000}, {24 * HOUR_MS, 60000}};
  for (size_t i = 0; i < COUNT_OF(cases); i++) {
    const int64_t ttl_ms = cases[i][0], lead_ms = cases[i][1];
    check_planned(ttl_ms, 0, lead_ms);
    check_planned(ttl_ms, (uint64_t)lead_ms / 2, lead_ms - lead_ms / 2);
    check_planned(ttl_ms, (uint64_t)lead_ms / 2 + 1, lead_ms);
  }
}

static void the_time_runs_from_the_answer(void **state) {
  (void)state;
  virtual_start(&life);
  virtual_answer(&life, TTL_MS);
  life.now_ms += 9000; /* the server takes its time */
  virtual_opened(&life);
  assert_in_range(virtual_renewal_in_ms(&life), TTL_MS - 9000 - 60000, TTL_MS - 9000 - 30000);
}

static void what_does_not_expire_is_not_renewed(void **state) {
  (void)state;
  virtual_open_for(&life, 0);
  assert_int_equal(virtual_renewal_in_ms(&life), -1);
}

static void what_has_expired_already_is_renewed_soon_but_not_at_once(void **state) {
  (void)state;
  virtual_start(&life);
  virtual_answer(&life, 5000);
  life.now_ms += 5000;
  virtual_opened(&life);
  assert_int_equal(virtual_renewal_in_ms(&life), 1000);
}

static void the_answer_counts_for_its_own_connect_only(void **state) {
  (void)state;
  virtual_open_for(&life, TTL_MS);
  virtual_ended(&life, SYNC_STREAM_CUT, 0);
  virtual_open_for(&life, 0);
  assert_int_equal(virtual_renewal_in_ms(&life), -1);
}

static void who_is_asked_no_more_has_nothing_to_renew(void **state) {
  (void)state;
  virtual_open_for(&life, TTL_MS);
  life.connection.config.ask = false;
  virtual_restart(&life);
  virtual_opened(&life);
  assert_int_equal(virtual_renewal_in_ms(&life), -1);
}

static void without_auto_reconnect_nothing_is_renewed(void **state) {
  (void)state;
  life.connection.config.auto_reconnect = false;
  virtual_open_for(&life, TTL_MS);
  assert_int_equal(virtual_renewal_in_ms(&life), -1);
}

/* ---- the takeover ------------------------------------------------------------------------------------------------ */

static void with_ids_the_new_stream_takes_over_at_once(void **state) {
  (void)state;
  virtual_open_for(&life, TTL_MS);
  virtual_event(&life, true);
  be_ready(TTL_MS);
  assert_int_equal(sync_connection_deadline_ms(&life.connection), life.now_ms);
  virtual_tick(&life);
  assert_int_equal(life.actions.count, 1);
  assert_true(virtual_did(&life, SYNC_ACTION_REPLACE));
  check_connected();
}

static void without_ids_the_old_one_is_read_a_little_longer(void **state) {
  (void)state;
  virtual_open_for(&life, TTL_MS);
  virtual_event(&life, true);
  virtual_event(&life, false); /* the last one counts */
  be_ready(TTL_MS);
  const int64_t ready_at_ms = life.now_ms;
  assert_in_range(sync_connection_deadline_ms(&life.connection) - ready_at_ms, 100, 1000);
  life.now_ms = sync_connection_deadline_ms(&life.connection) - 1;
  virtual_tick(&life);
  assert_int_equal(life.actions.count, 0);
  virtual_event(&life, false); /* still the old one's */
  virtual_due(&life);
  assert_true(virtual_did(&life, SYNC_ACTION_REPLACE));
  check_connected();
}

static void the_new_credentials_plan_the_next_renewal(void **state) {
  (void)state;
  virtual_open_for(&life, TTL_MS);
  be_ready(HOUR_MS);
  const int64_t answered_at_ms = life.now_ms;
  virtual_due(&life);
  const int64_t expires_in_ms = answered_at_ms + HOUR_MS - life.now_ms;
  assert_in_range(virtual_renewal_in_ms(&life), expires_in_ms - 60000, expires_in_ms - 30000);
  be_ready(0);
  virtual_due(&life);
  assert_int_equal(virtual_renewal_in_ms(&life), -1); /* these are good without end */
}

/* The new stream has not been heard yet: it gets as much time as any. Its server is the same, and so is its rhythm. */
static void the_watchdog_begins_afresh(void **state) {
  (void)state;
  virtual_open_for(&life, TTL_MS);
  for (int i = 0; i < 3; i++) {
    life.now_ms += 10000;
    sync_connection_heard(&life.connection, life.now_ms);
    sync_connection_keepalive(&life.connection, life.now_ms);
  }
  const int64_t learned_ms = life.connection.learned_ms;
  be_ready(TTL_MS);
  virtual_due(&life);
  assert_int_equal(life.connection.deadline_ms, life.now_ms + sync_connection_idle_timeout_ms(&life.connection));
  life.now_ms += 1000;
  sync_connection_keepalive(&life.connection, life.now_ms); /* no period: the one before was the old stream's */
  assert_int_equal(life.connection.learned_ms, learned_ms);
}

static void silence_of_the_new_stream_is_found(void **state) {
  (void)state;
  virtual_open_for(&life, TTL_MS);
  be_ready(TTL_MS);
  virtual_due(&life);
  sync_connection_reconsider(&life.connection);
  assert_int_equal(sync_connection_deadline_ms(&life.connection), life.now_ms + 75000);
  virtual_due(&life);
  assert_non_null(strstr(virtual_failure(&life, SYNC_IDLE_TIMEOUT)->message, "nothing was heard for 75000 ms"));
  virtual_check_at(&life, SYNC_PHASE_WAITING, SYNC_RECONNECTING);
}

/* Never away, never with credentials that have expired, never asked more often than needed. */
static void a_day_goes_by_without_a_gap(void **state) {
  (void)state;
  virtual_open_for(&life, TTL_MS);
  const int64_t end_ms = life.now_ms + 24 * HOUR_MS;
  while (life.now_ms < end_ms) {
    life.random = (uint64_t)life.now_ms * 0x9e3779b97f4a7c15u;
    virtual_event(&life, life.replacements % 2 == 0);
    be_ready(TTL_MS);
    assert_true(life.now_ms < life.connection.expires_at_ms);
    life.now_ms += 50;
    virtual_due(&life);
    assert_true(virtual_did(&life, SYNC_ACTION_REPLACE));
    check_connected();
  }
  assert_int_equal(life.opens, 1);
  assert_in_range(life.renewals, 24 * HOUR_MS / TTL_MS, 24 * HOUR_MS / (TTL_MS - 60000) + 1);
}

/* ---- renewals that fail ------------------------------------------------------------------------------------------ */

/* The stream goes on, the failure is told with the time of the next try, and nothing else happens. */
static void check_failed(sync_code code) {
  const sync_failure *failure = virtual_failure(&life, code);
  assert_non_null(failure);
  assert_int_equal(failure->next_retry_at_ms, life.connection.renewal.deadline_ms);
  assert_int_equal(failure->attempt, 0);
  assert_true(virtual_renewal_in_ms(&life) >= 1000);
  check_connected();
}

static void the_host_may_have_no_answer(void **state) {
  (void)state;
  virtual_open_for(&life, TTL_MS);
  begin_renewal();
  virtual_refuse(&life);
  assert_int_equal(life.actions.count, 1);
  check_failed(SYNC_CREDENTIALS);
  virtual_refuse(&life);
  assert_int_equal(life.actions.count, 0);
}

static void the_server_may_not_respond(void **state) {
  (void)state;
  virtual_open_for(&life, TTL_MS);
  begin_renewal();
  virtual_answer(&life, TTL_MS);
  assert_int_equal(sync_connection_deadline_ms(&life.connection), life.now_ms + 10000);
  virtual_due(&life);
  assert_int_equal(life.actions.count, 2);
  assert_true(virtual_did(&life, SYNC_ACTION_ABANDON));
  assert_non_null(strstr(virtual_failure(&life, SYNC_CONNECT_TIMEOUT)->message, "renewing the stream"));
  check_failed(SYNC_CONNECT_TIMEOUT);
}

static void the_server_may_refuse(void **state) {
  (void)state;
  static const sync_code codes[] = {SYNC_REFUSED, SYNC_HTTP_AUTH, SYNC_HTTP_STATUS, SYNC_HTTP_NO_CONTENT};
  virtual_open_for(&life, 4 * HOUR_MS);
  for (size_t i = 0; i < COUNT_OF(codes); i++) {
    begin_renewal();
    virtual_answer(&life, TTL_MS);
    virtual_successor_ended(&life, codes[i]);
    assert_int_equal(life.actions.count, 1);
    check_failed(codes[i]);
  }
}

static void the_new_stream_may_end_before_it_takes_over(void **state) {
  (void)state;
  virtual_open_for(&life, TTL_MS);
  be_ready(TTL_MS);
  virtual_successor_ended(&life, SYNC_STREAM_CUT);
  assert_int_equal(life.actions.count, 1);
  check_failed(SYNC_STREAM_CUT);
}

/* In half of what is left, then not sooner than after a second; once they have expired, as rarely as anything. */
static void it_is_tried_again_more_and_more_often_and_then_rarely(void **state) {
  (void)state;
  virtual_open_for(&life, TTL_MS);
  const int64_t expires_at_ms = life.connection.expires_at_ms;
  for (int i = 0; i < 40; i++) {
    begin_renewal();
    virtual_answer(&life, TTL_MS);
    virtual_successor_ended(&life, SYNC_REFUSED);
    const int64_t left_ms = expires_at_ms - life.now_ms;
    const int64_t half_ms = left_ms / 2 > 1000 ? left_ms / 2 : 1000;
    assert_int_equal(virtual_renewal_in_ms(&life), left_ms > 0 ? half_ms : 30000);
    check_failed(SYNC_REFUSED);
  }
  assert_true(life.now_ms > expires_at_ms);
  assert_int_equal(life.connection.expires_at_ms, expires_at_ms); /* the answers were never in use */
}

static void it_is_never_tried_without_a_pause(void **state) {
  (void)state;
  struct sync_connection_config config = virtual_config();
  config.max_reconnect_delay_ms = 0;
  be(config);
  virtual_open_for(&life, 1);
  for (int i = 0; i < 10; i++) {
    begin_renewal();
    virtual_refuse(&life);
    assert_int_equal(virtual_renewal_in_ms(&life), 1000);
  }
}

static void after_failures_one_that_works_is_enough(void **state) {
  (void)state;
  virtual_open_for(&life, TTL_MS);
  for (int i = 0; i < 20; i++) {
    begin_renewal();
    virtual_refuse(&life);
  }
  be_ready(TTL_MS);
  virtual_due(&life);
  assert_true(virtual_did(&life, SYNC_ACTION_REPLACE));
  check_connected();
  assert_in_range(virtual_renewal_in_ms(&life), TTL_MS - 61000, TTL_MS - 30000);
}

#define TEST(name) cmocka_unit_test_setup(name, set_up)

int main(void) {
  static const struct CMUnitTest tests[] = {
      TEST(it_is_planned_well_before_the_end),
      TEST(the_time_runs_from_the_answer),
      TEST(what_does_not_expire_is_not_renewed),
      TEST(what_has_expired_already_is_renewed_soon_but_not_at_once),
      TEST(the_answer_counts_for_its_own_connect_only),
      TEST(who_is_asked_no_more_has_nothing_to_renew),
      TEST(without_auto_reconnect_nothing_is_renewed),
      TEST(with_ids_the_new_stream_takes_over_at_once),
      TEST(without_ids_the_old_one_is_read_a_little_longer),
      TEST(the_new_credentials_plan_the_next_renewal),
      TEST(the_watchdog_begins_afresh),
      TEST(silence_of_the_new_stream_is_found),
      TEST(a_day_goes_by_without_a_gap),
      TEST(the_host_may_have_no_answer),
      TEST(the_server_may_not_respond),
      TEST(the_server_may_refuse),
      TEST(the_new_stream_may_end_before_it_takes_over),
      TEST(it_is_tried_again_more_and_more_often_and_then_rarely),
      TEST(it_is_never_tried_without_a_pause),
      TEST(after_failures_one_that_works_is_enough),
  };
  return cmocka_run_group_tests(tests, NULL, NULL);
}
