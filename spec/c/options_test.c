/* options_test.c - what a client is made of: defaults, every check, copies, comparison. */
#include "options.h"

#include <stdio.h>

#include "counting_alloc.h"
#include "recent.h"
#include "spans.h"

#define DAY_MS (24 * 60 * 60 * 1000)

static struct counting_alloc memory;
static sync_options options;
static sync_failure failure;

static int set_up(void **state) {
  (void)state;
  counting_alloc_init(&memory);
  sync_options_init(&options);
  options.url = "http://127.0.0.1:8080";
  return 0;
}

static int tear_down(void **state) {
  (void)state;
  counting_alloc_check(&memory);
  return 0;
}

/* ---- checks ------------------------------------------------------------------------------------------------------ */

/* The options are refused with `code` and a message that has `words` in it. */
static void check_refused(sync_code code, const char *words) {
  assert_int_equal(sync_options_check(&options, &failure), code);
  assert_int_equal(failure.code, code);
  if (!strstr(failure.message, words)) fail_msg("'%s' does not say '%s'", failure.message, words);
  assert_int_equal(sync_options_check(&options, NULL), code);
}

static void check_accepted(void) {
  if (sync_options_check(&options, &failure) != SYNC_OK) fail_msg("%s", failure.message);
}

static void the_defaults_are_those_of_the_design(void **state) {
  (void)state;
  check_accepted();
  assert_true(options.auto_connect && options.auto_reconnect && !options.stop_when_exhausted);
  assert_false(options.strict);
  assert_int_equal(options.decode, SYNC_DECODE_ORDER);
  assert_int_equal(options.max_reconnect_attempts, 5);
  assert_int_equal(options.reconnect_delay_ms, 1000);
  assert_int_equal(options.max_reconnect_delay_ms, 30000);
  assert_int_equal(options.stable_after_ms, 10000);
  assert_int_equal(options.stream_retry_interval_ms, 120000);
  assert_int_equal(options.heartbeat_interval_ms, 30000);
  assert_int_equal(options.idle_timeout_ms, 0);
  assert_int_equal(options.connect_timeout_ms, 10000);
  assert_int_equal(options.event_history_limit, 100);
  assert_int_equal(options.max_event_bytes, 4 * 1024 * 1024);
  assert_int_equal(options.queue_limit, 10000);
  assert_int_equal(options.max_redirects, 20);
  assert_int_equal(options.duplicate_window, 4096);
  assert_false(options.insecure_skip_verify);
}

static void a_url_is_required(void **state) {
  (void)state;
  options.url = NULL;
  check_refused(SYNC_URL, "url");
}

static void durations_have_both_bounds(void **state) {
  (void)state;
  const struct {
    const char *name;
    int64_t *value;
    int64_t least;
  } durations[] = {
      {"reconnect_delay_ms", &options.reconnect_delay_ms, 0},
      {"max_reconnect_delay_ms", &options.max_reconnect_delay_ms, 0},
      {"stable_after_ms", &options.stable_after_ms, 0},
      {"stream_retry_interval_ms", &options.stream_retry_interval_ms, 1},
      {"heartbeat_interval_ms", &options.heartbeat_interval_ms, 1},
      {"idle_timeout_ms", &options.idle_timeout_ms, 0},
      {"connect_timeout_ms", &options.connect_timeout_ms, 1},
  };
  for (size_t i = 0; i < COUNT_OF(durations); i++) {
    const int64_t refused[] = {durations[i].least - 1, DAY_MS + 1, INT64_MIN, INT64_MAX};
    const int64_t before = *durations[i].value;
    for (size_t j = 0; j < COUNT_OF(refused); j++) {
      *durations[i].value = refused[j];
      check_refused(SYNC_OPTION, durations[i].name);
    }
    *durations[i].value = durations[i].least;
    check_accepted();
    *durations[i].value = DAY_MS;
    check_accepted();
    *durations[i].value = before;
  }
}

static void sizes_have_both_bounds(void **state) {
  (void)state;
  const struct {
    const char *name;
    size_t *value;
    size_t least;
    size_t most;
  } sizes[] = {
      {"event_history_limit", &options.event_history_limit, 0, 1000000},
      {"max_event_bytes", &options.max_event_bytes, 16, (size_t)1 << 30},
      {"queue_limit", &options.queue_limit, 1, 10000000},
      {"duplicate_window", &options.duplicate_window, 0, SYNC_RECENT_MAX},
  };
  for (size_t i = 0; i < COUNT_OF(sizes); i++) {
    const size_t before = *sizes[i].value;
    *sizes[i].value = sizes[i].least - 1; /* 0 - 1 is far too much as well */
    check_refused(SYNC_OPTION, sizes[i].name);
    *sizes[i].value = sizes[i].most + 1;
    check_refused(SYNC_OPTION, sizes[i].name);
    *sizes[i].value = sizes[i].least;
    check_accepted();
    *sizes[i].value = sizes[i].most;
    check_accepted();
    *sizes[i].value = before;
  }
}

static void at_least_one_attempt_is_made(void **state) {
  (void)state;
  options.max_reconnect_attempts = 1;
  check_accepted();
  options.max_reconnect_attempts = 0;
  check_refused(SYNC_OPTION, "max_reconnect_attempts");
  options.max_reconnect_attempts = -1;
  check_refused(SYNC_OPTION, "max_reconnect_attempts");
}

static void redirects_have_both_bounds(void **state) {
  (void)state;
  options.max_redirects = 0;
  check_accepted();
  options.max_redirects = 100;
  check_accepted();
  options.max_redirects = 101;
  check_refused(SYNC_OPTION, "max_redirects: expected 0 to 100, got 101");
  options.max_redirects = -1;
  check_refused(SYNC_OPTION, "max_redirects: expected 0 to 100, got -1");
}

static void tls_versions_are_known_ones(void **state) {
  (void)state;
  static const char *const refused[] = {"", "1.1", "1.4", "1.20", "TLSv1.2", "1.2 "};
  options.tls_min_version = "1.2";
  check_accepted();
  options.tls_min_version = "1.3";
  check_accepted();
  for (size_t i = 0; i < COUNT_OF(refused); i++) {
    char words[80];
    (void)snprintf(words, sizeof words, "tls.min_version: expected \"1.2\" or \"1.3\", got \"%s\"", refused[i]);
    options.tls_min_version = refused[i];
    check_refused(SYNC_OPTION, words);
  }
}

/* A line break in one of these would be a header more, or a path cut short. Their values may be secrets. */
static void texts_have_no_control_characters(void **state) {
  (void)state;
  const struct {
    const char *name;
    const char **value;
  } texts[] = {
      {"accept_encoding", &options.accept_encoding},
      {"last_event_id", &options.last_event_id},
      {"proxy", &options.proxy},
      {"no_proxy", &options.no_proxy},
      {"unix_socket", &options.unix_socket},
      {"ca_file", &options.ca_file},
      {"cert_file", &options.cert_file},
      {"key_file", &options.key_file},
      {"pinned_public_key", &options.pinned_public_key},
  };
  for (size_t i = 0; i < COUNT_OF(texts); i++) {
    for (int byte = 1; byte < 256; byte++) {
      const char text[] = {'s', 'e', 'c', (char)byte, 'r', '\0'};
      char words[80];
      (void)snprintf(words, sizeof words, "%s: byte 4 is a control character", texts[i].name);
      *texts[i].value = text;
      if (byte >= ' ' && byte != 0x7f) {
        check_accepted();
        continue;
      }
      check_refused(SYNC_OPTION, words);
      assert_null(strstr(failure.message, "sec"));
    }
    *texts[i].value = NULL;
  }
}

static void a_name_is_resolved_to_an_address(void **state) {
  (void)state;
  static const char *const accepted[] = {"h=127.0.0.1", "h.example=::1", "h=[::1]", "h=other.example",
                                         "h=fe80::1%eth0"};
  static const char *const refused[] = {
      "",           "h",      "=::1",    "h=",      "h:80=::1",       "h =::1",
      "h=::1 ",     "h=1\r",  "h\n=::1", "h=1\x7f", "h:80:127.0.0.1", "h=127.0.0.1:80",
      "h=[::1]:80", "h=[::1", "h=[]"};
  options.resolve_count = 1;
  for (size_t i = 0; i < COUNT_OF(accepted); i++) {
    options.resolve = &accepted[i];
    check_accepted();
  }
  for (size_t i = 0; i < COUNT_OF(refused); i++) {
    options.resolve = &refused[i];
    check_refused(SYNC_OPTION, "resolve: expected a host without port and an address, got '");
  }
  const char *const last_is_wrong[] = {"a=::1", "b=::2", "c"};
  options.resolve = last_is_wrong;
  options.resolve_count = 3;
  check_refused(SYNC_OPTION, "got 'c'");
}

static void http_versions_and_methods_are_known_ones(void **state) {
  (void)state;
  options.http_version = "1.1";
  check_accepted();
  options.http_version = "2";
  check_accepted();
  options.http_version = "3";
  check_refused(SYNC_OPTION, "http_version");
  options.http_version = NULL;
  options.method = "REPORT";
  check_accepted();
  options.method = "GET / HTTP/1.1\r\nX: y";
  check_refused(SYNC_OPTION, "method");
}

/* ---- headers ----------------------------------------------------------------------------------------------------- */

static void header_names_are_tokens(void **state) {
  (void)state;
  for (int byte = 0; byte < 256; byte++) {
    const char name[] = {'x', (char)byte};
    const sync_header header = {{name, 2}, SPAN("v")};
    bool alphanumeric = (byte >= '0' && byte <= '9') || (byte >= 'A' && byte <= 'Z') || (byte >= 'a' && byte <= 'z');
    bool token = alphanumeric || (byte && strchr("!#$%&'*+-.^_`|~", byte));
    assert_int_equal(sync_header_check(&header, &failure), token ? SYNC_OK : SYNC_HEADER);
  }
  const sync_header empty = {SPAN(""), SPAN("v")};
  assert_int_equal(sync_header_check(&empty, &failure), SYNC_HEADER);
}

static void header_values_cannot_end_the_line_and_are_not_shown(void **state) {
  (void)state;
  static const sync_span refused[] = {SPAN("secret\r"), SPAN("\nsecret"), SPAN("sec\0ret"), SPAN("secret\r\nX: y")};
  for (size_t i = 0; i < COUNT_OF(refused); i++) {
    const sync_header header = {SPAN("Authorization"), refused[i]};
    options.headers = &header;
    options.header_count = 1;
    check_refused(SYNC_HEADER, "Authorization");
    assert_null(strstr(failure.message, "sec"));
  }
  const sync_header accepted = {SPAN("X"), SPAN("\t any \xc3\xa4 bytes \xff")};
  options.headers = &accepted;
  check_accepted();
}

/* ---- copies ------------------------------------------------------------------------------------------------------ */

static const char *const two_urls[] = {"http://127.0.0.1:2", "http://127.0.0.1:3"};
static const char *const two_addresses[] = {"a=::1", "b=::2"};
static const sync_header two_headers[] = {{SPAN("A"), SPAN("1")}, {SPAN("B"), SPAN("")}};

/* Every text set, each to its own. */
static void fill(void) {
  options.order_id = "order";
  options.event_types = "types";
  options.last_event_id = "id";
  options.method = "POST";
  options.body = SPAN("b\0dy");
  options.headers = two_headers;
  options.header_count = 2;
  options.accept_encoding = "gzip";
  options.http_version = "1.1";
  options.proxy = "proxy";
  options.no_proxy = "no_proxy";
  options.unix_socket = "socket";
  options.ca_file = "ca";
  options.cert_file = "cert";
  options.key_file = "key";
  options.pinned_public_key = "pin";
  options.tls_min_version = "1.3";
  options.fallback_urls = two_urls;
  options.fallback_url_count = 2;
  options.resolve = two_addresses;
  options.resolve_count = 2;
  options.field_type = "type";
  options.field_order_id = "order_id";
  options.field_timestamp = "timestamp";
  options.field_data = "data";
}

static void a_copy_is_the_same_and_its_own(void **state) {
  (void)state;
  sync_options copy;
  char url[] = "http://127.0.0.1:1";
  fill();
  options.url = url;
  options.queue_limit = 77;
  assert_true(sync_options_copy(&memory.allocator, &copy, &options));
  assert_true(sync_options_same_request(&copy, &options));
  assert_string_equal(copy.field_data, "data");
  assert_memory_equal(copy.body.bytes, "b\0dy", 4);
  assert_int_equal(copy.queue_limit, 77);
  url[0] = 'x';
  assert_string_equal(copy.url, "http://127.0.0.1:1");
  assert_false(sync_options_same_request(&copy, &options));
  sync_options_fini(&memory.allocator, &copy);
}

static void lists_are_copied_with_what_is_in_them(void **state) {
  (void)state;
  char first[] = "http://127.0.0.1:2", address[] = "a=::1";
  const char *urls[] = {first, "http://127.0.0.1:3"}, *addresses[] = {address};
  sync_options copy;
  options.fallback_urls = urls;
  options.fallback_url_count = 2;
  options.resolve = addresses;
  options.resolve_count = 1;
  assert_true(sync_options_copy(&memory.allocator, &copy, &options));
  first[0] = address[0] = 'x';
  urls[1] = addresses[0] = "gone";
  assert_int_equal(copy.fallback_url_count, 2);
  assert_string_equal(copy.fallback_urls[0], "http://127.0.0.1:2");
  assert_string_equal(copy.fallback_urls[1], "http://127.0.0.1:3");
  assert_int_equal(copy.resolve_count, 1);
  assert_string_equal(copy.resolve[0], "a=::1");
  sync_options_fini(&memory.allocator, &copy);
}

static void without_memory_a_copy_holds_nothing(void **state) {
  (void)state;
  sync_options copy;
  size_t nth = 1;
  fill();
  for (;; nth++) {
    counting_alloc_refuse(&memory, nth, 1);
    bool copied = sync_options_copy(&memory.allocator, &copy, &options);
    counting_alloc_allow(&memory);
    if (copied) break;
    counting_alloc_check(&memory);
    assert_null(copy.url);
    assert_null(copy.headers);
    assert_null(copy.body.bytes);
    assert_null(copy.fallback_urls);
    assert_null(copy.resolve);
  }
  assert_int_equal(nth, 19 + 2 + 2 + 1); /* texts, lists, body and headers, and then all went well */
  sync_options_fini(&memory.allocator, &copy);
}

static void copied_headers_are_their_own(void **state) {
  (void)state;
  assert_null(sync_headers_copy(&memory.allocator, NULL, 0));
  sync_header *copy = sync_headers_copy(&memory.allocator, two_headers, 2);
  check_span(copy[0].name, "A");
  check_span(copy[0].value, "1");
  check_span(copy[1].name, "B");
  check_span(copy[1].value, "");
  assert_ptr_not_equal(copy[0].name.bytes, two_headers[0].name.bytes);
  sync_alloc_free(&memory.allocator, copy);
}

/* ---- comparison -------------------------------------------------------------------------------------------------- */

static void what_is_asked_of_the_server_makes_another_request(void **state) {
  (void)state;
  static const sync_header other_value[] = {{SPAN("A"), SPAN("2")}, {SPAN("B"), SPAN("")}};
  static const sync_header other_name[] = {{SPAN("C"), SPAN("1")}, {SPAN("B"), SPAN("")}};
  static const char *const other_order[] = {"http://127.0.0.1:3", "http://127.0.0.1:2"};
  static const char *const other_address[] = {"a=::1", "b=::3"};
  fill();
  const sync_options same = options;
  const struct {
    size_t offset;
    const char *name;
  } texts[] = {
      {offsetof(sync_options, url), "url"},
      {offsetof(sync_options, order_id), "order_id"},
      {offsetof(sync_options, event_types), "event_types"},
      {offsetof(sync_options, last_event_id), "last_event_id"},
      {offsetof(sync_options, method), "method"},
      {offsetof(sync_options, accept_encoding), "accept_encoding"},
      {offsetof(sync_options, http_version), "http_version"},
      {offsetof(sync_options, proxy), "proxy"},
      {offsetof(sync_options, no_proxy), "no_proxy"},
      {offsetof(sync_options, unix_socket), "unix_socket"},
      {offsetof(sync_options, ca_file), "ca_file"},
      {offsetof(sync_options, cert_file), "cert_file"},
      {offsetof(sync_options, key_file), "key_file"},
      {offsetof(sync_options, pinned_public_key), "pinned_public_key"},
      {offsetof(sync_options, tls_min_version), "tls_min_version"},
  };
  static const char *const others[] = {NULL, "", "other"};
  for (size_t i = 0; i < COUNT_OF(texts); i++)
    for (size_t j = 0; j < COUNT_OF(others); j++) {
      options = same;
      assert_true(sync_options_same_request(&options, &same));
      memcpy((char *)&options + texts[i].offset, &others[j], sizeof others[j]);
      if (sync_options_same_request(&options, &same) || sync_options_same_request(&same, &options))
        fail_msg("another %s is the same request", texts[i].name);
    }
#define CHECK_OTHER(change)                                                                                            \
  do {                                                                                                                 \
    options = same;                                                                                                    \
    change;                                                                                                            \
    assert_false(sync_options_same_request(&options, &same));                                                          \
  } while (0)
  CHECK_OTHER(options.body = SPAN("b\0dx"));
  CHECK_OTHER(options.body.length = 0);
  CHECK_OTHER(options.headers = other_value);
  CHECK_OTHER(options.headers = other_name);
  CHECK_OTHER(options.header_count = 1);
  CHECK_OTHER(options.insecure_skip_verify = true);
  CHECK_OTHER(options.ask_headers = true);
  CHECK_OTHER(options.fallback_urls = other_order);
  CHECK_OTHER(options.fallback_url_count = 1);
  CHECK_OTHER(options.fallback_url_count = 0);
  CHECK_OTHER(options.resolve = other_address);
  CHECK_OTHER(options.resolve_count = 1);
#undef CHECK_OTHER
}

static void what_is_ours_alone_does_not(void **state) {
  (void)state;
  fill();
  const sync_options same = options;
  options.queue_limit++;
  options.event_history_limit++;
  options.max_event_bytes++;
  options.idle_timeout_ms = 1;
  options.reconnect_delay_ms++;
  options.auto_reconnect = false;
  options.strict = true;
  options.duplicate_window = 0;
  options.max_redirects = 1;
  assert_true(sync_options_same_request(&options, &same));
}

/* The names of fields are for reading what comes; the server is not told. */
static void names_of_fields_do_not_make_another_request(void **state) {
  (void)state;
  fill();
  const sync_options same = options;
  options.field_type = "kind";
  options.field_order_id = NULL;
  options.field_timestamp = "at";
  options.field_data = "payload";
  assert_true(sync_options_same_request(&options, &same));
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)

int main(void) {
  static const struct CMUnitTest tests[] = {
      TEST(the_defaults_are_those_of_the_design),
      TEST(a_url_is_required),
      TEST(durations_have_both_bounds),
      TEST(sizes_have_both_bounds),
      TEST(at_least_one_attempt_is_made),
      TEST(redirects_have_both_bounds),
      TEST(tls_versions_are_known_ones),
      TEST(texts_have_no_control_characters),
      TEST(a_name_is_resolved_to_an_address),
      TEST(http_versions_and_methods_are_known_ones),
      TEST(header_names_are_tokens),
      TEST(header_values_cannot_end_the_line_and_are_not_shown),
      TEST(a_copy_is_the_same_and_its_own),
      TEST(lists_are_copied_with_what_is_in_them),
      TEST(without_memory_a_copy_holds_nothing),
      TEST(copied_headers_are_their_own),
      TEST(what_is_asked_of_the_server_makes_another_request),
      TEST(what_is_ours_alone_does_not),
      TEST(names_of_fields_do_not_make_another_request),
  };
  return cmocka_run_group_tests(tests, NULL, NULL);
}
