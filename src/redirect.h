/*
 * redirect.h - a chain of redirects, by our own rules: what libcurl's do not see to is that a header such as X-Api-Key
 * may be a secret too.
 *
 * Fetch, "HTTP-redirect fetch", with three rules of ours: nothing of the user's goes to another origin; https never
 * leads to http; the next connect begins with the first url again, so that a moved host does not stick.
 */
#ifndef SYNC_REDIRECT_H
#define SYNC_REDIRECT_H

#include "alloc.h"

/* All zero at first: no redirect yet. */
struct sync_redirect {
  char *url; /* where it has led; NULL: nowhere yet */
  int64_t hops;
  bool abroad; /* it has been at another origin, once and for all */
  bool as_get;
};

/* Back to no redirect. */
void sync_redirect_reset(struct sync_redirect *redirect, const sync_allocator *alloc);

/* Whether the status is one of a redirect: 301, 302, 303, 307, 308. */
bool sync_redirect_status(int status);

/* Follows `location` (NULL: the response has none) of a `status` response to the request for `asked`, the first url.
 * SYNC_OK; otherwise `failure` says why not: SYNC_HTTP_REDIRECT or SYNC_NO_MEMORY. */
sync_code sync_redirect_follow(struct sync_redirect *redirect, const sync_allocator *alloc, const sync_options *options,
                               const char *asked, int status, const char *location, sync_failure *failure);

#endif
