/*
 * event.h - from a message of the stream to an event: which fields it has, and the record that holds them.
 *
 * Nothing is decoded but the names at the top level of the JSON; `data` stays text until somebody touches it. A message
 * is opened in two steps, in one walk: far enough to know whom it is for, and, if anybody wants it, to its end, so that
 * bad JSON is noticed before a handler sees it. A record lives in a segment (segment.h).
 */
#ifndef SYNC_EVENT_H
#define SYNC_EVENT_H

#include "segment.h"
#include "sse.h"

enum sync_event_role { SYNC_ROLE_TYPE, SYNC_ROLE_ORDER_ID, SYNC_ROLE_TIMESTAMP, SYNC_ROLE_DATA, SYNC_ROLE_COUNT };

/* What the fields are called on the wire; a field may have several names. */
#define SYNC_EVENT_NAMES_MAX 8

struct sync_event_names {
  size_t count;
  struct {
    sync_span text;
    enum sync_event_role role;
  } list[SYNC_EVENT_NAMES_MAX];
};

/* The names that `options` maps, and the design's for the others. The texts stay the options'. */
void sync_event_names_init(struct sync_event_names *names, const sync_options *options);

/* The parts of a message, spans into it, as far as it has been opened. */
struct sync_envelope {
  sync_span type;
  sync_span order_id;
  sync_span timestamp;
  sync_span data;
  bool typed;        /* the JSON has a type of its own */
  bool type_escaped; /* has JSON escapes, as the other two */
  bool order_id_escaped;
  bool timestamp_escaped;
  bool whole;           /* opened to its end */
  sync_source source;   /* the caller's to set, as are */
  uint64_t fingerprint; /* recent.h's; 0: none */
  bool redelivered;
  bool acknowledged;        /* and */
  sync_span previous_stage; /* what the book says, in plain text; empty: nothing */
  sync_json json;           /* where the walk stands */
};

/* Opens the message as far as its type and its order id, as `decode` says. false: up to there it should be JSON and is
 * not, `*at_byte` says where. */
bool sync_event_look(const struct sync_event_names *names, sync_decode decode, const struct sync_sse_message *message,
                     struct sync_envelope *envelope, size_t *at_byte);

/* Opens the rest of it. false: as above. */
bool sync_event_check(const struct sync_event_names *names, sync_decode decode, const struct sync_sse_message *message,
                      struct sync_envelope *envelope, size_t *at_byte);

/* A record with one reference, or NULL: no memory. What the spans point to is copied. */
sync_event *sync_event_new(struct sync_segments *segments, const struct sync_sse_message *message,
                           const struct sync_envelope *envelope, uint64_t seq, int64_t received_at_ms);

/* Finds what the record of a message that was only looked at does not know yet. Of bad JSON, `data` is all of it. */
void sync_event_complete(sync_event *event, const struct sync_event_names *names, sync_decode decode);

/* Its fingerprint, as the envelope had it. */
uint64_t sync_event_fingerprint(const sync_event *event);

#endif
