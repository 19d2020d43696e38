/* recent.c - the last events seen: a ring, and open addressing with linear probing to find what is in it. */
#include "recent.h"

#include <string.h>

#define FIRST_CAPACITY 16u

/* A place of the table that says which one of the ring is there. */
static size_t home_of(const struct sync_recent *recent, uint64_t fingerprint) {
  return (fingerprint >> 1) & (recent->capacity * 2 - 1);
}

static size_t after(const struct sync_recent *recent, size_t place) {
  return (place + 1) & (recent->capacity * 2 - 1);
}

/* The place of `fingerprint`, or the free one where it would go. Half the table is always free. */
static size_t locate(const struct sync_recent *recent, uint64_t fingerprint) {
  size_t place = home_of(recent, fingerprint);
  while (recent->table[place] && recent->ring[recent->table[place] - 1] != fingerprint) place = after(recent, place);
  return place;
}

void sync_recent_init(struct sync_recent *recent, const sync_allocator *alloc, size_t limit) {
  *recent = (struct sync_recent){.alloc = alloc, .limit = limit < SYNC_RECENT_MAX ? limit : SYNC_RECENT_MAX};
}

void sync_recent_fini(struct sync_recent *recent) {
  sync_alloc_free(recent->alloc, recent->ring);
  sync_alloc_free(recent->alloc, recent->table);
  sync_recent_init(recent, recent->alloc, recent->limit);
}

/* One more word, after MurmurHash64A: each step can be undone, so two texts that differ in a word only meet again by a
 * later difference that looks as random. A table's hash will not do: a table compares its keys in the end. */
static uint64_t absorb(uint64_t print, uint64_t word) {
  const uint64_t odd = 0xc6a4a7935bd1e995u;
  word *= odd;
  word ^= word >> 47;
  word *= odd;
  return (print ^ word) * odd;
}

/* Its length, then eight bytes at a time, the last of them filled up with zeros. */
static uint64_t absorb_text(uint64_t print, sync_span text) {
  const char *at = text.bytes;
  uint64_t word;
  print = absorb(print, text.length);
  for (size_t whole = text.length / sizeof word; whole > 0; whole--, at += sizeof word) {
    memcpy(&word, at, sizeof word);
    print = absorb(print, word);
  }
  if (text.length % sizeof word == 0) return print;
  word = 0;
  memcpy(&word, at, text.length % sizeof word);
  return absorb(print, word);
}

uint64_t sync_recent_fingerprint(sync_span id, sync_span type, sync_span data) {
  uint64_t print = absorb_text(absorb_text(absorb_text(0, id), type), data);
  print = absorb(print ^ print >> 47, 0);
  return (print ^ print >> 47) | 1;
}

bool sync_recent_has(const struct sync_recent *recent, uint64_t fingerprint) {
  return recent->count > 0 && recent->table[locate(recent, fingerprint)] != 0;
}

/* Frees a place; what was pushed on by it moves back, so that it is still found. */
static void vacate(struct sync_recent *recent, size_t hole) {
  recent->table[hole] = 0;
  for (size_t place = after(recent, hole); recent->table[place]; place = after(recent, place)) {
    size_t home = home_of(recent, recent->ring[recent->table[place] - 1]);
    bool stays = hole < place ? home > hole && home <= place : home > hole || home <= place;
    if (stays) continue;
    recent->table[hole] = recent->table[place];
    recent->table[place] = 0;
    hole = place;
  }
}

/* In the ring, what was taken has left a 0. */
static void forget_oldest(struct sync_recent *recent) {
  uint64_t oldest = recent->ring[(recent->next - recent->count) & (recent->capacity - 1)];
  if (oldest) vacate(recent, locate(recent, oldest));
  recent->count--;
}

bool sync_recent_take(struct sync_recent *recent, uint64_t fingerprint) {
  if (!sync_recent_has(recent, fingerprint)) return false;
  size_t place = locate(recent, fingerprint);
  size_t index = recent->table[place] - 1;
  vacate(recent, place);
  recent->ring[index] = 0;
  return true;
}

static void append(struct sync_recent *recent, uint64_t fingerprint) {
  size_t place = locate(recent, fingerprint);
  recent->ring[recent->next] = fingerprint;
  recent->table[place] = (uint32_t)recent->next + 1;
  recent->next = (recent->next + 1) & (recent->capacity - 1);
  recent->count++;
}

/* Twice the room; false: no memory, and everything is as it was. */
static bool grow(struct sync_recent *recent) {
  struct sync_recent larger = {.alloc = recent->alloc, .limit = recent->limit};
  larger.capacity = recent->capacity ? recent->capacity * 2 : FIRST_CAPACITY;
  larger.ring = sync_alloc_zeroed(recent->alloc, larger.capacity * sizeof *larger.ring);
  larger.table = sync_alloc_zeroed(recent->alloc, larger.capacity * 2 * sizeof *larger.table);
  if (!larger.ring || !larger.table) {
    sync_recent_fini(&larger);
    return false;
  }
  for (size_t left = recent->count; left > 0; left--) {
    uint64_t fingerprint = recent->ring[(recent->next - left) & (recent->capacity - 1)];
    if (fingerprint) append(&larger, fingerprint);
  }
  sync_recent_fini(recent);
  *recent = larger;
  return true;
}

void sync_recent_add(struct sync_recent *recent, uint64_t fingerprint) {
  if (recent->limit == 0 || sync_recent_has(recent, fingerprint)) return;
  if (recent->count == recent->limit) forget_oldest(recent);
  if (recent->count == recent->capacity && !grow(recent)) {
    if (recent->capacity == 0) return;
    forget_oldest(recent);
  }
  append(recent, fingerprint);
}

void sync_recent_resize(struct sync_recent *recent, size_t limit) {
  recent->limit = limit < SYNC_RECENT_MAX ? limit : SYNC_RECENT_MAX;
  while (recent->count > recent->limit) forget_oldest(recent);
}
