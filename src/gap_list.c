/* gap_list.c - the gaps that are listed: room for them, and their texts. */
#include "gap_list.h"

#include <string.h>

#include "span.h"

#define FIRST_CAPACITY 8u

const char *sync_gap_reason_name(enum sync_gap_reason reason) {
  static const char *const names[] = {"ids", "epoch", "hub", "resync", "no_replay"};
  return names[reason];
}

const char *sync_gap_cure_name(enum sync_gap_cure cure) {
  static const char *const names[] = {"open", "replay", "order", "snapshot", "given_up"};
  return names[cure];
}

/* ---- entries ----------------------------------------------------------------------------------------------------- */

bool sync_gap_entry_is_open(const struct sync_gap_entry *entry) {
  return entry->gap.cure == SYNC_CURE_NONE;
}

void sync_gap_list_touch(struct sync_gap_list *list, struct sync_gap_entry *entry) {
  entry->revision = ++list->revision;
}

static sync_span *text_of(struct sync_gap *gap, enum sync_gap_text text) {
  sync_span *const texts[] = {&gap->after_id, &gap->before_id, &gap->order_id, &gap->detail};
  return texts[text];
}

static void clear_text(struct sync_gap_list *list, struct sync_gap_entry *entry, enum sync_gap_text text) {
  sync_alloc_free(list->alloc, entry->texts[text]);
  entry->texts[text] = NULL;
  *text_of(&entry->gap, text) = (sync_span){"", 0};
}

/* A gap is told without its texts rather than not at all. */
static void copy_texts(struct sync_gap_list *list, struct sync_gap_entry *entry) {
  for (enum sync_gap_text text = SYNC_GAP_AFTER; text < SYNC_GAP_TEXTS; text++) {
    sync_span *span = text_of(&entry->gap, text);
    bool fits = span->length > 0 && span->length <= SYNC_GAP_TEXT_MAX;
    entry->texts[text] = fits ? sync_alloc_text(list->alloc, *span) : NULL;
    *span = entry->texts[text] ? (sync_span){entry->texts[text], span->length} : (sync_span){"", 0};
  }
}

static void drop(struct sync_gap_list *list, struct sync_gap_entry *entry) {
  size_t behind = list->count - (size_t)(entry - list->entries) - 1;
  for (enum sync_gap_text text = SYNC_GAP_AFTER; text < SYNC_GAP_TEXTS; text++) clear_text(list, entry, text);
  memmove(entry, entry + 1, behind * sizeof *entry);
  list->count--;
}

static bool drop_oldest_closed(struct sync_gap_list *list) {
  for (size_t i = 0; i < list->count; i++) {
    if (sync_gap_entry_is_open(&list->entries[i])) continue;
    drop(list, &list->entries[i]);
    return true;
  }
  return false;
}

static uint64_t sum_of_missing(uint64_t a, uint64_t b) {
  return a == 0 || b == 0 || a > UINT64_MAX - b ? 0 : a + b;
}

/* The two oldest become one, which keeps the first one's number and reason; what it lacks cannot be told by number any
 * more. */
static void merge_oldest(struct sync_gap_list *list) {
  struct sync_gap_entry *into = &list->entries[0], *from = &list->entries[1];
  clear_text(list, into, SYNC_GAP_BEFORE);
  into->texts[SYNC_GAP_BEFORE] = from->texts[SYNC_GAP_BEFORE];
  into->gap.before_id = from->gap.before_id;
  from->texts[SYNC_GAP_BEFORE] = NULL;
  if (!sync_span_same(into->gap.order_id, from->gap.order_id)) clear_text(list, into, SYNC_GAP_ORDER);
  into->gap.through = from->gap.through;
  into->gap.missing = sum_of_missing(into->gap.missing, from->gap.missing);
  into->covered &= from->covered;
  into->era = 0;
  into->replaying = false;
  sync_gap_list_touch(list, into);
  drop(list, from);
}

static bool grow(struct sync_gap_list *list) {
  size_t capacity = list->capacity ? list->capacity * 2 : FIRST_CAPACITY;
  struct sync_gap_entry *entries = sync_alloc_resize(list->alloc, list->entries, capacity * sizeof *entries);
  if (!entries) return false;
  list->entries = entries;
  list->capacity = capacity;
  return true;
}

/* Room for one more; false: no memory, and every gap that is listed is open. */
static bool make_room(struct sync_gap_list *list) {
  if (list->count == SYNC_GAPS_MAX && !drop_oldest_closed(list)) merge_oldest(list);
  return list->count < list->capacity || grow(list) || drop_oldest_closed(list);
}

/* Lists a copy of `entry`, whose gap's texts are somebody else's; NULL: no memory. */
static struct sync_gap_entry *add(struct sync_gap_list *list, const struct sync_gap_entry *entry) {
  if (!make_room(list)) {
    if (sync_gap_entry_is_open(entry)) list->unlisted++;
    return NULL;
  }
  struct sync_gap_entry *listed = &list->entries[list->count++];
  *listed = *entry;
  copy_texts(list, listed);
  return listed;
}

struct sync_gap_entry *sync_gap_list_add(struct sync_gap_list *list, struct sync_gap_entry entry) {
  entry.gap.number = entry.gap.through = list->last_number + 1;
  struct sync_gap_entry *listed = add(list, &entry);
  if (!listed) return NULL;
  list->last_number++;
  sync_gap_list_touch(list, listed);
  return listed;
}

void sync_gap_list_close(struct sync_gap_list *list, struct sync_gap_entry *entry, enum sync_gap_cure cure,
                         int64_t now_ms) {
  entry->gap.cure = cure;
  entry->gap.closed_at_ms = now_ms;
  entry->replaying = false;
  sync_gap_list_touch(list, entry);
}

/* Never at the price of another gap. */
bool sync_gap_list_split(struct sync_gap_list *list, size_t index, uint64_t number) {
  if (list->count == SYNC_GAPS_MAX || (list->count == list->capacity && !grow(list))) return false;
  struct sync_gap_entry *whole = &list->entries[index], rest = *whole;
  rest.first = number + 1;
  rest.gap.missing = rest.last - number;
  whole->last = number - 1;
  whole->gap.missing = number - whole->first;
  sync_gap_list_touch(list, whole);
  (void)sync_gap_list_add(list, rest);
  return true;
}

/* Where its number wants it: a journal that could not be opened at first tells late of what was before. */
static void move_to_place(struct sync_gap_list *list, size_t from) {
  size_t to = from;
  const struct sync_gap_entry entry = list->entries[from];
  while (to > 0 && list->entries[to - 1].gap.number > entry.gap.number) to--;
  memmove(&list->entries[to + 1], &list->entries[to], (from - to) * sizeof entry);
  list->entries[to] = entry;
}

void sync_gap_list_restore(struct sync_gap_list *list, const struct sync_gap *gap) {
  const struct sync_gap_entry entry = {.gap = *gap};
  uint64_t through = gap->through > gap->number ? gap->through : gap->number;
  if (through > list->last_number) list->last_number = through;
  struct sync_gap_entry *listed = add(list, &entry);
  if (!listed) return;
  listed->gap.through = through;
  sync_gap_list_touch(list, listed);
  move_to_place(list, list->count - 1);
}

/* ---- what there is ----------------------------------------------------------------------------------------------- */

uint64_t sync_gap_list_open_count(const struct sync_gap_list *list) {
  uint64_t count = list->unlisted;
  for (size_t i = 0; i < list->count; i++) count += sync_gap_entry_is_open(&list->entries[i]);
  return count;
}

const struct sync_gap *sync_gap_list_next_change(const struct sync_gap_list *list, uint64_t *revision) {
  const struct sync_gap_entry *next = NULL;
  if (*revision == list->revision) return NULL;
  for (size_t i = 0; i < list->count; i++) {
    const struct sync_gap_entry *entry = &list->entries[i];
    if (entry->revision > *revision && (!next || entry->revision < next->revision)) next = entry;
  }
  *revision = next ? next->revision : list->revision;
  return next ? &next->gap : NULL;
}

struct sync_gap *sync_gap_copy(const sync_allocator *alloc, const struct sync_gap *gap) {
  struct sync_gap copy = *gap;
  size_t bytes = sizeof copy;
  for (enum sync_gap_text text = SYNC_GAP_AFTER; text < SYNC_GAP_TEXTS; text++) bytes += text_of(&copy, text)->length;
  struct sync_gap *block = sync_alloc_resize(alloc, NULL, bytes);
  if (!block) return NULL;
  char *at = (char *)(block + 1);
  for (enum sync_gap_text text = SYNC_GAP_AFTER; text < SYNC_GAP_TEXTS; text++) {
    sync_span *span = text_of(&copy, text);
    if (span->length > 0) memcpy(at, span->bytes, span->length);
    span->bytes = at;
    at += span->length;
  }
  *block = copy;
  return block;
}

/* ---- made and ended ---------------------------------------------------------------------------------------------- */

void sync_gap_list_init(struct sync_gap_list *list, const sync_allocator *alloc) {
  *list = (struct sync_gap_list){.alloc = alloc};
}

void sync_gap_list_fini(struct sync_gap_list *list) {
  while (list->count > 0) drop(list, &list->entries[list->count - 1]);
  sync_alloc_free(list->alloc, list->entries);
  sync_gap_list_init(list, list->alloc);
}
