/* stamp.c - which of two pieces of news is newer. */
#include "stamp.h"

#include "timestamp.h"

/* The longest text of a time or number that is looked at, without escapes. */
#define SCALAR_MOST 64u

const struct sync_stamp sync_stamp_none = {SYNC_STAMP_NO_NUMBER, 0, 0};

static int64_t later_of(int64_t a, int64_t b) {
  return a > b ? a : b;
}

/* ---- reading ----------------------------------------------------------------------------------------------------- */

/* The text of the string or number that has `role`, in `room` if it has escapes (.NET writes + as \u002B). */
static sync_span scalar_of(const struct sync_order_names *names, const struct sync_object *order,
                           enum sync_order_role role, char room[SCALAR_MOST]) {
  const struct sync_member *member = sync_order_find(names, order, role);
  if (!member) return (sync_span){NULL, 0};
  sync_span text = member->text;
  if (text.bytes[0] != '"') return text;
  text = (sync_span){text.bytes + 1, text.length - 2};
  if (text.length > SCALAR_MOST) return (sync_span){NULL, 0};
  return (sync_span){room, sync_json_unescape(text, room)};
}

/* Times before the epoch are as good as none: they stand for dates that were never set. */
static int64_t read_time(sync_span text) {
  int64_t ms = sync_time_parse(text);
  return ms > 0 ? ms : 0;
}

/* SYNC_STAMP_NO_NUMBER: it is no integer that fits. */
static int64_t read_number(sync_span text) {
  bool negative = text.length > 0 && text.bytes[0] == '-';
  uint64_t most = INT64_MAX, value = 0;
  if (text.length == negative) return SYNC_STAMP_NO_NUMBER;
  for (size_t i = negative; i < text.length; i++) {
    uint64_t digit = (unsigned char)text.bytes[i] - (uint64_t)'0';
    if (digit > 9 || value > (most - digit) / 10) return SYNC_STAMP_NO_NUMBER;
    value = value * 10 + digit;
  }
  return negative ? -(int64_t)value : (int64_t)value;
}

struct sync_stamp sync_stamp_read(const struct sync_order_names *names, const struct sync_object *order,
                                  int64_t told_ms) {
  char room[SCALAR_MOST];
  struct sync_stamp stamp = {.told_ms = told_ms > 0 ? told_ms : 0};
  stamp.number = read_number(scalar_of(names, order, SYNC_ORDER_NUMBER, room));
  stamp.updated_ms = read_time(scalar_of(names, order, SYNC_ORDER_UPDATED, room));
  return stamp;
}

/* ---- comparing --------------------------------------------------------------------------------------------------- */

static enum sync_age age_of(int64_t own, int64_t other) {
  return own == other ? SYNC_AGE_EQUAL : own < other ? SYNC_AGE_OLDER : SYNC_AGE_NEWER;
}

/* By times alone. */
static enum sync_age age_by_time(const struct sync_stamp *news, bool whole, const struct sync_stamp *known) {
  if (!whole && news->updated_ms && known->updated_ms) return age_of(news->updated_ms, known->updated_ms);
  int64_t own = whole && news->updated_ms ? news->updated_ms : news->told_ms;
  if (!own) own = news->updated_ms;
  int64_t other = sync_stamp_latest_ms(known);
  return own && other ? age_of(own, other) : SYNC_AGE_UNKNOWN;
}

enum sync_age sync_stamp_age(const struct sync_stamp *news, bool whole, const struct sync_stamp *known) {
  bool numbered = news->number != SYNC_STAMP_NO_NUMBER && known->number != SYNC_STAMP_NO_NUMBER;
  if (numbered && news->number != known->number) return age_of(news->number, known->number);
  enum sync_age age = age_by_time(news, whole, known);
  return numbered && age == SYNC_AGE_UNKNOWN ? SYNC_AGE_EQUAL : age;
}

void sync_stamp_raise(struct sync_stamp *known, const struct sync_stamp *news) {
  known->number = later_of(known->number, news->number);
  known->updated_ms = later_of(known->updated_ms, news->updated_ms);
  if (!news->updated_ms) known->told_ms = later_of(known->told_ms, news->told_ms);
}

bool sync_stamp_same(const struct sync_stamp *a, const struct sync_stamp *b) {
  return a->number == b->number && a->updated_ms == b->updated_ms && a->told_ms == b->told_ms;
}

int64_t sync_stamp_latest_ms(const struct sync_stamp *stamp) {
  return later_of(stamp->updated_ms, stamp->told_ms);
}
