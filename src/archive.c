/* archive.c - the events of a journal: stored, found, marked, thrown out.
 *
 * How many there are and how many bytes is counted along, so that throwing out costs nothing as long as there are not
 * too many. Events that become done in their turn are counted as such some hundreds at a time, and never again. */
#include "error.h"
#include "span.h"
#include "store.h"

/* When there are too many, a sixteenth more goes than must, so that the next ones go after a while and together. Age is
 * looked at as seldom: events grow older than they may by that much. */
#define SLACK 16u

/* So many go with one commit, and twice as many as it brings: a host that has a millisecond for us a turn does not wait
 * for a sixteenth of all there is. The next commits go on. */
#define PRUNED_MOST 500u

/* So many are counted together as done, for the same reason; fewer when it matters. */
#define UNCOUNTED_MOST 500u

/* What a row takes beside its texts. */
#define ROW_BYTES 64u

#define IS_DONE "(event.done OR event.seq <= (SELECT done_seq FROM stream WHERE number = event.stream))"

static const struct {
  enum sync_store_sql which;
  const char *text;
} texts[] = {
    {SYNC_SQL_EVENT_PUT, "INSERT INTO event (stream, seq, received_at_ms, type, order_id, id, previous_stage, source,"
                         " fingerprint, bytes, raw) VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10, ?11)"},
    {SYNC_SQL_EVENT_DROP, "DELETE FROM event WHERE seq = ?1 RETURNING bytes"},
    {SYNC_SQL_EVENT_DONE, "UPDATE event SET done = 1 WHERE seq = ?1 AND NOT " IS_DONE " RETURNING bytes"},
    {SYNC_SQL_EVENT_ACKNOWLEDGED, "UPDATE event SET acknowledged = 1 WHERE seq = ?1"},
    {SYNC_SQL_EVENT_LATEST,
     "SELECT " SYNC_STORE_EVENT ", " IS_DONE " FROM event WHERE stream = ?1 AND seq >= ifnull((SELECT"
     " min(seq) FROM (SELECT seq FROM event WHERE stream = ?1 ORDER BY seq DESC LIMIT ?2)),"
     " 9223372036854775807) ORDER BY seq"},
    {SYNC_SQL_EVENT_UNDONE,
     "SELECT " SYNC_STORE_EVENT ", 0 FROM event WHERE stream = ?1 AND done = 0 AND seq > (SELECT done_seq"
     " FROM stream WHERE number = ?1) ORDER BY seq"},
    {SYNC_SQL_EVENT_COUNT, "SELECT count(*), ifnull(sum(bytes), 0), count(*) FILTER (WHERE " IS_DONE "),"
                           " ifnull(sum(bytes) FILTER (WHERE " IS_DONE "), 0), max(ifnull(max(seq), 0),"
                           " ifnull((SELECT max(seq) FROM effect), 0), (SELECT max(done_seq) FROM stream)),"
                           " (SELECT done_seq FROM stream WHERE number = ?1) FROM event"},
    {SYNC_SQL_EVENT_COUNT_DONE, "SELECT count(*), ifnull(sum(bytes), 0) FROM event WHERE stream = ?1 AND seq > ?2"
                                " AND seq <= ?3 AND done = 0"},
    {SYNC_SQL_EVENT_WALK_DONE,
     "SELECT seq, bytes, received_at_ms FROM event WHERE seq < ?1 AND " IS_DONE " ORDER BY seq"},
    {SYNC_SQL_EVENT_PRUNE, "DELETE FROM event WHERE seq <= ?1 AND " IS_DONE},
    {SYNC_SQL_EFFECT_PRUNE, "DELETE FROM effect WHERE at_ms < ?1 AND seq < ?2 AND NOT EXISTS"
                            " (SELECT 1 FROM event WHERE event.seq = effect.seq)"},
};

bool sync_archive_prepare(struct sync_journal *journal) {
  for (size_t i = 0; i < sizeof texts / sizeof *texts; i++)
    if (!sync_store_prepare(journal, texts[i].which, texts[i].text)) return false;
  return true;
}

/* ---- counting ---------------------------------------------------------------------------------------------------- */

static struct sync_tally read_tally(const struct sync_statement *statement, int column) {
  return (struct sync_tally){
      .count = (uint64_t)sync_statement_number(statement, column),
      .bytes = (uint64_t)sync_statement_number(statement, column + 1),
  };
}

static void add(struct sync_tally *tally, struct sync_tally more) {
  tally->count += more.count;
  tally->bytes += more.bytes;
}

static void subtract(struct sync_tally *tally, struct sync_tally less) {
  tally->count -= less.count;
  tally->bytes -= less.bytes;
}

bool sync_archive_count(struct sync_journal *journal) {
  struct sync_statement *statement = sync_store_statement(journal, SYNC_SQL_EVENT_COUNT);
  if (sync_statement_next(statement) != SYNC_ROW) return false;
  journal->counts = (struct sync_store_counts){
      .all = read_tally(statement, 0),
      .done = read_tally(statement, 2),
      .last_seq = (uint64_t)sync_statement_number(statement, 4),
      .done_seq = (uint64_t)sync_statement_number(statement, 5),
      .counted_seq = (uint64_t)sync_statement_number(statement, 5),
      .age_due_ms = INT64_MIN,
  };
  sync_statement_reset(statement);
  return true;
}

/* Counts those that have become done in their turn. false: it failed. */
static bool count_done(struct sync_journal *journal) {
  struct sync_store_counts *counts = &journal->counts;
  if (counts->counted_seq >= counts->done_seq) return true;
  struct sync_statement *statement = sync_store_statement(journal, SYNC_SQL_EVENT_COUNT_DONE);
  sync_statement_bind_number(statement, 2, (int64_t)counts->counted_seq);
  sync_statement_bind_number(statement, 3, (int64_t)counts->done_seq);
  if (sync_statement_next(statement) != SYNC_ROW) return false;
  add(&counts->done, read_tally(statement, 0));
  sync_statement_reset(statement);
  counts->counted_seq = counts->done_seq;
  return true;
}

/* ---- storing ----------------------------------------------------------------------------------------------------- */

/* What a statement about one event says of its bytes, if there is such an event. false: it failed. */
static bool ask_tally(struct sync_statement *statement, uint64_t seq, struct sync_tally *tally) {
  *tally = (struct sync_tally){0, 0};
  sync_statement_bind_number(statement, 1, (int64_t)seq);
  enum sync_row row = sync_statement_next(statement);
  if (row == SYNC_ROW) *tally = (struct sync_tally){1, (uint64_t)sync_statement_number(statement, 0)};
  if (row == SYNC_ROW) sync_statement_reset(statement);
  return row != SYNC_ROW_FAILED;
}

/* The one that has this seq already, if any. false: it failed. */
static bool drop_event(struct sync_journal *journal, uint64_t seq) {
  struct sync_tally dropped;
  if (seq > journal->counts.last_seq) return true;
  if (!sync_journal_put_done(journal, seq)) return false; /* so that it counts as one that is done */
  if (!count_done(journal)) return false;
  if (!ask_tally(journal->statements[SYNC_SQL_EVENT_DROP], seq, &dropped)) return false;
  subtract(&journal->counts.all, dropped);
  subtract(&journal->counts.done, dropped);
  return true;
}

static uint64_t bytes_of(const sync_event *event, sync_span raw) {
  size_t bytes = raw.length + ROW_BYTES;
  for (sync_event_field field = SYNC_EVENT_TYPE; field <= SYNC_EVENT_PREVIOUS_STAGE; field++)
    if (field != SYNC_EVENT_TIMESTAMP) bytes += sync_event_text(event, field).length;
  return bytes;
}

bool sync_journal_put_event(struct sync_journal *journal, const sync_event *event) {
  struct sync_store_counts *counts = &journal->counts;
  uint64_t seq = sync_event_seq(event);
  sync_span raw;
  if (!drop_event(journal, seq)) return false;
  if (!sync_store_redact(journal, sync_event_text(event, SYNC_EVENT_RAW), &raw)) return false;
  uint64_t bytes = bytes_of(event, raw);
  struct sync_statement *statement = sync_store_statement(journal, SYNC_SQL_EVENT_PUT);
  sync_statement_bind_number(statement, 2, (int64_t)seq);
  sync_statement_bind_number(statement, 3, sync_event_received_at_ms(event));
  sync_statement_bind_text(statement, 4, sync_event_text(event, SYNC_EVENT_TYPE));
  sync_statement_bind_text(statement, 5, sync_event_text(event, SYNC_EVENT_ORDER_ID));
  sync_statement_bind_text(statement, 6, sync_event_text(event, SYNC_EVENT_ID));
  sync_statement_bind_text(statement, 7, sync_event_text(event, SYNC_EVENT_PREVIOUS_STAGE));
  sync_statement_bind_text(statement, 8, sync_span_of(sync_source_name(sync_event_source(event))));
  sync_statement_bind_number(statement, 9, (int64_t)sync_event_fingerprint(event));
  sync_statement_bind_number(statement, 10, (int64_t)bytes);
  sync_statement_bind_text(statement, 11, raw);
  if (!sync_statement_run(statement)) return false;
  add(&counts->all, (struct sync_tally){1, bytes});
  if (counts->last_seq < seq) counts->last_seq = seq;
  if (seq <= counts->counted_seq) add(&counts->done, (struct sync_tally){1, bytes});
  return true;
}

bool sync_journal_put_done(struct sync_journal *journal, uint64_t seq) {
  struct sync_tally done;
  if (!ask_tally(journal->statements[SYNC_SQL_EVENT_DONE], seq, &done)) return false;
  add(&journal->counts.done, done);
  return true;
}

bool sync_journal_put_acknowledged(struct sync_journal *journal, uint64_t seq) {
  struct sync_statement *statement = journal->statements[SYNC_SQL_EVENT_ACKNOWLEDGED];
  sync_statement_bind_number(statement, 1, (int64_t)seq);
  return sync_statement_run(statement);
}

/* ---- finding ----------------------------------------------------------------------------------------------------- */

static struct sync_statement *seek(struct sync_journal *journal, enum sync_store_sql which) {
  sync_journal_end_events(journal);
  journal->event_walk = sync_store_statement(journal, which);
  return journal->event_walk;
}

void sync_journal_seek_latest(struct sync_journal *journal, size_t limit) {
  int64_t most = limit < INT64_MAX ? (int64_t)limit : INT64_MAX;
  sync_statement_bind_number(seek(journal, SYNC_SQL_EVENT_LATEST), 2, most);
}

void sync_journal_seek_undone(struct sync_journal *journal) {
  (void)seek(journal, SYNC_SQL_EVENT_UNDONE);
}

struct sync_journal_event sync_store_event(const struct sync_statement *row) {
  return (struct sync_journal_event){
      .seq = (uint64_t)sync_statement_number(row, 0),
      .fingerprint = (uint64_t)sync_statement_number(row, 1),
      .id = sync_statement_text(row, 2),
      .type = sync_statement_text(row, 3),
      .previous_stage = sync_statement_text(row, 4),
      .raw = sync_statement_text(row, 5),
      .received_at_ms = sync_statement_number(row, 6),
      .source = sync_store_source(sync_statement_text(row, 7)),
      .acknowledged = sync_statement_number(row, 8) != 0,
      .done = sync_statement_number(row, 9) != 0,
  };
}

enum sync_row sync_journal_next_event(struct sync_journal *journal, struct sync_journal_event *event) {
  enum sync_row row = sync_statement_next(journal->event_walk);
  if (row == SYNC_ROW) *event = sync_store_event(journal->event_walk);
  return row;
}

void sync_journal_end_events(struct sync_journal *journal) {
  if (journal->event_walk) sync_statement_reset(journal->event_walk);
}

/* ---- throwing out ------------------------------------------------------------------------------------------------ */

/* What may be left; all of it, if there is not too much. */
static uint64_t allowed(uint64_t is, uint64_t most) {
  return is > most ? most - most / SLACK : most;
}

/* How many may go with the transaction that is open. */
static uint64_t pruned_most(const struct sync_journal *journal) {
  uint64_t before = journal->counts_before.all.count, now = journal->counts.all.count;
  return PRUNED_MOST + (now > before ? 2 * (now - before) : 0);
}

/* Finds those that go, the oldest first, and no more than `most`: up to `*until`, `gone` in all. The last event stays,
 * for its seq is where counting goes on. false: it failed. */
static bool choose(struct sync_journal *journal, int64_t now_ms, uint64_t most, uint64_t *until,
                   struct sync_tally *gone) {
  struct sync_statement *walk = journal->statements[SYNC_SQL_EVENT_WALK_DONE];
  struct sync_tally left = journal->counts.done;
  const uint64_t most_count = allowed(left.count, journal->config.max_events);
  const uint64_t most_bytes = allowed(left.bytes, journal->config.max_bytes);
  const int64_t oldest_ms = now_ms - journal->config.max_age_ms;
  enum sync_row row;
  sync_statement_bind_number(walk, 1, (int64_t)journal->counts.last_seq);
  while ((row = sync_statement_next(walk)) == SYNC_ROW && gone->count < most) {
    const struct sync_tally own = {1, (uint64_t)sync_statement_number(walk, 1)};
    bool too_old = sync_statement_number(walk, 2) < oldest_ms;
    if (!too_old && left.count <= most_count && left.bytes <= most_bytes) break;
    subtract(&left, own);
    add(gone, own);
    *until = (uint64_t)sync_statement_number(walk, 0);
  }
  if (row == SYNC_ROW) sync_statement_reset(walk);
  return row != SYNC_ROW_FAILED;
}

/* Effects of events that are not there any more. */
static bool prune_effects(struct sync_journal *journal, int64_t now_ms) {
  struct sync_statement *prune = journal->statements[SYNC_SQL_EFFECT_PRUNE];
  sync_statement_bind_number(prune, 1, now_ms - journal->config.max_age_ms);
  sync_statement_bind_number(prune, 2, (int64_t)journal->counts.last_seq);
  return sync_statement_run(prune);
}

bool sync_journal_prune(struct sync_journal *journal, int64_t now_ms) {
  const struct sync_journal_config *config = &journal->config;
  struct sync_store_counts *counts = &journal->counts;
  struct sync_statement *prune = journal->statements[SYNC_SQL_EVENT_PRUNE];
  const uint64_t most = pruned_most(journal);
  struct sync_tally gone = {0, 0};
  uint64_t until = 0;
  bool old = now_ms >= counts->age_due_ms;
  if (counts->done_seq > counts->counted_seq + UNCOUNTED_MOST && !count_done(journal)) return false;
  if (!old && counts->all.count <= config->max_events && counts->all.bytes <= config->max_bytes) return true;
  if (!count_done(journal)) return false;
  if (!old && counts->done.count <= config->max_events && counts->done.bytes <= config->max_bytes) return true;
  if (!choose(journal, now_ms, most, &until, &gone)) return false;
  sync_statement_bind_number(prune, 1, (int64_t)until);
  if (gone.count > 0 && !sync_statement_run(prune)) return false;
  sync_statement_reset(prune);
  subtract(&counts->all, gone);
  subtract(&counts->done, gone);
  counts->age_due_ms = now_ms;
  if (gone.count >= most) return true; /* the next one goes on */
  counts->age_due_ms += config->max_age_ms / SLACK + 1;
  return prune_effects(journal, now_ms);
}
