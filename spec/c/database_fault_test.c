/*
 * database_fault_test.c - a transaction on a disk that fails, at every call that touches it, and in every way.
 *
 * The promise: the caller is told, by the right code; the file is as it was before; what a death at that moment leaves
 * is what was before or after; and once the disk is whole again the same transaction succeeds.
 */
#include "database.h"

#include <errno.h>
#include <stdbool.h>

#include "counting_alloc.h"
#include "faulty_vfs.h"
#include "folder.h"
#include "spans.h"

static struct counting_alloc memory;
static struct sync_database *database;
static sync_failure failure;

static struct sync_database *opened(const char *name, enum sync_durability durability) {
  struct sync_database *result;
  if (sync_database_open(&result, &memory.allocator, folder_path(name), durability, &failure) != SYNC_OK)
    fail_msg("%s", failure.message);
  return result;
}

/* ---- the transaction --------------------------------------------------------------------------------------------- */

#define ROWS 8

/* All rows replaced, of one number, with text enough to spread over pages. */
static bool replace_rows(struct sync_database *of, int64_t number) {
  static char text[3000];
  memset(text, 'a' + (int)(number % 26), sizeof text);
  struct sync_statement *insert = sync_database_prepare(of, "INSERT INTO item VALUES (?1, ?2)");
  bool done = sync_database_begin(of) && sync_database_run(of, "DELETE FROM item");
  for (int i = 0; done && i < ROWS; i++) {
    sync_statement_bind_number(insert, 1, number);
    sync_statement_bind_text(insert, 2, (sync_span){text, sizeof text});
    done = sync_statement_run(insert);
  }
  if (done) return sync_database_commit(of);
  sync_database_rollback(of);
  return false;
}

/* With a cache of so few pages that most are written before the commit, and a log that is soon moved into the file. */
static void make_table(void) {
  assert_true(sync_database_run(
      database,
      "CREATE TABLE item (number INTEGER, text TEXT); PRAGMA cache_size = 3; PRAGMA wal_autocheckpoint = 40"));
  assert_true(replace_rows(database, 0));
}

/* The number of all rows: they are whole, and so is the file. */
static int64_t number_in(struct sync_database *of) {
  struct sync_statement *check = sync_database_prepare(of, "PRAGMA integrity_check");
  struct sync_statement *sum = sync_database_prepare(
      of, "SELECT count(*), sum(length(text) = 3000 AND trim(text, char(97 + number % 26)) = ''), min(number),"
          " max(number) FROM item");
  assert_int_equal(sync_statement_next(check), SYNC_ROW);
  check_span(sync_statement_text(check, 0), "ok");
  sync_statement_reset(check);
  assert_int_equal(sync_statement_next(sum), SYNC_ROW);
  int64_t number = sync_statement_number(sum, 2);
  assert_int_equal(sync_statement_number(sum, 0), ROWS);
  assert_int_equal(sync_statement_number(sum, 1), ROWS);
  assert_int_equal(sync_statement_number(sum, 3), number);
  sync_statement_reset(sum);
  return number;
}

/* ---- every call ------------------------------------------------------------------------------------------------- */

struct fault {
  int result;
  int number;
  sync_code code;
};

static const struct fault faults[] = {
    {SQLITE_FULL, 0, SYNC_JOURNAL_FULL},
    {SQLITE_IOERR_WRITE, EIO, SYNC_JOURNAL_IO},
    {SQLITE_IOERR_WRITE, EDQUOT, SYNC_JOURNAL_FULL},
    {SQLITE_IOERR_FSYNC, ENOSPC, SYNC_JOURNAL_FULL},
    {SQLITE_IOERR_TRUNCATE, EROFS, SYNC_JOURNAL_READ_ONLY},
    {SQLITE_READONLY, 0, SYNC_JOURNAL_READ_ONLY},
    {SQLITE_CANTOPEN, EACCES, SYNC_JOURNAL_READ_ONLY},
    {SQLITE_CANTOPEN, EMFILE, SYNC_JOURNAL_IO},
    {SQLITE_IOERR_NOMEM, 0, SYNC_NO_MEMORY},
    {SQLITE_IOERR_CORRUPTFS, 0, SYNC_JOURNAL_CORRUPT},
};

/* Keeps what a death at the first refusal would leave. */
static void keep_remains(void) {
  if (faulty.refused > 1) return;
  folder_empty(folder_path("remains"));
  faulty_vfs_save(folder_path("remains"));
}

/* Whoever comes after a death there sees the transaction whole or not at all. */
static void check_remains(int64_t before, int64_t after) {
  faulty_vfs_allow();
  struct sync_database *found = opened("remains/orders.db", SYNC_DURABILITY_NORMAL);
  int64_t number = number_in(found);
  if (number != before && number != after) fail_msg("%d, not %d or %d", (int)number, (int)before, (int)after);
  sync_database_close(found);
}

/* One transaction with a disk that fails from the nth call on. false: it has fewer calls. A commit may be told as done
 * although one was refused: moving the log into the file is put off, that is all. */
static bool fail_from(size_t nth, size_t count, const struct fault *fault, int64_t *number) {
  faulty_vfs_refuse(FAULTY_CHANGES, nth, count, fault->result, fault->number);
  faulty.refusing = keep_remains;
  bool done = replace_rows(database, *number + 1);
  bool met = faulty.refused > 0;
  faulty_vfs_allow();
  assert_true(met || done);
  if (!done) {
    sync_code code = sync_database_failure(database, &failure);
    if (code != fault->code) fail_msg("%s: %s", sync_code_name(code), failure.message);
    assert_non_null(strstr(failure.message, folder_path("orders.db")));
  }
  if (met) check_remains(*number, *number + 1);
  assert_int_equal(number_in(database), *number + done);
  struct sync_database *other = opened("orders.db", SYNC_DURABILITY_NORMAL);
  assert_int_equal(number_in(other), *number + done);
  sync_database_close(other);
  assert_true(replace_rows(database, ++*number));
  assert_int_equal(number_in(database), *number);
  return met;
}

static void fail_everywhere(size_t count) {
  int64_t number = 0;
  make_table();
  for (size_t i = 0; i < COUNT_OF(faults); i++) {
    size_t nth = 1;
    while (fail_from(nth, count, &faults[i], &number)) nth++;
    assert_true(nth > ROWS);
  }
}

static int set_up(void **state) {
  (void)state;
  counting_alloc_init(&memory);
  folder_make();
  assert_int_equal(mkdir(folder_path("remains"), 0700), 0);
  faulty_vfs_install();
  database = opened("orders.db", SYNC_DURABILITY_FULL);
  return 0;
}

static int tear_down(void **state) {
  (void)state;
  faulty_vfs_allow();
  sync_database_close(database);
  faulty_vfs_remove();
  counting_alloc_check(&memory);
  folder_empty(folder_path("remains"));
  assert_int_equal(rmdir(folder_path("remains")), 0);
  folder_remove();
  return 0;
}

static void a_disk_that_fails_for_good_costs_the_transaction_and_no_more(void **state) {
  (void)state;
  fail_everywhere(SIZE_MAX);
}

static void a_disk_that_fails_once_costs_the_transaction_and_no_more(void **state) {
  (void)state;
  fail_everywhere(1);
}

/* ---- without write-ahead logging ------------------------------------------------------------------------------- */

/* On a file system that has no memory to share. */
static void reopen_without_wal(void) {
  sync_database_close(database);
  faulty.lacks_shared_memory = true;
  database = opened("orders.db", SYNC_DURABILITY_FULL);
}

static void check_mode(struct sync_database *of, const char *expected) {
  struct sync_statement *mode = sync_database_prepare(of, "PRAGMA journal_mode");
  assert_int_equal(sync_statement_next(mode), SYNC_ROW);
  check_span(sync_statement_text(mode, 0), expected);
  sync_statement_reset(mode);
}

static void a_file_system_without_shared_memory_gets_a_rollback_journal(void **state) {
  (void)state;
  sync_database_close(database);
  assert_int_equal(unlink(folder_path("orders.db")), 0);
  database = NULL;
  reopen_without_wal();
  check_mode(database, "delete");
  assert_false(sync_database_is_gone(database)); /* though it has no log */
  make_table();
  assert_true(replace_rows(database, 1));
  assert_int_equal(number_in(database), 1);
}

static void a_file_with_a_log_can_be_used_without_shared_memory(void **state) {
  (void)state;
  make_table();
  assert_true(replace_rows(database, 1));
  reopen_without_wal();
  check_mode(database, "delete");
  assert_int_equal(number_in(database), 1);
  faulty.lacks_shared_memory = false;
  sync_database_close(database);
  database = opened("orders.db", SYNC_DURABILITY_FULL);
  check_mode(database, "wal");
  assert_int_equal(number_in(database), 1);
}

static void a_rollback_journal_keeps_the_promise_too(void **state) {
  (void)state;
  reopen_without_wal();
  fail_everywhere(SIZE_MAX);
  check_mode(database, "delete");
}

/* ---- a full disk --------------------------------------------------------------------------------------------------
 */

static void a_full_disk_is_told_and_room_is_used_when_it_is_there(void **state) {
  (void)state;
  int64_t number = 0;
  make_table();
  for (sqlite3_int64 room = 1; room < 1000000; room += 3001) {
    faulty_vfs_limit(room);
    bool done = replace_rows(database, number + 1);
    faulty_vfs_allow();
    if (!done) assert_int_equal(sync_database_failure(database, &failure), SYNC_JOURNAL_FULL);
    assert_int_equal(number_in(database), number + done);
    number += done;
  }
  assert_true(number > 1);
}

/* ---- opening and closing ------------------------------------------------------------------------------------------
 */

/* Opening a file that is there, and one that is not, is refused at every call; then it works. */
static bool fail_to_open(const char *name, size_t nth, const struct fault *fault) {
  struct sync_database *result;
  faulty_vfs_refuse(FAULTY_CHANGES, nth, SIZE_MAX, fault->result, fault->number);
  sync_code code = sync_database_open(&result, &memory.allocator, folder_path(name), SYNC_DURABILITY_FULL, &failure);
  bool met = faulty.refused > 0;
  if (code == SYNC_OK) sync_database_close(result);
  faulty_vfs_allow();
  assert_true(met || code == SYNC_OK);
  if (code != SYNC_OK && code != fault->code) fail_msg("%s: %s", sync_code_name(code), failure.message);
  return met;
}

static void what_cannot_be_opened_now_can_be_opened_later(void **state) {
  (void)state;
  make_table();
  sync_database_close(database);
  for (size_t i = 0; i < COUNT_OF(faults); i++) {
    size_t nth = 1, calls = 1;
    while (fail_to_open("orders.db", nth, &faults[i])) nth++;
    assert_true(nth > 1);
    for (; fail_to_open("new.db", calls, &faults[i]); calls++) {
      sync_database_close(opened("new.db", SYNC_DURABILITY_FULL));
      assert_int_equal(unlink(folder_path("new.db")), 0);
    }
    assert_true(calls > nth);
    assert_int_equal(unlink(folder_path("new.db")), 0);
  }
  database = opened("orders.db", SYNC_DURABILITY_FULL);
  assert_int_equal(number_in(database), 0);
}

/* ---- somebody else's lock -----------------------------------------------------------------------------------------
 */

static struct sync_database *other;
static int waits;

static void count_sleep(void) {
  waits++;
}

static void let_go_after_a_while(void) {
  if (++waits == 3) sync_database_rollback(other);
}

static void a_lock_that_stays_is_told_and_one_that_goes_is_waited_for(void **state) {
  (void)state;
  make_table();
  other = opened("orders.db", SYNC_DURABILITY_NORMAL);
  assert_true(sync_database_begin(other));
  faulty.sleeping = count_sleep;
  waits = 0;
  assert_false(replace_rows(database, 1));
  assert_int_equal(sync_database_failure(database, &failure), SYNC_JOURNAL_LOCKED);
  assert_non_null(strstr(failure.message, "database is locked"));
  assert_true(waits > 3);
  faulty.sleeping = let_go_after_a_while;
  waits = 0;
  assert_true(replace_rows(database, 1));
  assert_int_equal(waits, 3);
  sync_database_close(other);
  assert_int_equal(number_in(database), 1);
}

/* Readers are not in the way of the writer, however long they stay. */
static void a_person_who_reads_is_in_nobodys_way(void **state) {
  (void)state;
  make_table();
  other = opened("orders.db", SYNC_DURABILITY_NORMAL);
  struct sync_statement *reading = sync_database_prepare(other, "SELECT number FROM item");
  assert_int_equal(sync_statement_next(reading), SYNC_ROW);
  faulty.sleeping = count_sleep;
  waits = 0;
  for (int64_t number = 1; number <= 200; number++) assert_true(replace_rows(database, number));
  for (int row = 1; row < ROWS; row++) {
    assert_int_equal(sync_statement_next(reading), SYNC_ROW);
    assert_int_equal(sync_statement_number(reading, 0), 0);
  }
  assert_int_equal(sync_statement_next(reading), SYNC_ROW_NONE);
  assert_int_equal(number_in(other), 200);
  assert_int_equal(waits, 0);
  sync_database_close(other);
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)

int main(void) {
  static const struct CMUnitTest tests[] = {
      TEST(a_disk_that_fails_for_good_costs_the_transaction_and_no_more),
      TEST(a_disk_that_fails_once_costs_the_transaction_and_no_more),
      TEST(a_file_system_without_shared_memory_gets_a_rollback_journal),
      TEST(a_file_with_a_log_can_be_used_without_shared_memory),
      TEST(a_rollback_journal_keeps_the_promise_too),
      TEST(a_full_disk_is_told_and_room_is_used_when_it_is_there),
      TEST(what_cannot_be_opened_now_can_be_opened_later),
      TEST(a_lock_that_stays_is_told_and_one_that_goes_is_waited_for),
      TEST(a_person_who_reads_is_in_nobodys_way),
  };
  return cmocka_run_group_tests(tests, NULL, NULL);
}
