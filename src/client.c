/*
 * client.c - a client's life: made, configured, told to connect, closed.
 *
 * It owns everything in struct sync_client. What the connection decides is carried out by actions.c; what arrives is
 * intake.c's, what the host takes delivery.c's.
 */
#include "client.h"

#include <string.h>

#include "error.h"
#include "keeper.h"
#include "options.h"
#include "span.h"
#include "url.h"

/* Credentials that are good for longer are renewed once a year all the same; any number can be added to a clock. */
#define TTL_MOST_MS (365LL * 24 * 60 * 60 * 1000)

/* ---- made and ended ---------------------------------------------------------------------------------------------- */

static struct sync_connection_config connection_config(const sync_options *options) {
  return (struct sync_connection_config){
      .ask = options->ask_headers,
      .auto_reconnect = options->auto_reconnect,
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
  sync_keeper_close(client);
  sync_link_remove(&client->link);
  sync_link_remove(&client->ready_link);
  sync_stream_free(client->stream);
  sync_stream_free(client->successor);
  if (client->latest) sync_event_release(client->latest);
  sync_entry_fini(client->alloc, &client->current);
  sync_queue_fini(&client->queue);
  sync_history_fini(&client->history);
  sync_match_fini(client->alloc, &client->match);
  sync_interest_fini(&client->interest);
  sync_counters_fini(&client->counters);
  sync_segments_fini(&client->segments);
  sync_sse_fini(&client->sse);
  sync_poll_fini(client);
  sync_book_fini(&client->book);
  sync_gaps_fini(&client->gaps);
  sync_recent_fini(&client->recent);
  free_urls(client->alloc, client->urls, client->options.fallback_url_count + 1);
  sync_options_fini(client->alloc, &client->options);
  sync_alloc_free(client->alloc, client->answer);
  sync_alloc_free(client->alloc, client->first_id);
  uv_close((uv_handle_t *)&client->timer, on_closed);
}

static void init_parts(sync_client *client, sync_loop *loop) {
  const sync_allocator *alloc = loop->alloc;
  client->loop = loop;
  client->alloc = alloc;
  client->armed_ms = -1;
  client->current.kind = SYNC_ITEM_ASK; /* nothing has been taken: that has nothing to let go of */
  sync_link_init(&client->link, client);
  sync_link_init(&client->ready_link, client);
  sync_link_append(&loop->clients, &client->link);
  uv_timer_init(&loop->uv, &client->timer);
  client->timer.data = client;
  sync_segments_init(&client->segments, loop->segments);
  sync_interest_init(&client->interest, alloc);
  sync_book_init(&client->book, alloc, &loop->order_names, SYNC_BOOK_ORDERS, SYNC_BOOK_BYTES);
  sync_counters_init(&client->counters, alloc);
  sync_gaps_init(&client->gaps, alloc, &(struct sync_gaps_config){.ids = SYNC_GAP_IDS_AUTO});
}

/* The standard knows nothing of duplicates. */
static size_t duplicate_window(const sync_options *options) {
  return options->strict ? 0 : options->duplicate_window;
}

/* Where the stream begins, without a cursor of its own. */
static bool set_first_id(sync_client *client, const char *id) {
  char *copy = sync_alloc_text(client->alloc, sync_span_of(id ? id : ""));
  if (!copy) return false;
  sync_alloc_free(client->alloc, client->first_id);
  client->first_id = copy;
  return true;
}

static sync_code no_memory(sync_failure *failure) {
  return sync_failure_set(failure, SYNC_NO_MEMORY, "no memory for a client");
}

static sync_code configure_parts(sync_client *client, sync_failure *failure) {
  const sync_options *options = &client->options;
  const struct sync_connection_config config = connection_config(options);
  sync_event_names_init(&client->names, options);
  sync_queue_init(&client->queue, client->alloc, options->queue_limit);
  sync_history_init(&client->history, client->alloc, options->event_history_limit);
  sync_sse_init(&client->sse, client->alloc, options->max_event_bytes);
  sync_recent_init(&client->recent, client->alloc, duplicate_window(options));
  sync_connection_init(&client->connection, &config, sync_loop_random, client->loop);
  sync_poll_init(client);
  sync_book_set_limits(&client->book, options->book_limit, SYNC_BOOK_BYTES);
  struct sync_poll_urls poll_urls;
  sync_code code = sync_poll_resolve(client->alloc, client->urls[0], options, &poll_urls, failure);
  if (code != SYNC_OK) return code;
  sync_poll_configure(client, &poll_urls);
  sync_cures_configure(client, true);
  client->stream = sync_stream_new(client, &sync_intake_handlers);
  if (!client->stream || !set_first_id(client, options->last_event_id)) return no_memory(failure);
  code = sync_keeper_open(client, failure);
  if (code != SYNC_OK) return code;
  code = sync_sse_restart(&client->sse, sync_span_of(client->first_id));
  client->starved = code != SYNC_OK; /* or the journal would be told that there is no id */
  return code == SYNC_OK ? SYNC_OK : no_memory(failure);
}

sync_client *sync_client_new(sync_loop *loop, const sync_options *options, sync_failure *failure) {
  if (!sync_loop_ours(loop)) {
    sync_failure_set(failure, SYNC_FORKED, "%s", sync_code_text(SYNC_FORKED));
    return NULL;
  }
  sync_client *client = sync_alloc_zeroed(loop->alloc, sizeof *client);
  if (!client) {
    (void)no_memory(failure);
    return NULL;
  }
  if (adopt(loop->alloc, options, &client->options, &client->urls, failure) != SYNC_OK) {
    sync_alloc_free(loop->alloc, client);
    return NULL;
  }
  init_parts(client, loop);
  if (configure_parts(client, failure) != SYNC_OK) {
    release(client);
    return NULL;
  }
  if (options->auto_connect) sync_client_connect(client);
  return client;
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

static bool wants_stream(const sync_client *client) {
  sync_mode mode = client->options.mode;
  return mode == SYNC_MODE_AUTO || mode == SYNC_MODE_STREAM || mode == SYNC_MODE_COMPARE;
}

static void start_stream(sync_client *client, struct sync_actions *actions) {
  if (wants_stream(client)) sync_connection_start(&client->connection, fresh_now_ms(client), actions);
}

sync_code sync_client_connect(sync_client *client) {
  if (!sync_loop_ours(client->loop)) return SYNC_FORKED;
  struct sync_actions actions = {.count = 0};
  client->wanted = true;
  if (client->poll_wish == SYNC_POLL_NEVER) client->poll_wish = SYNC_POLL_BY_MODE;
  start_stream(client, &actions);
  return follow(client, &actions);
}

sync_code sync_client_disconnect(sync_client *client) {
  if (!sync_loop_ours(client->loop)) return SYNC_FORKED;
  struct sync_actions actions = {.count = 0};
  client->wanted = client->mute = false;
  if (client->poll_wish == SYNC_POLL_ALWAYS) client->poll_wish = SYNC_POLL_BY_MODE;
  sync_poll_stop(client);
  sync_connection_stop(&client->connection, &actions);
  return follow(client, &actions);
}

sync_code sync_client_reconnect(sync_client *client) {
  if (!sync_loop_ours(client->loop)) return SYNC_FORKED;
  struct sync_actions actions = {.count = 0};
  client->wanted = true;
  if (wants_stream(client))
    sync_connection_restart(&client->connection, fresh_now_ms(client), &actions);
  else if (sync_poll_is_possible(client))
    sync_poll_once(client, SYNC_SOURCE_POLL);
  return follow(client, &actions);
}

static sync_code set_polling(sync_client *client, bool forced) {
  const struct sync_actions none = {.count = 0};
  if (!sync_loop_ours(client->loop)) return SYNC_FORKED;
  if (!sync_poll_is_possible(client)) return SYNC_OPTION;
  client->poll_wish = forced ? SYNC_POLL_ALWAYS : SYNC_POLL_NEVER;
  (void)fresh_now_ms(client);
  if (forced) sync_poll_once(client, SYNC_SOURCE_POLL); /* even if it goes on already: whoever says so wants it now */
  return follow(client, &none);
}

sync_code sync_client_start_polling(sync_client *client) {
  return set_polling(client, true);
}

sync_code sync_client_stop_polling(sync_client *client) {
  return set_polling(client, false);
}

sync_code sync_client_poll(sync_client *client) {
  if (!sync_loop_ours(client->loop)) return SYNC_FORKED;
  if (!sync_poll_is_possible(client)) return SYNC_OPTION;
  const struct sync_actions none = {.count = 0};
  (void)fresh_now_ms(client);
  sync_poll_once(client, SYNC_SOURCE_POLL);
  return follow(client, &none);
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

static bool stream_asks(const sync_client *client) {
  const struct sync_connection *connection = &client->connection;
  return connection->phase == SYNC_PHASE_ASKING || connection->renewal.phase == SYNC_RENEWAL_ASKING;
}

/* For the request that is sent next. */
static bool keep_answer(sync_client *client, const sync_header *headers, size_t count) {
  sync_header *copy = sync_headers_copy(client->alloc, headers, count);
  if (count && !copy) return false;
  sync_alloc_free(client->alloc, client->answer);
  client->answer = copy;
  client->answer_count = count;
  return true;
}

/* One answer is for all who wait for one; if nobody does any more, no later connect may have it. */
sync_code sync_client_answer(sync_client *client, const sync_header *headers, size_t count, int64_t ttl_ms,
                             sync_failure *failure) {
  if (!sync_loop_ours(client->loop)) return SYNC_FORKED;
  for (size_t i = 0; i < count; i++)
    if (sync_header_check(&headers[i], failure) != SYNC_OK) return SYNC_HEADER;
  struct sync_actions actions = {.count = 0};
  bool stream = stream_asks(client), poll = client->poll.asks;
  if (ttl_ms > TTL_MOST_MS) ttl_ms = TTL_MOST_MS;
  (void)fresh_now_ms(client);
  if (stream) {
    if (!keep_answer(client, headers, count)) return SYNC_NO_MEMORY;
    sync_connection_answered(&client->connection, sync_loop_now_ms(client->loop), ttl_ms, &actions);
    sync_client_carry_out(client, &actions);
  }
  if (poll) {
    if (!keep_answer(client, headers, count)) return SYNC_NO_MEMORY;
    sync_poll_answered(client);
  }
  return follow(client, &(struct sync_actions){.count = 0});
}

sync_code sync_client_refuse(sync_client *client, const char *why) {
  if (!sync_loop_ours(client->loop)) return SYNC_FORKED;
  sync_failure failure;
  struct sync_actions actions = {.count = 0};
  sync_failure_set(&failure, SYNC_CREDENTIALS, "%s", why);
  sync_connection_refused(&client->connection, fresh_now_ms(client), &failure, &actions);
  if (client->poll.asks) sync_poll_fail(client, &failure, 0);
  return follow(client, &actions);
}

static bool is_away(const sync_client *client) {
  return client->connection.phase == SYNC_PHASE_AWAY || client->connection.phase == SYNC_PHASE_GIVEN_UP;
}

/* The next connect begins with `first_id`, which is the client's now, and what it brings is wanted, known or not. */
static void forget_cursor(sync_client *client, char *first_id) {
  sync_recent_fini(&client->recent);
  if (client->latest) sync_event_release(client->latest);
  client->latest = NULL;
  client->starved = true;
  sync_alloc_free(client->alloc, client->first_id);
  client->first_id = first_id;
}

/* The stream is opened or closed as the mode has it, and stays as it is if it has no say. */
static sync_code follow_mode(sync_client *client) {
  struct sync_actions actions = {.count = 0};
  sync_connection_reconsider(&client->connection);
  if (client->wanted && client->connection.phase == SYNC_PHASE_AWAY) start_stream(client, &actions);
  if (!wants_stream(client)) sync_connection_stop(&client->connection, &actions);
  return follow(client, &actions);
}

static bool is_other_id(const sync_client *client, const char *last_event_id) {
  return last_event_id && !sync_text_same(client->options.last_event_id, last_event_id);
}

/* A journal is of one stream, and stays where it is. */
static sync_code check_keeping(const sync_client *client, const sync_options *options, sync_failure *failure) {
  const sync_options *now = &client->options;
  if (!sync_options_same_journal(now, options))
    return sync_failure_set(failure, SYNC_OPTION, "persistence, dead_letter_limit, redact: fixed for a client's life");
  if (client->keeper && !sync_text_same(now->url, options->url))
    return sync_failure_set(failure, SYNC_OPTION, "url: with persistence it is fixed for a client's life");
  return SYNC_OK;
}

sync_code sync_client_configure(sync_client *client, const sync_options *options, sync_failure *failure) {
  if (!sync_loop_ours(client->loop)) return sync_failure_set(failure, SYNC_FORKED, "%s", sync_code_text(SYNC_FORKED));
  sync_options copy;
  char **urls, *first_id = NULL;
  struct sync_poll_urls poll_urls = {.list = NULL};
  sync_code code = check_keeping(client, options, failure);
  if (code != SYNC_OK) return code;
  code = adopt(client->alloc, options, &copy, &urls, failure);
  if (code != SYNC_OK) return code;
  code = sync_poll_resolve(client->alloc, urls[0], &copy, &poll_urls, failure);
  if (code == SYNC_OK && !sync_history_resize(&client->history, copy.event_history_limit))
    code = sync_failure_set(failure, SYNC_NO_MEMORY, "no memory for event_history_limit");
  bool other_url = strcmp(client->options.url, copy.url) != 0; /* another stream has other ids */
  if (code == SYNC_OK && (other_url || is_other_id(client, copy.last_event_id))) {
    first_id = sync_alloc_text(client->alloc, sync_span_of(copy.last_event_id ? copy.last_event_id : ""));
    if (!first_id) code = no_memory(failure);
  }
  if (code != SYNC_OK) {
    free_urls(client->alloc, urls, copy.fallback_url_count + 1);
    sync_options_fini(client->alloc, &copy);
    sync_poll_urls_free(client->alloc, &poll_urls);
    return code;
  }
  bool reopen = !sync_options_same_request(&client->options, &copy) && !is_away(client);
  bool other_stream = first_id || !sync_text_same(client->options.order_id, copy.order_id) ||
                      !sync_text_same(client->options.event_types, copy.event_types);
  if (other_url) sync_connection_forget_server(&client->connection); /* it has wishes of its own */
  if (first_id) forget_cursor(client, first_id);
  free_urls(client->alloc, client->urls, client->options.fallback_url_count + 1);
  sync_options_fini(client->alloc, &client->options);
  client->options = copy;
  client->urls = urls;
  client->connection.config = connection_config(&copy);
  client->queue.limit = copy.queue_limit;
  client->sse.max_event_bytes = copy.max_event_bytes;
  sync_recent_resize(&client->recent, duplicate_window(&copy));
  sync_event_names_init(&client->names, &client->options);
  sync_book_set_limits(&client->book, copy.book_limit, SYNC_BOOK_BYTES);
  sync_poll_configure(client, &poll_urls);
  sync_cures_configure(client, other_stream);
  if (other_stream) client->lacks++; /* what that sent before, nobody has told us */
  return reopen ? sync_client_reconnect(client) : follow_mode(client);
}

sync_state sync_client_state(const sync_client *client) {
  return client->state;
}
