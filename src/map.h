/*
 * map.h - a hash table from texts to words, for order ids and event types. Keys are copied.
 */
#ifndef SYNC_MAP_H
#define SYNC_MAP_H

#include "alloc.h"

union sync_map_value {
  void *pointer;
  uint64_t number;
};

struct sync_map_slot;

struct sync_map {
  const sync_allocator *alloc;
  struct sync_map_slot *slots;
  size_t capacity; /* a power of two, or 0 */
  size_t count;
};

void sync_map_init(struct sync_map *map, const sync_allocator *alloc);

/* Frees the table and its keys; values are the owner's. */
void sync_map_fini(struct sync_map *map);

/* A key's hash, for those who look one key up in several maps. */
uint64_t sync_map_hash(sync_span key);

/* The value at `key`, or NULL. Valid until the next put or remove, as below. */
union sync_map_value *sync_map_find(const struct sync_map *map, sync_span key);
union sync_map_value *sync_map_find_hashed(const struct sync_map *map, sync_span key, uint64_t hash);

/* The value at `key`, made zero if it is new; NULL: no memory. */
union sync_map_value *sync_map_put(struct sync_map *map, sync_span key);

/* Forgets `key`, if it is there. */
void sync_map_remove(struct sync_map *map, sync_span key);

/* Walks the entries: from `*cursor` (0 at first) to the next one, in no order; NULL: that was all. */
union sync_map_value *sync_map_each(const struct sync_map *map, size_t *cursor, sync_span *key);

#endif
