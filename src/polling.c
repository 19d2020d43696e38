/* polling.c - asking for snapshots. What they say is taken in by snapshots.c. */
#include "client.h"
#include "error.h"
#include "span.h"
#include "url.h"
#include "verdict.h"

/* ---- asking ------------------------------------------------------------------------------------------------------ */

static const struct sync_exchange_handlers handlers;

/* Whether all orders can be asked for. */
static bool has_list(const sync_client *client) {
  return client->poll.list.url || client->options.poll_by_host;
}

bool sync_poll_is_possible(const sync_client *client) {
  return has_list(client) || client->poll.order.url;
}

bool sync_poll_has_whole_list(const sync_client *client) {
  return has_list(client) && !client->options.poll_is_partial;
}

bool sync_poll_has_order(const sync_client *client) {
  const struct sync_poll *poll = &client->poll;
  return poll->order.url && !sync_comparison_is_on(client) && !(poll->order_refused && has_list(client));
}

const struct sync_poll_place *sync_poll_place(const sync_client *client) {
  return client->poll.by_order ? &client->poll.order : &client->poll.list;
}

static void ask_host(sync_client *client) {
  if (client->poll.at_host) return; /* what it gives then will do */
  if (sync_queue_push(&client->queue, (struct sync_entry){.kind = SYNC_ITEM_FETCH})) {
    client->poll.at_host = true;
    sync_client_mark_ready(client);
    return;
  }
  sync_poll_fail_for(client, SYNC_NO_MEMORY, "no memory to ask for a snapshot");
}

/* An order is taken in as a list of one. */
static bool begin_body(struct sync_poll *poll) {
  sync_buffer_clear(&poll->body);
  return !poll->by_order || sync_buffer_append(&poll->body, (sync_span){"[", 1});
}

static bool end_body(struct sync_poll *poll) {
  return !poll->by_order || sync_buffer_append(&poll->body, (sync_span){"]", 1});
}

static void send_request(sync_client *client) {
  struct sync_poll *poll = &client->poll;
  bool ready = begin_body(poll);
  if (!poll->stream) poll->stream = sync_stream_new(client, &handlers);
  if (ready && poll->stream && sync_stream_begin(poll->stream, SYNC_STREAM_POLL) == SYNC_OK) return;
  sync_poll_fail_for(client, SYNC_NO_MEMORY, "no memory to poll");
}

static void ask_for_headers(sync_client *client) {
  client->poll.asks = sync_client_ask(client);
  if (!client->poll.asks) sync_poll_fail_for(client, SYNC_NO_MEMORY, "no memory to ask for headers");
}

static void keep(sync_client *client, char **to, const char *text) {
  sync_alloc_free(client->alloc, *to);
  *to = text ? sync_alloc_text(client->alloc, sync_span_of(text)) : NULL;
}

/* A snapshot that has not been taken in to its end must not be the next one's base. */
static void forget_validators(sync_client *client) {
  keep(client, &client->poll.etag, NULL);
  keep(client, &client->poll.last_modified, NULL);
  client->poll.whole = false;
}

/* Of a client of one order that order alone is asked for, unless there is a gap that may be about others. */
static void choose_place(sync_client *client) {
  struct sync_poll *poll = &client->poll;
  bool by_order = sync_poll_has_order(client) && sync_gaps_next_cure(&client->gaps) != SYNC_CURE_SNAPSHOT;
  if (by_order != poll->by_order) forget_validators(client);
  poll->by_order = by_order;
  poll->gone = poll->matched = false;
}

static void begin(sync_client *client) {
  struct sync_poll *poll = &client->poll;
  choose_place(client);
  poll->mark = sync_book_mark(&client->book);
  poll->asked_at_ms = sync_loop_wall_ms(client->loop);
  poll->source = poll->next_source;
  client->counters.totals.polls++;
  sync_cures_begin(client, poll->by_order ? SYNC_CURE_ORDER : SYNC_CURE_SNAPSHOT);
  sync_comparison_ask(client);
  if (!sync_poll_place(client)->url)
    ask_host(client);
  else if (client->options.ask_headers && sync_poll_place(client)->with_client_headers)
    ask_for_headers(client);
  else
    send_request(client);
}

void sync_poll_answered(sync_client *client) {
  client->poll.asks = false;
  send_request(client);
}

/* ---- the end of it ----------------------------------------------------------------------------------------------- */

static void tell_failure(sync_client *client, sync_failure failure) {
  const struct sync_poller *poller = &client->poll.poller;
  failure.attempt = poller->failures;
  failure.next_retry_at_ms = sync_client_wall_time_ms(client, sync_poller_deadline_ms(poller));
  sync_client_tell_failure(client, &failure);
}

/* To ask for it again would come to the same. */
static void refuse_order(sync_client *client) {
  client->poll.order_refused = true;
  sync_cures_configure(client, false);
}

void sync_poll_fail(sync_client *client, const sync_failure *failure, int64_t retry_after_ms) {
  struct sync_poll *poll = &client->poll;
  bool was_broken = sync_poller_is_broken(&poll->poller);
  poll->asks = poll->at_host = false;
  forget_validators(client);
  sync_cures_end(client, false);
  if (poll->by_order && failure->error_class != SYNC_CLASS_RETRY) refuse_order(client);
  sync_poller_failed(&poll->poller, sync_loop_now_ms(client->loop), retry_after_ms);
  client->counters.totals.poll_failures++;
  tell_failure(client, *failure);
  if (!was_broken && sync_poller_is_broken(&poll->poller)) {
    sync_failure broken;
    sync_failure_set(&broken, SYNC_CIRCUIT_OPEN, "%d polls in a row failed: asking less often", poll->poller.failures);
    tell_failure(client, broken);
  }
  sync_client_set_timer(client);
}

void sync_poll_fail_for(sync_client *client, sync_code code, const char *why) {
  sync_failure failure;
  sync_failure_set(&failure, code, "%s", why);
  sync_poll_fail(client, &failure, 0);
}

static void time_out(sync_client *client) {
  sync_failure failure;
  if (client->poll.stream) sync_stream_abort(client->poll.stream);
  sync_failure_set(&failure, SYNC_POLL_FAILED, "no snapshot within %lld ms",
                   (long long)client->poll.poller.config.timeout_ms);
  sync_poll_fail(client, &failure, 0);
}

void sync_poll_tick(sync_client *client) {
  struct sync_poll *poll = &client->poll;
  if (poll->stage != SYNC_POLL_NOTHING) return; /* one at a time: the end of that sets the timer */
  switch (sync_poller_tick(&poll->poller, sync_loop_now_ms(client->loop))) {
  case SYNC_POLLER_NOTHING: break;
  case SYNC_POLLER_POLL: begin(client); break;
  case SYNC_POLLER_TIMEOUT: time_out(client); break;
  }
}

int64_t sync_poll_deadline_ms(const sync_client *client) {
  return client->poll.stage == SYNC_POLL_NOTHING ? sync_poller_deadline_ms(&client->poll.poller) : -1;
}

/* ---- the response ------------------------------------------------------------------------------------------------ */

/* What was there before and is not there any more has been deleted. */
static bool is_gone(const struct sync_poll *poll, int status) {
  return poll->by_order && poll->order_found && (status == 404 || status == 410);
}

static enum sync_body on_response(void *arg, const struct sync_response *response) {
  struct sync_stream *stream = arg;
  sync_client *client = stream->client;
  stream->retry_after_ms = response->retry_after_ms;
  if (sync_redirect_status(response->status)) return sync_stream_follow(stream, response);
  stream->unchanged = response->status == 304;
  client->poll.gone = is_gone(&client->poll, response->status);
  if (stream->unchanged || client->poll.gone) return SYNC_BODY_DROP;
  if (response->status != 200) {
    (void)sync_verdict(response->status, response->content_type, false, &stream->failure);
    sync_failure_append(&stream->failure, " to a poll");
    return sync_stream_refuse(stream);
  }
  keep(client, &client->poll.etag, response->etag);
  keep(client, &client->poll.last_modified, response->last_modified);
  return SYNC_BODY_TAKE;
}

static size_t on_bytes(void *arg, const char *bytes, size_t length) {
  struct sync_stream *stream = arg;
  sync_client *client = stream->client;
  struct sync_buffer *body = &client->poll.body;
  client->counters.totals.poll_bytes += length;
  if (body->length + length > client->options.max_snapshot_bytes)
    sync_failure_set(&stream->failure, SYNC_POLL_FAILED, "the snapshot is larger than max_snapshot_bytes (%zu)",
                     client->options.max_snapshot_bytes);
  else if (!sync_buffer_append(body, (sync_span){bytes, length}))
    sync_failure_set(&stream->failure, SYNC_NO_MEMORY, "no memory for a snapshot");
  else
    return length;
  stream->ending = true;
  return SYNC_EXCHANGE_FAIL;
}

static bool has_room(void *arg) {
  (void)arg;
  return true;
}

static void take_body(sync_client *client) {
  if (end_body(&client->poll))
    sync_snapshots_begin(client);
  else
    sync_poll_fail_for(client, SYNC_NO_MEMORY, "no memory for a snapshot");
}

static void on_done(void *arg, sync_code code, const char *text, sync_span excerpt) {
  struct sync_stream *stream = arg;
  sync_client *client = stream->client;
  if (sync_stream_moves_on(stream)) return;
  if (stream->unchanged) {
    sync_snapshots_unchanged(client);
    return;
  }
  if (client->poll.gone || (code == SYNC_STREAM_ENDED && !stream->ending)) {
    take_body(client);
    return;
  }
  sync_failure failure = stream->failure;
  if (!stream->ending) sync_failure_set(&failure, code == SYNC_STREAM_CUT ? SYNC_POLL_FAILED : code, "poll: %s", text);
  if (excerpt.length > 0) sync_failure_append(&failure, ": %.*s", (int)excerpt.length, excerpt.bytes);
  sync_poll_fail(client, &failure, stream->retry_after_ms);
}

static const struct sync_exchange_handlers handlers = {on_response, on_bytes, has_room, on_done};

/* ---- made and ended ---------------------------------------------------------------------------------------------- */

static struct sync_poller_config poller_config(const sync_client *client) {
  return (struct sync_poller_config){
      .interval_ms = client->options.poll_interval_ms,
      .timeout_ms = client->options.poll_timeout_ms,
      .breaker_ms = client->options.stream_retry_interval_ms,
      .random = sync_loop_random,
      .random_arg = client->loop,
  };
}

void sync_poll_init(sync_client *client) {
  const struct sync_poller_config config = poller_config(client);
  sync_poller_init(&client->poll.poller, &config);
  client->poll.source = client->poll.next_source = SYNC_SOURCE_POLL;
  sync_buffer_init(&client->poll.body, client->alloc);
  sync_buffer_init(&client->poll.raw, client->alloc);
  sync_buffer_init(&client->poll.data, client->alloc);
}

static sync_code resolve(const sync_allocator *alloc, const char *base, const char *name, const char *text, char **url,
                         sync_failure *failure) {
  sync_code code = SYNC_OK;
  *url = text ? sync_url_resolve(alloc, base, text, &code) : NULL;
  return code == SYNC_OK ? SYNC_OK : sync_failure_set(failure, code, "%s: '%s' cannot be used", name, text);
}

static sync_code resolve_order(const sync_allocator *alloc, const char *base, const sync_options *options, char **url,
                               sync_failure *failure) {
  *url = NULL;
  if (!options->poll_order_url || !options->order_id) return SYNC_OK;
  char *text = sync_url_expand(alloc, options->poll_order_url, options->order_id);
  if (!text) return sync_failure_set(failure, SYNC_NO_MEMORY, "no memory for polling.order_url");
  sync_code code = resolve(alloc, base, "polling.order_url", text, url, failure);
  sync_alloc_free(alloc, text);
  return code;
}

sync_code sync_poll_resolve(const sync_allocator *alloc, const char *base, const sync_options *options,
                            struct sync_poll_urls *urls, sync_failure *failure) {
  *urls = (struct sync_poll_urls){.list = NULL};
  sync_code code = resolve(alloc, base, "polling.url", options->poll_url, &urls->list, failure);
  if (code == SYNC_OK) code = resolve_order(alloc, base, options, &urls->order, failure);
  if (code != SYNC_OK) sync_poll_urls_free(alloc, urls);
  return code;
}

void sync_poll_urls_free(const sync_allocator *alloc, struct sync_poll_urls *urls) {
  sync_alloc_free(alloc, urls->list);
  sync_alloc_free(alloc, urls->order);
  *urls = (struct sync_poll_urls){.list = NULL};
}

/* What is under way was asked of somebody else: it is dropped, and asked of the new one, if there is one. */
static void begin_anew(sync_client *client) {
  struct sync_poll *poll = &client->poll;
  bool regular = poll->poller.regular, asked = poll->poller.asked || poll->poller.again;
  sync_source source = poll->next_source;
  sync_poll_stop(client);
  forget_validators(client);
  if (!sync_poll_is_possible(client)) return;
  sync_poll_regularly(client, regular);
  if (asked) sync_poll_once(client, source);
}

/* Whether it is where it was. */
static bool take_place(sync_client *client, struct sync_poll_place *place, char *url) {
  bool same = sync_text_same(url, place->url);
  sync_alloc_free(client->alloc, place->url);
  place->url = url;
  place->with_client_headers = url && sync_url_same_origin(client->urls[0], url);
  return same;
}

void sync_poll_configure(sync_client *client, const struct sync_poll_urls *urls) {
  struct sync_poll *poll = &client->poll;
  bool same_list = take_place(client, &poll->list, urls->list);
  bool same_order = take_place(client, &poll->order, urls->order);
  if (!same_order) poll->order_refused = poll->order_found = false;
  poll->poller.config = poller_config(client);
  poll->cursor.begun = false; /* a book with another bound may have thrown orders out */
  if (!same_list || !same_order || !sync_poll_is_possible(client)) begin_anew(client);
}

void sync_poll_fini(sync_client *client) {
  struct sync_poll *poll = &client->poll;
  sync_stream_free(poll->stream);
  sync_snapshots_stop(client);
  sync_buffer_fini(&poll->body);
  sync_buffer_fini(&poll->raw);
  sync_buffer_fini(&poll->data);
  sync_alloc_free(client->alloc, poll->list.url);
  sync_alloc_free(client->alloc, poll->order.url);
  sync_alloc_free(client->alloc, poll->etag);
  sync_alloc_free(client->alloc, poll->last_modified);
}

/* ---- what is wanted ---------------------------------------------------------------------------------------------- */

void sync_poll_regularly(sync_client *client, bool wanted) {
  struct sync_poll *poll = &client->poll;
  if (wanted == poll->poller.regular) return;
  if (wanted) {
    sync_poller_start(&poll->poller, sync_loop_now_ms(client->loop));
    client->counters.totals.poll_sessions++;
    client->polling_since_ms = sync_loop_now_ms(client->loop);
  } else {
    sync_poller_stop(&poll->poller);
    client->counters.totals.polling_ms += sync_loop_now_ms(client->loop) - client->polling_since_ms;
  }
}

void sync_poll_once(sync_client *client, sync_source source) {
  if (source != SYNC_SOURCE_POLL) client->poll.next_source = source;
  sync_poller_once(&client->poll.poller, sync_loop_now_ms(client->loop));
}

void sync_poll_stop(sync_client *client) {
  struct sync_poll *poll = &client->poll;
  sync_poll_regularly(client, false);
  if (poll->stream) sync_stream_abort(poll->stream);
  poll->asks = poll->at_host = false;
  if (poll->poller.phase == SYNC_POLLER_BUSY) forget_validators(client);
  sync_snapshots_stop(client);
  sync_cures_end(client, false);
  poll->next_source = SYNC_SOURCE_POLL;
  sync_poller_reset(&poll->poller);
}

/* ---- the host's answers ------------------------------------------------------------------------------------------ */

sync_code sync_client_snapshot(sync_client *client, sync_span json) {
  if (!sync_loop_ours(client->loop)) return SYNC_FORKED;
  if (!client->poll.at_host) return SYNC_OK; /* too late */
  client->poll.at_host = false;
  sync_buffer_clear(&client->poll.body);
  if (json.length == 0) {
    sync_snapshots_unchanged(client);
  } else if (sync_buffer_append(&client->poll.body, json)) {
    sync_snapshots_begin(client);
  } else {
    sync_poll_fail_for(client, SYNC_NO_MEMORY, "no memory for a snapshot");
  }
  sync_loop_settle(client->loop);
  return SYNC_OK;
}

sync_code sync_client_snapshot_failed(sync_client *client, const char *why) {
  if (!sync_loop_ours(client->loop)) return SYNC_FORKED;
  if (!client->poll.at_host) return SYNC_OK;
  sync_poll_fail_for(client, SYNC_POLL_FAILED, why);
  sync_loop_settle(client->loop);
  return SYNC_OK;
}
