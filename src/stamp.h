/*
 * stamp.h - how new a piece of news about an order is, and which of two is newer.
 *
 * Three things may tell: a number that the server counts up, the order's own time of last change, and the time at which
 * an event was sent. They come from different clocks, a database's and a broadcaster's, and not every piece has each;
 * so like is compared with like as far as possible. Pure functions; what follows from an age is the book's to decide.
 */
#ifndef SYNC_STAMP_H
#define SYNC_STAMP_H

#include "order.h"

#define SYNC_STAMP_NO_NUMBER INT64_MIN

/* Times in ms since the epoch; 0: unknown. */
struct sync_stamp {
  int64_t number;
  int64_t updated_ms;
  int64_t told_ms;
};

/* Nothing is known. */
extern const struct sync_stamp sync_stamp_none;

enum sync_age { SYNC_AGE_OLDER, SYNC_AGE_EQUAL, SYNC_AGE_NEWER, SYNC_AGE_UNKNOWN };

/* The stamp of news: its number and its time from `order`, told at `told_ms` (0: unknown). A number is a JSON integer
 * that fits 64 bits, or a string of one; a time is what timestamp.h reads. */
struct sync_stamp sync_stamp_read(const struct sync_order_names *names, const struct sync_object *order,
                                  int64_t told_ms);

/* How old `news` are beside what is `known`. Numbers decide if both have one and they differ. Else times: a part of an
 * order (`whole` is false) that brings its own time is compared with the order's own time, for events come in the order
 * of their changes whatever the broadcaster's clock says; everything else with the later of the two times known.
 * SYNC_AGE_UNKNOWN: there is nothing to compare. */
enum sync_age sync_stamp_age(const struct sync_stamp *news, bool whole, const struct sync_stamp *known);

/* `known` as new as `news`, where that is newer. */
void sync_stamp_raise(struct sync_stamp *known, const struct sync_stamp *news);

/* Whether both say the same. */
bool sync_stamp_same(const struct sync_stamp *a, const struct sync_stamp *b);

/* The latest time of a stamp; 0: unknown. */
int64_t sync_stamp_latest_ms(const struct sync_stamp *stamp);

#endif
