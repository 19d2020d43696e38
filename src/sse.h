/*
 * sse.h - the event stream parser: bytes in, messages out. No I/O, no clock, no JSON.
 *
 * Follows WHATWG HTML, "9.2.6 Interpreting an event stream", with two decisions of the field: the last event ID is
 * seeded from the connection before (web-platform-tests expect it), and an empty `retry` is ignored. Linear in time
 * whatever the chunking; a message whose lines lie in one chunk is handed on without a copy.
 */
#ifndef SYNC_SSE_H
#define SYNC_SSE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "buffer.h"

/* One message. The spans hold valid UTF-8 (each invalid maximal subpart became U+FFFD), may hold NUL, and are valid
 * during the call only. `type` is never empty ("message" by default); `id` is the last event ID at dispatch. */
struct sync_sse_message {
  sync_span type;
  sync_span data;
  sync_span id;
  bool has_id; /* the message has an id of its own, and it is not empty */
};

/* Where the parser's findings go; `arg` comes back in each call. A NULL function: that finding is not wanted (and for
 * comments, their bytes are not kept either). */
struct sync_sse_sink {
  /* A message is complete. false: no more for now, sync_sse_feed returns right behind this message. */
  bool (*message)(void *arg, const struct sync_sse_message *message);
  /* A comment's line has ended: its text behind the colon, a space there included. One longer than max_event_bytes is
   * dropped. false: as above. */
  bool (*comment)(void *arg, sync_span text);
  /* `retry:` with digits only, as its line ended: milliseconds, clamped to SYNC_SSE_RETRY_MAX_MS. */
  void (*retry)(void *arg, uint64_t retry_ms);
  /* A message grew beyond max_event_bytes and is being skipped, its bytes unkept: told once for a message, as soon as
   * it is known, wherever the chunks were cut. `id` is the last event ID before it. The stream goes on behind its blank
   * line, and an id in it counts. */
  void (*too_large)(void *arg, sync_span id);
  /* A block has ended without a message, for it had no data or was too large, but with an id: the stream goes on behind
   * that. false: as above. */
  bool (*moved)(void *arg, sync_span id);
  void *arg;
};

/* Values above this become this: a day, beyond any sane wait, far below any overflow. */
#define SYNC_SSE_RETRY_MAX_MS 86400000u

/* A value of the block under way: it lies in the bytes being fed, or in `kept` once those are gone. */
struct sync_sse_text {
  sync_span value;
  struct sync_buffer kept;
};

struct sync_sse {
  size_t max_event_bytes;
  /* private from here on: see sse.c */
  struct sync_buffer line;          /* what earlier chunks brought of the unfinished line */
  struct sync_sse_text data;        /* of the block under way */
  struct sync_sse_text type;        /* of the block under way; empty: none, or reset */
  struct sync_buffer repaired_data; /* the copies that invalid UTF-8 makes necessary */
  struct sync_buffer repaired_type;
  struct sync_buffer next_id; /* the block's, until its blank line */
  struct sync_buffer last_id;
  bool first_line; /* of the stream: may begin with a BOM */
  bool after_cr;   /* the chunk before ended with CR: an LF that follows belongs to it */
  bool skip_line;  /* the rest of the unfinished line is not wanted */
  bool skip_block; /* the message is too large */
  bool has_data;
  bool has_id;
};

/* A parser at the start of a stream with an empty last event ID. `max_event_bytes` bounds one message as it comes: its
 * data (the LFs that join its lines included) and its type together. An `id` or `retry` value longer than that makes
 * the message too large as well, and is ignored. Comments and unknown lines do not count. Takes no memory; at its worst
 * a message takes a small multiple of the bound, which is given back when the message is done. */
void sync_sse_init(struct sync_sse *sse, const sync_allocator *alloc, size_t max_event_bytes);
void sync_sse_fini(struct sync_sse *sse);

/* At the start of a new stream (after a reconnect): half a line, half a message, the BOM state are forgotten; the last
 * event ID becomes `last_id` (which may be the parser's own, sync_sse_last_id). SYNC_OK or SYNC_NO_MEMORY. */
sync_code sync_sse_restart(struct sync_sse *sse, sync_span last_id);

/* Parses up to `length` bytes and tells the sink. `*consumed` is how many were taken: all of them unless the sink said
 * false, and then the next call must begin with the rest. SYNC_OK, or SYNC_NO_MEMORY (the parser may then only be
 * restarted or ended). The sink must not call the parser. */
sync_code sync_sse_feed(struct sync_sse *sse, const char *bytes, size_t length, const struct sync_sse_sink *sink,
                        size_t *consumed);

/* The last event ID to resume from: that of the last complete block (with data or without). "" when there is none. */
sync_span sync_sse_last_id(const struct sync_sse *sse);

#endif
