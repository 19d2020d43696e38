/*
 * tight_loop_test.c - streams that open and end at once, over and over: from the third one on it is called by its name,
 * whatever else is said about the end.
 */
#include <stdio.h>

#include "virtual_connection.h"

static struct virtual_connection life;

static int set_up(void **state) {
  (void)state;
  virtual_init(&life, virtual_config());
  return 0;
}

/* A stream that opens, stays for `lasts_ms`, and ends. */
static void live_and_end(int64_t lasts_ms, bool productive, sync_code code) {
  virtual_open(&life);
  life.now_ms += lasts_ms;
  if (productive) virtual_event(&life, false);
  virtual_ended(&life, code, 0);
}

static void end_barren(int count) {
  for (int i = 0; i < count; i++) live_and_end(100, false, SYNC_STREAM_ENDED);
}

static void check_named(int connects) {
  const sync_failure *failure = virtual_failure(&life, SYNC_TIGHT_LOOP);
  char expected[64];
  assert_non_null(failure);
  (void)snprintf(expected, sizeof expected, "tight loop: %d connects without an event; ", connects);
  if (strstr(failure->message, expected) != failure->message) fail_msg("'%s'", failure->message);
}

static void it_is_named_from_the_third_stream_on(void **state) {
  (void)state;
  for (int connects = 1; connects <= 20; connects++) {
    end_barren(1);
    if (connects < 3)
      assert_non_null(virtual_failure(&life, SYNC_STREAM_ENDED));
    else
      check_named(connects);
    virtual_check_at(&life, SYNC_PHASE_WAITING, SYNC_RECONNECTING);
  }
}

static void the_end_itself_is_still_told(void **state) {
  (void)state;
  static const sync_code ends[] = {SYNC_STREAM_ENDED, SYNC_STREAM_CUT};
  for (size_t i = 0; i < COUNT_OF(ends); i++) {
    sync_failure end;
    sync_failure_set(&end, ends[i], "transfer closed after %d bytes", 17);
    end.status = 200;
    end_barren(2);
    virtual_open(&life);
    virtual_failed(&life, &end, 0);
    const sync_failure *failure = virtual_failure(&life, SYNC_TIGHT_LOOP);
    assert_string_equal(failure->message, "tight loop: 3 connects without an event; transfer closed after 17 bytes");
    assert_int_equal(failure->status, 200);
    assert_int_equal(failure->attempt, 0);
    assert_int_equal(failure->next_retry_at_ms, sync_connection_deadline_ms(&life.connection));
    assert_true(failure->retryable);
    virtual_stop(&life);
  }
}

static void a_stream_that_brings_an_event_is_no_part_of_it(void **state) {
  (void)state;
  end_barren(2);
  live_and_end(100, true, SYNC_STREAM_ENDED);
  assert_non_null(virtual_failure(&life, SYNC_STREAM_ENDED));
  end_barren(2);
  assert_non_null(virtual_failure(&life, SYNC_STREAM_ENDED));
  end_barren(1);
  check_named(3);
}

static void a_stable_stream_is_no_part_of_it(void **state) {
  (void)state;
  end_barren(2);
  live_and_end(9999, false, SYNC_STREAM_CUT);
  check_named(3);
  live_and_end(10000, false, SYNC_STREAM_CUT);
  assert_non_null(virtual_failure(&life, SYNC_STREAM_CUT));
  end_barren(2);
  assert_non_null(virtual_failure(&life, SYNC_STREAM_ENDED));
  end_barren(1);
  check_named(3);
}

/* Nobody ended those streams. They were of no use all the same. */
static void silence_keeps_its_own_name(void **state) {
  (void)state;
  life.connection.config.idle_timeout_ms = 1000;
  for (int i = 0; i < 5; i++) {
    virtual_open(&life);
    virtual_due(&life);
    assert_non_null(virtual_failure(&life, SYNC_IDLE_TIMEOUT));
  }
  end_barren(1);
  check_named(6);
}

/* It is about ends, not about what breaks. */
static void other_failures_keep_their_names(void **state) {
  (void)state;
  end_barren(5);
  static const sync_code codes[] = {SYNC_NETWORK, SYNC_HTTP_PROTOCOL, SYNC_NO_MEMORY};
  for (size_t i = 0; i < COUNT_OF(codes); i++) {
    live_and_end(100, false, codes[i]);
    assert_non_null(virtual_failure(&life, codes[i]));
  }
}

static void connects_that_fail_are_neither_counted_nor_a_way_out(void **state) {
  (void)state;
  end_barren(2);
  for (int i = 0; i < 3; i++) {
    virtual_due(&life);
    virtual_ended(&life, SYNC_REFUSED, 0);
    assert_non_null(virtual_failure(&life, SYNC_REFUSED));
  }
  end_barren(1);
  check_named(3);
}

static void a_new_session_counts_afresh(void **state) {
  (void)state;
  end_barren(4);
  virtual_stop(&life);
  end_barren(2);
  assert_non_null(virtual_failure(&life, SYNC_STREAM_ENDED));
  virtual_restart(&life);
  virtual_opened(&life);
  virtual_ended(&life, SYNC_STREAM_ENDED, 0);
  assert_non_null(virtual_failure(&life, SYNC_STREAM_ENDED));
}

/* Renewed for hours, then cut: that is a long stream, not one more short one. */
static void a_renewed_stream_is_as_old_as_the_first_of_them(void **state) {
  (void)state;
  life.connection.config.ask = true;
  for (int i = 0; i < 2; i++) {
    virtual_open_for(&life, HOUR_MS);
    virtual_ended(&life, SYNC_STREAM_ENDED, 0);
  }
  virtual_open_for(&life, HOUR_MS);
  for (int i = 0; i < 3; i++) { /* heartbeats come, events do not */
    virtual_renewal_due(&life);
    virtual_answer(&life, HOUR_MS);
    virtual_successor_opened(&life);
    virtual_due(&life);
    assert_true(virtual_did(&life, SYNC_ACTION_REPLACE));
  }
  life.now_ms += 100;
  life.random = 1000;
  virtual_ended(&life, SYNC_STREAM_ENDED, 0);
  assert_non_null(virtual_failure(&life, SYNC_STREAM_ENDED));
  assert_int_equal(sync_connection_deadline_ms(&life.connection) - life.now_ms, 1000); /* the first, quick retry */
}

#define TEST(name) cmocka_unit_test_setup(name, set_up)

int main(void) {
  static const struct CMUnitTest tests[] = {
      TEST(it_is_named_from_the_third_stream_on),
      TEST(the_end_itself_is_still_told),
      TEST(a_stream_that_brings_an_event_is_no_part_of_it),
      TEST(a_stable_stream_is_no_part_of_it),
      TEST(silence_keeps_its_own_name),
      TEST(other_failures_keep_their_names),
      TEST(connects_that_fail_are_neither_counted_nor_a_way_out),
      TEST(a_new_session_counts_afresh),
      TEST(a_renewed_stream_is_as_old_as_the_first_of_them),
  };
  return cmocka_run_group_tests(tests, NULL, NULL);
}
