/* cures_test.c - a client and its ledger of gaps: what the stream brings, what is refused and comes again, what is
 * told. */
#include "scene.h"

#define EVENT(id) "id: " #id "\ndata: {}\n\n"

static void open_dense(void) {
  scene.options.gap_ids = SYNC_GAP_IDS_DENSE;
  scene_open();
}

/* The server sends what came behind the id that it is asked for, and says so. */
static void serve_from(const char *id) {
  char text[256];
  scene_accept();
  (void)snprintf(text, sizeof text, "Last-Event-ID: %s\r\n", id);
  assert_non_null(strstr(scene.stream.request, text));
  (void)snprintf(text, sizeof text,
                 "HTTP/1.1 200 OK\r\nContent-Type: text/event-stream\r\nLast-Event-ID: %s\r\nConnection: close\r\n\r\n",
                 id);
  scene_send(text);
}

/* A client that is known to be sent again what it missed, and has the event with id 1. */
static void open_replaying(void) {
  open_dense();
  scene_send(EVENT(1));
  scene_await_event("1");
  loopback_hang_up(&scene.stream);
  serve_from("1");
  scene_await_state(SYNC_CONNECTED);
  scene_send(EVENT(2));
  scene_await_event("2");
}

static void check_gap(uint64_t number, sync_gap_reason reason, sync_gap_cure cure) {
  assert_int_equal(scene.item.gap->number, number);
  assert_string_equal(sync_gap_reason_name(scene.item.gap->reason), sync_gap_reason_name(reason));
  assert_string_equal(sync_gap_cure_name(scene.item.gap->cure), sync_gap_cure_name(cure));
}

/* ---- positions --------------------------------------------------------------------------------------------------- */

static void an_id_without_an_event_counts(void **state) {
  (void)state;
  open_dense();
  scene_send(EVENT(1) "id: 2\n\n" EVENT(3));
  scene_await_event("1");
  scene_await_event("3");
  assert_int_equal(scene_metrics().gaps, 0);
  assert_true(scene_health().complete);
  loopback_hang_up(&scene.stream);
}

static void what_cannot_be_read_is_no_gap_but_is_missing(void **state) {
  (void)state;
  open_dense();
  scene_send(EVENT(1) "id: 2\ndata: {\n\n" EVENT(3));
  scene_await_event("1");
  scene_await_failure(SYNC_EVENT_JSON);
  scene_await_event("3");
  assert_int_equal(scene_health().open_gaps, 0);
  assert_false(scene_health().complete);
  loopback_hang_up(&scene.stream);
}

static void what_is_too_large_is_no_gap_but_is_missing(void **state) {
  (void)state;
  scene.options.max_event_bytes = 16;
  open_dense();
  scene_send(EVENT(1) "id: 2\ndata: 01234567890123456789\n\n" EVENT(3));
  scene_await_event("1");
  scene_await_failure(SYNC_EVENT_TOO_LARGE);
  scene_await_event("3");
  assert_int_equal(scene_health().open_gaps, 0);
  assert_false(scene_health().complete);
  loopback_hang_up(&scene.stream);
}

/* ---- replay ------------------------------------------------------------------------------------------------------ */

static void of_a_server_that_may_not_replay_everything_is_taken(void **state) {
  (void)state;
  open_dense();
  scene_send(EVENT(1) EVENT(4));
  scene_await_event("1");
  scene_await(SYNC_ITEM_GAP);
  check_gap(1, SYNC_GAP_IDS, SYNC_CURE_NONE);
  assert_int_equal(scene.item.gap->missing, 2);
  scene_await_event("4");
  assert_int_equal(scene_metrics().total_connections, 1);
  loopback_hang_up(&scene.stream);
}

static void what_is_missing_comes_first(void **state) {
  (void)state;
  open_replaying();
  uint64_t failures = scene_metrics().failures;
  scene_send(EVENT(5));
  scene_await(SYNC_ITEM_GAP);
  check_gap(1, SYNC_GAP_IDS, SYNC_CURE_NONE);
  loopback_hang_up(&scene.stream);
  serve_from("2");
  scene_send(EVENT(3) EVENT(4) EVENT(5));
  scene_await_event("3");
  scene_await(SYNC_ITEM_GAP);
  check_gap(1, SYNC_GAP_IDS, SYNC_CURE_REPLAY);
  scene_await_event("4");
  scene_await_event("5");
  assert_int_equal(scene_metrics().failures, failures); /* it was our own wish */
  assert_int_equal(scene_metrics().total_events, 5);
  assert_true(scene_health().complete);
  loopback_hang_up(&scene.stream);
}

/* Three times is enough to know that nothing is there: from then on what comes is taken. */
static void replays_in_vain_come_to_an_end(void **state) {
  (void)state;
  char event[64], before[16], id[16];
  open_replaying();
  for (unsigned hole = 0; hole < 3; hole++) {
    (void)snprintf(before, sizeof before, "%u", 2 + 10 * hole);
    (void)snprintf(id, sizeof id, "%u", 12 + 10 * hole);
    (void)snprintf(event, sizeof event, "id: %s\ndata: {}\n\n", id);
    scene_send(event);
    scene_await(SYNC_ITEM_GAP);
    loopback_hang_up(&scene.stream);
    serve_from(before);
    scene_send(event);
    scene_await_event(id);
  }
  assert_int_equal(scene_metrics().total_connections, 5);
  scene_send(EVENT(50));
  scene_await_event("50");
  assert_int_equal(scene_metrics().total_connections, 5);
  assert_int_equal(scene_health().open_gaps, 4);
  loopback_hang_up(&scene.stream);
}

static void by_the_letter_of_the_standard_nothing_is_refused(void **state) {
  (void)state;
  scene.options.strict = true;
  open_replaying();
  scene_send(EVENT(5));
  scene_await_event("5");
  assert_int_equal(scene_health().open_gaps, 1);
  loopback_hang_up(&scene.stream);
}

/* ---- what is told ------------------------------------------------------------------------------------------------ */

static void what_a_gap_says_outlives_the_ledger_s_next_word(void **state) {
  (void)state;
  open_dense();
  scene_send("id: 7\nevent: resync\ndata: {\"reason\":\"too_old\"}\n\n");
  scene_await(SYNC_ITEM_GAP);
  assert_true(sync_client_give_up_gap(scene.client, 1));
  check_gap(1, SYNC_GAP_RESYNC, SYNC_CURE_NONE);
  check_span(scene.item.gap->detail, "too_old");
  scene_await(SYNC_ITEM_GAP);
  check_gap(1, SYNC_GAP_RESYNC, SYNC_CURE_GIVEN_UP);
  assert_false(sync_client_give_up_gap(scene.client, 1));
  loopback_hang_up(&scene.stream);
}

static void all_of_them_are_listed(void **state) {
  (void)state;
  sync_gap gap;
  open_dense();
  scene_send(EVENT(1) EVENT(3) EVENT(5));
  scene_await_event("1");
  scene_await_event("3");
  scene_await_event("5");
  assert_true(sync_client_gap(scene.client, 0, &gap));
  check_span(gap.after_id, "1");
  assert_true(sync_client_gap(scene.client, 1, &gap));
  check_span(gap.before_id, "5");
  assert_false(sync_client_gap(scene.client, 2, &gap));
  assert_int_equal(scene_metrics().gaps, 2);
  loopback_hang_up(&scene.stream);
}

int main(void) {
  const struct CMUnitTest tests[] = {
#define TEST(name) cmocka_unit_test_setup_teardown(name, scene_set_up, scene_tear_down)
      TEST(an_id_without_an_event_counts),
      TEST(what_cannot_be_read_is_no_gap_but_is_missing),
      TEST(what_is_too_large_is_no_gap_but_is_missing),
      TEST(of_a_server_that_may_not_replay_everything_is_taken),
      TEST(what_is_missing_comes_first),
      TEST(replays_in_vain_come_to_an_end),
      TEST(by_the_letter_of_the_standard_nothing_is_refused),
      TEST(what_a_gap_says_outlives_the_ledger_s_next_word),
      TEST(all_of_them_are_listed),
  };
  return cmocka_run_group_tests(tests, NULL, NULL);
}
