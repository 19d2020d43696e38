/* totals.c - the counters that go on from client to client, as long as they have the same journal. */
#include <string.h>

#include "keeper.h"

static const struct {
  const char *name;
  size_t offset;
} totals[SYNC_TOTALS] = {
    {"events", offsetof(sync_metrics, total_events)},
    {"connections", offsetof(sync_metrics, total_connections)},
    {"reconnects", offsetof(sync_metrics, total_reconnects)},
    {"bytes", offsetof(sync_metrics, total_bytes)},
    {"duplicates", offsetof(sync_metrics, duplicates)},
    {"redelivered", offsetof(sync_metrics, redelivered)},
    {"dead_letters", offsetof(sync_metrics, dead_letters)},
    {"failures", offsetof(sync_metrics, failures)},
    {"parse_errors", offsetof(sync_metrics, parse_errors)},
    {"polls", offsetof(sync_metrics, polls)},
    {"connected_ms", offsetof(sync_metrics, connected_ms)},
};

static uint64_t total(const struct sync_keeper *keeper, const sync_metrics *metrics, size_t index) {
  uint64_t now; /* connected_ms has a sign, but is never negative */
  memcpy(&now, (const char *)metrics + totals[index].offset, sizeof now);
  return keeper->totals_before[index] + now;
}

void sync_keeper_read_totals(struct sync_keeper *keeper) {
  for (size_t i = 0; i < SYNC_TOTALS; i++)
    keeper->totals_before[i] = sync_journal_total(keeper->journal, totals[i].name);
}

bool sync_keeper_write_totals(struct sync_keeper *keeper) {
  sync_metrics metrics;
  sync_client_metrics(keeper->client, &metrics);
  for (size_t i = 0; i < SYNC_TOTALS; i++)
    if (!sync_journal_put_total(keeper->journal, totals[i].name, total(keeper, &metrics, i))) return false;
  return true;
}

bool sync_client_total(const sync_client *client, size_t index, const char **name, uint64_t *value) {
  sync_metrics metrics;
  if (!client->keeper || index >= SYNC_TOTALS) return false;
  sync_client_metrics(client, &metrics);
  *name = totals[index].name;
  *value = total(client->keeper, &metrics, index);
  return true;
}
