/*
 * event.h - from a message of the stream to an event: which fields it has, and the record that holds them.
 *
 * Nothing is decoded but the names at the top level of the JSON; `data` stays text until somebody touches it. A record
 * lives in a segment (segment.h) and never changes.
 */
#ifndef SYNC_EVENT_H
#define SYNC_EVENT_H

#include "segment.h"
#include "sse.h"

/* What a field is called on the wire: a few spellings each; a NULL ends the list. */
#define SYNC_EVENT_SPELLINGS 4

enum sync_event_role { SYNC_ROLE_TYPE, SYNC_ROLE_ORDER_ID, SYNC_ROLE_TIMESTAMP, SYNC_ROLE_DATA, SYNC_ROLE_COUNT };

struct sync_event_names {
  sync_span spellings[SYNC_ROLE_COUNT][SYNC_EVENT_SPELLINGS];
};

/* The names that `options` maps, and the design's for the others. The texts stay the options'. */
void sync_event_names_init(struct sync_event_names *names, const sync_options *options);

/* The parts of a message; spans into it. */
struct sync_envelope {
  sync_span type;
  sync_span order_id;
  sync_span timestamp;
  sync_span data;
  bool type_escaped; /* has JSON escapes, as order_id_escaped */
  bool order_id_escaped;
};

/* Looks the message's fields up as `decode` says. false: it should be JSON and is not, `*at_byte` says where. */
bool sync_event_open(const struct sync_event_names *names, sync_decode decode, const struct sync_sse_message *message,
                     struct sync_envelope *envelope, size_t *at_byte);

/* A record with one reference, or NULL: no memory. What the spans point to is copied. */
sync_event *sync_event_new(struct sync_segments *segments, const struct sync_sse_message *message,
                           const struct sync_envelope *envelope, uint64_t seq, int64_t received_at_ms);

#endif
