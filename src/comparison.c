/*
 * comparison.c - mode compare: tells the host, in the order in which it happened, what the stream says of the orders,
 * when polls are asked, and what they list. What follows from that is the host's to say.
 */
#include "client.h"

bool sync_comparison_is_on(const sync_client *client) {
  return client->options.mode == SYNC_MODE_COMPARE;
}

/* The time is the loop's and fresh: a host that is slow to take its items must not take them for late. */
static bool tell(sync_client *client, sync_item_kind kind, const struct sync_change *change) {
  static const sync_span deletion = {"order_deleted", sizeof "order_deleted" - 1};
  struct sync_sse_message message = {.type = {"", 0}};
  struct sync_envelope envelope = {.whole = true};
  if (change) {
    message.data = change->patch;
    envelope.order_id = change->order_id;
    if (change->deleted) envelope.type = deletion;
  }
  int64_t now_ms = sync_loop_clock_ms(client->loop);
  sync_event *event = sync_event_new(&client->segments, &message, &envelope, 0, now_ms);
  if (!event) return false;
  if (sync_queue_push(&client->queue, (struct sync_entry){.kind = kind, .event = event})) {
    sync_client_mark_ready(client);
    return true;
  }
  sync_event_release(event);
  return false;
}

bool sync_comparison_hear(sync_client *client, const struct sync_change *change) {
  return tell(client, SYNC_ITEM_HEARD, change);
}

void sync_comparison_ask(sync_client *client) {
  client->poll.compared = sync_comparison_is_on(client) && tell(client, SYNC_ITEM_ASKED, NULL);
}

/* While the stream is held back there may be any number of events that are older than this snapshot: it proves
 * nothing. A poll that is not listed to its end counts as none. */
void sync_comparison_begin(sync_client *client) {
  struct sync_poll *poll = &client->poll;
  poll->compared = poll->compared && !sync_stream_is_paused(client->stream);
}

void sync_comparison_list(sync_client *client, const struct sync_change *order) {
  struct sync_poll *poll = &client->poll;
  poll->compared = poll->compared && tell(client, SYNC_ITEM_LISTED, order);
}

void sync_comparison_end(sync_client *client) {
  if (client->poll.compared) (void)tell(client, SYNC_ITEM_LISTED, NULL);
  client->poll.compared = false;
}
