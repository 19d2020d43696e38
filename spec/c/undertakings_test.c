/*
 * undertakings_test.c - what hosts undertake for events, and the journal remembers: acknowledgements, in any order;
 * events that are held; effects; dead letters.
 */
#include "keeper_scene.h"

/* Events that have not been done, as the file has it. */
#define UNDONE_SQL "SELECT seq FROM event JOIN stream WHERE NOT done AND seq > done_seq"
#define MARK_SQL   "SELECT done_seq FROM stream"

static void check_file(const char *sql, const char *expected) {
  assert_int_equal(sync_client_flush(client), SYNC_OK);
  check_sql(sql, expected);
}

static int set_up_manual(void **state) {
  int result = set_up(state);
  options.manual_ack = true;
  return result;
}

static void ack(uint64_t seq) {
  assert_int_equal(sync_client_ack(client, seq), SYNC_OK);
}

/* Dies, and begins again. */
static void begin_again(void) {
  die();
  news[0] = '\0';
  begin();
  settle();
}

/* ---- acknowledgements -------------------------------------------------------------------------------------------- */

static void with_manual_acks_nothing_is_done_by_taking(void **state) {
  (void)state;
  begin();
  send_events(1, 3);
  settle();
  check_file(UNDONE_SQL, "1 \n2 \n3 \n");
  assert_int_equal(health().waiting_for_ack, 3);
  begin_again();
  check_news("1r 2r 3r");
  assert_int_equal(health().waiting_for_ack, 3);
}

static void acks_in_order_move_the_mark(void **state) {
  (void)state;
  begin();
  send_events(1, 3);
  settle();
  ack(1);
  check_file(MARK_SQL, "1 \n");
  ack(2);
  ack(3);
  check_file("SELECT done_seq, sum(done), sum(acknowledged) FROM stream JOIN event", "3 0 3 \n");
  assert_int_equal(health().waiting_for_ack, 0);
  begin_again();
  check_news("");
}

static void acks_out_of_order_are_marked_one_by_one(void **state) {
  (void)state;
  begin();
  send_events(1, 4);
  settle();
  ack(3);
  ack(2);
  check_file(UNDONE_SQL, "1 \n4 \n");
  check_file(MARK_SQL, "0 \n");
  begin_again();
  check_news("1r 4r");
  ack(4);
  ack(1);
  check_file(MARK_SQL, "4 \n");
}

static void the_event_in_hand_can_be_acknowledged(void **state) {
  (void)state;
  begin();
  send_events(1, 3);
  (void)take_event();
  ack(1);
  check_file(UNDONE_SQL, "1 \n2 \n3 \n"); /* it is still in hand */
  (void)take_event();
  check_file(UNDONE_SQL, "2 \n3 \n");
  (void)take_event();
  ack(3);
  settle();
  check_file(UNDONE_SQL, "2 \n");
  assert_int_equal(health().waiting_for_ack, 1);
}

static void that_is_not_lost_when_the_client_ends(void **state) {
  (void)state;
  begin();
  send_events(1, 2);
  (void)take_event();
  ack(1);
  end();
  news[0] = '\0';
  begin();
  settle();
  check_news("2r");
}

static void an_ack_between_drains_is_on_disk_at_once(void **state) {
  (void)state;
  begin();
  send_events(1, 2);
  settle();
  ack(2);
  check_sql(UNDONE_SQL, "1 \n");
  die();
  news[0] = '\0';
  begin();
  settle();
  check_news("1r");
}

static void what_cannot_be_held_for_want_of_memory_comes_again(void **state) {
  (void)state;
  begin();
  send_events(1, 3);
  step();
  (void)take_event();
  counting_alloc_refuse(&memory, 1, 1);
  (void)take_event(); /* 1 is not held: no ack of it will be known */
  counting_alloc_allow(&memory);
  settle();
  ack(1);
  ack(2);
  ack(3);
  begin_again();
  check_news("1r");
}

static void an_ack_of_nothing_does_nothing(void **state) {
  (void)state;
  begin();
  send_events(1, 2);
  settle();
  ack(1);
  ack(1);
  ack(77);
  check_file(UNDONE_SQL, "2 \n");
}

static void an_ack_may_come_before_the_event_is_taken(void **state) {
  (void)state;
  begin();
  send_events(1, 3);
  step();
  ack(3);
  ack(2);
  settle();
  check_news("1 2 3");
  assert_int_equal(health().waiting_for_ack, 1);
  check_file(UNDONE_SQL, "1 \n");
  ack(1);
  check_file(UNDONE_SQL, "");
}

static void what_was_taken_with_manual_acks_waits_for_them(void **state) {
  (void)state;
  begin();
  send_events(1, 2);
  settle();
  options.manual_ack = false;
  assert_int_equal(sync_client_configure(client, &options, &failure), SYNC_OK);
  send_event(3);
  settle();
  check_file(UNDONE_SQL, "1 \n2 \n");
  ack(1);
  ack(2);
  check_file(UNDONE_SQL, "");
  assert_int_equal(health().waiting_for_ack, 0);
}

static void without_manual_acks_an_ack_is_a_word_only(void **state) {
  (void)state;
  begin();
  send_events(1, 2);
  (void)take_event();
  ack(2);
  check_file("SELECT seq, acknowledged, done_seq FROM event JOIN stream", "1 0 0 \n2 1 0 \n");
  begin_again();
  check_news("1r 2r");
  begin_again();
  check_news("");
}

static void an_acknowledgement_is_told_with_the_event(void **state) {
  (void)state;
  begin();
  send_events(1, 2);
  ack(2);
  assert_int_equal(sync_client_flush(client), SYNC_OK);
  die();
  begin();
  assert_false(sync_event_acknowledged(take_event()));
  assert_true(sync_event_acknowledged(take_event()));
}

static void too_many_that_wait_hold_the_stream_back(void **state) {
  (void)state;
  options.queue_limit = 4;
  begin();
  settle();
  send_events(1, 12);
  settle();
  check_news("1 2 3 4");
  ack(2);
  settle();
  check_news("5 6 7 8"); /* the parser goes on until the queue is full */
  ack(1);
  ack(7);
  ack(3);
  settle();
  check_news("");
  assert_int_equal(health().waiting_for_ack, 4);
  ack(8);
  assert_int_equal(sync_loop_timeout_ms(loop), 0);
  settle();
  check_news("9 10 11 12");
}

/* ---- held -------------------------------------------------------------------------------------------------------- */

static void what_is_held_is_done_when_that_is_said(void **state) {
  (void)state;
  begin();
  send_events(1, 4);
  (void)take_event();
  (void)take_event();
  assert_int_equal(sync_client_hold(client), SYNC_OK);
  settle();
  check_file(UNDONE_SQL, "2 \n");
  check_file(MARK_SQL, "1 \n");
  assert_int_equal(health().waiting_for_ack, 1);
  assert_int_equal(sync_client_done(client, 2), SYNC_OK);
  check_file(MARK_SQL, "4 \n");
}

static void only_an_event_in_hand_can_be_held(void **state) {
  (void)state;
  begin();
  settle();
  assert_int_equal(sync_client_hold(client), SYNC_OK);
  send_event(1);
  settle();
  assert_int_equal(health().waiting_for_ack, 0);
  check_file(UNDONE_SQL, "");
}

static void what_is_held_comes_again(void **state) {
  (void)state;
  begin();
  send_events(1, 3);
  (void)take_event();
  assert_int_equal(sync_client_hold(client), SYNC_OK);
  settle();
  send_events(4, 5);
  settle();
  begin_again();
  check_news("1r");
  begin_again();
  check_news("");
}

static void a_held_event_may_be_done_before_the_next_is_taken(void **state) {
  (void)state;
  begin();
  send_events(1, 2);
  (void)take_event();
  assert_int_equal(sync_client_hold(client), SYNC_OK);
  assert_int_equal(sync_client_done(client, 1), SYNC_OK);
  settle();
  check_file(MARK_SQL, "2 \n");
  assert_int_equal(health().waiting_for_ack, 0);
}

/* ---- effects ----------------------------------------------------------------------------------------------------- */

static sync_effect begin_effect(uint64_t seq) {
  sync_effect effect = SYNC_EFFECT_DONE;
  assert_int_equal(sync_client_effect_begin(client, seq, SPAN("print"), &effect), SYNC_OK);
  return effect;
}

static void end_effect(uint64_t seq, bool happened) {
  assert_int_equal(sync_client_effect_end(client, seq, SPAN("print"), happened), SYNC_OK);
}

static void begin_with_event_in_hand(void) {
  begin();
  send_event(1);
  (void)take_event();
}

static void an_effect_happens_once(void **state) {
  (void)state;
  begin_with_event_in_hand();
  assert_int_equal(begin_effect(1), SYNC_EFFECT_NEW);
  check_sql("SELECT seq, name, state FROM effect", "1 print started \n");
  end_effect(1, true);
  check_sql("SELECT seq, name, state FROM effect", "1 print done \n");
  assert_int_equal(begin_effect(1), SYNC_EFFECT_DONE);
  assert_int_equal(begin_effect(2), SYNC_EFFECT_NEW);
  begin_again();
  check_news("1r");
  assert_int_equal(begin_effect(1), SYNC_EFFECT_DONE);
}

static void one_that_was_begun_when_the_process_died_may_have_happened(void **state) {
  (void)state;
  begin_with_event_in_hand();
  assert_int_equal(begin_effect(1), SYNC_EFFECT_NEW);
  begin_again();
  assert_int_equal(begin_effect(1), SYNC_EFFECT_STARTED);
  end_effect(1, true);
  begin_again();
  assert_int_equal(begin_effect(1), SYNC_EFFECT_DONE);
}

static void one_whose_end_did_not_reach_the_disk_may_have_happened(void **state) {
  (void)state;
  begin_with_event_in_hand();
  (void)begin_effect(1);
  break_disk();
  end_effect(1, true);
  assert_int_equal(begin_effect(1), SYNC_EFFECT_DONE); /* as long as somebody remembers it */
  begin_again();
  assert_int_equal(begin_effect(1), SYNC_EFFECT_STARTED);
}

static void one_that_has_not_happened_is_new_again(void **state) {
  (void)state;
  begin_with_event_in_hand();
  (void)begin_effect(1);
  end_effect(1, false);
  assert_int_equal(begin_effect(1), SYNC_EFFECT_NEW);
  end_effect(1, false);
  begin_again();
  assert_int_equal(begin_effect(1), SYNC_EFFECT_NEW);
}

static void where_the_disk_cannot_be_asked_it_may_have_happened(void **state) {
  (void)state;
  begin_with_event_in_hand();
  (void)begin_effect(1);
  end_effect(1, true);
  break_disk();
  send_event(2);
  (void)take_event();
  assert_int_equal(begin_effect(1), SYNC_EFFECT_STARTED);
  assert_int_equal(begin_effect(2), SYNC_EFFECT_NEW); /* nobody has ever known of this one */
  faulty_vfs_allow();
  assert_int_equal(sync_client_flush(client), SYNC_OK);
}

static void without_a_journal_there_are_no_effects(void **state) {
  (void)state;
  sync_effect effect;
  options.journal_path = NULL;
  begin_with_event_in_hand();
  assert_int_equal(sync_client_effect_begin(client, 1, SPAN("print"), &effect), SYNC_NO_JOURNAL);
  assert_int_equal(sync_client_effect_end(client, 1, SPAN("print"), true), SYNC_NO_JOURNAL);
  assert_int_equal(sync_client_flush(client), SYNC_NO_JOURNAL);
  assert_int_equal(sync_client_ack(client, 1), SYNC_OK);
  assert_int_equal(sync_client_hold(client), SYNC_OK);
  assert_int_equal(sync_client_done(client, 1), SYNC_OK);
  assert_int_equal(sync_client_redeliver(client, 1), SYNC_NO_JOURNAL);
  assert_int_equal(sync_client_forget_dead(client, 1), SYNC_NO_JOURNAL);
  assert_int_equal(sync_client_bury(client, item.event, SPAN("no"), 1), SYNC_NO_JOURNAL);
  assert_false(health().has_journal);
}

/* ---- dead letters ------------------------------------------------------------------------------------------------ */

#define DEAD_SQL "SELECT number, seq, id, problem, attempts, wanted FROM dead_letter"

/* Buries event 2 of three. */
static void begin_with_dead_letter(void) {
  begin();
  send_events(1, 3);
  (void)take_event();
  assert_int_equal(sync_client_bury(client, take_event(), SPAN("no paper"), 3), SYNC_OK);
  settle();
  news[0] = '\0';
}

static void a_dead_letter_is_done_and_kept(void **state) {
  (void)state;
  uint64_t next = 0;
  sync_dead_letter letter;
  begin_with_dead_letter();
  assert_int_equal(metrics().dead_letters, 1);
  check_file(DEAD_SQL, "1 2 2 no paper 3 0 \n");
  begin_again();
  check_news("");
  assert_true(sync_client_next_dead(client, &next, &letter));
  assert_int_equal(letter.number, 1);
  assert_int_equal(letter.seq, 2);
  assert_int_equal(letter.attempts, 3);
  assert_int_equal(letter.failed_at_ms, sync_loop_wall_ms(loop));
  check_span(letter.id, "2");
  check_span(letter.type, "status_update");
  check_span(letter.order_id, "O2");
  check_span(letter.problem, "no paper");
  assert_non_null(strstr(letter.raw.bytes, "orderStage"));
  assert_false(letter.wanted);
  assert_false(sync_client_next_dead(client, &next, &letter));
}

static void it_comes_again_when_that_is_wanted_and_is_none_any_more(void **state) {
  (void)state;
  begin_with_dead_letter();
  assert_int_equal(sync_client_redeliver(client, 1), SYNC_OK);
  assert_int_equal(sync_loop_timeout_ms(loop), 0);
  assert_int_equal(sync_event_seq(take_event()), 2);
  assert_int_equal(sync_client_redeliver(client, 1), SYNC_OK);
  check_file(DEAD_SQL, "1 2 2 no paper 3 1 \n");
  settle();
  check_news("2r");
  check_file(DEAD_SQL, "");
  check_file(MARK_SQL, "3 \n");
}

static void after_a_restart_too_if_it_was_not_done(void **state) {
  (void)state;
  begin_with_dead_letter();
  assert_int_equal(sync_client_redeliver(client, 0), SYNC_OK);
  send_event(4);
  begin_again();
  check_news("2r");
  begin_again();
  check_news("");
}

static void with_manual_acks_it_is_done_too(void **state) {
  (void)state;
  begin_with_dead_letter();
  check_file(UNDONE_SQL, "1 \n3 \n");
}

static void one_that_fails_again_is_another(void **state) {
  (void)state;
  begin_with_dead_letter();
  assert_int_equal(sync_client_redeliver(client, 1), SYNC_OK);
  assert_int_equal(sync_client_bury(client, take_event(), SPAN("no ink"), 1), SYNC_OK);
  settle();
  check_file(DEAD_SQL, "2 2 2 no ink 1 0 \n");
}

static void somebody_else_may_want_it(void **state) {
  (void)state;
  begin_with_dead_letter();
  assert_int_equal(sync_client_flush(client), SYNC_OK);
  run_sql("UPDATE dead_letter SET wanted = 1");
  pass(1000);
  check_news("2r");
  check_file(DEAD_SQL, "");
}

static void or_forget_it(void **state) {
  (void)state;
  begin_with_dead_letter();
  assert_int_equal(sync_client_forget_dead(client, 1), SYNC_OK);
  check_file(DEAD_SQL, "");
  assert_int_equal(sync_client_redeliver(client, 0), SYNC_OK);
  settle();
  check_news("");
}

static void all_can_be_wanted(void **state) {
  (void)state;
  begin();
  send_events(1, 6);
  for (int i = 0; i < 6; i++) assert_int_equal(sync_client_bury(client, take_event(), SPAN("no"), 1), SYNC_OK);
  settle();
  news[0] = '\0';
  assert_int_equal(sync_client_redeliver(client, 0), SYNC_OK);
  assert_int_equal(sync_client_redeliver(client, 0), SYNC_OK);
  settle();
  check_news("1r 2r 3r 4r 5r 6r");
  check_file(DEAD_SQL, "");
}

static void the_oldest_go_when_there_are_too_many(void **state) {
  (void)state;
  options.dead_letter_limit = 2;
  begin();
  send_events(1, 4);
  for (int i = 0; i < 4; i++) assert_int_equal(sync_client_bury(client, take_event(), SPAN("no"), 1), SYNC_OK);
  settle();
  check_file("SELECT number FROM dead_letter", "3 \n4 \n");
}

#define TEST(name)   cmocka_unit_test_setup_teardown(name, set_up, tear_down)
#define MANUAL(name) cmocka_unit_test_setup_teardown(name, set_up_manual, tear_down)

int main(void) {
  static const struct CMUnitTest tests[] = {
      MANUAL(with_manual_acks_nothing_is_done_by_taking),
      MANUAL(acks_in_order_move_the_mark),
      MANUAL(acks_out_of_order_are_marked_one_by_one),
      MANUAL(the_event_in_hand_can_be_acknowledged),
      MANUAL(that_is_not_lost_when_the_client_ends),
      MANUAL(an_ack_between_drains_is_on_disk_at_once),
      MANUAL(what_cannot_be_held_for_want_of_memory_comes_again),
      MANUAL(an_ack_of_nothing_does_nothing),
      MANUAL(an_ack_may_come_before_the_event_is_taken),
      MANUAL(what_was_taken_with_manual_acks_waits_for_them),
      TEST(without_manual_acks_an_ack_is_a_word_only),
      TEST(an_acknowledgement_is_told_with_the_event),
      MANUAL(too_many_that_wait_hold_the_stream_back),
      TEST(what_is_held_is_done_when_that_is_said),
      TEST(only_an_event_in_hand_can_be_held),
      TEST(what_is_held_comes_again),
      TEST(a_held_event_may_be_done_before_the_next_is_taken),
      TEST(an_effect_happens_once),
      TEST(one_that_was_begun_when_the_process_died_may_have_happened),
      TEST(one_whose_end_did_not_reach_the_disk_may_have_happened),
      TEST(one_that_has_not_happened_is_new_again),
      TEST(where_the_disk_cannot_be_asked_it_may_have_happened),
      TEST(without_a_journal_there_are_no_effects),
      TEST(a_dead_letter_is_done_and_kept),
      TEST(it_comes_again_when_that_is_wanted_and_is_none_any_more),
      TEST(after_a_restart_too_if_it_was_not_done),
      MANUAL(with_manual_acks_it_is_done_too),
      TEST(one_that_fails_again_is_another),
      TEST(somebody_else_may_want_it),
      TEST(or_forget_it),
      TEST(all_can_be_wanted),
      TEST(the_oldest_go_when_there_are_too_many),
  };
  return cmocka_run_group_tests(tests, NULL, NULL);
}
