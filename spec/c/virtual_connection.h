/*
 * virtual_connection.h - drives connection.c with a clock and chance of the test's own, and checks with every input
 * what must hold whatever happens: the actions fit, at most one request is under way, each state change starts from the
 * one before, a loss is told once, deadlines lie ahead.
 */
#ifndef VIRTUAL_CONNECTION_H
#define VIRTUAL_CONNECTION_H

#include "connection.h"
#include "error.h"
#include "options.h"
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

/* The time told is one at which something is going to be tried. */
static inline void virtual_check_retry(const struct virtual_connection *virtual, int64_t retry_at_ms) {
  const struct sync_connection *connection = &virtual->connection;
  bool at_once = retry_at_ms == virtual->now_ms;
  assert_true(at_once || retry_at_ms == connection->deadline_ms || retry_at_ms == connection->renewal.deadline_ms);
}

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
    virtual_check_retry(virtual, action->failure.next_retry_at_ms);
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
    virtual->renewing = false;
    virtual->under_way = true;
    break;
  case SYNC_ACTION_ASK: assert_true(virtual->connection.config.ask); break;
  }
}

/* One loss is one failure, and perhaps the news that attempts are exhausted. */
static inline void virtual_check_failures(const struct virtual_connection *virtual) {
  int failures = 0, exhausted = 0;
  for (int i = 0; i < virtual->actions.count; i++) {
    const struct sync_action *action = &virtual->actions.list[i];
    if (action->kind != SYNC_ACTION_FAILURE) continue;
    if (action->failure.code == SYNC_EXHAUSTED)
      exhausted++;
    else
      failures++;
  }
  assert_in_range(failures, 0, 1);
  assert_in_range(exhausted, 0, failures);
}

static inline void virtual_check_phase(const struct virtual_connection *virtual) {
  const struct sync_connection *connection = &virtual->connection;
  const int64_t deadline_ms = connection->deadline_ms;
  const enum sync_renewal_phase renewal = connection->renewal.phase;
  const enum sync_phase phase = connection->phase;
  bool timed = phase == SYNC_PHASE_OPENING || phase == SYNC_PHASE_OPEN || phase == SYNC_PHASE_WAITING;
  assert_int_equal(virtual->under_way, phase == SYNC_PHASE_OPENING || phase == SYNC_PHASE_OPEN);
  assert_int_equal(deadline_ms >= 0, timed);
  if (phase == SYNC_PHASE_WAITING) assert_true(deadline_ms <= virtual->now_ms + 2 * HOUR_MS);
  assert_int_equal(connection->state == SYNC_CONNECTED, phase == SYNC_PHASE_OPEN);
  assert_int_equal(connection->state == SYNC_DISCONNECTED, phase == SYNC_PHASE_AWAY);
  assert_int_equal(virtual->told_state, connection->state);
  assert_int_equal(virtual->renewing, renewal == SYNC_RENEWAL_OPENING || renewal == SYNC_RENEWAL_READY);
  if (renewal != SYNC_RENEWAL_NONE || connection->renewal.deadline_ms >= 0) assert_int_equal(phase, SYNC_PHASE_OPEN);
  assert_in_range(connection->url, 0, connection->config.urls - 1);
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

static inline void virtual_answer(struct virtual_connection *virtual) {
  sync_connection_answered(&virtual->connection, virtual->now_ms, 0, virtual_actions(virtual));
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

/* The exchange is over, as a transport tells it: only of a request that is under way. */
static inline void virtual_ended(struct virtual_connection *virtual, sync_code code, int64_t retry_after_ms) {
  sync_failure failure;
  sync_failure_set(&failure, code, "%s", sync_code_text(code));
  virtual->under_way = false;
  sync_connection_ended(&virtual->connection, virtual->now_ms, &failure, retry_after_ms, virtual_actions(virtual));
  virtual_check(virtual);
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

/* A stream that is open, from whatever was before. */
static inline void virtual_open(struct virtual_connection *virtual) {
  virtual_start(virtual);
  if (virtual->connection.phase == SYNC_PHASE_WAITING) virtual_due(virtual);
  virtual_opened(virtual);
  assert_int_equal(virtual->connection.phase, SYNC_PHASE_OPEN);
}

/* ---- what was asked for ------------------------------------------------------------------------------------------ */

static inline bool virtual_did(const struct virtual_connection *virtual, enum sync_action_kind kind) {
  for (int i = 0; i < virtual->actions.count; i++)
    if (virtual->actions.list[i].kind == kind) return true;
  return false;
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
