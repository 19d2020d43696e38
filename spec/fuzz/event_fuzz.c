/*
 * event_fuzz.c - opens any bytes as a message of the order wire: what was looked at and what was checked must agree,
 * and a record must give back what it was made of.
 */
#include <assert.h>
#include <string.h>

#include "event.h"
#include "json.h"

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t size);

static bool same(sync_span a, sync_span b) {
  return a.length == b.length && memcmp(a.bytes, b.bytes, a.length) == 0;
}

/* Opens in two steps, as intake.c does. */
static bool open_message(const struct sync_event_names *names, sync_decode decode,
                         const struct sync_sse_message *message, struct sync_envelope *envelope) {
  size_t at_byte = 0;
  bool sound = sync_event_look(names, decode, message, envelope, &at_byte) &&
               sync_event_check(names, decode, message, envelope, &at_byte);
  if (!sound) assert(at_byte <= message->data.length);
  return sound;
}

/* A record of a message that was only looked at, completed later, equals one that was opened to its end at once. */
static void compare_records(struct sync_segments *segments, const struct sync_event_names *names, sync_decode decode,
                            const struct sync_sse_message *message, const struct sync_envelope *whole) {
  struct sync_envelope looked;
  size_t at_byte;
  assert(sync_event_look(names, decode, message, &looked, &at_byte));
  sync_event *early = sync_event_new(segments, message, &looked, 1, 2);
  sync_event *late = sync_event_new(segments, message, whole, 1, 2);
  assert(early && late);
  sync_event_complete(early, names, decode);
  for (int field = SYNC_EVENT_TYPE; field <= SYNC_EVENT_RAW; field++)
    assert(same(sync_event_text(early, (sync_event_field)field), sync_event_text(late, (sync_event_field)field)));
  assert(same(sync_event_text(late, SYNC_EVENT_RAW), message->data));
  sync_event_release(early);
  sync_event_release(late);
}

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t size) {
  struct sync_segment_pool *pool = sync_segment_pool_new(&sync_alloc_standard);
  struct sync_segments segments;
  struct sync_event_names names;
  struct sync_envelope envelope;
  sync_options options;
  sync_segments_init(&segments, pool);
  sync_options_init(&options);
  sync_event_names_init(&names, &options);
  const struct sync_sse_message message = {
      .type = {"message", 7}, .data = {size ? (const char *)bytes : "", size}, .id = {"7", 1}};
  for (int decode = SYNC_DECODE_ORDER; decode <= SYNC_DECODE_NONE; decode++) {
    bool sound = open_message(&names, (sync_decode)decode, &message, &envelope);
    assert(decode == SYNC_DECODE_NONE || sound == sync_json_valid(message.data, NULL));
    if (sound) compare_records(&segments, &names, (sync_decode)decode, &message, &envelope);
  }
  sync_segments_fini(&segments);
  sync_segment_pool_free(pool);
  return 0;
}
