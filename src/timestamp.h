/*
 * timestamp.h - points in time as the wire writes them, read into milliseconds since the epoch.
 *
 * Never finer than a millisecond, on purpose: a time from one source (an event's, to the millisecond) is compared with
 * one from another (a database's, to the microsecond), and of the same moment neither may look older.
 */
#ifndef SYNC_TIMESTAMP_H
#define SYNC_TIMESTAMP_H

#include "sync.h"

/* What is no point in time. */
#define SYNC_TIME_NONE INT64_MIN

/* A number below this counts seconds, from it on milliseconds: seconds reach it in the year 5138, milliseconds left it
 * behind in March 1973. */
#define SYNC_TIME_SECONDS_BELOW INT64_C(100000000000)

/* Reads `text`, ms since the epoch, fractions of one cut off; or SYNC_TIME_NONE. It may be
 *   - a date, or a date and a time of day, of ISO 8601 in its extended format: what RFC 3339 and ECMAScript's
 *     toISOString() write, with `T`, `t` or a space between, seconds and their fraction if there are any, and an offset
 *     (`Z`, `+01:00`, `+0100`, `+01`). Without an offset it is UTC;
 *   - a number of seconds or milliseconds since the epoch, see above. */
int64_t sync_time_parse(sync_span text);

#endif
