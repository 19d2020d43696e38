/* held.c - a sorted list that mostly grows at its end and shrinks at its front. */
#include "held.h"

#include <string.h>

#define FIRST_CAPACITY 8u

void sync_held_init(struct sync_held *held, const sync_allocator *alloc) {
  *held = (struct sync_held){.alloc = alloc};
}

void sync_held_fini(struct sync_held *held) {
  for (size_t i = held->first; i < held->end; i++) sync_event_release(held->list[i].event);
  sync_alloc_free(held->alloc, held->list);
  sync_held_init(held, held->alloc);
}

size_t sync_held_count(const struct sync_held *held) {
  return held->end - held->first;
}

sync_event *sync_held_get(const struct sync_held *held, size_t index) {
  return index < sync_held_count(held) ? held->list[held->first + index].event : NULL;
}

/* Where `seq` is, or belongs. */
static size_t place_of(const struct sync_held *held, uint64_t seq) {
  size_t low = held->first, high = held->end;
  while (low < high) {
    size_t middle = low + (high - low) / 2;
    if (held->list[middle].seq < seq)
      low = middle + 1;
    else
      high = middle;
  }
  return low;
}

static bool is_at(const struct sync_held *held, size_t place, uint64_t seq) {
  return place < held->end && held->list[place].seq == seq;
}

bool sync_held_has(const struct sync_held *held, uint64_t seq) {
  return is_at(held, place_of(held, seq), seq);
}

static void move(struct sync_held *held, size_t to, size_t from) {
  memmove(held->list + to, held->list + from, (held->end - from) * sizeof *held->list);
}

static bool make_room(struct sync_held *held) {
  if (held->end < held->capacity) return true;
  if (held->first > held->capacity / 2) {
    move(held, 0, held->first);
    held->end -= held->first;
    held->first = 0;
    return true;
  }
  size_t capacity = held->capacity ? held->capacity * 2 : FIRST_CAPACITY;
  struct sync_held_event *list = sync_alloc_resize(held->alloc, held->list, capacity * sizeof *list);
  if (!list) return false;
  held->list = list;
  held->capacity = capacity;
  return true;
}

bool sync_held_add(struct sync_held *held, sync_event *event) {
  uint64_t seq = sync_event_seq(event);
  if (!make_room(held)) return false;
  size_t place = place_of(held, seq);
  if (is_at(held, place, seq)) return true;
  move(held, place + 1, place);
  held->end++;
  held->list[place] = (struct sync_held_event){seq, event};
  sync_event_retain(event);
  return true;
}

bool sync_held_remove(struct sync_held *held, uint64_t seq) {
  size_t place = place_of(held, seq);
  if (!is_at(held, place, seq)) return false;
  sync_event_release(held->list[place].event);
  if (place == held->first) {
    held->first++;
    return true;
  }
  move(held, place, place + 1);
  held->end--;
  return true;
}
