/* renewal_engine_test.c - a new stream before the old one is closed, over real sockets: nothing is lost, nothing comes
 * twice, and a renewal that fails costs nothing. */
#include "renewal_scene.h"

/* ---- as it should be --------------------------------------------------------------------------------------------- */

/* The one test that waits for a clock. On a machine so slow that they have expired before the stream is open, it is
 * opened anew. */
static void credentials_are_asked_for_before_they_expire(void **state) {
  (void)state;
  scene.options.ask_headers = true;
  scene_connect();
  for (;;) {
    scene_await(SYNC_ITEM_ASK);
    assert_int_equal(sync_client_answer(scene.client, NULL, 0, 20, NULL), SYNC_OK);
    scene_serve();
    scene_await_state(SYNC_CONNECTED);
    if (scene.client->connection.renewal.deadline_ms >= 0) break;
    loopback_hang_up(&scene.stream);
  }
  renewal_answer("2", 0);
  loopback_accept(&scene.server, scene.loop, &successor);
  assert_true(loopback_asked(&successor, "X-Token: 2"));
  renewal_respond(LOOPBACK_STREAM_HEAD);
  renewal_take_over(1);
  assert_int_equal(scene.client->connection.renewal.deadline_ms, -1);
  loopback_hang_up(&scene.stream);
}

static bool is_open(const struct loopback_stream *stream) {
  char byte;
  return recv(stream->socket, &byte, 1, MSG_DONTWAIT) < 0 && errno == EAGAIN;
}

static void the_new_stream_is_open_before_the_old_one_is_closed(void **state) {
  (void)state;
  renewal_open();
  scene_send_event(1);
  renewal_take_event("1");
  renewal_begin("2");
  assert_true(loopback_asked(&successor, "X-Token: 2"));
  assert_true(loopback_asked(&successor, "Last-Event-ID: 1"));
  assert_true(is_open(&scene.stream));
  renewal_respond(LOOPBACK_STREAM_HEAD);
  renewal_take_over(1);
  scene_send_event(2);
  renewal_take_event("2"); /* and no state, no failure before it */
  assert_int_equal(sync_client_state(scene.client), SYNC_CONNECTED);
  assert_int_equal(scene_metrics().total_connections, 1);
  assert_int_equal(scene_metrics().total_reconnects, 0);
  assert_int_equal(scene_metrics().failures, 0);
  assert_int_equal(scene_metrics().duplicates, 0);
  loopback_hang_up(&scene.stream);
}

static void one_renewal_follows_the_other(void **state) {
  (void)state;
  renewal_open();
  scene_send_event(1);
  renewal_take_event("1");
  for (unsigned nth = 1; nth <= 5; nth++) {
    char token[16], line[32], id[16];
    (void)snprintf(token, sizeof token, "%u", nth + 1);
    (void)snprintf(line, sizeof line, "X-Token: %u", nth + 1);
    (void)snprintf(id, sizeof id, "%u", nth + 1);
    renewal_begin(token);
    assert_true(loopback_asked(&successor, line));
    renewal_respond(LOOPBACK_STREAM_HEAD);
    renewal_take_over(nth);
    scene_send_event(nth + 1);
    renewal_take_event(id);
  }
  loopback_hang_up(&scene.stream);
}

static void the_way_may_lead_over_a_redirect(void **state) {
  (void)state;
  struct loopback other;
  char redirect[192];
  loopback_open(&other);
  renewal_open();
  renewal_begin("secret");
  (void)snprintf(redirect, sizeof redirect, "HTTP/1.1 307 Moved\r\nLocation: %s/x\r\nContent-Length: 0\r\n\r\n",
                 other.url);
  loopback_send(&successor, redirect);
  loopback_hang_up(&successor);
  loopback_accept(&other, scene.loop, &successor);
  assert_null(strstr(successor.request, "secret"));
  renewal_respond(LOOPBACK_STREAM_HEAD);
  renewal_take_over(1);
  scene_send_event(1);
  renewal_take_event("1");
  loopback_hang_up(&scene.stream);
  loopback_close(&other);
}

/* ---- with ids ---------------------------------------------------------------------------------------------------- */

static void what_both_streams_bring_comes_once_and_in_order(void **state) {
  (void)state;
  renewal_open();
  scene_send_event(1);
  renewal_take_event("1");
  renewal_begin("2");
  scene_send_event(2);
  scene_send_event(3);
  renewal_take_event("2");
  renewal_take_event("3");
  renewal_respond(LOOPBACK_STREAM_HEAD);
  renewal_take_over(1);
  for (unsigned id = 2; id <= 4; id++) scene_send_event(id); /* behind the Last-Event-ID of the request */
  renewal_take_event("4");
  assert_int_equal(scene_metrics().duplicates, 2);
  assert_int_equal(scene_metrics().total_events, 4);
  loopback_hang_up(&scene.stream);
}

/* What the old stream still had on its way when it was closed. */
static void what_only_the_new_stream_brings_is_not_missed(void **state) {
  (void)state;
  char events[1024];
  size_t length = strlen(strcpy(events, LOOPBACK_STREAM_HEAD));
  renewal_open();
  scene_send_event(1);
  renewal_take_event("1");
  renewal_begin("2");
  for (unsigned id = 2; id <= 5; id++) length += scene_write_event(events + length, sizeof events - length, id);
  scene_send_event(2);
  scene_send_event(3);
  scene_send("id: 4\ndata: {\"half");
  renewal_respond(events);
  renewal_take_over(1);
  renewal_take_event("2");
  renewal_take_event("3");
  renewal_take_event("4");
  renewal_take_event("5");
  assert_int_equal(scene_metrics().parse_errors, 0);
  loopback_hang_up(&scene.stream);
}

/* Events 1, 2, ...; gives the number of the one that comes next. */
static unsigned take_events_until_asked(void) {
  for (unsigned next = 1;; next++) {
    char id[16];
    (void)snprintf(id, sizeof id, "%u", next);
    scene_take();
    if (scene.item.kind == SYNC_ITEM_ASK) return next;
    assert_int_equal(scene.item.kind, SYNC_ITEM_EVENT);
    check_span(sync_event_text(scene.item.event, SYNC_EVENT_ID), id);
  }
}

static void a_host_that_is_slow_misses_nothing(void **state) {
  (void)state;
  scene.options.queue_limit = 2;
  renewal_open();
  for (unsigned id = 1; id <= 9; id++) scene_send_event(id);
  while (scene_metrics().pauses == 0) scene_step();
  renewal_make_due();
  unsigned next = take_events_until_asked();
  assert_int_equal(sync_client_answer(scene.client, NULL, 0, HOUR_MS, NULL), SYNC_OK);
  loopback_accept(&scene.server, scene.loop, &successor);
  const char *line = strstr(successor.request, "Last-Event-ID: ");
  assert_non_null(line);
  unsigned last = (unsigned)strtoul(line + strlen("Last-Event-ID: "), NULL, 10);
  renewal_respond(LOOPBACK_STREAM_HEAD);
  renewal_take_over(1);
  for (unsigned id = last + 1; id <= 10; id++) scene_send_event(id);
  for (; next <= 10; next++) {
    char id[16];
    (void)snprintf(id, sizeof id, "%u", next);
    renewal_take_event(id);
  }
  loopback_hang_up(&scene.stream);
}

/* ---- without ids ------------------------------------------------------------------------------------------------- */

#define EVENT(n) "data: {\"n\":" #n "}\n\n"

/* A renewal whose old stream has brought `1` before it and `2` `3` during it; the new one has taken over. */
static void renew_without_ids(void) {
  renewal_open();
  scene_send(EVENT(1));
  renewal_take_data("{\"n\":1}");
  renewal_begin("2");
  scene_send(EVENT(2) EVENT(3));
  renewal_take_data("{\"n\":2}");
  renewal_take_data("{\"n\":3}");
  renewal_respond(LOOPBACK_STREAM_HEAD);
  assert_int_equal(renewal_phase(), SYNC_RENEWAL_READY);
  renewal_take_over(1);
  scene.client->overlaps_until_ms = INT64_MAX; /* until the test says otherwise */
}

static void copies_from_the_new_stream_are_dropped_once_each(void **state) {
  (void)state;
  renew_without_ids();
  scene_send(EVENT(2) EVENT(3) EVENT(4));
  renewal_take_data("{\"n\":4}");
  assert_int_equal(scene_metrics().duplicates, 2);
  scene_send(EVENT(2) EVENT(4) EVENT(4)); /* said again, and meant */
  renewal_take_data("{\"n\":2}");
  renewal_take_data("{\"n\":4}");
  renewal_take_data("{\"n\":4}");
  assert_int_equal(scene_metrics().duplicates, 2);
  loopback_hang_up(&scene.stream);
}

static void what_came_before_the_renewal_is_no_copy(void **state) {
  (void)state;
  renew_without_ids();
  scene_send(EVENT(1) "event: other\n" EVENT(2)); /* and another type is another event */
  renewal_take_data("{\"n\":1}");
  renewal_take_data("{\"n\":2}");
  assert_int_equal(scene_metrics().duplicates, 0);
  loopback_hang_up(&scene.stream);
}

static void what_comes_much_later_is_no_copy(void **state) {
  (void)state;
  renew_without_ids();
  scene.client->overlaps_until_ms = 0;
  scene_send(EVENT(2) EVENT(3));
  renewal_take_data("{\"n\":2}");
  renewal_take_data("{\"n\":3}");
  assert_int_equal(scene_metrics().duplicates, 0);
  loopback_hang_up(&scene.stream);
}

/* The old stream of the first renewal brought it, the new one did not: nobody waits for that copy any more when the
 * next renewal is over, and the same thing said again is news. */
static void what_an_earlier_renewal_left_is_no_copy(void **state) {
  (void)state;
  renew_without_ids();
  scene.client->overlaps_until_ms = 0;
  renewal_begin("3");
  renewal_respond(LOOPBACK_STREAM_HEAD);
  renewal_take_over(2);
  scene.client->overlaps_until_ms = INT64_MAX;
  scene_send(EVENT(2) EVENT(3) EVENT(4));
  renewal_take_data("{\"n\":2}");
  renewal_take_data("{\"n\":3}");
  assert_int_equal(scene_metrics().duplicates, 0);
  loopback_hang_up(&scene.stream);
}

/* The server writes to both, to the old one perhaps later: it is read until the new one takes over, and only it. */
static void the_old_stream_is_read_until_the_new_one_takes_over(void **state) {
  (void)state;
  renewal_open();
  scene_send(EVENT(1));
  renewal_take_data("{\"n\":1}");
  renewal_begin("2");
  renewal_respond(LOOPBACK_STREAM_HEAD EVENT(2) EVENT(3) EVENT(4));
  scene.client->connection.renewal.deadline_ms = INT64_MAX;
  scene_send(EVENT(2) EVENT(3));
  renewal_take_data("{\"n\":2}");
  renewal_take_data("{\"n\":3}");
  renewal_take_over(1);
  renewal_take_data("{\"n\":4}");
  assert_int_equal(scene_metrics().duplicates, 2);
  loopback_hang_up(&scene.stream);
}

/* ---- what goes wrong --------------------------------------------------------------------------------------------- */

/* The renewal has failed with `code`: that is told, and the stream goes on. */
static void check_failed(sync_code code) {
  scene_take();
  assert_int_equal(scene.item.kind, SYNC_ITEM_ERROR);
  assert_string_equal(sync_code_name(scene.item.failure->code), sync_code_name(code));
  assert_true(scene.item.failure->next_retry_at_ms > 0);
  assert_int_equal(renewal_phase(), SYNC_RENEWAL_NONE);
  assert_int_equal(scene_metrics().renewals, 0);
  assert_int_equal(sync_client_state(scene.client), SYNC_CONNECTED);
  scene_send(EVENT(1));
  renewal_take_data("{\"n\":1}");
}

static void check_one_that_works(void) {
  renewal_begin("good");
  assert_true(loopback_asked(&successor, "X-Token: good"));
  renewal_respond(LOOPBACK_STREAM_HEAD);
  renewal_take_over(1);
  scene_send(EVENT(5));
  renewal_take_data("{\"n\":5}");
  loopback_hang_up(&scene.stream);
}

static void a_response_that_is_no_stream_is_told_and_the_old_one_stays(void **state) {
  (void)state;
  static const struct {
    const char *response;
    sync_code code;
  } rows[] = {
      {"HTTP/1.1 503 Busy\r\nContent-Length: 5\r\n\r\nlater", SYNC_HTTP_STATUS},
      {"HTTP/1.1 401 Who\r\nContent-Length: 0\r\n\r\n", SYNC_HTTP_AUTH},
      {"HTTP/1.1 403 No\r\nContent-Length: 0\r\n\r\n", SYNC_HTTP_AUTH},
      {"HTTP/1.1 204 Away\r\n\r\n", SYNC_HTTP_NO_CONTENT},
      {"HTTP/1.1 200 OK\r\nContent-Type: text/html\r\nContent-Length: 6\r\n\r\n<html>", SYNC_CONTENT_TYPE},
      {"HTTP/1.1 307 Moved\r\nContent-Length: 0\r\n\r\n", SYNC_HTTP_REDIRECT},
      {"", SYNC_NETWORK},
      {LOOPBACK_STREAM_HEAD, SYNC_STREAM_ENDED},
      {"no HTTP at all\r\n\r\n", SYNC_HTTP_PROTOCOL},
  };
  renewal_open();
  for (size_t i = 0; i < COUNT_OF(rows); i++) {
    renewal_begin("bad");
    loopback_send(&successor, rows[i].response);
    loopback_hang_up(&successor);
    check_failed(rows[i].code);
    assert_int_equal(scene_metrics().failures, i + 1);
  }
  check_one_that_works();
}

static void a_server_that_cannot_be_reached_is_told_and_the_old_stream_stays(void **state) {
  (void)state;
  struct loopback nobody;
  char redirect[192];
  loopback_bind(&nobody);
  renewal_open();
  renewal_begin("bad");
  (void)snprintf(redirect, sizeof redirect, "HTTP/1.1 307 Moved\r\nLocation: %s\r\n\r\n", nobody.url);
  loopback_send(&successor, redirect);
  check_failed(SYNC_REFUSED);
  loopback_hang_up(&successor);
  loopback_close(&nobody);
  check_one_that_works();
}

static void a_host_without_an_answer_keeps_the_old_stream(void **state) {
  (void)state;
  renewal_open();
  renewal_make_due();
  scene_take();
  assert_int_equal(scene.item.kind, SYNC_ITEM_ASK);
  assert_int_equal(sync_client_refuse(scene.client, "no token today"), SYNC_OK);
  check_failed(SYNC_CREDENTIALS);
  check_one_that_works();
}

static void no_response_in_time_is_told_and_the_old_stream_stays(void **state) {
  (void)state;
  renewal_open();
  renewal_begin("bad");
  renewal_make_due();
  loopback_await_end(scene.loop, &successor);
  check_failed(SYNC_CONNECT_TIMEOUT);
  renewal_begin("bad"); /* an excerpt that never comes is not waited for either */
  loopback_send(&successor, "HTTP/1.1 503 Busy\r\nContent-Length: 5\r\n\r\n");
  while (!scene.client->successor->ending) assert_int_equal(sync_loop_step(scene.loop, 0, 0), SYNC_OK);
  renewal_make_due();
  loopback_await_end(scene.loop, &successor);
  check_failed(SYNC_HTTP_STATUS);
  check_one_that_works();
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, scene_set_up, scene_tear_down)

int main(void) {
  static const struct CMUnitTest tests[] = {
      TEST(credentials_are_asked_for_before_they_expire),
      TEST(the_new_stream_is_open_before_the_old_one_is_closed),
      TEST(one_renewal_follows_the_other),
      TEST(the_way_may_lead_over_a_redirect),
      TEST(what_both_streams_bring_comes_once_and_in_order),
      TEST(what_only_the_new_stream_brings_is_not_missed),
      TEST(a_host_that_is_slow_misses_nothing),
      TEST(copies_from_the_new_stream_are_dropped_once_each),
      TEST(what_came_before_the_renewal_is_no_copy),
      TEST(what_comes_much_later_is_no_copy),
      TEST(what_an_earlier_renewal_left_is_no_copy),
      TEST(the_old_stream_is_read_until_the_new_one_takes_over),
      TEST(a_response_that_is_no_stream_is_told_and_the_old_one_stays),
      TEST(a_server_that_cannot_be_reached_is_told_and_the_old_stream_stays),
      TEST(a_host_without_an_answer_keeps_the_old_stream),
      TEST(no_response_in_time_is_told_and_the_old_stream_stays),
  };
  return cmocka_run_group_tests(tests, NULL, NULL);
}
