/*
 * error.h - failures as values: a code from the one table, and a message made where the facts are known.
 */
#ifndef SYNC_ERROR_H
#define SYNC_ERROR_H

#include "sync.h"

/* Makes `failure` (NULL is fine) one of `code`, its message formatted as printf does, cut to what fits, and without
 * control characters, for it goes to logs and terminals. Its class is what the table says, other fields are cleared.
 * Gives `code` back, so that it can be returned. */
sync_code sync_failure_set(sync_failure *failure, sync_code code, const char *format, ...)
    __attribute__((format(printf, 3, 4)));

/* Makes it one of this class. */
void sync_failure_class(sync_failure *failure, sync_class error_class);

/* Adds to the message, likewise. */
void sync_failure_append(sync_failure *failure, const char *format, ...) __attribute__((format(printf, 2, 3)));

#endif
