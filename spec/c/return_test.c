/*
 * return_test.c - back to the first url while another one serves: looked for now and then by a successor, beside the
 * renewal of credentials.
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

/* A stream of url number `url` is open, because those before it failed. */
static void open_at(int url, int64_t ttl_ms) {
  virtual_start(&life);
  for (int failed = 0; failed < url; failed++) {
    if (life.connection.phase == SYNC_PHASE_ASKING) virtual_answer(&life, ttl_ms);
    virtual_ended(&life, SYNC_REFUSED, 0);
  }
  if (life.connection.phase == SYNC_PHASE_ASKING) virtual_answer(&life, ttl_ms);
  virtual_opened(&life);
  assert_int_equal(life.connection.url, url);
}

/* Its server has shown its ways. */
static void make_known(void) {
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

/* The successor opens and takes over. */
static void take_over(void) {
  virtual_successor_opened(&life);
  virtual_due(&life);
  assert_int_equal(life.actions.count, 1);
  assert_true(virtual_did(&life, SYNC_ACTION_REPLACE));
  virtual_check_at(&life, SYNC_PHASE_OPEN, SYNC_CONNECTED);
}

/* ---- the first alone --------------------------------------------------------------------------------------------- */

static void the_first_is_looked_for_while_another_serves(void **state) {
  (void)state;
  static const int64_t spreads[][2] = {{0, 120000}, {24000, 144000}, {24001, 120000}};
  for (size_t i = 0; i < COUNT_OF(spreads); i++) {
    for (int url = 0; url < URLS; url++) {
      be(virtual_config());
      life.random = (uint64_t)spreads[i][0];
      open_at(url, 0);
      assert_int_equal(virtual_renewal_in_ms(&life), url > 0 ? spreads[i][1] : -1);
    }
  }
}

static void without_auto_reconnect_nobody_looks(void **state) {
  (void)state;
  virtual_start(&life);
  virtual_ended(&life, SYNC_REFUSED, 0);
  life.connection.config.auto_reconnect = false;
  virtual_opened(&life);
  assert_int_equal(life.connection.url, 1);
  assert_int_equal(virtual_renewal_in_ms(&life), -1);
}

static void the_first_takes_over_when_it_is_back(void **state) {
  (void)state;
  for (int url = 1; url < URLS; url++) {
    be(virtual_config());
    open_at(url, 0);
    make_known();
    virtual_renewal_due(&life);
    assert_int_equal(life.actions.count, 1);
    assert_int_equal(virtual_url(&life, SYNC_ACTION_RENEW), 0);
    assert_int_equal(life.connection.url, url);
    virtual_successor_opened(&life);
    virtual_due(&life);
    assert_int_equal(life.actions.count, 1);
    assert_true(virtual_did(&life, SYNC_ACTION_REPLACE));
    virtual_check_at(&life, SYNC_PHASE_OPEN, SYNC_CONNECTED);
    assert_int_equal(life.connection.url, 0);
    assert_int_equal(virtual_renewal_in_ms(&life), -1);
    check_forgotten();
  }
}

static void as_long_as_it_is_not_the_other_one_serves(void **state) {
  (void)state;
  static const sync_code codes[] = {SYNC_REFUSED, SYNC_CONTENT_TYPE, SYNC_HTTP_AUTH, SYNC_HTTP_NO_CONTENT};
  open_at(2, 0);
  make_known();
  for (size_t i = 0; i < COUNT_OF(codes); i++) {
    virtual_renewal_due(&life);
    virtual_successor_ended(&life, codes[i]);
    assert_int_equal(life.actions.count, 1);
    assert_in_range(virtual_renewal_in_ms(&life), 120000, 144000);
    assert_int_equal(virtual_failure(&life, codes[i])->next_retry_at_ms, life.connection.renewal.deadline_ms);
    virtual_check_at(&life, SYNC_PHASE_OPEN, SYNC_CONNECTED);
    assert_int_equal(life.connection.url, 2);
    assert_int_equal(life.connection.retry_ms, 3000); /* it is the same server still */
  }
  virtual_renewal_due(&life);
  virtual_successor_opened(&life);
  virtual_due(&life);
  assert_int_equal(life.connection.url, 0);
}

/* The stream that the first url was to replace ends just before: there is a successor already. */
static void a_loss_while_the_first_is_ready_is_none(void **state) {
  (void)state;
  open_at(1, 0);
  virtual_renewal_due(&life);
  virtual_successor_opened(&life);
  virtual_ended(&life, SYNC_STREAM_CUT, 0);
  assert_int_equal(life.actions.count, 1);
  assert_true(virtual_did(&life, SYNC_ACTION_REPLACE));
  assert_int_equal(life.connection.url, 0);
  virtual_check_at(&life, SYNC_PHASE_OPEN, SYNC_CONNECTED);
}

/* ---- beside credentials that expire ------------------------------------------------------------------------------ */

static void be_asked(void) {
  struct sync_connection_config config = virtual_config();
  config.ask = true;
  be(config);
}

/* The host is asked, and the successor is for url number `url`. */
static void renew_at(int url, int64_t ttl_ms) {
  virtual_renewal_due(&life);
  assert_true(virtual_did(&life, SYNC_ACTION_ASK));
  virtual_answer(&life, ttl_ms);
  assert_int_equal(virtual_url(&life, SYNC_ACTION_RENEW), url);
}

static void credentials_that_expire_first_are_renewed_where_they_are(void **state) {
  (void)state;
  be_asked();
  open_at(1, 60000);
  assert_int_equal(virtual_renewal_in_ms(&life), 48000);
  make_known();
  renew_at(1, 60000);
  take_over();
  assert_int_equal(life.connection.url, 1);
  assert_int_equal(life.connection.retry_ms, 3000); /* it is the same server still */
}

static void the_first_comes_first_when_credentials_last_longer(void **state) {
  (void)state;
  be_asked();
  open_at(1, HOUR_MS);
  assert_int_equal(virtual_renewal_in_ms(&life), 120000);
  renew_at(0, 2 * HOUR_MS);
  const int64_t answered_at_ms = life.now_ms;
  take_over();
  assert_int_equal(life.connection.url, 0);
  assert_int_equal(life.connection.renewal.deadline_ms, answered_at_ms + 2 * HOUR_MS - 60000);
}

/* Each failure plans both anew, and neither is forgotten. */
static void neither_is_forgotten_when_the_other_fails(void **state) {
  (void)state;
  be_asked();
  open_at(1, 1000000);
  const int64_t expires_at_ms = life.connection.expires_at_ms;
  renew_at(0, HOUR_MS);
  virtual_successor_ended(&life, SYNC_REFUSED); /* 880 s are left: the first again after 120 s */
  assert_int_equal(virtual_renewal_in_ms(&life), 120000);
  int renewed = -1;
  while (renewed != 1) {
    virtual_renewal_due(&life);
    virtual_answer(&life, HOUR_MS);
    renewed = virtual_url(&life, SYNC_ACTION_RENEW);
    if (renewed == 0) virtual_successor_ended(&life, SYNC_REFUSED);
  }
  assert_true(life.now_ms < expires_at_ms);
  take_over();
  assert_int_equal(virtual_renewal_in_ms(&life), 120000);
  renew_at(0, HOUR_MS);
}

static void credentials_without_end_are_no_reason(void **state) {
  (void)state;
  be_asked();
  open_at(1, 0);
  renew_at(0, 0);
  virtual_successor_ended(&life, SYNC_REFUSED);
  assert_int_equal(virtual_renewal_in_ms(&life), 120000);
  be_asked();
  open_at(1, 60000);
  renew_at(1, 0);
  take_over();
  renew_at(0, 0);
  virtual_successor_ended(&life, SYNC_REFUSED);
  assert_int_equal(virtual_renewal_in_ms(&life), 120000);
}

static void who_is_asked_no_more_has_only_the_first_to_look_for(void **state) {
  (void)state;
  be_asked();
  open_at(1, 60000);
  renew_at(1, 4 * HOUR_MS);
  take_over();
  life.connection.config.ask = false;
  virtual_restart(&life);
  open_at(1, 0);
  assert_int_equal(virtual_renewal_in_ms(&life), 120000);
  virtual_renewal_due(&life);
  assert_int_equal(virtual_url(&life, SYNC_ACTION_RENEW), 0);
  take_over();
  assert_int_equal(virtual_renewal_in_ms(&life), -1);
}

#define TEST(name) cmocka_unit_test_setup(name, set_up)

int main(void) {
  static const struct CMUnitTest tests[] = {
      TEST(the_first_is_looked_for_while_another_serves),
      TEST(without_auto_reconnect_nobody_looks),
      TEST(the_first_takes_over_when_it_is_back),
      TEST(as_long_as_it_is_not_the_other_one_serves),
      TEST(a_loss_while_the_first_is_ready_is_none),
      TEST(credentials_that_expire_first_are_renewed_where_they_are),
      TEST(the_first_comes_first_when_credentials_last_longer),
      TEST(neither_is_forgotten_when_the_other_fails),
      TEST(credentials_without_end_are_no_reason),
      TEST(who_is_asked_no_more_has_only_the_first_to_look_for),
  };
  return cmocka_run_group_tests(tests, NULL, NULL);
}
