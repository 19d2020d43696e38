/*
 * sse_fuzz.c - libFuzzer target for the event stream parser.
 *
 * An input is three control bytes and a stream. The stream is parsed whole, byte by byte, and in pieces of random size
 * with a sink that says stop: what the parser tells, and the last event ID at the end, must be the same, and all of it
 * well-formed UTF-8. Then once more with an allocator that fails: no crash, no leak, and the parser starts anew.
 */
#include <stdint.h>

#include "../c/sse_transcript.h"
#include "utf8.h"

#define CONTROL_BYTES 3

/* Small bounds are what makes the skipping of large messages likely. */
static size_t max_event_bytes(uint8_t control) {
  return control < 128 ? control : 1u << 20;
}

static void check(bool condition) {
  if (!condition) abort();
}

/* A small generator of its own (xorshift): a run must be repeatable. */
static uint32_t next_random(uint32_t *state) {
  *state ^= *state << 13;
  *state ^= *state >> 17;
  *state ^= *state << 5;
  return *state;
}

/* Parses `stream` in pieces of 1 to `piece_max` bytes (0: whole); the transcript ends with the last event ID. */
static void run(struct transcript *transcript, size_t max_bytes, sync_span stream, size_t piece_max, uint32_t seed) {
  struct sync_sse sse;
  struct sync_sse_sink sink = transcript_sink(transcript);
  uint32_t state = seed * 2654435761u + 1;
  sync_sse_init(&sse, &sync_alloc_standard, max_bytes);
  while (stream.length > 0) {
    size_t length = piece_max ? next_random(&state) % piece_max + 1 : stream.length;
    if (length > stream.length) length = stream.length;
    check(transcript_feed(transcript, &sse, &sink, (sync_span){stream.bytes, length}) == SYNC_OK);
    stream = (sync_span){stream.bytes + length, stream.length - length};
  }
  transcript_add_text(transcript, "last ");
  transcript_add(transcript, sync_sse_last_id(&sse));
  sync_sse_fini(&sse);
}

static void check_same(const struct transcript *whole, size_t max_bytes, sync_span stream, size_t piece_max,
                       uint32_t seed, size_t stop_every) {
  struct transcript pieces;
  transcript_init(&pieces, stop_every);
  run(&pieces, max_bytes, stream, piece_max, seed);
  check(pieces.text.length == whole->text.length);
  check(memcmp(pieces.text.bytes, whole->text.bytes, whole->text.length) == 0);
  transcript_fini(&pieces);
}

/* Grants `arg` requests, then none. */
static void *resize_granted(void *arg, void *block, size_t bytes) {
  size_t *granted = arg;
  if (bytes > 0 && (*granted)-- == 0) {
    *granted = 0;
    return NULL;
  }
  return sync_alloc_standard.resize(NULL, block, bytes);
}

static void check_no_memory(size_t max_bytes, sync_span stream, size_t granted) {
  sync_allocator alloc = {resize_granted, &granted};
  struct transcript transcript;
  struct sync_sse sse;
  transcript_init(&transcript, 0);
  struct sync_sse_sink sink = transcript_sink(&transcript);
  sync_sse_init(&sse, &alloc, max_bytes);
  for (size_t i = 0; i < stream.length; i += 5) {
    size_t length = stream.length - i < 5 ? stream.length - i : 5;
    if (transcript_feed(&transcript, &sse, &sink, (sync_span){stream.bytes + i, length}) != SYNC_OK) break;
  }
  granted = SIZE_MAX;
  check(sync_sse_restart(&sse, sync_sse_last_id(&sse)) == SYNC_OK);
  sync_buffer_clear(&transcript.text);
  check(transcript_feed(&transcript, &sse, &sink, (sync_span){"data\n\n", 6}) == SYNC_OK);
  check(transcript.text.length >= 13 && memcmp(transcript.text.bytes, "message messa", 13) == 0);
  sync_sse_fini(&sse);
  transcript_fini(&transcript);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
  if (size < CONTROL_BYTES) return 0;
  size_t max_bytes = max_event_bytes(data[0]);
  sync_span stream = {(const char *)data + CONTROL_BYTES, size - CONTROL_BYTES};
  struct transcript whole;
  transcript_init(&whole, 0);
  run(&whole, max_bytes, stream, 0, 1);
  check(sync_utf8_valid(sync_buffer_span(&whole.text)));
  check_same(&whole, max_bytes, stream, 1, 1, 1);
  check_same(&whole, max_bytes, stream, 2 + data[1] % 64, data[1], data[2] % 4);
  check_same(&whole, max_bytes, stream, 0, 1, 1 + data[2] % 4);
  check_no_memory(max_bytes, stream, data[2] % 16);
  transcript_fini(&whole);
  return 0;
}
