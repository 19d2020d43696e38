/*
 * transport.h - HTTP exchanges by libcurl's multi interface on a uv loop. The only file that knows curl.
 *
 * An exchange is one client's place for requests, used again for every reconnect. Its handlers are called inside
 * sync_transport_* and uv_run() only, on the loop's thread; from response() and bytes() the exchange must not be
 * started or aborted.
 */
#ifndef SYNC_TRANSPORT_H
#define SYNC_TRANSPORT_H

#include <uv.h>

#include "alloc.h"

struct sync_transport;
struct sync_exchange;

struct sync_response {
  int status;
  const char *content_type; /* NULL: none */
  const char *location;     /* NULL: none; these too */
  const char *etag;
  const char *last_modified;
  const char *last_event_id;
  int64_t retry_after_ms; /* RFC 9110, 10.2.3, in seconds or as a date; 0: none */
};

/* What becomes of a response's body. */
enum sync_body {
  SYNC_BODY_TAKE, /* it goes to bytes() */
  SYNC_BODY_SHOW, /* not wanted, but its beginning comes with done() */
  SYNC_BODY_DROP, /* the exchange is over now */
};

struct sync_exchange_handlers {
  /* The head has come. */
  enum sync_body (*response)(void *arg, const struct sync_response *response);
  /* Bytes of an accepted body: how many were taken. Fewer: the exchange is paused, and the rest comes again when it is
   * resumed. SYNC_EXCHANGE_FAIL ends the exchange. */
  size_t (*bytes)(void *arg, const char *bytes, size_t length);
  /* Whether a paused exchange has room again. */
  bool (*has_room)(void *arg);
  /* It is over. `code` SYNC_STREAM_ENDED: as HTTP wants it; otherwise `text` says what broke. `excerpt`: the first
   * bytes of a body that was not wanted. The exchange may be started again from here. */
  void (*done)(void *arg, sync_code code, const char *text, sync_span excerpt);
};

#define SYNC_EXCHANGE_FAIL ((size_t)-1)

/* What is sent: how to connect comes from `options`, the rest is of this request. */
struct sync_request {
  const char *url;
  const sync_options *options;
  const sync_header *headers;
  size_t header_count;
  const sync_header *answer; /* on top of them: of this connect only */
  size_t answer_count;
  const sync_header *more; /* and of polls only */
  size_t more_count;
  sync_span last_event_id;
  const char *etag; /* of what is known already; NULL: none; and */
  const char *last_modified;
  bool abroad; /* a redirect has led to another origin: nothing goes along that might be a secret */
  bool as_get; /* a redirect wants GET, without the body */
  bool poll;   /* not an event stream, but what the polling options ask for */
  bool fresh;  /* on a connection of its own: one that is open already may be dead */
};

/* A transport on `uv`, or NULL: no memory. */
struct sync_transport *sync_transport_new(const sync_allocator *alloc, uv_loop_t *uv);

/* Ends it; its exchanges have been freed before. Its uv handles are closing: run the loop until it is empty. */
void sync_transport_free(struct sync_transport *transport);

/* Resumes every paused exchange that has room. */
void sync_transport_resume(struct sync_transport *transport);

/* Whether there is one. */
bool sync_transport_can_resume(const struct sync_transport *transport);

struct sync_exchange *sync_exchange_new(struct sync_transport *transport, const struct sync_exchange_handlers *handlers,
                                        void *arg);
void sync_exchange_free(struct sync_exchange *exchange);

/* Whether HTTP can carry an id, one that is not empty, as Last-Event-ID: else it is not sent. */
bool sync_request_carries_id(sync_span id);

/* Sends the request. SYNC_OK; otherwise nothing was sent and done() will not be called. */
sync_code sync_exchange_start(struct sync_exchange *exchange, const struct sync_request *request);

/* Drops the exchange at once, without done(); nothing is under way: nothing happens. */
void sync_exchange_abort(struct sync_exchange *exchange);

/* Whether it waits for room. */
bool sync_exchange_is_paused(const struct sync_exchange *exchange);

#endif
