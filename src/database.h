/*
 * database.h - SQLite, as much of it as a journal wants: one file, one writer, prepared statements, and errors with our
 * codes. The only header through which anybody sees SQLite; database.c alone includes sqlite3.h.
 *
 * SQLite allocates for itself: its allocator is the process's, and a host may use SQLite too.
 */
#ifndef SYNC_DATABASE_H
#define SYNC_DATABASE_H

#include "alloc.h"

struct sync_database;
struct sync_statement;

/* Opens the file called `path`, or makes it, in WAL mode; `durability` is its
 * PRAGMA synchronous (https://www.sqlite.org/pragma.html#pragma_synchronous). SYNC_OK, SYNC_NO_MEMORY,
 * SYNC_JOURNAL_FULL, SYNC_JOURNAL_READ_ONLY, SYNC_JOURNAL_CORRUPT, SYNC_JOURNAL_LOCKED or SYNC_JOURNAL_IO, and
 * `failure` says why. */
sync_code sync_database_open(struct sync_database **database, const sync_allocator *alloc, const char *path,
                             sync_durability durability, sync_failure *failure);

/* What a file says of itself: whose it is and of which version (PRAGMA application_id, user_version), and how many
 * tables, indices and views it has. */
struct sync_database_imprint {
  int64_t application_id;
  int64_t version;
  int64_t tables;
};

/* Reads it from the file called `path` and changes nothing there, whereas sync_database_open() sets a file up for
 * write-ahead logging, which shows in its header. Zeros: it cannot be read; to open it says why. SYNC_OK,
 * SYNC_NO_MEMORY. */
sync_code sync_database_look(const sync_allocator *alloc, const char *path, struct sync_database_imprint *imprint);

/* The same of the file that is open. false: it failed. */
bool sync_database_imprint(struct sync_database *database, struct sync_database_imprint *imprint);

/* What it means that the operating system refused a file with this errno: one of the codes above. */
sync_code sync_database_code(int number);

/* Ends its statements too; a transaction that is open is rolled back. NULL is fine. */
void sync_database_close(struct sync_database *database);

/* What the last call that failed failed of, as above; or SYNC_JOURNAL_SCHEMA: the tables are not what the statement
 * takes them for; SYNC_JOURNAL_GONE: the file has been moved. `failure` names the file and has SQLite's own words. */
sync_code sync_database_failure(const struct sync_database *database, sync_failure *failure);

/* Whether somebody has deleted or replaced the file that is open, or deleted the write-ahead log beside it. Closing it
 * still saves what it has, to the file it was. */
bool sync_database_is_gone(const struct sync_database *database);

/* Changes whenever another connection has changed the file (PRAGMA data_version); 0: it could not be read. */
int64_t sync_database_version(struct sync_database *database);

/* Runs statements that give no rows, one after the other. false: one failed. */
bool sync_database_run(struct sync_database *database, const char *sql);

/* Transactions; not nested. false: it failed, and there is none any more. A rollback cannot fail. When anything fails
 * in one, all that follows fails for the same reason, the commit too. */
bool sync_database_begin(struct sync_database *database);
bool sync_database_commit(struct sync_database *database);
void sync_database_rollback(struct sync_database *database);

/* A statement of `sql`, whose text must outlive it; the database owns it, and makes it when it is first used: one that
 * is bad fails then. NULL: no memory. */
struct sync_statement *sync_database_prepare(struct sync_database *database, const char *sql);

/* Parameters count from 1; a text must stay as it is until the statement is reset. The empty text is stored as NULL. */
void sync_statement_bind_number(struct sync_statement *statement, int place, int64_t number);
void sync_statement_bind_text(struct sync_statement *statement, int place, sync_span text);

/* Runs a statement without rows and makes it ready to be bound again. false: it failed. */
bool sync_statement_run(struct sync_statement *statement);

enum sync_row { SYNC_ROW, SYNC_ROW_NONE, SYNC_ROW_FAILED };

/* The next row. After anything but SYNC_ROW the statement is ready to be bound again. */
enum sync_row sync_statement_next(struct sync_statement *statement);

/* Of the row; columns count from 0. NULL is 0, and the empty text. A text is valid until the next row. */
int64_t sync_statement_number(const struct sync_statement *statement, int column);
sync_span sync_statement_text(const struct sync_statement *statement, int column);

/* No more of its rows are wanted. */
void sync_statement_reset(struct sync_statement *statement);

#endif
