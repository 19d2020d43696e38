/* metrics.c - counters of one client. */
#include "metrics.h"

#include <math.h>

void sync_counters_init(struct sync_counters *counters, const sync_allocator *alloc) {
  *counters = (struct sync_counters){.totals = {.total_events = 0}};
  sync_map_init(&counters->types, alloc);
}

void sync_counters_fini(struct sync_counters *counters) {
  sync_map_fini(&counters->types);
}

void sync_counters_type_seen(struct sync_counters *counters, sync_span type) {
  static const sync_span other = {"(other)", 7};
  union sync_map_value *count = sync_map_find(&counters->types, type);
  if (!count) count = sync_map_put(&counters->types, counters->types.count < SYNC_METRICS_TYPES_MAX ? type : other);
  if (count) count->number++;
}

bool sync_counters_type(const struct sync_counters *counters, size_t index, sync_span *type, uint64_t *count) {
  size_t cursor = 0;
  union sync_map_value *value = sync_map_each(&counters->types, &cursor, type);
  while (value && index-- > 0) value = sync_map_each(&counters->types, &cursor, type);
  if (value) *count = value->number;
  return value != NULL;
}

void sync_latency_add(struct sync_latency *latency, int64_t took_us) {
  int bucket = took_us < 1 ? 0 : (int)(log2((double)took_us) * 2) + 1;
  latency->buckets[bucket < SYNC_LATENCY_BUCKETS ? bucket : SYNC_LATENCY_BUCKETS - 1]++;
  latency->count++;
}

double sync_latency_quantile_us(const struct sync_latency *latency, double share) {
  double wanted = share * (double)latency->count, seen = 0;
  if (latency->count == 0) return 0;
  int bucket = 0;
  while (bucket < SYNC_LATENCY_BUCKETS - 1 && (seen += latency->buckets[bucket]) < wanted) bucket++;
  return exp2(bucket / 2.0);
}
