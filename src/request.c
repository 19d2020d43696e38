/* request.c - a request as libcurl wants it told: headers, method and body, route, TLS. */
#include "request.h"

#include <stdio.h>
#include <string.h>
#include <strings.h>

#include "buffer.h"
#include "span.h"
#include "url.h"

/* 64 KiB helps servers that send a chunk an event; 512 KiB was slower. Only what is used becomes resident. */
#define RECEIVE_BUFFER_BYTES 65536L

/* ---- lists ------------------------------------------------------------------------------------------------------- */

/* The parts, one behind the other, as one more entry; false: no memory, and the list is as it was. */
static bool add_line(struct curl_slist **list, const sync_allocator *alloc, const sync_span *parts, size_t count) {
  struct sync_buffer line;
  sync_buffer_init(&line, alloc);
  bool whole = true;
  for (size_t i = 0; i < count; i++) whole = whole && sync_buffer_append(&line, parts[i]);
  whole = whole && sync_buffer_append(&line, (sync_span){"", 1});
  struct curl_slist *longer = whole ? curl_slist_append(*list, line.bytes) : NULL;
  sync_buffer_fini(&line);
  if (longer) *list = longer;
  return longer != NULL;
}

void sync_request_lists_fini(struct sync_request_lists *lists) {
  curl_slist_free_all(lists->headers);
  curl_slist_free_all(lists->connect_to);
  *lists = (struct sync_request_lists){NULL, NULL};
}

/* ---- headers ----------------------------------------------------------------------------------------------------- */

struct header_writer {
  const sync_allocator *alloc;
  const struct sync_request *request;
  struct curl_slist **list;
};

static bool header_is(const sync_header *header, const char *name) {
  return header->name.length == strlen(name) && strncasecmp(header->name.bytes, name, header->name.length) == 0;
}

static bool is_among(const sync_header *headers, size_t count, const char *name) {
  for (size_t i = 0; i < count; i++)
    if (header_is(&headers[i], name)) return true;
  return false;
}

/* Any header of the user's may be a secret, so none goes to another origin. */
static bool has_header(const struct sync_request *request, const char *name) {
  if (request->abroad) return false;
  return is_among(request->headers, request->header_count, name) ||
         is_among(request->answer, request->answer_count, name) || is_among(request->more, request->more_count, name);
}

/* libcurl reads "Name:" as "do not send it" and "Name;" as "send it empty". */
static bool add_header(const struct header_writer *writer, sync_span name, sync_span value) {
  const sync_span parts[] = {name, sync_span_of(value.length ? ": " : ";"), value};
  return add_line(writer->list, writer->alloc, parts, 3);
}

/* One of our own headers, unless the user has one of that name. */
static bool add_default(const struct header_writer *writer, const char *name, sync_span value) {
  return has_header(writer->request, name) || add_header(writer, sync_span_of(name), value);
}

static bool add_all(const struct header_writer *writer, const sync_header *headers, size_t count) {
  for (size_t i = 0; i < count; i++)
    if (!add_header(writer, headers[i].name, headers[i].value)) return false;
  return true;
}

/* An id that HTTP cannot carry is not sent; the stream must not fail for it. */
bool sync_request_carries_id(sync_span id) {
  for (size_t i = 0; i < id.length; i++) {
    unsigned char byte = (unsigned char)id.bytes[i];
    if ((byte < 0x20 && byte != '\t') || byte == 0x7f) return false;
  }
  return id.length > 0;
}

static bool has_body(const struct sync_request *request) {
  return request->options->body.length > 0 && !request->as_get && !request->poll;
}

static bool add_headers(const struct header_writer *writer) {
  const struct sync_request *request = writer->request;
  bool made = add_default(writer, "Accept", sync_span_of(request->poll ? "application/json" : "text/event-stream")) &&
              add_default(writer, "Cache-Control", sync_span_of("no-cache"));
  if (made && request->etag) made = add_default(writer, "If-None-Match", sync_span_of(request->etag));
  if (made && request->last_modified)
    made = add_default(writer, "If-Modified-Since", sync_span_of(request->last_modified));
  if (made && !request->abroad)
    made = add_all(writer, request->headers, request->header_count) &&
           add_all(writer, request->answer, request->answer_count) &&
           add_all(writer, request->more, request->more_count);
  if (made && has_body(request)) /* and no "Expect: 100-continue": it would cost a round trip */
    made = add_default(writer, "Content-Type", sync_span_of("application/json")) &&
           curl_slist_append(*writer->list, "Expect:") != NULL;
  if (made && sync_request_carries_id(request->last_event_id))
    made = add_default(writer, "Last-Event-ID", request->last_event_id);
  return made;
}

/* ---- what is asked ----------------------------------------------------------------------------------------------- */

static void set_text(CURL *easy, CURLoption option, const char *text) {
  if (text) curl_easy_setopt(easy, option, text);
}

static long http_version(const sync_options *options, const char *url) {
  if (options->http_version && strcmp(options->http_version, "1.1") == 0) return CURL_HTTP_VERSION_1_1;
  return sync_url_is_tls(url) ? CURL_HTTP_VERSION_2TLS : CURL_HTTP_VERSION_1_1;
}

static void set_question(CURL *easy, const struct sync_request *request) {
  const sync_options *options = request->options;
  curl_easy_setopt(easy, CURLOPT_URL, request->url);
  if (has_body(request)) {
    curl_easy_setopt(easy, CURLOPT_POSTFIELDSIZE_LARGE, (curl_off_t)options->body.length);
    curl_easy_setopt(easy, CURLOPT_COPYPOSTFIELDS, options->body.bytes); /* configure() may end ours meanwhile */
  }
  if (!request->as_get && !request->poll) set_text(easy, CURLOPT_CUSTOMREQUEST, options->method);
  set_text(easy, CURLOPT_ACCEPT_ENCODING, options->accept_encoding);
  curl_easy_setopt(easy, CURLOPT_USERAGENT, "ordersync/" SYNC_VERSION);
  curl_easy_setopt(easy, CURLOPT_HTTP_VERSION, http_version(options, request->url));
}

/* ---- how it gets there ------------------------------------------------------------------------------------------- */

/* "host=address" as curl's "host::address:", on any port. CURLOPT_RESOLVE would write into the name cache that all
 * clients of the loop share; this holds for one request. */
static bool add_resolve(struct curl_slist **list, const sync_allocator *alloc, const char *entry) {
  const char *equals = strchr(entry, '=');
  const char *address = equals + 1;
  bool bare_ipv6 = strchr(address, ':') && *address != '[';
  const sync_span parts[] = {
      {entry, (size_t)(equals - entry)},  sync_span_of("::"), sync_span_of(bare_ipv6 ? "[" : ""), sync_span_of(address),
      sync_span_of(bare_ipv6 ? "]" : ""), sync_span_of(":"),
  };
  return add_line(list, alloc, parts, sizeof parts / sizeof *parts);
}

static bool set_route(CURL *easy, struct sync_request_lists *lists, const sync_options *options,
                      const sync_allocator *alloc) {
  for (size_t i = 0; i < options->resolve_count; i++)
    if (!add_resolve(&lists->connect_to, alloc, options->resolve[i])) return false;
  curl_easy_setopt(easy, CURLOPT_CONNECT_TO, lists->connect_to);
  set_text(easy, CURLOPT_PROXY, options->proxy);
  set_text(easy, CURLOPT_NOPROXY, options->no_proxy);
  set_text(easy, CURLOPT_UNIX_SOCKET_PATH, options->unix_socket);
  return true;
}

/* These and no others: the system's directory would still be asked. Read anew at each connect, for it may be replaced.
 */
static void set_authorities(CURL *easy, const char *file) {
  curl_easy_setopt(easy, CURLOPT_CAINFO, file);
  curl_easy_setopt(easy, CURLOPT_CAPATH, NULL);
#if LIBCURL_VERSION_NUM >= 0x075700
  curl_easy_setopt(easy, CURLOPT_CA_CACHE_TIMEOUT, 0L);
#endif
}

static void set_tls(CURL *easy, const struct sync_request *request) {
  const sync_options *options = request->options;
  bool only_13 = options->tls_min_version && strcmp(options->tls_min_version, "1.3") == 0;
  curl_easy_setopt(easy, CURLOPT_SSLVERSION, only_13 ? CURL_SSLVERSION_TLSv1_3 : CURL_SSLVERSION_TLSv1_2);
  if (options->ca_file) set_authorities(easy, options->ca_file);
  set_text(easy, CURLOPT_PINNEDPUBLICKEY, options->pinned_public_key);
  curl_easy_setopt(easy, CURLOPT_SSL_VERIFYPEER, options->insecure_skip_verify ? 0L : 1L);
  curl_easy_setopt(easy, CURLOPT_SSL_VERIFYHOST, options->insecure_skip_verify ? 0L : 2L);
  if (request->abroad) return; /* who we are is another origin's business no more than the token */
  set_text(easy, CURLOPT_SSLCERT, options->cert_file);
  set_text(easy, CURLOPT_SSLKEY, options->key_file);
}

/* No CURLOPT_TIMEOUT: it would end healthy streams. No LOW_SPEED: it fires seconds late; connection.c watches.
 * Redirects are ours: curl would carry a header such as X-Api-Key to another origin. */
static void set_behaviour(CURL *easy, const struct sync_request *request) {
  curl_easy_setopt(easy, CURLOPT_NOSIGNAL, 1L);
  curl_easy_setopt(easy, CURLOPT_BUFFERSIZE, RECEIVE_BUFFER_BYTES);
  curl_easy_setopt(easy, CURLOPT_TCP_KEEPALIVE, 1L);
  curl_easy_setopt(easy, CURLOPT_PIPEWAIT, 1L);
  curl_easy_setopt(easy, CURLOPT_FRESH_CONNECT, request->fresh ? 1L : 0L);
  curl_easy_setopt(easy, CURLOPT_FOLLOWLOCATION, 0L);
  curl_easy_setopt(easy, CURLOPT_SUPPRESS_CONNECT_HEADERS, 1L);
#if LIBCURL_VERSION_NUM >= 0x075500
  curl_easy_setopt(easy, CURLOPT_PROTOCOLS_STR, "http,https");
#else
  curl_easy_setopt(easy, CURLOPT_PROTOCOLS, CURLPROTO_HTTP | CURLPROTO_HTTPS);
#endif
#if LIBCURL_VERSION_NUM >= 0x075700
  curl_easy_setopt(easy, CURLOPT_QUICK_EXIT, 1L); /* else closing waits for a name look-up under way */
#endif
}

bool sync_request_set(CURL *easy, struct sync_request_lists *lists, const struct sync_request *request,
                      const sync_allocator *alloc) {
  const struct header_writer writer = {.alloc = alloc, .request = request, .list = &lists->headers};
  sync_request_lists_fini(lists);
  set_behaviour(easy, request);
  set_question(easy, request);
  set_tls(easy, request);
  if (!set_route(easy, lists, request->options, alloc) || !add_headers(&writer)) return false;
  curl_easy_setopt(easy, CURLOPT_HTTPHEADER, lists->headers);
  return true;
}
