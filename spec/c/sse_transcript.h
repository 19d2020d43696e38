/*
 * sse_transcript.h - what an event stream parser told its sink, as one text, so that two runs can be compared.
 *
 * Used by the C tests and the fuzz target. Not a test itself. Every chunk is fed from a block of exactly its size which
 * is freed and overwritten behind the call: a sanitizer sees a read beyond it, and a span kept too long shows up.
 */
#ifndef SSE_TRANSCRIPT_H
#define SSE_TRANSCRIPT_H

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "sse.h"

struct transcript {
  struct sync_buffer text; /* "message type|data|id\n", "comment text\n", "retry ms\n", "too large id\n" */
  size_t stop_every;       /* the sink says stop at every so many messages and comments; 0: never */
  size_t stop_count;
  bool stopped; /* in the feed under way */
};

static inline void transcript_init(struct transcript *transcript, size_t stop_every) {
  *transcript = (struct transcript){.stop_every = stop_every};
  sync_buffer_init(&transcript->text, &sync_alloc_standard);
}

static inline void transcript_fini(struct transcript *transcript) {
  sync_buffer_fini(&transcript->text);
}

static inline void transcript_add(struct transcript *transcript, sync_span span) {
  if (!sync_buffer_append(&transcript->text, span)) abort();
}

static inline void transcript_add_text(struct transcript *transcript, const char *text) {
  transcript_add(transcript, (sync_span){text, strlen(text)});
}

static inline bool transcript_go_on(struct transcript *transcript) {
  transcript->stopped = transcript->stop_every && ++transcript->stop_count % transcript->stop_every == 0;
  return !transcript->stopped;
}

static inline bool transcript_on_message(void *arg, const struct sync_sse_message *message) {
  transcript_add_text(arg, "message ");
  transcript_add(arg, message->type);
  transcript_add_text(arg, "|");
  transcript_add(arg, message->data);
  transcript_add_text(arg, "|");
  transcript_add(arg, message->id);
  transcript_add_text(arg, "\n");
  return transcript_go_on(arg);
}

static inline bool transcript_on_comment(void *arg, sync_span text) {
  transcript_add_text(arg, "comment ");
  transcript_add(arg, text);
  transcript_add_text(arg, "\n");
  return transcript_go_on(arg);
}

static inline void transcript_on_retry(void *arg, uint64_t retry_ms) {
  char text[32];
  snprintf(text, sizeof text, "retry %llu\n", (unsigned long long)retry_ms);
  transcript_add_text(arg, text);
}

static inline void transcript_on_too_large(void *arg, sync_span id) {
  transcript_add_text(arg, "too large ");
  transcript_add(arg, id);
  transcript_add_text(arg, "\n");
}

/* A sink that wants everything. */
static inline struct sync_sse_sink transcript_sink(struct transcript *transcript) {
  return (struct sync_sse_sink){.message = transcript_on_message,
                                .comment = transcript_on_comment,
                                .retry = transcript_on_retry,
                                .too_large = transcript_on_too_large,
                                .arg = transcript};
}

/* Feeds one chunk, again and again behind each stop. Aborts when the parser stops unasked or says it took too much. */
static inline sync_code transcript_feed(struct transcript *transcript, struct sync_sse *sse,
                                        const struct sync_sse_sink *sink, sync_span chunk) {
  do {
    char *block = malloc(chunk.length ? chunk.length : 1);
    if (!block) abort();
    if (chunk.length) memcpy(block, chunk.bytes, chunk.length);
    size_t consumed;
    transcript->stopped = false;
    sync_code code = sync_sse_feed(sse, block, chunk.length, sink, &consumed);
    memset(block, '#', chunk.length);
    free(block);
    if (code != SYNC_OK) return code;
    if (consumed > chunk.length || (!transcript->stopped && consumed != chunk.length)) abort();
    chunk.bytes += consumed;
    chunk.length -= consumed;
  } while (chunk.length > 0);
  return SYNC_OK;
}

#endif
