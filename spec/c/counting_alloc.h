/*
 * counting_alloc.h - an allocator for tests: it counts live blocks and can refuse the Nth request.
 *
 * Not a memory checker (sanitizers and valgrind see to that): it proves that every block came back, and it lets a test
 * walk through every place where memory can run out. Whoever embeds it keeps it alive as long as its blocks.
 */
#ifndef COUNTING_ALLOC_H
#define COUNTING_ALLOC_H

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>

#include <cmocka.h>

#include "alloc.h"

struct counting_alloc {
  sync_allocator allocator; /* what the code under test is given */
  size_t live;              /* blocks that have not been freed */
  size_t requests;          /* for new or larger blocks, so far */
  size_t refuse_from;       /* the number of the first request that is refused, from 1; 0: none is */
  size_t refuse_count;      /* how many in a row */
  size_t refused;
};

/* All requests count, those that shrink or grow too: each of them may fail. */
static inline void *counting_alloc_resize(void *arg, void *block, size_t bytes) {
  struct counting_alloc *counting = arg;
  if (bytes == 0) {
    assert_non_null(block);
    counting->live--;
    free(block);
    return NULL;
  }
  size_t number = ++counting->requests;
  if (counting->refuse_from && number >= counting->refuse_from &&
      number - counting->refuse_from < counting->refuse_count) {
    counting->refused++;
    return NULL;
  }
  void *resized = realloc(block, bytes);
  assert_non_null(resized);
  if (!block) counting->live++;
  return resized;
}

static inline void counting_alloc_init(struct counting_alloc *counting) {
  *counting = (struct counting_alloc){.allocator = {counting_alloc_resize, counting}};
}

/* Refuses `count` requests, the first of them the `nth` from now (1: the very next). */
static inline void counting_alloc_refuse(struct counting_alloc *counting, size_t nth, size_t count) {
  counting->refuse_from = counting->requests + nth;
  counting->refuse_count = count;
}

static inline void counting_alloc_allow(struct counting_alloc *counting) {
  counting->refuse_from = 0;
}

/* Every block has come back. */
static inline void counting_alloc_check(const struct counting_alloc *counting) {
  assert_int_equal(counting->live, 0);
}

#endif
