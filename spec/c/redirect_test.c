/* redirect_test.c - chains of redirects: what becomes of the method, when it is another origin, and where they end. */
#include "redirect.h"

#include <stdio.h>

#include "counting_alloc.h"
#include "spans.h"

#define ASKED "http://h:1/events?orderID=1"

static struct counting_alloc memory;
static sync_options options;
static struct sync_redirect redirect;
static sync_failure failure;

static int set_up(void **state) {
  (void)state;
  counting_alloc_init(&memory);
  sync_options_init(&options);
  redirect = (struct sync_redirect){.url = NULL};
  return 0;
}

static int tear_down(void **state) {
  (void)state;
  sync_redirect_reset(&redirect, &memory.allocator);
  assert_null(redirect.url);
  counting_alloc_check(&memory);
  return 0;
}

static sync_code follow_from(const char *asked, int status, const char *location) {
  failure = (sync_failure){.code = SYNC_OK};
  return sync_redirect_follow(&redirect, &memory.allocator, &options, asked, status, location, &failure);
}

/* The chain leads on to `url`. */
static void check_followed(int status, const char *location, const char *url) {
  if (follow_from(ASKED, status, location) != SYNC_OK) fail_msg("%s", failure.message);
  assert_string_equal(redirect.url, url);
}

static void lead_to(const char *location) {
  check_followed(307, location, location);
}

static void check_is(struct sync_redirect expected) {
  assert_ptr_equal(redirect.url, expected.url);
  assert_int_equal(redirect.hops, expected.hops);
  assert_int_equal(redirect.abroad, expected.abroad);
  assert_int_equal(redirect.as_get, expected.as_get);
}

/* The chain ends here, with a failure that says `words`, and stays what it was. */
static void check_refused_from(const char *asked, int status, const char *location, const char *words) {
  const struct sync_redirect before = redirect;
  assert_int_equal(follow_from(asked, status, location), SYNC_HTTP_REDIRECT);
  assert_int_equal(failure.code, SYNC_HTTP_REDIRECT);
  assert_int_equal(failure.status, status);
  assert_false(failure.retryable);
  if (!strstr(failure.message, words)) fail_msg("'%s' does not say '%s'", failure.message, words);
  check_is(before);
}

static void check_refused(int status, const char *location, const char *words) {
  check_refused_from(ASKED, status, location, words);
}

/* ---- which ------------------------------------------------------------------------------------------------------- */

static void five_statuses_redirect(void **state) {
  (void)state;
  for (int status = 0; status < 1000; status++)
    assert_int_equal(sync_redirect_status(status),
                     status == 301 || status == 302 || status == 303 || status == 307 || status == 308);
}

/* Fetch, "HTTP-redirect fetch", 12: POST becomes GET on 301 and 302, everything but GET and HEAD on 303. */
static void what_becomes_of_the_method(void **state) {
  (void)state;
  static const struct {
    const char *method;
    sync_span body;
    bool on_301_302, on_303;
  } rows[] = {
      {NULL, {NULL, 0}, false, false},      {"GET", {NULL, 0}, false, false},   {"get", {NULL, 0}, false, false},
      {"HEAD", {NULL, 0}, false, false},    {NULL, {"body", 4}, true, true},    {"POST", {"body", 4}, true, true},
      {"POST", {NULL, 0}, true, true},      {"post", {"body", 4}, true, true},  {"PUT", {"body", 4}, false, true},
      {"REPORT", {"body", 4}, false, true}, {"GET", {"body", 4}, false, false},
  };
  static const int statuses[] = {301, 302, 303, 307, 308};
  for (size_t i = 0; i < COUNT_OF(rows); i++)
    for (size_t j = 0; j < COUNT_OF(statuses); j++) {
      options.method = rows[i].method;
      options.body = rows[i].body;
      check_followed(statuses[j], "/other", "http://h:1/other");
      bool expected = statuses[j] == 303 ? rows[i].on_303 : statuses[j] < 303 && rows[i].on_301_302;
      if (redirect.as_get != expected) fail_msg("%s, %d", rows[i].method, statuses[j]);
      assert_false(redirect.abroad);
      assert_int_equal(redirect.hops, 1);
      sync_redirect_reset(&redirect, &memory.allocator);
    }
}

static void what_has_become_a_get_stays_one(void **state) {
  (void)state;
  options.body = SPAN("body");
  check_followed(303, "/a", "http://h:1/a");
  check_followed(307, "/b", "http://h:1/b");
  check_followed(308, "/c", "http://h:1/c");
  assert_true(redirect.as_get);
}

/* ---- whose ------------------------------------------------------------------------------------------------------- */

static void the_way_leads_from_url_to_url(void **state) {
  (void)state;
  check_followed(301, "a/", "http://h:1/a/");
  check_followed(302, "b", "http://h:1/a/b");
  check_followed(307, "?x", "http://h:1/a/b?x");
  check_followed(308, "/c#f", "http://h:1/c");
  check_followed(307, "//other:2", "http://other:2/");
  check_followed(307, "/d", "http://other:2/d");
  assert_int_equal(redirect.hops, 6);
}

static void the_same_origin_is_not_abroad(void **state) {
  (void)state;
  lead_to("http://h:1/a");
  lead_to("http://H:1/b");
  lead_to("http://me@h:1/c");
  assert_false(redirect.abroad);
}

static void another_host_port_or_scheme_is_abroad(void **state) {
  (void)state;
  static const char *const others[] = {"http://other:1/", "http://h:2/", "http://h/", "https://h:1/",
                                       "http://sub.h:1/"};
  for (size_t i = 0; i < COUNT_OF(others); i++) {
    lead_to(others[i]);
    assert_true(redirect.abroad);
    sync_redirect_reset(&redirect, &memory.allocator);
    assert_false(redirect.abroad);
  }
}

/* What came back may have been sent by the other: it could make us lay our secrets at any of our paths. */
static void who_has_been_abroad_stays_it(void **state) {
  (void)state;
  lead_to("http://other/");
  lead_to("http://h:1/back");
  lead_to(ASKED);
  assert_true(redirect.abroad);
}

static void a_body_never_goes_abroad(void **state) {
  (void)state;
  options.body = SPAN("secret");
  for (int status = 307; status <= 308; status++) {
    check_refused(status, "http://other/x", "the body does not go to another origin: http://other/x");
    assert_null(strstr(failure.message, "secret"));
  }
  options.method = "REPORT"; /* which 301 and 302 leave as it is */
  check_refused(301, "http://other/", "the body");
  check_refused(302, "http://other/", "the body");
  lead_to("http://h:1/home");
  check_refused(307, "http://other/", "the body");
  check_followed(303, "http://other/", "http://other/"); /* as a GET, without it */
  lead_to("http://h:1/home");
  assert_true(redirect.as_get);
}

/* ---- where it ends ----------------------------------------------------------------------------------------------- */

static void a_chain_is_as_long_as_it_may_be(void **state) {
  (void)state;
  static const int64_t limits[] = {0, 1, 2, 20};
  for (size_t i = 0; i < COUNT_OF(limits); i++) {
    options.max_redirects = limits[i];
    for (int64_t hop = 0; hop < limits[i]; hop++)
      check_followed(302, hop % 2 ? "/a" : "/b", hop % 2 ? "http://h:1/a" : "http://h:1/b");
    check_refused(302, "/c?secret", "max_redirects allows, to http://h:1/c");
    assert_null(strstr(failure.message, "secret"));
    sync_redirect_reset(&redirect, &memory.allocator);
  }
}

static void https_never_leads_to_http(void **state) {
  (void)state;
  check_refused_from("https://h/", 301, "http://h/", "https must not lead to http: http://h/");
  check_refused_from("https://h/", 301, "http://other/", "https must not lead to http");
  lead_to("http://other/");
  lead_to("https://other/"); /* to the safer one it may */
  check_refused(302, "http://other/", "https must not lead to http");
  check_refused(302, ASKED, "https must not lead to http");
}

static void a_location_must_be_there(void **state) {
  (void)state;
  static const int statuses[] = {301, 302, 303, 307, 308};
  for (size_t i = 0; i < COUNT_OF(statuses); i++) {
    char words[64];
    (void)snprintf(words, sizeof words, "the server answered %d: it names no location", statuses[i]);
    check_refused(statuses[i], NULL, words);
    check_refused(statuses[i], "", words);
  }
}

static void a_location_must_be_an_http_url(void **state) {
  (void)state;
  static const char *const refused[] = {"ftp://h/", "file:///etc/passwd", "javascript:alert(1)", "http://",
                                        "http://h:x/"};
  for (size_t i = 0; i < COUNT_OF(refused); i++) check_refused(301, refused[i], "its location cannot be used: ");
  check_refused(301, "ftp://me:secret@h/p?secret", "its location cannot be used: ftp://h/p");
  assert_null(strstr(failure.message, "secret"));
}

static void without_memory_the_chain_stays_what_it_was(void **state) {
  (void)state;
  static const char *const locations[] = {"/a", "http://other/", "/b"};
  for (size_t i = 0; i < COUNT_OF(locations); i++) {
    const struct sync_redirect before = redirect;
    counting_alloc_refuse(&memory, 1, 1);
    assert_int_equal(follow_from(ASKED, 307, locations[i]), SYNC_NO_MEMORY);
    assert_int_equal(failure.code, SYNC_NO_MEMORY);
    assert_true(failure.retryable);
    check_is(before);
    counting_alloc_allow(&memory);
    assert_int_equal(follow_from(ASKED, 307, locations[i]), SYNC_OK);
  }
  assert_string_equal(redirect.url, "http://other/b");
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)

int main(void) {
  static const struct CMUnitTest tests[] = {
      TEST(five_statuses_redirect),
      TEST(what_becomes_of_the_method),
      TEST(what_has_become_a_get_stays_one),
      TEST(the_way_leads_from_url_to_url),
      TEST(the_same_origin_is_not_abroad),
      TEST(another_host_port_or_scheme_is_abroad),
      TEST(who_has_been_abroad_stays_it),
      TEST(a_body_never_goes_abroad),
      TEST(a_chain_is_as_long_as_it_may_be),
      TEST(https_never_leads_to_http),
      TEST(a_location_must_be_there),
      TEST(a_location_must_be_an_http_url),
      TEST(without_memory_the_chain_stays_what_it_was),
  };
  return cmocka_run_group_tests(tests, NULL, NULL);
}
