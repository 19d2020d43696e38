/*
 * orders.h - an order book under test, and news for it made from literals. A test includes it once; its allocator
 * counts.
 */
#ifndef ORDERS_H
#define ORDERS_H

#include <stdio.h>

#include "book.h"
#include "counting_alloc.h"
#include "spans.h"

static struct counting_alloc memory;
static struct sync_order_names names;
static struct sync_book book;
static struct sync_book_effect effect; /* of the last change */

static int set_up(void **state) {
  (void)state;
  counting_alloc_init(&memory);
  sync_order_names_init(&names);
  sync_book_init(&book, &memory.allocator, &names, SYNC_BOOK_ORDERS, SYNC_BOOK_BYTES);
  return 0;
}

static int tear_down(void **state) {
  (void)state;
  sync_book_fini(&book);
  assert_int_equal(book.bytes, 0);
  counting_alloc_check(&memory);
  return 0;
}

/* An event about a part of an order, told at `at_ms` (0: it does not say). */
static inline enum sync_book_outcome tell(const char *id, const char *patch, int64_t at_ms) {
  struct sync_change change = {.order_id = span_of(id), .patch = span_of(patch), .at_ms = at_ms};
  return sync_book_apply(&book, &change, &effect);
}

/* An order of a snapshot that was asked for at `mark`. */
static inline enum sync_book_outcome show_since(uint64_t mark, const char *id, const char *json) {
  struct sync_change change = {.order_id = span_of(id), .patch = span_of(json), .whole = true, .mark = mark};
  change.source = SYNC_SOURCE_POLL;
  return sync_book_apply(&book, &change, &effect);
}

/* An order of a snapshot that is asked for now. */
static inline enum sync_book_outcome show(const char *id, const char *json) {
  return show_since(sync_book_mark(&book), id, json);
}

static inline enum sync_book_outcome delete_order(const char *id, int64_t at_ms) {
  struct sync_change change = {.order_id = span_of(id), .deleted = true, .at_ms = at_ms};
  return sync_book_apply(&book, &change, &effect);
}

static inline bool is_listed(const char *id) {
  sync_order order;
  return sync_book_get(&book, span_of(id), &order);
}

/* The book has this order, with this JSON to the byte. */
static inline void check_order(const char *id, const char *json) {
  sync_order order;
  if (!sync_book_get(&book, span_of(id), &order)) fail_msg("%s is not listed", id);
  check_span(order.id, id);
  check_span(order.json, json);
}

/* The orders listed are those of `expected`, "A B C", the one that was changed last first. */
static inline void check_listed(const char *expected) {
  char listed[256] = "";
  sync_order_place cursor = {0};
  sync_order order;
  size_t count = 0;
  for (; sync_book_each(&book, &cursor, &order); count++) {
    size_t length = strlen(listed);
    snprintf(listed + length, sizeof listed - length, "%s%.*s", length ? " " : "", (int)order.id.length,
             order.id.bytes);
  }
  assert_string_equal(listed, expected);
  assert_int_equal(sync_book_count(&book), count);
}

#endif
