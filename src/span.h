/*
 * span.h - texts compared: bytes that are not NUL-terminated, and C's own strings.
 */
#ifndef SYNC_SPAN_H
#define SYNC_SPAN_H

#include <string.h>

#include "sync.h"

/* Whether both have the same bytes. An empty span may point nowhere. */
static inline bool sync_span_same(sync_span a, sync_span b) {
  return a.length == b.length && (a.length == 0 || memcmp(a.bytes, b.bytes, a.length) == 0);
}

/* The bytes of a NUL-terminated text, which stay the caller's. */
static inline sync_span sync_span_of(const char *text) {
  return (sync_span){text, strlen(text)};
}

/* Whether the span has just the bytes of `text`. */
static inline bool sync_span_is(sync_span span, const char *text) {
  return sync_span_same(span, sync_span_of(text));
}

/* Whether both C texts are the same, or both NULL. */
static inline bool sync_text_same(const char *a, const char *b) {
  return a == b || (a && b && strcmp(a, b) == 0);
}

#endif
