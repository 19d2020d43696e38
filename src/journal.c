/* journal.c - a journal's file, its transactions, the stream, totals and the order book. Numbers of 64 bits without a
 * sign are stored as those with one that have the same bits. */
#include "journal.h"

#include "error.h"
#include "schema.h"
#include "span.h"
#include "store.h"

/* ---- statements -------------------------------------------------------------------------------------------------- */

/* SYNC_STAMP_NO_NUMBER, which is NULL in the file, as are times not known. */
#define NO_NUMBER "-9223372036854775808"

static const struct {
  enum sync_store_sql which;
  const char *text;
} texts[] = {
    {SYNC_SQL_STREAM_FIND, "SELECT number FROM stream WHERE name = ifnull(?1, '')"},
    {SYNC_SQL_STREAM_ADD, "INSERT INTO stream (name) VALUES (ifnull(?1, ''))"},
    {SYNC_SQL_STREAM_READ, "SELECT last_event_id, done_seq, loaded, done_seq > 0 OR EXISTS"
                           " (SELECT 1 FROM event WHERE stream = ?1) FROM stream WHERE number = ?1"},
    {SYNC_SQL_STREAM_WRITE, "UPDATE stream SET last_event_id = ?2, done_seq = max(done_seq, ?3), loaded = ?4"
                            " WHERE number = ?1"},
    {SYNC_SQL_TOTAL_PUT, "INSERT INTO total (stream, name, value) VALUES (?1, ifnull(?2, ''), ?3)"
                         " ON CONFLICT (stream, name) DO UPDATE SET value = excluded.value"},
    {SYNC_SQL_TOTAL_READ, "SELECT value FROM total WHERE stream = ?1 AND name = ifnull(?2, '')"},
    {SYNC_SQL_ORDER_PUT,
     "INSERT INTO orders (stream, id, changed, as_of_ms, source, silent, later, whole_number, whole_updated_ms,"
     " whole_told_ms, last_number, last_updated_ms, last_told_ms, json) VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7,"
     " nullif(?8, " NO_NUMBER "), nullif(?9, 0), nullif(?10, 0),"
     " nullif(?11, " NO_NUMBER "), nullif(?12, 0), nullif(?13, 0), ?14)"
     " ON CONFLICT (stream, id) DO UPDATE SET changed = excluded.changed, as_of_ms = excluded.as_of_ms,"
     " source = excluded.source, silent = excluded.silent, later = excluded.later,"
     " whole_number = excluded.whole_number, whole_updated_ms = excluded.whole_updated_ms,"
     " whole_told_ms = excluded.whole_told_ms, last_number = excluded.last_number,"
     " last_updated_ms = excluded.last_updated_ms, last_told_ms = excluded.last_told_ms, json = excluded.json"},
    {SYNC_SQL_ORDER_DROP, "DELETE FROM orders WHERE stream = ?1 AND id = ?2"},
    {SYNC_SQL_ORDER_WALK, "SELECT id, changed, as_of_ms, source, silent, later,"
                          " ifnull(whole_number, " NO_NUMBER "), whole_updated_ms, whole_told_ms,"
                          " ifnull(last_number, " NO_NUMBER "), last_updated_ms, last_told_ms, json"
                          " FROM orders WHERE stream = ?1 ORDER BY changed"},
};

bool sync_store_prepare(struct sync_journal *journal, enum sync_store_sql which, const char *sql) {
  journal->statements[which] = sync_database_prepare(journal->database, sql);
  return journal->statements[which] != NULL;
}

static bool prepare(struct sync_journal *journal) {
  for (size_t i = 0; i < sizeof texts / sizeof *texts; i++)
    if (!sync_store_prepare(journal, texts[i].which, texts[i].text)) return false;
  return sync_archive_prepare(journal) && sync_ledger_prepare(journal);
}

struct sync_statement *sync_store_statement(struct sync_journal *journal, enum sync_store_sql which) {
  struct sync_statement *statement = journal->statements[which];
  sync_statement_bind_number(statement, 1, journal->stream);
  return statement;
}

/* ---- opening ----------------------------------------------------------------------------------------------------- */

/* Finds the stream's number, or gives it one, which is on disk when this returns. false: it failed. */
static bool find_stream(struct sync_journal *journal, sync_span name) {
  struct sync_statement *find = journal->statements[SYNC_SQL_STREAM_FIND];
  for (int attempt = 0; attempt < 2; attempt++) {
    sync_statement_bind_text(find, 1, name);
    enum sync_row row = sync_statement_next(find);
    if (row == SYNC_ROW) journal->stream = sync_statement_number(find, 0);
    if (row == SYNC_ROW) sync_statement_reset(find);
    if (row != SYNC_ROW_NONE) return row == SYNC_ROW;
    sync_statement_bind_text(journal->statements[SYNC_SQL_STREAM_ADD], 1, name);
    if (!sync_statement_run(journal->statements[SYNC_SQL_STREAM_ADD])) return false;
  }
  return false;
}

static sync_code open_file(struct sync_journal *journal, sync_failure *failure) {
  const struct sync_journal_config *config = &journal->config;
  sync_code code = sync_schema_look(&sync_journal_schema, journal->alloc, config->path, failure);
  if (code == SYNC_OK) code = sync_ownership_take(&journal->ownership, journal->alloc, config->path, failure);
  if (code == SYNC_OK)
    code = sync_database_open(&journal->database, journal->alloc, config->path, config->durability, failure);
  if (code == SYNC_OK) code = sync_schema_apply(&sync_journal_schema, journal->database, config->path, failure);
  return code;
}

static sync_code take_up(struct sync_journal *journal, sync_span stream, sync_failure *failure) {
  if (!prepare(journal)) return sync_failure_set(failure, SYNC_NO_MEMORY, "no memory for the journal");
  if (!find_stream(journal, stream) || !sync_archive_count(journal))
    return sync_database_failure(journal->database, failure);
  journal->version = sync_database_version(journal->database);
  return SYNC_OK;
}

sync_code sync_journal_open(struct sync_journal **journal, const sync_allocator *alloc,
                            const struct sync_journal_config *config, sync_span stream, sync_failure *failure) {
  struct sync_journal *opened = sync_alloc_zeroed(alloc, sizeof *opened);
  *journal = NULL;
  if (!opened) return sync_failure_set(failure, SYNC_NO_MEMORY, "no memory for the journal");
  opened->alloc = alloc;
  opened->config = *config;
  opened->redact = (struct sync_redact){config->redact, config->redact_count};
  sync_buffer_init(&opened->text, alloc);
  sync_code code = open_file(opened, failure);
  if (code == SYNC_OK) code = take_up(opened, stream, failure);
  if (code == SYNC_OK)
    *journal = opened;
  else
    sync_journal_close(opened);
  return code;
}

void sync_journal_close(struct sync_journal *journal) {
  if (!journal) return;
  sync_database_close(journal->database);
  sync_ownership_free(journal->ownership);
  sync_buffer_fini(&journal->text);
  sync_alloc_free(journal->alloc, journal);
}

/* ---- the file ---------------------------------------------------------------------------------------------------- */

sync_code sync_journal_failure(const struct sync_journal *journal, sync_failure *failure) {
  if (journal->starved) return sync_failure_set(failure, SYNC_NO_MEMORY, "no memory for what the journal is to keep");
  return sync_database_failure(journal->database, failure);
}

bool sync_journal_is_gone(const struct sync_journal *journal) {
  return sync_database_is_gone(journal->database);
}

bool sync_journal_was_changed(struct sync_journal *journal) {
  int64_t version = sync_database_version(journal->database);
  if (version == 0 || version == journal->version) return false;
  journal->version = version;
  return true;
}

bool sync_journal_begin(struct sync_journal *journal) {
  journal->starved = false;
  journal->counts_before = journal->counts;
  return sync_database_begin(journal->database);
}

bool sync_journal_commit(struct sync_journal *journal) {
  if (sync_database_commit(journal->database)) return true;
  journal->counts = journal->counts_before;
  return false;
}

void sync_journal_rollback(struct sync_journal *journal) {
  sync_database_rollback(journal->database);
  journal->counts = journal->counts_before;
  journal->starved = false;
}

/* ---- what goes into it ------------------------------------------------------------------------------------------- */

bool sync_store_redact(struct sync_journal *journal, sync_span json, sync_span *stored) {
  *stored = json;
  if (journal->redact.count == 0 || json.length == 0) return true;
  sync_buffer_clear(&journal->text);
  journal->starved = !sync_redact_append(&journal->redact, json, &journal->text);
  *stored = sync_buffer_span(&journal->text);
  return !journal->starved;
}

sync_source sync_store_source(sync_span name) {
  for (sync_source source = SYNC_SOURCE_BACKFILL; source > SYNC_SOURCE_STREAM; source--)
    if (sync_span_is(name, sync_source_name(source))) return source;
  return SYNC_SOURCE_STREAM;
}

/* ---- the stream -------------------------------------------------------------------------------------------------- */

bool sync_journal_read_stream(struct sync_journal *journal, struct sync_journal_stream *stream) {
  struct sync_statement *statement = sync_store_statement(journal, SYNC_SQL_STREAM_READ);
  *stream = (struct sync_journal_stream){.last_seq = journal->counts.last_seq};
  journal->starved = false;
  enum sync_row row = sync_statement_next(statement);
  if (row != SYNC_ROW) return row == SYNC_ROW_NONE;
  sync_buffer_clear(&journal->text);
  journal->starved = !sync_buffer_append(&journal->text, sync_statement_text(statement, 0));
  stream->last_event_id = sync_buffer_span(&journal->text);
  stream->done_seq = (uint64_t)sync_statement_number(statement, 1);
  stream->loaded = sync_statement_number(statement, 2) != 0;
  stream->has_past = sync_statement_number(statement, 3) != 0;
  sync_statement_reset(statement);
  return !journal->starved;
}

bool sync_journal_write_stream(struct sync_journal *journal, const struct sync_journal_stream *stream) {
  struct sync_statement *statement = sync_store_statement(journal, SYNC_SQL_STREAM_WRITE);
  sync_statement_bind_text(statement, 2, stream->last_event_id);
  sync_statement_bind_number(statement, 3, (int64_t)stream->done_seq);
  sync_statement_bind_number(statement, 4, stream->loaded);
  if (!sync_statement_run(statement)) return false;
  if (journal->counts.done_seq < stream->done_seq) journal->counts.done_seq = stream->done_seq;
  return true;
}

/* ---- totals ------------------------------------------------------------------------------------------------------ */

bool sync_journal_put_total(struct sync_journal *journal, const char *name, uint64_t value) {
  struct sync_statement *statement = sync_store_statement(journal, SYNC_SQL_TOTAL_PUT);
  sync_statement_bind_text(statement, 2, sync_span_of(name));
  sync_statement_bind_number(statement, 3, (int64_t)value);
  return sync_statement_run(statement);
}

uint64_t sync_journal_total(struct sync_journal *journal, const char *name) {
  struct sync_statement *statement = sync_store_statement(journal, SYNC_SQL_TOTAL_READ);
  sync_statement_bind_text(statement, 2, sync_span_of(name));
  bool there = sync_statement_next(statement) == SYNC_ROW;
  uint64_t value = there ? (uint64_t)sync_statement_number(statement, 0) : 0;
  sync_statement_reset(statement);
  return value;
}

/* ---- the order book ---------------------------------------------------------------------------------------------- */

static void bind_stamp(struct sync_statement *statement, int place, const struct sync_stamp *stamp) {
  sync_statement_bind_number(statement, place, stamp->number);
  sync_statement_bind_number(statement, place + 1, stamp->updated_ms);
  sync_statement_bind_number(statement, place + 2, stamp->told_ms);
}

static struct sync_stamp read_stamp(const struct sync_statement *statement, int column) {
  return (struct sync_stamp){
      .number = sync_statement_number(statement, column),
      .updated_ms = sync_statement_number(statement, column + 1),
      .told_ms = sync_statement_number(statement, column + 2),
  };
}

bool sync_journal_put_order(struct sync_journal *journal, const struct sync_book_entry *entry) {
  struct sync_statement *statement = sync_store_statement(journal, SYNC_SQL_ORDER_PUT);
  sync_span json;
  if (!sync_store_redact(journal, entry->json, &json)) return false;
  sync_statement_bind_text(statement, 2, entry->id);
  sync_statement_bind_number(statement, 3, (int64_t)entry->changed);
  sync_statement_bind_number(statement, 4, entry->as_of_ms);
  sync_statement_bind_text(statement, 5, sync_span_of(sync_source_name(entry->source)));
  sync_statement_bind_number(statement, 6, entry->silent);
  sync_statement_bind_number(statement, 7, (int64_t)entry->later);
  bind_stamp(statement, 8, &entry->whole);
  bind_stamp(statement, 11, &entry->last);
  sync_statement_bind_text(statement, 14, json);
  return sync_statement_run(statement);
}

bool sync_journal_drop_order(struct sync_journal *journal, sync_span order_id) {
  struct sync_statement *statement = sync_store_statement(journal, SYNC_SQL_ORDER_DROP);
  sync_statement_bind_text(statement, 2, order_id);
  return sync_statement_run(statement);
}

void sync_journal_seek_orders(struct sync_journal *journal) {
  sync_journal_end_orders(journal);
  (void)sync_store_statement(journal, SYNC_SQL_ORDER_WALK);
}

enum sync_row sync_journal_next_order(struct sync_journal *journal, struct sync_book_entry *entry) {
  const struct sync_statement *row = journal->statements[SYNC_SQL_ORDER_WALK];
  enum sync_row next = sync_statement_next(journal->statements[SYNC_SQL_ORDER_WALK]);
  if (next != SYNC_ROW) return next;
  *entry = (struct sync_book_entry){
      .id = sync_statement_text(row, 0),
      .changed = (uint64_t)sync_statement_number(row, 1),
      .as_of_ms = sync_statement_number(row, 2),
      .source = sync_store_source(sync_statement_text(row, 3)),
      .silent = sync_statement_number(row, 4) != 0,
      .later = (uint64_t)sync_statement_number(row, 5),
      .whole = read_stamp(row, 6),
      .last = read_stamp(row, 9),
      .json = sync_statement_text(row, 12),
  };
  return SYNC_ROW;
}

void sync_journal_end_orders(struct sync_journal *journal) {
  sync_statement_reset(journal->statements[SYNC_SQL_ORDER_WALK]);
}
