/*
 * database.c - SQLite behind database.h: opening, errors with our codes, transactions, statements.
 *
 * A transaction in which anything has failed is spoilt: SQLite may have rolled it back by itself, and what is written
 * next would stand alone (https://www.sqlite.org/lang_transaction.html). So until its end nothing runs in it any more,
 * and it cannot be committed.
 */
#include "database.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <sqlite3.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "error.h"
#include "span.h"

/* How long somebody else, a person's sqlite3 shell say, may hold the file before it counts as locked: while it is being
 * opened; and later, when a host's handlers wait with us, and what is to be written can wait better than they. */
#define BUSY_OPENING_MS 3000
#define BUSY_WORKING_MS 200

/* What is kept of a write-ahead log that a long reader has let grow; a checkpoint comes every 4 MiB or so. */
#define SETTINGS "PRAGMA journal_size_limit = 8388608; PRAGMA trusted_schema = OFF"

/* A private cache and no mutexes: a connection belongs to one thread. */
#define OPEN_FLAGS                                                                                                     \
  (SQLITE_OPEN_READWRITE | SQLITE_OPEN_CREATE | SQLITE_OPEN_NOMUTEX | SQLITE_OPEN_PRIVATECACHE | SQLITE_OPEN_EXRESCODE)

struct sync_statement {
  struct sync_database *database;
  const char *sql;
  sqlite3_stmt *compiled; /* NULL: not used yet */
  bool failed;            /* to compile or to bind: the next run fails */
  struct sync_statement *next;
};

struct sync_database {
  const sync_allocator *alloc;
  char *path;
  sqlite3 *sqlite;
  pid_t pid; /* whoever opened it: a forked child must leave the connection alone */
  struct sync_statement *statements;
  struct sync_statement *begin, *commit, *version;
  bool logs_ahead; /* not so where the file system cannot */
  bool begun;
  bool spoilt;
  sync_failure failure;
};

/* ---- errors ------------------------------------------------------------------------------------------------------ */

sync_code sync_database_code(int number) {
  switch (number) {
  case ENOSPC:
  case EDQUOT:
  case EFBIG: return SYNC_JOURNAL_FULL;
  case EACCES:
  case EPERM:
  case EROFS: return SYNC_JOURNAL_READ_ONLY;
  case ENOMEM: return SYNC_NO_MEMORY;
  default: return SYNC_JOURNAL_IO;
  }
}

/* https://www.sqlite.org/rescode.html. `number`: the errno, if there is one. */
static sync_code code_of(int result, int number) {
  switch (result) {
  case SQLITE_IOERR_NOMEM: return SYNC_NO_MEMORY;
  case SQLITE_IOERR_CORRUPTFS: return SYNC_JOURNAL_CORRUPT;
  case SQLITE_READONLY_DBMOVED: return SYNC_JOURNAL_GONE;
  }
  switch (result & 0xff) {
  case SQLITE_NOMEM: return SYNC_NO_MEMORY;
  case SQLITE_FULL: return SYNC_JOURNAL_FULL;
  case SQLITE_PERM:
  case SQLITE_READONLY: return SYNC_JOURNAL_READ_ONLY;
  case SQLITE_CORRUPT:
  case SQLITE_NOTADB: return SYNC_JOURNAL_CORRUPT;
  case SQLITE_BUSY:
  case SQLITE_LOCKED:
  case SQLITE_PROTOCOL: return SYNC_JOURNAL_LOCKED;
  case SQLITE_ERROR: /* no such table, no such column */
  case SQLITE_CONSTRAINT:
  case SQLITE_MISMATCH: return SYNC_JOURNAL_SCHEMA;
  default: return sync_database_code(number);
  }
}

/* Why there is no file of this path: its folder's fault. SQLite's last word is that it could not be read either. */
static int errno_of_folder(const char *path) {
  char folder[PATH_MAX];
  const char *slash = strrchr(path, '/');
  if (!slash) slash = path = "./";
  int length = snprintf(folder, sizeof folder, "%.*s/", (int)(slash - path), path);
  if (length < 0 || (size_t)length >= sizeof folder) return ENAMETOOLONG;
  return faccessat(AT_FDCWD, folder, W_OK | X_OK, AT_EACCESS) == 0 ? ENOENT : errno;
}

/* What the operating system said, where it was asked; else 0. Every call of SQLite is made with errno 0: its own
 * sqlite3_system_errno() may be that of an earlier failure, when it was a commit that failed. */
static int errno_of(const struct sync_database *database, int result) {
  int number = errno, primary = result & 0xff;
  if (primary != SQLITE_IOERR && primary != SQLITE_CANTOPEN) return 0;
  return primary == SQLITE_CANTOPEN && number == ENOENT ? errno_of_folder(database->path) : number;
}

/* Keeps why a call failed, as SQLite says it; the path stands last, for it may be long. Gives false back. */
static bool fail(struct sync_database *database, int result) {
  sync_failure *failure = &database->failure;
  int number = errno_of(database, result);
  sync_failure_set(failure, code_of(result, number), "%s (SQLite %d",
                   database->sqlite ? sqlite3_errmsg(database->sqlite) : sqlite3_errstr(result), result);
  if (number) sync_failure_append(failure, ", %s", strerror(number));
  sync_failure_append(failure, "): %s", database->path);
  database->spoilt = database->begun;
  return false;
}

sync_code sync_database_failure(const struct sync_database *database, sync_failure *failure) {
  if (failure) *failure = database->failure;
  return database->failure.code;
}

/* ---- opening ----------------------------------------------------------------------------------------------------- */

/* The path as SQLite takes it for nothing but a file: "", ":memory:" and "file:..." mean something else to it. */
static char *copy_path(const sync_allocator *alloc, const char *path) {
  bool special = !*path || *path == ':' || strncmp(path, "file:", 5) == 0;
  size_t length = strlen(path);
  char *copy = sync_alloc_zeroed(alloc, length + 3);
  if (!copy) return NULL;
  if (special) memcpy(copy, "./", 2);
  memcpy(copy + (special ? 2 : 0), path, length);
  return copy;
}

/* A file that is made read-only is opened all the same, only not for writing. */
static bool open_file(struct sync_database *database) {
  errno = 0;
  int result = sqlite3_open_v2(database->path, &database->sqlite, OPEN_FLAGS, NULL);
  if (result == SQLITE_OK && sqlite3_db_readonly(database->sqlite, "main")) {
    sync_failure_set(&database->failure, SYNC_JOURNAL_READ_ONLY, "may not be written: %s", database->path);
    return false;
  }
  return result == SQLITE_OK || fail(database, result);
}

/* Opens the file and sets the connection up; other settings read the file, so how it is logged comes first. The
 * schema's version stands in the file's first page: reading it finds out a file that cannot be used. */
static bool connect(struct sync_database *database, enum sync_durability durability, const char *logging) {
  static const char *const synchronous[] = {
      [SYNC_DURABILITY_NORMAL] = "PRAGMA synchronous = NORMAL",
      [SYNC_DURABILITY_FULL] = "PRAGMA synchronous = FULL",
      [SYNC_DURABILITY_OFF] = "PRAGMA synchronous = OFF",
  };
  if (!open_file(database)) return false;
  (void)sqlite3_busy_timeout(database->sqlite, BUSY_OPENING_MS);
  bool ready = sync_database_run(database, logging) && sync_database_run(database, SETTINGS) &&
               sync_database_run(database, synchronous[durability]) &&
               sync_database_run(database, "PRAGMA schema_version");
  (void)sqlite3_busy_timeout(database->sqlite, BUSY_WORKING_MS);
  return ready;
}

/* Whether write-ahead logging has failed of the memory that its processes share, which some file systems do not have.
 */
static bool lacks_shared_memory(const struct sync_database *database) {
  if (database->failure.code != SYNC_JOURNAL_IO) return false;
  switch (sqlite3_extended_errcode(database->sqlite)) {
  case SQLITE_IOERR_SHMOPEN:
  case SQLITE_IOERR_SHMSIZE:
  case SQLITE_IOERR_SHMLOCK:
  case SQLITE_IOERR_SHMMAP: return true;
  default: return false;
  }
}

/* With a rollback journal. The file may say already that it has a write-ahead log, and then it can be read without
 * shared memory by one alone (https://www.sqlite.org/wal.html, section 8). */
static bool connect_without_wal(struct sync_database *database, enum sync_durability durability) {
  (void)sqlite3_close(database->sqlite);
  database->sqlite = NULL;
  return connect(database, durability,
                 "PRAGMA locking_mode = EXCLUSIVE; PRAGMA journal_mode = DELETE; PRAGMA locking_mode = NORMAL");
}

static bool set_up(struct sync_database *database, enum sync_durability durability) {
  if (connect(database, durability, "PRAGMA journal_mode = WAL")) return true;
  return lacks_shared_memory(database) && connect_without_wal(database, durability);
}

static bool has_log(const struct sync_database *database) {
  return access(sqlite3_filename_wal(sqlite3_db_filename(database->sqlite, "main")), F_OK) == 0;
}

/* false: no memory. */
static bool make_parts(struct sync_database *database, const char *path) {
  database->path = copy_path(database->alloc, path);
  database->begin = sync_database_prepare(database, "BEGIN IMMEDIATE");
  database->commit = sync_database_prepare(database, "COMMIT");
  database->version = sync_database_prepare(database, "PRAGMA data_version");
  return database->path && database->begin && database->commit && database->version;
}

sync_code sync_database_open(struct sync_database **database, const sync_allocator *alloc, const char *path,
                             enum sync_durability durability, sync_failure *failure) {
  struct sync_database *opened = sync_alloc_zeroed(alloc, sizeof *opened);
  *database = NULL;
  if (!opened) return sync_failure_set(failure, SYNC_NO_MEMORY, "no memory for the database %s", path);
  opened->alloc = alloc;
  opened->pid = getpid();
  sync_failure_set(&opened->failure, SYNC_NO_MEMORY, "no memory for the database %s", path);
  if (!make_parts(opened, path) || !set_up(opened, durability)) goto fail;
  opened->logs_ahead = has_log(opened);
  *database = opened;
  return SYNC_OK;

fail:;
  sync_code code = sync_database_failure(opened, failure);
  sync_database_close(opened);
  return code;
}

static void end_statements(struct sync_database *database) {
  while (database->statements) {
    struct sync_statement *statement = database->statements;
    database->statements = statement->next;
    if (database->pid == getpid()) (void)sqlite3_finalize(statement->compiled);
    sync_alloc_free(database->alloc, statement);
  }
}

/* A child that closed its copy of the connection would write to its parent's file: it leaves SQLite's part where it is
 * (https://www.sqlite.org/howtocorrupt.html, section 2.6). */
void sync_database_close(struct sync_database *database) {
  if (!database) return;
  end_statements(database);
  if (database->pid == getpid()) (void)sqlite3_close(database->sqlite);
  sync_alloc_free(database->alloc, database->path);
  sync_alloc_free(database->alloc, database);
}

/* ---- whose file it is -------------------------------------------------------------------------------------------- */

/* SQLITE_OK, or what went wrong. */
static int read_imprint(sqlite3 *sqlite, struct sync_database_imprint *imprint) {
  sqlite3_stmt *compiled;
  int result = sqlite3_prepare_v2(sqlite,
                                  "SELECT application_id, user_version, (SELECT count(*) FROM sqlite_schema)"
                                  " FROM pragma_application_id, pragma_user_version",
                                  -1, &compiled, NULL);
  if (result != SQLITE_OK) return result;
  if (sqlite3_step(compiled) == SQLITE_ROW) {
    imprint->application_id = sqlite3_column_int64(compiled, 0);
    imprint->version = sqlite3_column_int64(compiled, 1);
    imprint->tables = sqlite3_column_int64(compiled, 2);
  }
  return sqlite3_finalize(compiled);
}

/* By SQLite, even if it is but a few bytes of the header: whoever closes a file by himself gives up the locks that
 * SQLite has on it, in other hands of the same process (https://www.sqlite.org/howtocorrupt.html, section 2.2). */
sync_code sync_database_look(const sync_allocator *alloc, const char *path, struct sync_database_imprint *imprint) {
  sqlite3 *sqlite = NULL;
  char *name = copy_path(alloc, path);
  *imprint = (struct sync_database_imprint){0, 0, 0};
  if (!name) return SYNC_NO_MEMORY;
  if (sqlite3_open_v2(name, &sqlite, SQLITE_OPEN_READONLY | SQLITE_OPEN_NOMUTEX, NULL) == SQLITE_OK)
    (void)read_imprint(sqlite, imprint);
  (void)sqlite3_close(sqlite);
  sync_alloc_free(alloc, name);
  return SYNC_OK;
}

bool sync_database_imprint(struct sync_database *database, struct sync_database_imprint *imprint) {
  *imprint = (struct sync_database_imprint){0, 0, 0};
  int result = read_imprint(database->sqlite, imprint);
  return result == SQLITE_OK || fail(database, result);
}

/* ---- the file ---------------------------------------------------------------------------------------------------- */

/* A log that has been deleted counts too: what is written to it would die with this process. */
bool sync_database_is_gone(const struct sync_database *database) {
  int moved = 0;
  (void)sqlite3_file_control(database->sqlite, "main", SQLITE_FCNTL_HAS_MOVED, &moved);
  return moved || (database->logs_ahead && !has_log(database));
}

int64_t sync_database_version(struct sync_database *database) {
  struct sync_statement *statement = database->version;
  int64_t version = sync_statement_next(statement) == SYNC_ROW ? sync_statement_number(statement, 0) : 0;
  sync_statement_reset(statement);
  return version;
}

/* ---- transactions ------------------------------------------------------------------------------------------------ */

bool sync_database_run(struct sync_database *database, const char *sql) {
  if (database->spoilt) return false;
  errno = 0;
  int result = sqlite3_exec(database->sqlite, sql, NULL, NULL, NULL);
  return result == SQLITE_OK || fail(database, result);
}

/* With the right to write from the start: one that read first could not always get it later. */
bool sync_database_begin(struct sync_database *database) {
  bool begun = sync_statement_run(database->begin);
  if (!begun) sync_database_rollback(database);
  return database->begun = begun;
}

bool sync_database_commit(struct sync_database *database) {
  bool committed = sync_statement_run(database->commit);
  if (committed) database->begun = false;
  sync_database_rollback(database);
  return committed;
}

/* If it fails SQLite has forgotten the transaction all the same, and mends the file when it reads it next. */
void sync_database_rollback(struct sync_database *database) {
  if (!sqlite3_get_autocommit(database->sqlite)) (void)sqlite3_exec(database->sqlite, "ROLLBACK", NULL, NULL, NULL);
  database->begun = database->spoilt = false;
}

/* ---- statements -------------------------------------------------------------------------------------------------- */

struct sync_statement *sync_database_prepare(struct sync_database *database, const char *sql) {
  struct sync_statement *statement = sync_alloc_zeroed(database->alloc, sizeof *statement);
  if (!statement) return NULL;
  statement->database = database;
  statement->sql = sql;
  statement->next = database->statements;
  database->statements = statement;
  return statement;
}

/* Keeps that it failed for the next run; gives false back. */
static bool spoil(struct sync_statement *statement, int result) {
  statement->failed = true;
  return fail(statement->database, result);
}

/* Whether it is compiled, now if it was not. */
static bool is_ready(struct sync_statement *statement) {
  if (statement->compiled || statement->failed) return !statement->failed;
  errno = 0;
  int result = sqlite3_prepare_v3(statement->database->sqlite, statement->sql, -1, SQLITE_PREPARE_PERSISTENT,
                                  &statement->compiled, NULL);
  return result == SQLITE_OK || spoil(statement, result);
}

void sync_statement_bind_number(struct sync_statement *statement, int place, int64_t number) {
  if (!is_ready(statement)) return;
  int result = sqlite3_bind_int64(statement->compiled, place, number);
  if (result != SQLITE_OK) (void)spoil(statement, result);
}

void sync_statement_bind_text(struct sync_statement *statement, int place, sync_span text) {
  if (!is_ready(statement)) return;
  int result =
      text.length ? sqlite3_bind_text64(statement->compiled, place, text.bytes, text.length, SQLITE_STATIC, SQLITE_UTF8)
                  : sqlite3_bind_null(statement->compiled, place);
  if (result != SQLITE_OK) (void)spoil(statement, result);
}

static enum sync_row step(struct sync_statement *statement) {
  if (statement->database->spoilt || !is_ready(statement)) return SYNC_ROW_FAILED;
  errno = 0;
  int result = sqlite3_step(statement->compiled);
  if (result == SQLITE_ROW) return SYNC_ROW;
  if (result == SQLITE_DONE) return SYNC_ROW_NONE;
  (void)fail(statement->database, result);
  return SYNC_ROW_FAILED;
}

enum sync_row sync_statement_next(struct sync_statement *statement) {
  enum sync_row row = step(statement);
  if (row != SYNC_ROW) sync_statement_reset(statement);
  return row;
}

bool sync_statement_run(struct sync_statement *statement) {
  enum sync_row row = step(statement);
  sync_statement_reset(statement);
  return row != SYNC_ROW_FAILED;
}

int64_t sync_statement_number(const struct sync_statement *statement, int column) {
  return sqlite3_column_int64(statement->compiled, column);
}

/* The bytes are counted when it has been made a text, which they may not have been. */
sync_span sync_statement_text(const struct sync_statement *statement, int column) {
  const char *bytes = (const char *)sqlite3_column_text(statement->compiled, column);
  return (sync_span){bytes, bytes ? (size_t)sqlite3_column_bytes(statement->compiled, column) : 0};
}

/* What was bound is let go of: its bytes are the caller's, and may be gone. */
void sync_statement_reset(struct sync_statement *statement) {
  statement->failed = false;
  if (!statement->compiled) return;
  (void)sqlite3_reset(statement->compiled);
  (void)sqlite3_clear_bindings(statement->compiled);
}
