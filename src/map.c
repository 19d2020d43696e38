/* map.c - open addressing with linear probing; removal shifts back what follows, so there are no tombstones. */
#include "map.h"

#include <string.h>

#define MAP_FIRST_SLOTS 8u

struct sync_map_slot {
  char *key; /* NULL: free */
  size_t length;
  uint64_t hash;
  union sync_map_value value;
};

static uint64_t load(const char *at, size_t bytes) {
  uint64_t word = 0;
  memcpy(&word, at, bytes);
  return word;
}

/* Every bit of the result depends on every bit of `hash`: ids that differ in a digit differ in the low bits as well. */
static uint64_t mix(uint64_t hash) {
  hash = (hash ^ hash >> 32) * 0xd6e8feb86659fd93u;
  hash = (hash ^ hash >> 32) * 0xd6e8feb86659fd93u;
  return hash ^ hash >> 32;
}

/* The first and the last eight bytes of a short key, which may overlap: two loads and two multiplications side by side.
 * Longer keys go on in between. Keys are put by the host and looked up by what the server sends: a server can make a
 * look-up miss, not make the table degenerate. */
uint64_t sync_map_hash(sync_span key) {
  const uint64_t odd = 0x9e3779b97f4a7c15u, other = 0xc2b2ae3d27d4eb4fu;
  const char *end = key.bytes + key.length;
  uint64_t first, last = key.length;
  if (key.length >= 8) {
    first = load(key.bytes, 8);
    last ^= load(end - 8, 8);
  } else if (key.length >= 4) {
    first = load(key.bytes, 4) | load(end - 4, 4) << 32;
  } else {
    first = key.length ? load(key.bytes, 1) | load(key.bytes + key.length / 2, 1) << 8 | load(end - 1, 1) << 16 : 0;
  }
  uint64_t hash = first * odd ^ last * other;
  for (const char *at = key.bytes + 8; end - at > 8; at += 8) hash = (hash ^ hash >> 29 ^ load(at, 8)) * odd;
  return mix(hash);
}

static bool slot_has(const struct sync_map_slot *slot, uint64_t hash, sync_span key) {
  return slot->hash == hash && slot->length == key.length && memcmp(slot->key, key.bytes, key.length) == 0;
}

/* The slot of `key`, or the free one where it would go. The table always has a free slot. */
static struct sync_map_slot *locate(const struct sync_map *map, uint64_t hash, sync_span key) {
  size_t mask = map->capacity - 1, index = hash & mask;
  while (map->slots[index].key && !slot_has(&map->slots[index], hash, key)) index = (index + 1) & mask;
  return &map->slots[index];
}

/* Twice the room, so that at most three quarters are taken. */
static bool grow(struct sync_map *map) {
  struct sync_map larger = {.alloc = map->alloc, .capacity = map->capacity ? map->capacity * 2 : MAP_FIRST_SLOTS};
  larger.slots = sync_alloc_zeroed(map->alloc, larger.capacity * sizeof *larger.slots);
  if (!larger.slots) return false;
  for (size_t index = 0; index < map->capacity; index++) {
    struct sync_map_slot *slot = &map->slots[index];
    if (slot->key) *locate(&larger, slot->hash, (sync_span){slot->key, slot->length}) = *slot;
  }
  sync_alloc_free(map->alloc, map->slots);
  map->slots = larger.slots;
  map->capacity = larger.capacity;
  return true;
}

void sync_map_init(struct sync_map *map, const sync_allocator *alloc) {
  *map = (struct sync_map){.alloc = alloc};
}

void sync_map_fini(struct sync_map *map) {
  for (size_t index = 0; index < map->capacity; index++) sync_alloc_free(map->alloc, map->slots[index].key);
  sync_alloc_free(map->alloc, map->slots);
  sync_map_init(map, map->alloc);
}

union sync_map_value *sync_map_find_hashed(const struct sync_map *map, sync_span key, uint64_t hash) {
  if (map->count == 0) return NULL;
  struct sync_map_slot *slot = locate(map, hash, key);
  return slot->key ? &slot->value : NULL;
}

union sync_map_value *sync_map_find(const struct sync_map *map, sync_span key) {
  return map->count == 0 ? NULL : sync_map_find_hashed(map, key, sync_map_hash(key));
}

union sync_map_value *sync_map_put(struct sync_map *map, sync_span key) {
  union sync_map_value *found = sync_map_find(map, key);
  if (found) return found;
  if ((map->count + 1) * 4 > map->capacity * 3 && !grow(map)) return NULL;
  char *copy = sync_alloc_text(map->alloc, key);
  if (!copy) return NULL;
  uint64_t hash = sync_map_hash(key);
  struct sync_map_slot *slot = locate(map, hash, key);
  *slot = (struct sync_map_slot){.key = copy, .length = key.length, .hash = hash};
  map->count++;
  return &slot->value;
}

void sync_map_remove(struct sync_map *map, sync_span key) {
  if (map->count == 0) return;
  struct sync_map_slot *slot = locate(map, sync_map_hash(key), key);
  if (!slot->key) return;
  sync_alloc_free(map->alloc, slot->key);
  map->count--;
  size_t mask = map->capacity - 1, hole = (size_t)(slot - map->slots);
  for (size_t index = (hole + 1) & mask; map->slots[index].key; index = (index + 1) & mask) {
    size_t home = map->slots[index].hash & mask;
    if (((index - home) & mask) < ((index - hole) & mask)) continue; /* it may not move before its home */
    map->slots[hole] = map->slots[index];
    hole = index;
  }
  map->slots[hole] = (struct sync_map_slot){.key = NULL};
}

union sync_map_value *sync_map_each(const struct sync_map *map, size_t *cursor, sync_span *key) {
  while (*cursor < map->capacity) {
    struct sync_map_slot *slot = &map->slots[(*cursor)++];
    if (!slot->key) continue;
    *key = (sync_span){slot->key, slot->length};
    return &slot->value;
  }
  return NULL;
}
