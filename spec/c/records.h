/* records.h - events in tests, as the intake makes them: from one message of the stream. */
#ifndef RECORDS_H
#define RECORDS_H

#include "event.h"
#include "spans.h"

/* An order event with one reference, of the message with this id and JSON. */
static inline sync_event *record_new(struct sync_segments *segments, const char *id, const char *json, uint64_t seq) {
  struct sync_event_names names;
  sync_options options;
  struct sync_envelope envelope;
  size_t at_byte;
  const struct sync_sse_message message = {.type = SPAN("message"), .data = span_of(json), .id = span_of(id)};
  sync_options_init(&options);
  sync_event_names_init(&names, &options);
  assert_true(sync_event_look(&names, SYNC_DECODE_ORDER, &message, &envelope, &at_byte));
  assert_true(sync_event_check(&names, SYNC_DECODE_ORDER, &message, &envelope, &at_byte));
  return sync_event_new(segments, &message, &envelope, seq, 1000);
}

#endif
