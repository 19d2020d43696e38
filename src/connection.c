/* connection.c - the life of one client's connection. One setter for the phase, one for the state; the rest are inputs.
 */
#include "connection.h"

#include "backoff.h"
#include "due.h"
#include "error.h"
#include "renewal.h"

/* The idle timeout that is worked out from heartbeats stays between these. */
#define IDLE_LEAST_MS (5 * 1000)
#define IDLE_MOST_MS  (5 * 60 * 1000)

/* A server may ask for a longer wait than max_reconnect_delay_ms, but not for a deaf kitchen. */
#define FLOOR_MOST_MS (60 * 60 * 1000)

/* Streams in a row that ended at once and brought nothing, from which on it is called by its name. Two happen when a
 * proxy in front of the server is restarted as well. */
#define TIGHT_LOOP_FROM 3

/* ---- actions ----------------------------------------------------------------------------------------------------- */

struct sync_action *sync_actions_add(struct sync_actions *actions, enum sync_action_kind kind) {
  struct sync_action *action = &actions->list[actions->count++];
  action->kind = kind;
  return action;
}

static void set_state(struct sync_connection *connection, sync_state state, struct sync_actions *actions) {
  if (connection->state == state) return;
  struct sync_action *action = sync_actions_add(actions, SYNC_ACTION_STATE);
  action->from = connection->state;
  action->to = state;
  connection->state = state;
}

static void set_phase(struct sync_connection *connection, enum sync_phase phase, int64_t deadline_ms) {
  connection->phase = phase;
  connection->deadline_ms = deadline_ms;
}

static void drop(struct sync_connection *connection, struct sync_actions *actions) {
  sync_renewal_cancel(connection, actions);
  if (connection->phase == SYNC_PHASE_OPENING || connection->phase == SYNC_PHASE_OPEN)
    sync_actions_add(actions, SYNC_ACTION_ABORT);
}

/* ---- opening ----------------------------------------------------------------------------------------------------- */

static void send_request(struct sync_connection *connection, int64_t now_ms, struct sync_actions *actions) {
  set_phase(connection, SYNC_PHASE_OPENING, now_ms + connection->config.connect_timeout_ms);
  sync_actions_add(actions, SYNC_ACTION_OPEN)->url = connection->url;
}

static void open_stream(struct sync_connection *connection, int64_t now_ms, struct sync_actions *actions) {
  if (connection->state != SYNC_ERROR || !connection->lost_before)
    set_state(connection, connection->lost_before ? SYNC_RECONNECTING : SYNC_CONNECTING, actions);
  connection->expires_at_ms = -1;
  if (!connection->config.ask) {
    send_request(connection, now_ms, actions);
    return;
  }
  set_phase(connection, SYNC_PHASE_ASKING, -1);
  sync_actions_add(actions, SYNC_ACTION_ASK);
}

/* ---- after a loss: what it was ----------------------------------------------------------------------------------- */

static bool exhausted(const struct sync_connection *connection) {
  return connection->failures > 0 && connection->failures >= connection->config.max_reconnect_attempts;
}

/* A stream that ends early and without an event is of no use, like a connect that fails. One that brought an event
 * leaves the backoff where it is. */
static bool judge_stream(struct sync_connection *connection, int64_t now_ms) {
  bool stable = now_ms - connection->opened_at_ms >= connection->config.stable_after_ms;
  if (stable) connection->backoff_step = 0;
  connection->barren = stable || connection->productive ? 0 : connection->barren + 1;
  return !connection->productive;
}

/* An end that comes over and over is called by its name. */
static void name_tight_loop(const struct sync_connection *connection, sync_failure *failure) {
  if (failure->code != SYNC_STREAM_ENDED && failure->code != SYNC_STREAM_CUT) return;
  const sync_failure end = *failure;
  sync_failure_set(failure, SYNC_TIGHT_LOOP, "tight loop: %d connects without an event; %s", connection->barren,
                   end.message);
  failure->status = end.status;
}

/* ---- after a loss: when to try again ----------------------------------------------------------------------------- */

int64_t sync_connection_spread_ms(struct sync_connection *connection, int64_t interval_ms) {
  uint64_t random = connection->random(connection->random_arg);
  return interval_ms + (int64_t)(random % ((uint64_t)interval_ms / 5 + 1));
}

/* `probing`: not expected to work soon. */
static int64_t delay_ms(struct sync_connection *connection, bool probing) {
  const struct sync_connection_config *config = &connection->config;
  int64_t floor_ms =
      connection->retry_after_ms > connection->retry_ms ? connection->retry_after_ms : connection->retry_ms;
  struct sync_backoff backoff = {
      .base_ms = connection->retry_ms > 0 ? connection->retry_ms : config->reconnect_delay_ms,
      .cap_ms = config->max_reconnect_delay_ms,
      .floor_ms = floor_ms < FLOOR_MOST_MS ? floor_ms : FLOOR_MOST_MS,
  };
  if (probing) {
    int64_t least_ms = config->stream_retry_interval_ms;
    return sync_connection_spread_ms(connection, least_ms > backoff.floor_ms ? least_ms : backoff.floor_ms);
  }
  return sync_backoff_delay_ms(&backoff, connection->backoff_step, connection->random(connection->random_arg));
}

void sync_connection_tell(const struct sync_connection *connection, const sync_failure *failure, int64_t retry_at_ms,
                          struct sync_actions *actions) {
  struct sync_action *action = sync_actions_add(actions, SYNC_ACTION_FAILURE);
  action->failure = *failure;
  action->failure.attempt = connection->failures;
  action->failure.next_retry_at_ms = retry_at_ms;
}

static void tell_exhausted(const struct sync_connection *connection, int64_t retry_at_ms,
                           struct sync_actions *actions) {
  sync_failure failure;
  sync_failure_set(&failure, SYNC_EXHAUSTED, "%d attempt%s in a row failed; %s", connection->failures,
                   connection->failures == 1 ? "" : "s",
                   retry_at_ms < 0 ? "staying away" : "the stream is probed from now on");
  sync_connection_tell(connection, &failure, retry_at_ms, actions);
}

/* ---- after a loss: the ways on ----------------------------------------------------------------------------------- */

/* Credentials may have expired since they were given: the host is asked for others, once. */
static bool ask_again(struct sync_connection *connection, int64_t now_ms, const sync_failure *failure,
                      struct sync_actions *actions) {
  const struct sync_connection_config *config = &connection->config;
  if (failure->error_class != SYNC_CLASS_AUTHENTICATION || connection->asked_again) return false;
  if (!config->ask || !config->auto_reconnect) return false;
  sync_failure told = *failure;
  told.retryable = connection->asked_again = true;
  sync_connection_tell(connection, &told, now_ms, actions);
  open_stream(connection, now_ms, actions);
  return true;
}

/* The next url is tried at once: who comes here has waited before the round. 204 is not an outage but an instruction,
 * and credentials that the host cannot give would be missing at every url. */
static bool fail_over(struct sync_connection *connection, int64_t now_ms, const sync_failure *failure,
                      struct sync_actions *actions) {
  if (connection->url + 1 >= connection->config.urls || !connection->config.auto_reconnect) return false;
  if (failure->code == SYNC_HTTP_NO_CONTENT || failure->code == SYNC_CREDENTIALS) return false;
  connection->url++;
  connection->asked_again = false;
  connection->barren = 0;
  sync_connection_forget_server(connection);
  sync_connection_tell(connection, failure, now_ms, actions);
  open_stream(connection, now_ms, actions);
  return true;
}

/* A round begins with the first url, and with nothing known of any. */
static void begin_round(struct sync_connection *connection) {
  if (connection->url > 0) sync_connection_forget_server(connection);
  connection->url = 0;
  connection->hope = connection->curable = connection->asked_again = false;
  connection->retry_after_ms = 0;
}

static void go_on(struct sync_connection *connection, int64_t now_ms, const sync_failure *failure, bool useless,
                  struct sync_actions *actions) {
  const struct sync_connection_config *config = &connection->config;
  bool spent = exhausted(connection), unlikely = !connection->hope;
  bool possible = connection->hope || connection->curable;
  bool retry = possible && config->auto_reconnect && !(spent && config->stop_when_exhausted);
  int64_t retry_at_ms = retry ? now_ms + delay_ms(connection, spent || unlikely) : -1;
  set_phase(connection, retry ? SYNC_PHASE_WAITING : SYNC_PHASE_GIVEN_UP, retry_at_ms);
  sync_connection_tell(connection, failure, retry_at_ms, actions);
  if (useless) connection->backoff_step++;
  if (spent && connection->hope && connection->state != SYNC_ERROR) tell_exhausted(connection, retry_at_ms, actions);
  set_state(connection, retry && !spent && !unlikely ? SYNC_RECONNECTING : SYNC_ERROR, actions);
  begin_round(connection);
}

/* What the round has told so far. */
static void take_note(struct sync_connection *connection, const sync_failure *failure, int64_t retry_after_ms) {
  if (failure->code == SYNC_IDLE_TIMEOUT || failure->code == SYNC_CONNECT_TIMEOUT) connection->fresh = true;
  if (failure->retryable) connection->hope = true;
  if (failure->error_class == SYNC_CLASS_CONFIGURATION) connection->curable = true;
  if (failure->code == SYNC_HTTP_NO_CONTENT) connection->hope = connection->curable = false; /* whatever others said */
  if (retry_after_ms > connection->retry_after_ms) connection->retry_after_ms = retry_after_ms;
}

/* An attempt or a stream is over: ask for other credentials, try the next url, back off, probe, or give up. */
static void lose(struct sync_connection *connection, int64_t now_ms, const sync_failure *failure,
                 int64_t retry_after_ms, struct sync_actions *actions) {
  sync_failure named = *failure;
  bool was_open = connection->phase == SYNC_PHASE_OPEN;
  bool useless = !was_open || judge_stream(connection, now_ms);
  bool in_vain = !was_open || connection->barren >= TIGHT_LOOP_FROM;
  sync_renewal_cancel(connection, actions);
  if (ask_again(connection, now_ms, failure, actions)) return;
  take_note(connection, failure, retry_after_ms);
  if (was_open && in_vain) name_tight_loop(connection, &named);
  if (was_open) connection->lost_before = true;
  if (in_vain && fail_over(connection, now_ms, &named, actions)) return;
  if (!was_open) connection->failures++;
  connection->lost_before = true;
  go_on(connection, now_ms, &named, useless, actions);
}

void sync_connection_ended(struct sync_connection *connection, int64_t now_ms, const sync_failure *failure,
                           int64_t retry_after_ms, struct sync_actions *actions) {
  if (connection->phase == SYNC_PHASE_OPEN && connection->renewal.phase == SYNC_RENEWAL_READY)
    sync_renewal_replace(connection, now_ms, actions);
  else if (connection->phase == SYNC_PHASE_OPENING || connection->phase == SYNC_PHASE_OPEN)
    lose(connection, now_ms, failure, retry_after_ms, actions);
}

/* ---- what the host wants ----------------------------------------------------------------------------------------- */

void sync_connection_init(struct sync_connection *connection, const struct sync_connection_config *config,
                          uint64_t (*random)(void *arg), void *random_arg) {
  *connection = (struct sync_connection){.config = *config, .random = random, .random_arg = random_arg};
  connection->state = SYNC_DISCONNECTED;
  connection->expires_at_ms = connection->renewal.deadline_ms = -1;
  set_phase(connection, SYNC_PHASE_AWAY, -1);
}

static void begin_session(struct sync_connection *connection) {
  begin_round(connection);
  connection->lost_before = false;
  connection->failures = connection->barren = 0;
  connection->backoff_step = 0;
}

void sync_connection_start(struct sync_connection *connection, int64_t now_ms, struct sync_actions *actions) {
  if (connection->phase != SYNC_PHASE_AWAY && connection->phase != SYNC_PHASE_GIVEN_UP) return;
  begin_session(connection);
  open_stream(connection, now_ms, actions);
}

void sync_connection_stop(struct sync_connection *connection, struct sync_actions *actions) {
  drop(connection, actions);
  set_phase(connection, SYNC_PHASE_AWAY, -1);
  set_state(connection, SYNC_DISCONNECTED, actions);
}

void sync_connection_restart(struct sync_connection *connection, int64_t now_ms, struct sync_actions *actions) {
  bool was_open = connection->state == SYNC_CONNECTED || connection->state == SYNC_RECONNECTING;
  drop(connection, actions);
  begin_session(connection);
  connection->lost_before = was_open;
  open_stream(connection, now_ms, actions);
}

void sync_connection_distrust(struct sync_connection *connection, int64_t now_ms, const sync_failure *failure,
                              bool revive, struct sync_actions *actions) {
  if (connection->phase == SYNC_PHASE_AWAY) return;
  if (!revive && (connection->phase == SYNC_PHASE_GIVEN_UP || !connection->config.auto_reconnect)) return;
  if (connection->phase == SYNC_PHASE_OPEN) sync_connection_tell(connection, failure, now_ms, actions);
  connection->fresh = true;
  sync_connection_restart(connection, now_ms, actions);
}

void sync_connection_answered(struct sync_connection *connection, int64_t now_ms, int64_t ttl_ms,
                              struct sync_actions *actions) {
  sync_renewal_answered(connection, now_ms, ttl_ms, actions);
  if (connection->phase != SYNC_PHASE_ASKING) return;
  connection->expires_at_ms = ttl_ms > 0 ? now_ms + ttl_ms : -1;
  send_request(connection, now_ms, actions);
}

void sync_connection_refused(struct sync_connection *connection, int64_t now_ms, const sync_failure *failure,
                             struct sync_actions *actions) {
  if (connection->renewal.phase == SYNC_RENEWAL_ASKING) sync_renewal_ended(connection, now_ms, failure, 0, actions);
  if (connection->phase == SYNC_PHASE_ASKING) lose(connection, now_ms, failure, 0, actions);
}

/* ---- the stream -------------------------------------------------------------------------------------------------- */

void sync_connection_opened(struct sync_connection *connection, int64_t now_ms, struct sync_actions *actions) {
  if (connection->phase != SYNC_PHASE_OPENING) return;
  connection->failures = 0;
  connection->productive = connection->asked_again = connection->fresh = false;
  connection->hope = connection->curable = false;
  connection->retry_after_ms = 0;
  connection->opened_at_ms = connection->heard_at_ms = now_ms;
  connection->keepalive_at_ms = 0;
  set_phase(connection, SYNC_PHASE_OPEN, now_ms + sync_connection_idle_timeout_ms(connection));
  set_state(connection, SYNC_CONNECTED, actions);
  sync_renewal_plan(connection, now_ms);
}

void sync_connection_heard(struct sync_connection *connection, int64_t now_ms) {
  connection->heard_at_ms = now_ms;
}

void sync_connection_event(struct sync_connection *connection, bool has_id) {
  connection->productive = true;
  connection->has_ids = has_id;
  connection->keepalive_at_ms = 0; /* a comment beside every event is no rhythm */
}

/* Keeps the longest period, and lets it shrink slowly, from what the server promises: one late heartbeat must not look
 * like a new rhythm, nor must a quick pair of comments. */
void sync_connection_keepalive(struct sync_connection *connection, int64_t now_ms) {
  int64_t period = now_ms - connection->keepalive_at_ms;
  if (connection->keepalive_at_ms > 0) {
    int64_t known = connection->learned_ms > 0 ? connection->learned_ms : connection->config.heartbeat_interval_ms;
    int64_t faded = known - known / 8;
    connection->learned_ms = period > faded ? period : faded;
    connection->period_ms = period;
  }
  connection->keepalive_at_ms = now_ms;
  int64_t dead_at_ms = now_ms + sync_connection_idle_timeout_ms(connection);
  if (connection->phase == SYNC_PHASE_OPEN && dead_at_ms < connection->deadline_ms)
    connection->deadline_ms = dead_at_ms;
}

void sync_connection_paused(struct sync_connection *connection) {
  connection->keepalive_at_ms = 0;
}

void sync_connection_retry(struct sync_connection *connection, int64_t retry_ms) {
  connection->retry_ms = retry_ms < FLOOR_MOST_MS ? retry_ms : FLOOR_MOST_MS;
}

bool sync_connection_is_tight_loop(const struct sync_connection *connection) {
  return connection->barren >= TIGHT_LOOP_FROM;
}

int64_t sync_connection_idle_timeout_ms(const struct sync_connection *connection) {
  const struct sync_connection_config *config = &connection->config;
  if (config->idle_timeout_ms > 0) return config->idle_timeout_ms;
  int64_t timeout = connection->learned_ms > 0 ? connection->learned_ms * 3 : config->heartbeat_interval_ms * 5 / 2;
  if (timeout < IDLE_LEAST_MS) return IDLE_LEAST_MS;
  return timeout < IDLE_MOST_MS ? timeout : IDLE_MOST_MS;
}

void sync_connection_forget_server(struct sync_connection *connection) {
  connection->retry_ms = 0;
  connection->learned_ms = 0;
  connection->has_ids = false;
}

void sync_connection_reconsider(struct sync_connection *connection) {
  if (connection->phase == SYNC_PHASE_OPEN)
    connection->deadline_ms = connection->heard_at_ms + sync_connection_idle_timeout_ms(connection);
}

/* ---- time -------------------------------------------------------------------------------------------------------- */

int64_t sync_connection_deadline_ms(const struct sync_connection *connection) {
  return sync_due_earlier_ms(connection->deadline_ms, connection->renewal.deadline_ms);
}

/* A server that gave signs of life and then none has most likely been cut off; one that never gave any may be quiet. */
static void tell_silence(const struct sync_connection *connection, int64_t silence_ms, sync_failure *failure) {
  if (connection->learned_ms > 0)
    sync_failure_set(failure, SYNC_IDLE_TIMEOUT,
                     "half-open connection: nothing was heard for %lld ms, after signs of life every %lld ms",
                     (long long)silence_ms, (long long)connection->period_ms);
  else
    sync_failure_set(failure, SYNC_IDLE_TIMEOUT,
                     "nothing was heard for %lld ms: a half-open connection, or a server without heartbeats",
                     (long long)silence_ms);
}

/* The stream may have been heard since the deadline was set: bytes do not touch the timer, it looks when it fires. */
static void check_silence(struct sync_connection *connection, int64_t now_ms, struct sync_actions *actions) {
  int64_t timeout_ms = sync_connection_idle_timeout_ms(connection);
  int64_t silence_ms = now_ms - connection->heard_at_ms;
  if (silence_ms < timeout_ms) {
    connection->deadline_ms = connection->heard_at_ms + timeout_ms;
    return;
  }
  sync_failure failure;
  tell_silence(connection, silence_ms, &failure);
  sync_actions_add(actions, SYNC_ACTION_ABORT);
  connection->learned_ms = 0; /* what was learned may have been wrong: back to what the server promises */
  sync_connection_ended(connection, now_ms, &failure, 0, actions);
}

static void time_out_connect(struct sync_connection *connection, int64_t now_ms, struct sync_actions *actions) {
  sync_failure failure;
  sync_failure_set(&failure, SYNC_CONNECT_TIMEOUT, "no response within %lld ms",
                   (long long)connection->config.connect_timeout_ms);
  sync_actions_add(actions, SYNC_ACTION_ABORT);
  sync_connection_ended(connection, now_ms, &failure, 0, actions);
}

void sync_connection_tick(struct sync_connection *connection, int64_t now_ms, struct sync_actions *actions) {
  sync_renewal_tick(connection, now_ms, actions);
  if (connection->deadline_ms < 0 || now_ms < connection->deadline_ms) return;
  switch (connection->phase) {
  case SYNC_PHASE_WAITING: open_stream(connection, now_ms, actions); break;
  case SYNC_PHASE_OPENING: time_out_connect(connection, now_ms, actions); break;
  case SYNC_PHASE_OPEN: check_silence(connection, now_ms, actions); break;
  case SYNC_PHASE_AWAY:
  case SYNC_PHASE_ASKING:
  case SYNC_PHASE_GIVEN_UP: break;
  }
}

const char *sync_state_name(sync_state state) {
  static const char *const names[] = {"disconnected",     "connecting", "connected", "reconnecting",
                                      "polling_fallback", "error",      "closed"};
  return names[state];
}
