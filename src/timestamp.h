/*
 * timestamp.h - points in time as the wire writes them, read into milliseconds since the epoch: sync_time_parse() of
 * sync.h.
 *
 * Never finer than a millisecond, on purpose: a time from one source (an event's, to the millisecond) is compared with
 * one from another (a database's, to the microsecond), and of the same moment neither may look older.
 */
#ifndef SYNC_TIMESTAMP_H
#define SYNC_TIMESTAMP_H

#include "sync.h"

/* A number below this counts seconds, from it on milliseconds: seconds reach it in the year 5138, milliseconds left it
 * behind in March 1973. */
#define SYNC_TIME_SECONDS_BELOW INT64_C(100000000000)

#endif
