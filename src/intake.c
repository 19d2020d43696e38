/*
 * intake.c - what the exchange brings: the response's head, bytes, its end; and what the parser makes of the bytes.
 *
 * Runs inside curl's callbacks: nothing here calls the host, or starts or aborts an exchange.
 */
#include "client.h"
#include "error.h"
#include "keeper.h"
#include "renewal.h"
#include "span.h"
#include "url.h"
#include "verdict.h"

/* How much of a bad event is shown. */
#define SHOWN_BYTES 200

/* Looking at the clock costs as much as reading a small event; a budget is kept well enough by looking now and then. */
#define MESSAGES_A_LOOK 8u

/* ---- events ------------------------------------------------------------------------------------------------------ */

static bool is_heartbeat(sync_span type) {
  return sync_span_is(type, "heartbeat");
}

/* Back-pressure: what has come waits for the host. */
static bool is_full(const sync_client *client) {
  return sync_queue_full(&client->queue) || sync_keeper_is_full(client);
}

/* Whether the parser may go on to the next message. */
static bool may_go_on(sync_client *client) {
  if (client->starved || is_full(client)) return false;
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

/* false: no memory; the cursor stays before the event. */
static bool keep_event(sync_client *client, const struct sync_sse_message *message,
                       const struct sync_envelope *envelope, const struct demand *demand) {
  sync_event *event = sync_event_new(&client->segments, message, envelope, client->seq + 1, client->chunk_at_ms);
  bool kept = event && sync_keeper_keep(client, event, demand->wanted) &&
              (!demand->wanted || queue_event(client, SYNC_ITEM_EVENT, event, demand->only));
  if (kept) {
    client->seq++;
    if (envelope->source == SYNC_SOURCE_STREAM) {
      client->behind = false;
      move_cursor(client, event);
    }
    count_event(client, sync_event_text(event, SYNC_EVENT_TYPE), event);
  }
  if (event) sync_event_release(event);
  return kept;
}

static void tell_bad_json(sync_client *client, const struct sync_sse_message *message, size_t at_byte) {
  int length = message->data.length < SHOWN_BYTES ? (int)message->data.length : SHOWN_BYTES;
  sync_failure failure;
  sync_failure_set(&failure, SYNC_EVENT_JSON,
                   "event id '%.*s' of type '%.*s', %zu bytes, is not JSON at byte %zu: %.*s", (int)message->id.length,
                   message->id.bytes, (int)message->type.length, message->type.bytes, message->data.length, at_byte + 1,
                   length, message->data.bytes);
  client->counters.totals.parse_errors++;
  client->lacks++;
  sync_client_tell_failure(client, &failure);
}

/* ---- duplicates -------------------------------------------------------------------------------------------------- */

/* Without ids a server may say the same thing twice and mean it. Only what the old stream brought while a new one was
 * being opened can be known to come again from that, each once, for a little while. */
static bool is_overlapping(const sync_client *client) {
  return sync_loop_now_ms(client->loop) < client->overlaps_until_ms;
}

/* 0: the message need not be known again. A heartbeat is the same each time, with the last id on it perhaps, and meant
 * each time. */
static uint64_t fingerprint_of(const sync_client *client, const struct sync_sse_message *message) {
  if (client->recent.limit == 0 || sync_interest_must_name(message->type)) return 0;
  if (!message->has_id && !client->successor && !is_overlapping(client)) return 0;
  uint64_t fingerprint = sync_recent_fingerprint(message->id, message->type, message->data);
  return message->has_id ? fingerprint : fingerprint ^ client->renewal << 1; /* odd, so never 0 */
}

static bool is_duplicate(sync_client *client, const struct sync_sse_message *message, uint64_t fingerprint) {
  if (fingerprint == 0) return false;
  if (message->has_id) return sync_recent_has(&client->recent, fingerprint);
  return is_overlapping(client) && sync_recent_take(&client->recent, fingerprint);
}

static void remember(sync_client *client, const struct sync_sse_message *message, uint64_t fingerprint) {
  if (fingerprint && (message->has_id || client->successor)) sync_recent_add(&client->recent, fingerprint);
}

/* ---- messages ---------------------------------------------------------------------------------------------------- */

/* Enters the event into the order book, and keeps it unless it has been overtaken. false: no memory. */
static bool take(sync_client *client, const struct sync_sse_message *message, struct sync_envelope *envelope,
                 const struct demand *demand) {
  enum sync_books_verdict verdict = SYNC_BOOKS_NOTHING;
  if (sync_books_are_kept(client)) verdict = sync_books_enter(client, envelope);
  if (verdict == SYNC_BOOKS_NO_MEMORY) return false;
  if (verdict != SYNC_BOOKS_OVERTAKEN) return keep_event(client, message, envelope, demand);
  client->counters.totals.overtaken++;
  return true;
}

/* What is missing before it comes first: the exchange ends, and the next one begins behind the last event kept. */
static bool refuse(sync_client *client) {
  client->starved = client->refused = true;
  return may_go_on(client);
}

static bool on_moved(void *arg, sync_span id) {
  sync_client *client = arg;
  return sync_cures_see_id(client, id) ? may_go_on(client) : refuse(client);
}

static bool on_message(void *arg, const struct sync_sse_message *message) {
  sync_client *client = arg;
  uint64_t fingerprint = fingerprint_of(client, message);
  if (is_duplicate(client, message, fingerprint)) {
    client->behind = true;
    client->counters.totals.duplicates++;
    return may_go_on(client);
  }
  sync_decode decode = client->options.decode;
  struct sync_envelope envelope;
  size_t at_byte = 0;
  bool sound = sync_event_look(&client->names, decode, message, &envelope, &at_byte);
  if (!sync_cures_see(client, message, sound ? envelope.type : message->type)) return refuse(client);
  envelope.fingerprint = message->has_id ? fingerprint : 0;
  struct demand demand = {.wanted = false};
  if (sound) demand = demand_for(client, &envelope);
  if (demand.wanted || (sound && (sync_books_are_kept(client) || client->keeper)))
    sound = sync_event_check(&client->names, decode, message, &envelope, &at_byte);
  if (!sound) {
    tell_bad_json(client, message, at_byte);
    return may_go_on(client);
  }
  if (is_heartbeat(envelope.type)) {
    client->counters.totals.heartbeats++;
    sync_connection_keepalive(&client->connection, sync_loop_now_ms(client->loop));
  }
  if (!sync_interest_must_name(envelope.type)) sync_connection_event(&client->connection, message->has_id);
  if (take(client, message, &envelope, &demand))
    remember(client, message, fingerprint);
  else
    client->starved = true; /* the exchange ends, and the server sends the event again */
  return may_go_on(client);
}

/* Only what we wrote ourselves comes this way, so it is sound. */
bool sync_client_bring(sync_client *client, sync_source source, sync_span raw) {
  const struct sync_sse_message message = {.type = {"message", 7}, .data = raw};
  struct sync_envelope envelope;
  size_t at_byte;
  (void)sync_event_look(&client->names, SYNC_DECODE_ORDER, &message, &envelope, &at_byte);
  (void)sync_event_check(&client->names, SYNC_DECODE_ORDER, &message, &envelope, &at_byte);
  envelope.source = source;
  client->chunk_at_ms = sync_loop_wall_ms(client->loop);
  const struct demand demand = demand_for(client, &envelope);
  return keep_event(client, &message, &envelope, &demand);
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
  client->lacks++;
  sync_client_tell_failure(client, &failure);
}

/* ---- the exchange ------------------------------------------------------------------------------------------------ */

/* Says where a chain of redirects led, and what did not go with it. */
static void tell_detour(const struct sync_stream *stream, sync_failure *failure) {
  if (!stream->redirect.url) return;
  char shown[160];
  sync_url_show(stream->redirect.url, shown, sizeof shown);
  sync_failure_append(failure, ", after a redirect to %s%s", shown,
                      stream->redirect.abroad ? " (another origin: headers and token were not sent)" : "");
}

static void tell_unverified(sync_client *client, const struct sync_stream *stream) {
  sync_failure failure;
  if (!client->options.insecure_skip_verify || !sync_url_is_tls(sync_stream_url(stream))) return;
  sync_failure_set(&failure, SYNC_TLS_UNVERIFIED, "%s", sync_code_text(SYNC_TLS_UNVERIFIED));
  sync_client_tell_failure(client, &failure);
}

static void open_stream(sync_client *client, const char *answered) {
  struct sync_actions actions = {.count = 0};
  sync_cures_open(client, answered);
  sync_connection_opened(&client->connection, sync_loop_now_ms(client->loop), &actions);
  sync_client_carry_out(client, &actions);
}

static enum sync_body on_response(void *arg, const struct sync_response *response) {
  struct sync_stream *stream = arg;
  sync_client *client = stream->client;
  stream->retry_after_ms = response->retry_after_ms;
  if (sync_redirect_status(response->status)) return sync_stream_follow(stream, response);
  if (sync_verdict(response->status, response->content_type, client->options.strict, &stream->failure) != SYNC_OK) {
    tell_detour(stream, &stream->failure);
    return sync_stream_refuse(stream);
  }
  tell_unverified(client, stream);
  if (stream == client->stream)
    open_stream(client, response->last_event_id);
  else
    sync_renewal_opened(&client->connection, sync_loop_now_ms(client->loop));
  sync_client_set_timer(client);
  return SYNC_BODY_TAKE;
}

/* A successor's bytes wait until it takes over. */
static bool may_parse(const sync_client *client, const struct sync_stream *stream) {
  return stream == client->stream && !client->starved && !is_full(client) && sync_loop_may_read(client->loop);
}

static size_t starve(struct sync_stream *stream) {
  if (!stream->client->refused)
    sync_failure_set(&stream->failure, SYNC_NO_MEMORY, "no memory for an event; resuming before it");
  stream->ending = true;
  return SYNC_EXCHANGE_FAIL;
}

/* A stream that is open but says nothing is no reason to stop polling. */
static void prove(sync_client *client) {
  if (client->proven) return;
  client->proven = true;
  client->mute = false;
  sync_client_weigh(client);
}

static size_t on_bytes(void *arg, const char *bytes, size_t length) {
  static const struct sync_sse_sink callbacks = {on_message, on_comment, on_retry, on_too_large, on_moved, NULL};
  struct sync_stream *stream = arg;
  sync_client *client = stream->client;
  struct sync_sse_sink sink = callbacks;
  size_t consumed = 0;
  sink.arg = client;
  if (stream == client->stream) {
    sync_connection_heard(&client->connection, sync_loop_now_ms(client->loop));
    prove(client);
  }
  if (may_parse(client, stream)) {
    client->chunk_at_ms = sync_loop_wall_ms(client->loop);
    if (sync_sse_feed(&client->sse, bytes, length, &sink, &consumed) != SYNC_OK) client->starved = true;
  }
  client->counters.totals.total_bytes += consumed;
  if (client->starved && stream == client->stream) return starve(stream);
  if (consumed < length) {
    client->counters.totals.pauses++;
    sync_connection_paused(&client->connection);
  }
  sync_client_set_timer(client);
  return consumed;
}

/* Half the queue, so that a full one is not topped up event by event. */
static bool has_room(void *arg) {
  const struct sync_stream *stream = arg;
  const sync_client *client = stream->client;
  return stream == client->stream && client->queue.count <= client->queue.limit / 2 && !sync_keeper_is_full(client);
}

/* What ended the exchange: our own reason, with a look at what the server sent instead; or the transport's. */
static sync_failure ending_of(const struct sync_stream *stream, sync_code code, const char *text, sync_span excerpt) {
  sync_failure failure = stream->failure;
  if (!stream->ending) {
    sync_failure_set(&failure, code, "%s", code == SYNC_STREAM_ENDED ? "the server ended the stream" : text);
    tell_detour(stream, &failure);
  } else if (excerpt.length > 0) {
    sync_failure_append(&failure, ": %.*s", (int)excerpt.length, excerpt.bytes);
  }
  return failure;
}

static void on_done(void *arg, sync_code code, const char *text, sync_span excerpt) {
  struct sync_stream *stream = arg;
  if (sync_stream_moves_on(stream)) return;
  if (stream == stream->client->stream && stream->client->refused) {
    sync_client_reopen(stream->client);
    return;
  }
  sync_failure failure = ending_of(stream, code, text, excerpt);
  sync_client_end(stream, &failure);
}

const struct sync_exchange_handlers sync_intake_handlers = {on_response, on_bytes, has_room, on_done};
