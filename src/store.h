/*
 * store.h - how a journal holds its file. Private to journal.c, archive.c and ledger.c, which are its parts: the file
 * and the stream, events, and what is kept beside them.
 */
#ifndef SYNC_STORE_H
#define SYNC_STORE_H

#include "journal.h"
#include "ownership.h"
#include "redact.h"

/* Every statement of a journal; their texts stand with the functions that use them. */
enum sync_store_sql {
  SYNC_SQL_STREAM_FIND,
  SYNC_SQL_STREAM_ADD,
  SYNC_SQL_STREAM_READ,
  SYNC_SQL_STREAM_WRITE,
  SYNC_SQL_TOTAL_PUT,
  SYNC_SQL_TOTAL_READ,
  SYNC_SQL_ORDER_PUT,
  SYNC_SQL_ORDER_DROP,
  SYNC_SQL_ORDER_WALK,
  SYNC_SQL_EVENT_PUT,
  SYNC_SQL_EVENT_DROP,
  SYNC_SQL_EVENT_DONE,
  SYNC_SQL_EVENT_ACKNOWLEDGED,
  SYNC_SQL_EVENT_LATEST,
  SYNC_SQL_EVENT_UNDONE,
  SYNC_SQL_EVENT_COUNT,
  SYNC_SQL_EVENT_COUNT_DONE,
  SYNC_SQL_EVENT_WALK_DONE,
  SYNC_SQL_EVENT_PRUNE,
  SYNC_SQL_EFFECT_READ,
  SYNC_SQL_EFFECT_PUT,
  SYNC_SQL_EFFECT_DROP,
  SYNC_SQL_EFFECT_PRUNE,
  SYNC_SQL_DEAD_PUT,
  SYNC_SQL_DEAD_DROP,
  SYNC_SQL_DEAD_PRUNE,
  SYNC_SQL_DEAD_WANT,
  SYNC_SQL_DEAD_WALK,
  SYNC_SQL_DEAD_READ,
  SYNC_SQL_GAP_PUT,
  SYNC_SQL_GAP_SUBSUME,
  SYNC_SQL_GAP_PRUNE,
  SYNC_SQL_GAP_WALK,
  SYNC_SQL_COUNT
};

struct sync_tally {
  uint64_t count;
  uint64_t bytes;
};

/* What is known of the events without asking the file; goes back when a transaction does. */
struct sync_store_counts {
  struct sync_tally done; /* of all streams, but for those of this one above `counted_seq` that became so in turn */
  struct sync_tally all;
  uint64_t last_seq;
  uint64_t done_seq;
  uint64_t counted_seq;
  int64_t age_due_ms; /* when to look for events that are too old */
};

struct sync_journal {
  const sync_allocator *alloc;
  struct sync_journal_config config;
  struct sync_redact redact;
  struct sync_ownership *ownership;
  struct sync_database *database;
  struct sync_statement *statements[SYNC_SQL_COUNT];
  struct sync_statement *event_walk; /* the one that is under way, or was last */
  int64_t stream;                    /* number of ours */
  int64_t version;                   /* of the file, when it was asked last */
  bool starved;                      /* there was no memory: the database knows nothing of it */
  struct sync_store_counts counts;
  struct sync_store_counts counts_before; /* the transaction */
  struct sync_buffer text;                /* redacted, or the stream's last event ID */
};

/* A statement about this stream: its number is bound as the first parameter. */
struct sync_statement *sync_store_statement(struct sync_journal *journal, enum sync_store_sql which);

/* Prepares `sql` under this name; false: no memory. */
bool sync_store_prepare(struct sync_journal *journal, enum sync_store_sql which, const char *sql);

/* Each part's statements. false: no memory. */
bool sync_archive_prepare(struct sync_journal *journal);
bool sync_ledger_prepare(struct sync_journal *journal);

/* Counts what the file has; false: it failed. */
bool sync_archive_count(struct sync_journal *journal);

/* An event of a row that begins with SYNC_STORE_EVENT and whether it is done. */
#define SYNC_STORE_EVENT         "seq, fingerprint, id, type, previous_stage, raw, received_at_ms, source, acknowledged"
#define SYNC_STORE_EVENT_COLUMNS 10
struct sync_journal_event sync_store_event(const struct sync_statement *row);

/* `json` as it may be stored, valid until the next call. false: no memory. */
bool sync_store_redact(struct sync_journal *journal, sync_span json, sync_span *stored);

/* What source a name in the file stands for. */
sync_source sync_store_source(sync_span name);

#endif
