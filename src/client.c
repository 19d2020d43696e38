/*
 * client.c - a client's life: made, configured, connected, closed; its queue, its subscriptions, its health.
 *
 * It owns everything in struct sync_client and carries out what connection.c decides. What arrives is intake.c's.
 */
#include "client.h"

#include <string.h>

#include "error.h"
#include "options.h"
#include "renewal.h"
#include "url.h"

/* A host that takes nothing while attempt after attempt fails must not fill the memory. */
#define SIGNALS_MOST 1000u

/* How long after a renewal the new stream may bring again what the old one brought: events were under way. */
#define OVERLAP_MS 1000

/* ---- timer ------------------------------------------------------------------------------------------------------- */

static void on_timer(uv_timer_t *timer);

/* libuv runs timers before it reads: a host that was away for longer than the idle timeout has bytes waiting. So an
 * open stream is judged one turn later; 0 ms would be the same turn. A paused stream is silent because we are. */
static bool look_again(sync_client *client) {
  const struct sync_connection *connection = &client->connection;
  if (connection->phase != SYNC_PHASE_OPEN && connection->phase != SYNC_PHASE_OPENING) return false;
  if (sync_loop_now_ms(client->loop) < connection->deadline_ms) return false; /* it is the renewal's deadline */
  if (sync_exchange_is_paused(client->stream->exchange))
    sync_connection_heard(&client->connection, sync_loop_now_ms(client->loop));
  client->looking_again = !client->looking_again;
  if (client->looking_again) uv_timer_start(&client->timer, on_timer, 1, 0);
  return client->looking_again;
}

/* A response that is no event stream waits for the first bytes of its body, but not for ever. */
static bool give_up_excerpt(struct sync_stream *stream, bool waits) {
  if (!stream || !stream->ending || !waits) return false;
  sync_exchange_abort(stream->exchange);
  sync_client_end(stream, &stream->failure);
  return true;
}

static bool give_up_excerpts(sync_client *client) {
  const struct sync_connection *connection = &client->connection;
  int64_t now_ms = sync_loop_now_ms(client->loop);
  return give_up_excerpt(client->successor, connection->renewal.phase == SYNC_RENEWAL_OPENING &&
                                                now_ms >= connection->renewal.deadline_ms) ||
         give_up_excerpt(client->stream, connection->phase == SYNC_PHASE_OPENING && now_ms >= connection->deadline_ms);
}

static void on_timer(uv_timer_t *timer) {
  sync_client *client = timer->data;
  struct sync_actions actions = {.count = 0};
  client->armed_ms = -1;
  if (look_again(client) || give_up_excerpts(client)) return;
  sync_connection_tick(&client->connection, sync_loop_now_ms(client->loop), &actions);
  sync_client_carry_out(client, &actions);
}

void sync_client_set_timer(sync_client *client) {
  int64_t deadline_ms = sync_connection_deadline_ms(&client->connection);
  if (deadline_ms == client->armed_ms) return;
  client->armed_ms = deadline_ms;
  int64_t left_ms = deadline_ms - sync_loop_now_ms(client->loop);
  if (deadline_ms < 0)
    uv_timer_stop(&client->timer);
  else
    uv_timer_start(&client->timer, on_timer, left_ms > 0 ? (uint64_t)left_ms : 0, 0);
}

/* ---- telling the host -------------------------------------------------------------------------------------------- */

void sync_client_mark_ready(sync_client *client) {
  client->loop->arrivals++;
  if (client->wants & SYNC_WANT_PULL) return;
  if (sync_link_alone(&client->ready_link)) sync_link_append(&client->loop->ready, &client->ready_link);
}

void sync_client_tell(sync_client *client, struct sync_entry entry) {
  if (client->signals < SIGNALS_MOST && sync_queue_push(&client->queue, entry)) {
    client->signals++;
    sync_client_mark_ready(client);
  } else {
    client->counters.totals.untold++;
    sync_entry_fini(client->alloc, &entry);
  }
}

void sync_client_tell_failure(sync_client *client, const sync_failure *failure) {
  sync_failure *copy = sync_alloc_zeroed(client->alloc, sizeof *copy);
  if (!copy) return;
  *copy = *failure;
  sync_client_tell(client, (struct sync_entry){.kind = SYNC_ITEM_ERROR, .failure = copy});
}

/* Where to resume: behind the last event that was kept, when the parser has run ahead of it. */
static sync_span resume_id(const sync_client *client) {
  if (!client->starved) return sync_sse_last_id(&client->sse);
  if (client->latest) return sync_event_text(client->latest, SYNC_EVENT_ID);
  const char *first = client->options.last_event_id;
  return (sync_span){first, first ? strlen(first) : 0};
}

/* ---- streams ----------------------------------------------------------------------------------------------------- */

static struct sync_stream *stream_new(sync_client *client) {
  struct sync_stream *stream = sync_alloc_zeroed(client->alloc, sizeof *stream);
  if (!stream) return NULL;
  stream->client = client;
  stream->exchange = sync_exchange_new(client->loop->transport, &sync_intake_handlers, stream);
  if (stream->exchange) return stream;
  sync_alloc_free(client->alloc, stream);
  return NULL;
}

static void stream_free(struct sync_stream *stream) {
  if (!stream) return;
  const sync_allocator *alloc = stream->client->alloc;
  sync_exchange_free(stream->exchange);
  sync_redirect_reset(&stream->redirect, alloc);
  sync_alloc_free(alloc, stream->answer);
  sync_alloc_free(alloc, stream);
}

const char *sync_stream_url(const struct sync_stream *stream) {
  return stream->redirect.url ? stream->redirect.url : stream->client->urls[stream->url];
}

sync_code sync_stream_send(struct sync_stream *stream) {
  const sync_client *client = stream->client;
  const struct sync_request request = {
      .url = sync_stream_url(stream),
      .options = &client->options,
      .headers = stream->answer,
      .header_count = stream->answer_count,
      .last_event_id = resume_id(client),
      .abroad = stream->redirect.abroad,
      .as_get = stream->redirect.as_get,
      .fresh = client->connection.fresh,
  };
  stream->moving = stream->ending = false;
  stream->retry_after_ms = 0;
  return sync_exchange_start(stream->exchange, &request);
}

/* Every connect begins with the url itself, and takes the headers that were answered last. */
static sync_code stream_begin(struct sync_stream *stream, int url) {
  sync_client *client = stream->client;
  sync_redirect_reset(&stream->redirect, client->alloc);
  sync_alloc_free(client->alloc, stream->answer);
  stream->answer = client->answer;
  stream->answer_count = client->answer_count;
  client->answer = NULL;
  client->answer_count = 0;
  stream->url = url;
  return sync_stream_send(stream);
}

/* Made ready to read from a stream that begins behind the last event. */
static sync_code begin_reading(sync_client *client) {
  client->looking_again = false;
  if (sync_sse_restart(&client->sse, resume_id(client)) != SYNC_OK) return SYNC_NO_MEMORY;
  client->starved = false;
  return SYNC_OK;
}

/* ---- actions ----------------------------------------------------------------------------------------------------- */

static void fail_request(struct sync_stream *stream, sync_code code) {
  sync_failure failure;
  sync_failure_set(&failure, code, "the request could not be made: %s", sync_code_text(code));
  sync_client_end(stream, &failure);
}

static void carry_out_open(sync_client *client, int url) {
  sync_code code = begin_reading(client);
  if (code == SYNC_OK) code = stream_begin(client->stream, url);
  if (code != SYNC_OK) fail_request(client->stream, code);
}

static void abandon(sync_client *client) {
  stream_free(client->successor);
  client->successor = NULL;
}

static void fail_renewal(sync_client *client, const sync_failure *failure) {
  struct sync_actions actions = {.count = 0};
  abandon(client);
  sync_renewal_ended(&client->connection, sync_loop_now_ms(client->loop), failure, &actions);
  sync_client_carry_out(client, &actions);
}

static void carry_out_renew(sync_client *client, int url) {
  sync_failure failure;
  client->successor = stream_new(client);
  if (client->successor && stream_begin(client->successor, url) == SYNC_OK) return;
  sync_failure_set(&failure, SYNC_NO_MEMORY, "no memory to renew the stream");
  fail_renewal(client, &failure);
}

/* What the old stream had in hand, half an event, comes again from the new one. */
static void carry_out_replace(sync_client *client) {
  stream_free(client->stream);
  client->stream = client->successor;
  client->successor = NULL;
  client->counters.totals.renewals++;
  client->overlaps_until_ms = sync_loop_now_ms(client->loop) + OVERLAP_MS;
  if (begin_reading(client) != SYNC_OK) fail_request(client->stream, SYNC_NO_MEMORY);
}

/* A question that is lost would be waited for without end. */
static void carry_out_ask(sync_client *client) {
  if (sync_queue_push(&client->queue, (struct sync_entry){.kind = SYNC_ITEM_ASK})) {
    sync_client_mark_ready(client);
    return;
  }
  sync_failure failure;
  struct sync_actions actions = {.count = 0};
  sync_failure_set(&failure, SYNC_NO_MEMORY, "no memory to ask for headers");
  sync_connection_refused(&client->connection, sync_loop_now_ms(client->loop), &failure, &actions);
  sync_client_carry_out(client, &actions);
}

static void carry_out_state(sync_client *client, sync_state from, sync_state to) {
  int64_t now_ms = sync_loop_now_ms(client->loop);
  sync_metrics *totals = &client->counters.totals;
  if (from == SYNC_CONNECTED) totals->connected_ms += now_ms - client->connected_since_ms;
  if (to == SYNC_CONNECTED) {
    client->connected_since_ms = now_ms;
    client->connected_at_ms = sync_loop_wall_ms();
    client->failure.code = SYNC_OK;
    if (totals->total_connections++ > 0) totals->total_reconnects++;
  }
  sync_client_tell(client, (struct sync_entry){.kind = SYNC_ITEM_STATE, .from = from, .to = to});
}

/* A time of the connection's clock as hosts want it; negative: none. */
static int64_t wall_time_ms(int64_t at_ms) {
  return at_ms < 0 ? 0 : sync_loop_wall_ms() + at_ms - sync_loop_clock_ms();
}

static void carry_out_failure(sync_client *client, const sync_failure *failure) {
  client->counters.totals.failures++;
  client->failure = *failure;
  client->failure.next_retry_at_ms = wall_time_ms(failure->next_retry_at_ms);
  sync_client_tell_failure(client, &client->failure);
}

void sync_client_carry_out(sync_client *client, const struct sync_actions *actions) {
  for (int i = 0; i < actions->count; i++) {
    const struct sync_action *action = &actions->list[i];
    switch (action->kind) {
    case SYNC_ACTION_ASK: carry_out_ask(client); break;
    case SYNC_ACTION_OPEN: carry_out_open(client, action->url); break;
    case SYNC_ACTION_ABORT: sync_exchange_abort(client->stream->exchange); break;
    case SYNC_ACTION_STATE: carry_out_state(client, action->from, action->to); break;
    case SYNC_ACTION_FAILURE: carry_out_failure(client, &action->failure); break;
    case SYNC_ACTION_RENEW: carry_out_renew(client, action->url); break;
    case SYNC_ACTION_ABANDON: abandon(client); break;
    case SYNC_ACTION_REPLACE: carry_out_replace(client); break;
    }
  }
  sync_client_set_timer(client);
}

void sync_client_end(struct sync_stream *stream, const sync_failure *failure) {
  const sync_failure copy = *failure; /* it may be the stream's own, which is about to go */
  sync_client *client = stream->client;
  struct sync_actions actions = {.count = 0};
  stream->ending = false;
  if (stream == client->successor) {
    fail_renewal(client, &copy);
    return;
  }
  sync_connection_ended(&client->connection, sync_loop_now_ms(client->loop), &copy, stream->retry_after_ms, &actions);
  sync_client_carry_out(client, &actions);
}

void sync_client_distrust(sync_client *client, const sync_failure *failure, bool revive) {
  struct sync_actions actions = {.count = 0};
  sync_connection_distrust(&client->connection, sync_loop_now_ms(client->loop), failure, revive, &actions);
  sync_client_carry_out(client, &actions);
}

/* ---- made and ended ---------------------------------------------------------------------------------------------- */

static struct sync_connection_config connection_config(const sync_options *options) {
  return (struct sync_connection_config){
      .ask = options->ask_headers,
      .auto_reconnect = options->auto_reconnect,
      .strict = options->strict,
      .urls = (int)options->fallback_url_count + 1,
      .stop_when_exhausted = options->stop_when_exhausted,
      .max_reconnect_attempts = options->max_reconnect_attempts,
      .reconnect_delay_ms = options->reconnect_delay_ms,
      .max_reconnect_delay_ms = options->max_reconnect_delay_ms,
      .stable_after_ms = options->stable_after_ms,
      .stream_retry_interval_ms = options->stream_retry_interval_ms,
      .heartbeat_interval_ms = options->heartbeat_interval_ms,
      .idle_timeout_ms = options->idle_timeout_ms,
      .connect_timeout_ms = options->connect_timeout_ms,
  };
}

static void free_urls(const sync_allocator *alloc, char **urls, size_t count) {
  for (size_t i = 0; urls && i < count; i++) sync_alloc_free(alloc, urls[i]);
  sync_alloc_free(alloc, urls);
}

/* All of them as they are asked, the first one first, or NULL. */
static char **complete_urls(const sync_allocator *alloc, const sync_options *options, sync_failure *failure) {
  size_t count = options->fallback_url_count + 1;
  char **urls = sync_alloc_zeroed(alloc, count * sizeof *urls);
  if (!urls) sync_failure_set(failure, SYNC_NO_MEMORY, "no memory for the url");
  for (size_t i = 0; urls && i < count; i++) {
    urls[i] = sync_url_complete(alloc, i ? options->fallback_urls[i - 1] : options->url, options, failure);
    if (urls[i]) continue;
    free_urls(alloc, urls, i);
    return NULL;
  }
  return urls;
}

/* Checks `options` and copies them and their urls; on an error both outputs are untouched. */
static sync_code adopt(const sync_allocator *alloc, const sync_options *options, sync_options *copy, char ***urls,
                       sync_failure *failure) {
  sync_failure ours;
  if (!failure) failure = &ours;
  sync_code code = sync_options_check(options, failure);
  if (code != SYNC_OK) return code;
  char **made = complete_urls(alloc, options, failure);
  if (!made) return failure->code;
  if (!sync_options_copy(alloc, copy, options)) {
    free_urls(alloc, made, options->fallback_url_count + 1);
    return sync_failure_set(failure, SYNC_NO_MEMORY, "no memory for the options");
  }
  *urls = made;
  return SYNC_OK;
}

static void on_closed(uv_handle_t *handle) {
  sync_client *client = handle->data;
  sync_alloc_free(client->alloc, client);
}

/* Everything but the structure itself, which lives until uv has let go of its timer. */
static void release(sync_client *client) {
  sync_link_remove(&client->link);
  sync_link_remove(&client->ready_link);
  stream_free(client->stream);
  abandon(client);
  if (client->latest) sync_event_release(client->latest);
  sync_entry_fini(client->alloc, &client->current);
  sync_queue_fini(&client->queue);
  sync_history_fini(&client->history);
  sync_match_fini(client->alloc, &client->match);
  sync_interest_fini(&client->interest);
  sync_counters_fini(&client->counters);
  sync_segments_fini(&client->segments);
  sync_sse_fini(&client->sse);
  sync_recent_fini(&client->recent);
  free_urls(client->alloc, client->urls, client->options.fallback_url_count + 1);
  sync_options_fini(client->alloc, &client->options);
  sync_alloc_free(client->alloc, client->answer);
  uv_close((uv_handle_t *)&client->timer, on_closed);
}

static void init_parts(sync_client *client, sync_loop *loop) {
  const sync_allocator *alloc = loop->alloc;
  client->loop = loop;
  client->alloc = alloc;
  client->armed_ms = -1;
  sync_link_init(&client->link, client);
  sync_link_init(&client->ready_link, client);
  sync_link_append(&loop->clients, &client->link);
  uv_timer_init(&loop->uv, &client->timer);
  client->timer.data = client;
  sync_segments_init(&client->segments, loop->segments);
  sync_interest_init(&client->interest, alloc);
  sync_counters_init(&client->counters, alloc);
}

/* The standard knows nothing of duplicates. */
static size_t duplicate_window(const sync_options *options) {
  return options->strict ? 0 : options->duplicate_window;
}

static bool configure_parts(sync_client *client) {
  const sync_options *options = &client->options;
  const struct sync_connection_config config = connection_config(options);
  sync_event_names_init(&client->names, options);
  sync_queue_init(&client->queue, client->alloc, options->queue_limit);
  sync_history_init(&client->history, client->alloc, options->event_history_limit);
  sync_sse_init(&client->sse, client->alloc, options->max_event_bytes);
  sync_recent_init(&client->recent, client->alloc, duplicate_window(options));
  sync_connection_init(&client->connection, &config, sync_loop_random, client->loop);
  client->stream = stream_new(client);
  if (!client->stream) return false;
  if (!options->last_event_id) return true;
  const sync_span id = {options->last_event_id, strlen(options->last_event_id)};
  return sync_sse_restart(&client->sse, id) == SYNC_OK;
}

sync_client *sync_client_new(sync_loop *loop, const sync_options *options, sync_failure *failure) {
  if (!sync_loop_ours(loop)) {
    sync_failure_set(failure, SYNC_FORKED, "%s", sync_code_text(SYNC_FORKED));
    return NULL;
  }
  sync_client *client = sync_alloc_zeroed(loop->alloc, sizeof *client);
  if (!client) goto no_memory;
  if (adopt(loop->alloc, options, &client->options, &client->urls, failure) != SYNC_OK) {
    sync_alloc_free(loop->alloc, client);
    return NULL;
  }
  init_parts(client, loop);
  if (!configure_parts(client)) {
    release(client);
    goto no_memory;
  }
  if (options->auto_connect) sync_client_connect(client);
  return client;

no_memory:
  sync_failure_set(failure, SYNC_NO_MEMORY, "no memory for a client");
  return NULL;
}

void sync_client_free(sync_client *client) {
  if (!client || !sync_loop_ours(client->loop)) return;
  sync_loop *loop = client->loop;
  release(client);
  sync_loop_settle(loop);
}

void sync_client_set_data(sync_client *client, void *data) {
  client->data = data;
}

void *sync_client_data(const sync_client *client) {
  return client->data;
}

/* ---- what the host wants ----------------------------------------------------------------------------------------- */

static sync_code follow(sync_client *client, const struct sync_actions *actions) {
  sync_client_carry_out(client, actions);
  sync_loop_settle(client->loop);
  return SYNC_OK;
}

/* The loop's clock stands still between steps; what the host asks for happens now. */
static int64_t fresh_now_ms(sync_client *client) {
  uv_update_time(&client->loop->uv);
  return sync_loop_now_ms(client->loop);
}

sync_code sync_client_connect(sync_client *client) {
  if (!sync_loop_ours(client->loop)) return SYNC_FORKED;
  struct sync_actions actions = {.count = 0};
  sync_connection_start(&client->connection, fresh_now_ms(client), &actions);
  return follow(client, &actions);
}

sync_code sync_client_disconnect(sync_client *client) {
  if (!sync_loop_ours(client->loop)) return SYNC_FORKED;
  struct sync_actions actions = {.count = 0};
  sync_connection_stop(&client->connection, &actions);
  return follow(client, &actions);
}

sync_code sync_client_reconnect(sync_client *client) {
  if (!sync_loop_ours(client->loop)) return SYNC_FORKED;
  struct sync_actions actions = {.count = 0};
  sync_connection_restart(&client->connection, fresh_now_ms(client), &actions);
  return follow(client, &actions);
}

/* Nothing of what the host says changes: only how it is reached. */
sync_code sync_client_network_changed(sync_client *client) {
  if (!sync_loop_ours(client->loop)) return SYNC_FORKED;
  sync_failure failure;
  sync_failure_set(&failure, SYNC_NETWORK_CHANGED, "the network changed: the stream is opened anew");
  (void)fresh_now_ms(client);
  sync_client_distrust(client, &failure, true);
  sync_loop_settle(client->loop);
  return SYNC_OK;
}

sync_code sync_client_answer(sync_client *client, const sync_header *headers, size_t count, int64_t ttl_ms,
                             sync_failure *failure) {
  if (!sync_loop_ours(client->loop)) return SYNC_FORKED;
  for (size_t i = 0; i < count; i++)
    if (sync_header_check(&headers[i], failure) != SYNC_OK) return SYNC_HEADER;
  sync_header *copy = sync_headers_copy(client->alloc, headers, count);
  if (count && !copy) return SYNC_NO_MEMORY;
  sync_alloc_free(client->alloc, client->answer);
  client->answer = copy;
  client->answer_count = count;
  struct sync_actions actions = {.count = 0};
  sync_connection_answered(&client->connection, fresh_now_ms(client), ttl_ms, &actions);
  return follow(client, &actions);
}

sync_code sync_client_refuse(sync_client *client, const char *why) {
  if (!sync_loop_ours(client->loop)) return SYNC_FORKED;
  sync_failure failure;
  struct sync_actions actions = {.count = 0};
  sync_failure_set(&failure, SYNC_CREDENTIALS, "%s", why);
  sync_connection_refused(&client->connection, fresh_now_ms(client), &failure, &actions);
  return follow(client, &actions);
}

static bool is_away(const sync_client *client) {
  return client->connection.phase == SYNC_PHASE_AWAY || client->connection.phase == SYNC_PHASE_GIVEN_UP;
}

/* The next connect begins with the options' own last event ID. */
static void forget_cursor(sync_client *client) {
  if (client->latest) sync_event_release(client->latest);
  client->latest = NULL;
  client->starved = true;
}

static bool is_same_text(const char *a, const char *b) {
  return a && b && strcmp(a, b) == 0;
}

sync_code sync_client_configure(sync_client *client, const sync_options *options, sync_failure *failure) {
  if (!sync_loop_ours(client->loop)) return sync_failure_set(failure, SYNC_FORKED, "%s", sync_code_text(SYNC_FORKED));
  sync_options copy;
  char **urls;
  sync_code code = adopt(client->alloc, options, &copy, &urls, failure);
  if (code != SYNC_OK) return code;
  if (!sync_history_resize(&client->history, copy.event_history_limit)) {
    free_urls(client->alloc, urls, copy.fallback_url_count + 1);
    sync_options_fini(client->alloc, &copy);
    return sync_failure_set(failure, SYNC_NO_MEMORY, "no memory for event_history_limit");
  }
  bool reopen = !sync_options_same_request(&client->options, &copy) && !is_away(client);
  if (strcmp(client->options.url, copy.url) != 0) { /* another stream has other ids, and its server's own wishes */
    sync_connection_forget_server(&client->connection);
    forget_cursor(client);
  }
  if (copy.last_event_id && !is_same_text(client->options.last_event_id, copy.last_event_id)) forget_cursor(client);
  free_urls(client->alloc, client->urls, client->options.fallback_url_count + 1);
  sync_options_fini(client->alloc, &client->options);
  client->options = copy;
  client->urls = urls;
  client->connection.config = connection_config(&copy);
  client->queue.limit = copy.queue_limit;
  client->sse.max_event_bytes = copy.max_event_bytes;
  sync_recent_resize(&client->recent, duplicate_window(&copy));
  sync_event_names_init(&client->names, &client->options);
  if (reopen) return sync_client_reconnect(client);
  const struct sync_actions none = {.count = 0};
  sync_connection_reconsider(&client->connection);
  return follow(client, &none);
}

sync_state sync_client_state(const sync_client *client) {
  return client->connection.state;
}

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

bool sync_client_next(sync_client *client, sync_item *item) {
  if (!sync_loop_ours(client->loop)) return false;
  struct sync_entry *current = &client->current;
  sync_entry_fini(client->alloc, current);
  sync_match_clear(&client->match);
  if (!sync_queue_pop(&client->queue, current)) {
    *current = (struct sync_entry){.kind = SYNC_ITEM_ASK};
    sync_link_remove(&client->ready_link);
    if (sync_link_alone(&client->loop->ready)) sync_loop_settle(client->loop);
    return false;
  }
  if (current->kind == SYNC_ITEM_STATE || current->kind == SYNC_ITEM_ERROR) client->signals--;
  *item = (sync_item){.kind = current->kind};
  switch (current->kind) {
  case SYNC_ITEM_STATE:
    item->from = current->from;
    item->to = current->to;
    break;
  case SYNC_ITEM_ERROR: item->failure = current->failure; break;
  case SYNC_ITEM_EVENT: match_current(client); /* fall through */
  case SYNC_ITEM_COMMENT:
    item->event = current->event;
    take_sample(client);
    break;
  case SYNC_ITEM_ASK: break;
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
  int64_t now_ms = sync_loop_clock_ms();
  bool open = connection->phase == SYNC_PHASE_OPEN, waits = connection->phase == SYNC_PHASE_WAITING;
  *health = (sync_health){
      .state = connection->state,
      .last_failure = client->failure,
      .uptime_ms = open ? now_ms - connection->opened_at_ms : 0,
      .data_age_ms = connection->heard_at_ms > 0 ? now_ms - connection->heard_at_ms : -1,
      .last_connected_at_ms = client->connected_at_ms,
      .next_retry_at_ms = waits ? client->failure.next_retry_at_ms : 0,
      .idle_timeout_ms = sync_connection_idle_timeout_ms(connection),
      .total_events = client->counters.totals.total_events,
      .total_reconnects = client->counters.totals.total_reconnects,
      .latency_p50_ms = sync_latency_quantile_us(&client->latency, 0.50) / 1000,
      .latency_p99_ms = sync_latency_quantile_us(&client->latency, 0.99) / 1000,
      .last_event_id = resume_id(client),
  };
}

void sync_client_metrics(const sync_client *client, sync_metrics *metrics) {
  *metrics = client->counters.totals;
  metrics->queue_depth = client->queue.count;
  metrics->queue_peak = client->queue.peak;
  if (client->connection.phase == SYNC_PHASE_OPEN)
    metrics->connected_ms += sync_loop_clock_ms() - client->connected_since_ms;
}

bool sync_client_type_count(const sync_client *client, size_t index, sync_span *type, uint64_t *count) {
  return sync_counters_type(&client->counters, index, type, count);
}
