/* spans.h - texts and spans in tests: made from literals, compared with a message that shows both. */
#ifndef SPANS_H
#define SPANS_H

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include "sync.h"

/* A literal's bytes, NULs included, without the one behind it. */
#define SPAN(literal) ((sync_span){literal, sizeof(literal) - 1})

#define COUNT_OF(list) (sizeof(list) / sizeof *(list))

static inline sync_span span_of(const char *text) {
  return (sync_span){text, strlen(text)};
}

static inline bool span_is(sync_span span, const char *text) {
  return span.length == strlen(text) && (span.length == 0 || memcmp(span.bytes, text, span.length) == 0);
}

static inline void check_span(sync_span span, const char *expected) {
  if (!span_is(span, expected)) fail_msg("'%.*s' is not '%s'", (int)span.length, span.bytes, expected);
}

#endif
