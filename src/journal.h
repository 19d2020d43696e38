/*
 * journal.h - what a client keeps on disk: events, the cursor, acknowledgements, effects, the order book, totals, dead
 * letters and gaps, in one SQLite file. docs/journal.md shows the tables, as people read them.
 *
 * It stores and finds; when to do which is keeper.c's to decide. Everything is written between a begin and a commit; a
 * write that fails says false, and the transaction is to be rolled back. Of several streams that one file may have seen
 * a journal knows one. JSON is redacted here, before SQLite sees it.
 */
#ifndef SYNC_JOURNAL_H
#define SYNC_JOURNAL_H

#include "book.h"
#include "database.h"
#include "event.h"

struct sync_journal;

struct sync_journal_config {
  const char *path;
  sync_durability durability;
  size_t max_events; /* bounds of the events that are done; those that are not are always kept */
  uint64_t max_bytes;
  int64_t max_age_ms;
  size_t max_dead; /* dead letters: the oldest go */
  const char *const *redact;
  size_t redact_count;
};

/* Opens the journal of the stream called `stream`; what the strings point to must outlive it. The codes of
 * sync_database_open() and sync_ownership_take(); SYNC_JOURNAL_SCHEMA: a later version of ours made the file, or it is
 * none of ours. */
sync_code sync_journal_open(struct sync_journal **journal, const sync_allocator *alloc,
                            const struct sync_journal_config *config, sync_span stream, sync_failure *failure);
void sync_journal_close(struct sync_journal *journal);

/* Why the last call failed. */
sync_code sync_journal_failure(const struct sync_journal *journal, sync_failure *failure);

/* Whether the file has been deleted or replaced under our feet; whether another connection has changed it since this
 * was asked last. */
bool sync_journal_is_gone(const struct sync_journal *journal);
bool sync_journal_was_changed(struct sync_journal *journal);

bool sync_journal_begin(struct sync_journal *journal);
bool sync_journal_commit(struct sync_journal *journal);
void sync_journal_rollback(struct sync_journal *journal);

/* ---- the stream ---------------------------------------------------------------------------------------------------
 */

struct sync_journal_stream {
  sync_span last_event_id; /* resume behind it; valid until the next call */
  uint64_t last_seq;       /* of the event that was stored last; read only */
  uint64_t done_seq;       /* all events up to it are done */
  bool loaded;             /* the book has seen a whole snapshot */
  bool has_past;           /* events of it have been stored; read only */
};

/* false: it failed. Of a stream that is new: zeros, but for last_seq: events are numbered through all streams of a
 * file, and never as one that was there before. What is done stays so: a lower done_seq is not written. */
bool sync_journal_read_stream(struct sync_journal *journal, struct sync_journal_stream *stream);
bool sync_journal_write_stream(struct sync_journal *journal, const struct sync_journal_stream *stream);

/* ---- events -------------------------------------------------------------------------------------------------------
 */

/* Stores an event that has been completed (event.h), not done yet. One with the same seq is replaced. */
bool sync_journal_put_event(struct sync_journal *journal, const sync_event *event);

/* An event that is done out of its turn; that somebody has acknowledged. */
bool sync_journal_put_done(struct sync_journal *journal, uint64_t seq);
bool sync_journal_put_acknowledged(struct sync_journal *journal, uint64_t seq);

/* As it was stored. Texts are valid until the next one. */
struct sync_journal_event {
  uint64_t seq;
  uint64_t fingerprint;
  sync_span id;
  sync_span type;
  sync_span previous_stage;
  sync_span raw;
  int64_t received_at_ms;
  sync_source source;
  bool done;
  bool acknowledged;
};

/* Walks through the last `limit` events, the oldest first; or through those that are not done, in order. It ends with
 * SYNC_ROW_NONE; whoever ends it earlier says so. */
void sync_journal_seek_latest(struct sync_journal *journal, size_t limit);
void sync_journal_seek_undone(struct sync_journal *journal);
enum sync_row sync_journal_next_event(struct sync_journal *journal, struct sync_journal_event *event);
void sync_journal_end_events(struct sync_journal *journal);

/* Throws out what is done and too much or too old, the oldest first, and acknowledgements with it; effects go when
 * their event is gone and they are older than max_age_ms themselves. The last event stays, for numbers go on behind it.
 * Cheap when there is nothing to do: the journal counts what it holds. When there is, it makes room for a while: a
 * sixteenth of what is allowed, or some hundreds if that is less; and as seldom, every sixteenth of max_age_ms, it
 * looks at ages. More goes with the next commits, so that none takes long. */
bool sync_journal_prune(struct sync_journal *journal, int64_t now_ms);

/* ---- the order book ------------------------------------------------------------------------------------------------
 */

/* book.h's sync_book_entry, tombstones included. */
bool sync_journal_put_order(struct sync_journal *journal, const struct sync_book_entry *entry);
bool sync_journal_drop_order(struct sync_journal *journal, sync_span order_id);

/* All of them, the least recently changed first, so that they can be restored in this order. */
void sync_journal_seek_orders(struct sync_journal *journal);
enum sync_row sync_journal_next_order(struct sync_journal *journal, struct sync_book_entry *entry);
void sync_journal_end_orders(struct sync_journal *journal);

/* ---- effects: what a handler does once for an event -----------------------------------------------------------------
 */

bool sync_journal_read_effect(struct sync_journal *journal, uint64_t seq, sync_span name, sync_effect *effect);

/* SYNC_EFFECT_NEW: forgets it. */
bool sync_journal_put_effect(struct sync_journal *journal, uint64_t seq, sync_span name, sync_effect effect,
                             int64_t at_ms);

/* ---- dead letters: events that a handler could not do ---------------------------------------------------------------
 */

struct sync_journal_dead {
  uint64_t number; /* 1, 2, 3, ...: never used again */
  struct sync_journal_event event;
  sync_span order_id;
  sync_span problem; /* what the handler said last */
  int64_t attempts;
  int64_t failed_at_ms;
  bool wanted; /* somebody wants it delivered again */
};

bool sync_journal_put_dead(struct sync_journal *journal, const sync_event *event, sync_span problem, int64_t attempts,
                           int64_t failed_at_ms);
bool sync_journal_drop_dead(struct sync_journal *journal, uint64_t number);

/* Wanted again: when a client has the journal open, it is delivered soon, else when one opens it. `number` 0: all of
 * them. */
bool sync_journal_want_dead(struct sync_journal *journal, uint64_t number);

/* Those that are wanted, the oldest first. */
void sync_journal_seek_dead(struct sync_journal *journal);
enum sync_row sync_journal_next_dead(struct sync_journal *journal, struct sync_journal_dead *dead);
void sync_journal_end_dead(struct sync_journal *journal);

/* The first whose number is `number` or more; false: there is none, or the journal failed. Its texts are valid until
 * the next call. */
bool sync_journal_read_dead(struct sync_journal *journal, uint64_t number, struct sync_journal_dead *dead);

/* ---- gaps: gaps.h ---------------------------------------------------------------------------------------------------
 */

struct sync_gap;

bool sync_journal_put_gap(struct sync_journal *journal, const struct sync_gap *gap);

/* As many as `limit`, the open ones before the latest of the others; the oldest first. */
void sync_journal_seek_gaps(struct sync_journal *journal, size_t limit);
enum sync_row sync_journal_next_gap(struct sync_journal *journal, struct sync_gap *gap);

/* ---- totals ---------------------------------------------------------------------------------------------------------
 */

bool sync_journal_put_total(struct sync_journal *journal, const char *name, uint64_t value);

/* 0: it is not there. */
uint64_t sync_journal_total(struct sync_journal *journal, const char *name);

#endif
