/* verdict_test.c - what a response head means: every status, every spelling of the content type (WHATWG HTML 9.2.3). */
#include "spans.h"
#include "verdict.h"

static sync_failure failure;

/* Whatever three digits can say, and what a server of another protocol may say. */
#define STATUS_FIRST 100
#define STATUS_LAST  999

static sync_code expected_code(int status) {
  if (status == 204) return SYNC_HTTP_NO_CONTENT;
  return status == 401 || status == 403 ? SYNC_HTTP_AUTH : SYNC_HTTP_STATUS;
}

static sync_class expected_class(int status) {
  if (status == 401 || status == 403) return SYNC_CLASS_AUTHENTICATION;
  bool later = status == 408 || status == 425 || status == 429 || (status >= 500 && status <= 599);
  return later ? SYNC_CLASS_RETRY : SYNC_CLASS_FATAL;
}

static void check_refused(int status, const char *content_type, bool strict) {
  memset(&failure, 0xff, sizeof failure);
  assert_int_equal(sync_verdict(status, content_type, strict, &failure), expected_code(status));
  assert_int_equal(failure.code, expected_code(status));
  assert_int_equal(failure.status, status);
  assert_int_equal(failure.error_class, strict ? SYNC_CLASS_FATAL : expected_class(status));
  assert_int_equal(failure.retryable, failure.error_class == SYNC_CLASS_RETRY);
  char digits[4] = {(char)('0' + status / 100), (char)('0' + status / 10 % 10), (char)('0' + status % 10)};
  assert_non_null(strstr(failure.message, digits));
}

static void only_200_with_an_event_stream_is_one(void **state) {
  (void)state;
  for (int strict = 0; strict <= 1; strict++)
    for (int status = STATUS_FIRST; status <= STATUS_LAST; status++)
      assert_int_equal(sync_verdict(status, "text/event-stream", strict, &failure) == SYNC_OK, status == 200);
}

static void each_status_has_its_code_and_says_what_follows(void **state) {
  (void)state;
  for (int status = STATUS_FIRST; status <= STATUS_LAST; status++) {
    if (status == 200) continue;
    check_refused(status, NULL, false);
    check_refused(status, "text/event-stream", false);
  }
}

/* WHATWG HTML 9.2.3: any status but 200 fails the connection. */
static void the_standard_gives_up_on_each_of_them(void **state) {
  (void)state;
  for (int status = STATUS_FIRST; status <= STATUS_LAST; status++)
    if (status != 200) check_refused(status, "text/event-stream", true);
}

static void the_content_type_is_compared_as_media_types_are(void **state) {
  (void)state;
  static const char *const accepted[] = {
      "text/event-stream",
      "text/event-stream;",
      "text/event-stream; charset=utf-8",
      "text/event-stream;charset=UTF-8;x=y",
      "text/event-stream ;charset=utf-8",
      "text/event-stream ",
      "text/event-stream\t;",
      "TEXT/EVENT-STREAM",
      "Text/Event-Stream;CHARSET=utf-8",
      "text/event-stream;charset=windows-1252", /* the bytes are UTF-8 whatever it says */
  };
  static const char *const refused[] = {
      "",
      "text/html",
      "text/plain; x=text/event-stream",
      "text/event-streams",
      "text/event-stream x bogus",
      "text/event-stream bogus",
      "text/event-stream,text/html",
      "text/event",
      "text/event-stream/x",
      "application/json",
      "xtext/event-stream",
  };
  for (size_t i = 0; i < COUNT_OF(accepted); i++)
    if (sync_verdict(200, accepted[i], false, &failure) != SYNC_OK) fail_msg("'%s' is refused", accepted[i]);
  for (size_t i = 0; i < COUNT_OF(refused); i++) {
    if (sync_verdict(200, refused[i], false, &failure) != SYNC_CONTENT_TYPE) fail_msg("'%s' is taken", refused[i]);
    assert_non_null(strstr(failure.message, refused[i]));
    assert_false(failure.retryable);
  }
}

static void no_content_type_is_none(void **state) {
  (void)state;
  for (int strict = 0; strict <= 1; strict++) {
    assert_int_equal(sync_verdict(200, NULL, strict, &failure), SYNC_CONTENT_TYPE);
    assert_int_equal(failure.status, 200);
    assert_int_equal(failure.error_class, SYNC_CLASS_FATAL);
  }
}

static void states_have_names(void **state) {
  (void)state;
  static const char *const names[] = {"disconnected",     "connecting", "connected", "reconnecting",
                                      "polling_fallback", "error",      "closed"};
  for (int i = 0; i <= SYNC_STATE_CLOSED; i++) assert_string_equal(sync_state_name((sync_state)i), names[i]);
}

int main(void) {
  static const struct CMUnitTest tests[] = {
      cmocka_unit_test(only_200_with_an_event_stream_is_one),
      cmocka_unit_test(each_status_has_its_code_and_says_what_follows),
      cmocka_unit_test(the_standard_gives_up_on_each_of_them),
      cmocka_unit_test(the_content_type_is_compared_as_media_types_are),
      cmocka_unit_test(no_content_type_is_none),
      cmocka_unit_test(states_have_names),
  };
  return cmocka_run_group_tests(tests, NULL, NULL);
}
