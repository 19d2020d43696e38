/* archive_test.c - the events of a journal: what is stored is found again, what is done and too much goes, and nothing
 * that is not done ever does. */
#include "journal_scene.h"

/* ---- storing and finding ----------------------------------------------------------------------------------------- */

static const struct written samples[] = {
    {.seq = 1,
     .fingerprint = UINT64_MAX,
     .received_at_ms = 1764151200123,
     .id = SPAN("41"),
     .type = SPAN("stage_change"),
     .order_id = SPAN("ORDER-001"),
     .previous_stage = SPAN("initiated"),
     .raw = SPAN("{\"orderID\":\"ORDER-001\"}"),
     .source = SYNC_SOURCE_STREAM},
    {.seq = 2, .source = SYNC_SOURCE_POLL}, /* no text at all */
    {.seq = 3,
     .fingerprint = 1,
     .received_at_ms = -1,
     .id = SPAN("a\0b"),
     .type = SPAN("\0"),
     .order_id = SPAN("\xc3\xa4\xe2\x82\xac\xf0\x9f\x98\x80"),
     .previous_stage = SPAN("'; DROP TABLE event; --"),
     .raw = SPAN("{\"a\":\"\0\"}\0"),
     .source = SYNC_SOURCE_BACKFILL},
    {.seq = (UINT64_C(1) << 53) + 1, .raw = SPAN("{}")},
    {.seq = INT64_MAX, .fingerprint = UINT64_C(1) << 63, .raw = SPAN("[]"), .received_at_ms = INT64_MAX},
};

static void check_event(const struct sync_journal_event *event, const struct written *written) {
  assert_int_equal(event->seq, written->seq);
  assert_int_equal(event->fingerprint, written->fingerprint);
  assert_int_equal(event->received_at_ms, written->received_at_ms);
  assert_int_equal(event->source, written->source);
  check_same_span(event->id, written->id);
  check_same_span(event->type, written->type);
  check_same_span(event->previous_stage, written->previous_stage);
  check_same_span(event->raw, written->raw);
  assert_false(event->done);
  assert_false(event->acknowledged);
}

static void check_samples(void) {
  struct sync_journal_event event;
  sync_journal_seek_latest(journal, 100);
  for (size_t i = 0; i < COUNT_OF(samples); i++) {
    assert_int_equal(sync_journal_next_event(journal, &event), SYNC_ROW);
    check_event(&event, &samples[i]);
  }
  assert_int_equal(sync_journal_next_event(journal, &event), SYNC_ROW_NONE);
}

static void what_was_stored_comes_back_to_the_byte(void **state) {
  (void)state;
  static const size_t order[] = {3, 0, 4, 2, 1};
  begin();
  for (size_t i = 0; i < COUNT_OF(order); i++) assert_true(put(&samples[order[i]]));
  check_samples();
  commit();
  reopen();
  check_samples();
  struct sync_journal_stream stream;
  assert_true(sync_journal_read_stream(journal, &stream));
  assert_int_equal(stream.last_seq, INT64_MAX);
}

static void one_with_the_same_seq_is_replaced(void **state) {
  (void)state;
  config.max_events = 4;
  reopen();
  begin();
  put_run(1, 4);
  for (int again = 0; again < 50; again++)
    assert_true(put(&(struct written){.seq = 2, .type = SPAN("payment_update"), .raw = SPAN("{}")}));
  assert_true(sync_journal_put_done(journal, 3));
  assert_true(put(&(struct written){.seq = 3, .raw = SPAN("{}")}));
  commit();
  check_undone("1 2 3 4");
  begin();
  finish_up_to(4);
  assert_true(sync_journal_prune(journal, 0));
  commit();
  check_latest(9, "1 2 3 4"); /* those that were replaced did not count */
  begin();
  put_run(3, 4);
  assert_true(sync_journal_prune(journal, 0));
  commit();
  reopen();
  check_latest(9, "1 2 3 4");
}

static void the_latest_are_found_the_oldest_first(void **state) {
  (void)state;
  check_latest(3, "");
  begin();
  put_run(1, 9);
  commit();
  check_latest(3, "7 8 9");
  check_latest(0, "");
  check_latest(SIZE_MAX, "1 2 3 4 5 6 7 8 9");
}

static void a_walk_may_be_left_and_begun_again(void **state) {
  (void)state;
  struct sync_journal_event event;
  begin();
  put_run(1, 5);
  commit();
  sync_journal_seek_latest(journal, 4);
  assert_int_equal(sync_journal_next_event(journal, &event), SYNC_ROW);
  assert_int_equal(event.seq, 2);
  check_undone("1 2 3 4 5");
  sync_journal_seek_undone(journal);
  assert_int_equal(sync_journal_next_event(journal, &event), SYNC_ROW);
  sync_journal_end_events(journal);
  begin();
  put_run(6, 6);
  commit();
  check_undone("1 2 3 4 5 6");
}

static void what_is_done_in_turn_or_out_of_it_is_not_undone(void **state) {
  (void)state;
  begin();
  put_run(1, 8);
  finish_up_to(3);
  assert_true(sync_journal_put_done(journal, 5));
  assert_true(sync_journal_put_done(journal, 5));
  assert_true(sync_journal_put_done(journal, 99));
  commit();
  check_undone("4 6 7 8");
  reopen();
  check_undone("4 6 7 8");
  struct sync_journal_event event;
  sync_journal_seek_latest(journal, 8);
  for (uint64_t seq = 1; seq <= 8; seq++) {
    assert_int_equal(sync_journal_next_event(journal, &event), SYNC_ROW);
    assert_int_equal(event.done, seq <= 3 || seq == 5);
  }
  sync_journal_end_events(journal);
}

static void what_is_done_stays_so(void **state) {
  (void)state;
  begin();
  put_run(1, 4);
  finish_up_to(3);
  finish_up_to(1);
  commit();
  check_undone("4");
}

static void acknowledgements_are_kept(void **state) {
  (void)state;
  struct sync_journal_event event;
  begin();
  put_run(1, 2);
  assert_true(sync_journal_put_acknowledged(journal, 2));
  assert_true(sync_journal_put_acknowledged(journal, 77));
  commit();
  reopen();
  sync_journal_seek_undone(journal);
  assert_int_equal(sync_journal_next_event(journal, &event), SYNC_ROW);
  assert_false(event.acknowledged);
  assert_int_equal(sync_journal_next_event(journal, &event), SYNC_ROW);
  assert_true(event.acknowledged);
  assert_false(event.done);
  sync_journal_end_events(journal);
}

static void what_is_rolled_back_was_never_there(void **state) {
  (void)state;
  struct sync_journal_stream stream;
  begin();
  put_run(1, 3);
  commit();
  begin();
  put_run(4, 6);
  finish_up_to(6);
  sync_journal_rollback(journal);
  check_undone("1 2 3");
  assert_true(sync_journal_read_stream(journal, &stream));
  assert_int_equal(stream.last_seq, 3);
  assert_int_equal(stream.done_seq, 0);
}

static void two_streams_share_a_file_and_its_numbers(void **state) {
  (void)state;
  struct sync_journal_stream stream;
  begin();
  put_run(1, 3);
  finish_up_to(2);
  commit();
  reopen_as("other shop");
  assert_true(sync_journal_read_stream(journal, &stream));
  assert_int_equal(stream.last_seq, 3);
  assert_int_equal(stream.done_seq, 0);
  begin();
  put_run(4, 5);
  commit();
  check_undone("4 5");
  check_latest(9, "4 5");
  reopen();
  check_undone("3");
  check_latest(9, "1 2 3");
  assert_true(sync_journal_read_stream(journal, &stream));
  assert_int_equal(stream.last_seq, 5);
  begin();
  put_run(6, 6);
  commit();
  check_latest(2, "3 6");
}

/* ---- redaction --------------------------------------------------------------------------------------------------- */

static void secrets_do_not_reach_the_disk(void **state) {
  (void)state;
  static const char *const names[] = {"whatsappNumber"};
  struct sync_journal_event event;
  config.redact = names;
  config.redact_count = 1;
  reopen();
  begin();
  assert_true(
      put(&(struct written){.seq = 1, .raw = SPAN("{\"a\":{\"whatsappNumber\":\"+49 170 1234567\"},\"b\":2}")}));
  assert_true(put(&(struct written){.seq = 2, .raw = SPAN("no JSON: +49 170 1234567")}));
  assert_true(put(&(struct written){.seq = 3}));
  commit();
  sync_journal_seek_latest(journal, 3);
  assert_int_equal(sync_journal_next_event(journal, &event), SYNC_ROW);
  check_span(event.raw, "{\"a\":{\"whatsappNumber\":\"[redacted]\"},\"b\":2}");
  assert_int_equal(sync_journal_next_event(journal, &event), SYNC_ROW);
  check_span(event.raw, "");
  assert_int_equal(sync_journal_next_event(journal, &event), SYNC_ROW);
  check_span(event.raw, "");
  sync_journal_end_events(journal);
}

/* ---- throwing out ------------------------------------------------------------------------------------------------ */

/* How many events there are, of this stream. */
static size_t count_events(void) {
  struct sync_journal_event event;
  size_t count = 0;
  sync_journal_seek_latest(journal, SIZE_MAX);
  while (sync_journal_next_event(journal, &event) == SYNC_ROW) count++;
  return count;
}

static void prune(int64_t now_ms) {
  begin();
  assert_true(sync_journal_prune(journal, now_ms));
  commit();
}

static void too_many_that_are_done_go_the_oldest_first(void **state) {
  (void)state;
  config.max_events = 32;
  reopen();
  begin();
  put_run(1, 33);
  finish_up_to(32);
  commit();
  prune(0);
  assert_int_equal(count_events(), 33); /* one is not done */
  begin();
  finish_up_to(33);
  commit();
  prune(0);
  assert_int_equal(count_events(), 30); /* a sixteenth more than must */
  check_latest(3, "31 32 33");
  begin();
  put_run(34, 35);
  finish_up_to(35);
  commit();
  prune(0);
  assert_int_equal(count_events(), 32);
}

static void what_is_not_done_stays_however_much_it_is(void **state) {
  (void)state;
  config.max_events = 2;
  config.max_age_ms = 10;
  config.max_bytes = 100;
  reopen();
  begin();
  put_run(1, 50);
  assert_true(sync_journal_put_done(journal, 20));
  assert_true(sync_journal_put_done(journal, 30));
  commit();
  prune(1000000);
  assert_int_equal(count_events(), 48);
  begin();
  finish_up_to(10);
  commit();
  reopen(); /* what was counted along is counted afresh */
  prune(1000000);
  assert_int_equal(count_events(), 38);
  reopen_as("other shop");
  begin();
  put_run(51, 60);
  finish_up_to(60);
  commit();
  prune(1000000);
  check_latest(9, "60");
  reopen();
  assert_int_equal(count_events(), 38);
}

static void what_goes_goes_some_hundreds_at_a_time(void **state) {
  (void)state;
  config.max_age_ms = 10;
  reopen();
  begin();
  put_run(1, 1200);
  finish_up_to(1200);
  commit();
  prune(9000000);
  assert_int_equal(count_events(), 700);
  prune(9000000);
  assert_int_equal(count_events(), 200);
  begin();
  put_run(1201, 1900);
  finish_up_to(1900);
  assert_true(sync_journal_prune(journal, 9000000)); /* and more where more come */
  commit();
  assert_int_equal(count_events(), 1); /* the last one stays */
}

static void too_many_bytes_go(void **state) {
  (void)state;
  static char text[1000];
  memset(text, '1', sizeof text);
  config.max_bytes = 10000;
  reopen();
  begin();
  for (uint64_t seq = 1; seq <= 9; seq++) assert_true(put(&(struct written){.seq = seq, .raw = {text, sizeof text}}));
  finish_up_to(9);
  commit();
  prune(0);
  assert_int_equal(count_events(), 9);
  begin();
  assert_true(put(&(struct written){.seq = 10, .raw = {text, sizeof text}}));
  finish_up_to(10);
  commit();
  prune(0);
  check_latest(9, "3 4 5 6 7 8 9 10"); /* of 1064 bytes each, down to 9375 */
}

static void what_is_too_old_goes(void **state) {
  (void)state;
  config.max_age_ms = 16000;
  reopen();
  begin();
  put_run(1, 20);
  finish_up_to(20);
  commit();
  prune(20000);
  check_latest(99, "4 5 6 7 8 9 10 11 12 13 14 15 16 17 18 19 20");
  prune(21000); /* not yet: a sixteenth of the age has to pass */
  check_latest(99, "4 5 6 7 8 9 10 11 12 13 14 15 16 17 18 19 20");
  prune(21001);
  check_latest(99, "6 7 8 9 10 11 12 13 14 15 16 17 18 19 20");
  prune(900000);
  check_latest(99, "20"); /* where counting goes on */
  struct sync_journal_stream stream;
  reopen();
  assert_true(sync_journal_read_stream(journal, &stream));
  assert_int_equal(stream.last_seq, 20);
}

static void a_pruning_that_is_rolled_back_is_made_up_for(void **state) {
  (void)state;
  config.max_events = 10;
  reopen();
  begin();
  put_run(1, 20);
  finish_up_to(20);
  commit();
  begin();
  assert_true(sync_journal_prune(journal, 0));
  sync_journal_rollback(journal);
  assert_int_equal(count_events(), 20);
  prune(0);
  assert_int_equal(count_events(), 10);
}

/* Numbers that effects have used are not used again, even if somebody has deleted all events by hand. */
static void numbers_go_on_behind_effects(void **state) {
  (void)state;
  struct sync_journal_stream stream;
  begin();
  assert_true(sync_journal_put_effect(journal, 41, SPAN("print"), SYNC_EFFECT_DONE, 0));
  commit();
  reopen();
  assert_true(sync_journal_read_stream(journal, &stream));
  assert_int_equal(stream.last_seq, 41);
}

static void check_effect(uint64_t seq, sync_effect expected) {
  sync_effect effect;
  assert_true(sync_journal_read_effect(journal, seq, SPAN("print"), &effect));
  assert_int_equal(effect, expected);
}

static void effects_go_after_their_event_and_when_they_are_old(void **state) {
  (void)state;
  config.max_events = 2;
  config.max_age_ms = 100000;
  reopen();
  begin();
  put_run(1, 4);
  assert_true(sync_journal_put_effect(journal, 1, SPAN("print"), SYNC_EFFECT_DONE, 1000));
  assert_true(sync_journal_put_effect(journal, 2, SPAN("print"), SYNC_EFFECT_DONE, 90000));
  assert_true(sync_journal_put_effect(journal, 4, SPAN("print"), SYNC_EFFECT_STARTED, 1000));
  finish_up_to(4);
  commit();
  prune(102000);
  check_latest(9, "3 4");
  check_effect(1, SYNC_EFFECT_NEW);
  check_effect(2, SYNC_EFFECT_DONE);
  check_effect(4, SYNC_EFFECT_STARTED);
  prune(200000);
  check_effect(2, SYNC_EFFECT_NEW);
  check_effect(4, SYNC_EFFECT_STARTED); /* its event is the last one, and stays */
}

/* Those that are not done are those of `undone`, up to `last`; says how many. */
static size_t check_waiting(const bool *undone, uint64_t last) {
  struct sync_journal_event event;
  size_t count = 0;
  sync_journal_seek_undone(journal);
  for (uint64_t seq = 1; seq <= last; seq++) {
    if (!undone[seq]) continue;
    assert_int_equal(sync_journal_next_event(journal, &event), SYNC_ROW);
    assert_int_equal(event.seq, seq);
    count++;
  }
  assert_int_equal(sync_journal_next_event(journal, &event), SYNC_ROW_NONE);
  return count;
}

/* Whatever happens in whatever order, what is left is bounded and all that is not done is left. */
static void bounds_hold_at_random(void **state) {
  (void)state;
  enum { EVENTS = 3000, MOST = 64 };
  static bool undone[EVENTS + 1];
  uint32_t random = 12;
  uint64_t done_seq = 0;
  config.max_events = MOST;
  reopen();
  for (uint64_t seq = 1; seq <= EVENTS;) {
    begin();
    for (unsigned burst = 1 + (random >> 9) % 40; burst > 0 && seq <= EVENTS; burst--, seq++) {
      put_run(seq, seq);
      undone[seq] = true;
    }
    random = random * 1664525u + 1013904223u;
    for (uint64_t out = done_seq + 2; out < seq; out += 3) {
      assert_true(sync_journal_put_done(journal, out));
      undone[out] = false;
    }
    if (random >> 20 & 1) done_seq += (seq - 1 - done_seq) / 2;
    for (uint64_t i = 1; i <= done_seq; i++) undone[i] = false;
    finish_up_to(done_seq);
    assert_true(sync_journal_prune(journal, 0));
    commit();
    if ((random >> 22 & 7) == 0) reopen();
    assert_in_range(count_events(), 1, check_waiting(undone, seq - 1) + MOST);
  }
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)

int main(void) {
  static const struct CMUnitTest tests[] = {
      TEST(what_was_stored_comes_back_to_the_byte),
      TEST(one_with_the_same_seq_is_replaced),
      TEST(the_latest_are_found_the_oldest_first),
      TEST(a_walk_may_be_left_and_begun_again),
      TEST(what_is_done_in_turn_or_out_of_it_is_not_undone),
      TEST(what_is_done_stays_so),
      TEST(acknowledgements_are_kept),
      TEST(what_is_rolled_back_was_never_there),
      TEST(two_streams_share_a_file_and_its_numbers),
      TEST(secrets_do_not_reach_the_disk),
      TEST(too_many_that_are_done_go_the_oldest_first),
      TEST(what_is_not_done_stays_however_much_it_is),
      TEST(what_goes_goes_some_hundreds_at_a_time),
      TEST(too_many_bytes_go),
      TEST(what_is_too_old_goes),
      TEST(a_pruning_that_is_rolled_back_is_made_up_for),
      TEST(numbers_go_on_behind_effects),
      TEST(effects_go_after_their_event_and_when_they_are_old),
      TEST(bounds_hold_at_random),
  };
  return cmocka_run_group_tests(tests, NULL, NULL);
}
