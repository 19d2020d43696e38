/* timestamp.c - points in time as the wire writes them. */
#include "timestamp.h"

#define DAY_MS    (INT64_C(24) * 60 * 60 * 1000)
#define MINUTE_MS (INT64_C(60) * 1000)

/* What has not been read yet. */
struct rest {
  const char *at;
  const char *end;
};

static bool is_digit(char byte) {
  return byte >= '0' && byte <= '9';
}

static bool take(struct rest *rest, char byte) {
  if (rest->at == rest->end || *rest->at != byte) return false;
  rest->at++;
  return true;
}

/* Just `digits` digits. */
static bool take_field(struct rest *rest, int digits, int *value) {
  if (rest->end - rest->at < digits) return false;
  *value = 0;
  for (; digits > 0; digits--, rest->at++) {
    if (!is_digit(*rest->at)) return false;
    *value = *value * 10 + (*rest->at - '0');
  }
  return true;
}

/* One digit or more behind a decimal sign, the first three as thousandths. */
static bool take_thousandths(struct rest *rest, int *value) {
  *value = 0;
  if (rest->at == rest->end || !is_digit(*rest->at)) return false;
  for (int weight = 100; rest->at < rest->end && is_digit(*rest->at); rest->at++, weight /= 10)
    *value += (*rest->at - '0') * weight;
  return true;
}

/* ---- numbers ----------------------------------------------------------------------------------------------------- */

static int64_t parse_number(struct rest rest) {
  bool negative = take(&rest, '-');
  const char *first = rest.at;
  int64_t whole = 0;
  int thousandths = 0;
  for (; rest.at < rest.end && is_digit(*rest.at); rest.at++) {
    if (whole > INT64_MAX / 10 - 1) return SYNC_TIME_NONE;
    whole = whole * 10 + (*rest.at - '0');
  }
  if (rest.at == first) return SYNC_TIME_NONE;
  if (take(&rest, '.') && !take_thousandths(&rest, &thousandths)) return SYNC_TIME_NONE;
  if (rest.at < rest.end) return SYNC_TIME_NONE;
  if (whole < SYNC_TIME_SECONDS_BELOW) whole = whole * 1000 + thousandths;
  return negative ? -whole : whole;
}

/* ---- ISO 8601 ---------------------------------------------------------------------------------------------------- */

static int days_in_month(int year, int month) {
  static const int days[] = {31, 28, 31, 30, 31, 30, 31, 31, 30, 31, 30, 31};
  bool leap = year % 4 == 0 && (year % 100 != 0 || year % 400 == 0);
  return days[month - 1] + (month == 2 && leap);
}

/* Days from the epoch to a date of the Gregorian calendar. Years that begin in March have their leap day at the end,
 * and the months before it follow a straight line (H. Hinnant, "chrono-Compatible Low-Level Date Algorithms"). */
static int64_t days_to(int year, int month, int day) {
  const int to_epoch = 719468; /* days from 0000-03-01 to 1970-01-01 */
  int64_t y = year - (month <= 2);
  int months = (month + 9) % 12;
  int64_t era = (y >= 0 ? y : y - 399) / 400;
  int64_t year_of_era = y - era * 400;
  int64_t day_of_year = (153 * months + 2) / 5 + day - 1;
  return era * 146097 + year_of_era * 365 + year_of_era / 4 - year_of_era / 100 + day_of_year - to_epoch;
}

static bool take_date(struct rest *rest, int64_t *ms) {
  int year, month, day;
  if (!take_field(rest, 4, &year) || !take(rest, '-') || !take_field(rest, 2, &month) || !take(rest, '-')) return false;
  if (!take_field(rest, 2, &day) || month < 1 || month > 12 || day < 1 || day > days_in_month(year, month))
    return false;
  *ms = days_to(year, month, day) * DAY_MS;
  return true;
}

/* 24:00 is the end of its day, and a leap second the beginning of the next minute. */
static bool take_time_of_day(struct rest *rest, int64_t *ms) {
  int hour, minute, second = 0, thousandths = 0;
  if (!take_field(rest, 2, &hour) || !take(rest, ':') || !take_field(rest, 2, &minute)) return false;
  if (take(rest, ':')) {
    if (!take_field(rest, 2, &second)) return false;
    if ((take(rest, '.') || take(rest, ',')) && !take_thousandths(rest, &thousandths)) return false;
  }
  if (minute > 59 || second > 60 || hour > 24 || (hour == 24 && minute + second + thousandths > 0)) return false;
  *ms = (hour * 60 + minute) * MINUTE_MS + second * 1000 + thousandths;
  return true;
}

/* What is left is an offset from UTC, or nothing. */
static bool take_offset(struct rest *rest, int64_t *ms) {
  int hours = 0, minutes = 0;
  *ms = 0;
  if (rest->at == rest->end || take(rest, 'Z') || take(rest, 'z')) return true;
  bool west = take(rest, '-');
  if ((!west && !take(rest, '+')) || !take_field(rest, 2, &hours)) return false;
  if (rest->at < rest->end) {
    (void)take(rest, ':');
    if (!take_field(rest, 2, &minutes)) return false;
  }
  *ms = (hours * 60 + minutes) * MINUTE_MS * (west ? -1 : 1);
  return hours < 24 && minutes < 60;
}

static int64_t parse_iso(struct rest rest) {
  int64_t date_ms, time_ms = 0, offset_ms = 0;
  if (!take_date(&rest, &date_ms)) return SYNC_TIME_NONE;
  if (take(&rest, 'T') || take(&rest, 't') || take(&rest, ' '))
    if (!take_time_of_day(&rest, &time_ms) || !take_offset(&rest, &offset_ms)) return SYNC_TIME_NONE;
  return rest.at == rest.end ? date_ms + time_ms - offset_ms : SYNC_TIME_NONE;
}

int64_t sync_time_parse(sync_span text) {
  if (text.length == 0) return SYNC_TIME_NONE;
  struct rest rest = {text.bytes, text.bytes + text.length};
  bool dated = text.length > 4 && text.bytes[4] == '-';
  return dated ? parse_iso(rest) : parse_number(rest);
}
