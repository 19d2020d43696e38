/* redirect.c - a chain of redirects, by our own rules. */
#include "redirect.h"

#include <string.h>
#include <strings.h>

#include "error.h"
#include "url.h"

void sync_redirect_reset(struct sync_redirect *redirect, const sync_allocator *alloc) {
  sync_alloc_free(alloc, redirect->url);
  *redirect = (struct sync_redirect){.url = NULL};
}

bool sync_redirect_status(int status) {
  return status == 301 || status == 302 || status == 303 || status == 307 || status == 308;
}

static const char *method_of(const sync_options *options) {
  if (options->method) return options->method;
  return options->body.length ? "POST" : "GET";
}

/* 303 always asks for GET; 301 and 302 make a GET of a POST, as every browser does. */
static bool becomes_get(const sync_options *options, int status) {
  const char *method = method_of(options);
  if (status == 303) return strcasecmp(method, "GET") != 0 && strcasecmp(method, "HEAD") != 0;
  return (status == 301 || status == 302) && strcasecmp(method, "POST") == 0;
}

static sync_code refuse(sync_failure *failure, int status, const char *why, const char *url) {
  char shown[160] = "";
  if (url) sync_url_show(url, shown, sizeof shown);
  sync_failure_set(failure, SYNC_HTTP_REDIRECT, "the server answered %d: %s%s", status, why, shown);
  failure->status = status;
  return failure->code;
}

/* Whether `url` may follow on `from`; SYNC_OK or the failure. */
static sync_code check(const struct sync_redirect *next, const sync_options *options, const char *from, int status,
                       sync_failure *failure) {
  if (next->hops > options->max_redirects)
    return refuse(failure, status, "one redirect more than max_redirects allows, to ", next->url);
  if (sync_url_is_tls(from) && !sync_url_is_tls(next->url))
    return refuse(failure, status, "https must not lead to http: ", next->url);
  if (next->abroad && options->body.length && !next->as_get)
    return refuse(failure, status, "the body does not go to another origin: ", next->url);
  return SYNC_OK;
}

sync_code sync_redirect_follow(struct sync_redirect *redirect, const sync_allocator *alloc, const sync_options *options,
                               const char *asked, int status, const char *location, sync_failure *failure) {
  const char *from = redirect->url ? redirect->url : asked;
  sync_code code;
  if (!location || !*location) return refuse(failure, status, "it names no location", NULL);
  struct sync_redirect next = {
      .url = sync_url_resolve(alloc, from, location, &code),
      .hops = redirect->hops + 1,
      .as_get = redirect->as_get || becomes_get(options, status),
  };
  if (code == SYNC_URL) return refuse(failure, status, "its location cannot be used: ", location);
  if (code != SYNC_OK) return sync_failure_set(failure, code, "no memory to follow a redirect");
  next.abroad = redirect->abroad || !sync_url_same_origin(asked, next.url);
  code = check(&next, options, from, status, failure);
  sync_alloc_free(alloc, code == SYNC_OK ? redirect->url : next.url);
  if (code == SYNC_OK) *redirect = next;
  return code;
}
