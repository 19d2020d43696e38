/* options.c - one table of texts, one of numbers; everything else walks them. */
#include "options.h"

#include <string.h>

#include "error.h"
#include "recent.h"
#include "span.h"

/* ---- the tables -------------------------------------------------------------------------------------------------- */

static const struct {
  size_t offset;
  bool asked; /* part of what the server is asked, or of how it is reached */
} texts[] = {
    {offsetof(sync_options, url), true},
    {offsetof(sync_options, order_id), true},
    {offsetof(sync_options, event_types), true},
    {offsetof(sync_options, last_event_id), true},
    {offsetof(sync_options, method), true},
    {offsetof(sync_options, accept_encoding), true},
    {offsetof(sync_options, http_version), true},
    {offsetof(sync_options, proxy), true},
    {offsetof(sync_options, no_proxy), true},
    {offsetof(sync_options, unix_socket), true},
    {offsetof(sync_options, ca_file), true},
    {offsetof(sync_options, cert_file), true},
    {offsetof(sync_options, key_file), true},
    {offsetof(sync_options, pinned_public_key), true},
    {offsetof(sync_options, poll_url), false},
    {offsetof(sync_options, poll_order_url), false},
    {offsetof(sync_options, tls_min_version), true},
    {offsetof(sync_options, field_type), false},
    {offsetof(sync_options, field_order_id), false},
    {offsetof(sync_options, field_timestamp), false},
    {offsetof(sync_options, field_data), false},
    {offsetof(sync_options, journal_path), false},
    {offsetof(sync_options, journal_stream), false},
};

#define TEXT_COUNT (sizeof texts / sizeof *texts)

/* Lists of texts. */
static const struct {
  size_t offset;
  size_t count_offset;
  bool asked;
} lists[] = {
    {offsetof(sync_options, fallback_urls), offsetof(sync_options, fallback_url_count), true},
    {offsetof(sync_options, resolve), offsetof(sync_options, resolve_count), true},
    {offsetof(sync_options, redact), offsetof(sync_options, redact_count), false},
};

#define LIST_COUNT  (sizeof lists / sizeof *lists)
#define REDACT_LIST (LIST_COUNT - 1)

struct number {
  const char *name;
  size_t offset;
  int64_t least;
};

#define DAY_MS (24 * 60 * 60 * 1000)

/* Whoever wants to keep events for longer wants an archive. */
#define JOURNAL_AGE_MOST_MS (INT64_C(3650) * DAY_MS)

/* A longer chain is a loop; browsers stop at 20. */
#define REDIRECTS_MOST 100

/* Durations end at a day: a longer one is a mistake in units. */
static const struct number durations[] = {
    {"reconnect_delay_ms", offsetof(sync_options, reconnect_delay_ms), 0},
    {"max_reconnect_delay_ms", offsetof(sync_options, max_reconnect_delay_ms), 0},
    {"stable_after_ms", offsetof(sync_options, stable_after_ms), 0},
    {"stream_retry_interval_ms", offsetof(sync_options, stream_retry_interval_ms), 1},
    {"heartbeat_interval_ms", offsetof(sync_options, heartbeat_interval_ms), 1},
    {"idle_timeout_ms", offsetof(sync_options, idle_timeout_ms), 0},
    {"connect_timeout_ms", offsetof(sync_options, connect_timeout_ms), 1},
    {"polling.interval_ms", offsetof(sync_options, poll_interval_ms), 1},
    {"polling.timeout_ms", offsetof(sync_options, poll_timeout_ms), 1},
};

struct size {
  const char *name;
  size_t offset;
  size_t least;
  size_t most;
};

/* One event must fit the 32-bit offsets of its record with room to spare. */
static const struct size sizes[] = {
    {"event_history_limit", offsetof(sync_options, event_history_limit), 0, 1000000},
    {"max_event_bytes", offsetof(sync_options, max_event_bytes), 16, (size_t)1 << 30},
    {"queue_limit", offsetof(sync_options, queue_limit), 1, 10000000},
    {"max_snapshot_bytes", offsetof(sync_options, max_snapshot_bytes), 16, (size_t)1 << 30},
    {"book_limit", offsetof(sync_options, book_limit), 0, 10000000},
    {"duplicate_window", offsetof(sync_options, duplicate_window), 0, SYNC_RECENT_MAX},
    {"persistence.max_events", offsetof(sync_options, journal_max_events), 0, 100000000},
    {"persistence.max_bytes", offsetof(sync_options, journal_max_bytes), 0, SIZE_MAX / 2},
    {"dead_letter_limit", offsetof(sync_options, dead_letter_limit), 0, 1000000},
};

static const char *const *text_at(const sync_options *options, size_t offset) {
  return (const char *const *)(const void *)((const char *)options + offset);
}

static const char *const *list_at(const sync_options *options, size_t index, size_t *count) {
  const char *const *texts_of_list;
  memcpy(&texts_of_list, (const char *)options + lists[index].offset, sizeof texts_of_list);
  memcpy(count, (const char *)options + lists[index].count_offset, sizeof *count);
  return texts_of_list;
}

/* ---- defaults ---------------------------------------------------------------------------------------------------- */

void sync_options_init(sync_options *options) {
  *options = (sync_options){
      .decode = SYNC_DECODE_ORDER,
      .auto_connect = true,
      .auto_reconnect = true,
      .max_reconnect_attempts = 5,
      .reconnect_delay_ms = 1000,
      .max_reconnect_delay_ms = 30000,
      .stable_after_ms = 10000,
      .stream_retry_interval_ms = 120000,
      .heartbeat_interval_ms = 30000,
      .connect_timeout_ms = 10000,
      .poll_interval_ms = 15000,
      .poll_timeout_ms = 30000,
      .max_snapshot_bytes = (size_t)64 << 20,
      .book_limit = 100000,
      .max_redirects = 20,
      .event_history_limit = 100,
      .max_event_bytes = (size_t)4 << 20,
      .queue_limit = 10000,
      .duplicate_window = 4096,
      .journal_max_events = 100000,
      .journal_max_bytes = (size_t)64 << 20,
      .journal_max_age_ms = INT64_C(7) * DAY_MS,
      .dead_letter_limit = 1000,
  };
}

/* ---- checks ------------------------------------------------------------------------------------------------------ */

static bool is_token_byte(unsigned char byte) {
  if ((byte >= '0' && byte <= '9') || (byte >= 'a' && byte <= 'z') || (byte >= 'A' && byte <= 'Z')) return true;
  return byte != 0 && strchr("!#$%&'*+-.^_`|~", byte) != NULL;
}

sync_code sync_header_check(const sync_header *header, sync_failure *failure) {
  for (size_t i = 0; i < header->name.length; i++)
    if (!is_token_byte((unsigned char)header->name.bytes[i]))
      return sync_failure_set(failure, SYNC_HEADER, "headers: byte %u of a name of %zu bytes cannot stand there",
                              (unsigned)i + 1,
                              header->name.length); /* who mixes up name and value has a secret in it */
  if (header->name.length == 0) return sync_failure_set(failure, SYNC_HEADER, "headers: a name is empty");
  for (size_t i = 0; i < header->value.length; i++)
    if (memchr("\r\n", header->value.bytes[i], 3)) /* and the NUL behind them; the value itself may be a secret */
      return sync_failure_set(failure, SYNC_HEADER, "headers.%.*s: byte %u of the value is CR, LF or NUL",
                              (int)header->name.length, header->name.bytes, (unsigned)i + 1);
  return SYNC_OK;
}

static sync_code check_durations(const sync_options *options, sync_failure *failure) {
  for (size_t i = 0; i < sizeof durations / sizeof *durations; i++) {
    int64_t value;
    memcpy(&value, (const char *)options + durations[i].offset, sizeof value);
    if (value < durations[i].least || value > DAY_MS)
      return sync_failure_set(failure, SYNC_OPTION, "%s: expected %lld to %d, got %lld", durations[i].name,
                              (long long)durations[i].least, DAY_MS, (long long)value);
  }
  return SYNC_OK;
}

static sync_code check_sizes(const sync_options *options, sync_failure *failure) {
  for (size_t i = 0; i < sizeof sizes / sizeof *sizes; i++) {
    size_t value;
    memcpy(&value, (const char *)options + sizes[i].offset, sizeof value);
    if (value < sizes[i].least || value > sizes[i].most)
      return sync_failure_set(failure, SYNC_OPTION, "%s: expected %zu to %zu, got %zu", sizes[i].name, sizes[i].least,
                              sizes[i].most, value);
  }
  return SYNC_OK;
}

/* Texts that become part of a header or a path of libcurl's, where a line break would begin another header. */
static sync_code check_texts(const sync_options *options, sync_failure *failure) {
  static const struct {
    const char *name;
    size_t offset;
  } checked[] = {
      {"accept_encoding", offsetof(sync_options, accept_encoding)},
      {"last_event_id", offsetof(sync_options, last_event_id)},
      {"proxy", offsetof(sync_options, proxy)},
      {"no_proxy", offsetof(sync_options, no_proxy)},
      {"unix_socket", offsetof(sync_options, unix_socket)},
      {"ca_file", offsetof(sync_options, ca_file)},
      {"cert_file", offsetof(sync_options, cert_file)},
      {"key_file", offsetof(sync_options, key_file)},
      {"pinned_public_key", offsetof(sync_options, pinned_public_key)},
  };
  for (size_t i = 0; i < sizeof checked / sizeof *checked; i++) {
    const char *text = *text_at(options, checked[i].offset);
    for (const char *at = text; at && *at; at++)
      if ((unsigned char)*at < ' ' || *at == 0x7f)
        return sync_failure_set(failure, SYNC_OPTION, "%s: byte %u is a control character", checked[i].name,
                                (unsigned)(at - text) + 1);
  }
  return SYNC_OK;
}

/* A name, or an address: with colons it is IPv6, and then it has two of them or more. A port is no part of it. */
static bool is_address(const char *text) {
  size_t length = strlen(text);
  if (*text == '[') return length > 2 && text[length - 1] == ']';
  const char *colon = strchr(text, ':');
  return length > 0 && (!colon || strchr(colon + 1, ':'));
}

/* "host=address", both there and in one piece. */
static sync_code check_resolve(const sync_options *options, sync_failure *failure) {
  for (size_t i = 0; i < options->resolve_count; i++) {
    const char *entry = options->resolve[i], *equals = strchr(entry, '=');
    bool whole = equals && equals != entry && is_address(equals + 1);
    for (const char *at = entry; *at; at++) whole = whole && (unsigned char)*at > ' ' && *at != 0x7f;
    if (!whole || memchr(entry, ':', (size_t)(equals - entry)))
      return sync_failure_set(failure, SYNC_OPTION, "resolve: expected a host without port and an address, got '%s'",
                              entry);
  }
  return SYNC_OK;
}

static sync_code check_tls(const sync_options *options, sync_failure *failure) {
  const char *version = options->tls_min_version;
  if (version && strcmp(version, "1.2") != 0 && strcmp(version, "1.3") != 0)
    return sync_failure_set(failure, SYNC_OPTION, "tls.min_version: expected \"1.2\" or \"1.3\", got \"%s\"", version);
  return SYNC_OK;
}

static sync_code check_headers(const sync_header *headers, size_t count, sync_failure *failure) {
  sync_code code = SYNC_OK;
  for (size_t i = 0; code == SYNC_OK && i < count; i++) code = sync_header_check(&headers[i], failure);
  return code;
}

static sync_code check_http(const sync_options *options, sync_failure *failure) {
  const char *version = options->http_version;
  if (version && strcmp(version, "1.1") != 0 && strcmp(version, "2") != 0)
    return sync_failure_set(failure, SYNC_OPTION, "http_version: expected \"1.1\" or \"2\", got \"%s\"", version);
  if (options->method && !*options->method)
    return sync_failure_set(failure, SYNC_OPTION, "method: expected an HTTP method, got \"\"");
  for (const char *at = options->method; at && *at; at++)
    if (!is_token_byte((unsigned char)*at))
      return sync_failure_set(failure, SYNC_OPTION, "method: '%s' is no HTTP method", options->method);
  sync_code code = check_headers(options->headers, options->header_count, failure);
  return code == SYNC_OK ? check_headers(options->poll_headers, options->poll_header_count, failure) : code;
}

static bool has_list(const sync_options *options) {
  return options->poll_url || options->poll_by_host;
}

static sync_code check_polling(const sync_options *options, sync_failure *failure) {
  const char *url = options->poll_order_url;
  if (url && !strstr(url, "{id}"))
    return sync_failure_set(failure, SYNC_OPTION, "polling.order_url: expected {id} in it, got '%s'", url);
  if (url && !options->order_id && !has_list(options))
    return sync_failure_set(failure, SYNC_OPTION,
                            "polling.order_url: without order_id it needs polling.url or polling.fetch beside it");
  return SYNC_OK;
}

/* The comparison is of orders: somebody must list all of them, and events must be read as news of them. */
static sync_code check_mode(const sync_options *options, sync_failure *failure) {
  if (options->mode != SYNC_MODE_COMPARE) return SYNC_OK;
  if (!has_list(options))
    return sync_failure_set(failure, SYNC_OPTION,
                            "mode: compare needs something to poll: give polling.url or polling.fetch");
  if (options->poll_is_partial)
    return sync_failure_set(failure, SYNC_OPTION,
                            "mode: compare needs polls that list every order, not polling.partial");
  if (options->book_limit == 0 || options->decode != SYNC_DECODE_ORDER)
    return sync_failure_set(failure, SYNC_OPTION,
                            "mode: compare needs an order book: decode \"order\", book_limit above 0");
  return SYNC_OK;
}

/* A value is found by its name in JSON; the id of an order is what its row is found by. */
static sync_code check_journal(const sync_options *options, sync_failure *failure) {
  if (options->journal_max_age_ms < 1 || options->journal_max_age_ms > JOURNAL_AGE_MOST_MS)
    return sync_failure_set(failure, SYNC_OPTION, "persistence.max_age_ms: expected 1 to %lld, got %lld",
                            (long long)JOURNAL_AGE_MOST_MS, (long long)options->journal_max_age_ms);
  if (options->redact_count > 0 && options->decode == SYNC_DECODE_NONE)
    return sync_failure_set(failure, SYNC_OPTION, "redact: needs JSON, and decode is \"none\"");
  if (options->journal_path && !*options->journal_path)
    return sync_failure_set(failure, SYNC_OPTION, "persistence: expected the path of a file, got \"\"");
  return SYNC_OK;
}

sync_code sync_options_check(const sync_options *options, sync_failure *failure) {
  if (!options->url) return sync_failure_set(failure, SYNC_URL, "url: required, for example http://127.0.0.1:8080");
  if (options->max_reconnect_attempts < 1)
    return sync_failure_set(failure, SYNC_OPTION, "max_reconnect_attempts: expected 1 or more, got %lld",
                            (long long)options->max_reconnect_attempts);
  if (options->max_redirects < 0 || options->max_redirects > REDIRECTS_MOST)
    return sync_failure_set(failure, SYNC_OPTION, "max_redirects: expected 0 to %d, got %lld", REDIRECTS_MOST,
                            (long long)options->max_redirects);
  sync_code code = check_durations(options, failure);
  if (code == SYNC_OK) code = check_sizes(options, failure);
  if (code == SYNC_OK) code = check_texts(options, failure);
  if (code == SYNC_OK) code = check_resolve(options, failure);
  if (code == SYNC_OK) code = check_tls(options, failure);
  if (code == SYNC_OK) code = check_polling(options, failure);
  if (code == SYNC_OK) code = check_mode(options, failure);
  if (code == SYNC_OK) code = check_journal(options, failure);
  return code == SYNC_OK ? check_http(options, failure) : code;
}

/* ---- copies ------------------------------------------------------------------------------------------------------ */

static char *put(char *at, sync_span *to, sync_span from) {
  if (from.length) memcpy(at, from.bytes, from.length);
  *to = (sync_span){at, from.length};
  return at + from.length;
}

sync_header *sync_headers_copy(const sync_allocator *alloc, const sync_header *headers, size_t count) {
  size_t bytes = count * sizeof *headers;
  for (size_t i = 0; i < count; i++) bytes += headers[i].name.length + headers[i].value.length;
  if (bytes == 0) return NULL;
  sync_header *copy = sync_alloc_resize(alloc, NULL, bytes);
  if (!copy) return NULL;
  char *at = (char *)(copy + count);
  for (size_t i = 0; i < count; i++) {
    at = put(at, &copy[i].name, headers[i].name);
    at = put(at, &copy[i].value, headers[i].value);
  }
  return copy;
}

static void forget_pointers(sync_options *options) {
  const char *none = NULL;
  for (size_t i = 0; i < TEXT_COUNT; i++) memcpy((char *)options + texts[i].offset, &none, sizeof none);
  for (size_t i = 0; i < LIST_COUNT; i++) memcpy((char *)options + lists[i].offset, &none, sizeof none);
  options->body = (sync_span){NULL, 0};
  options->headers = options->poll_headers = NULL;
}

static bool copy_text(const sync_allocator *alloc, sync_options *to, const sync_options *from, size_t offset) {
  const char *text = *text_at(from, offset);
  if (!text) return true;
  char *copy = sync_alloc_text(alloc, (sync_span){text, strlen(text)});
  memcpy((char *)to + offset, &copy, sizeof copy);
  return copy != NULL;
}

/* A list and its texts in one block; false: no memory. */
static bool copy_list(const sync_allocator *alloc, sync_options *to, const sync_options *from, size_t index) {
  size_t count;
  const char *const *list = list_at(from, index, &count);
  if (count == 0) return true;
  size_t bytes = count * sizeof *list;
  for (size_t i = 0; i < count; i++) bytes += strlen(list[i]) + 1;
  char **copy = sync_alloc_resize(alloc, NULL, bytes);
  if (!copy) return false;
  char *at = (char *)(copy + count);
  for (size_t i = 0; i < count; i++) {
    copy[i] = at;
    at = stpcpy(at, list[i]) + 1;
  }
  memcpy((char *)to + lists[index].offset, &copy, sizeof copy);
  return true;
}

bool sync_options_copy(const sync_allocator *alloc, sync_options *to, const sync_options *from) {
  *to = *from;
  forget_pointers(to);
  for (size_t i = 0; i < TEXT_COUNT; i++)
    if (!copy_text(alloc, to, from, texts[i].offset)) goto fail;
  for (size_t i = 0; i < LIST_COUNT; i++)
    if (!copy_list(alloc, to, from, i)) goto fail;
  if (from->body.length) {
    to->body.bytes = sync_alloc_text(alloc, from->body);
    if (!to->body.bytes) goto fail;
    to->body.length = from->body.length;
  }
  to->headers = sync_headers_copy(alloc, from->headers, from->header_count);
  to->poll_headers = sync_headers_copy(alloc, from->poll_headers, from->poll_header_count);
  if (from->header_count && !to->headers) goto fail;
  if (from->poll_header_count && !to->poll_headers) goto fail;
  return true;

fail:
  sync_options_fini(alloc, to);
  return false;
}

/* The copies are ours: the const of the public structure is a promise to the host, not to us. */
static void free_const(const sync_allocator *alloc, const void *block) {
  void *owned;
  memcpy(&owned, &block, sizeof owned);
  sync_alloc_free(alloc, owned);
}

void sync_options_fini(const sync_allocator *alloc, sync_options *options) {
  size_t count;
  for (size_t i = 0; i < TEXT_COUNT; i++) free_const(alloc, *text_at(options, texts[i].offset));
  for (size_t i = 0; i < LIST_COUNT; i++) free_const(alloc, list_at(options, i, &count));
  free_const(alloc, options->body.bytes);
  free_const(alloc, options->headers);
  free_const(alloc, options->poll_headers);
  forget_pointers(options);
}

/* ---- comparison -------------------------------------------------------------------------------------------------- */

static bool same_headers(const sync_options *a, const sync_options *b) {
  if (a->header_count != b->header_count) return false;
  for (size_t i = 0; i < a->header_count; i++)
    if (!sync_span_same(a->headers[i].name, b->headers[i].name) ||
        !sync_span_same(a->headers[i].value, b->headers[i].value))
      return false;
  return true;
}

static bool same_list(const sync_options *a, const sync_options *b, size_t index) {
  size_t of_a, of_b;
  const char *const *list_a = list_at(a, index, &of_a), *const *list_b = list_at(b, index, &of_b);
  bool same = of_a == of_b;
  for (size_t i = 0; same && i < of_a; i++) same = strcmp(list_a[i], list_b[i]) == 0;
  return same;
}

bool sync_options_same_request(const sync_options *a, const sync_options *b) {
  for (size_t i = 0; i < TEXT_COUNT; i++)
    if (texts[i].asked && !sync_text_same(*text_at(a, texts[i].offset), *text_at(b, texts[i].offset))) return false;
  for (size_t i = 0; i < LIST_COUNT; i++)
    if (lists[i].asked && !same_list(a, b, i)) return false;
  return sync_span_same(a->body, b->body) && same_headers(a, b) && a->insecure_skip_verify == b->insecure_skip_verify &&
         a->ask_headers == b->ask_headers;
}

bool sync_options_same_journal(const sync_options *a, const sync_options *b) {
  return sync_text_same(a->journal_path, b->journal_path) && sync_text_same(a->journal_stream, b->journal_stream) &&
         a->journal_durability == b->journal_durability && a->journal_max_events == b->journal_max_events &&
         a->journal_max_bytes == b->journal_max_bytes && a->journal_max_age_ms == b->journal_max_age_ms &&
         a->dead_letter_limit == b->dead_letter_limit && same_list(a, b, REDACT_LIST);
}
