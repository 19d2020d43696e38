/* ledger.c - what a journal keeps beside the events: effects, dead letters and gaps. */
#include "gaps.h"
#include "span.h"
#include "store.h"

/* Gaps that are closed stay until so many have been opened after them: for people, the client lists fewer. */
#define CLOSED_GAPS 1000

#define DEAD_LETTER SYNC_STORE_EVENT ", 0, number, order_id, problem, attempts, failed_at_ms, wanted"
#define GAP         "number, through, reason, cure, missing, opened_at_ms, closed_at_ms, after_id, before_id, order_id, detail"

static const struct {
  enum sync_store_sql which;
  const char *text;
} texts[] = {
    {SYNC_SQL_EFFECT_READ, "SELECT state FROM effect WHERE seq = ?1 AND name = ifnull(?2, '')"},
    {SYNC_SQL_EFFECT_PUT, "INSERT INTO effect (seq, name, state, at_ms) VALUES (?1, ifnull(?2, ''), ?3, ?4)"
                          " ON CONFLICT (seq, name) DO UPDATE SET state = excluded.state, at_ms = excluded.at_ms"},
    {SYNC_SQL_EFFECT_DROP, "DELETE FROM effect WHERE seq = ?1 AND name = ifnull(?2, '')"},
    {SYNC_SQL_DEAD_PUT, "INSERT INTO dead_letter (stream, seq, fingerprint, id, type, previous_stage, raw,"
                        " received_at_ms, source, acknowledged, order_id, problem, attempts, failed_at_ms)"
                        " VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10, ?11, ?12, ?13, ?14)"},
    {SYNC_SQL_DEAD_DROP, "DELETE FROM dead_letter WHERE stream = ?1 AND number = ?2"},
    {SYNC_SQL_DEAD_PRUNE, "DELETE FROM dead_letter WHERE number <="
                          " (SELECT number FROM dead_letter ORDER BY number DESC LIMIT 1 OFFSET ?1)"},
    {SYNC_SQL_DEAD_WANT, "UPDATE dead_letter SET wanted = 1 WHERE stream = ?1 AND ?2 IN (0, number)"},
    {SYNC_SQL_DEAD_WALK, "SELECT " DEAD_LETTER " FROM dead_letter WHERE stream = ?1 AND wanted ORDER BY number"},
    {SYNC_SQL_DEAD_READ, "SELECT " DEAD_LETTER " FROM dead_letter WHERE stream = ?1 AND number >= ?2"
                         " ORDER BY number LIMIT 1"},
    {SYNC_SQL_GAP_PUT, "INSERT INTO gap (stream, " GAP ")"
                       " VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, nullif(?8, 0), ?9, ?10, ?11, ?12)"
                       " ON CONFLICT (stream, number) DO UPDATE SET through = excluded.through,"
                       " reason = excluded.reason, cure = excluded.cure, missing = excluded.missing,"
                       " opened_at_ms = excluded.opened_at_ms, closed_at_ms = excluded.closed_at_ms,"
                       " after_id = excluded.after_id, before_id = excluded.before_id, order_id = excluded.order_id,"
                       " detail = excluded.detail"},
    {SYNC_SQL_GAP_SUBSUME, "DELETE FROM gap WHERE stream = ?1 AND number > ?2 AND number <= ?3 AND cure = 'open'"},
    {SYNC_SQL_GAP_PRUNE, "DELETE FROM gap WHERE stream = ?1 AND number <= ?2 AND cure <> 'open'"},
    {SYNC_SQL_GAP_WALK, "SELECT " GAP " FROM gap WHERE stream = ?1 AND number IN (SELECT number FROM gap"
                        " WHERE stream = ?1 ORDER BY cure = 'open' DESC, number DESC LIMIT ?2) ORDER BY number"},
};

bool sync_ledger_prepare(struct sync_journal *journal) {
  for (size_t i = 0; i < sizeof texts / sizeof *texts; i++)
    if (!sync_store_prepare(journal, texts[i].which, texts[i].text)) return false;
  return true;
}

static int64_t limited(size_t limit) {
  return limit < INT64_MAX ? (int64_t)limit : INT64_MAX;
}

/* ---- effects ----------------------------------------------------------------------------------------------------- */

static const char started[] = "started", done[] = "done";

static void bind_effect(struct sync_statement *statement, uint64_t seq, sync_span name) {
  sync_statement_bind_number(statement, 1, (int64_t)seq);
  sync_statement_bind_text(statement, 2, name);
}

bool sync_journal_read_effect(struct sync_journal *journal, uint64_t seq, sync_span name, sync_effect *effect) {
  struct sync_statement *statement = journal->statements[SYNC_SQL_EFFECT_READ];
  *effect = SYNC_EFFECT_NEW;
  bind_effect(statement, seq, name);
  enum sync_row row = sync_statement_next(statement);
  if (row != SYNC_ROW) return row == SYNC_ROW_NONE;
  *effect = sync_span_is(sync_statement_text(statement, 0), done) ? SYNC_EFFECT_DONE : SYNC_EFFECT_STARTED;
  sync_statement_reset(statement);
  return true;
}

bool sync_journal_put_effect(struct sync_journal *journal, uint64_t seq, sync_span name, sync_effect effect,
                             int64_t at_ms) {
  bool forgotten = effect == SYNC_EFFECT_NEW;
  struct sync_statement *statement = journal->statements[forgotten ? SYNC_SQL_EFFECT_DROP : SYNC_SQL_EFFECT_PUT];
  bind_effect(statement, seq, name);
  if (!forgotten) {
    sync_statement_bind_text(statement, 3, sync_span_of(effect == SYNC_EFFECT_DONE ? done : started));
    sync_statement_bind_number(statement, 4, at_ms);
  }
  return sync_statement_run(statement);
}

/* ---- dead letters ------------------------------------------------------------------------------------------------ */

/* Keeps the last ones. false: it failed. */
static bool prune_dead(struct sync_journal *journal) {
  struct sync_statement *statement = journal->statements[SYNC_SQL_DEAD_PRUNE];
  sync_statement_bind_number(statement, 1, limited(journal->config.max_dead));
  return sync_statement_run(statement);
}

bool sync_journal_put_dead(struct sync_journal *journal, const sync_event *event, sync_span problem, int64_t attempts,
                           int64_t failed_at_ms) {
  sync_span raw;
  if (!sync_store_redact(journal, sync_event_text(event, SYNC_EVENT_RAW), &raw)) return false;
  struct sync_statement *statement = sync_store_statement(journal, SYNC_SQL_DEAD_PUT);
  sync_statement_bind_number(statement, 2, (int64_t)sync_event_seq(event));
  sync_statement_bind_number(statement, 3, (int64_t)sync_event_fingerprint(event));
  sync_statement_bind_text(statement, 4, sync_event_text(event, SYNC_EVENT_ID));
  sync_statement_bind_text(statement, 5, sync_event_text(event, SYNC_EVENT_TYPE));
  sync_statement_bind_text(statement, 6, sync_event_text(event, SYNC_EVENT_PREVIOUS_STAGE));
  sync_statement_bind_text(statement, 7, raw);
  sync_statement_bind_number(statement, 8, sync_event_received_at_ms(event));
  sync_statement_bind_text(statement, 9, sync_span_of(sync_source_name(sync_event_source(event))));
  sync_statement_bind_number(statement, 10, sync_event_acknowledged(event));
  sync_statement_bind_text(statement, 11, sync_event_text(event, SYNC_EVENT_ORDER_ID));
  sync_statement_bind_text(statement, 12, problem);
  sync_statement_bind_number(statement, 13, attempts);
  sync_statement_bind_number(statement, 14, failed_at_ms);
  return sync_statement_run(statement) && prune_dead(journal);
}

static bool run_for_number(struct sync_journal *journal, enum sync_store_sql which, uint64_t number) {
  struct sync_statement *statement = sync_store_statement(journal, which);
  sync_statement_bind_number(statement, 2, (int64_t)number);
  return sync_statement_run(statement);
}

bool sync_journal_drop_dead(struct sync_journal *journal, uint64_t number) {
  return run_for_number(journal, SYNC_SQL_DEAD_DROP, number);
}

bool sync_journal_want_dead(struct sync_journal *journal, uint64_t number) {
  return run_for_number(journal, SYNC_SQL_DEAD_WANT, number);
}

static struct sync_journal_dead read_dead(const struct sync_statement *row) {
  const int own = SYNC_STORE_EVENT_COLUMNS;
  return (struct sync_journal_dead){
      .event = sync_store_event(row),
      .number = (uint64_t)sync_statement_number(row, own),
      .order_id = sync_statement_text(row, own + 1),
      .problem = sync_statement_text(row, own + 2),
      .attempts = sync_statement_number(row, own + 3),
      .failed_at_ms = sync_statement_number(row, own + 4),
      .wanted = sync_statement_number(row, own + 5) != 0,
  };
}

void sync_journal_seek_dead(struct sync_journal *journal) {
  sync_journal_end_dead(journal);
  (void)sync_store_statement(journal, SYNC_SQL_DEAD_WALK);
}

enum sync_row sync_journal_next_dead(struct sync_journal *journal, struct sync_journal_dead *dead) {
  struct sync_statement *walk = journal->statements[SYNC_SQL_DEAD_WALK];
  enum sync_row row = sync_statement_next(walk);
  if (row == SYNC_ROW) *dead = read_dead(walk);
  return row;
}

void sync_journal_end_dead(struct sync_journal *journal) {
  sync_statement_reset(journal->statements[SYNC_SQL_DEAD_WALK]);
}

/* Copies its texts, for a statement that is left as it stands would keep the file's log from being cleared. false: no
 * memory. */
static bool keep_texts(struct sync_journal *journal, struct sync_journal_dead *dead) {
  sync_span *const kept[] = {&dead->event.id,  &dead->event.type, &dead->event.previous_stage,
                             &dead->event.raw, &dead->order_id,   &dead->problem};
  size_t length = 0;
  for (size_t i = 0; i < sizeof kept / sizeof *kept; i++) length += kept[i]->length;
  sync_buffer_clear(&journal->text);
  journal->starved = !sync_buffer_reserve(&journal->text, length);
  for (size_t i = 0; i < sizeof kept / sizeof *kept && !journal->starved; i++) {
    size_t at = journal->text.length;
    (void)sync_buffer_append(&journal->text, *kept[i]);
    kept[i]->bytes = journal->text.bytes + at;
  }
  return !journal->starved;
}

bool sync_journal_read_dead(struct sync_journal *journal, uint64_t number, struct sync_journal_dead *dead) {
  struct sync_statement *statement = sync_store_statement(journal, SYNC_SQL_DEAD_READ);
  sync_statement_bind_number(statement, 2, (int64_t)number);
  if (sync_statement_next(statement) != SYNC_ROW) return false;
  *dead = read_dead(statement);
  bool kept = keep_texts(journal, dead);
  sync_statement_reset(statement);
  return kept;
}

/* ---- gaps -------------------------------------------------------------------------------------------------------- */

/* Those that it stands for from now on, and old ones, go. false: it failed. */
static bool tidy_gaps(struct sync_journal *journal, const struct sync_gap *gap) {
  struct sync_statement *subsume = sync_store_statement(journal, SYNC_SQL_GAP_SUBSUME);
  sync_statement_bind_number(subsume, 2, (int64_t)gap->number);
  sync_statement_bind_number(subsume, 3, (int64_t)gap->through);
  if (!sync_statement_run(subsume)) return false;
  return gap->number <= CLOSED_GAPS || run_for_number(journal, SYNC_SQL_GAP_PRUNE, gap->number - CLOSED_GAPS);
}

bool sync_journal_put_gap(struct sync_journal *journal, const struct sync_gap *gap) {
  struct sync_statement *statement = sync_store_statement(journal, SYNC_SQL_GAP_PUT);
  sync_statement_bind_number(statement, 2, (int64_t)gap->number);
  sync_statement_bind_number(statement, 3, (int64_t)gap->through);
  sync_statement_bind_text(statement, 4, sync_span_of(sync_gap_reason_name(gap->reason)));
  sync_statement_bind_text(statement, 5, sync_span_of(sync_gap_cure_name(gap->cure)));
  sync_statement_bind_number(statement, 6, (int64_t)gap->missing);
  sync_statement_bind_number(statement, 7, gap->opened_at_ms);
  sync_statement_bind_number(statement, 8, gap->closed_at_ms);
  sync_statement_bind_text(statement, 9, gap->after_id);
  sync_statement_bind_text(statement, 10, gap->before_id);
  sync_statement_bind_text(statement, 11, gap->order_id);
  sync_statement_bind_text(statement, 12, gap->detail);
  return sync_statement_run(statement) && tidy_gaps(journal, gap);
}

void sync_journal_seek_gaps(struct sync_journal *journal, size_t limit) {
  sync_statement_reset(journal->statements[SYNC_SQL_GAP_WALK]);
  sync_statement_bind_number(sync_store_statement(journal, SYNC_SQL_GAP_WALK), 2, limited(limit));
}

static enum sync_gap_reason reason_of(sync_span name) {
  enum sync_gap_reason reason = SYNC_GAP_NO_REPLAY;
  while (reason > SYNC_GAP_IDS && !sync_span_is(name, sync_gap_reason_name(reason))) reason--;
  return reason;
}

/* A name that is not known is no cure. */
static enum sync_gap_cure cure_of(sync_span name) {
  enum sync_gap_cure cure = SYNC_CURE_GIVEN_UP;
  while (cure > SYNC_CURE_NONE && !sync_span_is(name, sync_gap_cure_name(cure))) cure--;
  return cure;
}

enum sync_row sync_journal_next_gap(struct sync_journal *journal, struct sync_gap *gap) {
  struct sync_statement *walk = journal->statements[SYNC_SQL_GAP_WALK];
  enum sync_row row = sync_statement_next(walk);
  if (row != SYNC_ROW) return row;
  *gap = (struct sync_gap){
      .number = (uint64_t)sync_statement_number(walk, 0),
      .through = (uint64_t)sync_statement_number(walk, 1),
      .reason = reason_of(sync_statement_text(walk, 2)),
      .cure = cure_of(sync_statement_text(walk, 3)),
      .missing = (uint64_t)sync_statement_number(walk, 4),
      .opened_at_ms = sync_statement_number(walk, 5),
      .closed_at_ms = sync_statement_number(walk, 6),
      .after_id = sync_statement_text(walk, 7),
      .before_id = sync_statement_text(walk, 8),
      .order_id = sync_statement_text(walk, 9),
      .detail = sync_statement_text(walk, 10),
  };
  return SYNC_ROW;
}
