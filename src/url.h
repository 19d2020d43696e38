/*
 * url.h - urls as requests need them: with their defaults, and followed from one to the next (RFC 3986, by libcurl).
 */
#ifndef SYNC_URL_H
#define SYNC_URL_H

#include "alloc.h"

/* `url` as it is asked: the default path and the filters of `options` added to its query. NULL: `failure` says why. The
 * caller frees it. */
char *sync_url_complete(const sync_allocator *alloc, const char *url, const sync_options *options,
                        sync_failure *failure);

/* Where `location`, absolute or relative, leads from `base`, without a fragment. NULL: `*code` is SYNC_URL (it is no
 * http or https url) or SYNC_NO_MEMORY. The caller frees it. */
char *sync_url_resolve(const sync_allocator *alloc, const char *base, const char *location, sync_code *code);

/* `text` with {id} in it replaced by `id`, encoded as RFC 6570 (3.2.2) has it; NULL: no memory. The caller frees it. */
char *sync_url_expand(const sync_allocator *alloc, const char *text, const char *id);

/* Whether both have the same scheme, host and port (RFC 6454). Without memory to tell: false. */
bool sync_url_same_origin(const char *a, const char *b);

/* Whether it asks for TLS. */
bool sync_url_is_tls(const char *url);

/* A copy to be shown: without user, password, query and fragment, any of which may be a secret; cut to fit. */
void sync_url_show(const char *url, char *out, size_t capacity);

#endif
