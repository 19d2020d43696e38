/*
 * virtual_connection.h - drives connection.c and renewal.c with a clock and chance of the test's own, and checks with
 * every input what must hold whatever happens: the actions fit, at most one request and one successor are under way,
 * each state change starts from the one before, a loss is told once, whoever waits has a deadline.
 */
#ifndef VIRTUAL_CONNECTION_H
#define VIRTUAL_CONNECTION_H

#include "connection.h"
#include "error.h"
#include "options.h"
#include "renewal.h"
#include "spans.h"

#define HOUR_MS (60 * 60 * 1000)

struct virtual_connection {
  struct sync_connection connection;
  int64_t now_ms;
  uint64_t random;             /* the next one */
  struct sync_actions actions; /* of the last input */
  sync_state told_state;
  bool under_way; /* between OPEN and ABORT or the end */
  bool renewing;  /* between RENEW and ABANDON, REPLACE or the end */
  unsigned opens; /* so far */
  unsigned renewals;
  unsigned replacements;
};

static inline uint64_t virtual_random(void *arg) {
  const struct virtual_connection *virtual = arg;
  return virtual->random;
}

/* The defaults of the design. */
static inline struct sync_connection_config virtual_config(void) {
  sync_options options;
  sync_options_init(&options);
  return (struct sync_connection_config){
      .auto_reconnect = options.auto_reconnect,
      .urls = 1,
      .max_reconnect_attempts = options.max_reconnect_attempts,
      .reconnect_delay_ms = options.reconnect_delay_ms,
      .max_reconnect_delay_ms = options.max_reconnect_delay_ms,
      .stable_after_ms = options.stable_after_ms,
      .stream_retry_interval_ms = options.stream_retry_interval_ms,
      .heartbeat_interval_ms = options.heartbeat_interval_ms,
      .connect_timeout_ms = options.connect_timeout_ms,
  };
}

static inline void virtual_init(struct virtual_connection *virtual, struct sync_connection_config config) {
  *virtual = (struct virtual_connection){.now_ms = 1000000};
  sync_connection_init(&virtual->connection, &config, virtual_random, virtual);
}

/* ---- what must hold ---------------------------------------------------------------------------------------------- */

static inline void virtual_check_action(struct virtual_connection *virtual, const struct sync_action *action) {
  switch (action->kind) {
  case SYNC_ACTION_OPEN:
    assert_false(virtual->under_way);
    virtual->under_way = true;
    virtual->opens++;
    break;
  case SYNC_ACTION_ABORT:
    assert_true(virtual->under_way);
    virtual->under_way = false;
    break;
  case SYNC_ACTION_STATE:
    assert_int_equal(action->from, virtual->told_state);
    assert_int_not_equal(action->to, action->from);
    virtual->told_state = action->to;
    break;
  case SYNC_ACTION_FAILURE:
    assert_int_not_equal(action->failure.code, SYNC_OK);
    assert_true(action->failure.attempt >= 0);
    break;
  case SYNC_ACTION_RENEW:
    assert_true(virtual->under_way && !virtual->renewing);
    virtual->renewing = true;
    virtual->renewals++;
    break;
  case SYNC_ACTION_ABANDON:
    assert_true(virtual->renewing);
    virtual->renewing = false;
    break;
  case SYNC_ACTION_REPLACE:
    assert_true(virtual->renewing);
    assert_int_equal(virtual->told_state, SYNC_CONNECTED);
    virtual->renewing = false;
    virtual->under_way = true;
    virtual->replacements++;
    break;
  case SYNC_ACTION_ASK: assert_true(virtual->connection.config.ask); break;
  }
}

/* The time told last is one at which something is going to be tried. */
static inline void virtual_check_retry(const struct virtual_connection *virtual, int64_t retry_at_ms) {
  const struct sync_connection *connection = &virtual->connection;
  bool at_once = retry_at_ms == virtual->now_ms;
  assert_true(at_once || retry_at_ms == connection->deadline_ms || retry_at_ms == connection->renewal.deadline_ms);
}

/* One loss is one failure, and perhaps the news that attempts are exhausted; a successor that is abandoned may be
 * another. */
static inline void virtual_check_failures(const struct virtual_connection *virtual) {
  int failures = 0, exhausted = 0, abandoned = 0;
  const sync_failure *last = NULL;
  for (int i = 0; i < virtual->actions.count; i++) {
    const struct sync_action *action = &virtual->actions.list[i];
    if (action->kind == SYNC_ACTION_ABANDON) abandoned++;
    if (action->kind != SYNC_ACTION_FAILURE) continue;
    last = &action->failure;
    if (last->code == SYNC_EXHAUSTED)
      exhausted++;
    else
      failures++;
  }
  assert_in_range(failures, 0, 1 + abandoned);
  assert_in_range(exhausted, 0, failures);
  if (last) virtual_check_retry(virtual, last->next_retry_at_ms);
}

static inline void virtual_check_renewal(const struct virtual_connection *virtual) {
  const struct sync_connection *connection = &virtual->connection;
  const struct sync_renewal *renewal = &connection->renewal;
  bool under_way = renewal->phase == SYNC_RENEWAL_OPENING || renewal->phase == SYNC_RENEWAL_READY;
  assert_int_equal(virtual->renewing, under_way);
  if (renewal->phase == SYNC_RENEWAL_ASKING) assert_int_equal(renewal->deadline_ms, -1);
  if (under_way) assert_true(renewal->deadline_ms >= 0);
  if (renewal->phase == SYNC_RENEWAL_READY) assert_true(renewal->deadline_ms <= virtual->now_ms + 1000);
  if (renewal->phase == SYNC_RENEWAL_NONE && renewal->deadline_ms < 0) return;
  assert_int_equal(connection->phase, SYNC_PHASE_OPEN);
  assert_true(renewal->url == 0 || renewal->url == connection->url);
}

static inline void virtual_check_phase(const struct virtual_connection *virtual) {
  const struct sync_connection *connection = &virtual->connection;
  const int64_t deadline_ms = connection->deadline_ms;
  const enum sync_phase phase = connection->phase;
  bool timed = phase == SYNC_PHASE_OPENING || phase == SYNC_PHASE_OPEN || phase == SYNC_PHASE_WAITING;
  assert_int_equal(virtual->under_way, phase == SYNC_PHASE_OPENING || phase == SYNC_PHASE_OPEN);
  assert_int_equal(deadline_ms >= 0, timed);
  if (phase == SYNC_PHASE_WAITING) assert_true(deadline_ms <= virtual->now_ms + 2 * HOUR_MS);
  if (phase == SYNC_PHASE_OPEN)
    assert_true(deadline_ms <= virtual->now_ms + sync_connection_idle_timeout_ms(connection));
  assert_int_equal(connection->state == SYNC_CONNECTED, phase == SYNC_PHASE_OPEN);
  assert_int_equal(connection->state == SYNC_DISCONNECTED, phase == SYNC_PHASE_AWAY);
  assert_int_equal(virtual->told_state, connection->state);
  if (phase != SYNC_PHASE_AWAY) assert_in_range(connection->url, 0, connection->config.urls - 1);
  virtual_check_renewal(virtual);
}

static inline void virtual_check(struct virtual_connection *virtual) {
  assert_in_range(virtual->actions.count, 0, SYNC_ACTIONS_MAX);
  for (int i = 0; i < virtual->actions.count; i++) virtual_check_action(virtual, &virtual->actions.list[i]);
  virtual_check_failures(virtual);
  virtual_check_phase(virtual);
}

/* ---- inputs ------------------------------------------------------------------------------------------------------ */

static inline struct sync_actions *virtual_actions(struct virtual_connection *virtual) {
  virtual->actions.count = 0;
  return &virtual->actions;
}

static inline void virtual_start(struct virtual_connection *virtual) {
  sync_connection_start(&virtual->connection, virtual->now_ms, virtual_actions(virtual));
  virtual_check(virtual);
}

static inline void virtual_stop(struct virtual_connection *virtual) {
  sync_connection_stop(&virtual->connection, virtual_actions(virtual));
  virtual_check(virtual);
}

static inline void virtual_restart(struct virtual_connection *virtual) {
  sync_connection_restart(&virtual->connection, virtual->now_ms, virtual_actions(virtual));
  virtual_check(virtual);
}

static inline void virtual_distrust(struct virtual_connection *virtual, sync_code code, bool revive) {
  sync_failure failure;
  sync_failure_set(&failure, code, "%s", sync_code_text(code));
  sync_connection_distrust(&virtual->connection, virtual->now_ms, &failure, revive, virtual_actions(virtual));
  virtual_check(virtual);
}

/* `ttl_ms` 0: good without end. */
static inline void virtual_answer(struct virtual_connection *virtual, int64_t ttl_ms) {
  sync_connection_answered(&virtual->connection, virtual->now_ms, ttl_ms, virtual_actions(virtual));
  virtual_check(virtual);
}

static inline void virtual_refuse(struct virtual_connection *virtual) {
  sync_failure failure;
  sync_failure_set(&failure, SYNC_CREDENTIALS, "no token");
  sync_connection_refused(&virtual->connection, virtual->now_ms, &failure, virtual_actions(virtual));
  virtual_check(virtual);
}

static inline void virtual_opened(struct virtual_connection *virtual) {
  sync_connection_opened(&virtual->connection, virtual->now_ms, virtual_actions(virtual));
  virtual_check(virtual);
}

/* The exchange is over for this reason; before it was under way, or after, that must change nothing. */
static inline void virtual_failed(struct virtual_connection *virtual, const sync_failure *failure,
                                  int64_t retry_after_ms) {
  virtual->under_way = false;
  sync_connection_ended(&virtual->connection, virtual->now_ms, failure, retry_after_ms, virtual_actions(virtual));
  virtual_check(virtual);
}

static inline void virtual_ended(struct virtual_connection *virtual, sync_code code, int64_t retry_after_ms) {
  sync_failure failure;
  sync_failure_set(&failure, code, "%s", sync_code_text(code));
  virtual_failed(virtual, &failure, retry_after_ms);
}

/* The successor's response is an event stream. */
static inline void virtual_successor_opened(struct virtual_connection *virtual) {
  virtual_actions(virtual);
  sync_renewal_opened(&virtual->connection, virtual->now_ms);
  virtual_check(virtual);
}

/* The successor's exchange is over. */
static inline void virtual_successor_ended(struct virtual_connection *virtual, sync_code code) {
  sync_failure failure;
  sync_failure_set(&failure, code, "%s", sync_code_text(code));
  virtual->renewing = false;
  sync_renewal_ended(&virtual->connection, virtual->now_ms, &failure, 0, virtual_actions(virtual));
  virtual_check(virtual);
}

/* An order event came. */
static inline void virtual_event(struct virtual_connection *virtual, bool has_id) {
  sync_connection_heard(&virtual->connection, virtual->now_ms);
  sync_connection_event(&virtual->connection, has_id);
  virtual_check_phase(virtual);
}

static inline void virtual_tick(struct virtual_connection *virtual) {
  sync_connection_tick(&virtual->connection, virtual->now_ms, virtual_actions(virtual));
  virtual_check(virtual);
}

/* Time jumps to the deadline, which acts. */
static inline void virtual_due(struct virtual_connection *virtual) {
  int64_t deadline_ms = sync_connection_deadline_ms(&virtual->connection);
  assert_true(deadline_ms >= 0);
  if (deadline_ms > virtual->now_ms) virtual->now_ms = deadline_ms;
  virtual_tick(virtual);
}

/* How far away the next renewal is; -1: none is planned. */
static inline int64_t virtual_renewal_in_ms(const struct virtual_connection *virtual) {
  const struct sync_renewal *renewal = &virtual->connection.renewal;
  assert_int_equal(renewal->phase, SYNC_RENEWAL_NONE);
  return renewal->deadline_ms < 0 ? -1 : renewal->deadline_ms - virtual->now_ms;
}

/* Time jumps to the planned renewal, while heartbeats come. */
static inline void virtual_renewal_due(struct virtual_connection *virtual) {
  int64_t left_ms = virtual_renewal_in_ms(virtual);
  assert_true(left_ms >= 0);
  virtual->now_ms += left_ms;
  sync_connection_heard(&virtual->connection, virtual->now_ms);
  virtual_tick(virtual);
}

/* A stream that is open, from whatever was before, with credentials that are good for `ttl_ms`. */
static inline void virtual_open_for(struct virtual_connection *virtual, int64_t ttl_ms) {
  virtual_start(virtual);
  if (virtual->connection.phase == SYNC_PHASE_WAITING) virtual_due(virtual);
  if (virtual->connection.phase == SYNC_PHASE_ASKING) virtual_answer(virtual, ttl_ms);
  virtual_opened(virtual);
  assert_int_equal(virtual->connection.phase, SYNC_PHASE_OPEN);
}

static inline void virtual_open(struct virtual_connection *virtual) {
  virtual_open_for(virtual, 0);
}

/* ---- what was asked for ------------------------------------------------------------------------------------------ */

static inline bool virtual_did(const struct virtual_connection *virtual, enum sync_action_kind kind) {
  for (int i = 0; i < virtual->actions.count; i++)
    if (virtual->actions.list[i].kind == kind) return true;
  return false;
}

/* The url of the last request, for the stream or for its successor, among the last actions; -1: none was sent. */
static inline int virtual_url(const struct virtual_connection *virtual, enum sync_action_kind kind) {
  int url = -1;
  for (int i = 0; i < virtual->actions.count; i++)
    if (virtual->actions.list[i].kind == kind) url = virtual->actions.list[i].url;
  return url;
}

/* The failure with this code among the last actions, or NULL. */
static inline const sync_failure *virtual_failure(const struct virtual_connection *virtual, sync_code code) {
  for (int i = 0; i < virtual->actions.count; i++)
    if (virtual->actions.list[i].kind == SYNC_ACTION_FAILURE && virtual->actions.list[i].failure.code == code)
      return &virtual->actions.list[i].failure;
  return NULL;
}

static inline void virtual_check_at(const struct virtual_connection *virtual, enum sync_phase phase, sync_state state) {
  assert_int_equal(virtual->connection.phase, phase);
  assert_string_equal(sync_state_name(virtual->connection.state), sync_state_name(state));
}

#endif
