/*
 * verdict.h - what a response's head means for an event stream. A pure function over one table.
 */
#ifndef SYNC_VERDICT_H
#define SYNC_VERDICT_H

#include "sync.h"

/* SYNC_OK: an event stream. Otherwise `failure` says what it is and, by its class, what follows. The standard (WHATWG
 * HTML 9.2.3) fails for good on everything but 200 with the right type, and so does `strict`; else 408, 425, 429 and
 * 5xx are tried again, for that is what a deployment looks like, and 401 and 403 are a matter of credentials. Redirects
 * are redirect.c's. */
sync_code sync_verdict(int status, const char *content_type, bool strict, sync_failure *failure);

#endif
