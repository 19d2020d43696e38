/* engine_test.c - the public header over a real socket: what is asked, what arrives, for whom, and what is remembered.
 */
#include "scene.h"

/* ---- requests ---------------------------------------------------------------------------------------------------- */

static void the_request_is_that_of_an_event_stream(void **state) {
  (void)state;
  const sync_header headers[] = {{SPAN("X-Key"), SPAN("k")}, {SPAN("X-Empty"), SPAN("")}};
  scene.options.order_id = "ORDER-1";
  scene.options.event_types = "a,b";
  scene.options.last_event_id = "41";
  scene.options.headers = headers;
  scene.options.header_count = 2;
  scene_connect();
  scene_accept();
  assert_true(strncmp(scene.stream.request, "GET /api/v1/sync/events?orderID=ORDER-1&eventTypes=a%2", 54) == 0);
  assert_true(loopback_asked(&scene.stream, "Accept: text/event-stream"));
  assert_true(loopback_asked(&scene.stream, "Cache-Control: no-cache"));
  assert_true(loopback_asked(&scene.stream, "Last-Event-ID: 41"));
  assert_true(loopback_asked(&scene.stream, "X-Key: k"));
  assert_true(loopback_asked(&scene.stream, "X-Empty:"));
  loopback_hang_up(&scene.stream);
}

static void the_users_own_headers_replace_ours(void **state) {
  (void)state;
  const sync_header headers[] = {{SPAN("accept"), SPAN("text/event-stream;q=1")}, {SPAN("last-event-id"), SPAN("7")}};
  scene.options.last_event_id = "41";
  scene.options.headers = headers;
  scene.options.header_count = 2;
  scene_connect();
  scene_accept();
  assert_true(loopback_asked(&scene.stream, "accept: text/event-stream;q=1"));
  assert_true(loopback_asked(&scene.stream, "last-event-id: 7"));
  assert_null(strstr(scene.stream.request, "Accept:"));
  assert_null(strstr(scene.stream.request, "Last-Event-ID:"));
  loopback_hang_up(&scene.stream);
}

static void a_body_is_posted_at_once(void **state) {
  (void)state;
  scene.options.body = SPAN("{\"filter\":1}");
  scene_connect();
  scene_accept();
  assert_true(strncmp(scene.stream.request, "POST ", 5) == 0);
  assert_true(loopback_asked(&scene.stream, "Content-Type: application/json"));
  assert_null(strstr(scene.stream.request, "Expect:"));
  loopback_hang_up(&scene.stream);
}

/* RFC 9112, 3.2: the server is asked by the name, wherever that leads. */
static void a_name_leads_to_the_address_it_was_given(void **state) {
  (void)state;
  static const char *const addresses[] = {"other.invalid=::1", "orders.invalid=127.0.0.1"};
  const char *port = strrchr(scene.server.url, ':');
  char url[64], host[64];
  (void)snprintf(url, sizeof url, "http://orders.invalid%.10s", port);
  (void)snprintf(host, sizeof host, "Host: orders.invalid%.10s", port);
  scene.options.url = url;
  scene.options.resolve = addresses;
  scene.options.resolve_count = 2;
  scene_open();
  assert_true(loopback_asked(&scene.stream, host));
  loopback_hang_up(&scene.stream);
}

/* ---- what arrives ------------------------------------------------------------------------------------------------ */

static void the_stream_opens_and_an_event_arrives_whole(void **state) {
  (void)state;
  scene_connect();
  scene_await_state(SYNC_CONNECTING);
  assert_int_equal(sync_client_state(scene.client), SYNC_CONNECTING);
  scene_serve();
  scene_await_state(SYNC_CONNECTED);
  scene_send("id: 7\ndata: "
             "{\"eventType\":\"stage_change\",\"orderID\":\"ORDER-1\",\"timestamp\":\"t\",\"data\":{\"x\":1}}\n\n");
  scene_await_event("7");
  const sync_event *event = scene.item.event;
  check_span(sync_event_text(event, SYNC_EVENT_TYPE), "stage_change");
  check_span(sync_event_text(event, SYNC_EVENT_ORDER_ID), "ORDER-1");
  check_span(sync_event_text(event, SYNC_EVENT_TIMESTAMP), "t");
  check_span(sync_event_text(event, SYNC_EVENT_DATA), "{\"x\":1}");
  assert_int_equal(sync_event_seq(event), 1);
  assert_true(sync_event_received_at_ms(event) > 0);
  assert_int_equal(sync_client_subscriber(scene.client), 1);
  assert_int_equal(sync_client_subscriber(scene.client), 0);
  loopback_hang_up(&scene.stream);
}

static void after_a_loss_the_stream_is_resumed_behind_the_last_event(void **state) {
  (void)state;
  scene_open();
  scene_send_event(1);
  scene_send_event(2);
  scene_await_event("1");
  scene_await_event("2");
  scene_send("id: 3\ndata: {\"half"); /* never completed: does not count */
  loopback_hang_up(&scene.stream);
  scene_await_state(SYNC_RECONNECTING);
  scene_serve();
  assert_true(loopback_asked(&scene.stream, "Last-Event-ID: 2"));
  scene_send_event(3);
  scene_await_event("3");
  assert_int_equal(scene_metrics().total_reconnects, 1);
  loopback_hang_up(&scene.stream);
}

static void answers_that_are_no_stream_are_told_with_what_they_say(void **state) {
  (void)state;
  scene.options.max_reconnect_attempts = 100;
  scene_connect();
  scene_accept();
  scene_send("HTTP/1.1 503 Busy\r\nContent-Length: 12\r\n\r\nopens at ten");
  scene_await_failure(SYNC_HTTP_STATUS);
  assert_int_equal(scene.item.failure->status, 503);
  assert_non_null(strstr(scene.item.failure->message, "opens at ten"));
  loopback_hang_up(&scene.stream);
  scene_accept();
  scene_send("no HTTP at all\r\n\r\n");
  loopback_hang_up(&scene.stream);
  scene_await_failure(SYNC_HTTP_PROTOCOL);
  scene_accept();
  scene_send("HTTP/1.1 302 Found\r\nLocation: ftp://127.0.0.1/elsewhere\r\nContent-Length: 0\r\n\r\n");
  scene_await_failure(SYNC_HTTP_REDIRECT);
  assert_non_null(strstr(scene.item.failure->message, "ftp://127.0.0.1/elsewhere"));
  scene_await_state(SYNC_ERROR);
  loopback_hang_up(&scene.stream);
}

static void a_bad_event_costs_that_event_only(void **state) {
  (void)state;
  scene.options.max_event_bytes = 100;
  scene_open();
  char large[512];
  (void)snprintf(large, sizeof large, "id: 3\ndata: \"%0200d\"\n\n", 0);
  scene_send("id: 1\ndata: {\"orderID\":\n\n");
  scene_send(large);
  scene_send("id: 4\ndata: {}\n\n");
  scene_await_failure(SYNC_EVENT_JSON);
  scene_await_failure(SYNC_EVENT_TOO_LARGE);
  scene_await_event("4");
  assert_int_equal(scene_metrics().parse_errors, 1);
  assert_int_equal(scene_metrics().too_large, 1);
  assert_int_equal(sync_client_state(scene.client), SYNC_CONNECTED);
  loopback_hang_up(&scene.stream);
}

static void comments_come_to_those_who_want_them(void **state) {
  (void)state;
  scene_open();
  scene_send(": unheard\n\nid: 1\ndata: {}\n\n");
  scene_await_event("1");
  sync_client_want(scene.client, SYNC_WANT_COMMENTS);
  scene_send(": heard\n");
  scene_await(SYNC_ITEM_COMMENT);
  check_span(sync_event_text(scene.item.event, SYNC_EVENT_RAW), " heard");
  assert_int_equal(scene_metrics().comments, 2);
  loopback_hang_up(&scene.stream);
}

/* ---- for whom ---------------------------------------------------------------------------------------------------- */

static uint64_t subscribe(const char *order_id, const char *type) {
  const sync_span order = span_of(order_id), name = span_of(type);
  const sync_filter filter = {&order, order.length > 0, &name, name.length > 0};
  return sync_client_subscribe(scene.client, &filter);
}

static void check_subscribers(uint64_t first, uint64_t second) {
  assert_int_equal(sync_client_subscriber(scene.client), first);
  assert_int_equal(first ? sync_client_subscriber(scene.client) : 0, second);
}

static void events_are_for_those_who_subscribed(void **state) {
  (void)state;
  scene.options.duplicate_window = 0; /* one event comes twice */
  scene_open();
  assert_int_equal(subscribe("ORDER-2", ""), 2);
  assert_int_equal(subscribe("", "payment_update"), 3);
  scene_send_event(1);
  scene_send_event(2);
  scene_await_event("1");
  check_subscribers(1, 0);
  scene_await_event("2");
  check_subscribers(1, 2);
  sync_client_unsubscribe(scene.client, 1);
  scene_send_event(3); /* for nobody: it is not queued */
  scene_send_event(2);
  scene_await_event("2");
  check_subscribers(2, 0);
  assert_int_equal(scene_metrics().total_events, 4);
  loopback_hang_up(&scene.stream);
}

static void who_unsubscribes_gets_nothing_of_the_event_under_way(void **state) {
  (void)state;
  scene.options.duplicate_window = 0; /* one event comes twice */
  scene_open();
  subscribe("ORDER-1", "");
  scene_send_event(1);
  scene_send_event(1);
  scene_await_event("1");
  assert_int_equal(sync_client_subscriber(scene.client), 1);
  sync_client_unsubscribe(scene.client, 2);
  assert_int_equal(sync_client_subscriber(scene.client), 0);
  scene_await_event("1");
  sync_client_unsubscribe(scene.client, 1);
  assert_int_equal(sync_client_subscriber(scene.client), 0);
  loopback_hang_up(&scene.stream);
}

static void connected_and_heartbeat_come_to_those_who_name_them(void **state) {
  (void)state;
  scene_open();
  subscribe("", "heartbeat");
  scene_send("event: connected\ndata: {}\n\nevent: heartbeat\nid: 5\ndata: {}\n\n");
  scene_await_event("5");
  check_subscribers(2, 0);
  assert_int_equal(scene_metrics().heartbeats, 1);
  assert_int_equal(scene_metrics().total_events, 0);
  assert_null(sync_client_history(scene.client, 0));
  loopback_hang_up(&scene.stream);
}

static void a_host_that_pulls_gets_every_event(void **state) {
  (void)state;
  scene_open();
  sync_client_unsubscribe(scene.client, 1);
  sync_client_want(scene.client, SYNC_WANT_EVERY_EVENT);
  scene_send("event: heartbeat\nid: 1\ndata: {}\n\n");
  scene_send_event(2);
  scene_await_event("2");
  check_subscribers(0, 0);
  loopback_hang_up(&scene.stream);
}

static void a_host_that_decodes_itself_says_whom_it_is_for(void **state) {
  (void)state;
  scene.options.decode = SYNC_DECODE_NONE;
  scene_open();
  subscribe("ORDER-9", "");
  scene_send("id: 1\ndata: anything\n\n");
  scene_await_event("1");
  sync_client_route(scene.client, SPAN("x"), SPAN("ORDER-9"));
  check_subscribers(1, 2);
  sync_client_route(scene.client, SPAN(""), SPAN(""));
  check_subscribers(0, 0);
  loopback_hang_up(&scene.stream);
}

/* ---- what is remembered ------------------------------------------------------------------------------------------ */

static void the_history_has_the_latest_events_wanted_or_not(void **state) {
  (void)state;
  scene.options.event_history_limit = 2;
  scene_open();
  sync_client_unsubscribe(scene.client, 1);
  for (unsigned id = 1; id <= 3; id++) scene_send_event(id);
  while (scene_metrics().total_events < 3) scene_step();
  check_span(sync_event_text(sync_client_history(scene.client, 0), SYNC_EVENT_ID), "3");
  check_span(sync_event_text(sync_client_history(scene.client, 1), SYNC_EVENT_ID), "2");
  check_span(sync_event_text(sync_client_history(scene.client, 1), SYNC_EVENT_DATA), "{\"newStage\":\"open\"}");
  assert_null(sync_client_history(scene.client, 2));
  loopback_hang_up(&scene.stream);
}

static void events_that_are_kept_outlive_the_client_and_the_loop(void **state) {
  (void)state;
  sync_event *kept[100];
  scene_open();
  for (unsigned id = 0; id < 100; id++) scene_send_event(id);
  for (unsigned id = 0; id < 100; id++) {
    scene_await(SYNC_ITEM_EVENT);
    kept[id] = scene.item.event;
    sync_event_retain(kept[id]);
  }
  loopback_hang_up(&scene.stream);
  sync_client_free(scene.client);
  sync_loop_free(scene.loop);
  scene.loop = NULL;
  for (unsigned id = 0; id < 100; id++) {
    char text[16];
    (void)snprintf(text, sizeof text, "%u", id);
    check_span(sync_event_text(kept[id], SYNC_EVENT_ID), text);
    sync_event_release(kept[id]);
  }
}

static void events_are_counted_by_type(void **state) {
  (void)state;
  sync_span type;
  uint64_t count;
  scene_open();
  scene_send("event: a\ndata: {}\n\nevent: b\ndata: {}\n\nevent: a\nid: 3\ndata: {}\n\n");
  scene_await_event("");
  scene_await_event("");
  scene_await_event("3");
  for (size_t i = 0; i < 2; i++) {
    assert_true(sync_client_type_count(scene.client, i, &type, &count));
    assert_int_equal(count, span_is(type, "a") ? 2 : 1);
  }
  assert_false(sync_client_type_count(scene.client, 2, &type, &count));
  loopback_hang_up(&scene.stream);
}

static void data_of_the_hosts_is_given_back(void **state) {
  (void)state;
  scene_connect();
  assert_null(sync_client_data(scene.client));
  sync_client_set_data(scene.client, &scene);
  assert_ptr_equal(sync_client_data(scene.client), &scene);
}

/* ---- options that cannot be -------------------------------------------------------------------------------------- */

static void a_client_that_cannot_be_is_not_made(void **state) {
  (void)state;
  sync_failure failure;
  size_t live = scene.memory.live;
  scene.options.queue_limit = 0;
  assert_null(sync_client_new(scene.loop, &scene.options, &failure));
  assert_int_equal(failure.code, SYNC_OPTION);
  scene.options.queue_limit = 1;
  scene.options.url = "ftp://127.0.0.1";
  assert_null(sync_client_new(scene.loop, &scene.options, &failure));
  assert_int_equal(failure.code, SYNC_URL);
  assert_null(sync_client_new(scene.loop, &scene.options, NULL));
  static const char *const fallbacks[] = {"http://127.0.0.1:1", "ftp://me:secret@127.0.0.1/here"};
  scene.options.url = scene.server.url;
  scene.options.fallback_urls = fallbacks;
  scene.options.fallback_url_count = 2;
  assert_null(sync_client_new(scene.loop, &scene.options, &failure));
  assert_int_equal(failure.code, SYNC_URL);
  assert_non_null(strstr(failure.message, "'ftp://127.0.0.1/here'"));
  assert_int_equal(scene.memory.live, live);
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, scene_set_up, scene_tear_down)

int main(void) {
  static const struct CMUnitTest tests[] = {
      TEST(the_request_is_that_of_an_event_stream),
      TEST(the_users_own_headers_replace_ours),
      TEST(a_body_is_posted_at_once),
      TEST(a_name_leads_to_the_address_it_was_given),
      TEST(the_stream_opens_and_an_event_arrives_whole),
      TEST(after_a_loss_the_stream_is_resumed_behind_the_last_event),
      TEST(answers_that_are_no_stream_are_told_with_what_they_say),
      TEST(a_bad_event_costs_that_event_only),
      TEST(comments_come_to_those_who_want_them),
      TEST(events_are_for_those_who_subscribed),
      TEST(who_unsubscribes_gets_nothing_of_the_event_under_way),
      TEST(connected_and_heartbeat_come_to_those_who_name_them),
      TEST(a_host_that_pulls_gets_every_event),
      TEST(a_host_that_decodes_itself_says_whom_it_is_for),
      TEST(the_history_has_the_latest_events_wanted_or_not),
      TEST(events_that_are_kept_outlive_the_client_and_the_loop),
      TEST(events_are_counted_by_type),
      TEST(data_of_the_hosts_is_given_back),
      TEST(a_client_that_cannot_be_is_not_made),
  };
  return cmocka_run_group_tests(tests, NULL, NULL);
}
