/*
 * credentials_test.c - headers that the host is asked for before every connect: given, not given, refused by the server
 * with 401 or 403, and asked for once more.
 */
#include "verdict.h"
#include "virtual_connection.h"

static struct virtual_connection life;

static void be_asking(struct sync_connection_config config) {
  config.ask = true;
  virtual_init(&life, config);
}

static int set_up(void **state) {
  (void)state;
  be_asking(virtual_config());
  return 0;
}

/* The host answers, and the server does not like it. */
static void answer_in_vain(sync_code code) {
  assert_int_equal(life.connection.phase, SYNC_PHASE_ASKING);
  virtual_answer(&life, 0);
  virtual_ended(&life, code, 0);
}

/* The server's last word was heard, and the host is being asked for other credentials, without a wait. */
static void check_asked_again(void) {
  const sync_failure *failure = virtual_failure(&life, SYNC_HTTP_AUTH);
  assert_non_null(failure);
  assert_true(failure->retryable);
  assert_int_equal(failure->error_class, SYNC_CLASS_AUTHENTICATION);
  assert_int_equal(failure->next_retry_at_ms, life.now_ms);
  assert_true(virtual_did(&life, SYNC_ACTION_ASK));
  assert_int_equal(life.connection.phase, SYNC_PHASE_ASKING);
}

static void check_given_up(void) {
  const sync_failure *failure = virtual_failure(&life, SYNC_HTTP_AUTH);
  assert_non_null(failure);
  assert_false(failure->retryable);
  assert_int_equal(failure->next_retry_at_ms, -1);
  assert_false(virtual_did(&life, SYNC_ACTION_ASK));
  virtual_check_at(&life, SYNC_PHASE_GIVEN_UP, SYNC_ERROR);
}

/* ---- asked and answered ------------------------------------------------------------------------------------------ */

static void before_each_request_headers_are_asked_for(void **state) {
  (void)state;
  virtual_start(&life);
  assert_int_equal(life.actions.list[1].kind, SYNC_ACTION_ASK);
  virtual_check_at(&life, SYNC_PHASE_ASKING, SYNC_CONNECTING);
  virtual_answer(&life, 0);
  assert_true(virtual_did(&life, SYNC_ACTION_OPEN));
  virtual_answer(&life, 0); /* again: too late */
  assert_int_equal(life.actions.count, 0);
  virtual_opened(&life);
  virtual_ended(&life, SYNC_STREAM_CUT, 0);
  virtual_due(&life);
  assert_true(virtual_did(&life, SYNC_ACTION_ASK));
  virtual_check_at(&life, SYNC_PHASE_ASKING, SYNC_RECONNECTING);
}

static void headers_that_cannot_be_given_are_a_failed_attempt(void **state) {
  (void)state;
  virtual_start(&life);
  for (int attempt = 1; attempt <= 5; attempt++) {
    virtual_refuse(&life);
    assert_int_equal(virtual_failure(&life, SYNC_CREDENTIALS)->attempt, attempt);
    virtual_refuse(&life);
    assert_int_equal(life.actions.count, 0);
    virtual_due(&life);
    assert_true(virtual_did(&life, SYNC_ACTION_ASK));
  }
  virtual_check_at(&life, SYNC_PHASE_ASKING, SYNC_ERROR);
}

/* ---- asked once more --------------------------------------------------------------------------------------------- */

static void refused_credentials_are_asked_for_once_more(void **state) {
  (void)state;
  virtual_start(&life);
  answer_in_vain(SYNC_HTTP_AUTH);
  check_asked_again();
  virtual_check_at(&life, SYNC_PHASE_ASKING, SYNC_CONNECTING);
  assert_int_equal(life.actions.count, 2);
  virtual_answer(&life, 0);
  assert_true(virtual_did(&life, SYNC_ACTION_OPEN));
  virtual_opened(&life);
  virtual_check_at(&life, SYNC_PHASE_OPEN, SYNC_CONNECTED);
}

static void a_second_refusal_is_the_end(void **state) {
  (void)state;
  virtual_start(&life);
  answer_in_vain(SYNC_HTTP_AUTH);
  answer_in_vain(SYNC_HTTP_AUTH);
  check_given_up();
  assert_int_equal(virtual_failure(&life, SYNC_HTTP_AUTH)->attempt, 1); /* the two are one attempt */
  virtual_answer(&life, 0);
  assert_int_equal(life.actions.count, 0);
}

static void an_open_stream_shows_that_credentials_were_good(void **state) {
  (void)state;
  virtual_start(&life);
  for (int i = 0; i < 3; i++) { /* as with a token that expires now and then */
    answer_in_vain(SYNC_HTTP_AUTH);
    check_asked_again();
    virtual_answer(&life, 0);
    virtual_opened(&life);
    virtual_ended(&life, SYNC_STREAM_ENDED, 0);
    virtual_due(&life);
  }
}

static void another_failure_in_between_starts_afresh(void **state) {
  (void)state;
  virtual_start(&life);
  for (int i = 0; i < 3; i++) {
    answer_in_vain(SYNC_HTTP_AUTH);
    check_asked_again();
    answer_in_vain(SYNC_REFUSED);
    assert_int_equal(virtual_failure(&life, SYNC_REFUSED)->attempt, i + 1);
    virtual_due(&life);
  }
}

static void a_new_session_starts_afresh(void **state) {
  (void)state;
  virtual_start(&life);
  for (int i = 0; i < 2; i++) {
    answer_in_vain(SYNC_HTTP_AUTH);
    answer_in_vain(SYNC_HTTP_AUTH);
    check_given_up();
    virtual_start(&life);
  }
  answer_in_vain(SYNC_HTTP_AUTH);
  virtual_restart(&life);
  answer_in_vain(SYNC_HTTP_AUTH);
  check_asked_again();
}

static void the_host_may_have_no_others(void **state) {
  (void)state;
  virtual_start(&life);
  answer_in_vain(SYNC_HTTP_AUTH);
  virtual_refuse(&life);
  assert_int_equal(virtual_failure(&life, SYNC_CREDENTIALS)->attempt, 1);
  virtual_check_at(&life, SYNC_PHASE_WAITING, SYNC_RECONNECTING);
  virtual_due(&life);
  answer_in_vain(SYNC_HTTP_AUTH);
  check_asked_again();
}

static void a_probe_asks_once_more_too(void **state) {
  (void)state;
  virtual_start(&life);
  for (int i = 0; i < 5; i++) {
    answer_in_vain(SYNC_REFUSED);
    virtual_due(&life);
  }
  virtual_check_at(&life, SYNC_PHASE_ASKING, SYNC_ERROR);
  answer_in_vain(SYNC_HTTP_AUTH);
  check_asked_again();
  virtual_check_at(&life, SYNC_PHASE_ASKING, SYNC_ERROR);
  virtual_answer(&life, 0);
  virtual_opened(&life);
  virtual_check_at(&life, SYNC_PHASE_OPEN, SYNC_CONNECTED);
}

/* ---- not asked once more ----------------------------------------------------------------------------------------- */

static void who_is_not_asked_cannot_give_others(void **state) {
  (void)state;
  virtual_init(&life, virtual_config());
  virtual_start(&life);
  virtual_ended(&life, SYNC_HTTP_AUTH, 0);
  check_given_up();
}

static void without_auto_reconnect_a_refusal_is_the_end(void **state) {
  (void)state;
  struct sync_connection_config config = virtual_config();
  config.auto_reconnect = false;
  be_asking(config);
  virtual_start(&life);
  answer_in_vain(SYNC_HTTP_AUTH);
  check_given_up();
}

/* What verdict.c makes of the two statuses decides. */
static void both_statuses_are_asked_about_unless_the_standard_is_followed(void **state) {
  (void)state;
  static const int statuses[] = {401, 403};
  for (size_t i = 0; i < COUNT_OF(statuses); i++) {
    for (int strict = 0; strict <= 1; strict++) {
      sync_failure failure;
      sync_verdict(statuses[i], "text/event-stream", strict, &failure);
      be_asking(virtual_config());
      virtual_start(&life);
      virtual_answer(&life, 0);
      virtual_failed(&life, &failure, 0);
      assert_int_equal(virtual_failure(&life, SYNC_HTTP_AUTH)->status, statuses[i]);
      strict ? check_given_up() : check_asked_again();
    }
  }
}

#define TEST(name) cmocka_unit_test_setup(name, set_up)

int main(void) {
  static const struct CMUnitTest tests[] = {
      TEST(before_each_request_headers_are_asked_for),
      TEST(headers_that_cannot_be_given_are_a_failed_attempt),
      TEST(refused_credentials_are_asked_for_once_more),
      TEST(a_second_refusal_is_the_end),
      TEST(an_open_stream_shows_that_credentials_were_good),
      TEST(another_failure_in_between_starts_afresh),
      TEST(a_new_session_starts_afresh),
      TEST(the_host_may_have_no_others),
      TEST(a_probe_asks_once_more_too),
      TEST(who_is_not_asked_cannot_give_others),
      TEST(without_auto_reconnect_a_refusal_is_the_end),
      TEST(both_statuses_are_asked_about_unless_the_standard_is_followed),
  };
  return cmocka_run_group_tests(tests, NULL, NULL);
}
