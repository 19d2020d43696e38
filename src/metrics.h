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

/* How long something takes, as a histogram: bucket i counts what took less than 2^(i/2) microseconds. Quantiles are
 * right to a factor of the square root of two, up to a quarter of an hour. */
#define SYNC_LATENCY_BUCKETS 60

struct sync_latency {
  uint32_t buckets[SYNC_LATENCY_BUCKETS];
  uint64_t count;
};

void sync_latency_add(struct sync_latency *latency, int64_t took_us);

/* The time that `share` (0 to 1) of all stayed below, in microseconds; 0: nothing was counted. */
double sync_latency_quantile_us(const struct sync_latency *latency, double share);

void sync_counters_init(struct sync_counters *counters, const sync_allocator *alloc);
void sync_counters_fini(struct sync_counters *counters);

/* Counts an event of this type. Never fails: without memory for a new type it goes uncounted here. */
void sync_counters_type_seen(struct sync_counters *counters, sync_span type);

/* The `index`-th type and its count; false: no such index. */
bool sync_counters_type(const struct sync_counters *counters, size_t index, sync_span *type, uint64_t *count);

#endif
