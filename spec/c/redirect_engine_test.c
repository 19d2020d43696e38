/* redirect_engine_test.c - redirects over real sockets: what goes along, what stays at home, and what comes after. Two
 * servers on two ports are two origins. */
#include "scene.h"

static struct loopback other;
static char other_url[96]; /* with a path */

static int set_up(void **state) {
  loopback_open(&other);
  (void)snprintf(other_url, sizeof other_url, "%s/elsewhere", other.url);
  return scene_set_up(state);
}

static int tear_down(void **state) {
  loopback_close(&other);
  return scene_tear_down(state);
}

/* ---- the servers ------------------------------------------------------------------------------------------------- */

/* The next request to `server` is answered with a redirect. */
static void redirect_from(const struct loopback *server, int status, const char *location) {
  char head[256];
  loopback_accept(server, scene.loop, &scene.stream);
  (void)snprintf(head, sizeof head, "HTTP/1.1 %d Elsewhere\r\nlocation:  %s \r\nContent-Length: 0\r\n\r\n", status,
                 location);
  scene_send(head);
  loopback_hang_up(&scene.stream);
}

static void redirect(int status, const char *location) {
  redirect_from(&scene.server, status, location);
}

/* The next request to `server` is answered with an event stream. */
static void serve_from(const struct loopback *server) {
  loopback_accept(server, scene.loop, &scene.stream);
  scene_send(LOOPBACK_STREAM_HEAD);
}

static void answer_from(const struct loopback *server, const char *response) {
  loopback_accept(server, scene.loop, &scene.stream);
  scene_send(response);
  loopback_hang_up(&scene.stream);
}

static bool asked_for(const char *start) {
  return strncmp(scene.stream.request, start, strlen(start)) == 0;
}

static void check_message(const char *words) {
  if (!strstr(scene.item.failure->message, words)) fail_msg("'%s': not '%s'", scene.item.failure->message, words);
}

/* One event comes through. */
static void check_stream(void) {
  scene_await_state(SYNC_CONNECTED);
  scene_send_event(1);
  scene_await_event("1");
}

/* ---- on the way -------------------------------------------------------------------------------------------------- */

/* H07 */
static void every_redirect_is_followed_wherever_it_leads_from(void **state) {
  (void)state;
  static const int statuses[] = {301, 302, 303, 307, 308};
  char url[96];
  (void)snprintf(url, sizeof url, "%s/a/b", scene.server.url);
  scene.options.url = url;
  scene_connect();
  for (size_t i = 0; i < COUNT_OF(statuses); i++) {
    redirect(statuses[i], "../c?x=1#y");
    redirect(statuses[i], "d");
    serve_from(&scene.server);
    assert_true(asked_for("GET /d HTTP/1.1\r\n"));
    scene_await_state(SYNC_CONNECTED);
    loopback_hang_up(&scene.stream);
    scene_await_state(SYNC_RECONNECTING);
  }
}

static const sync_header secrets[] = {
    {SPAN("X-Api-Key"), SPAN("secret")},
    {SPAN("Cookie"), SPAN("a=secret")},
    {SPAN("Accept"), SPAN("text/event-stream;secret")},
};
static const sync_header token = {SPAN("Authorization"), SPAN("Bearer secret")};

/* A client that has resumed behind 41 with everything that may be a secret. */
static void connect_with_secrets(void) {
  scene.options.headers = secrets;
  scene.options.header_count = COUNT_OF(secrets);
  scene.options.ask_headers = true;
  scene.options.last_event_id = "41";
  scene_connect();
  scene_await(SYNC_ITEM_ASK);
  assert_int_equal(sync_client_answer(scene.client, &token, 1, 0, NULL), SYNC_OK);
}

static void check_secrets_came(void) {
  assert_true(loopback_asked(&scene.stream, "X-Api-Key: secret"));
  assert_true(loopback_asked(&scene.stream, "Cookie: a=secret"));
  assert_true(loopback_asked(&scene.stream, "Accept: text/event-stream;secret"));
  assert_true(loopback_asked(&scene.stream, "Authorization: Bearer secret"));
}

/* L08 */
static void at_home_everything_goes_along(void **state) {
  (void)state;
  connect_with_secrets();
  redirect(307, "/moved");
  check_secrets_came();
  serve_from(&scene.server);
  check_secrets_came();
  assert_true(asked_for("GET /moved HTTP/1.1\r\n"));
  assert_true(loopback_asked(&scene.stream, "Last-Event-ID: 41"));
  check_stream();
  loopback_hang_up(&scene.stream);
}

/* H18, and every header of the user's, whatever its name. */
static void abroad_nothing_goes_along_but_the_last_event_id(void **state) {
  (void)state;
  connect_with_secrets();
  redirect(302, other_url);
  check_secrets_came();
  serve_from(&other);
  assert_true(asked_for("GET /elsewhere HTTP/1.1\r\n"));
  assert_null(strstr(scene.stream.request, "secret"));
  assert_true(loopback_asked(&scene.stream, "Accept: text/event-stream"));
  assert_true(loopback_asked(&scene.stream, "Cache-Control: no-cache"));
  assert_true(loopback_asked(&scene.stream, "Last-Event-ID: 41"));
  check_stream();
  loopback_hang_up(&scene.stream);
}

static void who_comes_back_from_abroad_brings_nothing_either(void **state) {
  (void)state;
  connect_with_secrets();
  redirect(302, other_url);
  redirect_from(&other, 302, scene.server.url);
  serve_from(&scene.server);
  assert_null(strstr(scene.stream.request, "secret"));
  check_stream();
  loopback_hang_up(&scene.stream);
}

static void a_password_in_the_url_stays_at_home(void **state) {
  (void)state;
  char url[96];
  (void)snprintf(url, sizeof url, "http://me:secret@%.40s/a", scene.server.url + strlen("http://"));
  scene.options.url = url;
  scene_connect();
  redirect(307, "/b");
  assert_non_null(strstr(scene.stream.request, "Authorization: Basic"));
  redirect(307, other_url);
  assert_non_null(strstr(scene.stream.request, "Authorization: Basic"));
  serve_from(&other);
  assert_null(strstr(scene.stream.request, "Authorization"));
  loopback_hang_up(&scene.stream);
}

static void a_body_goes_along_or_the_post_becomes_a_get(void **state) {
  (void)state;
  scene.options.body = SPAN("{\"filter\":1}");
  scene_connect();
  redirect(307, "/moved");
  loopback_accept(&scene.server, scene.loop, &scene.stream);
  assert_true(asked_for("POST /moved HTTP/1.1\r\n"));
  loopback_read_until(scene.loop, &scene.stream, "{\"filter\":1}");
  scene_send("HTTP/1.1 303 See\r\nLocation: /seen\r\nContent-Length: 0\r\n\r\n");
  loopback_hang_up(&scene.stream);
  redirect(308, other_url); /* it is a GET for good, and may go abroad */
  assert_true(asked_for("GET /seen HTTP/1.1\r\n"));
  serve_from(&other);
  assert_true(asked_for("GET /elsewhere HTTP/1.1\r\n"));
  assert_null(strstr(scene.stream.request, "Content-"));
  check_stream();
  loopback_hang_up(&scene.stream);
}

/* A server that never ends the body of its redirect must not keep us. */
static void a_body_without_end_is_not_waited_for(void **state) {
  (void)state;
  struct loopback_stream first;
  scene_connect();
  loopback_accept(&scene.server, scene.loop, &first);
  loopback_send(&first, "HTTP/1.1 302 Found\r\nLocation: /moved\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nhello\r\n");
  serve_from(&scene.server);
  assert_true(asked_for("GET /moved HTTP/1.1\r\n"));
  loopback_await_end(scene.loop, &first);
  check_stream();
  loopback_hang_up(&scene.stream);
}

/* ---- and after --------------------------------------------------------------------------------------------------- */

/* R17, L02: a host that moved does not stick. */
static void the_next_connect_asks_the_first_url_again(void **state) {
  (void)state;
  connect_with_secrets();
  redirect(301, other_url);
  serve_from(&other);
  check_stream();
  loopback_hang_up(&scene.stream);
  scene_await(SYNC_ITEM_ASK);
  assert_int_equal(sync_client_answer(scene.client, &token, 1, 0, NULL), SYNC_OK);
  serve_from(&scene.server);
  check_secrets_came();
  assert_true(loopback_asked(&scene.stream, "Last-Event-ID: 1"));
  loopback_hang_up(&scene.stream);
}

/* H10 */
static void no_content_after_a_redirect_means_to_stay_away(void **state) {
  (void)state;
  scene_connect();
  redirect(301, other_url);
  answer_from(&other, "HTTP/1.1 204 No Content\r\n\r\n");
  scene_await_failure(SYNC_HTTP_NO_CONTENT);
  check_message(", after a redirect to ");
  check_message(other_url);
  assert_int_equal(scene.item.failure->next_retry_at_ms, 0);
  scene_await_state(SYNC_ERROR);
}

static void a_failure_says_where_the_way_led_and_what_stayed_at_home(void **state) {
  (void)state;
  char secret_url[128], expected[256];
  (void)snprintf(secret_url, sizeof secret_url, "%s?token=secret", other_url);
  (void)snprintf(expected, sizeof expected,
                 "the server answered 503, after a redirect to %s (another origin: headers and token were not sent): "
                 "opens at ten",
                 other_url);
  scene_connect();
  redirect(301, secret_url);
  answer_from(&other, "HTTP/1.1 503 Busy\r\nContent-Length: 12\r\n\r\nopens at ten");
  scene_await_failure(SYNC_HTTP_STATUS);
  assert_string_equal(scene.item.failure->message, expected);
  assert_int_equal(scene.item.failure->status, 503);
  redirect(301, "/moved");
  answer_from(&scene.server, "HTTP/1.1 503 Busy\r\nContent-Length: 0\r\n\r\n");
  scene_await_failure(SYNC_HTTP_STATUS);
  check_message("/moved");
  assert_null(strstr(scene.item.failure->message, "origin"));
  answer_from(&scene.server, "HTTP/1.1 503 Busy\r\nContent-Length: 0\r\n\r\n");
  scene_await_failure(SYNC_HTTP_STATUS);
  assert_string_equal(scene.item.failure->message, "the server answered 503");
}

static void a_target_that_cannot_be_reached_is_named(void **state) {
  (void)state;
  struct loopback nobody;
  loopback_bind(&nobody);
  scene_connect();
  redirect(307, nobody.url);
  scene_await_failure(SYNC_REFUSED);
  check_message(nobody.url);
  loopback_close(&nobody);
  redirect(307, "/cut");
  answer_from(&scene.server, LOOPBACK_STREAM_HEAD);
  scene_await_failure(SYNC_STREAM_ENDED);
  check_message("/cut");
}

/* ---- where it ends ----------------------------------------------------------------------------------------------- */

/* H08 */
static void without_a_location_there_is_an_error_and_no_second_request(void **state) {
  (void)state;
  static const char *const responses[] = {
      "HTTP/1.1 301 Moved\r\nContent-Length: 0\r\n\r\n",
      "HTTP/1.1 307 Moved\r\nLocation:\r\nContent-Length: 0\r\n\r\n",
      "HTTP/1.1 302 Moved\r\nLocation:   \r\nContent-Length: 8\r\n\r\nsee here",
  };
  scene_connect();
  for (size_t i = 0; i < COUNT_OF(responses); i++) {
    answer_from(&scene.server, responses[i]);
    scene_await_failure(SYNC_HTTP_REDIRECT);
    check_message("it names no location");
    assert_int_equal(scene.item.failure->next_retry_at_ms, 0);
    assert_int_equal(sync_client_state(scene.client), SYNC_ERROR);
    assert_int_equal(sync_client_reconnect(scene.client), SYNC_OK);
  }
}

static void a_circle_ends(void **state) {
  (void)state;
  scene.options.max_redirects = 3;
  scene_connect();
  for (int i = 0; i < 2; i++) {
    redirect(302, other_url);
    redirect_from(&other, 302, scene.server.url);
  }
  scene_await_failure(SYNC_HTTP_REDIRECT);
  check_message("max_redirects");
  scene_await_state(SYNC_ERROR);
}

static void none_is_followed_when_none_may_be(void **state) {
  (void)state;
  scene.options.max_redirects = 0;
  scene_connect();
  redirect(302, "/moved");
  scene_await_failure(SYNC_HTTP_REDIRECT);
  check_message("/moved");
  scene_await_state(SYNC_ERROR);
}

static void a_body_is_not_laid_at_a_strangers_door(void **state) {
  (void)state;
  scene.options.body = SPAN("secret");
  scene_connect();
  redirect(307, other_url);
  scene_await_failure(SYNC_HTTP_REDIRECT);
  check_message("the body does not go to another origin");
  scene_await_state(SYNC_ERROR);
}

/* ---- interrupted ------------------------------------------------------------------------------------------------- */

static void a_client_is_closed_on_the_way(void **state) {
  (void)state;
  scene_connect();
  redirect(302, other_url);
  loopback_accept(&other, scene.loop, &scene.stream);
  sync_client_free(scene.client);
  loopback_await_end(scene.loop, &scene.stream);
}

static void a_client_that_reconnects_on_the_way_begins_anew(void **state) {
  (void)state;
  scene_connect();
  redirect(302, other_url);
  loopback_accept(&other, scene.loop, &scene.stream);
  assert_int_equal(sync_client_reconnect(scene.client), SYNC_OK);
  loopback_await_end(scene.loop, &scene.stream);
  serve_from(&scene.server);
  check_stream();
  loopback_hang_up(&scene.stream);
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)

int main(void) {
  static const struct CMUnitTest tests[] = {
      TEST(every_redirect_is_followed_wherever_it_leads_from),
      TEST(at_home_everything_goes_along),
      TEST(abroad_nothing_goes_along_but_the_last_event_id),
      TEST(who_comes_back_from_abroad_brings_nothing_either),
      TEST(a_password_in_the_url_stays_at_home),
      TEST(a_body_goes_along_or_the_post_becomes_a_get),
      TEST(a_body_without_end_is_not_waited_for),
      TEST(the_next_connect_asks_the_first_url_again),
      TEST(no_content_after_a_redirect_means_to_stay_away),
      TEST(a_failure_says_where_the_way_led_and_what_stayed_at_home),
      TEST(a_target_that_cannot_be_reached_is_named),
      TEST(without_a_location_there_is_an_error_and_no_second_request),
      TEST(a_circle_ends),
      TEST(none_is_followed_when_none_may_be),
      TEST(a_body_is_not_laid_at_a_strangers_door),
      TEST(a_client_is_closed_on_the_way),
      TEST(a_client_that_reconnects_on_the_way_begins_anew),
  };
  return cmocka_run_group_tests(tests, NULL, NULL);
}
