/* url.c - urls as requests need them. */
#include "url.h"

#include <curl/curl.h>
#include <stdio.h>
#include <string.h>
#include <strings.h>

#include "buffer.h"
#include "error.h"

#define DEFAULT_PATH "/api/v1/sync/events"

#define SCHEME_BYTES "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789+-."

/* ---- a url of our own -------------------------------------------------------------------------------------------- */

static CURLUcode add_query(CURLU *url, const sync_allocator *alloc, const char *name, const char *value) {
  if (!value) return CURLUE_OK;
  struct sync_buffer pair;
  sync_buffer_init(&pair, alloc);
  CURLUcode result = CURLUE_OUT_OF_MEMORY;
  if (sync_buffer_append(&pair, (sync_span){name, strlen(name)}) && sync_buffer_append(&pair, (sync_span){"=", 1}) &&
      sync_buffer_append(&pair, (sync_span){value, strlen(value) + 1}))
    result = curl_url_set(url, CURLUPART_QUERY, pair.bytes, CURLU_APPENDQUERY | CURLU_URLENCODE);
  sync_buffer_fini(&pair);
  return result;
}

static CURLUcode add_default_path(CURLU *url) {
  char *path = NULL;
  CURLUcode result = curl_url_get(url, CURLUPART_PATH, &path, 0);
  if (result == CURLUE_OK && strcmp(path, "/") == 0) result = curl_url_set(url, CURLUPART_PATH, DEFAULT_PATH, 0);
  curl_free(path);
  return result;
}

static CURLUcode check_scheme(CURLU *url) {
  char *scheme = NULL;
  CURLUcode result = curl_url_get(url, CURLUPART_SCHEME, &scheme, 0);
  if (result == CURLUE_OK && strcmp(scheme, "http") != 0 && strcmp(scheme, "https") != 0)
    result = CURLUE_UNSUPPORTED_SCHEME;
  curl_free(scheme);
  return result;
}

/* The whole of `url` in memory of ours, or NULL: none. */
static char *copy_whole(const sync_allocator *alloc, CURLU *url) {
  char *whole = NULL, *copy = NULL;
  if (curl_url_get(url, CURLUPART_URL, &whole, 0) == CURLUE_OK)
    copy = sync_alloc_text(alloc, (sync_span){whole, strlen(whole)});
  curl_free(whole);
  return copy;
}

static void tell_bad_url(sync_failure *failure, const char *url, const char *why) {
  char shown[160];
  sync_url_show(url, shown, sizeof shown);
  sync_failure_set(failure, SYNC_URL, "url '%s': %s", shown, why);
}

char *sync_url_complete(const sync_allocator *alloc, const char *url, const sync_options *options,
                        sync_failure *failure) {
  char *copy = NULL;
  CURLU *parsed = curl_url();
  CURLUcode result = parsed ? curl_url_set(parsed, CURLUPART_URL, url, 0) : CURLUE_OUT_OF_MEMORY;
  if (result == CURLUE_OK) result = check_scheme(parsed);
  if (result == CURLUE_OK) result = add_default_path(parsed);
  if (result == CURLUE_OK) result = add_query(parsed, alloc, "orderID", options->order_id);
  if (result == CURLUE_OK) result = add_query(parsed, alloc, "eventTypes", options->event_types);
  if (result == CURLUE_OK) copy = copy_whole(alloc, parsed);
  if (result != CURLUE_OK && result != CURLUE_OUT_OF_MEMORY)
    tell_bad_url(failure, url, curl_url_strerror(result));
  else if (!copy)
    sync_failure_set(failure, SYNC_NO_MEMORY, "no memory for the url");
  curl_url_cleanup(parsed);
  return copy;
}

/* ---- from one url to the next ------------------------------------------------------------------------------------ */

/* Without a path and a query of its own it stays where it is (RFC 3986, 5.2.2), which libcurl does not know. What a
 * server should have encoded is encoded for it, as browsers do. */
static CURLUcode move(CURLU *url, const char *location) {
  if (*location == '\0' || *location == '#') return CURLUE_OK;
  return curl_url_set(url, CURLUPART_URL, location, CURLU_URLENCODE | CURLU_ALLOW_SPACE);
}

char *sync_url_resolve(const sync_allocator *alloc, const char *base, const char *location, sync_code *code) {
  char *copy = NULL;
  CURLU *url = curl_url();
  CURLUcode result = url ? curl_url_set(url, CURLUPART_URL, base, 0) : CURLUE_OUT_OF_MEMORY;
  if (result == CURLUE_OK) result = move(url, location);
  if (result == CURLUE_OK) result = check_scheme(url);
  if (result == CURLUE_OK) result = curl_url_set(url, CURLUPART_FRAGMENT, NULL, 0);
  if (result == CURLUE_OK) copy = copy_whole(alloc, url);
  *code = copy ? SYNC_OK : result == CURLUE_OK || result == CURLUE_OUT_OF_MEMORY ? SYNC_NO_MEMORY : SYNC_URL;
  curl_url_cleanup(url);
  return copy;
}

static bool is_unreserved(char byte) {
  return (byte >= '0' && byte <= '9') || (byte >= 'a' && byte <= 'z') || (byte >= 'A' && byte <= 'Z') ||
         (byte != '\0' && strchr("-._~", byte));
}

static bool add_encoded(struct sync_buffer *out, const char *text) {
  static const char digits[] = "0123456789ABCDEF";
  for (; *text; text++) {
    const char encoded[] = {'%', digits[(unsigned char)*text >> 4], digits[*text & 15]};
    if (!sync_buffer_append(out, is_unreserved(*text) ? (sync_span){text, 1} : (sync_span){encoded, 3})) return false;
  }
  return true;
}

char *sync_url_expand(const sync_allocator *alloc, const char *text, const char *id) {
  static const char place[] = "{id}";
  struct sync_buffer out;
  const char *at;
  char *copy = NULL;
  bool made = true;
  sync_buffer_init(&out, alloc);
  for (; made && (at = strstr(text, place)); text = at + strlen(place))
    made = sync_buffer_append(&out, (sync_span){text, (size_t)(at - text)}) && add_encoded(&out, id);
  if (made && sync_buffer_append(&out, (sync_span){text, strlen(text)}))
    copy = sync_alloc_text(alloc, sync_buffer_span(&out));
  sync_buffer_fini(&out);
  return copy;
}

/* Whether a part of both is the same; hosts and schemes are compared without regard to case. */
static bool same_part(CURLU *a, CURLU *b, CURLUPart part) {
  char *of_a = NULL, *of_b = NULL;
  bool same = curl_url_get(a, part, &of_a, CURLU_DEFAULT_PORT) == CURLUE_OK &&
              curl_url_get(b, part, &of_b, CURLU_DEFAULT_PORT) == CURLUE_OK && strcasecmp(of_a, of_b) == 0;
  curl_free(of_a);
  curl_free(of_b);
  return same;
}

bool sync_url_same_origin(const char *a, const char *b) {
  CURLU *of_a = curl_url(), *of_b = curl_url();
  bool same = of_a && of_b && curl_url_set(of_a, CURLUPART_URL, a, 0) == CURLUE_OK &&
              curl_url_set(of_b, CURLUPART_URL, b, 0) == CURLUE_OK && same_part(of_a, of_b, CURLUPART_SCHEME) &&
              same_part(of_a, of_b, CURLUPART_HOST) && same_part(of_a, of_b, CURLUPART_PORT);
  curl_url_cleanup(of_a);
  curl_url_cleanup(of_b);
  return same;
}

bool sync_url_is_tls(const char *url) {
  return strncasecmp(url, "https:", 6) == 0;
}

/* ---- shown ------------------------------------------------------------------------------------------------------- */

/* It need not be a url that can be parsed: a password may hold a slash, or the scheme be missing. So what stands before
 * the last '@' is left out wherever that is; dots say so when it was perhaps only a part of the path. */
void sync_url_show(const char *url, char *out, size_t capacity) {
  const char *authority = url + strspn(url, SCHEME_BYTES);
  authority = strncmp(authority, ":/", 2) == 0 ? authority + 1 + strspn(authority + 1, "/") : url;
  const char *end = authority + strcspn(authority, "?#");
  const char *host = authority;
  for (const char *at = authority; at < end; at++)
    if (*at == '@') host = at + 1;
  const char *dots = memchr(authority, '/', (size_t)(host - authority)) ? "..." : "";
  (void)snprintf(out, capacity, "%.*s%s%.*s", (int)(authority - url), url, dots, (int)(end - host), host);
}
