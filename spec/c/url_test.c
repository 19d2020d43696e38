/* url_test.c - urls: completed, refused, followed from one to the next, compared by origin, shown without secrets. */
#include "url.h"

#include <stdio.h>
#include <strings.h>

#include "counting_alloc.h"
#include "spans.h"

static struct counting_alloc memory;
static sync_options options;
static sync_failure failure;

static int set_up(void **state) {
  (void)state;
  counting_alloc_init(&memory);
  sync_options_init(&options);
  return 0;
}

static int tear_down(void **state) {
  (void)state;
  counting_alloc_check(&memory);
  return 0;
}

static char *complete(const char *url) {
  return sync_url_complete(&memory.allocator, url, &options, &failure);
}

/* `url` is `expected`, but perhaps for the case of an escape's digits; it is freed. */
static void check_url(char *url, const char *expected) {
  if (!url) fail_msg("%s is refused", expected);
  if (strcasecmp(url, expected) != 0) fail_msg("%s is not %s", url, expected);
  sync_alloc_free(&memory.allocator, url);
}

/* ---- a url of our own -------------------------------------------------------------------------------------------- */

static void the_url_has_its_default_path_and_the_filters(void **state) {
  (void)state;
  static const struct {
    const char *url, *order_id, *event_types, *expected;
  } cases[] = {
      {"http://h:1", NULL, NULL, "http://h:1/api/v1/sync/events"},
      {"http://h:1/", NULL, NULL, "http://h:1/api/v1/sync/events"},
      {"http://h:1?a=b", "1", NULL, "http://h:1/api/v1/sync/events?a=b&orderID=1"},
      {"https://h/x", NULL, NULL, "https://h/x"},
      {"http://h/x?a=b", "O 1&2=3", NULL, "http://h/x?a=b&orderID=O+1%262%3d3"},
      {"http://h/x", "\xc3\xa4#?", NULL, "http://h/x?orderID=%c3%a4%23%3f"},
      {"http://h", "1", "a,b", "http://h/api/v1/sync/events?orderID=1&eventTypes=a%2cb"},
      {"http://h", NULL, "a", "http://h/api/v1/sync/events?eventTypes=a"},
      {"http://[::1]:8080", NULL, NULL, "http://[::1]:8080/api/v1/sync/events"},
  };
  for (size_t i = 0; i < COUNT_OF(cases); i++) {
    options.order_id = cases[i].order_id;
    options.event_types = cases[i].event_types;
    check_url(complete(cases[i].url), cases[i].expected);
  }
}

static void bad_urls_are_refused_with_a_reason(void **state) {
  (void)state;
  static const char *const refused[] = {"",
                                        "h",
                                        "ftp://h/",
                                        "file:///etc/passwd",
                                        "http://",
                                        "http://h:x",
                                        "h:1:2",
                                        "http://h:99999/path",
                                        "http://h/a\r\nX: y",
                                        "javascript:alert(1)"};
  for (size_t i = 0; i < COUNT_OF(refused); i++) {
    if (complete(refused[i])) fail_msg("'%s' is taken", refused[i]);
    assert_int_equal(failure.code, SYNC_URL);
    assert_non_null(strstr(failure.message, "': "));
    assert_true(strlen(strstr(failure.message, "': ")) > 3);
  }
}

/* Who mistypes a url has a password in it all the same. */
static void the_reason_has_no_secrets(void **state) {
  (void)state;
  static const char *const refused[] = {"ftp://me:secret@h/x?secret", "me:secret@h/?next=//x",
                                        "http://me:sec/secret@h/", "http://me:secret@h:99999/"};
  for (size_t i = 0; i < COUNT_OF(refused); i++) {
    assert_null(complete(refused[i]));
    if (strstr(failure.message, "sec")) fail_msg("%s", failure.message);
  }
}

static void without_memory_there_is_no_url(void **state) {
  (void)state;
  options.order_id = "1";
  for (size_t nth = 1;; nth++) {
    counting_alloc_refuse(&memory, nth, 1);
    char *url = complete("http://h");
    if (url) {
      sync_alloc_free(&memory.allocator, url);
      break;
    }
    assert_int_equal(failure.code, SYNC_NO_MEMORY);
    counting_alloc_check(&memory);
  }
  assert_true(memory.refused >= 2);
}

/* ---- from one url to the next ------------------------------------------------------------------------------------ */

static void a_location_leads_where_it_says(void **state) {
  (void)state;
  static const struct {
    const char *base, *location, *expected;
  } cases[] = {
      {"http://h:1/a/b?q", "http://other/p?x=1", "http://other/p?x=1"},
      {"http://h:1/a/b?q", "https://other:8443", "https://other:8443/"},
      {"http://h:1/a/b?q", "HTTP://OTHER/Path", "http://OTHER/Path"},
      {"https://h:1/a/b?q", "//other:2/p", "https://other:2/p"},
      {"http://h:1/a/b?q", "//other", "http://other/"},
      {"http://h:1/a/b?q", "/p", "http://h:1/p"},
      {"http://h:1/a/b?q", "p", "http://h:1/a/p"},
      {"http://h:1/a/b?q", "./p/", "http://h:1/a/p/"},
      {"http://h:1/a/b/c", "../p", "http://h:1/a/p"},
      {"http://h:1/a/b/c", "../../../../p", "http://h:1/p"},
      {"http://h:1/a/b?q", "?x=1", "http://h:1/a/b?x=1"},
      {"http://h:1/a/b?q", ";x", "http://h:1/a/;x"},
      {"http://h:1/a/b?q", "/p?x#secret", "http://h:1/p?x"},
      {"http://h:1/a/b?q#f", "#other", "http://h:1/a/b?q"},
      {"http://h:1/a/b?q#f", "", "http://h:1/a/b?q"},
      {"http://[::1]:1/a", "/p", "http://[::1]:1/p"},
      {"http://me:pw@h/a", "/p", "http://me:pw@h/p"}, /* the same origin keeps who we are */
      {"http://me:pw@h/a", "//h/p", "http://h/p"},    /* another authority was named */
      {"http://me:pw@h/a", "http://you:x@other/", "http://you:x@other/"},
      {"http://h/a", "/with space", "http://h/with%20space"},
      {"http://h/a", "http://other/with space", "http://other/with%20space"},
      {"http://h/a", "/\xc3\xa4", "http://h/%c3%a4"},
      {"http://h/a", "/already%20there", "http://h/already%20there"},
  };
  for (size_t i = 0; i < COUNT_OF(cases); i++) {
    sync_code code = SYNC_CLOSED;
    check_url(sync_url_resolve(&memory.allocator, cases[i].base, cases[i].location, &code), cases[i].expected);
    assert_int_equal(code, SYNC_OK);
  }
}

static void a_location_that_is_no_http_url_leads_nowhere(void **state) {
  (void)state;
  static const char *const refused[] = {
      "ftp://h/",
      "file:///etc/passwd",
      "javascript:alert(1)",
      "data:text/event-stream,x",
      "mailto:x@y",
      "gopher://h/",
      "http://",
      "http:p",
      "http://h:99999/",
      "http://h:x/",
      "http://[::1",
      "//",
      "/p\r\nX: y",
      "/p\x01",
      "http://h\x7f/",
  };
  for (size_t i = 0; i < COUNT_OF(refused); i++) {
    sync_code code = SYNC_OK;
    if (sync_url_resolve(&memory.allocator, "http://h/a", refused[i], &code)) fail_msg("'%s' is taken", refused[i]);
    assert_int_equal(code, SYNC_URL);
  }
}

static void without_memory_no_location_is_followed(void **state) {
  (void)state;
  sync_code code = SYNC_OK;
  counting_alloc_refuse(&memory, 1, 1);
  assert_null(sync_url_resolve(&memory.allocator, "http://h/a", "/b", &code));
  assert_int_equal(code, SYNC_NO_MEMORY);
  check_url(sync_url_resolve(&memory.allocator, "http://h/a", "/b", &code), "http://h/b");
}

/* ---- origins ----------------------------------------------------------------------------------------------------- */

static void an_origin_is_scheme_host_and_port(void **state) {
  (void)state;
  static const struct {
    const char *a, *b;
    bool same;
  } cases[] = {
      {"http://h/", "http://h/other?q#f", true},
      {"http://h", "http://h:80", true},
      {"https://h", "https://h:443", true},
      {"http://h:080", "http://h", true},
      {"http://HOST/", "hTTp://host/", true},
      {"http://me:pw@h/", "http://h/", true},
      {"http://[::1]:1/", "http://[::1]:1/", true},
      {"http://h", "https://h", false},
      {"http://h:443", "https://h:443", false},
      {"http://h:443", "https://h", false},
      {"http://h:1", "http://h:2", false},
      {"http://h", "http://h:443", false},
      {"http://h", "http://h.evil", false},
      {"http://h", "http://sub.h", false},
      {"http://h", "http://h@evil", false},
      {"http://127.0.0.1", "http://localhost", false}, /* names are compared, not what they stand for */
      {"http://[::1]", "http://[::2]", false},
      {"http://h", "", false},
      {"", "", false},
      {"no url", "no url", false},
  };
  for (size_t i = 0; i < COUNT_OF(cases); i++)
    if (sync_url_same_origin(cases[i].a, cases[i].b) != cases[i].same ||
        sync_url_same_origin(cases[i].b, cases[i].a) != cases[i].same)
      fail_msg("%s and %s", cases[i].a, cases[i].b);
}

static void tls_is_asked_for_by_the_scheme(void **state) {
  (void)state;
  assert_true(sync_url_is_tls("https://h"));
  assert_true(sync_url_is_tls("HTTPS://h"));
  assert_false(sync_url_is_tls("http://h"));
  assert_false(sync_url_is_tls("http://https:443"));
  assert_false(sync_url_is_tls("https"));
  assert_false(sync_url_is_tls(""));
}

/* ---- shown ------------------------------------------------------------------------------------------------------- */

static void what_is_shown_has_no_secrets(void **state) {
  (void)state;
  static const struct {
    const char *url, *shown;
  } cases[] = {
      {"http://h:1/p", "http://h:1/p"},
      {"https://[::1]:1/p/q", "https://[::1]:1/p/q"},
      {"http://h/p?token=secret#secret", "http://h/p"},
      {"http://h#secret", "http://h"},
      {"http://h?a=me@secret", "http://h"},
      {"http://me:secret@h/p", "http://h/p"},
      {"http://secret@h", "http://h"},
      {"http://me:sec@secret@h/p", "http://h/p"},
      {"http:///me:secret@h/p", "http:///h/p"},
      {"http:/me:secret@h/p", "http:/h/p"},
      {"http:me:secret@h/p", "h/p"},
      {"me:secret@h/p?x=//y", "h/p"},
      {"http://me:sec/secret@h/p", "http://...h/p"},
      {"//me:secret@h/p", "...h/p"},
      {"/p?secret", "/p"},
      {"h", "h"},
      {"", ""},
  };
  char shown[80];
  for (size_t i = 0; i < COUNT_OF(cases); i++) {
    sync_url_show(cases[i].url, shown, sizeof shown);
    assert_string_equal(shown, cases[i].shown);
  }
}

static void what_is_shown_is_cut_to_fit(void **state) {
  (void)state;
  static const char url[] = "http://me:secret@host:1/path?query";
  static const char whole[] = "http://host:1/path";
  for (size_t capacity = 1; capacity < 40; capacity++) {
    char shown[41];
    memset(shown, '!', sizeof shown);
    sync_url_show(url, shown, capacity);
    size_t length = capacity - 1 < strlen(whole) ? capacity - 1 : strlen(whole);
    assert_int_equal(strlen(shown), length);
    assert_memory_equal(shown, whole, length);
    assert_int_equal(shown[capacity], '!');
  }
}

/* ---- with a place for an id -------------------------------------------------------------------------------------- */

static void an_id_takes_its_place_encoded(void **state) {
  (void)state;
  static const struct {
    const char *text, *id, *expected;
  } rows[] = {
      {"/orders/{id}", "ORDER-1", "/orders/ORDER-1"},
      {"/orders/{id}?of={id}#", "a", "/orders/a?of=a#"},
      {"{id}", "a/b c?d&e=%\xc3\xbc~._", "a%2Fb%20c%3Fd%26e%3D%25%C3%BC~._"},
      {"{id}", "{id}", "%7Bid%7D"},
      {"/orders/{i", "a", "/orders/{i"},
      {"/orders/{id}", "", "/orders/"},
  };
  for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
    char *url = sync_url_expand(&memory.allocator, rows[i].text, rows[i].id);
    assert_string_equal(url, rows[i].expected);
    sync_alloc_free(&memory.allocator, url);
  }
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)

int main(void) {
  static const struct CMUnitTest tests[] = {
      TEST(the_url_has_its_default_path_and_the_filters),
      TEST(bad_urls_are_refused_with_a_reason),
      TEST(the_reason_has_no_secrets),
      TEST(without_memory_there_is_no_url),
      TEST(a_location_leads_where_it_says),
      TEST(a_location_that_is_no_http_url_leads_nowhere),
      TEST(without_memory_no_location_is_followed),
      TEST(an_origin_is_scheme_host_and_port),
      TEST(tls_is_asked_for_by_the_scheme),
      TEST(what_is_shown_has_no_secrets),
      TEST(what_is_shown_is_cut_to_fit),
      TEST(an_id_takes_its_place_encoded),
  };
  return cmocka_run_group_tests(tests, NULL, NULL);
}
