/*
 * client.h - a client's inside, for the parts of the engine: client.c (its life, and what the host wants), actions.c
 * (what the connection decides), stream.c (requests), intake.c (what they bring), delivery.c (what the host takes).
 * Hosts see sync.h.
 */
#ifndef SYNC_CLIENT_H
#define SYNC_CLIENT_H

#include "connection.h"
#include "event.h"
#include "gaps.h"
#include "history.h"
#include "interest.h"
#include "loop.h"
#include "metrics.h"
#include "polling.h"
#include "queue.h"
#include "recent.h"
#include "redirect.h"

/* What an exchange is to a loop that is played. */
struct sync_play {
  const struct sync_exchange_handlers *handlers;
  uint64_t number; /* of the request */
  bool running;
  bool answered;
  bool paused;
  struct sync_buffer kept; /* bytes that were not taken */
};

#define SYNC_STREAM_POLL (-1)

/* A request and what came of it. A client has one, and a second while its stream is being renewed. */
struct sync_stream {
  sync_client *client;
  struct sync_exchange *exchange; /* NULL: the loop is played */
  struct sync_play play;
  int url;             /* which one was asked for; SYNC_STREAM_POLL: the poll's */
  sync_header *answer; /* headers of this connect */
  size_t answer_count;
  struct sync_redirect redirect;
  bool moving;          /* the exchange ends so that the redirect can be followed */
  bool unchanged;       /* a poll: 304 */
  bool ending;          /* we are ending the exchange ourselves: `failure` says why */
  sync_failure failure; /* of a response that is no event stream, or of a lack of memory */
  int64_t retry_after_ms;
};

struct sync_client {
  sync_loop *loop;
  const sync_allocator *alloc;
  struct sync_link link;       /* among all clients */
  struct sync_link ready_link; /* among those with items */
  void *data;

  sync_options options; /* our own copy */
  char **urls;          /* with path and query */
  struct sync_event_names names;
  sync_header *answer; /* headers for the next connect */
  size_t answer_count;

  struct sync_connection connection;
  bool wanted; /* the host wants news */
  enum sync_poll_wish poll_wish;
  bool proven;      /* the stream has brought bytes since it opened */
  bool mute;        /* it opened, brought none, and was given up */
  sync_state state; /* as it is told: the connection's, or polling */
  struct sync_stream *stream;
  struct sync_stream *successor; /* NULL: the stream is not being renewed */
  struct sync_sse sse;           /* of the stream */
  struct sync_recent recent;
  uint64_t renewal;          /* number of the last one: copies that earlier ones waited for are not any more */
  int64_t overlaps_until_ms; /* what the stream before this one brought may come again */
  uv_timer_t timer;
  int64_t armed_ms; /* the deadline that the timer is set to; -1: none */

  struct sync_poll poll;
  int64_t polling_since_ms;
  bool polled; /* the book has news that no stream has told */
  struct sync_book book;

  struct sync_segments segments;
  struct sync_queue queue;
  struct sync_entry current; /* taken last */
  struct sync_history history;
  struct sync_interest interest;
  struct sync_match match;
  struct sync_counters counters;
  sync_event *latest; /* the last event that was kept: the cursor, should memory run out */
  uint64_t seq;
  char *first_id;             /* where to begin, before any event has come: the journal's cursor, or the options' */
  struct sync_keeper *keeper; /* NULL: there is no journal */
  unsigned wants;             /* enum sync_want */
  unsigned signals;           /* states and errors on the queue */

  sync_failure failure; /* told last; none since the last connect: SYNC_OK */
  struct sync_gaps gaps;
  uint64_t gaps_told;  /* the ledger's revision that the host knows */
  uint64_t newest_gap; /* number of the last one that it was told of */
  uint64_t lacks; /* times that something was let go of: a gap given up, an event that could not be read, a stream */
  uint64_t lacks_made_up; /* as many of them as a snapshot has made up for */
  uint64_t whole_in;      /* how many streams had been opened when the last whole snapshot was asked */
  bool resumed;           /* the stream went on behind an id */
  bool refused;           /* an event was not taken, so that those before it may come first */

  bool looking_again;         /* the watchdog's deadline has come: bytes that came before it are read first */
  bool starved;               /* the parser is ahead of `latest` */
  bool behind;                /* the parser's last id is that of a duplicate */
  int64_t chunk_at_ms;        /* wall clock of the bytes being read */
  int64_t connected_at_ms;    /* wall clock */
  int64_t connected_since_ms; /* loop clock, while connected */
  unsigned since_look;        /* messages since the budget was looked at */
  struct sync_latency latency;
  const sync_event *sample; /* the queued event whose latency is being measured; NULL: none */
  int64_t sample_at_us;
};

/* Handlers for the exchange of a stream, which is their `arg`. */
extern const struct sync_exchange_handlers sync_intake_handlers;

/* A stream that has sent nothing, or NULL: no memory. NULL is fine to end. */
struct sync_stream *sync_stream_new(sync_client *client, const struct sync_exchange_handlers *handlers);
void sync_stream_free(struct sync_stream *stream);

/* Sends the first request of a connect, to url number `url`, with the headers that the client was answered last.
 * SYNC_OK, or SYNC_NO_MEMORY. */
sync_code sync_stream_begin(struct sync_stream *stream, int url);

/* What it is asked for: the url, or where a redirect led. */
const char *sync_stream_url(const struct sync_stream *stream);

/* Drops what was sent; whether it waits for room. */
void sync_stream_abort(struct sync_stream *stream);
bool sync_stream_is_paused(const struct sync_stream *stream);

/* Sends the next request of a chain of redirects. SYNC_OK, or SYNC_NO_MEMORY. */
sync_code sync_stream_send(struct sync_stream *stream);

/* Prepares to follow a redirect when the exchange is over, or refuses to. */
enum sync_body sync_stream_follow(struct sync_stream *stream, const struct sync_response *response);

/* Ends the exchange for the reason in `failure`, with a look at what came instead. */
enum sync_body sync_stream_refuse(struct sync_stream *stream);

/* The exchange is over: whether that was to follow a redirect, and the next request has been sent. Without memory for
 * it `failure` says so. */
bool sync_stream_moves_on(struct sync_stream *stream);

/* Asks the host for headers. false: no memory. */
bool sync_client_ask(sync_client *client);

/* Starts and stops polling as the mode and the stream's state want it, and tells the state if it is another one now. */
void sync_client_weigh(sync_client *client);

/* A time of the loop's clock as hosts want it; negative: none. */
int64_t sync_client_wall_time_ms(const sync_client *client, int64_t at_ms);

/* Delivers an event of our own, in the wire's JSON. false: no memory. */
bool sync_client_bring(sync_client *client, sync_source source, sync_span raw);

/* ---- polling: polling.c ---------------------------------------------------------------------------------------------
 */

void sync_poll_init(sync_client *client);
void sync_poll_fini(sync_client *client);

/* Whether there is something to poll: a list of all orders, or the one order that the client is about. */
bool sync_poll_is_possible(const sync_client *client);
bool sync_poll_has_whole_list(const sync_client *client);
bool sync_poll_has_order(const sync_client *client);

/* Where the poll under way, or the last one, asks. */
const struct sync_poll_place *sync_poll_place(const sync_client *client);

/* The urls to poll; NULL: none. */
struct sync_poll_urls {
  char *list;
  char *order;
};

/* As `options` have them relative to `base`. SYNC_OK, or `failure`. */
sync_code sync_poll_resolve(const sync_allocator *alloc, const char *base, const sync_options *options,
                            struct sync_poll_urls *urls, sync_failure *failure);
void sync_poll_urls_free(const sync_allocator *alloc, struct sync_poll_urls *urls);

/* The options are new, and `urls`, which are the poll's from now on, are theirs. */
void sync_poll_configure(sync_client *client, const struct sync_poll_urls *urls);

/* Polling at the interval is wanted, or not any more; one poll is wanted; nothing is, and what is under way is dropped.
 */
void sync_poll_regularly(sync_client *client, bool wanted);
void sync_poll_once(sync_client *client, sync_source source);
void sync_poll_stop(sync_client *client);

/* The headers that were asked for are there. A poll has failed. */
void sync_poll_answered(sync_client *client);
void sync_poll_fail(sync_client *client, const sync_failure *failure, int64_t retry_after_ms);
void sync_poll_fail_for(sync_client *client, sync_code code, const char *why);

/* When to call tick; -1: never. */
int64_t sync_poll_deadline_ms(const sync_client *client);
void sync_poll_tick(sync_client *client);

/* ---- snapshots.c ------------------------------------------------------------------------------------------------- */

/* Takes in the snapshot whose text is the poll's body; or there is nothing new; or what is under way is dropped. */
void sync_snapshots_begin(sync_client *client);
void sync_snapshots_unchanged(sync_client *client);
void sync_snapshots_stop(sync_client *client);

/* Whether there is one under way and room for what it brings; the next bit of it. */
bool sync_snapshots_can_go_on(const sync_client *client);
void sync_snapshots_go_on(sync_client *client);

/* ---- gaps: cures.c ------------------------------------------------------------------------------------------------
 */

/* The options are new; `other_stream`: so is what the stream sends. */
void sync_cures_configure(sync_client *client, bool other_stream);

/* A stream is open, and the connection is about to be told; `answered`: its Last-Event-ID, NULL bytes: none. What is
 * missing is asked for: whenever the stream opens, or a gap does. */
void sync_cures_open(sync_client *client, const char *answered);
void sync_cures_seek(sync_client *client);

/* The stream has gone on: with an event that did not come before, or to an id without one. false: what came is not to
 * be taken; the stream has to be ended, and opened anew behind the last event that was. */
bool sync_cures_see(sync_client *client, const struct sync_sse_message *message, sync_span type);
bool sync_cures_see_id(sync_client *client, sync_span id);

/* A poll is asked; it has been taken in to its end, and left nothing out; or not. */
void sync_cures_begin(sync_client *client, sync_gap_cure cure);
void sync_cures_end(sync_client *client, bool whole);

/* What the journal knows of gaps has been restored, and is no news. */
void sync_cures_restored(sync_client *client);

/* Nor was the stream resumed behind `last_event_id`, where it ended in an earlier life: that was not known in time. */
void sync_cures_miss_past(sync_client *client, sync_span last_event_id);

/* Whether there is reason to believe that nothing is missing. */
bool sync_cures_are_complete(const sync_client *client);

/* ---- mode compare: comparison.c ---------------------------------------------------------------------------------- */

bool sync_comparison_is_on(const sync_client *client);

/* The stream says this of an order; or, with NULL, that something is missing in it. false: no memory. */
bool sync_comparison_hear(sync_client *client, const struct sync_change *change);

/* A poll is asked; its snapshot has come, and its orders follow; one of them; that was all. */
void sync_comparison_ask(sync_client *client);
void sync_comparison_begin(sync_client *client);
void sync_comparison_list(sync_client *client, const struct sync_change *order);
void sync_comparison_end(sync_client *client);

/* ---- the order book: bookkeeping.c ------------------------------------------------------------------------------- */

bool sync_books_are_kept(const sync_client *client);

enum sync_books_verdict {
  SYNC_BOOKS_NOTHING,   /* the event is no news about an order */
  SYNC_BOOKS_ENTERED,   /* the envelope knows the stage before, if that changed */
  SYNC_BOOKS_OVERTAKEN, /* polling has told what comes of it: it is not to be delivered */
  SYNC_BOOKS_NO_MEMORY,
};

/* Enters an event of the stream, opened to its end. */
enum sync_books_verdict sync_books_enter(sync_client *client, struct sync_envelope *envelope);

/* Where to resume: behind the last event that was kept, even if the parser has run ahead of it, or been sent back. */
sync_span sync_client_resume_id(const sync_client *client);

/* Ends the stream, which is over, and opens it at once behind the last event that was kept. */
void sync_client_reopen(sync_client *client);

/* Carries out actions in their order, then sets the timer to the connection's deadline. */
void sync_client_carry_out(sync_client *client, const struct sync_actions *actions);

/* The exchange is over, or was never begun: what follows is the connection's to say. The stream may be gone after it.
 */
void sync_client_end(struct sync_stream *stream, const sync_failure *failure);

/* The deadline has come: does what is due. */
void sync_client_tick(sync_client *client);

/* Hands on what the streams of a loop that is played kept back, as far as there is room; whether there is such a one.
 */
void sync_played_resume(sync_loop *loop);
bool sync_played_can_resume(const sync_loop *loop);

/* In how many ms of its time something is due in a loop that is played; -1: nothing is. */
int sync_played_due_in_ms(const sync_loop *loop);

/* Sets the timer if the connection's deadline has changed. */
void sync_client_set_timer(sync_client *client);

/* Queues an item of the client's own; without memory it is lost, and health still tells. */
void sync_client_tell(sync_client *client, struct sync_entry entry);
void sync_client_tell_failure(sync_client *client, const sync_failure *failure);

/* Connections that are open may be dead, for the reason in `failure`. `revive`: who has given up tries again. */
void sync_client_distrust(sync_client *client, const sync_failure *failure, bool revive);

/* An item has come: puts the client on the loop's list of those with items, unless its host pulls. */
void sync_client_mark_ready(sync_client *client);

#endif
