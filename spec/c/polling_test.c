/* polling_test.c - polls over real sockets and by the host: what is asked, what a snapshot brings, what fails. */
#include "polling_scene.h"

#define FIRST                                                                                                          \
  "{\"docs\":[{\"orderID\":\"A\",\"orderStage\":\"open\",\"paymentStatus\":\"pending\",\"overallStatus\":\"ready\"},"  \
  "{\"orderID\":\"B\",\"orderStage\":\"open\"}]}"

static struct loopback second; /* another origin */

static int set_up(void **state) {
  loopback_open(&second);
  return polling_set_up(state);
}

static int tear_down(void **state) {
  loopback_close(&second);
  return scene_tear_down(state);
}

/* A client whose book has the first snapshot. */
static void begin(void) {
  scene_connect();
  polling_poll(FIRST);
  polling_expect("2 of 2;");
}

static void check_stage(const char *id, const char *stage) {
  sync_order order;
  assert_true(sync_client_order(scene.client, span_of(id), &order));
  check_span(order.stage, stage);
}

/* ---- what a snapshot brings -------------------------------------------------------------------------------------- */

static void the_first_snapshot_fills_the_book_and_is_no_news(void **state) {
  (void)state;
  begin();
  assert_int_equal(sync_client_order_count(scene.client), 2);
  check_stage("A", "open");
}

static void what_changed_comes_as_the_event_that_tells_of_it(void **state) {
  (void)state;
  static const struct {
    const char *snapshot;
    const char *news;
  } cases[] = {
      {"[{\"orderID\":\"A\",\"orderStage\":\"paid\",\"paymentStatus\":\"pending\",\"overallStatus\":\"ready\"},"
       "{\"orderID\":\"B\",\"orderStage\":\"open\"}]",
       "stage_change A poll; 1 of 2;"},
      {"{\"orders\":[{\"orderID\":\"A\",\"orderStage\":\"paid\",\"paymentStatus\":\"paid\",\"overallStatus\":"
       "\"picked_up\"},{\"orderID\":\"B\",\"orderStage\":\"open\"}]}",
       "payment_update A poll; status_update A poll; 1 of 2;"},
      {"[{\"orderID\":\"A\",\"orderStage\":\"paid\",\"paymentStatus\":\"paid\",\"overallStatus\":\"picked_up\"},"
       "{\"orderID\":\"B\",\"orderStage\":\"open\",\"totalAmount\":7}]",
       "order_updated B poll; 1 of 2;"},
      {"[{\"orderID\":\"A\",\"orderStage\":\"paid\",\"paymentStatus\":\"paid\",\"overallStatus\":\"picked_up\"},"
       "{\"orderID\":\"B\",\"orderStage\":\"open\",\"totalAmount\":7},{\"orderID\":\"\\u0043 \\\"c\\\"\"}]",
       "order_created C \"c\" poll; 1 of 3;"},
      {"{\"data\":[{\"orderID\":\"B\",\"orderStage\":\"open\",\"totalAmount\":7},{\"orderID\":\"C \\\"c\\\"\"}]}",
       "order_deleted A poll; 1 of 2;"},
      {"[]", "order_deleted C \"c\" poll; order_deleted B poll; 2 of 0;"},
      {"[]", "0 of 0;"},
  };
  begin();
  for (size_t i = 0; i < COUNT_OF(cases); i++) {
    polling_poll(cases[i].snapshot);
    polling_expect(cases[i].news);
  }
  assert_int_equal(sync_client_order_count(scene.client), 0);
}

static void an_event_tells_what_was_and_what_is(void **state) {
  (void)state;
  begin();
  polling_poll("[{\"orderID\":\"B\",\"orderStage\":\"paid\"}]");
  scene_take();
  check_span(
      sync_event_text(scene.item.event, SYNC_EVENT_DATA),
      "{\"previousStage\":\"open\",\"newStage\":\"paid\",\"order\":{\"orderID\":\"B\",\"orderStage\":\"paid\"}}");
  check_span(sync_event_text(scene.item.event, SYNC_EVENT_ID), "");
  assert_int_equal(sync_client_subscriber(scene.client), 1);
  polling_expect("order_deleted A poll; 2 of 1;");
  assert_int_equal(scene_metrics().polls, 2);
}

static void an_order_that_a_part_of_them_lacks_is_not_deleted(void **state) {
  (void)state;
  scene.options.poll_is_partial = true;
  begin();
  polling_poll("[{\"orderID\":\"C\"}]");
  polling_expect("order_created C poll; 1 of 1;");
  assert_int_equal(sync_client_order_count(scene.client), 3);
}

static void elements_without_an_id_are_told_and_the_others_taken(void **state) {
  (void)state;
  begin();
  polling_poll("[1,{\"orderStage\":\"open\"},{\"orderID\":\"A\",\"orderStage\":\"paid\",\"paymentStatus\":\"pending\","
               "\"overallStatus\":\"ready\"},[],{\"orderID\":\"B\",\"orderStage\":\"open\"}]");
  polling_expect("stage_change A poll; SNAPSHOT; 1 of 2;");
}

/* ---- what is asked ----------------------------------------------------------------------------------------------- */

/* It does not tell of all that may have been missed. */
static void a_snapshot_that_the_book_has_no_room_for_closes_no_gap(void **state) {
  (void)state;
  scene.options.mode = SYNC_MODE_STREAM;
  scene.options.book_limit = 2;
  scene_connect();
  loopback_accept(&scene.server, scene.loop, &scene.stream);
  scene_send(LOOPBACK_STREAM_HEAD "event: resync\ndata: {}\n\n");
  scene_await(SYNC_ITEM_GAP);
  polling_accept();
  polling_respond("[{\"orderID\":\"A\"},{\"orderID\":\"B\"},{\"orderID\":\"C\"}]");
  scene_await(SYNC_ITEM_POLLED);
  assert_int_equal(scene_health().open_gaps, 1);
  polling_poll("[{\"orderID\":\"A\"},{\"orderID\":\"B\"}]");
  scene_await(SYNC_ITEM_POLLED);
  assert_int_equal(scene_health().open_gaps, 0);
}

static void give_headers(void) {
  static const sync_header own = {{"X-Own", 5}, {"o", 1}}, polls = {{"X-Poll", 6}, {"p", 1}};
  scene.options.headers = &own;
  scene.options.poll_headers = &polls;
  scene.options.header_count = scene.options.poll_header_count = 1;
  scene.options.last_event_id = "7";
}

static void a_poll_asks_for_json_with_all_headers_and_is_no_stream(void **state) {
  (void)state;
  give_headers();
  scene_connect();
  assert_int_equal(sync_client_poll(scene.client), SYNC_OK);
  polling_accept();
  assert_true(loopback_asked(&poll_request, "Accept: application/json"));
  assert_true(loopback_asked(&poll_request, "X-Own: o"));
  assert_true(loopback_asked(&poll_request, "X-Poll: p"));
  assert_null(strstr(poll_request.request, "Last-Event-ID"));
  assert_null(strstr(poll_request.request, "If-"));
  polling_respond("[]");
  polling_expect("0 of 0;");
}

static void another_origin_gets_the_polling_headers_only(void **state) {
  (void)state;
  char url[96];
  (void)snprintf(url, sizeof url, "%s/orders", second.url);
  give_headers();
  scene.options.poll_url = url;
  scene.options.ask_headers = true; /* and nobody is asked for what would not be sent */
  scene_connect();
  assert_int_equal(sync_client_poll(scene.client), SYNC_OK);
  loopback_accept(&second, scene.loop, &poll_request);
  assert_null(strstr(poll_request.request, "X-Own"));
  assert_true(loopback_asked(&poll_request, "X-Poll: p"));
  polling_respond("[]");
  polling_expect("0 of 0;");
}

static void headers_are_asked_for_at_every_poll(void **state) {
  (void)state;
  const sync_header header = {SPAN("X-Token"), SPAN("t")};
  scene.options.ask_headers = true;
  scene_connect();
  for (int i = 0; i < 2; i++) {
    assert_int_equal(sync_client_poll(scene.client), SYNC_OK);
    scene_await(SYNC_ITEM_ASK);
    assert_int_equal(sync_client_answer(scene.client, &header, 1, 0, NULL), SYNC_OK);
    polling_accept();
    assert_true(loopback_asked(&poll_request, "X-Token: t"));
    polling_respond("[]");
    polling_expect("0 of 0;");
  }
}

static void a_refusal_fails_the_poll_and_the_next_one_asks_again(void **state) {
  (void)state;
  scene.options.ask_headers = true;
  scene_connect();
  assert_int_equal(sync_client_poll(scene.client), SYNC_OK);
  scene_await(SYNC_ITEM_ASK);
  assert_int_equal(sync_client_refuse(scene.client, "no token"), SYNC_OK);
  scene_await_failure(SYNC_CREDENTIALS);
  scene_await(SYNC_ITEM_ASK);
  assert_int_equal(sync_client_answer(scene.client, NULL, 0, 0, NULL), SYNC_OK);
  polling_accept();
  polling_respond("[]");
  polling_expect("0 of 0;");
}

static void what_the_server_said_of_the_last_snapshot_is_asked_about(void **state) {
  (void)state;
  scene_connect();
  assert_int_equal(sync_client_poll(scene.client), SYNC_OK);
  polling_accept();
  polling_respond_with("200 OK", "ETag: W/\"1\"\r\nLast-Modified: Tue, 14 Nov 2023 22:13:20 GMT\r\n", FIRST);
  polling_expect("2 of 2;");
  for (int i = 0; i < 2; i++) {
    assert_int_equal(sync_client_poll(scene.client), SYNC_OK);
    polling_accept();
    assert_true(loopback_asked(&poll_request, "If-None-Match: W/\"1\""));
    assert_true(loopback_asked(&poll_request, "If-Modified-Since: Tue, 14 Nov 2023 22:13:20 GMT"));
    polling_respond_with("304 Not Modified", "", "");
    polling_expect("unchanged;");
  }
  assert_int_equal(scene_metrics().polls_unchanged, 2);
  assert_int_equal(sync_client_order_count(scene.client), 2);
}

static void redirect_to(const char *base) {
  char head[160];
  (void)snprintf(head, sizeof head, "Location: %s/orders/all\r\n", base);
  polling_respond_with("307 Moved", head, "");
}

static void redirects_are_followed_and_headers_stay_at_home(void **state) {
  (void)state;
  give_headers();
  scene_connect();
  assert_int_equal(sync_client_poll(scene.client), SYNC_OK);
  polling_accept();
  redirect_to(scene.server.url);
  polling_accept();
  assert_true(loopback_asked(&poll_request, "X-Own: o"));
  assert_true(loopback_asked(&poll_request, "X-Poll: p"));
  redirect_to(second.url);
  loopback_accept(&second, scene.loop, &poll_request);
  assert_true(loopback_asked(&poll_request, "Accept: application/json"));
  assert_null(strstr(poll_request.request, "X-"));
  polling_respond(FIRST);
  polling_expect("2 of 2;");
}

/* ---- failures ---------------------------------------------------------------------------------------------------- */

/* The poll that is asked for, answered like this, fails with `code`; nothing else is told. The one that follows by
 * itself does not ask whether anything is new, and brings what is. */
static void fail_then_succeed(const char *status, const char *head, const char *body, sync_code code) {
  assert_int_equal(sync_client_poll(scene.client), SYNC_OK);
  polling_accept();
  polling_respond_with(status, head, body);
  scene_take();
  assert_int_equal(scene.item.kind, SYNC_ITEM_ERROR);
  assert_string_equal(sync_code_name(scene.item.failure->code), sync_code_name(code));
  assert_int_equal(scene.item.failure->attempt, 1);
  assert_true(scene.item.failure->next_retry_at_ms > 0);
  polling_accept();
  assert_null(strstr(poll_request.request, "If-"));
  polling_respond(FIRST);
  polling_expect("0 of 2;");
}

static void a_failure_is_told_changes_nothing_and_is_tried_again(void **state) {
  (void)state;
  scene.options.max_snapshot_bytes = 256;
  begin();
  char large[300];
  memset(large, ' ', sizeof large - 1);
  large[sizeof large - 1] = '\0';
  fail_then_succeed("503 Busy", "ETag: \"x\"\r\n", "busy", SYNC_HTTP_STATUS);
  fail_then_succeed("404 Not Found", "", "{}", SYNC_HTTP_STATUS);
  fail_then_succeed("401 No", "", "", SYNC_HTTP_AUTH);
  fail_then_succeed("302 Found", "", "", SYNC_HTTP_REDIRECT);
  fail_then_succeed("200 OK", "ETag: \"x\"\r\n", "[{\"orderID\":\"Z\"}", SYNC_SNAPSHOT);
  fail_then_succeed("200 OK", "ETag: \"x\"\r\n", "{\"error\":\"none\"}", SYNC_SNAPSHOT);
  fail_then_succeed("200 OK", "ETag: \"x\"\r\n", "", SYNC_SNAPSHOT);
  fail_then_succeed("200 OK", "ETag: \"x\"\r\n", large, SYNC_POLL_FAILED);
  assert_int_equal(scene_metrics().poll_failures, 8);
}

static void half_a_snapshot_is_none(void **state) {
  (void)state;
  begin();
  assert_int_equal(sync_client_poll(scene.client), SYNC_OK);
  polling_accept();
  loopback_send(&poll_request, "HTTP/1.1 200 OK\r\nContent-Length: 900\r\n\r\n[]");
  loopback_hang_up(&poll_request);
  scene_await_failure(SYNC_POLL_FAILED);
  polling_accept();
  polling_respond(FIRST);
  polling_expect("0 of 2;");
}

static void a_server_that_does_not_answer_is_given_up_and_asked_again(void **state) {
  (void)state;
  scene_connect();
  assert_int_equal(sync_client_poll(scene.client), SYNC_OK);
  polling_accept();
  scene.client->poll.poller.deadline_ms = 0; /* its time is over */
  sync_client_set_timer(scene.client);
  scene_await_failure(SYNC_POLL_FAILED);
  loopback_await_end(scene.loop, &poll_request);
  polling_accept();
  polling_respond(FIRST);
  polling_expect("2 of 2;");
}

/* ---- the host ---------------------------------------------------------------------------------------------------- */

static void begin_by_host(void) {
  scene.options.poll_url = NULL;
  scene.options.poll_by_host = true;
  scene_connect();
  assert_int_equal(sync_client_poll(scene.client), SYNC_OK);
  scene_take();
  assert_int_equal(scene.item.kind, SYNC_ITEM_FETCH);
}

static void the_host_gives_snapshots_as_a_server_would(void **state) {
  (void)state;
  begin_by_host();
  assert_int_equal(sync_client_snapshot(scene.client, span_of(FIRST)), SYNC_OK);
  polling_expect("2 of 2;");
  assert_int_equal(sync_client_poll(scene.client), SYNC_OK);
  scene_await(SYNC_ITEM_FETCH);
  assert_int_equal(sync_client_snapshot(scene.client, SPAN("")), SYNC_OK);
  polling_expect("unchanged;");
  assert_int_equal(sync_client_poll(scene.client), SYNC_OK);
  scene_await(SYNC_ITEM_FETCH);
  assert_int_equal(sync_client_snapshot(scene.client, SPAN("[{\"orderID\":\"A\"}]")), SYNC_OK);
  polling_expect("stage_change A poll; payment_update A poll; status_update A poll; order_deleted B poll; 2 of 1;");
}

static void a_snapshot_that_nobody_waits_for_is_passed_over(void **state) {
  (void)state;
  begin_by_host();
  assert_int_equal(sync_client_disconnect(scene.client), SYNC_OK);
  assert_int_equal(sync_client_snapshot(scene.client, span_of(FIRST)), SYNC_OK);
  assert_int_equal(sync_client_snapshot_failed(scene.client, "late"), SYNC_OK);
  assert_int_equal(sync_client_order_count(scene.client), 0);
  assert_false(sync_client_next(scene.client, &scene.item));
  assert_int_equal(sync_client_poll(scene.client), SYNC_OK);
  scene_await(SYNC_ITEM_FETCH);
  assert_int_equal(sync_client_snapshot(scene.client, span_of(FIRST)), SYNC_OK);
  polling_expect("2 of 2;");
}

static void the_circuit_opens_at_the_fifth_failure_and_is_told_once(void **state) {
  (void)state;
  begin_by_host();
  for (int i = 1; i <= SYNC_POLLER_BREAKER_FROM + 2; i++) {
    if (i > 1) scene_await(SYNC_ITEM_FETCH);
    assert_int_equal(sync_client_snapshot_failed(scene.client, "no database"), SYNC_OK);
    scene_await_failure(SYNC_POLL_FAILED);
    assert_string_equal(scene.item.failure->message, "no database");
    assert_int_equal(scene.item.failure->attempt, i);
    if (i == SYNC_POLLER_BREAKER_FROM) scene_await_failure(SYNC_CIRCUIT_OPEN);
  }
  scene_await(SYNC_ITEM_FETCH);
  assert_int_equal(sync_client_snapshot(scene.client, span_of(FIRST)), SYNC_OK);
  polling_expect("2 of 2;");
  assert_false(sync_poller_is_broken(&scene.client->poll.poller));
}

/* ---- what the host wants ----------------------------------------------------------------------------------------- */

static void mode_poll_polls_without_a_stream(void **state) {
  (void)state;
  scene.options.mode = SYNC_MODE_POLL;
  scene_connect();
  scene_await_state(SYNC_POLLING_FALLBACK);
  for (int i = 0; i < 3; i++) {
    polling_accept();
    polling_respond(FIRST);
    polling_expect(i ? "0 of 2;" : "2 of 2;");
  }
  assert_int_equal(scene_metrics().poll_sessions, 1);
  assert_int_equal(sync_client_disconnect(scene.client), SYNC_OK);
  scene_await_state(SYNC_DISCONNECTED);
}

static void polling_is_started_and_stopped_at_will(void **state) {
  (void)state;
  scene_connect();
  assert_int_equal(sync_client_start_polling(scene.client), SYNC_OK);
  scene_await_state(SYNC_POLLING_FALLBACK);
  polling_accept();
  assert_int_equal(sync_client_stop_polling(scene.client), SYNC_OK);
  polling_respond(FIRST); /* what is under way comes to its end */
  scene_await_state(SYNC_DISCONNECTED);
  polling_expect("2 of 2;");
  assert_int_equal(sync_poll_deadline_ms(scene.client), -1);
  assert_int_equal(sync_client_start_polling(scene.client), SYNC_OK);
  polling_accept();
  polling_respond(FIRST);
  scene_await_state(SYNC_POLLING_FALLBACK);
  polling_expect("0 of 2;");
  assert_int_equal(scene_metrics().poll_sessions, 2);
}

static void with_nothing_to_poll_it_says_so(void **state) {
  (void)state;
  scene.options.poll_url = NULL;
  scene_connect();
  assert_int_equal(sync_client_poll(scene.client), SYNC_OPTION);
  assert_int_equal(sync_client_start_polling(scene.client), SYNC_OPTION);
  assert_int_equal(sync_client_stop_polling(scene.client), SYNC_OPTION);
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)

int main(void) {
  static const struct CMUnitTest tests[] = {
      TEST(the_first_snapshot_fills_the_book_and_is_no_news),
      TEST(what_changed_comes_as_the_event_that_tells_of_it),
      TEST(an_event_tells_what_was_and_what_is),
      TEST(an_order_that_a_part_of_them_lacks_is_not_deleted),
      TEST(elements_without_an_id_are_told_and_the_others_taken),
      TEST(a_snapshot_that_the_book_has_no_room_for_closes_no_gap),
      TEST(a_poll_asks_for_json_with_all_headers_and_is_no_stream),
      TEST(another_origin_gets_the_polling_headers_only),
      TEST(headers_are_asked_for_at_every_poll),
      TEST(a_refusal_fails_the_poll_and_the_next_one_asks_again),
      TEST(what_the_server_said_of_the_last_snapshot_is_asked_about),
      TEST(redirects_are_followed_and_headers_stay_at_home),
      TEST(a_failure_is_told_changes_nothing_and_is_tried_again),
      TEST(half_a_snapshot_is_none),
      TEST(a_server_that_does_not_answer_is_given_up_and_asked_again),
      TEST(the_host_gives_snapshots_as_a_server_would),
      TEST(a_snapshot_that_nobody_waits_for_is_passed_over),
      TEST(the_circuit_opens_at_the_fifth_failure_and_is_told_once),
      TEST(mode_poll_polls_without_a_stream),
      TEST(polling_is_started_and_stopped_at_will),
      TEST(with_nothing_to_poll_it_says_so),
  };
  return cmocka_run_group_tests(tests, NULL, NULL);
}
