/*
 * connection.h - the life of one client's connection: inputs in, actions out. No socket, no clock, no memory.
 *
 * Whoever drives it (client.c; in tests a virtual clock) tells what happened and when, in milliseconds of a clock that
 * never goes back, carries out the actions in their order, and calls sync_connection_tick() when
 * sync_connection_deadline_ms() has come.
 */
#ifndef SYNC_CONNECTION_H
#define SYNC_CONNECTION_H

#include "sync.h"

struct sync_connection_config {
  bool ask; /* the host is asked for headers before every connect */
  bool auto_reconnect;
  bool stop_when_exhausted;
  int64_t max_reconnect_attempts;
  int64_t reconnect_delay_ms;
  int64_t max_reconnect_delay_ms;
  int64_t stable_after_ms;
  int64_t stream_retry_interval_ms;
  int64_t heartbeat_interval_ms;
  int64_t idle_timeout_ms; /* 0: learned */
  int64_t connect_timeout_ms;
};

enum sync_action_kind {
  SYNC_ACTION_ASK,     /* get the headers, then sync_connection_answered() */
  SYNC_ACTION_OPEN,    /* send the request */
  SYNC_ACTION_ABORT,   /* drop what OPEN began */
  SYNC_ACTION_STATE,   /* tell the host */
  SYNC_ACTION_FAILURE, /* tell the host: `failure` with its attempt and next retry filled in */
};

struct sync_action {
  enum sync_action_kind kind;
  sync_state from; /* STATE */
  sync_state to;
  sync_failure failure; /* FAILURE; next_retry_at_ms is in the connection's clock here, -1: none is planned */
};

/* The most that one input can ask for: two failures, a state change, an abort, an open. */
#define SYNC_ACTIONS_MAX 6

struct sync_actions {
  int count;
  struct sync_action list[SYNC_ACTIONS_MAX];
};

/* What it is doing; the state that users see follows from it. */
enum sync_phase {
  SYNC_PHASE_AWAY,    /* disconnected */
  SYNC_PHASE_ASKING,  /* waits for headers */
  SYNC_PHASE_OPENING, /* waits for the response */
  SYNC_PHASE_OPEN,
  SYNC_PHASE_WAITING, /* backs off */
  SYNC_PHASE_GIVEN_UP,
};

/* Fields are for reading. */
struct sync_connection {
  struct sync_connection_config config;
  uint64_t (*random)(void *arg);
  void *random_arg;
  enum sync_phase phase;
  sync_state state;
  bool lost_before;      /* a connect in this session failed or was lost: "reconnecting", not "connecting" */
  bool productive;       /* the open stream brought an event */
  unsigned backoff_step; /* grows with every useless connect, starts afresh after a stable one */
  int failures;          /* connects in a row that never opened */
  int64_t retry_ms;      /* the stream's `retry:`; 0: none */
  int64_t opened_at_ms;
  int64_t heard_at_ms;     /* last byte */
  int64_t keepalive_at_ms; /* last heartbeat or comment of this stream; 0: none */
  int64_t learned_ms;      /* the longest of its periods seen lately; 0: not known */
  int64_t deadline_ms;     /* of the phase; -1: none */
};

/* Disconnected. `random` gives 64 even bits. */
void sync_connection_init(struct sync_connection *connection, const struct sync_connection_config *config,
                          uint64_t (*random)(void *arg), void *random_arg);

/* The host wants the stream, or wants it no more, or wants a fresh one now. */
void sync_connection_start(struct sync_connection *connection, int64_t now_ms, struct sync_actions *actions);
void sync_connection_stop(struct sync_connection *connection, struct sync_actions *actions);
void sync_connection_restart(struct sync_connection *connection, int64_t now_ms, struct sync_actions *actions);

/* The headers have been given; or they cannot be, and the attempt has failed. */
void sync_connection_answered(struct sync_connection *connection, int64_t now_ms, struct sync_actions *actions);
void sync_connection_refused(struct sync_connection *connection, int64_t now_ms, const sync_failure *failure,
                             struct sync_actions *actions);

/* What a response head means: SYNC_OK is an event stream; otherwise `failure` says what it is and whether a retry may
 * help (408, 429 and 5xx: yes). WHATWG HTML 9.2.3, made kinder for servers that are being deployed. */
sync_code sync_connection_judge(int status, const char *content_type, sync_failure *failure);

/* The response is an event stream. */
void sync_connection_opened(struct sync_connection *connection, int64_t now_ms, struct sync_actions *actions);

/* Bytes came; an event came; a heartbeat or a comment came; a `retry:` came. */
void sync_connection_heard(struct sync_connection *connection, int64_t now_ms);
void sync_connection_event(struct sync_connection *connection);
void sync_connection_keepalive(struct sync_connection *connection, int64_t now_ms);
void sync_connection_retry(struct sync_connection *connection, int64_t retry_ms);

/* The exchange is over: `failure` says how, `retry_after_ms` (0: none) what the server asked for. */
void sync_connection_ended(struct sync_connection *connection, int64_t now_ms, const sync_failure *failure,
                           int64_t retry_after_ms, struct sync_actions *actions);

/* Another server: what the last one asked for, and its rhythm, are forgotten. */
void sync_connection_forget_server(struct sync_connection *connection);

/* The configuration has changed: the watchdog of an open stream is set anew. */
void sync_connection_reconsider(struct sync_connection *connection);

/* When to call tick at the latest; -1: never. */
int64_t sync_connection_deadline_ms(const struct sync_connection *connection);
void sync_connection_tick(struct sync_connection *connection, int64_t now_ms, struct sync_actions *actions);

/* The silence after which an open stream counts as dead. */
int64_t sync_connection_idle_timeout_ms(const struct sync_connection *connection);

#endif
