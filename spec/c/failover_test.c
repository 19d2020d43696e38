/*
 * failover_test.c - several urls: tried in their order within a round, and waited for after it. How the first one is
 * found again while another serves is in return_test.c.
 */
#include "virtual_connection.h"

#define URLS 3

static struct virtual_connection life;

static void be(struct sync_connection_config config) {
  config.urls = URLS;
  virtual_init(&life, config);
}

static int set_up(void **state) {
  (void)state;
  be(virtual_config());
  return 0;
}

/* The request to url number `url` is under way, and fails. */
static void fail_at(int url, sync_code code, int64_t retry_after_ms) {
  assert_int_equal(life.connection.phase, SYNC_PHASE_OPENING);
  assert_int_equal(life.connection.url, url);
  virtual_ended(&life, code, retry_after_ms);
}

static void fail_round(sync_code code) {
  for (int url = 0; url < URLS; url++) fail_at(url, code, 0);
}

/* A stream of url number `url` is open, because those before it failed. */
static void open_at(int url) {
  virtual_start(&life);
  for (int i = 0; i < url; i++) fail_at(i, SYNC_REFUSED, 0);
  virtual_opened(&life);
  assert_int_equal(life.connection.url, url);
}

static int64_t wait_ms(void) {
  assert_int_equal(life.connection.phase, SYNC_PHASE_WAITING);
  return life.connection.deadline_ms - life.now_ms;
}

/* ---- the round --------------------------------------------------------------------------------------------------- */

static void urls_are_tried_in_order_and_at_once(void **state) {
  (void)state;
  virtual_start(&life);
  assert_int_equal(virtual_url(&life, SYNC_ACTION_OPEN), 0);
  for (int url = 0; url < URLS - 1; url++) {
    fail_at(url, SYNC_REFUSED, 0);
    assert_int_equal(virtual_failure(&life, SYNC_REFUSED)->next_retry_at_ms, life.now_ms);
    assert_int_equal(virtual_url(&life, SYNC_ACTION_OPEN), url + 1);
    virtual_check_at(&life, SYNC_PHASE_OPENING, SYNC_CONNECTING);
    assert_int_equal(sync_connection_deadline_ms(&life.connection), life.now_ms + 10000);
  }
  life.random = 700;
  fail_at(URLS - 1, SYNC_REFUSED, 0);
  virtual_check_at(&life, SYNC_PHASE_WAITING, SYNC_RECONNECTING);
  assert_int_equal(wait_ms(), 700);
  virtual_due(&life);
  assert_int_equal(virtual_url(&life, SYNC_ACTION_OPEN), 0);
}

static void any_url_may_be_the_one_that_works(void **state) {
  (void)state;
  for (int url = 0; url < URLS; url++) {
    be(virtual_config());
    open_at(url);
    virtual_check_at(&life, SYNC_PHASE_OPEN, SYNC_CONNECTED);
    assert_int_equal(life.connection.failures, 0);
  }
}

static void no_response_in_time_is_a_reason_too(void **state) {
  (void)state;
  virtual_start(&life);
  virtual_due(&life);
  assert_true(virtual_did(&life, SYNC_ACTION_ABORT));
  assert_non_null(virtual_failure(&life, SYNC_CONNECT_TIMEOUT));
  assert_int_equal(virtual_url(&life, SYNC_ACTION_OPEN), 1);
}

/* The waits grow with rounds, and rounds are what is counted. */
static void a_round_is_one_attempt(void **state) {
  (void)state;
  static const int64_t ceilings[] = {1000, 2000, 4000, 8000};
  virtual_start(&life);
  for (size_t i = 0; i < COUNT_OF(ceilings); i++) {
    life.random = (uint64_t)ceilings[i];
    fail_round(SYNC_REFUSED);
    assert_int_equal(virtual_failure(&life, SYNC_REFUSED)->attempt, i + 1);
    assert_int_equal(wait_ms(), ceilings[i]);
    assert_null(virtual_failure(&life, SYNC_EXHAUSTED));
    virtual_due(&life);
  }
}

static void a_probe_covers_all_urls(void **state) {
  (void)state;
  virtual_start(&life);
  for (int round = 1; round <= 5; round++) {
    fail_round(SYNC_REFUSED);
    assert_int_equal(virtual_failure(&life, SYNC_EXHAUSTED) != NULL, round == 5);
    if (round < 5) virtual_due(&life);
  }
  for (int probe = 0; probe < 3; probe++) {
    virtual_check_at(&life, SYNC_PHASE_WAITING, SYNC_ERROR);
    assert_in_range(wait_ms(), 120000, 144000);
    virtual_due(&life);
    fail_round(SYNC_REFUSED);
    assert_null(virtual_failure(&life, SYNC_EXHAUSTED));
  }
  virtual_due(&life);
  fail_at(0, SYNC_REFUSED, 0);
  virtual_opened(&life);
  virtual_check_at(&life, SYNC_PHASE_OPEN, SYNC_CONNECTED);
}

static void each_session_begins_with_the_first(void **state) {
  (void)state;
  open_at(2);
  virtual_restart(&life);
  assert_int_equal(virtual_url(&life, SYNC_ACTION_OPEN), 0);
  fail_at(0, SYNC_REFUSED, 0);
  virtual_stop(&life);
  virtual_start(&life);
  assert_int_equal(virtual_url(&life, SYNC_ACTION_OPEN), 0);
  fail_at(0, SYNC_REFUSED, 0);
  virtual_opened(&life);
  virtual_distrust(&life, SYNC_SLEPT, false);
  assert_int_equal(virtual_url(&life, SYNC_ACTION_OPEN), 0);
}

static void without_auto_reconnect_the_first_is_all(void **state) {
  (void)state;
  struct sync_connection_config config = virtual_config();
  config.auto_reconnect = false;
  be(config);
  virtual_start(&life);
  fail_at(0, SYNC_REFUSED, 0);
  virtual_check_at(&life, SYNC_PHASE_GIVEN_UP, SYNC_ERROR);
  assert_int_equal(virtual_failure(&life, SYNC_REFUSED)->next_retry_at_ms, -1);
}

/* The server was good a moment ago, and it is the one that is wanted. */
static void after_a_loss_the_first_is_tried_first(void **state) {
  (void)state;
  for (int url = 0; url < URLS; url++) {
    be(virtual_config());
    open_at(url);
    life.random = 500;
    virtual_ended(&life, SYNC_STREAM_ENDED, 0);
    assert_int_equal(wait_ms(), 500);
    virtual_due(&life);
    assert_int_equal(virtual_url(&life, SYNC_ACTION_OPEN), 0);
    fail_at(0, SYNC_REFUSED, 0);
    assert_int_equal(virtual_url(&life, SYNC_ACTION_OPEN), 1);
  }
}

/* ---- what the round says about the next one ---------------------------------------------------------------------- */

static void one_url_that_may_come_back_is_hope_enough(void **state) {
  (void)state;
  for (int hopeful = 0; hopeful <= URLS; hopeful++) {
    be(virtual_config());
    virtual_start(&life);
    for (int url = 0; url < URLS; url++) fail_at(url, url == hopeful ? SYNC_REFUSED : SYNC_CONTENT_TYPE, 0);
    if (hopeful < URLS)
      virtual_check_at(&life, SYNC_PHASE_WAITING, SYNC_RECONNECTING);
    else
      virtual_check_at(&life, SYNC_PHASE_GIVEN_UP, SYNC_ERROR);
  }
}

static void hope_is_of_this_round(void **state) {
  (void)state;
  static const sync_code codes[] = {SYNC_REFUSED, SYNC_TLS_FILE};
  for (size_t i = 0; i < COUNT_OF(codes); i++) {
    virtual_start(&life);
    fail_round(codes[i]);
    virtual_due(&life);
    fail_round(SYNC_CONTENT_TYPE);
    virtual_check_at(&life, SYNC_PHASE_GIVEN_UP, SYNC_ERROR);
  }
}

static void one_url_that_can_be_put_right_here_is_probed(void **state) {
  (void)state;
  for (int curable = 0; curable < URLS; curable++) {
    be(virtual_config());
    virtual_start(&life);
    for (int url = 0; url < URLS; url++) fail_at(url, url == curable ? SYNC_TLS_FILE : SYNC_CONTENT_TYPE, 0);
    virtual_check_at(&life, SYNC_PHASE_WAITING, SYNC_ERROR);
    assert_in_range(wait_ms(), 120000, 144000);
  }
}

/* 204 is no outage: whoever says it, and whatever the others said before. */
static void an_instruction_to_stay_away_is_followed_at_once(void **state) {
  (void)state;
  static const sync_code codes[] = {SYNC_REFUSED, SYNC_TLS_FILE};
  for (size_t i = 0; i < COUNT_OF(codes); i++) {
    for (int url = 0; url < URLS; url++) {
      virtual_start(&life);
      for (int failed = 0; failed < url; failed++) fail_at(failed, codes[i], 0);
      fail_at(url, SYNC_HTTP_NO_CONTENT, 0);
      assert_false(virtual_did(&life, SYNC_ACTION_OPEN));
      virtual_check_at(&life, SYNC_PHASE_GIVEN_UP, SYNC_ERROR);
      assert_int_equal(virtual_failure(&life, SYNC_HTTP_NO_CONTENT)->next_retry_at_ms, -1);
    }
  }
}

static void credentials_are_asked_for_once_more_at_each(void **state) {
  (void)state;
  struct sync_connection_config config = virtual_config();
  config.ask = true;
  be(config);
  virtual_start(&life);
  for (int url = 0; url < URLS; url++) {
    for (int again = 0; again <= 1; again++) {
      assert_int_equal(life.connection.phase, SYNC_PHASE_ASKING);
      virtual_answer(&life, 0);
      assert_int_equal(virtual_url(&life, SYNC_ACTION_OPEN), url);
      fail_at(url, SYNC_HTTP_AUTH, 0);
      assert_int_equal(virtual_failure(&life, SYNC_HTTP_AUTH)->retryable, again == 0);
    }
  }
  virtual_check_at(&life, SYNC_PHASE_GIVEN_UP, SYNC_ERROR);
}

/* ---- what a server asked for ------------------------------------------------------------------------------------- */

static void the_longest_wait_asked_for_is_the_least(void **state) {
  (void)state;
  for (int url = 0; url < URLS; url++) {
    be(virtual_config());
    virtual_start(&life);
    for (int i = 0; i < URLS; i++) fail_at(i, SYNC_HTTP_STATUS, i == url ? 20000 : 3000);
    assert_in_range(wait_ms(), 20000, 30000);
    virtual_due(&life);
    fail_round(SYNC_HTTP_STATUS); /* it was asked for once */
    assert_in_range(wait_ms(), 0, 2000);
  }
}

static void a_stream_that_opens_ends_the_wait_asked_for(void **state) {
  (void)state;
  virtual_start(&life);
  fail_at(0, SYNC_HTTP_STATUS, 20000);
  virtual_opened(&life);
  virtual_ended(&life, SYNC_STREAM_ENDED, 0);
  assert_in_range(wait_ms(), 0, 1000);
}

static void open_with_a_rhythm_of_its_own(int url) {
  open_at(url);
  sync_connection_retry(&life.connection, 3000);
  for (int i = 0; i < 3; i++) {
    life.now_ms += 1000;
    sync_connection_heard(&life.connection, life.now_ms);
    sync_connection_keepalive(&life.connection, life.now_ms);
  }
  virtual_event(&life, true);
  assert_true(life.connection.learned_ms > 0);
}

static void check_forgotten(void) {
  assert_int_equal(life.connection.retry_ms, 0);
  assert_int_equal(life.connection.learned_ms, 0);
  assert_false(life.connection.has_ids);
}

static void the_next_url_is_not_bound_by_the_last_one(void **state) {
  (void)state;
  open_with_a_rhythm_of_its_own(0);
  virtual_ended(&life, SYNC_STREAM_ENDED, 0);
  assert_in_range(wait_ms(), 3000, 4500);
  assert_int_equal(life.connection.retry_ms, 3000); /* it is the same server still */
  virtual_due(&life);
  fail_at(0, SYNC_REFUSED, 0);
  check_forgotten();
}

static void nor_is_the_first_by_another(void **state) {
  (void)state;
  for (int url = 1; url < URLS; url++) {
    be(virtual_config());
    open_with_a_rhythm_of_its_own(url);
    virtual_ended(&life, SYNC_STREAM_ENDED, 0);
    assert_in_range(wait_ms(), 3000, 4500); /* this one had asked for it */
    check_forgotten();
    be(virtual_config());
    open_with_a_rhythm_of_its_own(url);
    virtual_restart(&life);
    check_forgotten();
  }
}

#define TEST(name) cmocka_unit_test_setup(name, set_up)

int main(void) {
  static const struct CMUnitTest tests[] = {
      TEST(urls_are_tried_in_order_and_at_once),
      TEST(any_url_may_be_the_one_that_works),
      TEST(no_response_in_time_is_a_reason_too),
      TEST(a_round_is_one_attempt),
      TEST(a_probe_covers_all_urls),
      TEST(each_session_begins_with_the_first),
      TEST(without_auto_reconnect_the_first_is_all),
      TEST(after_a_loss_the_first_is_tried_first),
      TEST(one_url_that_may_come_back_is_hope_enough),
      TEST(hope_is_of_this_round),
      TEST(one_url_that_can_be_put_right_here_is_probed),
      TEST(an_instruction_to_stay_away_is_followed_at_once),
      TEST(credentials_are_asked_for_once_more_at_each),
      TEST(the_longest_wait_asked_for_is_the_least),
      TEST(a_stream_that_opens_ends_the_wait_asked_for),
      TEST(the_next_url_is_not_bound_by_the_last_one),
      TEST(nor_is_the_first_by_another),
  };
  return cmocka_run_group_tests(tests, NULL, NULL);
}
