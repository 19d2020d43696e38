/*
 * intake.c - what the exchange brings: the response's head, bytes, its end; and what the parser makes of the bytes.
 *
 * Runs inside curl's callbacks: nothing here calls the host, or starts or aborts an exchange.
 */
#include <string.h>

#include "client.h"
#include "error.h"

/* How much of a bad event is shown. */
#define SHOWN_BYTES 200

/* Looking at the clock costs as much as reading a small event; a budget is kept well enough by looking now and then. */
#define MESSAGES_A_LOOK 8u

/* ---- messages ---------------------------------------------------------------------------------------------------- */

static bool is_heartbeat(sync_span type) {
  return type.length == 9 && memcmp(type.bytes, "heartbeat", 9) == 0;
}

/* Whether the parser may go on to the next message. */
static bool may_go_on(sync_client *client) {
  if (client->starved || sync_queue_full(&client->queue)) return false;
  return ++client->since_look % MESSAGES_A_LOOK != 0 || !sync_loop_over_budget(client->loop);
}

/* The cursor moves to `event`: a later shortage of memory resumes behind it. */
static void move_cursor(sync_client *client, sync_event *event) {
  if (client->latest) sync_event_release(client->latest);
  sync_event_retain(event);
  client->latest = event;
}

static bool queue_event(sync_client *client, sync_item_kind kind, sync_event *event, uint64_t only) {
  struct sync_entry entry = {.kind = kind, .changes = (uint32_t)client->interest.changes, .only = only, .event = event};
  if (!sync_queue_push(&client->queue, entry)) return false;
  sync_event_retain(event);
  sync_client_mark_ready(client);
  if (!client->sample) { /* one at a time: a clock for every event would cost more than queueing it */
    client->sample = event;
    client->sample_at_us = sync_loop_clock_us();
  }
  return true;
}

/* `connected` and `heartbeat` are not order events. The history may miss an event when memory is short; delivery does
 * not depend on it. */
static void count_event(sync_client *client, sync_span type, sync_event *event) {
  sync_counters_type_seen(&client->counters, type);
  if (sync_interest_must_name(type)) return;
  client->counters.totals.total_events++;
  (void)sync_history_add(&client->history, event);
}

/* Who wants an event. */
struct demand {
  bool wanted;
  uint64_t only; /* the one subscription that does; 0: look it up on delivery */
};

/* Names with JSON escapes can only be compared once the record has them in plain: such a rare event is queued, perhaps
 * in vain. */
static struct demand demand_for(const sync_client *client, const struct sync_envelope *envelope) {
  struct demand demand = {.wanted = envelope->type_escaped || envelope->order_id_escaped, .only = 0};
  if (demand.wanted) return demand;
  demand.wanted = sync_interest_wants(&client->interest, envelope->type, envelope->order_id, &demand.only);
  if ((client->wants & SYNC_WANT_EVERY_EVENT) && !sync_interest_must_name(envelope->type)) demand.wanted = true;
  return demand;
}

/* Without memory the event is not kept, the cursor stays before it, and the exchange ends: the server sends it again.
 */
static void keep_event(sync_client *client, const struct sync_sse_message *message,
                       const struct sync_envelope *envelope, const struct demand *demand) {
  sync_event *event = sync_event_new(&client->segments, message, envelope, client->seq + 1, client->chunk_at_ms);
  if (!event) {
    client->starved = true;
    return;
  }
  if (demand->wanted && !queue_event(client, SYNC_ITEM_EVENT, event, demand->only)) {
    client->starved = true;
  } else {
    client->seq++;
    move_cursor(client, event);
    count_event(client, sync_event_text(event, SYNC_EVENT_TYPE), event);
  }
  sync_event_release(event);
}

static void tell_bad_json(sync_client *client, const struct sync_sse_message *message, size_t at_byte) {
  int length = message->data.length < SHOWN_BYTES ? (int)message->data.length : SHOWN_BYTES;
  sync_failure failure;
  sync_failure_set(&failure, SYNC_EVENT_JSON,
                   "event id '%.*s' of type '%.*s', %zu bytes, is not JSON at byte %zu: %.*s", (int)message->id.length,
                   message->id.bytes, (int)message->type.length, message->type.bytes, message->data.length, at_byte + 1,
                   length, message->data.bytes);
  client->counters.totals.parse_errors++;
  sync_client_tell_failure(client, &failure);
}

static bool on_message(void *arg, const struct sync_sse_message *message) {
  sync_client *client = arg;
  sync_decode decode = client->options.decode;
  struct sync_envelope envelope;
  size_t at_byte = 0;
  bool sound = sync_event_look(&client->names, decode, message, &envelope, &at_byte);
  struct demand demand = {.wanted = false};
  if (sound) demand = demand_for(client, &envelope);
  if (demand.wanted) sound = sync_event_check(&client->names, decode, message, &envelope, &at_byte);
  if (!sound) {
    tell_bad_json(client, message, at_byte);
    return may_go_on(client);
  }
  if (is_heartbeat(envelope.type)) {
    client->counters.totals.heartbeats++;
    sync_connection_keepalive(&client->connection, sync_loop_now_ms(client->loop));
  }
  if (!sync_interest_must_name(envelope.type)) sync_connection_event(&client->connection);
  keep_event(client, message, &envelope, &demand);
  return may_go_on(client);
}

static bool on_comment(void *arg, sync_span text) {
  sync_client *client = arg;
  client->counters.totals.comments++;
  sync_connection_keepalive(&client->connection, sync_loop_now_ms(client->loop));
  if (!(client->wants & SYNC_WANT_COMMENTS)) return true;
  const struct sync_sse_message message = {.data = text};
  const struct sync_envelope envelope = {.data = text};
  sync_event *event = sync_event_new(&client->segments, &message, &envelope, 0, client->chunk_at_ms);
  if (!event || !queue_event(client, SYNC_ITEM_COMMENT, event, 0)) client->starved = true;
  if (event) sync_event_release(event);
  return may_go_on(client);
}

static void on_retry(void *arg, uint64_t retry_ms) {
  sync_client *client = arg;
  sync_connection_retry(&client->connection, (int64_t)retry_ms);
}

static void on_too_large(void *arg, sync_span id) {
  sync_client *client = arg;
  sync_failure failure;
  sync_failure_set(&failure, SYNC_EVENT_TOO_LARGE, "the event after id '%.*s' is larger than max_event_bytes (%zu)",
                   (int)id.length, id.bytes, client->options.max_event_bytes);
  client->counters.totals.too_large++;
  sync_client_tell_failure(client, &failure);
}

/* ---- the exchange ------------------------------------------------------------------------------------------------ */

static bool on_response(void *arg, const struct sync_response *response) {
  sync_client *client = arg;
  client->retry_after_ms = response->retry_after_ms;
  sync_code code = sync_connection_judge(response->status, response->content_type, &client->failure);
  client->ending = code != SYNC_OK;
  if (code == SYNC_HTTP_REDIRECT && response->location)
    sync_failure_append(&client->failure, ": it is at %s", response->location);
  if (code != SYNC_OK) return false;
  struct sync_actions actions = {.count = 0};
  sync_connection_opened(&client->connection, sync_loop_now_ms(client->loop), &actions);
  sync_client_carry_out(client, &actions);
  return true;
}

static size_t on_bytes(void *arg, const char *bytes, size_t length) {
  static const struct sync_sse_sink callbacks = {on_message, on_comment, on_retry, on_too_large, NULL};
  sync_client *client = arg;
  struct sync_sse_sink sink = callbacks;
  size_t consumed = 0;
  sink.arg = client;
  sync_connection_heard(&client->connection, sync_loop_now_ms(client->loop));
  if (!client->starved && !sync_queue_full(&client->queue) && sync_loop_may_read(client->loop)) {
    client->chunk_at_ms = sync_loop_wall_ms();
    if (sync_sse_feed(&client->sse, bytes, length, &sink, &consumed) != SYNC_OK) client->starved = true;
  }
  client->counters.totals.total_bytes += consumed;
  if (client->starved) {
    sync_failure_set(&client->failure, SYNC_NO_MEMORY, "no memory for an event; resuming before it");
    client->ending = true;
    return SYNC_EXCHANGE_FAIL;
  }
  if (consumed < length) client->counters.totals.pauses++;
  sync_client_set_timer(client);
  return consumed;
}

/* Half the queue, so that a full one is not topped up event by event. */
static bool has_room(void *arg) {
  const sync_client *client = arg;
  return client->queue.count <= client->queue.limit / 2;
}

/* What ended the exchange: our own reason, with a look at what the server sent instead; or the transport's. */
static sync_failure ending_of(sync_client *client, sync_code code, const char *text, sync_span excerpt) {
  sync_failure failure = client->failure;
  if (!client->ending) {
    sync_failure_set(&failure, code, "%s", code == SYNC_STREAM_ENDED ? "the server ended the stream" : text);
  } else if (excerpt.length > 0) {
    sync_failure_append(&failure, ": %.*s", (int)excerpt.length, excerpt.bytes);
  }
  return failure;
}

static void on_done(void *arg, sync_code code, const char *text, sync_span excerpt) {
  sync_client *client = arg;
  sync_failure failure = ending_of(client, code, text, excerpt);
  sync_client_end(client, &failure);
}

const struct sync_exchange_handlers sync_intake_handlers = {on_response, on_bytes, has_room, on_done};
