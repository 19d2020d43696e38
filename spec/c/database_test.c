/* database_test.c - SQLite as the journal sees it: statements, transactions, errors, the file. Bad disks have a test of
 * their own, database_fault_test.c. */
#include "database.h"

#include <fcntl.h>
#include <stdbool.h>
#include <sys/wait.h>

#include "counting_alloc.h"
#include "folder.h"
#include "spans.h"

static struct counting_alloc memory;
static struct sync_database *database;
static sync_failure failure;

static struct sync_database *open_again(enum sync_durability durability) {
  struct sync_database *opened;
  assert_int_equal(sync_database_open(&opened, &memory.allocator, folder_path("orders.db"), durability, &failure),
                   SYNC_OK);
  return opened;
}

static int set_up(void **state) {
  (void)state;
  counting_alloc_init(&memory);
  folder_make();
  database = open_again(SYNC_DURABILITY_NORMAL);
  assert_true(sync_database_run(database, "CREATE TABLE item (number INTEGER, text TEXT)"));
  return 0;
}

static int tear_down(void **state) {
  (void)state;
  sync_database_close(database);
  counting_alloc_check(&memory);
  folder_remove();
  return 0;
}

static struct sync_statement *prepared(const char *sql) {
  struct sync_statement *statement = sync_database_prepare(database, sql);
  assert_non_null(statement);
  return statement;
}

/* The number in the only row of a query. */
static int64_t number_of(struct sync_database *asked, const char *sql) {
  struct sync_statement *statement = sync_database_prepare(asked, sql);
  assert_non_null(statement);
  assert_int_equal(sync_statement_next(statement), SYNC_ROW);
  int64_t number = sync_statement_number(statement, 0);
  assert_int_equal(sync_statement_next(statement), SYNC_ROW_NONE);
  return number;
}

static void check_count(int64_t expected) {
  assert_int_equal(number_of(database, "SELECT count(*) FROM item"), expected);
}

static void check_failure(sync_code code, const char *words) {
  assert_int_equal(sync_database_failure(database, &failure), code);
  assert_int_equal(failure.code, code);
  assert_non_null(strstr(failure.message, words));
  assert_non_null(strstr(failure.message, folder_path("orders.db")));
}

static void put(struct sync_statement *insert, int64_t number, sync_span text) {
  sync_statement_bind_number(insert, 1, number);
  sync_statement_bind_text(insert, 2, text);
  assert_true(sync_statement_run(insert));
}

/* ---- statements -------------------------------------------------------------------------------------------------- */

static void what_was_bound_is_read_back(void **state) {
  (void)state;
  static const int64_t numbers[] = {INT64_MIN, -1, 0, 1, INT64_MAX};
  struct sync_statement *insert = prepared("INSERT INTO item VALUES (?1, ?2)");
  struct sync_statement *select = prepared("SELECT number, text FROM item ORDER BY number");
  for (size_t i = 0; i < COUNT_OF(numbers); i++) put(insert, numbers[i], SPAN("a\0b \xc3\xa9"));
  for (int round = 0; round < 2; round++) {
    for (size_t i = 0; i < COUNT_OF(numbers); i++) {
      assert_int_equal(sync_statement_next(select), SYNC_ROW);
      assert_true(sync_statement_number(select, 0) == numbers[i]);
      assert_int_equal(sync_statement_text(select, 1).length, 6);
      assert_memory_equal(sync_statement_text(select, 1).bytes, "a\0b \xc3\xa9", 6);
    }
    assert_int_equal(sync_statement_next(select), SYNC_ROW_NONE);
  }
}

static void no_text_is_null_and_reads_as_nothing(void **state) {
  (void)state;
  struct sync_statement *insert = prepared("INSERT INTO item VALUES (?1, ?2)");
  struct sync_statement *select = prepared("SELECT number, text FROM item");
  put(insert, 1, (sync_span){NULL, 0});
  put(insert, 2, SPAN(""));
  assert_true(sync_statement_run(insert)); /* nothing of the last run is bound any more */
  assert_int_equal(number_of(database, "SELECT count(*) FROM item WHERE text IS NULL"), 3);
  for (int64_t number = 1; number <= 3; number++) {
    assert_int_equal(sync_statement_next(select), SYNC_ROW);
    assert_int_equal(sync_statement_number(select, 0), number % 3);
    assert_int_equal(sync_statement_text(select, 1).length, 0);
  }
  sync_statement_reset(select);
  assert_int_equal(sync_statement_next(select), SYNC_ROW);
  assert_int_equal(sync_statement_number(select, 0), 1);
  sync_statement_reset(select);
}

static void a_bad_statement_fails_when_it_is_used_and_can_mend(void **state) {
  (void)state;
  struct sync_statement *insert = prepared("INSERT INTO later VALUES (?1)");
  sync_statement_bind_number(insert, 1, 7);
  assert_false(sync_statement_run(insert));
  check_failure(SYNC_JOURNAL_SCHEMA, "no such table: later");
  assert_int_equal(sync_statement_next(insert), SYNC_ROW_FAILED);
  assert_true(sync_database_run(database, "CREATE TABLE later (number INTEGER)"));
  sync_statement_bind_number(insert, 1, 7);
  assert_true(sync_statement_run(insert));
  assert_int_equal(number_of(database, "SELECT number FROM later"), 7);
}

static void a_place_that_is_not_there_fails_the_run(void **state) {
  (void)state;
  struct sync_statement *insert = prepared("INSERT INTO item (number) VALUES (?1)");
  sync_statement_bind_number(insert, 1, 1);
  sync_statement_bind_text(insert, 2, SPAN("nowhere"));
  assert_false(sync_statement_run(insert));
  check_count(0);
  sync_statement_bind_number(insert, 1, 1);
  assert_true(sync_statement_run(insert));
  check_count(1);
}

static void a_table_of_somebody_else_is_a_wrong_schema(void **state) {
  (void)state;
  assert_true(sync_database_run(database, "CREATE TABLE strict_item (number INTEGER NOT NULL CHECK (number > 0))"));
  assert_false(sync_database_run(database, "INSERT INTO strict_item VALUES (0)"));
  check_failure(SYNC_JOURNAL_SCHEMA, "CHECK constraint failed");
}

/* ---- transactions ------------------------------------------------------------------------------------------------ */

static void a_commit_keeps_and_a_rollback_does_not(void **state) {
  (void)state;
  struct sync_statement *insert = prepared("INSERT INTO item VALUES (?1, ?2)");
  assert_true(sync_database_begin(database));
  put(insert, 1, SPAN("kept"));
  assert_true(sync_database_commit(database));
  assert_true(sync_database_begin(database));
  put(insert, 2, SPAN("not kept"));
  sync_database_rollback(database);
  check_count(1);
  sync_database_rollback(database); /* there is none: nothing to do */
  assert_false(sync_database_commit(database));
}

static void closing_rolls_back(void **state) {
  (void)state;
  struct sync_statement *select = prepared("SELECT number FROM item");
  assert_true(sync_database_run(database, "INSERT INTO item VALUES (1, 'kept')"));
  assert_true(sync_database_begin(database));
  assert_true(sync_database_run(database, "INSERT INTO item VALUES (2, 'not kept')"));
  assert_int_equal(sync_statement_next(select), SYNC_ROW); /* in the middle of its rows */
  sync_database_close(database);
  database = open_again(SYNC_DURABILITY_NORMAL);
  check_count(1);
}

static void what_follows_a_failure_in_a_transaction_is_not_written(void **state) {
  (void)state;
  struct sync_statement *insert = prepared("INSERT INTO item VALUES (?1, ?2)");
  struct sync_statement *bad = prepared("INSERT INTO missing VALUES (1)");
  assert_true(sync_database_begin(database));
  put(insert, 1, SPAN("before"));
  assert_false(sync_statement_run(bad));
  assert_false(sync_statement_run(insert));
  assert_false(sync_database_run(database, "INSERT INTO item VALUES (2, 'after')"));
  assert_int_equal(sync_database_version(database), 0);
  assert_false(sync_database_commit(database));
  check_failure(SYNC_JOURNAL_SCHEMA, "no such table: missing");
  check_count(0);
  assert_true(sync_database_begin(database));
  put(insert, 3, SPAN("the next one"));
  assert_true(sync_database_commit(database));
  check_count(1);
}

static void transactions_do_not_nest(void **state) {
  (void)state;
  assert_true(sync_database_begin(database));
  assert_true(sync_database_run(database, "INSERT INTO item VALUES (1, '')"));
  assert_false(sync_database_begin(database));
  check_count(0); /* and the first one is over too */
  assert_true(sync_database_begin(database));
  assert_true(sync_database_commit(database));
}

/* ---- the file ---------------------------------------------------------------------------------------------------- */

static void it_logs_ahead_and_syncs_as_told(void **state) {
  (void)state;
  static const int64_t synchronous[] = {1, 2, 0}; /* PRAGMA synchronous of NORMAL, FULL and OFF */
  for (int durability = SYNC_DURABILITY_NORMAL; durability <= SYNC_DURABILITY_OFF; durability++) {
    struct sync_database *other = open_again((enum sync_durability)durability);
    struct sync_statement *mode = sync_database_prepare(other, "PRAGMA journal_mode");
    assert_int_equal(number_of(other, "PRAGMA synchronous"), synchronous[durability]);
    assert_int_equal(sync_statement_next(mode), SYNC_ROW);
    check_span(sync_statement_text(mode, 0), "wal");
    sync_database_close(other);
  }
  assert_true(folder_has("orders.db-wal"));
}

static void the_version_shows_what_others_wrote(void **state) {
  (void)state;
  struct sync_database *other = open_again(SYNC_DURABILITY_NORMAL);
  int64_t version = sync_database_version(database);
  assert_int_not_equal(version, 0);
  assert_true(sync_database_run(database, "INSERT INTO item VALUES (1, 'own')"));
  assert_int_equal(sync_database_version(database), version);
  assert_true(sync_database_run(other, "INSERT INTO item VALUES (2, 'of another')"));
  assert_int_not_equal(sync_database_version(database), version);
  sync_database_close(other);
}

static void a_file_that_is_deleted_or_replaced_is_gone(void **state) {
  (void)state;
  assert_false(sync_database_is_gone(database));
  assert_int_equal(rename(folder_path("orders.db"), folder_path("elsewhere.db")), 0);
  assert_true(sync_database_is_gone(database));
  folder_write("orders.db", "");
  assert_true(sync_database_is_gone(database));
  assert_int_equal(rename(folder_path("elsewhere.db"), folder_path("orders.db")), 0);
  assert_false(sync_database_is_gone(database));
  assert_int_equal(unlink(folder_path("orders.db")), 0);
  assert_true(sync_database_is_gone(database));
}

/* What went into the deleted log is not lost if the file is closed and opened again. */
static void a_log_that_is_deleted_is_gone(void **state) {
  (void)state;
  assert_int_equal(unlink(folder_path("orders.db-wal")), 0);
  assert_true(sync_database_is_gone(database));
  assert_true(sync_database_run(database, "INSERT INTO item VALUES (1, 'in the deleted log')"));
  sync_database_close(database);
  database = open_again(SYNC_DURABILITY_NORMAL);
  assert_false(sync_database_is_gone(database));
  check_count(1);
}

static void check_open(sync_code code, const char *name, const char *words) {
  struct sync_database *opened;
  assert_int_equal(sync_database_open(&opened, &memory.allocator, folder_path(name), SYNC_DURABILITY_NORMAL, &failure),
                   code);
  assert_null(opened);
  assert_int_equal(failure.code, code);
  if (!strstr(failure.message, words) || !strstr(failure.message, folder_path(name))) fail_msg("%s", failure.message);
  assert_int_equal(sync_database_open(&opened, &memory.allocator, folder_path(name), SYNC_DURABILITY_NORMAL, NULL),
                   code);
}

static void what_cannot_be_opened_says_why(void **state) {
  (void)state;
  folder_write("text.db", "This is a letter to somebody, and no database, though it is long enough to be taken for "
                          "one: longer than the hundred bytes of a header.");
  check_open(SYNC_JOURNAL_CORRUPT, "text.db", "file is not a database");
  check_open(SYNC_JOURNAL_IO, "no-such-folder/orders.db", "unable to open database file");
  check_open(SYNC_JOURNAL_IO, ".", "unable to open database file");
}

static void a_damaged_page_is_found_when_it_is_read(void **state) {
  (void)state;
  static const char junk[4096] = "junk";
  assert_true(sync_database_run(database, "INSERT INTO item VALUES (1, hex(randomblob(4000)))"));
  sync_database_close(database);
  int file = open(folder_path("orders.db"), O_WRONLY);
  for (off_t page = 1; page <= 3; page++)
    assert_int_equal(pwrite(file, junk, sizeof junk, page * (off_t)sizeof junk), sizeof junk);
  assert_int_equal(close(file), 0);
  database = open_again(SYNC_DURABILITY_NORMAL);
  assert_false(sync_statement_run(prepared("SELECT sum(length(text)) FROM item")));
  check_failure(SYNC_JOURNAL_CORRUPT, "database disk image is malformed");
}

/* Names that SQLite has other uses for are files here. */
static void every_name_is_a_file(void **state) {
  (void)state;
  static const char *const names[] = {":memory:", "file:named.db", "plain.db"};
  int before = open(".", O_RDONLY);
  assert_int_equal(chdir(folder_name), 0);
  for (size_t i = 0; i < COUNT_OF(names); i++) {
    struct sync_database *opened;
    assert_int_equal(sync_database_open(&opened, &memory.allocator, names[i], SYNC_DURABILITY_OFF, &failure), SYNC_OK);
    assert_true(folder_has(names[i]));
    sync_database_close(opened);
  }
  assert_int_equal(
      sync_database_open(&(struct sync_database *){NULL}, &memory.allocator, "", SYNC_DURABILITY_OFF, NULL),
      SYNC_JOURNAL_IO);
  assert_int_equal(fchdir(before), 0);
  assert_int_equal(close(before), 0);
}

/* ---- rights ------------------------------------------------------------------------------------------------------ */

/* Nothing is forbidden to root: be somebody else meanwhile. */
#define NOBODY 65534u

static void check_open_as_nobody(const char *name, const char *words) {
  bool root = geteuid() == 0;
  if (root) assert_int_equal(seteuid(NOBODY), 0);
  struct sync_database *opened;
  sync_code code = sync_database_open(&opened, &memory.allocator, folder_path(name), SYNC_DURABILITY_NORMAL, &failure);
  if (root) assert_int_equal(seteuid(0), 0);
  assert_int_equal(code, SYNC_JOURNAL_READ_ONLY);
  assert_null(opened);
  if (!strstr(failure.message, words)) fail_msg("%s", failure.message);
}

static void what_may_not_be_written_is_read_only(void **state) {
  (void)state;
  sync_database_close(database);
  database = NULL;
  assert_int_equal(mkdir(folder_path("folder"), 0777), 0);
  assert_int_equal(chmod(folder_name, 0755), 0);
  assert_int_equal(chmod(folder_path("orders.db"), 0444), 0);
  check_open_as_nobody("orders.db", "may not be written");
  assert_int_equal(chmod(folder_path("orders.db"), 0), 0);
  check_open_as_nobody("orders.db", "Permission denied");
  assert_int_equal(chmod(folder_path("folder"), 0555), 0);
  check_open_as_nobody("folder/new.db", "Permission denied");
  assert_int_equal(chmod(folder_path("orders.db"), 0666), 0);
  assert_int_equal(chmod(folder_name, 0555), 0); /* the file may be written, but no log beside it */
  check_open_as_nobody("orders.db", "attempt to write a readonly database");
  assert_int_equal(chmod(folder_name, 0755), 0);
  assert_int_equal(rmdir(folder_path("folder")), 0);
}

/* ---- forks ------------------------------------------------------------------------------------------------------- */

/* In a process of its own: opens, writes, forks, and dies. Its child then closes what it has inherited. */
static void die_with_a_child(int report) {
  int life[2];
  struct sync_database *own = open_again(SYNC_DURABILITY_NORMAL);
  bool written = sync_database_run(own, "INSERT INTO item VALUES (1, 'in the log')");
  if (!written || pipe(life) != 0 || fork() != 0) _exit(0);
  char byte;
  (void)close(life[1]);
  while (read(life[0], &byte, 1) > 0) continue;
  sync_database_close(own);
  byte = folder_has("orders.db-wal") ? 'y' : 'n';
  _exit(write(report, &byte, 1) == 1 ? 0 : 1);
}

/* The last connection that is closed moves the log into the file and deletes it. A child's copy is none. */
static void a_child_leaves_its_parents_file_alone(void **state) {
  (void)state;
  int report[2], status;
  char log_is_there = '?';
  sync_database_close(database);
  assert_int_equal(pipe(report), 0);
  pid_t child = fork();
  if (child == 0) die_with_a_child(report[1]);
  assert_int_equal(close(report[1]), 0);
  assert_int_equal(waitpid(child, &status, 0), child);
  assert_int_equal(read(report[0], &log_is_there, 1), 1);
  assert_int_equal(log_is_there, 'y');
  assert_int_equal(close(report[0]), 0);
  database = open_again(SYNC_DURABILITY_NORMAL);
  check_count(1);
}

/* ---- memory ------------------------------------------------------------------------------------------------------ */

static void without_memory_it_is_not_opened(void **state) {
  (void)state;
  struct sync_database *opened = NULL;
  size_t nth = 1;
  for (;; nth++) {
    size_t live = memory.live;
    counting_alloc_refuse(&memory, nth, 1);
    memory.refused = 0;
    sync_code code =
        sync_database_open(&opened, &memory.allocator, folder_path("orders.db"), SYNC_DURABILITY_NORMAL, &failure);
    counting_alloc_allow(&memory);
    if (memory.refused == 0) break;
    assert_int_equal(code, SYNC_NO_MEMORY);
    assert_int_equal(failure.code, SYNC_NO_MEMORY);
    assert_int_equal(memory.live, live);
  }
  assert_true(nth > 3);
  counting_alloc_refuse(&memory, 1, 1);
  assert_null(sync_database_prepare(opened, "SELECT 1"));
  counting_alloc_allow(&memory);
  sync_database_close(opened);
  sync_database_close(NULL);
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)

int main(void) {
  static const struct CMUnitTest tests[] = {
      TEST(what_was_bound_is_read_back),
      TEST(no_text_is_null_and_reads_as_nothing),
      TEST(a_bad_statement_fails_when_it_is_used_and_can_mend),
      TEST(a_place_that_is_not_there_fails_the_run),
      TEST(a_table_of_somebody_else_is_a_wrong_schema),
      TEST(a_commit_keeps_and_a_rollback_does_not),
      TEST(closing_rolls_back),
      TEST(what_follows_a_failure_in_a_transaction_is_not_written),
      TEST(transactions_do_not_nest),
      TEST(it_logs_ahead_and_syncs_as_told),
      TEST(the_version_shows_what_others_wrote),
      TEST(a_file_that_is_deleted_or_replaced_is_gone),
      TEST(a_log_that_is_deleted_is_gone),
      TEST(what_cannot_be_opened_says_why),
      TEST(a_damaged_page_is_found_when_it_is_read),
      TEST(every_name_is_a_file),
      TEST(what_may_not_be_written_is_read_only),
      TEST(a_child_leaves_its_parents_file_alone),
      TEST(without_memory_it_is_not_opened),
  };
  return cmocka_run_group_tests(tests, NULL, NULL);
}
