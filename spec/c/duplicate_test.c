/* duplicate_test.c - events that come again over real sockets: which are dropped, which are meant, and that nothing
 * else moves for those that are dropped. */
#include "scene.h"

/* The next item but states is an event with this id and data. */
static void take(const char *id, const char *data) {
  do {
    scene_take();
  } while (scene.item.kind == SYNC_ITEM_STATE || scene.item.kind == SYNC_ITEM_ERROR ||
           scene.item.kind == SYNC_ITEM_GAP);
  assert_int_equal(scene.item.kind, SYNC_ITEM_EVENT);
  check_span(sync_event_text(scene.item.event, SYNC_EVENT_ID), id);
  check_span(sync_event_text(scene.item.event, SYNC_EVENT_DATA), data);
}

/* The server ends the stream, and the client comes back for another. */
static void resume(void) {
  loopback_hang_up(&scene.stream);
  scene_serve();
}

#define ONE   "id: 1\ndata: 1\n\n"
#define TWO   "id: 2\ndata: 2\n\n"
#define THREE "id: 3\ndata: 3\n\n"
#define FOUR  "id: 4\ndata: 4\n\n"

/* ---- dropped ----------------------------------------------------------------------------------------------------- */

static void what_comes_again_after_a_resume_is_dropped(void **state) {
  (void)state;
  scene_open();
  scene_send(ONE TWO THREE);
  take("1", "1");
  take("2", "2");
  take("3", "3");
  resume();
  scene_send(TWO THREE FOUR);
  take("4", "4");
  assert_int_equal(sync_event_seq(scene.item.event), 4);
  assert_int_equal(scene_metrics().duplicates, 2);
  assert_int_equal(scene_metrics().total_events, 4);
  check_span(sync_event_text(sync_client_history(scene.client, 1), SYNC_EVENT_ID), "3");
  loopback_hang_up(&scene.stream);
}

/* A server that knows nothing of Last-Event-ID sends what it has each time. */
static void a_server_that_begins_at_the_beginning_is_bearable(void **state) {
  (void)state;
  scene_open();
  scene_send(ONE);
  take("1", "1");
  resume();
  scene_send(ONE TWO);
  take("2", "2");
  resume();
  scene_send(ONE TWO THREE);
  take("3", "3");
  assert_int_equal(scene_metrics().duplicates, 3);
  loopback_hang_up(&scene.stream);
}

static void the_window_slides(void **state) {
  (void)state;
  scene.options.duplicate_window = 2;
  scene_open();
  scene_send(ONE TWO THREE);
  take("1", "1");
  take("2", "2");
  take("3", "3");
  scene_send(TWO THREE ONE); /* the last two are known, the one before is not */
  take("1", "1");
  assert_int_equal(scene_metrics().duplicates, 2);
  loopback_hang_up(&scene.stream);
}

/* Where to resume, the history, the numbers of events: nothing goes back to what came again. */
static void a_duplicate_moves_nothing_back(void **state) {
  (void)state;
  scene_open();
  scene_send(ONE TWO THREE);
  take("1", "1");
  take("2", "2");
  take("3", "3");
  resume();
  assert_true(loopback_asked(&scene.stream, "Last-Event-ID: 3"));
  scene_send(ONE);
  while (scene_metrics().duplicates == 0) scene_step();
  check_span(scene_health().last_event_id, "3");
  check_span(sync_event_text(sync_client_history(scene.client, 0), SYNC_EVENT_ID), "3");
  resume();
  assert_true(loopback_asked(&scene.stream, "Last-Event-ID: 3"));
  scene_send(TWO FOUR);
  take("4", "4");
  check_span(scene_health().last_event_id, "4");
  resume();
  assert_true(loopback_asked(&scene.stream, "Last-Event-ID: 4"));
  loopback_hang_up(&scene.stream);
}

/* ---- meant ------------------------------------------------------------------------------------------------------- */

/* Some servers number everything alike, or begin with 1 again after a restart. */
static void another_event_with_the_same_id_is_meant(void **state) {
  (void)state;
  scene_open();
  scene_send(ONE "id: 1\ndata: 2\n\nid: 1\nevent: other\ndata: 1\n\n" ONE TWO);
  take("1", "1");
  take("1", "2");
  take("1", "1");
  check_span(sync_event_text(scene.item.event, SYNC_EVENT_TYPE), "other");
  take("2", "2");
  assert_int_equal(scene_metrics().duplicates, 1);
  loopback_hang_up(&scene.stream);
}

static void what_has_no_id_is_always_meant(void **state) {
  (void)state;
  scene_open();
  scene_send("data: 1\n\ndata: 1\n\n");
  take("", "1");
  take("", "1");
  resume();
  scene_send("data: 1\n\nid\ndata: 1\n\n");
  take("", "1");
  take("", "1");
  scene_send("id: 1\ndata: 1\n\ndata: 1\n\ndata: 1\n\n"); /* an id that is handed down is not their own */
  take("1", "1");
  take("1", "1");
  take("1", "1");
  assert_int_equal(scene_metrics().duplicates, 0);
  loopback_hang_up(&scene.stream);
}

/* Servers that put the last id on them send the same heartbeat over and over. */
static void heartbeats_are_always_meant(void **state) {
  (void)state;
  const sync_span type = SPAN("heartbeat");
  scene_open();
  assert_int_equal(sync_client_subscribe(scene.client, &(const sync_filter){.types = &type, .type_count = 1}), 2);
  for (int i = 0; i < 3; i++) scene_send("id: 1\nevent: heartbeat\ndata: {}\n\n");
  for (int i = 0; i < 3; i++) take("1", "{}");
  assert_int_equal(scene_metrics().heartbeats, 3);
  assert_int_equal(scene_metrics().duplicates, 0);
  loopback_hang_up(&scene.stream);
}

static void ids_that_differ_in_a_digit_are_others(void **state) {
  (void)state;
  scene_open();
  for (unsigned id = 16000000; id < 16000400; id++) {
    char event[64];
    (void)snprintf(event, sizeof event, "id: %u\ndata: {}\n\n", id);
    scene_send(event);
  }
  while (scene_metrics().total_events < 400) {
    assert_int_equal(scene_metrics().duplicates, 0);
    scene_step();
  }
  loopback_hang_up(&scene.stream);
}

/* ---- switched off ------------------------------------------------------------------------------------------------ */

static void without_a_window_everything_is_meant(void **state) {
  (void)state;
  scene.options.duplicate_window = 0;
  scene_open();
  scene_send(ONE ONE);
  take("1", "1");
  take("1", "1");
  loopback_hang_up(&scene.stream);
}

/* The standard knows nothing of duplicates. */
static void by_the_letter_of_the_standard_everything_is_meant(void **state) {
  (void)state;
  scene.options.strict = true;
  scene_open();
  scene_send(ONE ONE);
  take("1", "1");
  take("1", "1");
  loopback_hang_up(&scene.stream);
}

static void the_window_can_be_changed_under_an_open_stream(void **state) {
  (void)state;
  scene_open();
  scene_send(ONE);
  take("1", "1");
  scene.options.duplicate_window = 0;
  assert_int_equal(sync_client_configure(scene.client, &scene.options, NULL), SYNC_OK);
  scene_send(ONE);
  take("1", "1");
  scene.options.duplicate_window = 10;
  assert_int_equal(sync_client_configure(scene.client, &scene.options, NULL), SYNC_OK);
  scene_send(TWO TWO THREE);
  take("2", "2");
  take("3", "3");
  assert_int_equal(scene_metrics().duplicates, 1);
  loopback_hang_up(&scene.stream);
}

/* What another server sends is news, whatever it looks like. */
static void another_url_has_events_of_its_own(void **state) {
  (void)state;
  char url[80];
  scene_open();
  scene_send(ONE);
  take("1", "1");
  (void)snprintf(url, sizeof url, "%s/elsewhere", scene.server.url);
  scene.options.url = url;
  assert_int_equal(sync_client_configure(scene.client, &scene.options, NULL), SYNC_OK);
  loopback_await_end(scene.loop, &scene.stream);
  scene_serve();
  scene_send(ONE);
  take("1", "1");
  assert_int_equal(scene_metrics().duplicates, 0);
  loopback_hang_up(&scene.stream);
}

static void a_host_that_goes_back_gets_everything_again(void **state) {
  (void)state;
  scene_open();
  scene_send(ONE TWO);
  take("1", "1");
  take("2", "2");
  scene.options.last_event_id = "0";
  assert_int_equal(sync_client_configure(scene.client, &scene.options, NULL), SYNC_OK);
  loopback_await_end(scene.loop, &scene.stream);
  scene_serve();
  assert_true(loopback_asked(&scene.stream, "Last-Event-ID: 0"));
  scene_send(ONE TWO);
  take("1", "1");
  take("2", "2");
  loopback_hang_up(&scene.stream);
}

static int set_up(void **state) {
  int result = scene_set_up(state);
  scene.options.decode = SYNC_DECODE_NONE;
  return result;
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, set_up, scene_tear_down)

int main(void) {
  static const struct CMUnitTest tests[] = {
      TEST(what_comes_again_after_a_resume_is_dropped),
      TEST(a_server_that_begins_at_the_beginning_is_bearable),
      TEST(the_window_slides),
      TEST(a_duplicate_moves_nothing_back),
      TEST(another_event_with_the_same_id_is_meant),
      TEST(what_has_no_id_is_always_meant),
      TEST(heartbeats_are_always_meant),
      TEST(ids_that_differ_in_a_digit_are_others),
      TEST(without_a_window_everything_is_meant),
      TEST(by_the_letter_of_the_standard_everything_is_meant),
      TEST(the_window_can_be_changed_under_an_open_stream),
      TEST(another_url_has_events_of_its_own),
      TEST(a_host_that_goes_back_gets_everything_again),
  };
  return cmocka_run_group_tests(tests, NULL, NULL);
}
