/* journal_test.c - a journal's file: whose it is, which version it is of, what a stream is there, and what becomes of
 * it without memory or under somebody's hands. */
#include <sqlite3.h>

#include "journal_scene.h"
#include "schema.h"

/* ---- a person at the sqlite3 shell ------------------------------------------------------------------------------- */

static void run_by_hand(const char *path, const char *sql) {
  sqlite3 *hand;
  assert_int_equal(sqlite3_open(path, &hand), SQLITE_OK);
  if (sqlite3_exec(hand, sql, NULL, NULL, NULL) != SQLITE_OK) fail_msg("%s", sqlite3_errmsg(hand));
  assert_int_equal(sqlite3_close(hand), SQLITE_OK);
}

/* The only row's only text. */
static void check_by_hand(const char *path, const char *sql, const char *expected) {
  sqlite3 *hand;
  sqlite3_stmt *statement;
  assert_int_equal(sqlite3_open(path, &hand), SQLITE_OK);
  if (sqlite3_prepare_v2(hand, sql, -1, &statement, NULL) != SQLITE_OK) fail_msg("%s", sqlite3_errmsg(hand));
  assert_int_equal(sqlite3_step(statement), SQLITE_ROW);
  assert_string_equal((const char *)sqlite3_column_text(statement, 0), expected);
  assert_int_equal(sqlite3_finalize(statement), SQLITE_OK);
  assert_int_equal(sqlite3_close(hand), SQLITE_OK);
}

/* All bytes of the file; its length is given. */
static size_t read_file(char *bytes, size_t size) {
  FILE *file = fopen(config.path, "rb");
  assert_non_null(file);
  size_t length = fread(bytes, 1, size, file);
  assert_in_range(length, 0, size - 1);
  assert_int_equal(fclose(file), 0);
  return length;
}

/* ---- the stream -------------------------------------------------------------------------------------------------- */

static void a_new_stream_is_empty(void **state) {
  (void)state;
  struct sync_journal_stream stream;
  assert_true(sync_journal_read_stream(journal, &stream));
  check_span(stream.last_event_id, "");
  assert_int_equal(stream.last_seq, 0);
  assert_int_equal(stream.done_seq, 0);
  assert_false(stream.loaded);
}

static void the_cursor_comes_back(void **state) {
  (void)state;
  static const sync_span ids[] = {{"4\0002", 3}, {"\xe2\x82\xac", 3}, {"", 0}};
  struct sync_journal_stream stream;
  for (size_t i = 0; i < COUNT_OF(ids); i++) {
    begin();
    assert_true(sync_journal_write_stream(
        journal, &(struct sync_journal_stream){.last_event_id = ids[i], .done_seq = i + 5, .loaded = i % 2}));
    commit();
    reopen();
    assert_true(sync_journal_read_stream(journal, &stream));
    check_same_span(stream.last_event_id, ids[i]);
    assert_int_equal(stream.done_seq, i + 5);
    assert_int_equal(stream.loaded, i % 2);
  }
}

static void streams_have_cursors_and_totals_of_their_own(void **state) {
  (void)state;
  static const char *const names[] = {"shop", "http://127.0.0.1:8080/a", "", "sh\xc3\xb6p"};
  struct sync_journal_stream stream;
  for (size_t i = 0; i < COUNT_OF(names); i++) {
    reopen_as(names[i]);
    begin();
    assert_true(sync_journal_write_stream(journal, &(struct sync_journal_stream){.last_event_id = span_of(names[i])}));
    assert_true(sync_journal_put_total(journal, "total_events", i + 1));
    commit();
  }
  for (size_t i = 0; i < COUNT_OF(names); i++) {
    reopen_as(names[i]);
    assert_true(sync_journal_read_stream(journal, &stream));
    check_same_span(stream.last_event_id, span_of(names[i]));
    assert_int_equal(sync_journal_total(journal, "total_events"), i + 1);
  }
}

static void totals_come_back(void **state) {
  (void)state;
  begin();
  assert_true(sync_journal_put_total(journal, "total_bytes", 1));
  assert_true(sync_journal_put_total(journal, "total_bytes", UINT64_MAX));
  assert_true(sync_journal_put_total(journal, "total_events", 7));
  commit();
  reopen();
  assert_int_equal(sync_journal_total(journal, "total_bytes"), UINT64_MAX);
  assert_int_equal(sync_journal_total(journal, "total_events"), 7);
  assert_int_equal(sync_journal_total(journal, "polls"), 0);
}

/* ---- whose file it is -------------------------------------------------------------------------------------------- */

/* The file is refused as it is, and stays so to the byte. */
static void check_refused(const char *words) {
  static char before[65536], after[65536];
  size_t length = read_file(before, sizeof before);
  assert_int_equal(try_open("shop"), SYNC_JOURNAL_SCHEMA);
  assert_null(journal);
  assert_int_equal(failure.code, SYNC_JOURNAL_SCHEMA);
  assert_non_null(strstr(failure.message, words));
  assert_int_equal(read_file(after, sizeof after), length);
  assert_memory_equal(after, before, length);
}

static void somebody_elses_tables_are_left_alone(void **state) {
  (void)state;
  run_by_hand(config.path, "CREATE TABLE event (mine)");
  check_refused("another program");
  assert_false(folder_has("orders.db-lock"));
}

static void somebody_elses_application_is_left_alone(void **state) {
  (void)state;
  run_by_hand(config.path, "PRAGMA application_id = 252006673; CREATE TABLE a (b)");
  check_refused("another program");
  run_by_hand(config.path, "DROP TABLE a");
  check_refused("another program");
}

static void somebody_elses_log_is_looked_into(void **state) {
  (void)state;
  sqlite3 *hand;
  assert_int_equal(sqlite3_open(config.path, &hand), SQLITE_OK);
  assert_int_equal(sqlite3_exec(hand, "PRAGMA journal_mode = WAL; CREATE TABLE a (b)", NULL, NULL, NULL), SQLITE_OK);
  check_refused("another program");
  assert_int_equal(sqlite3_close(hand), SQLITE_OK);
}

static void a_later_version_is_left_alone(void **state) {
  (void)state;
  open_stream("shop");
  sync_journal_close(journal);
  journal = NULL;
  run_by_hand(config.path, "PRAGMA user_version = 99");
  check_refused("version 99");
}

static void an_empty_file_becomes_a_journal(void **state) {
  (void)state;
  folder_write("orders.db", "");
  open_stream("shop");
  sync_journal_close(journal);
  journal = NULL;
  check_by_hand(config.path, "PRAGMA application_id", "1869767795");
}

/* As a death right after the file was made leaves it: a header, and no tables. */
static void a_file_without_tables_becomes_a_journal(void **state) {
  (void)state;
  run_by_hand(config.path, "PRAGMA journal_mode = WAL");
  open_stream("shop");
  begin();
  put_run(1, 1);
  commit();
}

static void a_file_that_is_no_database_is_corrupt(void **state) {
  (void)state;
  folder_write("orders.db", "dear diary, these are more than a hundred bytes of a text that is no database at all, and "
                            "nobody would take it for one");
  assert_int_equal(try_open("shop"), SYNC_JOURNAL_CORRUPT);
}

static void the_second_owner_is_refused(void **state) {
  (void)state;
  struct sync_journal *second;
  open_stream("shop");
  assert_int_equal(sync_journal_open(&second, &memory.allocator, &config, SPAN("shop"), &failure), SYNC_JOURNAL_LOCKED);
  assert_null(second);
  begin();
  put_run(1, 1);
  commit();
}

/* ---- versions ---------------------------------------------------------------------------------------------------- */

static const char *const grown_steps[] = {
    "CREATE TABLE item (id TEXT); INSERT INTO item VALUES ('a')",
    "ALTER TABLE item ADD COLUMN size INTEGER NOT NULL DEFAULT 7",
    "INSERT INTO item VALUES ('b', 8)",
};
static const char *const broken_steps[] = {
    "CREATE TABLE item (id TEXT); INSERT INTO item VALUES ('a')",
    "ALTER TABLE item ADD COLUMN size INTEGER NOT NULL DEFAULT 7; INSERT INTO nothing VALUES (1)",
};

static sync_code climb(const char *const *steps, size_t count) {
  const struct sync_schema schema = {4711, steps, count};
  struct sync_database *database;
  assert_int_equal(sync_database_open(&database, &memory.allocator, config.path, SYNC_DURABILITY_NORMAL, &failure),
                   SYNC_OK);
  sync_code code = sync_schema_apply(&schema, database, config.path, &failure);
  sync_database_close(database);
  return code;
}

static void a_file_climbs_from_its_version_to_ours(void **state) {
  (void)state;
  for (size_t from = 1; from <= 3; from++) {
    assert_int_equal(climb(grown_steps, from), SYNC_OK);
    assert_int_equal(climb(grown_steps, from), SYNC_OK);
    check_by_hand(config.path, "PRAGMA user_version", from == 1 ? "1" : from == 2 ? "2" : "3");
  }
  check_by_hand(config.path, "SELECT group_concat(id || size) FROM item", "a7,b8");
  assert_int_equal(climb(grown_steps, 2), SYNC_JOURNAL_SCHEMA);
}

static void a_file_climbs_several_versions_at_once(void **state) {
  (void)state;
  assert_int_equal(climb(grown_steps, 1), SYNC_OK);
  assert_int_equal(climb(grown_steps, 3), SYNC_OK);
  check_by_hand(config.path, "SELECT group_concat(id || size) FROM item", "a7,b8");
}

static void a_step_that_fails_leaves_the_version_before(void **state) {
  (void)state;
  assert_int_equal(climb(broken_steps, 1), SYNC_OK);
  assert_int_not_equal(climb(broken_steps, 2), SYNC_OK);
  check_by_hand(config.path, "PRAGMA user_version", "1");
  check_by_hand(config.path, "SELECT sql FROM sqlite_schema", "CREATE TABLE item (id TEXT)");
}

/* Version 1, as it was released: whoever changes a table adds a step, and a journal of then opens still. */
static void a_journal_of_version_1_opens(void **state) {
  (void)state;
  struct sync_journal_stream stream;
  struct sync_journal_event event;
  run_by_hand(
      config.path,
      "CREATE TABLE stream (number INTEGER PRIMARY KEY, name TEXT NOT NULL UNIQUE, last_event_id TEXT,"
      " done_seq INTEGER NOT NULL DEFAULT 0, loaded INTEGER NOT NULL DEFAULT 0);"
      "CREATE TABLE event (seq INTEGER PRIMARY KEY, stream INTEGER NOT NULL, received_at_ms INTEGER NOT NULL, type "
      "TEXT,"
      " order_id TEXT, id TEXT, previous_stage TEXT, source TEXT NOT NULL, done INTEGER NOT NULL DEFAULT 0,"
      " acknowledged INTEGER NOT NULL DEFAULT 0, fingerprint INTEGER NOT NULL, bytes INTEGER NOT NULL, raw TEXT);"
      "CREATE TABLE effect (seq INTEGER NOT NULL, name TEXT NOT NULL, state TEXT NOT NULL, at_ms INTEGER NOT NULL,"
      " PRIMARY KEY (seq, name)) WITHOUT ROWID; CREATE INDEX effect_at ON effect (at_ms);"
      "CREATE TABLE dead_letter (number INTEGER PRIMARY KEY AUTOINCREMENT, stream INTEGER NOT NULL,"
      " seq INTEGER NOT NULL, failed_at_ms INTEGER NOT NULL, attempts INTEGER NOT NULL, problem TEXT,"
      " wanted INTEGER NOT NULL DEFAULT 0, received_at_ms INTEGER NOT NULL, type TEXT, order_id TEXT, id TEXT,"
      " previous_stage TEXT, source TEXT NOT NULL, acknowledged INTEGER NOT NULL DEFAULT 0,"
      " fingerprint INTEGER NOT NULL, raw TEXT);"
      "CREATE TABLE orders (stream INTEGER NOT NULL, id TEXT NOT NULL, changed INTEGER NOT NULL,"
      " as_of_ms INTEGER NOT NULL, source TEXT NOT NULL, silent INTEGER NOT NULL, whole_number INTEGER,"
      " whole_updated_ms INTEGER, whole_told_ms INTEGER, last_number INTEGER, last_updated_ms INTEGER,"
      " last_told_ms INTEGER, later INTEGER NOT NULL, json TEXT, PRIMARY KEY (stream, id));"
      "CREATE TABLE gap (stream INTEGER NOT NULL, number INTEGER NOT NULL, through INTEGER NOT NULL,"
      " reason TEXT NOT NULL, cure TEXT NOT NULL, missing INTEGER NOT NULL, opened_at_ms INTEGER NOT NULL,"
      " closed_at_ms INTEGER, after_id TEXT, before_id TEXT, order_id TEXT, detail TEXT,"
      " PRIMARY KEY (stream, number)) WITHOUT ROWID;"
      "CREATE TABLE total (stream INTEGER NOT NULL, name TEXT NOT NULL, value INTEGER NOT NULL,"
      " PRIMARY KEY (stream, name)) WITHOUT ROWID;"
      "INSERT INTO stream VALUES (3, 'shop', '41', 1, 1);"
      "INSERT INTO event VALUES (1, 3, 1000, 'stage_change', 'A', '40', 'open', 'stream', 0, 0, -1, 90, '{}'),"
      " (2, 3, 2000, 'stage_change', 'A', '41', NULL, 'poll', 0, 1, 5, 90, '{\"a\":1}');"
      "PRAGMA application_id = 1869767795; PRAGMA user_version = 1");
  open_stream("shop");
  assert_true(sync_journal_read_stream(journal, &stream));
  check_span(stream.last_event_id, "41");
  assert_int_equal(stream.last_seq, 2);
  assert_int_equal(stream.done_seq, 1);
  assert_true(stream.loaded);
  sync_journal_seek_undone(journal);
  assert_int_equal(sync_journal_next_event(journal, &event), SYNC_ROW);
  assert_int_equal(event.seq, 2);
  assert_int_equal(event.source, SYNC_SOURCE_POLL);
  assert_true(event.acknowledged);
  check_span(event.raw, "{\"a\":1}");
  sync_journal_end_events(journal);
  begin();
  put_run(3, 3);
  assert_true(sync_journal_put_effect(journal, 3, SPAN("print"), SYNC_EFFECT_DONE, 1));
  commit();
}

/* ---- read by people ---------------------------------------------------------------------------------------------- */

static void people_read_times_and_json(void **state) {
  (void)state;
  const struct sync_book_entry order = {.id = SPAN("A"),
                                        .json = SPAN("{\"orderID\":\"A\",\"totalAmount\":12.5}"),
                                        .as_of_ms = 1764151200250,
                                        .whole = sync_stamp_none,
                                        .last = sync_stamp_none};
  open_stream("shop");
  begin();
  assert_true(put(&(struct written){
      .seq = 1, .received_at_ms = 1764151200125, .type = SPAN("stage_change"), .raw = SPAN("{\"a\":{\"b\":\"c\"}}")}));
  assert_true(sync_journal_put_order(journal, &order));
  commit();
  check_by_hand(config.path, "SELECT received_at || ' ' || json_extract(raw, '$.a.b') || ' ' || done FROM event_log",
                "2025-11-26T10:00:00.125Z c 0");
  check_by_hand(config.path, "SELECT as_of || ' ' || json_extract(json, '$.totalAmount') FROM order_book",
                "2025-11-26T10:00:00.250Z 12.5");
  check_by_hand(config.path,
                "SELECT count(*) || coalesce(last_number, ' none') || coalesce(whole_told_ms, ' none')"
                " FROM orders",
                "1 none none");
  check_by_hand(config.path, "SELECT count(*) FROM open_gap", "0");
}

static void another_hand_is_noticed(void **state) {
  (void)state;
  open_stream("shop");
  assert_false(sync_journal_was_changed(journal));
  begin();
  put_run(1, 1);
  commit();
  assert_false(sync_journal_was_changed(journal));
  run_by_hand(config.path, "DELETE FROM event");
  assert_true(sync_journal_was_changed(journal));
  assert_false(sync_journal_was_changed(journal));
}

static void a_file_that_is_deleted_is_gone(void **state) {
  (void)state;
  open_stream("shop");
  assert_false(sync_journal_is_gone(journal));
  assert_int_equal(unlink(config.path), 0);
  assert_true(sync_journal_is_gone(journal));
}

/* Somebody has dropped a table while the journal was open. */
static void tables_that_are_not_there_are_told(void **state) {
  (void)state;
  open_stream("shop");
  run_by_hand(config.path, "DROP TABLE total");
  begin();
  assert_false(sync_journal_put_total(journal, "polls", 1));
  assert_false(put(&(struct written){.seq = 1})); /* nothing goes on in a transaction that has failed */
  assert_int_equal(sync_journal_failure(journal, &failure), SYNC_JOURNAL_SCHEMA);
  sync_journal_rollback(journal);
  begin();
  put_run(1, 1);
  commit();
  check_latest(9, "1");
}

/* ---- without memory ---------------------------------------------------------------------------------------------- */

static void without_memory_it_does_not_open_and_leaks_nothing(void **state) {
  (void)state;
  size_t refusals = 0;
  for (size_t nth = 1;; nth++, refusals++) {
    size_t live = memory.live;
    counting_alloc_refuse(&memory, nth, 1);
    sync_code code = try_open("shop");
    counting_alloc_allow(&memory);
    if (code == SYNC_OK) break;
    assert_int_equal(code, SYNC_NO_MEMORY);
    assert_int_equal(failure.code, SYNC_NO_MEMORY);
    assert_null(journal);
    assert_int_equal(memory.live, live);
  }
  assert_in_range(refusals, 10, 200);
}

static void without_memory_for_redaction_the_write_fails(void **state) {
  (void)state;
  static const char *const names[] = {"phone"};
  config.redact = names;
  config.redact_count = 1;
  open_stream("shop");
  sync_event *event = make_event(&(struct written){.seq = 1, .raw = SPAN("{\"phone\":1}")});
  begin();
  counting_alloc_refuse(&memory, 1, 1);
  assert_false(sync_journal_put_event(journal, event));
  counting_alloc_allow(&memory);
  assert_int_equal(sync_journal_failure(journal, &failure), SYNC_NO_MEMORY);
  sync_journal_rollback(journal);
  check_latest(9, "");
  begin();
  assert_true(sync_journal_put_event(journal, event));
  commit();
  sync_event_release(event);
  check_latest(9, "1");
}

static void without_memory_for_the_cursor_it_is_not_read(void **state) {
  (void)state;
  struct sync_journal_stream stream;
  open_stream("shop");
  begin();
  assert_true(sync_journal_write_stream(journal, &(struct sync_journal_stream){.last_event_id = SPAN("41")}));
  commit();
  counting_alloc_refuse(&memory, 1, 1);
  assert_false(sync_journal_read_stream(journal, &stream));
  counting_alloc_allow(&memory);
  assert_int_equal(sync_journal_failure(journal, &failure), SYNC_NO_MEMORY);
  assert_true(sync_journal_read_stream(journal, &stream));
  check_span(stream.last_event_id, "41");
}

#define TEST(name)   cmocka_unit_test_setup_teardown(name, set_up, tear_down)
#define CLOSED(name) cmocka_unit_test_setup_teardown(name, set_up_closed, tear_down)

int main(void) {
  static const struct CMUnitTest tests[] = {
      TEST(a_new_stream_is_empty),
      TEST(the_cursor_comes_back),
      TEST(streams_have_cursors_and_totals_of_their_own),
      TEST(totals_come_back),
      CLOSED(somebody_elses_tables_are_left_alone),
      CLOSED(somebody_elses_application_is_left_alone),
      CLOSED(somebody_elses_log_is_looked_into),
      CLOSED(a_later_version_is_left_alone),
      CLOSED(an_empty_file_becomes_a_journal),
      CLOSED(a_file_without_tables_becomes_a_journal),
      CLOSED(a_file_that_is_no_database_is_corrupt),
      CLOSED(the_second_owner_is_refused),
      CLOSED(a_file_climbs_from_its_version_to_ours),
      CLOSED(a_file_climbs_several_versions_at_once),
      CLOSED(a_step_that_fails_leaves_the_version_before),
      CLOSED(a_journal_of_version_1_opens),
      CLOSED(people_read_times_and_json),
      CLOSED(another_hand_is_noticed),
      CLOSED(a_file_that_is_deleted_is_gone),
      CLOSED(tables_that_are_not_there_are_told),
      CLOSED(without_memory_it_does_not_open_and_leaks_nothing),
      CLOSED(without_memory_for_redaction_the_write_fails),
      CLOSED(without_memory_for_the_cursor_it_is_not_read),
  };
  return cmocka_run_group_tests(tests, NULL, NULL);
}
