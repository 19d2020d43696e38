/*
 * renewal_break_test.c - what comes in between while a stream is renewed: losses, silence, commands, distrust, and
 * answers that come too late. A successor is dropped exactly when there is one.
 */
#include "virtual_connection.h"

#define TTL_MS (15 * 60 * 1000)

static struct virtual_connection life;

/* A stream in a `phase` of its renewal; its events have no ids, so that it lingers when the successor is ready. */
static void be_in(enum sync_renewal_phase phase) {
  struct sync_connection_config config = virtual_config();
  config.ask = true;
  virtual_init(&life, config);
  virtual_open_for(&life, TTL_MS);
  if (phase != SYNC_RENEWAL_NONE) virtual_renewal_due(&life);
  if (phase == SYNC_RENEWAL_OPENING || phase == SYNC_RENEWAL_READY) virtual_answer(&life, TTL_MS);
  if (phase == SYNC_RENEWAL_READY) virtual_successor_opened(&life);
  assert_int_equal(life.connection.renewal.phase, phase);
}

static int set_up(void **state) {
  (void)state;
  be_in(SYNC_RENEWAL_NONE);
  return 0;
}

static void check_no_renewal(void) {
  assert_int_equal(life.connection.renewal.phase, SYNC_RENEWAL_NONE);
  assert_int_equal(life.connection.renewal.deadline_ms, -1);
  assert_false(life.renewing);
}

/* The successor has become the stream, and nothing was lost. */
static void check_replaced(void) {
  assert_true(virtual_did(&life, SYNC_ACTION_REPLACE));
  assert_false(virtual_did(&life, SYNC_ACTION_FAILURE));
  assert_false(virtual_did(&life, SYNC_ACTION_ABANDON));
  virtual_check_at(&life, SYNC_PHASE_OPEN, SYNC_CONNECTED);
  assert_int_equal(life.connection.renewal.phase, SYNC_RENEWAL_NONE);
  assert_true(life.connection.renewal.deadline_ms > life.now_ms);
}

/* ---- the stream ends --------------------------------------------------------------------------------------------- */

static void check_lost(enum sync_renewal_phase phase, sync_code code) {
  assert_int_equal(virtual_did(&life, SYNC_ACTION_ABANDON), phase == SYNC_RENEWAL_OPENING);
  assert_non_null(virtual_failure(&life, code));
  virtual_check_at(&life, SYNC_PHASE_WAITING, SYNC_RECONNECTING);
  check_no_renewal();
}

static void a_loss_ends_the_renewal_unless_the_successor_is_ready(void **state) {
  (void)state;
  for (int phase = SYNC_RENEWAL_NONE; phase <= SYNC_RENEWAL_READY; phase++) {
    be_in((enum sync_renewal_phase)phase);
    virtual_ended(&life, SYNC_STREAM_CUT, 5000);
    if (phase == SYNC_RENEWAL_READY)
      check_replaced();
    else
      check_lost((enum sync_renewal_phase)phase, SYNC_STREAM_CUT);
  }
}

/* The stream has been silent for too long; nothing else is due. */
static void fall_silent(void) {
  life.connection.config.idle_timeout_ms = 1;
  sync_connection_reconsider(&life.connection);
  life.now_ms += 1;
  virtual_tick(&life);
}

static void silence_is_a_loss_like_any(void **state) {
  (void)state;
  for (int phase = SYNC_RENEWAL_NONE; phase <= SYNC_RENEWAL_READY; phase++) {
    be_in((enum sync_renewal_phase)phase);
    fall_silent();
    assert_true(virtual_did(&life, SYNC_ACTION_ABORT));
    if (phase == SYNC_RENEWAL_READY)
      check_replaced();
    else
      check_lost((enum sync_renewal_phase)phase, SYNC_IDLE_TIMEOUT);
  }
}

/* After the host was busy with other things: the watchdog and the renewal are due in the same moment. */
static void both_may_be_due_at_once(void **state) {
  (void)state;
  for (int phase = SYNC_RENEWAL_NONE; phase <= SYNC_RENEWAL_READY; phase++) {
    be_in((enum sync_renewal_phase)phase);
    life.now_ms = phase == SYNC_RENEWAL_NONE ? life.connection.renewal.deadline_ms : life.now_ms + 80000;
    virtual_tick(&life);
    if (phase == SYNC_RENEWAL_READY) {
      check_replaced();
      continue;
    }
    assert_non_null(virtual_failure(&life, SYNC_IDLE_TIMEOUT));
    virtual_check_at(&life, SYNC_PHASE_WAITING, SYNC_RECONNECTING);
    check_no_renewal();
  }
}

/* ---- commands ---------------------------------------------------------------------------------------------------- */

static void check_dropped(enum sync_renewal_phase phase) {
  bool under_way = phase == SYNC_RENEWAL_OPENING || phase == SYNC_RENEWAL_READY;
  assert_int_equal(virtual_did(&life, SYNC_ACTION_ABANDON), under_way);
  assert_true(virtual_did(&life, SYNC_ACTION_ABORT));
  assert_false(virtual_did(&life, SYNC_ACTION_REPLACE));
  check_no_renewal();
}

static void stop_drops_both(void **state) {
  (void)state;
  for (int phase = SYNC_RENEWAL_NONE; phase <= SYNC_RENEWAL_READY; phase++) {
    be_in((enum sync_renewal_phase)phase);
    virtual_stop(&life);
    check_dropped((enum sync_renewal_phase)phase);
    virtual_check_at(&life, SYNC_PHASE_AWAY, SYNC_DISCONNECTED);
    assert_int_equal(sync_connection_deadline_ms(&life.connection), -1);
  }
}

static void restart_drops_both_and_begins_anew(void **state) {
  (void)state;
  for (int phase = SYNC_RENEWAL_NONE; phase <= SYNC_RENEWAL_READY; phase++) {
    be_in((enum sync_renewal_phase)phase);
    virtual_restart(&life);
    check_dropped((enum sync_renewal_phase)phase);
    assert_true(virtual_did(&life, SYNC_ACTION_ASK));
    virtual_check_at(&life, SYNC_PHASE_ASKING, SYNC_RECONNECTING);
  }
}

/* The successor may be as dead as the stream. */
static void distrust_drops_both_and_begins_anew(void **state) {
  (void)state;
  for (int phase = SYNC_RENEWAL_NONE; phase <= SYNC_RENEWAL_READY; phase++) {
    be_in((enum sync_renewal_phase)phase);
    virtual_distrust(&life, SYNC_SLEPT, false);
    check_dropped((enum sync_renewal_phase)phase);
    assert_non_null(virtual_failure(&life, SYNC_SLEPT));
    assert_true(virtual_did(&life, SYNC_ACTION_ASK));
    assert_true(life.connection.fresh);
    virtual_check_at(&life, SYNC_PHASE_ASKING, SYNC_RECONNECTING);
  }
}

static void start_changes_nothing(void **state) {
  (void)state;
  for (int phase = SYNC_RENEWAL_NONE; phase <= SYNC_RENEWAL_READY; phase++) {
    be_in((enum sync_renewal_phase)phase);
    virtual_start(&life);
    assert_int_equal(life.actions.count, 0);
    assert_int_equal(life.connection.renewal.phase, phase);
  }
}

/* ---- too late, or twice ------------------------------------------------------------------------------------------ */

/* Only who is asked can answer, only who has begun can open or end. */
static void what_does_not_belong_to_the_phase_changes_nothing(void **state) {
  (void)state;
  for (int phase = SYNC_RENEWAL_NONE; phase <= SYNC_RENEWAL_READY; phase++) {
    be_in((enum sync_renewal_phase)phase);
    const struct sync_renewal before = life.connection.renewal;
    if (phase != SYNC_RENEWAL_ASKING) {
      virtual_answer(&life, HOUR_MS);
      assert_int_equal(life.actions.count, 0);
      virtual_refuse(&life);
      assert_int_equal(life.actions.count, 0);
    }
    if (phase != SYNC_RENEWAL_OPENING) virtual_successor_opened(&life);
    virtual_opened(&life);
    assert_int_equal(life.actions.count, 0);
    if (phase == SYNC_RENEWAL_NONE) virtual_successor_ended(&life, SYNC_STREAM_CUT);
    assert_int_equal(life.actions.count, 0);
    assert_memory_equal(&life.connection.renewal, &before, sizeof before);
  }
}

static void an_answer_after_stop_is_nobodys(void **state) {
  (void)state;
  be_in(SYNC_RENEWAL_ASKING);
  virtual_stop(&life);
  virtual_answer(&life, TTL_MS);
  assert_int_equal(life.actions.count, 0);
  be_in(SYNC_RENEWAL_ASKING);
  virtual_ended(&life, SYNC_STREAM_CUT, 5000);
  virtual_answer(&life, TTL_MS); /* the wait goes on, and the host is asked again after it */
  virtual_refuse(&life);
  assert_int_equal(life.actions.count, 0);
  virtual_due(&life);
  assert_true(virtual_did(&life, SYNC_ACTION_ASK));
}

/* The renewal's question and the new connect's: the host answers both, and the first one it gives is good enough. */
static void two_questions_may_be_open(void **state) {
  (void)state;
  be_in(SYNC_RENEWAL_ASKING);
  virtual_restart(&life);
  assert_true(virtual_did(&life, SYNC_ACTION_ASK));
  virtual_answer(&life, TTL_MS);
  assert_true(virtual_did(&life, SYNC_ACTION_OPEN));
  const int64_t expires_at_ms = life.connection.expires_at_ms;
  life.now_ms += 100;
  virtual_answer(&life, HOUR_MS);
  assert_int_equal(life.actions.count, 0);
  assert_int_equal(life.connection.expires_at_ms, expires_at_ms);
  virtual_opened(&life);
  virtual_answer(&life, HOUR_MS);
  assert_int_equal(life.actions.count, 0);
  assert_int_equal(life.connection.expires_at_ms, expires_at_ms);
}

/* As the first one of the two is the renewal's, its failure is one of the new connect: no answer was given. */
static void the_first_of_two_questions_may_be_refused(void **state) {
  (void)state;
  be_in(SYNC_RENEWAL_ASKING);
  virtual_restart(&life);
  virtual_refuse(&life);
  assert_int_equal(virtual_failure(&life, SYNC_CREDENTIALS)->attempt, 1);
  assert_int_equal(life.connection.phase, SYNC_PHASE_WAITING);
  virtual_answer(&life, TTL_MS);
  assert_int_equal(life.actions.count, 0);
  virtual_due(&life);
  virtual_answer(&life, TTL_MS);
  assert_true(virtual_did(&life, SYNC_ACTION_OPEN));
}

/* A renewal that was given up leaves nothing behind for the next one. */
static void the_next_stream_is_renewed_as_if_nothing_had_been(void **state) {
  (void)state;
  for (int phase = SYNC_RENEWAL_NONE; phase <= SYNC_RENEWAL_READY; phase++) {
    be_in((enum sync_renewal_phase)phase);
    virtual_restart(&life);
    virtual_answer(&life, TTL_MS);
    virtual_opened(&life);
    assert_int_equal(virtual_renewal_in_ms(&life), TTL_MS - 60000);
    virtual_renewal_due(&life);
    virtual_answer(&life, TTL_MS);
    virtual_successor_opened(&life);
    virtual_due(&life);
    check_replaced();
  }
}

#define TEST(name) cmocka_unit_test_setup(name, set_up)

int main(void) {
  static const struct CMUnitTest tests[] = {
      TEST(a_loss_ends_the_renewal_unless_the_successor_is_ready),
      TEST(silence_is_a_loss_like_any),
      TEST(both_may_be_due_at_once),
      TEST(stop_drops_both),
      TEST(restart_drops_both_and_begins_anew),
      TEST(distrust_drops_both_and_begins_anew),
      TEST(start_changes_nothing),
      TEST(what_does_not_belong_to_the_phase_changes_nothing),
      TEST(an_answer_after_stop_is_nobodys),
      TEST(two_questions_may_be_open),
      TEST(the_first_of_two_questions_may_be_refused),
      TEST(the_next_stream_is_renewed_as_if_nothing_had_been),
  };
  return cmocka_run_group_tests(tests, NULL, NULL);
}
