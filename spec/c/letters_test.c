/* letters_test.c - the dead letters of a journal without its client: read and changed while that has the file open. */
#include "journal_scene.h"

static sync_letters *letters;

static int set_up_letters(void **state) {
  letters = NULL;
  return set_up(state);
}

static int tear_down_letters(void **state) {
  sync_letters_close(letters);
  return tear_down(state);
}

static sync_code try_letters(const char *path) {
  return sync_letters_open(&letters, &memory.allocator, path, &failure);
}

static void open_letters(void) {
  if (try_letters(config.path) != SYNC_OK) fail_msg("%s", failure.message);
}

static void bury(uint64_t seq) {
  sync_event *event = make_event(&(struct written){.seq = seq, .type = SPAN("stage_change"), .raw = SPAN("{\"a\":1}")});
  begin();
  assert_true(sync_journal_put_dead(journal, event, SPAN("no paper"), 3, 5000));
  commit();
  sync_event_release(event);
}

/* The events of all letters are those of `expected`, "shop 1, bar 2"; in brackets those that are wanted. */
static void check_letters(const char *expected) {
  char found[512] = "";
  sync_dead_letter letter;
  sync_span stream;
  uint64_t next = 0;
  for (;;) {
    assert_int_equal(sync_letters_next(letters, &next, &letter, &stream, &failure), SYNC_OK);
    if (letter.number == 0) break;
    size_t length = strlen(found);
    (void)snprintf(found + length, sizeof found - length, letter.wanted ? "%s%.*s [%llu]" : "%s%.*s %llu",
                   length ? ", " : "", (int)stream.length, stream.bytes, (unsigned long long)letter.seq);
  }
  assert_string_equal(found, expected);
}

static void a_letter_has_all_that_is_known(void **state) {
  (void)state;
  sync_dead_letter letter;
  sync_span stream;
  uint64_t next = 0;
  bury(7);
  open_letters();
  assert_int_equal(sync_letters_next(letters, &next, &letter, &stream, &failure), SYNC_OK);
  assert_int_equal(letter.number, 1);
  assert_int_equal(letter.seq, 7);
  assert_int_equal(letter.attempts, 3);
  assert_int_equal(letter.failed_at_ms, 5000);
  check_span(letter.type, "stage_change");
  check_span(letter.raw, "{\"a\":1}");
  check_span(letter.problem, "no paper");
  check_span(stream, "shop");
}

static void letters_of_all_streams_are_there(void **state) {
  (void)state;
  bury(1);
  reopen_as("bar");
  bury(2);
  open_letters();
  check_letters("shop 1, bar 2");
  bury(3);
  check_letters("shop 1, bar 2, bar 3");
}

static void one_is_wanted_or_forgotten_and_the_journal_sees_it(void **state) {
  (void)state;
  uint64_t count = 0;
  for (uint64_t seq = 1; seq <= 3; seq++) bury(seq);
  (void)sync_journal_was_changed(journal);
  open_letters();
  assert_int_equal(sync_letters_redeliver(letters, 2, &count, &failure), SYNC_OK);
  assert_int_equal(count, 1);
  assert_true(sync_journal_was_changed(journal));
  assert_int_equal(sync_letters_forget(letters, 1, &count, &failure), SYNC_OK);
  assert_int_equal(count, 1);
  check_letters("shop [2], shop 3");
  assert_int_equal(sync_letters_forget(letters, 1, &count, &failure), SYNC_OK);
  assert_int_equal(count, 0);
}

static void so_are_all(void **state) {
  (void)state;
  uint64_t count = 0;
  for (uint64_t seq = 1; seq <= 3; seq++) bury(seq);
  open_letters();
  assert_int_equal(sync_letters_redeliver(letters, 0, &count, &failure), SYNC_OK);
  assert_int_equal(count, 3);
  check_letters("shop [1], shop [2], shop [3]");
  assert_int_equal(sync_letters_forget(letters, 0, &count, &failure), SYNC_OK);
  check_letters("");
}

static void what_is_no_journal_is_left_as_it_is(void **state) {
  (void)state;
  assert_int_equal(try_letters(folder_path("nothing.db")), SYNC_NO_JOURNAL);
  assert_int_not_equal(access(folder_path("nothing.db"), F_OK), 0);
  begin();
  assert_true(sync_journal_put_total(journal, "events", 1));
  commit();
  sync_journal_close(journal);
  journal = NULL;
  struct sync_database *database = NULL;
  assert_int_equal(sync_database_open(&database, &memory.allocator, config.path, SYNC_DURABILITY_NORMAL, &failure),
                   SYNC_OK);
  assert_true(sync_database_run(database, "PRAGMA user_version = 1000"));
  sync_database_close(database);
  assert_int_equal(try_letters(config.path), SYNC_JOURNAL_SCHEMA);
}

static void without_memory_nothing_is_opened(void **state) {
  (void)state;
  sync_code code = SYNC_NO_MEMORY;
  for (size_t nth = 1; code != SYNC_OK; nth++) {
    counting_alloc_refuse(&memory, nth, 1);
    code = try_letters(config.path);
    counting_alloc_allow(&memory);
    if (code != SYNC_OK) assert_int_equal(code, SYNC_NO_MEMORY);
    if (code != SYNC_OK) assert_null(letters);
  }
}

int main(void) {
  const struct CMUnitTest tests[] = {
      cmocka_unit_test_setup_teardown(a_letter_has_all_that_is_known, set_up_letters, tear_down_letters),
      cmocka_unit_test_setup_teardown(letters_of_all_streams_are_there, set_up_letters, tear_down_letters),
      cmocka_unit_test_setup_teardown(one_is_wanted_or_forgotten_and_the_journal_sees_it, set_up_letters,
                                      tear_down_letters),
      cmocka_unit_test_setup_teardown(so_are_all, set_up_letters, tear_down_letters),
      cmocka_unit_test_setup_teardown(what_is_no_journal_is_left_as_it_is, set_up_letters, tear_down_letters),
      cmocka_unit_test_setup_teardown(without_memory_nothing_is_opened, set_up_letters, tear_down_letters),
  };
  return cmocka_run_group_tests(tests, NULL, NULL);
}
