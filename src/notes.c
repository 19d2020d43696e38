/* notes.c - the list of what is to be written. */
#include "notes.h"

#include "span.h"

#define FIRST_CAPACITY 16u

void sync_notes_init(struct sync_notes *notes, const sync_allocator *alloc) {
  *notes = (struct sync_notes){.alloc = alloc};
}

static void let_go(const struct sync_notes *notes, const struct sync_note *note) {
  if (note->event) sync_event_release(note->event);
  sync_alloc_free(notes->alloc, (void *)(uintptr_t)note->text.bytes);
}

void sync_notes_clear(struct sync_notes *notes) {
  for (size_t i = 0; i < notes->count; i++) let_go(notes, &notes->list[i]);
  notes->count = 0;
}

void sync_notes_fini(struct sync_notes *notes) {
  sync_notes_clear(notes);
  sync_alloc_free(notes->alloc, notes->list);
}

static bool make_room(struct sync_notes *notes) {
  if (notes->count < notes->capacity) return true;
  size_t capacity = notes->capacity ? notes->capacity * 2 : FIRST_CAPACITY;
  struct sync_note *list = sync_alloc_resize(notes->alloc, notes->list, capacity * sizeof *list);
  if (!list) return false;
  notes->list = list;
  notes->capacity = capacity;
  return true;
}

bool sync_notes_add(struct sync_notes *notes, const struct sync_note *note) {
  struct sync_note own = *note;
  if (!make_room(notes)) return false;
  own.text.bytes = NULL;
  if (note->text.length > 0) {
    own.text.bytes = sync_alloc_text(notes->alloc, note->text);
    if (!own.text.bytes) return false;
  }
  if (own.event) sync_event_retain(own.event);
  notes->list[notes->count++] = own;
  return true;
}

bool sync_note_write(const struct sync_note *note, struct sync_journal *journal) {
  switch (note->kind) {
  case SYNC_NOTE_EVENT: return sync_journal_put_event(journal, note->event);
  case SYNC_NOTE_DONE: return sync_journal_put_done(journal, note->number);
  case SYNC_NOTE_ACKNOWLEDGED: return sync_journal_put_acknowledged(journal, note->number);
  case SYNC_NOTE_EFFECT: return sync_journal_put_effect(journal, note->number, note->text, note->effect, note->at_ms);
  case SYNC_NOTE_DEAD: return sync_journal_put_dead(journal, note->event, note->text, note->attempts, note->at_ms);
  case SYNC_NOTE_WANT_DEAD: return sync_journal_want_dead(journal, note->number);
  case SYNC_NOTE_DROP_DEAD: return sync_journal_drop_dead(journal, note->number);
  case SYNC_NOTE_DROP_ORDER: return sync_journal_drop_order(journal, note->text);
  }
  return true;
}

bool sync_notes_effect(const struct sync_notes *notes, uint64_t seq, sync_span name, sync_effect *effect) {
  for (size_t i = notes->count; i-- > 0;) {
    const struct sync_note *note = &notes->list[i];
    if (note->kind != SYNC_NOTE_EFFECT || note->number != seq || !sync_span_same(note->text, name)) continue;
    *effect = note->effect;
    return true;
  }
  return false;
}

static bool is_of_done_event(const struct sync_note *note, uint64_t done_seq) {
  if (note->kind == SYNC_NOTE_EVENT) return sync_event_seq(note->event) <= done_seq;
  return (note->kind == SYNC_NOTE_DONE || note->kind == SYNC_NOTE_ACKNOWLEDGED) && note->number <= done_seq;
}

void sync_notes_trim(struct sync_notes *notes, uint64_t done_seq, size_t keep) {
  size_t excess = notes->count > keep ? notes->count - keep : 0, kept = 0;
  for (size_t i = 0; i < notes->count; i++) {
    if (excess > 0 && is_of_done_event(&notes->list[i], done_seq)) {
      let_go(notes, &notes->list[i]);
      excess--;
    } else {
      notes->list[kept++] = notes->list[i];
    }
  }
  notes->count = kept;
}
