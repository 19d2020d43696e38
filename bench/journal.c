/*
 * journal.c - the journal alone: a loop of inserts through SQLite's C API, and src/journal.h with the same events.
 *
 *   journal GROUP SECONDS KEPT FOLDER
 *
 * The two take turns, a transaction of GROUP events each, so that whatever else the machine does hits both alike; each
 * has a file of its own in FOLDER, with the journal's tables, write-ahead log and `synchronous = NORMAL`. What goes
 * into the statements is made beforehand, from order events of 250 bytes as a stream brings them. The bare loop does
 * nothing but bind, step and reset; the journal also writes the cursor, counts what it has and looks at its bounds.
 *
 * KEPT is how many events a file may have, 0 for any number: else each file is filled first, and the bare loop throws
 * out with one DELETE a transaction as many as it brings. SECONDS are of the processor's time, both together. One line
 * of JSON comes out. In the end the rows of both files are compared, and a difference ends the program.
 */
#include <inttypes.h>
#include <sqlite3.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "journal.h"
#include "recent.h"
#include "span.h"
#include "wire.h"

#define EVENT_BYTES      250
#define EVENT_BYTES_MAX  (4u << 20) /* the module's default */
#define GROUP_MAX        10000
#define STREAM           "http://127.0.0.1/api/v1/sync/events"
#define RECEIVED_AT_MS   INT64_C(1795000000000)
#define WITHOUT_BOUND    (UINT64_C(1) << 60)
#define INSERTED_COLUMNS 11
#define WARM_EVENTS      20000 /* before it counts: both have gone once through their log and moved it to the file */

static void fail(const char *what, const char *why) {
  fprintf(stderr, "journal: %s: %s\n", what, why);
  exit(1);
}

/* ---- the events -------------------------------------------------------------------------------------------------- */

/* What the bare loop binds for an event. */
struct row {
  int64_t seq, received_at_ms, fingerprint, bytes;
  sync_span type, order_id, id, source, raw;
};

/* What both write in one transaction. */
struct group {
  size_t size, count; /* how many events it is to have, and has */
  uint64_t last_seq;  /* of all groups so far */
  sync_event *events[GROUP_MAX];
  struct row rows[GROUP_MAX];
};

struct source {
  struct bench_wire *wire;
  struct sync_sse sse;
  struct sync_event_names names;
  struct sync_segment_pool *pool;
  struct sync_segments segments;
};

static struct source source;
static struct group group;

static struct row row_of(const sync_event *event) {
  struct row row = {
      .seq = (int64_t)sync_event_seq(event),
      .received_at_ms = sync_event_received_at_ms(event),
      .fingerprint = (int64_t)sync_event_fingerprint(event),
      .type = sync_event_text(event, SYNC_EVENT_TYPE),
      .order_id = sync_event_text(event, SYNC_EVENT_ORDER_ID),
      .id = sync_event_text(event, SYNC_EVENT_ID),
      .source = sync_span_of(sync_source_name(sync_event_source(event))),
      .raw = sync_event_text(event, SYNC_EVENT_RAW),
  };
  row.bytes = (int64_t)(row.type.length + row.order_id.length + row.id.length + row.raw.length + 64);
  return row;
}

/* As the intake makes an event (src/intake.c). */
static bool on_message(void *arg, const struct sync_sse_message *message) {
  (void)arg;
  struct sync_envelope envelope;
  size_t at_byte;
  if (!sync_event_look(&source.names, SYNC_DECODE_ORDER, message, &envelope, &at_byte) ||
      !sync_event_check(&source.names, SYNC_DECODE_ORDER, message, &envelope, &at_byte))
    fail("an event", "bad JSON");
  envelope.source = SYNC_SOURCE_STREAM;
  envelope.fingerprint = sync_recent_fingerprint(message->id, message->type, message->data);
  sync_event *event = sync_event_new(&source.segments, message, &envelope, ++group.last_seq, RECEIVED_AT_MS);
  if (!event) fail("an event", "no memory");
  group.events[group.count] = event;
  group.rows[group.count++] = row_of(event);
  return true;
}

static void begin_source(void) {
  sync_options options;
  sync_options_init(&options);
  sync_event_names_init(&source.names, &options);
  sync_sse_init(&source.sse, &sync_alloc_standard, EVENT_BYTES_MAX);
  source.wire = bench_wire_new(&(struct bench_wire_shape){.size_bytes = EVENT_BYTES});
  source.pool = sync_segment_pool_new(&sync_alloc_standard);
  if (!source.wire || !source.pool) fail("the events", "no memory");
  sync_segments_init(&source.segments, source.pool);
}

static void empty_group(void) {
  while (group.count > 0) sync_event_release(group.events[--group.count]);
}

static void fill_group(void) {
  const struct sync_sse_sink sink = {.message = on_message};
  struct bench_account account = {0};
  empty_group();
  while (group.count < group.size) {
    size_t count = group.size - group.count, length, taken;
    if (count > bench_wire_capacity(source.wire)) count = bench_wire_capacity(source.wire);
    const char *bytes = bench_wire_render(source.wire, group.last_seq + 1, count, &account, &length);
    if (sync_sse_feed(&source.sse, bytes, length, &sink, &taken) != SYNC_OK) fail("the events", "no memory");
  }
}

static void end_source(void) {
  empty_group();
  sync_segments_fini(&source.segments);
  sync_segment_pool_free(source.pool);
  sync_sse_fini(&source.sse);
  bench_wire_free(source.wire);
}

/* ---- the journal ------------------------------------------------------------------------------------------------- */

struct paths {
  char journal[1024], bare[1024];
};

static struct sync_journal *open_journal(const char *path, uint64_t kept) {
  struct sync_journal *journal;
  sync_failure failure;
  const struct sync_journal_config config = {
      .path = path,
      .durability = SYNC_DURABILITY_NORMAL,
      .max_events = kept ? kept : WITHOUT_BOUND,
      .max_bytes = WITHOUT_BOUND,
      .max_age_ms = (int64_t)WITHOUT_BOUND,
      .max_dead = 1000,
  };
  if (sync_journal_open(&journal, &sync_alloc_standard, &config, sync_span_of(STREAM), &failure) != SYNC_OK)
    fail(path, failure.message);
  return journal;
}

/* What the keeper does for a batch (src/keeper.c); what the batch before brought has been done meanwhile. */
static void write_to_journal(struct sync_journal *journal) {
  bool written = sync_journal_begin(journal);
  for (size_t i = 0; written && i < group.count; i++) written = sync_journal_put_event(journal, group.events[i]);
  const struct sync_journal_stream stream = {
      .last_event_id = group.rows[group.count - 1].id,
      .done_seq = group.last_seq - group.count,
      .loaded = true,
  };
  if (written && sync_journal_write_stream(journal, &stream) && sync_journal_prune(journal, RECEIVED_AT_MS) &&
      sync_journal_commit(journal))
    return;
  sync_failure failure;
  (void)sync_journal_failure(journal, &failure);
  fail("the journal", failure.message);
}

/* ---- the bare loop ----------------------------------------------------------------------------------------------- */

struct bare {
  sqlite3 *sqlite;
  sqlite3_stmt *begin, *insert, *prune, *commit;
  uint64_t kept;
};

static void must(struct bare *bare, int result, int expected) {
  if (result != expected) fail("the bare loop", sqlite3_errmsg(bare->sqlite));
}

static sqlite3_stmt *prepare(struct bare *bare, const char *sql) {
  sqlite3_stmt *statement;
  must(bare, sqlite3_prepare_v3(bare->sqlite, sql, -1, SQLITE_PREPARE_PERSISTENT, &statement, NULL), SQLITE_OK);
  return statement;
}

/* The journal makes the tables, so that they are the same. */
static struct bare open_bare(const char *path, uint64_t kept) {
  struct bare bare = {.kept = kept};
  sync_journal_close(open_journal(path, kept));
  must(&bare, sqlite3_open_v2(path, &bare.sqlite, SQLITE_OPEN_READWRITE | SQLITE_OPEN_NOMUTEX, NULL), SQLITE_OK);
  must(&bare, sqlite3_exec(bare.sqlite, "PRAGMA journal_mode = WAL; PRAGMA synchronous = NORMAL", NULL, NULL, NULL),
       SQLITE_OK);
  bare.begin = prepare(&bare, "BEGIN IMMEDIATE");
  bare.commit = prepare(&bare, "COMMIT");
  bare.prune = prepare(&bare, "DELETE FROM event WHERE seq <= ?1");
  bare.insert =
      prepare(&bare, "INSERT INTO event (stream, seq, received_at_ms, type, order_id, id, previous_stage, source,"
                     " fingerprint, bytes, raw) VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10, ?11)");
  if (sqlite3_bind_parameter_count(bare.insert) != INSERTED_COLUMNS) fail("the bare loop", "other columns");
  return bare;
}

static void close_bare(struct bare *bare) {
  sqlite3_stmt *statements[] = {bare->begin, bare->insert, bare->prune, bare->commit};
  for (size_t i = 0; i < sizeof statements / sizeof *statements; i++) (void)sqlite3_finalize(statements[i]);
  must(bare, sqlite3_close(bare->sqlite), SQLITE_OK);
}

static void step(struct bare *bare, sqlite3_stmt *statement) {
  must(bare, sqlite3_step(statement), SQLITE_DONE);
  (void)sqlite3_reset(statement);
}

static void bind_text(sqlite3_stmt *statement, int place, sync_span text) {
  (void)sqlite3_bind_text(statement, place, text.bytes, (int)text.length, SQLITE_STATIC);
}

static void insert(struct bare *bare, const struct row *row) {
  sqlite3_stmt *statement = bare->insert;
  (void)sqlite3_bind_int64(statement, 1, 1);
  (void)sqlite3_bind_int64(statement, 2, row->seq);
  (void)sqlite3_bind_int64(statement, 3, row->received_at_ms);
  bind_text(statement, 4, row->type);
  bind_text(statement, 5, row->order_id);
  bind_text(statement, 6, row->id);
  (void)sqlite3_bind_null(statement, 7);
  bind_text(statement, 8, row->source);
  (void)sqlite3_bind_int64(statement, 9, row->fingerprint);
  (void)sqlite3_bind_int64(statement, 10, row->bytes);
  bind_text(statement, 11, row->raw);
  step(bare, statement);
}

static void write_barely(struct bare *bare) {
  step(bare, bare->begin);
  for (size_t i = 0; i < group.count; i++) insert(bare, &group.rows[i]);
  if (bare->kept && group.last_seq > bare->kept) {
    (void)sqlite3_bind_int64(bare->prune, 1, (int64_t)(group.last_seq - bare->kept));
    step(bare, bare->prune);
  }
  step(bare, bare->commit);
}

/* ---- whether both have the same ---------------------------------------------------------------------------------- */

static int64_t ask(struct bare *bare, const char *sql) {
  sqlite3_stmt *statement = prepare(bare, sql);
  must(bare, sqlite3_step(statement), SQLITE_ROW);
  int64_t answer = sqlite3_column_int64(statement, 0);
  (void)sqlite3_finalize(statement);
  return answer;
}

/* All rows, or of the bounded files those that the journal has kept, which throws out more at a time, and seldom. */
static void compare(const struct paths *paths, uint64_t kept) {
  struct bare bare = {0};
  char *attach = sqlite3_mprintf("ATTACH %Q AS other", paths->journal);
  must(&bare, sqlite3_open(paths->bare, &bare.sqlite), SQLITE_OK);
  must(&bare, sqlite3_exec(bare.sqlite, attach, NULL, NULL, NULL), SQLITE_OK);
  sqlite3_free(attach);
  int64_t ours = ask(&bare, "SELECT count(*) FROM other.event");
  int64_t same = ask(&bare, "SELECT count(*) FROM main.event AS a JOIN other.event AS b USING (seq) WHERE"
                            " a.stream = b.stream AND a.received_at_ms = b.received_at_ms AND a.type = b.type AND"
                            " a.order_id = b.order_id AND a.id = b.id AND a.previous_stage IS b.previous_stage AND"
                            " a.source = b.source AND a.fingerprint = b.fingerprint AND a.bytes = b.bytes AND"
                            " a.raw = b.raw AND a.done = b.done AND a.acknowledged = b.acknowledged");
  int64_t theirs = ask(&bare, "SELECT count(*) FROM main.event");
  int64_t all = (int64_t)(kept ? kept : group.last_seq), slack = (int64_t)(kept / 16);
  if (theirs != all || same != (ours < all ? ours : all)) fail("the files", "they differ");
  if (ours < all - slack || ours > all + (kept ? (int64_t)group.size : 0))
    fail("the journal", "other events than came");
  if (ask(&bare, "SELECT max(seq) FROM other.event") != (int64_t)group.last_seq)
    fail("the journal", "the last is gone");
  must(&bare, sqlite3_close(bare.sqlite), SQLITE_OK);
}

/* ---- measuring --------------------------------------------------------------------------------------------------- */

struct spent {
  uint64_t wall_ns, cpu_ns;
};

static struct spent clocks(void) {
  struct timespec cpu;
  clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &cpu);
  return (struct spent){bench_clock_ns(), (uint64_t)cpu.tv_sec * 1000000000u + (uint64_t)cpu.tv_nsec};
}

static void add_since(struct spent *sum, struct spent before) {
  struct spent now = clocks();
  sum->wall_ns += now.wall_ns - before.wall_ns;
  sum->cpu_ns += now.cpu_ns - before.cpu_ns;
}

/* A turn of each with the same events; which of them is first changes from turn to turn. */
static void write_group(struct sync_journal *journal, struct bare *bare, struct spent *journal_spent,
                        struct spent *bare_spent) {
  bool journal_first = group.last_seq / group.size % 2 == 0;
  fill_group();
  for (int turn = 0; turn < 2; turn++) {
    bool journals = (turn == 0) == journal_first;
    struct spent before = clocks();
    if (journals)
      write_to_journal(journal);
    else
      write_barely(bare);
    add_since(journals ? journal_spent : bare_spent, before);
  }
}

static void measure(struct sync_journal *journal, struct bare *bare, double seconds) {
  struct spent ours = {0, 0}, theirs = {0, 0}, ignored = {0, 0};
  while (group.last_seq < bare->kept + WARM_EVENTS) write_group(journal, bare, &ignored, &ignored);
  uint64_t first_seq = group.last_seq;
  while ((double)(ours.cpu_ns + theirs.cpu_ns) < seconds * 1e9) write_group(journal, bare, &ours, &theirs);
  printf("{\"events\":%" PRIu64 ",\"seconds\":%.6f,\"cpu_seconds\":%.6f,\"bare_seconds\":%.6f,"
         "\"bare_cpu_seconds\":%.6f}\n",
         group.last_seq - first_seq, (double)ours.wall_ns / 1e9, (double)ours.cpu_ns / 1e9,
         (double)theirs.wall_ns / 1e9, (double)theirs.cpu_ns / 1e9);
}

int main(int argc, char **argv) {
  if (argc != 5) fail("usage", "journal GROUP SECONDS KEPT FOLDER");
  struct paths paths;
  (void)snprintf(paths.journal, sizeof paths.journal, "%s/journal.db", argv[4]);
  (void)snprintf(paths.bare, sizeof paths.bare, "%s/bare.db", argv[4]);
  uint64_t kept = strtoull(argv[3], NULL, 10);
  group.size = strtoull(argv[1], NULL, 10);
  if (group.size < 1 || group.size > GROUP_MAX) fail("GROUP", "1 to 10000 events");
  begin_source();
  struct sync_journal *journal = open_journal(paths.journal, kept);
  struct bare bare = open_bare(paths.bare, kept);
  measure(journal, &bare, strtod(argv[2], NULL));
  close_bare(&bare);
  sync_journal_close(journal);
  compare(&paths, kept);
  end_source();
  return 0;
}
