/*
 * keeper.h - a client's journal: what is written when, what is known to be done, and what happens while the disk fails.
 *
 * What happens is noted, and written into the open transaction at once; that is committed at the end of each step, and
 * before an event that it has is taken: one commit for all that a step brought. The host's taking moves the mark below
 * which everything is done, which costs nothing until the next commit. When a write fails, the transaction is rolled
 * back, notes go on in memory, and after a while all of them are written again.
 *
 * keeper.c writes, recovery.c reads at the start, undertakings.c is what hosts call. A client without a journal has no
 * keeper: functions of the client's then do nothing.
 */
#ifndef SYNC_KEEPER_H
#define SYNC_KEEPER_H

#include "client.h"
#include "held.h"
#include "notes.h"

/* How many counters go on from client to client. */
#define SYNC_TOTALS 11u

/* A dead letter that is on its way to the host again. */
struct sync_revived {
  uint64_t seq;
  uint64_t number;
};

struct sync_keeper {
  sync_client *client;
  const sync_allocator *alloc;
  sync_options options; /* a copy, to which config refers */
  struct sync_journal_config config;
  char *stream;                 /* what the journal calls it */
  struct sync_journal *journal; /* NULL: it could not be opened yet, or is to be opened again */

  struct sync_notes notes;
  size_t written;      /* of the notes, into the transaction */
  size_t notes_most;   /* with more of them those that can go do; 0: as the options have it */
  bool begun;          /* there is a transaction */
  uint64_t noted_seq;  /* of the last event that was noted */
  uint64_t saved_seq;  /* events up to it are on disk */
  uint64_t book_mark;  /* the book as of this is on disk */
  uint64_t gaps_saved; /* and the ledger of gaps as of this revision */

  struct sync_held held;
  struct sync_held early; /* queued, and done already: they will not be held */
  bool holding;           /* the event taken last will be held, as all are with manual_ack */
  bool answered;          /* but not this one: it is done already */
  uint64_t manual_seq;   /* of the last one that was taken with manual_ack: it waits for that even if the option goes */
  uint64_t finished_seq; /* events up to it are done, but for those held */
  uint64_t unsure_seq;   /* from it on none is said to be: one could not be held */
  struct sync_revived *revived;
  size_t revived_count;
  size_t revived_capacity;

  uint64_t saved_done_seq; /* the stream's row, as it is on disk; UINT64_MAX: it is not known */
  struct sync_buffer saved_id;
  bool saved_loaded;

  bool resumes;         /* the stream began with what the journal knows of its past */
  bool taken_up;        /* what was there before has been */
  uint64_t again_seq;   /* events up to it that were not done have been queued again */
  sync_failure failure; /* SYNC_OK: all is well */
  int64_t failing_since_ms;
  int64_t retry_at_ms; /* loop's clock; -1: not failing */
  int64_t retry_delay_ms;
  int64_t looked_at_ms; /* whether the file is still there, and whether somebody else has written to it */
  int64_t totals_at_ms; /* when totals were written */
  uint64_t totals_before[SYNC_TOTALS]; /* of the clients before this one */
};

/* ---- keeper.c -----------------------------------------------------------------------------------------------------
 */

/* Opens the client's journal and takes up what is in it. SYNC_OK, also when that will be tried again later;
 * SYNC_NO_MEMORY; SYNC_JOURNAL_LOCKED: somebody else has it; with journal_required any other code too. */
sync_code sync_keeper_open(sync_client *client, sync_failure *failure);

/* Writes everything and ends. */
void sync_keeper_close(sync_client *client);

/* An event has arrived, and somebody wants it or not. false: no memory. */
bool sync_keeper_keep(sync_client *client, sync_event *event, bool wanted);

/* Something else has happened. false: no memory. */
bool sync_keeper_note(struct sync_keeper *keeper, const struct sync_note *note);

/* The event taken last is done, or held from now on. */
void sync_keeper_finish(sync_client *client, sync_event *event);

/* Everything up to it is done. */
uint64_t sync_keeper_done_seq(const struct sync_keeper *keeper);

/* An event that was taken last, or is held, is done; or, queued yet, will be as soon as it has been taken. */
void sync_keeper_done(struct sync_keeper *keeper, uint64_t seq);

/* What is about to be taken must be on disk. */
void sync_keeper_secure(sync_client *client, const sync_event *event);

/* Whether so many events wait for a word of the host's that no more may come. */
bool sync_keeper_is_full(const sync_client *client);

/* Commits what there is, unless the disk failed a moment ago; or whatever it did. */
void sync_keeper_settle(sync_client *client);
sync_code sync_keeper_flush(struct sync_keeper *keeper);

/* Fills in what concerns the journal. */
void sync_keeper_health(const sync_client *client, sync_health *health);

/* When to settle at the latest; -1: there is no hurry. */
int64_t sync_keeper_deadline_ms(const sync_client *client);

/* The journal failed. */
void sync_keeper_fail(struct sync_keeper *keeper);

/* ---- recovery.c ---------------------------------------------------------------------------------------------------
 */

/* Takes up what a journal that has just been opened has of before: the cursor, the order book, the history, events that
 * are not done. `late`: the client has been running without it. SYNC_OK, SYNC_NO_MEMORY, or the journal's code. */
sync_code sync_keeper_recover(struct sync_keeper *keeper, bool late, sync_failure *failure);

/* Queues the dead letters that are wanted again. As above. */
sync_code sync_keeper_revive(struct sync_keeper *keeper, sync_failure *failure);

/* The journal has been opened again. If it is another file in the place of the old one, what that one had of events is
 * noted anew, as far as it is known. As above. */
sync_code sync_keeper_return(struct sync_keeper *keeper, sync_failure *failure);

/* ---- totals.c -----------------------------------------------------------------------------------------------------
 */

/* Reads what the clients before this one counted. Writes that and what this one has; false: the journal failed. */
void sync_keeper_read_totals(struct sync_keeper *keeper);
bool sync_keeper_write_totals(struct sync_keeper *keeper);

#endif
