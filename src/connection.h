/*
 * connection.h - the life of one client's connection: inputs in, actions out. No socket, no clock, no memory.
 *
 * Whoever drives it (client.c; in tests a virtual clock) tells what happened and when, in milliseconds of a clock that
 * never goes back, carries out the actions in their order, and calls sync_connection_tick() when
 * sync_connection_deadline_ms() has come. There is one stream at any moment, but for a renewal (renewal.h): then a
 * successor is opened before the stream is closed.
 */
#ifndef SYNC_CONNECTION_H
#define SYNC_CONNECTION_H

#include "sync.h"

struct sync_connection_config {
  bool ask; /* the host is asked for headers before every connect */
  bool auto_reconnect;
  bool stop_when_exhausted;
  int urls; /* how many there are to connect to, 1 or more */
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
  SYNC_ACTION_OPEN,    /* send the request, to url number `url` */
  SYNC_ACTION_ABORT,   /* drop what OPEN began */
  SYNC_ACTION_STATE,   /* tell the host */
  SYNC_ACTION_FAILURE, /* tell the host: `failure` with its attempt and next retry filled in */
  SYNC_ACTION_RENEW,   /* send the successor's request, to url number `url` */
  SYNC_ACTION_ABANDON, /* drop what RENEW began */
  SYNC_ACTION_REPLACE, /* the successor is the stream now: drop what OPEN began, if it is not over, and read from it */
};

struct sync_action {
  enum sync_action_kind kind;
  int url;         /* OPEN, RENEW */
  sync_state from; /* STATE */
  sync_state to;
  sync_failure failure; /* FAILURE; next_retry_at_ms is in the connection's clock here, -1: none is planned */
};

/* The most that one input can ask for: two failures, a state change, an abandonment, an abort, an open. */
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

enum sync_renewal_phase {
  SYNC_RENEWAL_NONE,    /* perhaps one is planned: the deadline */
  SYNC_RENEWAL_ASKING,  /* waits for headers */
  SYNC_RENEWAL_OPENING, /* waits for the response */
  SYNC_RENEWAL_READY,   /* the response is an event stream: it takes over at the deadline */
};

/* Fields are for reading. */
struct sync_renewal {
  enum sync_renewal_phase phase;
  int url;               /* of the successor */
  int64_t expires_at_ms; /* the successor's credentials; -1: never */
  int64_t deadline_ms;   /* of the phase; -1: none */
};

/* Fields are for reading. */
struct sync_connection {
  struct sync_connection_config config;
  uint64_t (*random)(void *arg);
  void *random_arg;
  enum sync_phase phase;
  sync_state state;
  int url;                /* the one in use, or tried next */
  bool lost_before;       /* a connect in this session failed or was lost: "reconnecting", not "connecting" */
  bool asked_again;       /* credentials were refused, and asked for once more */
  bool fresh;             /* connections that are open may be dead: the next request makes its own */
  bool productive;        /* the open stream brought an event */
  bool has_ids;           /* its events have ids: what is missed can be sent again */
  bool hope;              /* one of the urls tried in this round may work later */
  bool curable;           /* one of them may work once something on this machine is put right */
  unsigned backoff_step;  /* grows with every useless connect, starts afresh after a stable one */
  int failures;           /* rounds in a row in which no url opened */
  int barren;             /* streams in a row that ended early and without an event */
  int64_t retry_ms;       /* the stream's `retry:`; 0: none */
  int64_t retry_after_ms; /* the longest that a url of this round asked for; 0: none */
  int64_t expires_at_ms;  /* the credentials in use; -1: never */
  int64_t opened_at_ms;
  int64_t heard_at_ms;     /* last byte */
  int64_t keepalive_at_ms; /* last heartbeat or comment of this stream; 0: none */
  int64_t period_ms;       /* between the last two of them */
  int64_t learned_ms;      /* the longest of its periods seen lately; 0: not known */
  int64_t deadline_ms;     /* of the phase; -1: none */
  struct sync_renewal renewal;
};

/* Disconnected. `random` gives 64 even bits. */
void sync_connection_init(struct sync_connection *connection, const struct sync_connection_config *config,
                          uint64_t (*random)(void *arg), void *random_arg);

/* The host wants the stream, or wants it no more, or wants a fresh one now. */
void sync_connection_start(struct sync_connection *connection, int64_t now_ms, struct sync_actions *actions);
void sync_connection_stop(struct sync_connection *connection, struct sync_actions *actions);
void sync_connection_restart(struct sync_connection *connection, int64_t now_ms, struct sync_actions *actions);

/* Connections that are open may be dead, for the reason in `failure`: whoever is connected or tries to be begins anew
 * at once, on a connection of its own. `revive`: so does who had given up, or does not reconnect by himself. */
void sync_connection_distrust(struct sync_connection *connection, int64_t now_ms, const sync_failure *failure,
                              bool revive, struct sync_actions *actions);

/* The headers have been given, good for `ttl_ms` (0: without end); or they cannot be, and the attempt has failed. */
void sync_connection_answered(struct sync_connection *connection, int64_t now_ms, int64_t ttl_ms,
                              struct sync_actions *actions);
void sync_connection_refused(struct sync_connection *connection, int64_t now_ms, const sync_failure *failure,
                             struct sync_actions *actions);

/* The response is an event stream. */
void sync_connection_opened(struct sync_connection *connection, int64_t now_ms, struct sync_actions *actions);

/* Bytes came; an order event came, with or without an id; a heartbeat or a comment came; reading pauses because we are
 * busy, so the next sign of life says nothing about the server's rhythm; a `retry:` came. */
void sync_connection_heard(struct sync_connection *connection, int64_t now_ms);
void sync_connection_event(struct sync_connection *connection, bool has_id);
void sync_connection_keepalive(struct sync_connection *connection, int64_t now_ms);
void sync_connection_paused(struct sync_connection *connection);
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

/* Whether the server accepts streams and ends them at once, over and over. */
bool sync_connection_is_tight_loop(const struct sync_connection *connection);

/* The silence after which an open stream counts as dead. */
int64_t sync_connection_idle_timeout_ms(const struct sync_connection *connection);

/* ---- for the halves of the machine: connection.c, renewal.c ------------------------------------------------------ */

struct sync_action *sync_actions_add(struct sync_actions *actions, enum sync_action_kind kind);

/* Tells `failure`; `retry_at_ms` -1: nothing more is planned. */
void sync_connection_tell(const struct sync_connection *connection, const sync_failure *failure, int64_t retry_at_ms,
                          struct sync_actions *actions);

/* `interval_ms` and up to a fifth more, so that many terminals drift apart. */
int64_t sync_connection_spread_ms(struct sync_connection *connection, int64_t interval_ms);

#endif
