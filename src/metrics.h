/*
 * metrics.h - counters of one client, and events by type.
 */
#ifndef SYNC_METRICS_H
#define SYNC_METRICS_H

#include "map.h"

/* Types are the server's words: more of them than this are counted together as "(other)". */
#define SYNC_METRICS_TYPES_MAX 64u

struct sync_counters {
  sync_metrics totals;
  struct sync_map types; /* values: numbers */
};

void sync_counters_init(struct sync_counters *counters, const sync_allocator *alloc);
void sync_counters_fini(struct sync_counters *counters);

/* Counts an event of this type. Never fails: without memory for a new type it goes uncounted here. */
void sync_counters_type_seen(struct sync_counters *counters, sync_span type);

/* The `index`-th type and its count; false: no such index. */
bool sync_counters_type(const struct sync_counters *counters, size_t index, sync_span *type, uint64_t *count);

#endif
