/*
 * actions.c - carries out what connection.c decides: requests, timers, news for the host.
 */
#include "client.h"
#include "due.h"
#include "error.h"
#include "keeper.h"
#include "renewal.h"
#include "span.h"

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
  if (sync_loop_is_played(client->loop)) return false;
  if (sync_stream_is_paused(client->stream)) sync_connection_heard(&client->connection, sync_loop_now_ms(client->loop));
  client->looking_again = !client->looking_again;
  if (client->looking_again) uv_timer_start(&client->timer, on_timer, 1, 0);
  return client->looking_again;
}

/* A response that is no event stream waits for the first bytes of its body, but not for ever. */
static bool give_up_excerpt(struct sync_stream *stream, bool waits) {
  if (!stream || !stream->ending || !waits) return false;
  sync_stream_abort(stream);
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
  sync_client_tick(timer->data);
}

void sync_client_tick(sync_client *client) {
  struct sync_actions actions = {.count = 0};
  client->armed_ms = -1;
  if (sync_keeper_deadline_ms(client) >= 0) sync_keeper_settle(client); /* or a step that waits would not get there */
  sync_poll_tick(client);
  if (look_again(client) || give_up_excerpts(client)) return;
  sync_connection_tick(&client->connection, sync_loop_now_ms(client->loop), &actions);
  sync_client_carry_out(client, &actions);
}

void sync_client_set_timer(sync_client *client) {
  int64_t deadline_ms =
      sync_due_earlier_ms(sync_connection_deadline_ms(&client->connection), sync_poll_deadline_ms(client));
  deadline_ms = sync_due_earlier_ms(deadline_ms, sync_keeper_deadline_ms(client));
  if (deadline_ms == client->armed_ms) return;
  client->armed_ms = deadline_ms;
  int64_t left_ms = deadline_ms - sync_loop_now_ms(client->loop);
  if (deadline_ms < 0 || sync_loop_is_played(client->loop))
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

sync_span sync_client_resume_id(const sync_client *client) {
  if (!client->starved && !client->behind) return sync_sse_last_id(&client->sse);
  return client->latest ? sync_event_text(client->latest, SYNC_EVENT_ID) : sync_span_of(client->first_id);
}

/* Made ready to read from a stream that begins behind the last event. */
static sync_code begin_reading(sync_client *client) {
  client->looking_again = false;
  if (sync_sse_restart(&client->sse, sync_client_resume_id(client)) != SYNC_OK) return SYNC_NO_MEMORY;
  client->starved = client->behind = client->refused = false;
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
  if (code == SYNC_OK) code = sync_stream_begin(client->stream, url);
  if (code != SYNC_OK) fail_request(client->stream, code);
}

static void abandon(sync_client *client) {
  sync_stream_free(client->successor);
  client->successor = NULL;
}

static void fail_renewal(sync_client *client, const sync_failure *failure, int64_t retry_after_ms) {
  struct sync_actions actions = {.count = 0};
  abandon(client);
  sync_renewal_ended(&client->connection, sync_loop_now_ms(client->loop), failure, retry_after_ms, &actions);
  sync_client_carry_out(client, &actions);
}

static void carry_out_renew(sync_client *client, int url) {
  sync_failure failure;
  client->renewal++;
  client->successor = sync_stream_new(client, &sync_intake_handlers);
  if (client->successor && sync_stream_begin(client->successor, url) == SYNC_OK) return;
  sync_failure_set(&failure, SYNC_NO_MEMORY, "no memory to renew the stream");
  fail_renewal(client, &failure, 0);
}

/* What the old stream had in hand, half an event, comes again from the new one. */
static void carry_out_replace(sync_client *client) {
  sync_stream_free(client->stream);
  client->stream = client->successor;
  client->successor = NULL;
  client->counters.totals.renewals++;
  client->failure.code = SYNC_OK;
  client->overlaps_until_ms = sync_loop_now_ms(client->loop) + OVERLAP_MS;
  if (begin_reading(client) == SYNC_OK) return;
  sync_stream_abort(client->stream); /* it is open already, and would be read as the rest of the old one */
  fail_request(client->stream, SYNC_NO_MEMORY);
}

bool sync_client_ask(sync_client *client) {
  if (!sync_queue_push(&client->queue, (struct sync_entry){.kind = SYNC_ITEM_ASK})) return false;
  sync_client_mark_ready(client);
  return true;
}

/* A question that is lost would be waited for without end. */
static void carry_out_ask(sync_client *client) {
  if (sync_client_ask(client)) return;
  sync_failure failure;
  struct sync_actions actions = {.count = 0};
  sync_failure_set(&failure, SYNC_NO_MEMORY, "no memory to ask for headers");
  sync_connection_refused(&client->connection, sync_loop_now_ms(client->loop), &failure, &actions);
  sync_client_carry_out(client, &actions);
}

/* ---- polling beside the stream ----------------------------------------------------------------------------------- */

static bool stream_fails(const sync_client *client) {
  return client->connection.state == SYNC_ERROR || client->mute || sync_connection_is_tight_loop(&client->connection);
}

/* Polling that began goes on until the stream has not only opened but said something. */
static bool wants_polling(const sync_client *client) {
  if (!client->wanted || client->poll_wish == SYNC_POLL_NEVER || !sync_poll_is_possible(client)) return false;
  if (client->poll_wish == SYNC_POLL_ALWAYS) return true;
  if (client->options.mode == SYNC_MODE_POLL || sync_comparison_is_on(client)) return true;
  if (client->options.mode != SYNC_MODE_AUTO) return false;
  bool connected = client->connection.state == SYNC_CONNECTED && client->proven;
  return !connected && (stream_fails(client) || client->poll.poller.regular);
}

static void show_state(sync_client *client) {
  sync_state to = client->connection.state;
  if (client->poll.poller.regular && to != SYNC_CONNECTED) to = SYNC_POLLING_FALLBACK;
  if (to == client->state) return;
  struct sync_entry entry = {.kind = SYNC_ITEM_STATE, .from = client->state, .to = to};
  entry.resumed = to == SYNC_CONNECTED && client->resumed;
  client->state = to;
  sync_client_tell(client, entry);
}

void sync_client_weigh(sync_client *client) {
  sync_poll_regularly(client, wants_polling(client));
  show_state(client);
}

/* ---- news of the connection -------------------------------------------------------------------------------------- */

/* What was missed while away: a server with ids sends it again; else, and after polling, a snapshot tells. The first
 * one of a client fills its order book. */
static void reconcile(sync_client *client) {
  if (!sync_poll_is_possible(client) || !sync_books_are_kept(client)) return;
  bool polled = client->poll.poller.regular && !sync_comparison_is_on(client);
  if (client->poll.loaded && client->resumed && !polled) return;
  sync_poll_once(client, SYNC_SOURCE_BACKFILL);
}

static void note_connect(sync_client *client) {
  client->connected_since_ms = sync_loop_now_ms(client->loop);
  client->connected_at_ms = sync_loop_wall_ms(client->loop);
  client->failure.code = SYNC_OK;
  client->proven = false;
  if (client->counters.totals.total_connections++ > 0) client->counters.totals.total_reconnects++;
  reconcile(client);
  sync_cures_seek(client);
}

static void carry_out_state(sync_client *client, sync_state from, sync_state to) {
  int64_t lasted_ms = sync_loop_now_ms(client->loop) - client->connected_since_ms;
  if (from == SYNC_CONNECTED) client->counters.totals.connected_ms += lasted_ms;
  if (to == SYNC_CONNECTED) note_connect(client);
  sync_client_weigh(client);
}

int64_t sync_client_wall_time_ms(const sync_client *client, int64_t at_ms) {
  return at_ms < 0 ? 0 : sync_loop_wall_ms(client->loop) + at_ms - sync_loop_clock_ms(client->loop);
}

static void carry_out_failure(sync_client *client, const sync_failure *failure) {
  client->counters.totals.failures++;
  if (failure->code == SYNC_IDLE_TIMEOUT && !client->proven) client->mute = true;
  client->failure = *failure;
  client->failure.next_retry_at_ms = sync_client_wall_time_ms(client, failure->next_retry_at_ms);
  sync_client_tell_failure(client, &client->failure);
}

void sync_client_carry_out(sync_client *client, const struct sync_actions *actions) {
  for (int i = 0; i < actions->count; i++) {
    const struct sync_action *action = &actions->list[i];
    switch (action->kind) {
    case SYNC_ACTION_ASK: carry_out_ask(client); break;
    case SYNC_ACTION_OPEN: carry_out_open(client, action->url); break;
    case SYNC_ACTION_ABORT: sync_stream_abort(client->stream); break;
    case SYNC_ACTION_STATE: carry_out_state(client, action->from, action->to); break;
    case SYNC_ACTION_FAILURE: carry_out_failure(client, &action->failure); break;
    case SYNC_ACTION_RENEW: carry_out_renew(client, action->url); break;
    case SYNC_ACTION_ABANDON: abandon(client); break;
    case SYNC_ACTION_REPLACE: carry_out_replace(client); break;
    }
  }
  sync_client_weigh(client);
  sync_client_set_timer(client);
}

void sync_client_end(struct sync_stream *stream, const sync_failure *failure) {
  const sync_failure copy = *failure; /* it may be the stream's own, which is about to go */
  sync_client *client = stream->client;
  struct sync_actions actions = {.count = 0};
  stream->ending = false;
  if (stream == client->successor) {
    fail_renewal(client, &copy, stream->retry_after_ms);
    return;
  }
  sync_connection_ended(&client->connection, sync_loop_now_ms(client->loop), &copy, stream->retry_after_ms, &actions);
  sync_client_carry_out(client, &actions);
}

void sync_client_reopen(sync_client *client) {
  struct sync_actions actions = {.count = 0};
  sync_connection_restart(&client->connection, sync_loop_now_ms(client->loop), &actions);
  sync_client_carry_out(client, &actions);
}

void sync_client_distrust(sync_client *client, const sync_failure *failure, bool revive) {
  struct sync_actions actions = {.count = 0};
  sync_connection_distrust(&client->connection, sync_loop_now_ms(client->loop), failure, revive, &actions);
  sync_client_carry_out(client, &actions);
}
