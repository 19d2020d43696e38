/* schema.c - the tables of a journal's file. */
#include "schema.h"

#include <stdio.h>

#include "error.h"

/* ---- version 1 --------------------------------------------------------------------------------------------------- */

/* Events are what most of the writing is: no index but their number, which grows with each, so that they are appended.
 * It counts through all streams of the file. What is long stands last, so that the rest is read without it. */
static const char version_1[] =
    "CREATE TABLE stream ("
    "  number INTEGER PRIMARY KEY,"
    "  name TEXT NOT NULL UNIQUE,"
    "  last_event_id TEXT,"
    "  done_seq INTEGER NOT NULL DEFAULT 0," /* all events up to it are done */
    "  loaded INTEGER NOT NULL DEFAULT 0"    /* a whole snapshot has been seen */
    ");"
    "CREATE TABLE event ("
    "  seq INTEGER PRIMARY KEY,"
    "  stream INTEGER NOT NULL,"
    "  received_at_ms INTEGER NOT NULL,"
    "  type TEXT,"
    "  order_id TEXT,"
    "  id TEXT," /* the server's */
    "  previous_stage TEXT,"
    "  source TEXT NOT NULL,"
    "  done INTEGER NOT NULL DEFAULT 0," /* before its turn: while its seq is above the stream's done_seq */
    "  acknowledged INTEGER NOT NULL DEFAULT 0,"
    "  fingerprint INTEGER NOT NULL,"
    "  bytes INTEGER NOT NULL," /* what the row counts for when there are too many */
    "  raw TEXT"
    ");"
    "CREATE TABLE effect ("
    "  seq INTEGER NOT NULL,"
    "  name TEXT NOT NULL,"
    "  state TEXT NOT NULL," /* started, done */
    "  at_ms INTEGER NOT NULL,"
    "  PRIMARY KEY (seq, name)"
    ") WITHOUT ROWID;"
    "CREATE INDEX effect_at ON effect (at_ms);"
    "CREATE TABLE dead_letter ("
    "  number INTEGER PRIMARY KEY AUTOINCREMENT,"
    "  stream INTEGER NOT NULL,"
    "  seq INTEGER NOT NULL,"
    "  failed_at_ms INTEGER NOT NULL,"
    "  attempts INTEGER NOT NULL,"
    "  problem TEXT,"
    "  wanted INTEGER NOT NULL DEFAULT 0," /* somebody wants it delivered again */
    "  received_at_ms INTEGER NOT NULL,"
    "  type TEXT,"
    "  order_id TEXT,"
    "  id TEXT,"
    "  previous_stage TEXT,"
    "  source TEXT NOT NULL,"
    "  acknowledged INTEGER NOT NULL DEFAULT 0,"
    "  fingerprint INTEGER NOT NULL,"
    "  raw TEXT"
    ");"
    "CREATE TABLE orders ("
    "  stream INTEGER NOT NULL,"
    "  id TEXT NOT NULL,"
    "  changed INTEGER NOT NULL," /* grows with every change of any order */
    "  as_of_ms INTEGER NOT NULL,"
    "  source TEXT NOT NULL,"
    "  silent INTEGER NOT NULL,"
    "  whole_number INTEGER," /* how new it is as a whole: its version, its own time, the time of the telling */
    "  whole_updated_ms INTEGER,"
    "  whole_told_ms INTEGER,"
    "  last_number INTEGER," /* and the newest of what is known of it */
    "  last_updated_ms INTEGER,"
    "  last_told_ms INTEGER,"
    "  later INTEGER NOT NULL," /* bits of members that are newer than the whole */
    "  json TEXT,"              /* none: it was deleted */
    "  PRIMARY KEY (stream, id)"
    ");"
    "CREATE TABLE gap ("
    "  stream INTEGER NOT NULL,"
    "  number INTEGER NOT NULL,"
    "  through INTEGER NOT NULL," /* it stands for those up to this one that are open, too */
    "  reason TEXT NOT NULL,"
    "  cure TEXT NOT NULL," /* open: none yet */
    "  missing INTEGER NOT NULL,"
    "  opened_at_ms INTEGER NOT NULL,"
    "  closed_at_ms INTEGER,"
    "  after_id TEXT,"
    "  before_id TEXT,"
    "  order_id TEXT,"
    "  detail TEXT,"
    "  PRIMARY KEY (stream, number)"
    ") WITHOUT ROWID;"
    "CREATE TABLE total ("
    "  stream INTEGER NOT NULL,"
    "  name TEXT NOT NULL,"
    "  value INTEGER NOT NULL,"
    "  PRIMARY KEY (stream, name)"
    ") WITHOUT ROWID;"
    "CREATE VIEW event_log AS"
    "  SELECT seq, name AS stream,"
    "         strftime('%Y-%m-%dT%H:%M:%fZ', received_at_ms / 1000.0, 'unixepoch') AS received_at,"
    "         type, order_id, id, source, done OR seq <= done_seq AS done, acknowledged, raw"
    "  FROM event JOIN stream ON number = stream ORDER BY seq;"
    "CREATE VIEW order_book AS"
    "  SELECT id, name AS stream,"
    "         strftime('%Y-%m-%dT%H:%M:%fZ', as_of_ms / 1000.0, 'unixepoch') AS as_of, source, json"
    "  FROM orders JOIN stream ON number = stream WHERE json IS NOT NULL ORDER BY changed DESC;"
    "CREATE VIEW open_gap AS"
    "  SELECT gap.number, name AS stream,"
    "         strftime('%Y-%m-%dT%H:%M:%fZ', opened_at_ms / 1000.0, 'unixepoch') AS opened_at,"
    "         reason, missing, after_id, before_id, order_id, detail"
    "  FROM gap JOIN stream ON stream.number = stream WHERE cure = 'open' ORDER BY opened_at_ms;";

static const char *const steps[] = {version_1};

/* "ords" in ASCII. */
const struct sync_schema sync_journal_schema = {0x6f726473, steps, sizeof steps / sizeof *steps};

/* ---- whose file it is, and of which version -----------------------------------------------------------------------
 */

/* SYNC_OK: it is ours, of a version that we know, or an empty one. */
static sync_code judge(const struct sync_schema *schema, const struct sync_database_imprint *imprint, const char *path,
                       sync_failure *failure) {
  bool empty = imprint->application_id == 0 && imprint->version == 0 && imprint->tables == 0;
  if (!empty && imprint->application_id != schema->application_id)
    return sync_failure_set(failure, SYNC_JOURNAL_SCHEMA, "is a database of another program: %s", path);
  if (imprint->version < 0 || (uint64_t)imprint->version > schema->count)
    return sync_failure_set(failure, SYNC_JOURNAL_SCHEMA, "is of version %lld, and the latest known is %zu: %s",
                            (long long)imprint->version, schema->count, path);
  return SYNC_OK;
}

sync_code sync_schema_look(const struct sync_schema *schema, const sync_allocator *alloc, const char *path,
                           sync_failure *failure) {
  struct sync_database_imprint imprint;
  if (sync_database_look(alloc, path, &imprint) != SYNC_OK)
    return sync_failure_set(failure, SYNC_NO_MEMORY, "no memory for the journal");
  return judge(schema, &imprint, path, failure);
}

static bool set_pragma(struct sync_database *database, const char *name, int64_t number) {
  char sql[64];
  (void)snprintf(sql, sizeof sql, "PRAGMA %s = %lld", name, (long long)number);
  return sync_database_run(database, sql);
}

/* From `version` up, in one transaction. false: it failed, and is rolled back. */
static bool climb(const struct sync_schema *schema, struct sync_database *database, size_t version) {
  bool done = sync_database_begin(database);
  for (size_t step = version; done && step < schema->count; step++)
    done = sync_database_run(database, schema->steps[step]);
  done = done && set_pragma(database, "application_id", schema->application_id) &&
         set_pragma(database, "user_version", (int64_t)schema->count) && sync_database_commit(database);
  if (!done) sync_database_rollback(database);
  return done;
}

sync_code sync_schema_apply(const struct sync_schema *schema, struct sync_database *database, const char *path,
                            sync_failure *failure) {
  struct sync_database_imprint imprint;
  if (!sync_database_imprint(database, &imprint)) return sync_database_failure(database, failure);
  sync_code code = judge(schema, &imprint, path, failure);
  size_t version = (size_t)imprint.version;
  if (code != SYNC_OK || version == schema->count) return code;
  return climb(schema, database, version) ? SYNC_OK : sync_database_failure(database, failure);
}
