/* ledger_test.c - what a journal keeps beside the events: effects, dead letters, gaps. What was stored comes back, from
 * the same file opened again. */
#include "gaps.h"
#include "journal_scene.h"

/* ---- effects ----------------------------------------------------------------------------------------------------- */

static void put_effect(uint64_t seq, sync_span name, sync_effect effect) {
  begin();
  assert_true(sync_journal_put_effect(journal, seq, name, effect, 1000));
  commit();
  reopen();
}

static void check_effect(uint64_t seq, sync_span name, sync_effect expected) {
  sync_effect effect;
  assert_true(sync_journal_read_effect(journal, seq, name, &effect));
  assert_int_equal(effect, expected);
}

static void an_effect_starts_is_done_and_is_forgotten(void **state) {
  (void)state;
  check_effect(7, SPAN("print"), SYNC_EFFECT_NEW);
  put_effect(7, SPAN("print"), SYNC_EFFECT_STARTED);
  check_effect(7, SPAN("print"), SYNC_EFFECT_STARTED);
  put_effect(7, SPAN("print"), SYNC_EFFECT_DONE);
  check_effect(7, SPAN("print"), SYNC_EFFECT_DONE);
  check_effect(8, SPAN("print"), SYNC_EFFECT_NEW);
  put_effect(7, SPAN("print"), SYNC_EFFECT_NEW);
  check_effect(7, SPAN("print"), SYNC_EFFECT_NEW);
}

static void effects_are_told_apart_by_all_of_their_name(void **state) {
  (void)state;
  put_effect((UINT64_C(1) << 53) + 1, SPAN("a\0b"), SYNC_EFFECT_DONE);
  put_effect(1, SPAN(""), SYNC_EFFECT_DONE);
  check_effect((UINT64_C(1) << 53) + 1, SPAN("a\0b"), SYNC_EFFECT_DONE);
  check_effect((UINT64_C(1) << 53) + 1, SPAN("a\0c"), SYNC_EFFECT_NEW);
  check_effect((UINT64_C(1) << 53) + 1, SPAN("a"), SYNC_EFFECT_NEW);
  check_effect(UINT64_C(1) << 53, SPAN("a\0b"), SYNC_EFFECT_NEW);
  check_effect(1, SPAN(""), SYNC_EFFECT_DONE);
  check_effect(2, SPAN(""), SYNC_EFFECT_NEW);
}

static void an_effect_that_is_rolled_back_did_not_start(void **state) {
  (void)state;
  begin();
  assert_true(sync_journal_put_effect(journal, 7, SPAN("print"), SYNC_EFFECT_STARTED, 1));
  sync_journal_rollback(journal);
  check_effect(7, SPAN("print"), SYNC_EFFECT_NEW);
}

/* ---- dead letters ------------------------------------------------------------------------------------------------ */

static void put_dead(const struct written *written, sync_span problem) {
  sync_event *event = make_event(written);
  assert_true(sync_journal_put_dead(journal, event, problem, 3, 5000));
  sync_event_release(event);
}

/* `count` of them, in one transaction. */
static void put_dead_letters(uint64_t count) {
  begin();
  for (uint64_t seq = 1; seq <= count; seq++)
    put_dead(&(struct written){.seq = seq, .type = SPAN("stage_change")}, SPAN("no paper"));
  commit();
}

/* The numbers of all dead letters are those of `expected`, "1 2 3"; in brackets those that are wanted. */
static void check_dead(const char *expected) {
  char found[256] = "";
  struct sync_journal_dead dead;
  for (uint64_t number = 0; sync_journal_read_dead(journal, number, &dead); number = dead.number + 1) {
    size_t length = strlen(found);
    (void)snprintf(found + length, sizeof found - length, dead.wanted ? "%s[%llu]" : "%s%llu", length ? " " : "",
                   (unsigned long long)dead.number);
  }
  assert_string_equal(found, expected);
}

static void a_dead_letter_has_all_of_its_event(void **state) {
  (void)state;
  const struct written written = {.seq = (UINT64_C(1) << 53) + 1,
                                  .fingerprint = UINT64_MAX - 1,
                                  .received_at_ms = 1764151200123,
                                  .id = SPAN("4\0"
                                             "1"),
                                  .type = SPAN("stage_change"),
                                  .order_id = SPAN("\xc3\xa4"),
                                  .previous_stage = SPAN("open"),
                                  .raw = SPAN("{\"a\":1}"),
                                  .source = SYNC_SOURCE_BACKFILL,
                                  .acknowledged = true};
  struct sync_journal_dead dead;
  begin();
  put_dead(&written, SPAN("no \0 paper"));
  put_dead(&(struct written){.seq = 1}, SPAN(""));
  commit();
  reopen();
  assert_true(sync_journal_read_dead(journal, 0, &dead));
  assert_int_equal(dead.number, 1);
  assert_int_equal(dead.event.seq, written.seq);
  assert_int_equal(dead.event.fingerprint, written.fingerprint);
  assert_int_equal(dead.event.received_at_ms, written.received_at_ms);
  assert_int_equal(dead.event.source, SYNC_SOURCE_BACKFILL);
  assert_true(dead.event.acknowledged);
  check_same_span(dead.event.id, written.id);
  check_same_span(dead.event.type, written.type);
  check_same_span(dead.event.previous_stage, written.previous_stage);
  check_same_span(dead.event.raw, written.raw);
  check_same_span(dead.order_id, written.order_id);
  check_same_span(dead.problem, SPAN("no \0 paper"));
  assert_int_equal(dead.attempts, 3);
  assert_int_equal(dead.failed_at_ms, 5000);
  assert_false(dead.wanted);
  assert_true(sync_journal_read_dead(journal, 2, &dead));
  assert_int_equal(dead.event.seq, 1);
  check_span(dead.event.raw, "");
  check_span(dead.problem, "");
  assert_false(sync_journal_read_dead(journal, 3, &dead));
}

static void the_oldest_go_when_there_are_too_many(void **state) {
  (void)state;
  config.max_dead = 3;
  reopen();
  put_dead_letters(3);
  check_dead("1 2 3");
  put_dead_letters(2);
  check_dead("3 4 5");
}

static void a_number_is_never_used_again(void **state) {
  (void)state;
  put_dead_letters(3);
  begin();
  assert_true(sync_journal_drop_dead(journal, 3));
  assert_true(sync_journal_drop_dead(journal, 2));
  assert_true(sync_journal_drop_dead(journal, 77));
  commit();
  reopen();
  put_dead_letters(1);
  check_dead("1 4");
}

static void those_that_are_wanted_are_walked_through(void **state) {
  (void)state;
  struct sync_journal_dead dead;
  put_dead_letters(4);
  begin();
  assert_true(sync_journal_want_dead(journal, 4));
  assert_true(sync_journal_want_dead(journal, 2));
  commit();
  reopen();
  check_dead("1 [2] 3 [4]");
  sync_journal_seek_dead(journal);
  assert_int_equal(sync_journal_next_dead(journal, &dead), SYNC_ROW);
  assert_int_equal(dead.number, 2);
  assert_int_equal(sync_journal_next_dead(journal, &dead), SYNC_ROW);
  assert_int_equal(dead.number, 4);
  assert_true(dead.wanted);
  assert_int_equal(sync_journal_next_dead(journal, &dead), SYNC_ROW_NONE);
  begin();
  assert_true(sync_journal_want_dead(journal, 0));
  commit();
  check_dead("[1] [2] [3] [4]");
  sync_journal_seek_dead(journal);
  assert_int_equal(sync_journal_next_dead(journal, &dead), SYNC_ROW);
  assert_int_equal(dead.number, 1);
  sync_journal_end_dead(journal);
}

static void another_streams_are_not_touched(void **state) {
  (void)state;
  put_dead_letters(2);
  reopen_as("other shop");
  put_dead_letters(1);
  check_dead("3");
  begin();
  assert_true(sync_journal_want_dead(journal, 0));
  assert_true(sync_journal_want_dead(journal, 1));
  assert_true(sync_journal_drop_dead(journal, 2));
  commit();
  check_dead("[3]");
  reopen();
  check_dead("1 2");
}

static void a_dead_letter_is_redacted(void **state) {
  (void)state;
  static const char *const names[] = {"phone"};
  struct sync_journal_dead dead;
  config.redact = names;
  config.redact_count = 1;
  reopen();
  begin();
  put_dead(&(struct written){.seq = 1, .raw = SPAN("{\"phone\":1,\"a\":[{\"phone\":\"x\"}]}")}, SPAN("no paper"));
  commit();
  assert_true(sync_journal_read_dead(journal, 1, &dead));
  check_span(dead.event.raw, "{\"phone\":\"[redacted]\",\"a\":[{\"phone\":\"[redacted]\"}]}");
}

/* ---- gaps -------------------------------------------------------------------------------------------------------- */

static void put_gap(uint64_t number, uint64_t through, enum sync_gap_cure cure) {
  const struct sync_gap gap = {.number = number, .through = through, .cure = cure, .opened_at_ms = 1};
  begin();
  assert_true(sync_journal_put_gap(journal, &gap));
  commit();
}

/* The last `limit` gaps are those of `expected`, "1 2-4 (5)"; in brackets those that are closed. */
static void check_gaps(size_t limit, const char *expected) {
  char found[256] = "", through[32];
  struct sync_gap gap;
  enum sync_row row;
  sync_journal_seek_gaps(journal, limit);
  while ((row = sync_journal_next_gap(journal, &gap)) == SYNC_ROW) {
    size_t length = strlen(found);
    (void)snprintf(through, sizeof through, gap.through > gap.number ? "-%llu" : "", (unsigned long long)gap.through);
    (void)snprintf(found + length, sizeof found - length, gap.cure == SYNC_CURE_NONE ? "%s%llu%s" : "%s(%llu%s)",
                   length ? " " : "", (unsigned long long)gap.number, through);
  }
  assert_int_equal(row, SYNC_ROW_NONE);
  assert_string_equal(found, expected);
}

static void check_gap(const struct sync_gap *found, const struct sync_gap *gap) {
  assert_int_equal(found->number, gap->number);
  assert_int_equal(found->through, gap->through);
  assert_int_equal(found->reason, gap->reason);
  assert_int_equal(found->cure, gap->cure);
  assert_int_equal(found->missing, gap->missing);
  assert_int_equal(found->opened_at_ms, gap->opened_at_ms);
  assert_int_equal(found->closed_at_ms, gap->closed_at_ms);
  check_same_span(found->after_id, gap->after_id);
  check_same_span(found->before_id, gap->before_id);
  check_same_span(found->order_id, gap->order_id);
  check_same_span(found->detail, gap->detail);
}

static void a_gap_comes_back_as_it_was(void **state) {
  (void)state;
  struct sync_gap found;
  for (int i = 0; i <= SYNC_CURE_GIVEN_UP; i++) {
    const struct sync_gap gap = {.number = 1,
                                 .through = 1,
                                 .reason = (enum sync_gap_reason)i,
                                 .cure = (enum sync_gap_cure)i,
                                 .missing = 17,
                                 .opened_at_ms = 1764151200123,
                                 .closed_at_ms = i ? 1764151200999 : 0,
                                 .after_id = SPAN("4\0"
                                                  "1"),
                                 .before_id = SPAN("43"),
                                 .order_id = SPAN("ORDER-001"),
                                 .detail = SPAN("hist\xc3\xb6ry lost")};
    begin();
    assert_true(sync_journal_put_gap(journal, &gap));
    commit();
    reopen();
    sync_journal_seek_gaps(journal, 1);
    assert_int_equal(sync_journal_next_gap(journal, &found), SYNC_ROW);
    check_gap(&found, &gap);
    assert_int_equal(sync_journal_next_gap(journal, &found), SYNC_ROW_NONE);
  }
}

static void open_gaps_come_before_the_latest(void **state) {
  (void)state;
  put_gap(4, 4, SYNC_CURE_REPLAY);
  put_gap(1, 1, SYNC_CURE_NONE);
  put_gap(2, 2, SYNC_CURE_SNAPSHOT);
  put_gap(3, 3, SYNC_CURE_NONE);
  check_gaps(9, "1 (2) 3 (4)");
  check_gaps(3, "1 3 (4)");
  check_gaps(2, "1 3");
}

static void a_gap_takes_the_place_of_those_that_it_stands_for(void **state) {
  (void)state;
  for (uint64_t number = 1; number <= 5; number++)
    put_gap(number, number, number == 3 ? SYNC_CURE_ORDER : SYNC_CURE_NONE);
  put_gap(1, 4, SYNC_CURE_NONE);
  check_gaps(9, "1-4 (3) 5");
}

static void gaps_that_were_closed_long_ago_go(void **state) {
  (void)state;
  put_gap(1, 1, SYNC_CURE_NONE);
  put_gap(2, 2, SYNC_CURE_REPLAY);
  put_gap(3, 3, SYNC_CURE_REPLAY);
  put_gap(1002, 1002, SYNC_CURE_NONE);
  check_gaps(9, "1 (3) 1002");
}

static void gaps_belong_to_their_stream(void **state) {
  (void)state;
  put_gap(1, 1, SYNC_CURE_NONE);
  reopen_as("other shop");
  check_gaps(9, "");
  put_gap(1, 3, SYNC_CURE_REPLAY);
  reopen();
  check_gaps(9, "1");
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)

int main(void) {
  static const struct CMUnitTest tests[] = {
      TEST(an_effect_starts_is_done_and_is_forgotten),
      TEST(effects_are_told_apart_by_all_of_their_name),
      TEST(an_effect_that_is_rolled_back_did_not_start),
      TEST(a_dead_letter_has_all_of_its_event),
      TEST(the_oldest_go_when_there_are_too_many),
      TEST(a_number_is_never_used_again),
      TEST(those_that_are_wanted_are_walked_through),
      TEST(another_streams_are_not_touched),
      TEST(a_dead_letter_is_redacted),
      TEST(a_gap_comes_back_as_it_was),
      TEST(open_gaps_come_before_the_latest),
      TEST(a_gap_takes_the_place_of_those_that_it_stands_for),
      TEST(gaps_that_were_closed_long_ago_go),
      TEST(gaps_belong_to_their_stream),
  };
  return cmocka_run_group_tests(tests, NULL, NULL);
}
