/* delivery.c - what a host takes: items, and who they are for; the history; health and metrics. */
#include "client.h"
#include "keeper.h"
#include "options.h"

/* ---- items ------------------------------------------------------------------------------------------------------- */

/* Finds the subscriptions that the event taken is for. Without memory for more ids, those that fit are served: the
 * oldest subscriptions. */
static void match_current(sync_client *client) {
  const struct sync_entry *current = &client->current;
  if (current->only && current->changes == (uint32_t)client->interest.changes)
    sync_interest_match_only(&client->interest, current->only, &client->match);
  else
    (void)sync_interest_match(&client->interest, sync_event_text(current->event, SYNC_EVENT_TYPE),
                              sync_event_text(current->event, SYNC_EVENT_ORDER_ID), &client->match);
}

static void take_sample(sync_client *client) {
  if (client->current.event != client->sample) return;
  sync_latency_add(&client->latency, sync_loop_clock_us() - client->sample_at_us);
  client->sample = NULL;
}

static bool is_signal(sync_item_kind kind) {
  return kind == SYNC_ITEM_STATE || kind == SYNC_ITEM_ERROR || kind == SYNC_ITEM_POLLED || kind == SYNC_ITEM_GAP;
}

bool sync_client_next(sync_client *client, sync_item *item) {
  if (!sync_loop_ours(client->loop)) return false;
  struct sync_entry *current = &client->current;
  if (current->kind == SYNC_ITEM_EVENT) sync_keeper_finish(client, current->event);
  sync_entry_fini(client->alloc, current);
  sync_match_clear(&client->match);
  if (!sync_queue_pop(&client->queue, current)) {
    *current = (struct sync_entry){.kind = SYNC_ITEM_ASK};
    sync_keeper_settle(client);
    sync_link_remove(&client->ready_link);
    if (sync_link_alone(&client->loop->ready)) sync_loop_settle(client->loop);
    return false;
  }
  if (is_signal(current->kind)) client->signals--;
  *item = (sync_item){.kind = current->kind};
  switch (current->kind) {
  case SYNC_ITEM_STATE:
    item->from = current->from;
    item->to = current->to;
    item->resumed = current->resumed;
    break;
  case SYNC_ITEM_ERROR: item->failure = current->failure; break;
  case SYNC_ITEM_EVENT: sync_keeper_secure(client, current->event); match_current(client); /* fall through */
  case SYNC_ITEM_COMMENT:
    item->event = current->event;
    take_sample(client);
    break;
  case SYNC_ITEM_HEARD:
  case SYNC_ITEM_ASKED:
  case SYNC_ITEM_LISTED: item->event = current->event; break;
  case SYNC_ITEM_POLLED: item->poll = current->poll; break;
  case SYNC_ITEM_GAP: item->gap = current->gap; break;
  case SYNC_ITEM_ASK:
  case SYNC_ITEM_FETCH: break;
  }
  return true;
}

uint64_t sync_client_subscribe(sync_client *client, const sync_filter *filter) {
  return sync_loop_ours(client->loop) ? sync_interest_add(&client->interest, filter) : 0;
}

void sync_client_unsubscribe(sync_client *client, uint64_t subscription) {
  sync_interest_remove(&client->interest, subscription);
}

uint64_t sync_client_subscriber(sync_client *client) {
  return sync_interest_next(&client->interest, &client->match);
}

void sync_client_route(sync_client *client, sync_span type, sync_span order_id) {
  sync_match_clear(&client->match);
  if (type.length || order_id.length) (void)sync_interest_match(&client->interest, type, order_id, &client->match);
}

void sync_client_want(sync_client *client, unsigned wants) {
  client->wants = wants;
  if (wants & SYNC_WANT_PULL)
    sync_link_remove(&client->ready_link);
  else if (client->queue.count > 0)
    sync_client_mark_ready(client);
}

sync_event *sync_client_history(const sync_client *client, size_t age) {
  sync_event *event = sync_history_get(&client->history, age);
  if (event) sync_event_complete(event, &client->names, client->options.decode);
  return event;
}

/* ---- health and metrics ------------------------------------------------------------------------------------------ */

void sync_client_health(const sync_client *client, sync_health *health) {
  const struct sync_connection *connection = &client->connection;
  int64_t now_ms = sync_loop_clock_ms(client->loop);
  bool open = connection->phase == SYNC_PHASE_OPEN, waits = connection->phase == SYNC_PHASE_WAITING;
  *health = (sync_health){
      .state = client->state,
      .last_failure = client->failure,
      .uptime_ms = open ? now_ms - connection->opened_at_ms : 0,
      .data_age_ms = connection->heard_at_ms > 0 ? now_ms - connection->heard_at_ms : -1,
      .last_connected_at_ms = client->connected_at_ms,
      .next_retry_at_ms = waits ? client->failure.next_retry_at_ms : 0,
      .idle_timeout_ms = sync_connection_idle_timeout_ms(connection),
      .failed_polls = client->poll.poller.failures,
      .total_events = client->counters.totals.total_events,
      .total_reconnects = client->counters.totals.total_reconnects,
      .latency_p50_ms = sync_latency_quantile_us(&client->latency, 0.50) / 1000,
      .latency_p99_ms = sync_latency_quantile_us(&client->latency, 0.99) / 1000,
      .last_event_id = sync_client_resume_id(client),
      .open_gaps = sync_gaps_open_count(&client->gaps),
      .complete = sync_cures_are_complete(client),
  };
  sync_keeper_health(client, health);
}

void sync_client_metrics(const sync_client *client, sync_metrics *metrics) {
  *metrics = client->counters.totals;
  metrics->queue_depth = client->queue.count;
  metrics->queue_peak = client->queue.peak;
  if (client->connection.phase == SYNC_PHASE_OPEN)
    metrics->connected_ms += sync_loop_clock_ms(client->loop) - client->connected_since_ms;
  if (client->poll.poller.regular) metrics->polling_ms += sync_loop_clock_ms(client->loop) - client->polling_since_ms;
}

bool sync_client_type_count(const sync_client *client, size_t index, sync_span *type, uint64_t *count) {
  return sync_counters_type(&client->counters, index, type, count);
}
