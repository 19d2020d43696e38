/*
 * gap_list.h - the gaps of a ledger that are listed, the oldest first: bounded, with texts of their own, and each with
 * the revision of its last change. What opens and closes them is gaps.h's to say.
 */
#ifndef SYNC_GAP_LIST_H
#define SYNC_GAP_LIST_H

#include "alloc.h"

/* Those that are listed. One more, and the oldest that is closed goes; if all are open, the two oldest become one, so
 * that none is ever forgotten while it is open. */
#define SYNC_GAPS_MAX 256u

/* Longer texts are left empty: no server takes such a header back, and the list stays small. */
#define SYNC_GAP_TEXT_MAX 8192u

/* Owned copies of a gap's texts. */
enum sync_gap_text { SYNC_GAP_AFTER, SYNC_GAP_BEFORE, SYNC_GAP_ORDER, SYNC_GAP_DETAIL, SYNC_GAP_TEXTS };

struct sync_gap_entry {
  struct sync_gap gap;
  char *texts[SYNC_GAP_TEXTS];
  uint64_t era; /* of `first` and `last`, the numbers that are missing; 0: they are not known */
  uint64_t first;
  uint64_t last;
  bool replaying;    /* the event behind it was refused: what comes before that may close it */
  unsigned covered;  /* a bit for each cure under way that closes it */
  uint64_t revision; /* of the list, when it changed last */
};

/* Fields but `alloc` and `capacity` are for reading. */
struct sync_gap_list {
  const sync_allocator *alloc;
  struct sync_gap_entry *entries; /* oldest first */
  size_t count;
  size_t capacity;
  uint64_t last_number;
  uint64_t revision; /* of the last change */
  uint64_t unlisted; /* open gaps for which there was no memory */
};

/* Empty. Takes no memory. */
void sync_gap_list_init(struct sync_gap_list *list, const sync_allocator *alloc);
void sync_gap_list_fini(struct sync_gap_list *list);

/* Lists a copy of `entry` under a new number; NULL: no memory, and it is counted as unlisted. Entries may move. */
struct sync_gap_entry *sync_gap_list_add(struct sync_gap_list *list, struct sync_gap_entry entry);

/* Lists a gap under the number that it has, among the others as that wants it. */
void sync_gap_list_restore(struct sync_gap_list *list, const struct sync_gap *gap);

bool sync_gap_entry_is_open(const struct sync_gap_entry *entry);

/* The entry has changed; it is closed. */
void sync_gap_list_touch(struct sync_gap_list *list, struct sync_gap_entry *entry);
void sync_gap_list_close(struct sync_gap_list *list, struct sync_gap_entry *entry, enum sync_gap_cure cure,
                         int64_t now_ms);

/* What the `index`-th lacks behind `number` becomes a gap of its own. false: there is no room, and it stays one. */
bool sync_gap_list_split(struct sync_gap_list *list, size_t index, uint64_t number);

/* Open ones, those included that are not listed. */
uint64_t sync_gap_list_open_count(const struct sync_gap_list *list);

/* The next one that was added or changed since `*revision`, and moves that; NULL: none. */
const struct sync_gap *sync_gap_list_next_change(const struct sync_gap_list *list, uint64_t *revision);

/* A gap and its texts in one block, or NULL: no memory. */
struct sync_gap *sync_gap_copy(const sync_allocator *alloc, const struct sync_gap *gap);

#endif
