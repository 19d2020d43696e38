/* renewal.c - a new stream before the old one is closed. */
#include "renewal.h"

#include "error.h"

/* How long the old stream is still read when its events have no ids: many times what a busy server takes to write what
 * it wrote before it knew of the new one. */
#define LINGER_MS 250

/* Credentials are renewed when a fifth of their time is left, at most this much. */
#define LEAD_MOST_MS (60 * 1000)

/* While credentials that could not be renewed still hold, it is tried again in half of what is left, not sooner. */
#define AGAIN_LEAST_MS 1000

static void set_phase(struct sync_connection *connection, enum sync_renewal_phase phase, int64_t deadline_ms) {
  connection->renewal.phase = phase;
  connection->renewal.deadline_ms = deadline_ms;
}

/* ---- when -------------------------------------------------------------------------------------------------------- */

static void plan_for(struct sync_connection *connection, int url, int64_t at_ms) {
  struct sync_renewal *renewal = &connection->renewal;
  if (renewal->deadline_ms >= 0 && renewal->deadline_ms <= at_ms) return;
  renewal->url = url;
  renewal->deadline_ms = at_ms;
}

/* Somewhere in the tenth before the last tenth: terminals that started together do not ask together. */
static int64_t renew_at_ms(struct sync_connection *connection, int64_t now_ms) {
  int64_t left_ms = connection->expires_at_ms - now_ms;
  if (left_ms <= 0) return now_ms + AGAIN_LEAST_MS; /* they did not last as long as it took to get here */
  int64_t lead_ms = left_ms / 5 < LEAD_MOST_MS ? left_ms / 5 : LEAD_MOST_MS;
  uint64_t random = connection->random(connection->random_arg);
  return connection->expires_at_ms - lead_ms + (int64_t)(random % ((uint64_t)lead_ms / 2 + 1));
}

static void plan_return(struct sync_connection *connection, int64_t now_ms) {
  int64_t interval_ms = connection->config.stream_retry_interval_ms;
  if (connection->url > 0) plan_for(connection, 0, now_ms + sync_connection_spread_ms(connection, interval_ms));
}

void sync_renewal_plan(struct sync_connection *connection, int64_t now_ms) {
  set_phase(connection, SYNC_RENEWAL_NONE, -1);
  if (!connection->config.auto_reconnect) return;
  if (connection->expires_at_ms >= 0) plan_for(connection, connection->url, renew_at_ms(connection, now_ms));
  plan_return(connection, now_ms);
}

static void plan_again(struct sync_connection *connection, int64_t now_ms) {
  bool was_return = connection->renewal.url != connection->url;
  int64_t left_ms = connection->expires_at_ms - now_ms;
  if (was_return || !connection->config.auto_reconnect) {
    sync_renewal_plan(connection, now_ms);
    return;
  }
  set_phase(connection, SYNC_RENEWAL_NONE, -1);
  if (connection->expires_at_ms >= 0) {
    int64_t wait_ms = left_ms > 0 ? left_ms / 2 : connection->config.max_reconnect_delay_ms;
    plan_for(connection, connection->url, now_ms + (wait_ms > AGAIN_LEAST_MS ? wait_ms : AGAIN_LEAST_MS));
  }
  plan_return(connection, now_ms);
}

/* ---- the successor ----------------------------------------------------------------------------------------------- */

static void send_request(struct sync_connection *connection, int64_t now_ms, struct sync_actions *actions) {
  set_phase(connection, SYNC_RENEWAL_OPENING, now_ms + connection->config.connect_timeout_ms);
  sync_actions_add(actions, SYNC_ACTION_RENEW)->url = connection->renewal.url;
}

static void begin(struct sync_connection *connection, int64_t now_ms, struct sync_actions *actions) {
  connection->renewal.expires_at_ms = -1;
  if (!connection->config.ask) {
    send_request(connection, now_ms, actions);
    return;
  }
  set_phase(connection, SYNC_RENEWAL_ASKING, -1);
  sync_actions_add(actions, SYNC_ACTION_ASK);
}

static bool is_under_way(const struct sync_connection *connection) {
  return connection->renewal.phase == SYNC_RENEWAL_OPENING || connection->renewal.phase == SYNC_RENEWAL_READY;
}

void sync_renewal_cancel(struct sync_connection *connection, struct sync_actions *actions) {
  if (is_under_way(connection)) sync_actions_add(actions, SYNC_ACTION_ABANDON);
  set_phase(connection, SYNC_RENEWAL_NONE, -1);
}

void sync_renewal_answered(struct sync_connection *connection, int64_t now_ms, int64_t ttl_ms,
                           struct sync_actions *actions) {
  if (connection->renewal.phase != SYNC_RENEWAL_ASKING) return;
  connection->renewal.expires_at_ms = ttl_ms > 0 ? now_ms + ttl_ms : -1;
  send_request(connection, now_ms, actions);
}

void sync_renewal_opened(struct sync_connection *connection, int64_t now_ms) {
  if (connection->renewal.phase != SYNC_RENEWAL_OPENING) return;
  set_phase(connection, SYNC_RENEWAL_READY, now_ms + (connection->has_ids ? 0 : LINGER_MS));
}

/* The stream itself goes on. */
void sync_renewal_ended(struct sync_connection *connection, int64_t now_ms, const sync_failure *failure,
                        int64_t retry_after_ms, struct sync_actions *actions) {
  struct sync_renewal *renewal = &connection->renewal;
  sync_failure told = *failure;
  if (renewal->phase == SYNC_RENEWAL_NONE) return;
  plan_again(connection, now_ms);
  if (renewal->deadline_ms >= 0 && renewal->deadline_ms < now_ms + retry_after_ms)
    renewal->deadline_ms = now_ms + sync_connection_spread_ms(connection, retry_after_ms);
  told.retryable = renewal->deadline_ms >= 0;
  sync_connection_tell(connection, &told, renewal->deadline_ms, actions);
}

void sync_renewal_replace(struct sync_connection *connection, int64_t now_ms, struct sync_actions *actions) {
  sync_actions_add(actions, SYNC_ACTION_REPLACE);
  if (connection->url != connection->renewal.url) sync_connection_forget_server(connection);
  connection->url = connection->renewal.url;
  connection->expires_at_ms = connection->renewal.expires_at_ms;
  connection->heard_at_ms = now_ms;
  connection->keepalive_at_ms = 0;
  connection->deadline_ms = now_ms + sync_connection_idle_timeout_ms(connection);
  sync_renewal_plan(connection, now_ms);
}

void sync_renewal_tick(struct sync_connection *connection, int64_t now_ms, struct sync_actions *actions) {
  if (connection->renewal.deadline_ms < 0 || now_ms < connection->renewal.deadline_ms) return;
  sync_failure failure;
  switch (connection->renewal.phase) {
  case SYNC_RENEWAL_NONE: begin(connection, now_ms, actions); break;
  case SYNC_RENEWAL_READY: sync_renewal_replace(connection, now_ms, actions); break;
  case SYNC_RENEWAL_OPENING:
    sync_failure_set(&failure, SYNC_CONNECT_TIMEOUT, "renewing the stream: no response within %lld ms",
                     (long long)connection->config.connect_timeout_ms);
    sync_actions_add(actions, SYNC_ACTION_ABANDON);
    sync_renewal_ended(connection, now_ms, &failure, 0, actions);
    break;
  case SYNC_RENEWAL_ASKING: break;
  }
}
