/*
 * letters.c - the dead letters of a journal, for whoever has no client: reads them, and says which are to be delivered
 * again or forgotten. A client that has the journal open sees that by itself; that is why this one takes no ownership
 * of the file, and why it neither makes one nor brings one up to date.
 */
#include <unistd.h>

#include "database.h"
#include "error.h"
#include "schema.h"
#include "span.h"

struct sync_letters {
  const sync_allocator *alloc;
  char *path;
  struct sync_database *database;
  struct sync_statement *read, *count, *want, *forget;
};

/* Of all streams that the file has seen. */
#define READ                                                                                                           \
  "SELECT dead_letter.number, seq, id, type, order_id, raw, problem, attempts, failed_at_ms, wanted, name"             \
  " FROM dead_letter JOIN stream ON stream.number = stream WHERE dead_letter.number >= ?1"                             \
  " ORDER BY dead_letter.number LIMIT 1"
#define COUNT  "SELECT count(*) FROM dead_letter WHERE ?1 IN (0, number)"
#define WANT   "UPDATE dead_letter SET wanted = 1 WHERE ?1 IN (0, number)"
#define FORGET "DELETE FROM dead_letter WHERE ?1 IN (0, number)"

/* ---- opening ----------------------------------------------------------------------------------------------------- */

/* Whether the file is a journal of our version: one of another version may be open in a program of that version. What
 * cannot be read looks like an empty file here, and to open it says why. */
static sync_code check_file(const sync_allocator *alloc, const char *path, sync_failure *failure) {
  const struct sync_schema *schema = &sync_journal_schema;
  struct sync_database_imprint imprint;
  if (access(path, F_OK) != 0) return sync_failure_set(failure, SYNC_NO_JOURNAL, "there is no such file: %s", path);
  if (sync_database_look(alloc, path, &imprint) != SYNC_OK)
    return sync_failure_set(failure, SYNC_NO_MEMORY, "no memory for the journal");
  bool ours = imprint.application_id == schema->application_id && imprint.version == (int64_t)schema->count;
  if (ours || (imprint.application_id == 0 && imprint.version == 0 && imprint.tables == 0)) return SYNC_OK;
  return sync_failure_set(failure, SYNC_JOURNAL_SCHEMA, "is no journal of this version: %s", path);
}

static sync_code open_file(struct sync_letters *letters, sync_failure *failure) {
  sync_code code = check_file(letters->alloc, letters->path, failure);
  if (code != SYNC_OK) return code;
  code = sync_database_open(&letters->database, letters->alloc, letters->path, SYNC_DURABILITY_NORMAL, failure);
  if (code != SYNC_OK) return code;
  letters->read = sync_database_prepare(letters->database, READ);
  letters->count = sync_database_prepare(letters->database, COUNT);
  letters->want = sync_database_prepare(letters->database, WANT);
  letters->forget = sync_database_prepare(letters->database, FORGET);
  if (letters->read && letters->count && letters->want && letters->forget) return SYNC_OK;
  return sync_failure_set(failure, SYNC_NO_MEMORY, "no memory for the journal");
}

sync_code sync_letters_open(sync_letters **letters, const sync_allocator *alloc, const char *path,
                            sync_failure *failure) {
  sync_code code = SYNC_NO_MEMORY;
  if (!alloc) alloc = &sync_alloc_standard;
  *letters = sync_alloc_zeroed(alloc, sizeof **letters);
  if (!*letters) return sync_failure_set(failure, code, "no memory for the journal");
  (*letters)->alloc = alloc;
  (*letters)->path = sync_alloc_text(alloc, sync_span_of(path));
  if ((*letters)->path)
    code = open_file(*letters, failure);
  else
    sync_failure_set(failure, code, "no memory for the journal");
  if (code == SYNC_OK) return SYNC_OK;
  sync_letters_close(*letters);
  *letters = NULL;
  return code;
}

void sync_letters_close(sync_letters *letters) {
  if (!letters) return;
  sync_database_close(letters->database);
  sync_alloc_free(letters->alloc, letters->path);
  sync_alloc_free(letters->alloc, letters);
}

/* ---- reading ----------------------------------------------------------------------------------------------------- */

sync_code sync_letters_next(sync_letters *letters, uint64_t *next, sync_dead_letter *letter, sync_span *stream,
                            sync_failure *failure) {
  struct sync_statement *row = letters->read;
  sync_statement_reset(row);
  sync_statement_bind_number(row, 1, (int64_t)*next);
  enum sync_row found = sync_statement_next(row);
  *letter = (sync_dead_letter){.number = 0};
  if (found == SYNC_ROW_FAILED) return sync_database_failure(letters->database, failure);
  if (found == SYNC_ROW_NONE) return SYNC_OK;
  *letter = (sync_dead_letter){
      .number = (uint64_t)sync_statement_number(row, 0),
      .seq = (uint64_t)sync_statement_number(row, 1),
      .id = sync_statement_text(row, 2),
      .type = sync_statement_text(row, 3),
      .order_id = sync_statement_text(row, 4),
      .raw = sync_statement_text(row, 5),
      .problem = sync_statement_text(row, 6),
      .attempts = sync_statement_number(row, 7),
      .failed_at_ms = sync_statement_number(row, 8),
      .wanted = sync_statement_number(row, 9) != 0,
  };
  *stream = sync_statement_text(row, 10);
  *next = letter->number + 1;
  return SYNC_OK;
}

/* ---- writing ----------------------------------------------------------------------------------------------------- */

static bool count_letters(struct sync_letters *letters, uint64_t number, uint64_t *count) {
  sync_statement_bind_number(letters->count, 1, (int64_t)number);
  if (sync_statement_next(letters->count) != SYNC_ROW) return false;
  *count = (uint64_t)sync_statement_number(letters->count, 0);
  sync_statement_reset(letters->count);
  return true;
}

/* `change` for this one, or all; how many there were. */
static sync_code change_letters(struct sync_letters *letters, struct sync_statement *change, uint64_t number,
                                uint64_t *count, sync_failure *failure) {
  struct sync_database *database = letters->database;
  sync_statement_reset(letters->read);
  if (!sync_database_begin(database)) return sync_database_failure(database, failure);
  bool changed = count_letters(letters, number, count);
  if (changed) sync_statement_bind_number(change, 1, (int64_t)number);
  if (changed && sync_statement_run(change) && sync_database_commit(database)) return SYNC_OK;
  sync_code code = sync_database_failure(database, failure);
  sync_database_rollback(database);
  return code;
}

sync_code sync_letters_redeliver(sync_letters *letters, uint64_t number, uint64_t *count, sync_failure *failure) {
  return change_letters(letters, letters->want, number, count, failure);
}

sync_code sync_letters_forget(sync_letters *letters, uint64_t number, uint64_t *count, sync_failure *failure) {
  return change_letters(letters, letters->forget, number, count, failure);
}
