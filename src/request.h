/*
 * request.h - a request as libcurl wants it told. Private to transport.c: nobody else sees curl's types.
 */
#ifndef SYNC_REQUEST_H
#define SYNC_REQUEST_H

#include <curl/curl.h>

#include "transport.h"

/* What curl reads from as long as the request runs. All zero at first. */
struct sync_request_lists {
  struct curl_slist *headers;
  struct curl_slist *connect_to;
};

/* Sets everything of `request` on a handle that has been reset, and makes its lists. false: no memory. */
bool sync_request_set(CURL *easy, struct sync_request_lists *lists, const struct sync_request *request,
                      const sync_allocator *alloc);

/* Ends the lists, when no request runs that reads them. */
void sync_request_lists_fini(struct sync_request_lists *lists);

#endif
