/*
 * sync.h - ordersync for hosts written in C: the one public header. The Lua binding uses nothing else.
 *
 * A loop runs any number of clients; a client holds one event stream open, reconnects, resumes, and queues what it
 * received. The host calls sync_loop_step() and then takes items off the clients' queues; the engine never calls back
 * into the host. Everything belongs to the thread that made the loop; loops of several threads do not meet. After
 * fork() the child's calls do nothing: they return SYNC_FORKED, or an empty answer; a loop that it makes itself works.
 * docs/embedding-c.md has the rest.
 *
 *     sync_loop *loop = sync_loop_new(NULL);
 *     sync_options options;
 *     sync_options_init(&options);
 *     options.url = "http://127.0.0.1:8080";
 *     sync_client *client = sync_client_new(loop, &options, NULL);
 *     sync_client_subscribe(client, NULL);
 *     sync_item item;
 *     while (sync_loop_step(loop, -1, 0) == SYNC_OK)
 *       while (sync_client_next(client, &item))
 *         if (item.kind == SYNC_ITEM_EVENT) cook(sync_event_text(item.event, SYNC_EVENT_ORDER_ID));
 */
#ifndef SYNC_H
#define SYNC_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#ifdef __cplusplus
extern "C" {
#endif

#define SYNC_VERSION "0.1.0"

/* ---- values ------------------------------------------------------------------------------------------------------ */

/* Bytes somewhere; not NUL-terminated, may hold NUL. */
typedef struct sync_span {
  const char *bytes;
  size_t length;
} sync_span;

/* Memory: resize(arg, NULL, n) makes, resize(arg, block, n) grows, resize(arg, block, 0) ends and returns NULL. */
typedef struct sync_allocator {
  void *(*resize)(void *arg, void *block, size_t bytes);
  void *arg;
} sync_allocator;

/* Every outcome has a code; names are stable, texts are not. error.c has the table; docs/errors.md cause and cure. */
typedef enum sync_code {
  SYNC_OK,
  SYNC_NO_MEMORY,
  SYNC_FORKED,
  SYNC_CLOSED,
  SYNC_SYSTEM,
  SYNC_URL,
  SYNC_OPTION,
  SYNC_HEADER,
  SYNC_DNS,
  SYNC_REFUSED,
  SYNC_CONNECT_TIMEOUT,
  SYNC_TLS,
  SYNC_TLS_FILE,
  SYNC_TLS_UNVERIFIED,
  SYNC_PROXY,
  SYNC_NETWORK,
  SYNC_HTTP_STATUS,
  SYNC_HTTP_AUTH,
  SYNC_HTTP_REDIRECT,
  SYNC_HTTP_NO_CONTENT,
  SYNC_HTTP_PROTOCOL,
  SYNC_CONTENT_TYPE,
  SYNC_STREAM_ENDED,
  SYNC_STREAM_CUT,
  SYNC_IDLE_TIMEOUT,
  SYNC_TIGHT_LOOP,
  SYNC_SLEPT,
  SYNC_NETWORK_CHANGED,
  SYNC_EXHAUSTED,
  SYNC_POLL_FAILED,
  SYNC_SNAPSHOT,
  SYNC_CIRCUIT_OPEN,
  SYNC_EVENT_JSON,
  SYNC_EVENT_TOO_LARGE,
  SYNC_EVENT_DECODE,
  SYNC_CREDENTIALS,
  SYNC_HANDLER,
  SYNC_TIMEOUT,
  SYNC_JOURNAL_FULL,
  SYNC_JOURNAL_READ_ONLY,
  SYNC_JOURNAL_CORRUPT,
  SYNC_JOURNAL_SCHEMA,
  SYNC_JOURNAL_LOCKED,
  SYNC_JOURNAL_GONE,
  SYNC_JOURNAL_IO,
  SYNC_NO_JOURNAL,
  SYNC_CODE_COUNT
} sync_code;

/* What follows from an error. */
typedef enum sync_class {
  SYNC_CLASS_RETRY,          /* it may pass: tried again, with backoff */
  SYNC_CLASS_AUTHENTICATION, /* a host that is asked for headers is asked once more, then it is fatal */
  SYNC_CLASS_CONFIGURATION, /* somebody must change something: state error; probed now and then, should it be changed */
  SYNC_CLASS_FATAL,         /* the same again would end the same: not tried again */
} sync_class;

/* "retry" and so on. */
const char *sync_class_name(sync_class class_of_error);

/* "EVENT_JSON"; what it means in a sentence; what to do about it; its class. */
const char *sync_code_name(sync_code code);
const char *sync_code_text(sync_code code);
const char *sync_code_hint(sync_code code);
sync_class sync_code_class(sync_code code);

/* What is no point in time. */
#define SYNC_TIME_NONE INT64_MIN

/* Reads `text`, ms since the epoch, fractions of one cut off; or SYNC_TIME_NONE. It may be
 *   - a date, or a date and a time of day, of ISO 8601 in its extended format: what RFC 3339 and ECMAScript's
 *     toISOString() write, with `T`, `t` or a space between, seconds and their fraction if there are any, and an offset
 *     (`Z`, `+01:00`, `+0100`, `+01`). Without an offset it is UTC;
 *   - a number of seconds or milliseconds since the epoch: of milliseconds from 10^11 on. */
int64_t sync_time_parse(sync_span text);

/* ---- loop -------------------------------------------------------------------------------------------------------- */

typedef struct sync_loop sync_loop;
typedef struct sync_client sync_client;
typedef struct sync_event sync_event;

/* A loop with nothing in it, or NULL (no memory, or no descriptors left). `alloc` NULL: the C library's. It must
 * outlive the loop and every event retained from it. */
sync_loop *sync_loop_new(const sync_allocator *alloc);

/* Closes every client of the loop (their handles must not be used again) and ends it. NULL is fine. */
void sync_loop_free(sync_loop *loop);

/* Whether this process is a child of the one that made the loop: then nothing can be done with it here. */
bool sync_loop_forked(const sync_loop *loop);

/* The one descriptor to wait on: readable means, call sync_loop_step(loop, 0, ...). On Linux timers show through it. It
 * is the loop's, to wait for and nothing else. */
int sync_loop_fd(const sync_loop *loop);

/* How long the loop may be left alone, in ms: 0 when something is ready, -1 when only the descriptor matters. Call it
 * before waiting whenever items were left on a queue. */
int sync_loop_timeout_ms(sync_loop *loop);

/* Waits up to `timeout_ms` (0: not at all, -1: for ever) until there is something to deliver, doing what is due.
 * `budget_us` bounds the time spent on what arrives (0: no bound); what is left over is done by the next step.
 * SYNC_OK, SYNC_FORKED; SYNC_CLOSED: with -1, when no client does anything, for the wait would never end. */
sync_code sync_loop_step(sync_loop *loop, int timeout_ms, int64_t budget_us);

/* Whether the budget of the last step is used up: the host's drain counts against it too. */
bool sync_loop_spent(sync_loop *loop);

/* Milliseconds of the loop's clock, which never goes back. */
int64_t sync_loop_clock_ms(const sync_loop *loop);

/* Milliseconds since the epoch. */
int64_t sync_loop_wall_ms(const sync_loop *loop);

/* Ends a step's wait at `at_ms` of that clock, once, for what the host has to do then; it shows through the descriptor
 * as everything does. Takes the place of the one before; -1: none. */
void sync_loop_alarm(sync_loop *loop, int64_t at_ms);

/* A client with items to take, in turn; NULL: none has. */
sync_client *sync_loop_ready(sync_loop *loop);

/* ---- client ------------------------------------------------------------------------------------------------------ */

typedef enum sync_decode {
  SYNC_DECODE_ORDER, /* JSON of the order wire: type, order id, timestamp and data are looked up by name */
  SYNC_DECODE_JSON,  /* any JSON: checked, not looked into */
  SYNC_DECODE_NONE,  /* text */
} sync_decode;

typedef enum sync_state {
  SYNC_DISCONNECTED,
  SYNC_CONNECTING,
  SYNC_CONNECTED,
  SYNC_RECONNECTING,
  SYNC_POLLING_FALLBACK,
  SYNC_ERROR,
  SYNC_STATE_CLOSED,
} sync_state;

/* "connected" and so on. */
const char *sync_state_name(sync_state state);

/* Where news of an order came from. */
typedef enum sync_source {
  SYNC_SOURCE_STREAM,
  SYNC_SOURCE_POLL,
  SYNC_SOURCE_BACKFILL, /* what a snapshot told after a gap in the stream */
} sync_source;

/* "stream" and so on. */
const char *sync_source_name(sync_source source);

/* What the ids of a stream are taken for: docs/gaps.md. */
typedef enum sync_gap_ids {
  SYNC_GAP_IDS_AUTO,  /* learned: opaque until they have counted long enough */
  SYNC_GAP_IDS_DENSE, /* they count, one by one, everything that this client is sent */
  SYNC_GAP_IDS_OPAQUE,
} sync_gap_ids;

/* What a commit of the journal has survived when it is done. */
typedef enum sync_durability {
  SYNC_DURABILITY_NORMAL, /* the death of this process; of the machine only what the last checkpoint had */
  SYNC_DURABILITY_FULL,   /* the death of the machine: a sync of the disk for each */
  SYNC_DURABILITY_OFF,    /* the death of this process; if the machine dies, the file may be broken */
} sync_durability;

typedef struct sync_header {
  sync_span name;
  sync_span value;
} sync_header;

/* Where news come from. The environment has no say here: that is the host's affair. */
typedef enum sync_mode {
  SYNC_MODE_AUTO, /* the stream; polling while it fails, if there is something to poll */
  SYNC_MODE_STREAM,
  SYNC_MODE_POLL,
  SYNC_MODE_COMPARE, /* both, and the host is told what each says of the orders; it needs an order book */
  SYNC_MODE_OFF,     /* nowhere */
} sync_mode;

/* What a client is made of. Texts are copied; NULL means the default or none. Durations in milliseconds. */
typedef struct sync_options {
  const char *url;                  /* http or https; no path, or "/": /api/v1/sync/events is added */
  const char *const *fallback_urls; /* tried in their order when the ones before fail */
  size_t fallback_url_count;
  const char *order_id;    /* server-side filter: query parameter orderID */
  const char *event_types; /* server-side filter, comma-separated: query parameter eventTypes */
  const char *last_event_id;
  const char *method; /* GET */
  sync_span body;
  const sync_header *headers;
  size_t header_count;
  bool ask_headers; /* before every connect a SYNC_ITEM_ASK is queued; sync_client_answer() sends the request */
  const char *accept_encoding;
  const char *http_version; /* "1.1", "2" (over TLS); NULL: libcurl's choice */
  const char *proxy;
  const char *no_proxy; /* as CURLOPT_NOPROXY takes it */
  const char *unix_socket;
  const char *const *resolve; /* "host=address": what a name stands for, on any port */
  size_t resolve_count;
  int64_t max_redirects; /* in a row; 0: none is followed */
  const char *ca_file;
  const char *cert_file;
  const char *key_file;
  const char *pinned_public_key; /* as CURLOPT_PINNEDPUBLICKEY takes it */
  const char *tls_min_version;   /* "1.2" (NULL too), "1.3" */
  bool insecure_skip_verify;
  sync_mode mode;
  const char *poll_url;       /* a snapshot of the orders, relative to `url`; NULL: none */
  const char *poll_order_url; /* of the order called `order_id`, which stands there as {id}: asked in its place */
  bool poll_by_host;          /* no url: a SYNC_ITEM_FETCH is queued, and sync_client_snapshot() gives it */
  bool poll_is_partial;       /* a snapshot does not have every order: one that it lacks has not been deleted */
  int64_t poll_interval_ms;
  int64_t poll_timeout_ms;         /* of one poll */
  const sync_header *poll_headers; /* on top of `headers`, which a url of another origin does not get */
  size_t poll_header_count;
  size_t max_snapshot_bytes;
  size_t book_limit; /* orders that are kept; 0: no order book */
  sync_decode decode;
  const char *field_type;      /* names in the wire's JSON; NULL: eventType, event_type */
  const char *field_order_id;  /* NULL: orderID, orderId, order_id */
  const char *field_timestamp; /* NULL: timestamp */
  const char *field_data;      /* NULL: data */
  bool auto_connect;
  bool auto_reconnect;
  bool strict; /* the letter of the standard where we are kinder: see docs/connection.md */
  bool stop_when_exhausted;
  int64_t max_reconnect_attempts;
  int64_t reconnect_delay_ms;
  int64_t max_reconnect_delay_ms;
  int64_t stable_after_ms;
  int64_t stream_retry_interval_ms;
  int64_t heartbeat_interval_ms;
  int64_t idle_timeout_ms; /* 0: "auto" */
  int64_t connect_timeout_ms;
  size_t event_history_limit;
  size_t max_event_bytes;
  size_t queue_limit;
  sync_gap_ids gap_ids;
  size_t duplicate_window;    /* events with an id that are remembered, to drop those that come again; 0: none */
  const char *journal_path;   /* a SQLite file, made if it is not there; NULL: nothing is kept */
  const char *journal_stream; /* what the stream is called in it; NULL: after `url` */
  sync_durability journal_durability;
  bool journal_required;     /* without the journal there is no client: else it goes on in memory, and says so */
  size_t journal_max_events; /* bounds of the events that are done */
  size_t journal_max_bytes;
  int64_t journal_max_age_ms;
  size_t dead_letter_limit;
  const char *const *redact; /* names of JSON members whose values never touch the disk */
  size_t redact_count;
  bool manual_ack; /* an event is done when sync_client_ack() says so, not when the next one is taken */
} sync_options;

/* Every option at its default: docs/options.md has them, and what each does. To be called before any is set. */
void sync_options_init(sync_options *options);

/* What went wrong, as it stands in items and in health. `message` is NUL-terminated. */
typedef struct sync_failure {
  sync_code code;
  char message[320];
  int status;               /* HTTP status, 0: none */
  int attempt;              /* consecutive failures so far */
  int64_t next_retry_at_ms; /* since the epoch; 0: none is planned */
  sync_class error_class;   /* the code's, or a status's own */
  bool retryable;           /* class retry: trying again may help */
} sync_failure;

/* A client in `loop`; it connects in the next step unless auto_connect is false. NULL: `failure` (may be NULL) says
 * why. The loop owns it too: sync_loop_free() ends it. */
sync_client *sync_client_new(sync_loop *loop, const sync_options *options, sync_failure *failure);

/* Ends a client at any moment: the connection is dropped at once, undelivered items are gone. NULL is fine. */
void sync_client_free(sync_client *client);

/* Any pointer of the host's, NULL at first. */
void sync_client_set_data(sync_client *client, void *data);
void *sync_client_data(const sync_client *client);

/* Opens the stream if it is not open or opening. */
sync_code sync_client_connect(sync_client *client);

/* Drops the stream and stays away until sync_client_connect(); queued items can still be taken. */
sync_code sync_client_disconnect(sync_client *client);

/* Drops the stream, if any, and opens it now: a wait or a given-up state is skipped. */
sync_code sync_client_reconnect(sync_client *client);

/* The host knows that the machine is on another network, or was cut off: a stream that is open, being opened or waited
 * for is opened anew at once, on a connection of its own, and so is one that had been given up. A client that was told
 * to stay away does. */
sync_code sync_client_network_changed(sync_client *client);

/* Takes new options. A change of what is asked of the server (url, filter, headers, ...) reconnects an open stream; the
 * last event ID is kept unless the url changed. What concerns the journal is fixed, and with one the url. On an error
 * nothing has changed. */
sync_code sync_client_configure(sync_client *client, const sync_options *options, sync_failure *failure);

/* The answer to a SYNC_ITEM_ASK: the headers of this one connect, on top of those of the options. `ttl_ms`: how long
 * they are good for, 0: without end; before that is over the host is asked again, and a new stream opened before the
 * old one is closed. SYNC_HEADER: `failure` (may be NULL) says what is wrong with one, and the answer is still wanted.
 */
sync_code sync_client_answer(sync_client *client, const sync_header *headers, size_t count, int64_t ttl_ms,
                             sync_failure *failure);

/* No answer can be given: this attempt has failed with SYNC_CREDENTIALS and `why`; the next one asks again. */
sync_code sync_client_refuse(sync_client *client, const char *why);

/* Where it is now; what is queued may tell of states before. */
sync_state sync_client_state(const sync_client *client);

/* ---- what arrives ------------------------------------------------------------------------------------------------ */

typedef enum sync_item_kind {
  SYNC_ITEM_EVENT,
  SYNC_ITEM_STATE,
  SYNC_ITEM_ERROR,
  SYNC_ITEM_COMMENT,
  SYNC_ITEM_ASK,    /* a request's headers are wanted: sync_client_answer() */
  SYNC_ITEM_FETCH,  /* a snapshot is wanted: sync_client_snapshot() */
  SYNC_ITEM_POLLED, /* a snapshot has been taken in; its events came before this */
  SYNC_ITEM_GAP,    /* a gap has been opened or closed; the events before and behind it come before and behind this */
  /* Mode compare only, in the order in which it happened; when, on the loop's clock, is their events' received_at. */
  SYNC_ITEM_HEARD,  /* what the stream says of an order, as JSON, is the event's RAW; type order_deleted: it is gone.
                     * Without an order id: the stream says that something is missing in it */
  SYNC_ITEM_ASKED,  /* a poll is asked now; one before it that has not been listed to its end has failed */
  SYNC_ITEM_LISTED, /* the event's RAW is an order of the snapshot; without an order id: that was all of them */
} sync_item_kind;

/* How a gap in the stream was noticed. */
typedef enum sync_gap_reason {
  SYNC_GAP_IDS,       /* the server counts, and its ids step */
  SYNC_GAP_EPOCH,     /* the server counts, and has begun anew */
  SYNC_GAP_HUB,       /* it says in the response's header that its history does not reach back (Mercure) */
  SYNC_GAP_RESYNC,    /* it says so in a `resync` event */
  SYNC_GAP_NO_REPLAY, /* the stream was away, and there is no id to resume from */
} sync_gap_reason;

/* What closes a gap, from the cheapest on. */
typedef enum sync_gap_cure {
  SYNC_CURE_NONE,     /* nothing yet: the gap is open */
  SYNC_CURE_REPLAY,   /* the missing ids came after all */
  SYNC_CURE_ORDER,    /* the one order that it can be about was fetched */
  SYNC_CURE_SNAPSHOT, /* a snapshot of all orders was */
  SYNC_CURE_GIVEN_UP, /* nothing: the host knows, and does not want to hear of it any more */
} sync_gap_cure;

/* "ids", "epoch", "hub", "resync", "no_replay"; "open", "replay", "order", "snapshot", "given_up". */
const char *sync_gap_reason_name(sync_gap_reason reason);
const char *sync_gap_cure_name(sync_gap_cure cure);

/* Something is, or was, missing in the stream. Texts may be empty. */
typedef struct sync_gap {
  uint64_t number; /* 1, 2, 3, ...: never used again */
  uint64_t
      through; /* too many open gaps become one: it stands for those from `number` to this one that are not closed */
  sync_gap_reason reason;
  sync_gap_cure cure;   /* SYNC_CURE_NONE: it is open */
  uint64_t missing;     /* events that have not come; 0: nobody knows how many */
  int64_t opened_at_ms; /* since the epoch */
  int64_t closed_at_ms; /* 0: it is open */
  sync_span after_id;   /* the last one before the gap */
  sync_span before_id;  /* the first one behind it */
  sync_span order_id;   /* the only order that it can be about */
  sync_span detail;     /* why, in the server's words */
} sync_gap;

/* What a poll brought. */
typedef struct sync_poll_report {
  sync_source source;
  bool unchanged; /* the server says that nothing is new since the last one */
  uint64_t orders;
  uint64_t changed;
} sync_poll_report;

typedef struct sync_item {
  sync_item_kind kind;
  sync_event *event; /* EVENT, COMMENT (its SYNC_EVENT_RAW), HEARD, ASKED, LISTED */
  sync_state from;   /* STATE */
  sync_state to;
  bool resumed;                 /* STATE: the stream goes on where it was, for its server has ids */
  const sync_failure *failure;  /* ERROR */
  const sync_poll_report *poll; /* POLLED */
  const sync_gap *gap;          /* GAP: as it was then */
} sync_item;

/* Takes the next item; false: there is none. What it points to is valid until the next call for this client; an event
 * lives longer when it is retained. Taking an item says that the one before is done. */
bool sync_client_next(sync_client *client, sync_item *item);

/* ---- gaps: docs/gaps.md ------------------------------------------------------------------------------------------ */

/* The `index`-th gap that is listed, the oldest first; false: not so many. All open ones are, and the closed ones that
 * there is room for. Texts are valid until the next step. */
bool sync_client_gap(const sync_client *client, size_t index, sync_gap *gap);

/* The host gives an open gap up; 0: those that could not be listed for want of memory. false: there is none. */
bool sync_client_give_up_gap(sync_client *client, uint64_t number);

/* ---- polling and the order book ------------------------------------------------------------------------------------
 */

/* Polls once, now. SYNC_OPTION, here and below: there is nothing to poll. */
sync_code sync_client_poll(sync_client *client);

/* Polls now and at the interval, whatever the stream does. */
sync_code sync_client_start_polling(sync_client *client);

/* No more polls, not even while the stream is away, until the next start or connect. */
sync_code sync_client_stop_polling(sync_client *client);

/* The answer to a SYNC_ITEM_FETCH: a list of orders in JSON, bare or in an object under `docs`, `orders` or `data`;
 * empty: nothing has changed. */
sync_code sync_client_snapshot(sync_client *client, sync_span json);

/* There is no answer to it: that poll has failed, and `why`. */
sync_code sync_client_snapshot_failed(sync_client *client, const char *why);

/* The latest known state of an order. Its spans are valid until the next step. */
typedef struct sync_order {
  sync_span id;
  sync_span json; /* the whole of it; has the id, too */
  sync_span stage;
  sync_span payment;
  sync_span status;
  int64_t updated_ms; /* by the server's clock; 0: unknown */
  int64_t as_of_ms;   /* when it was last changed or confirmed */
  sync_source source; /* of the last change */
  bool silent;        /* that was the first snapshot's, of which no event tells */
} sync_order;

/* The order called `order_id`; false: it is not known. */
bool sync_client_order(const sync_client *client, sync_span order_id, sync_order *order);

/* How many there are; and a walk through them, the most recently changed first, from a place that is {0} at first,
 * until it says false. A step ends the walk. */
size_t sync_client_order_count(const sync_client *client);

typedef struct sync_order_place {
  bool begun;
  const void *next[3];
} sync_order_place;

bool sync_client_each_order(const sync_client *client, sync_order_place *place, sync_order *order);

/* Which events a subscription wants. NULL or empty lists: any. */
typedef struct sync_filter {
  const sync_span *order_ids;
  size_t order_id_count;
  const sync_span *types; /* `connected` and `heartbeat` only reach subscriptions that name them */
  size_t type_count;
} sync_filter;

/* A subscription's number (1, 2, 3, ...: never used again), or 0: no memory. `filter` NULL: every order event. */
uint64_t sync_client_subscribe(sync_client *client, const sync_filter *filter);

/* Ends it; it gets nothing any more, from the event under way either. */
void sync_client_unsubscribe(sync_client *client, uint64_t subscription);

/* The subscriptions that the event taken last is for, one a call, oldest first; 0: that was all. */
uint64_t sync_client_subscriber(sync_client *client);

/* Makes the event taken last one for the subscriptions that want this type and order id: for a host that decodes events
 * itself. With both empty it is for nobody. */
void sync_client_route(sync_client *client, sync_span type, sync_span order_id);

/* What else is queued, and for whom. States, errors and questions always are. */
enum sync_want {
  SYNC_WANT_EVERY_EVENT = 1, /* order events that no subscription wants */
  SYNC_WANT_COMMENTS = 2,
  SYNC_WANT_PULL = 4, /* the host takes this client's items in its own time: sync_loop_ready() does not name it */
};

/* Takes the place of what was wanted before; nothing of it at first. */
void sync_client_want(sync_client *client, unsigned wants);

/* ---- the journal: docs/journal.md, docs/guarantees.md --------------------------------------------------------------
 *
 * With a journal an event is on disk before it can be taken, and is done when the next one is taken: else it comes
 * again, first of all, when the next client opens the journal. Without one these say SYNC_NO_JOURNAL, except where
 * noted. When the disk fails, everything goes on in memory, health says so, and the file is brought up to date as soon
 * as it can be. */

/* Somebody has dealt with the event numbered `seq`. With manual_ack it is done by that; one that has not been taken
 * yet, when it has. What was taken with manual_ack waits for its word even if the option goes. Without a journal
 * SYNC_OK. */
sync_code sync_client_ack(sync_client *client, uint64_t seq);

/* The event taken last is not done when the next is taken, but when sync_client_done() says so; if what was taken last
 * is none, nothing happens. Without a journal both are SYNC_OK. */
sync_code sync_client_hold(sync_client *client);
sync_code sync_client_done(sync_client *client, uint64_t seq);

/* What a handler does once for an event, crash or no crash. */
typedef enum sync_effect {
  SYNC_EFFECT_NEW,     /* it has not happened */
  SYNC_EFFECT_STARTED, /* the process died, or so, while it happened: perhaps it has */
  SYNC_EFFECT_DONE,
} sync_effect;

/* Says what is known of the effect `name` of the event numbered `seq`, and that it starts now unless it is done. On
 * disk when this returns. SYNC_OK, SYNC_NO_MEMORY, SYNC_NO_JOURNAL. */
sync_code sync_client_effect_begin(sync_client *client, uint64_t seq, sync_span name, sync_effect *effect);

/* It is done; or it has not happened after all. */
sync_code sync_client_effect_end(sync_client *client, uint64_t seq, sync_span name, bool happened);

/* A dead letter: the handlers could not do the event, `attempts` times, and `problem` is what the last one said. */
sync_code sync_client_bury(sync_client *client, sync_event *event, sync_span problem, int64_t attempts);

typedef struct sync_dead_letter {
  uint64_t number; /* 1, 2, 3, ...: never used again */
  uint64_t seq;    /* of the event */
  sync_span id;
  sync_span type;
  sync_span order_id;
  sync_span raw;
  sync_span problem;
  int64_t attempts;
  int64_t failed_at_ms;
  bool wanted; /* it is to be delivered again */
} sync_dead_letter;

/* The dead letters, the oldest first; `next` is 0 at first. false: that was all, or the journal cannot be read now. The
 * texts are valid until the next call. */
bool sync_client_next_dead(sync_client *client, uint64_t *next, sync_dead_letter *letter);

/* Delivers a dead letter again (0: all of them), redelivered; it is one no more when that is done. Or forgets it. */
sync_code sync_client_redeliver(sync_client *client, uint64_t number);
sync_code sync_client_forget_dead(sync_client *client, uint64_t number);

/* Writes what the file does not have yet. SYNC_OK: it has everything now; else what keeps it from that. */
sync_code sync_client_flush(sync_client *client);

/* ---- the dead letters of a journal, without a client ---------------------------------------------------------------
 */

typedef struct sync_letters sync_letters;

/* Opens the journal in the file `path`, while a client, of another process too, may have it. `alloc` NULL: the C
 * library's. SYNC_OK; SYNC_NO_JOURNAL: there is no such file; SYNC_NO_MEMORY, SYNC_JOURNAL_*: `failure` says why. */
sync_code sync_letters_open(sync_letters **letters, const sync_allocator *alloc, const char *path,
                            sync_failure *failure);
void sync_letters_close(sync_letters *letters);

/* The dead letters of all streams, the oldest first; `next` is 0 at first, `letter`'s number 0 behind the last. The
 * texts, `stream`'s name too, are valid until the next call. SYNC_OK, or why the file cannot be read. */
sync_code sync_letters_next(sync_letters *letters, uint64_t *next, sync_dead_letter *letter, sync_span *stream,
                            sync_failure *failure);

/* A dead letter (0: all of them) is to be delivered again: by a client that has the journal open in its next steps, or
 * else by the next one that opens it. Or is forgotten. `count`: how many there were. SYNC_OK, or why not. */
sync_code sync_letters_redeliver(sync_letters *letters, uint64_t number, uint64_t *count, sync_failure *failure);
sync_code sync_letters_forget(sync_letters *letters, uint64_t number, uint64_t *count, sync_failure *failure);

/* ---- events ------------------------------------------------------------------------------------------------------ */

typedef enum sync_event_field {
  SYNC_EVENT_TYPE,
  SYNC_EVENT_ORDER_ID, /* empty: none */
  SYNC_EVENT_ID,       /* last event ID at dispatch; empty: none */
  SYNC_EVENT_TIMESTAMP,
  SYNC_EVENT_PREVIOUS_STAGE, /* what the order book knew when it arrived; empty: nothing, or not of a stage change */
  SYNC_EVENT_DATA,           /* JSON text of the wire's data field, or of the whole when it has none */
  SYNC_EVENT_RAW,            /* the message as it came */
} sync_event_field;

/* A text of the event, valid as long as the event. */
sync_span sync_event_text(const sync_event *event, sync_event_field field);

/* 1 for the first event of the client, and so on; with a journal it goes on where the client before left off. (Begun
 * without the journal that it should have, a client counts from a number that no journal has reached.) */
uint64_t sync_event_seq(const sync_event *event);

/* When it arrived, ms since the epoch. */
int64_t sync_event_received_at_ms(const sync_event *event);

/* What brought it. */
sync_source sync_event_source(const sync_event *event);

/* Whether it was delivered before, perhaps; whether it was acknowledged before this client took it up. */
bool sync_event_redelivered(const sync_event *event);
bool sync_event_acknowledged(const sync_event *event);

/* Events with the same home live and die together: one that is retained keeps the others' memory as well. */
const void *sync_event_home(const sync_event *event);

/* Keeps an event beyond the next sync_client_next(); every retain wants its release. */
void sync_event_retain(sync_event *event);
void sync_event_release(sync_event *event);

/* The history: 0 is the latest event, 1 the one before, ...; NULL: not so many. Valid until the next step. */
sync_event *sync_client_history(const sync_client *client, size_t age);

/* ---- health and metrics: no I/O ---------------------------------------------------------------------------------- */

typedef struct sync_health {
  sync_state state;
  sync_failure last_failure; /* code SYNC_OK: none since the last connect */
  int64_t uptime_ms;         /* since the stream opened, renewals included; 0: none is open */
  int64_t data_age_ms;       /* since the last byte; -1: none yet */
  int64_t last_connected_at_ms;
  int64_t next_retry_at_ms;
  int64_t idle_timeout_ms; /* in force */
  int failed_polls;        /* in a row, so far */
  uint64_t total_events;
  uint64_t total_reconnects;
  double latency_p50_ms; /* from an event's arrival to the host's taking it, sampled; 0: none yet */
  double latency_p99_ms;
  sync_span last_event_id; /* valid until the next step */
  bool has_journal;        /* it should have one */
  sync_failure journal;    /* code SYNC_OK: it is up to date; else why not, and since when */
  int64_t journal_failing_since_ms;
  uint64_t unsaved;         /* what the file does not have yet */
  uint64_t waiting_for_ack; /* events taken, and not done */
  uint64_t open_gaps;
  bool complete; /* there is reason to believe that nothing is missing; false: something is, or nobody knows */
} sync_health;

/* How the client is, now. */
void sync_client_health(const sync_client *client, sync_health *health);

typedef struct sync_metrics {
  uint64_t total_events;
  uint64_t total_connections;
  uint64_t total_reconnects;
  uint64_t total_bytes;
  uint64_t comments;
  uint64_t heartbeats;
  uint64_t parse_errors;
  uint64_t too_large;
  uint64_t duplicates; /* events that came again and were dropped */
  uint64_t gaps;       /* that were opened */
  uint64_t redelivered;
  uint64_t dead_letters; /* events that handlers could not do */
  uint64_t commits;      /* of the journal */
  uint64_t renewals;     /* streams that were replaced by a new one before they were closed */
  uint64_t overtaken;    /* events whose outcome polling had told before */
  uint64_t polls;
  uint64_t polls_unchanged;
  uint64_t poll_failures; /* polls */
  uint64_t poll_bytes;
  uint64_t poll_sessions; /* times that polling at the interval began */
  int64_t polling_ms;     /* in all */
  uint64_t failures;
  uint64_t untold;      /* states and errors dropped because too many were waiting for the host */
  uint64_t pauses;      /* times the socket was paused: back-pressure or budget */
  uint64_t queue_depth; /* now */
  uint64_t queue_peak;
  int64_t connected_ms; /* in all, the open stream included */
} sync_metrics;

/* What it has counted since it was made. */
void sync_client_metrics(const sync_client *client, sync_metrics *metrics);

/* With a journal, counters go on from client to client: the `index`-th, its name and its value; false: no such index.
 */
bool sync_client_total(const sync_client *client, size_t index, const char **name, uint64_t *value);

/* Events of each type so far: the `index`-th type and its count; false: no such index. */
bool sync_client_type_count(const sync_client *client, size_t index, sync_span *type, uint64_t *count);

/* ---- a loop without network and clock, for tests of hosts ----------------------------------------------------------
 */

/* As sync_loop_new(), but its clients' requests go nowhere: whoever runs it plays the server, and says what time it is.
 * Everything else is the same code: the state machine, the parser, the queue. */
sync_loop *sync_loop_new_played(const sync_allocator *alloc);

/* Time goes on to `until_ms` of the loop's clock, or to the first moment before when something is due: that is done,
 * and then the host takes its items before it calls again. sync_loop_timeout_ms() says when something is due. */
void sync_loop_play(sync_loop *loop, int64_t until_ms);

/* A request that waits for its answer. */
typedef struct sync_played_request {
  uint64_t number; /* 1 for the loop's first, and so on */
  const char *url;
  const sync_header *headers; /* of the options, and of this connect */
  size_t header_count;
  const sync_header *answer;
  size_t answer_count;
  sync_span last_event_id;
  bool renewal; /* of a stream that is still open */
  bool poll;    /* for a snapshot */
} sync_played_request;

/* A poll's comes first. false: none waits. Valid until the client is told anything. */
bool sync_client_play_request(const sync_client *client, sync_played_request *request);

/* Answers it; `location` and `content_type` NULL: it has none. `text` is the body: all of it, or that of a stream so
 * far. */
void sync_client_play_response(sync_client *client, int status, const char *content_type, const char *location,
                               int64_t retry_after_ms, sync_span text);

/* Bytes of the stream that is open; false: none is. */
bool sync_client_play_bytes(sync_client *client, sync_span bytes);

/* The request that waits, or the stream, breaks off with `code`: SYNC_REFUSED, SYNC_STREAM_CUT, SYNC_STREAM_ENDED...
 * false: there is none. */
bool sync_client_play_end(sync_client *client, sync_code code);

/* ---- a waker: for hosts that can wait for a socket they connect to, and for no descriptor of ours (nginx) ----------
 */

/* A thread that waits in the host's place. The host connects to the waker's path, arms it, and reads a byte when there
 * is something to do; then it does that, and arms again. Other processes ring it by its name, for news of their own. */
typedef struct sync_waker sync_waker;

/* A waker that watches `fd`, such as that of sync_loop_fd(), which must outlive it. NULL: no memory, no descriptors, or
 * nowhere to make a socket. */
sync_waker *sync_waker_new(int fd);

/* Ends the thread; whoever is connected reads the end. In a child of the process that made it, nothing is done. NULL is
 * fine. */
void sync_waker_free(sync_waker *waker);

/* The unix socket to connect to, once, before the first sync_waker_arm(), which takes it out of the file system. */
const char *sync_waker_path(const sync_waker *waker);

/* What others ring it by: the name of a datagram socket in Linux's abstract namespace, of this machine's network. */
const char *sync_waker_name(const sync_waker *waker);

/* One byte comes when the descriptor is readable, when somebody has rung, or after `timeout_ms` (-1: never); none until
 * it is armed again. SYNC_OK; SYNC_CLOSED: nobody has connected; SYNC_SYSTEM; SYNC_FORKED. */
sync_code sync_waker_arm(sync_waker *waker, int timeout_ms);

/* Rings the waker called `name`, in whatever process, without waiting. SYNC_OK, also if it has been rung enough;
 * SYNC_REFUSED: there is none. */
sync_code sync_waker_ring(sync_waker *waker, const char *name);

/* ---- JSON: a pull reader (RFC 8259) ------------------------------------------------------------------------------ */

/* Deeper text is refused: a decoder that recurses must not run out of stack. */
#define SYNC_JSON_DEPTH_MAX 128

typedef enum sync_json_kind {
  SYNC_JSON_END, /* the value is complete and only white space follows */
  SYNC_JSON_OBJECT,
  SYNC_JSON_OBJECT_END,
  SYNC_JSON_ARRAY,
  SYNC_JSON_ARRAY_END,
  SYNC_JSON_KEY,
  SYNC_JSON_STRING,
  SYNC_JSON_NUMBER,
  SYNC_JSON_TRUE,
  SYNC_JSON_FALSE,
  SYNC_JSON_NULL,
  SYNC_JSON_INVALID,
} sync_json_kind;

typedef struct sync_json_token {
  sync_json_kind kind;
  bool escaped;   /* KEY, STRING: has a backslash, see sync_json_unescape() */
  sync_span text; /* KEY, STRING: between the quotes; other values: their bytes, of a container its bracket */
} sync_json_token;

/* A reader, in place; its fields are private. */
typedef struct sync_json {
  const char *begin;
  const char *at;
  const char *end;
  uint64_t nest[SYNC_JSON_DEPTH_MAX / 64]; /* a bit a level: object or array */
  unsigned depth;
  unsigned expect;
} sync_json;

/* Begins to read `text`, which must outlive the reader and its tokens. */
void sync_json_init(sync_json *json, sync_span text);

/* The next token; INVALID stays INVALID, END stays END. */
sync_json_kind sync_json_next(sync_json *json, sync_json_token *token);

/* Steps over the value that the last token opened (SYNC_JSON_OBJECT or SYNC_JSON_ARRAY); the reader then stands behind
 * its end. false: the text is broken there, and sync_json_next() will say SYNC_JSON_INVALID. */
bool sync_json_skip(sync_json *json);

/* Where the reader stands: the offset of the first wrong byte after INVALID. */
size_t sync_json_offset(const sync_json *json);

/* Writes what `escaped`, a token's text, stands for to `out`, which has room for escaped.length bytes; gives its
 * length. A lone surrogate becomes U+FFFD; \u0000 a NUL. */
size_t sync_json_unescape(sync_span escaped, char *out);

#ifdef __cplusplus
}
#endif

#endif
