/* connection.c - the life of one client's connection. One setter for the phase, one for the state; the rest are inputs.
 */
#include "connection.h"

#include <ctype.h>
#include <string.h>
#include <strings.h>

#include "backoff.h"
#include "error.h"

/* The idle timeout that is worked out from heartbeats stays between these. */
#define IDLE_LEAST_MS (5 * 1000)
#define IDLE_MOST_MS  (5 * 60 * 1000)

/* A server may ask for a longer wait than max_reconnect_delay_ms, but not for a deaf kitchen. */
#define FLOOR_MOST_MS (60 * 60 * 1000)

/* ---- actions ----------------------------------------------------------------------------------------------------- */

static struct sync_action *act(struct sync_actions *actions, enum sync_action_kind kind) {
  struct sync_action *action = &actions->list[actions->count++];
  action->kind = kind;
  return action;
}

static void set_state(struct sync_connection *connection, sync_state state, struct sync_actions *actions) {
  if (connection->state == state) return;
  struct sync_action *action = act(actions, SYNC_ACTION_STATE);
  action->from = connection->state;
  action->to = state;
  connection->state = state;
}

static void set_phase(struct sync_connection *connection, enum sync_phase phase, int64_t deadline_ms) {
  connection->phase = phase;
  connection->deadline_ms = deadline_ms;
}

static void drop(struct sync_connection *connection, struct sync_actions *actions) {
  if (connection->phase == SYNC_PHASE_OPENING || connection->phase == SYNC_PHASE_OPEN) act(actions, SYNC_ACTION_ABORT);
}

/* ---- opening ----------------------------------------------------------------------------------------------------- */

static void send_request(struct sync_connection *connection, int64_t now_ms, struct sync_actions *actions) {
  set_phase(connection, SYNC_PHASE_OPENING, now_ms + connection->config.connect_timeout_ms);
  act(actions, SYNC_ACTION_OPEN);
}

static void open_stream(struct sync_connection *connection, int64_t now_ms, struct sync_actions *actions) {
  if (connection->state != SYNC_ERROR || !connection->lost_before)
    set_state(connection, connection->lost_before ? SYNC_RECONNECTING : SYNC_CONNECTING, actions);
  if (!connection->config.ask) {
    send_request(connection, now_ms, actions);
    return;
  }
  set_phase(connection, SYNC_PHASE_ASKING, -1);
  act(actions, SYNC_ACTION_ASK);
}

/* ---- after a loss ------------------------------------------------------------------------------------------------ */

static bool exhausted(const struct sync_connection *connection) {
  return connection->failures > 0 && connection->failures >= connection->config.max_reconnect_attempts;
}

static int64_t delay_ms(struct sync_connection *connection, int64_t retry_after_ms) {
  const struct sync_connection_config *config = &connection->config;
  int64_t floor_ms = retry_after_ms > connection->retry_ms ? retry_after_ms : connection->retry_ms;
  struct sync_backoff backoff = {
      .base_ms = connection->retry_ms > 0 ? connection->retry_ms : config->reconnect_delay_ms,
      .cap_ms = config->max_reconnect_delay_ms,
      .floor_ms = floor_ms < FLOOR_MOST_MS ? floor_ms : FLOOR_MOST_MS,
  };
  uint64_t random = connection->random(connection->random_arg);
  if (exhausted(connection)) { /* probing: spread over a fifth, so that probes of many terminals drift apart */
    int64_t least_ms = config->stream_retry_interval_ms;
    if (least_ms < backoff.floor_ms) least_ms = backoff.floor_ms;
    return least_ms + (int64_t)(random % ((uint64_t)least_ms / 5 + 1));
  }
  return sync_backoff_delay_ms(&backoff, connection->backoff_step, random);
}

/* What the attempt or the stream that just ended says about the next ones. true: it was useless, and the wait after the
 * next such one will be longer. A short stream that brought an event leaves the backoff where it is. */
static bool take_stock(struct sync_connection *connection, int64_t now_ms) {
  if (connection->phase != SYNC_PHASE_OPEN) {
    connection->failures++;
    return true;
  }
  if (now_ms - connection->opened_at_ms >= connection->config.stable_after_ms) connection->backoff_step = 0;
  return !connection->productive;
}

static void tell_failure(const struct sync_connection *connection, const sync_failure *failure, int64_t retry_at_ms,
                         struct sync_actions *actions) {
  struct sync_action *action = act(actions, SYNC_ACTION_FAILURE);
  action->failure = *failure;
  action->failure.attempt = connection->failures;
  action->failure.next_retry_at_ms = retry_at_ms;
}

static void tell_exhausted(const struct sync_connection *connection, int64_t retry_at_ms,
                           struct sync_actions *actions) {
  sync_failure failure;
  sync_failure_set(&failure, SYNC_EXHAUSTED, "%d attempts in a row failed; %s", connection->failures,
                   retry_at_ms < 0 ? "staying away" : "the stream is probed from now on");
  tell_failure(connection, &failure, retry_at_ms, actions);
}

static void give_up(struct sync_connection *connection, const sync_failure *failure, struct sync_actions *actions) {
  set_phase(connection, SYNC_PHASE_GIVEN_UP, -1);
  tell_failure(connection, failure, -1, actions);
}

static void wait_and_retry(struct sync_connection *connection, int64_t now_ms, const sync_failure *failure,
                           int64_t retry_after_ms, struct sync_actions *actions) {
  int64_t retry_at_ms = now_ms + delay_ms(connection, retry_after_ms);
  set_phase(connection, SYNC_PHASE_WAITING, retry_at_ms);
  tell_failure(connection, failure, retry_at_ms, actions);
}

/* An attempt or a stream is over: now back off, probe, or give up. */
static void lose(struct sync_connection *connection, int64_t now_ms, const sync_failure *failure,
                 int64_t retry_after_ms, struct sync_actions *actions) {
  bool useless = take_stock(connection, now_ms);
  connection->lost_before = true;
  bool spent = exhausted(connection);
  bool retry =
      failure->retryable && connection->config.auto_reconnect && !(spent && connection->config.stop_when_exhausted);
  if (retry)
    wait_and_retry(connection, now_ms, failure, retry_after_ms, actions);
  else
    give_up(connection, failure, actions);
  if (useless) connection->backoff_step++;
  if (spent && failure->retryable && connection->state != SYNC_ERROR)
    tell_exhausted(connection, connection->deadline_ms, actions);
  set_state(connection, retry && !spent ? SYNC_RECONNECTING : SYNC_ERROR, actions);
}

void sync_connection_ended(struct sync_connection *connection, int64_t now_ms, const sync_failure *failure,
                           int64_t retry_after_ms, struct sync_actions *actions) {
  if (connection->phase == SYNC_PHASE_OPENING || connection->phase == SYNC_PHASE_OPEN)
    lose(connection, now_ms, failure, retry_after_ms, actions);
}

/* ---- what the host wants ----------------------------------------------------------------------------------------- */

void sync_connection_init(struct sync_connection *connection, const struct sync_connection_config *config,
                          uint64_t (*random)(void *arg), void *random_arg) {
  *connection = (struct sync_connection){.config = *config, .random = random, .random_arg = random_arg};
  connection->state = SYNC_DISCONNECTED;
  set_phase(connection, SYNC_PHASE_AWAY, -1);
}

static void begin_session(struct sync_connection *connection) {
  connection->lost_before = false;
  connection->failures = 0;
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

void sync_connection_answered(struct sync_connection *connection, int64_t now_ms, struct sync_actions *actions) {
  if (connection->phase == SYNC_PHASE_ASKING) send_request(connection, now_ms, actions);
}

void sync_connection_refused(struct sync_connection *connection, int64_t now_ms, const sync_failure *failure,
                             struct sync_actions *actions) {
  if (connection->phase == SYNC_PHASE_ASKING) lose(connection, now_ms, failure, 0, actions);
}

/* ---- the response ------------------------------------------------------------------------------------------------ */

/* The type and subtype are `text/event-stream`, in any case, parameters aside. */
static bool is_event_stream(const char *content_type) {
  static const char wanted[] = "text/event-stream";
  if (!content_type || strncasecmp(content_type, wanted, sizeof wanted - 1) != 0) return false;
  const char *rest = content_type + sizeof wanted - 1;
  while (isspace((unsigned char)*rest)) rest++;
  return *rest == '\0' || *rest == ';';
}

static sync_code status_code(int status) {
  switch (status) {
  case 204: return SYNC_HTTP_NO_CONTENT;
  case 401:
  case 403: return SYNC_HTTP_AUTH;
  case 301:
  case 302:
  case 303:
  case 307:
  case 308: return SYNC_HTTP_REDIRECT;
  default: return SYNC_HTTP_STATUS;
  }
}

sync_code sync_connection_judge(int status, const char *content_type, sync_failure *failure) {
  if (status == 200 && is_event_stream(content_type)) return SYNC_OK;
  if (status == 200)
    sync_failure_set(failure, SYNC_CONTENT_TYPE, "expected text/event-stream, got status 200 with %s",
                     content_type ? content_type : "no content type");
  else
    sync_failure_set(failure, status_code(status), "the server answered %d", status);
  failure->status = status;
  if (failure->code == SYNC_HTTP_STATUS) failure->retryable = status == 408 || status == 429 || status >= 500;
  return failure->code;
}

void sync_connection_opened(struct sync_connection *connection, int64_t now_ms, struct sync_actions *actions) {
  if (connection->phase != SYNC_PHASE_OPENING) return;
  connection->failures = 0;
  connection->productive = false;
  connection->opened_at_ms = connection->heard_at_ms = now_ms;
  connection->keepalive_at_ms = 0;
  set_phase(connection, SYNC_PHASE_OPEN, now_ms + sync_connection_idle_timeout_ms(connection));
  set_state(connection, SYNC_CONNECTED, actions);
}

/* ---- the stream -------------------------------------------------------------------------------------------------- */

void sync_connection_heard(struct sync_connection *connection, int64_t now_ms) {
  connection->heard_at_ms = now_ms;
}

void sync_connection_event(struct sync_connection *connection) {
  connection->productive = true;
}

/* Keeps the longest period, and lets it shrink slowly, from what the server promises: one late heartbeat must not look
 * like a new rhythm, nor must a quick pair of comments. */
void sync_connection_keepalive(struct sync_connection *connection, int64_t now_ms) {
  int64_t period = now_ms - connection->keepalive_at_ms;
  if (connection->keepalive_at_ms > 0) {
    int64_t known = connection->learned_ms > 0 ? connection->learned_ms : connection->config.heartbeat_interval_ms;
    int64_t faded = known - known / 8;
    connection->learned_ms = period > faded ? period : faded;
  }
  connection->keepalive_at_ms = now_ms;
  int64_t dead_at_ms = now_ms + sync_connection_idle_timeout_ms(connection);
  if (connection->phase == SYNC_PHASE_OPEN && dead_at_ms < connection->deadline_ms)
    connection->deadline_ms = dead_at_ms;
}

void sync_connection_retry(struct sync_connection *connection, int64_t retry_ms) {
  connection->retry_ms = retry_ms < FLOOR_MOST_MS ? retry_ms : FLOOR_MOST_MS;
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
}

void sync_connection_reconsider(struct sync_connection *connection) {
  if (connection->phase == SYNC_PHASE_OPEN)
    connection->deadline_ms = connection->heard_at_ms + sync_connection_idle_timeout_ms(connection);
}

/* ---- time -------------------------------------------------------------------------------------------------------- */

int64_t sync_connection_deadline_ms(const struct sync_connection *connection) {
  return connection->deadline_ms;
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
  sync_failure_set(&failure, SYNC_IDLE_TIMEOUT, "nothing was heard for %lld ms (idle_timeout_ms is %lld)",
                   (long long)silence_ms, (long long)timeout_ms);
  act(actions, SYNC_ACTION_ABORT);
  connection->learned_ms = 0; /* what was learned may have been wrong: back to what the server promises */
  sync_connection_ended(connection, now_ms, &failure, 0, actions);
}

static void time_out_connect(struct sync_connection *connection, int64_t now_ms, struct sync_actions *actions) {
  sync_failure failure;
  sync_failure_set(&failure, SYNC_CONNECT_TIMEOUT, "no response within %lld ms",
                   (long long)connection->config.connect_timeout_ms);
  act(actions, SYNC_ACTION_ABORT);
  sync_connection_ended(connection, now_ms, &failure, 0, actions);
}

void sync_connection_tick(struct sync_connection *connection, int64_t now_ms, struct sync_actions *actions) {
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
