/*
 * notes.h - what the journal does not have yet, in the order in which it happened.
 *
 * A note stays until the transaction that has it is committed: when the disk fails, the list is written again from its
 * beginning, however long that takes. It owns copies, and references to events.
 */
#ifndef SYNC_NOTES_H
#define SYNC_NOTES_H

#include "journal.h"

enum sync_note_kind {
  SYNC_NOTE_EVENT,        /* `event` has arrived */
  SYNC_NOTE_DONE,         /* event `number` is done, out of its turn */
  SYNC_NOTE_ACKNOWLEDGED, /* event `number` is */
  SYNC_NOTE_EFFECT,       /* effect `text` of event `number` is `effect` */
  SYNC_NOTE_DEAD,         /* `event` is a dead letter, for the problem `text` */
  SYNC_NOTE_WANT_DEAD,    /* dead letter `number` is to be delivered again */
  SYNC_NOTE_DROP_DEAD,    /* dead letter `number` is none any more */
  SYNC_NOTE_DROP_ORDER,   /* the order called `text` is not in the book any more */
};

struct sync_note {
  enum sync_note_kind kind;
  sync_effect effect;
  uint64_t number;
  sync_event *event;
  sync_span text;
  int64_t at_ms;
  int64_t attempts;
};

struct sync_notes {
  const sync_allocator *alloc;
  struct sync_note *list;
  size_t count;
  size_t capacity;
};

void sync_notes_init(struct sync_notes *notes, const sync_allocator *alloc);
void sync_notes_fini(struct sync_notes *notes);

/* Adds a note; event and text stay the caller's. false: no memory, and nothing has changed. */
bool sync_notes_add(struct sync_notes *notes, const struct sync_note *note);

/* Writes one. false: the journal failed. */
bool sync_note_write(const struct sync_note *note, struct sync_journal *journal);

/* All have been committed. */
void sync_notes_clear(struct sync_notes *notes);

/* The last word on an effect; false: there is none. */
bool sync_notes_effect(const struct sync_notes *notes, uint64_t seq, sync_span name, sync_effect *effect);

/* Forgets events up to `done_seq`, with what is noted of them, the oldest first, until `keep` notes are left: the file
 * could not have kept all of them either. */
void sync_notes_trim(struct sync_notes *notes, uint64_t done_seq, size_t keep);

#endif
