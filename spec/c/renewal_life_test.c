/* renewal_life_test.c - what ends or interrupts a renewal, in each of its phases: the host, a loss, the network. */
#include "renewal_scene.h"

static const enum sync_renewal_phase phases[] = {SYNC_RENEWAL_ASKING, SYNC_RENEWAL_OPENING, SYNC_RENEWAL_READY};

#define EVENT(n) "data: {\"n\":" #n "}\n\n"

/* A client whose stream, without ids, is being renewed, in this phase; it stays there until something is done. */
static void be_in(enum sync_renewal_phase phase) {
  renewal_open();
  scene_send(EVENT(1));
  renewal_take_data("{\"n\":1}");
  if (phase == SYNC_RENEWAL_ASKING) {
    renewal_make_due();
    scene_await(SYNC_ITEM_ASK);
  } else {
    renewal_begin("2");
  }
  if (phase == SYNC_RENEWAL_READY) {
    renewal_respond(LOOPBACK_STREAM_HEAD EVENT(2));
    scene.client->connection.renewal.deadline_ms = INT64_MAX;
  }
  assert_int_equal(renewal_phase(), phase);
}

/* The client closes what it had open in `phase`. */
static void await_ends(enum sync_renewal_phase phase) {
  loopback_await_end(scene.loop, &scene.stream);
  if (phase != SYNC_RENEWAL_ASKING) loopback_await_end(scene.loop, &successor);
}

/* A stream is opened as if nothing had been, with `token`, and renewed. */
static void check_begun_anew(const char *token) {
  char line[40];
  (void)snprintf(line, sizeof line, "X-Token: %s", token);
  scene_await(SYNC_ITEM_ASK);
  const sync_header header = {SPAN("X-Token"), span_of(token)};
  assert_int_equal(sync_client_answer(scene.client, &header, 1, HOUR_MS, NULL), SYNC_OK);
  scene_serve();
  assert_true(loopback_asked(&scene.stream, line));
  scene_await_state(SYNC_CONNECTED);
  assert_null(scene.client->successor);
  renewal_begin("4");
  renewal_respond(LOOPBACK_STREAM_HEAD EVENT(9));
  renewal_take_over(1);
  renewal_take_data("{\"n\":9}");
  loopback_hang_up(&scene.stream);
  sync_client_free(scene.client);
}

/* ---- the host ---------------------------------------------------------------------------------------------------- */

static void a_client_is_closed_in_every_phase(void **state) {
  (void)state;
  for (size_t i = 0; i < COUNT_OF(phases); i++) {
    be_in(phases[i]);
    sync_client_free(scene.client);
    await_ends(phases[i]);
  }
}

static void a_loop_is_ended_in_every_phase(void **state) {
  for (size_t i = 0; i < COUNT_OF(phases); i++) {
    be_in(phases[i]);
    assert_int_equal(scene_tear_down(state), 0);
    loopback_hang_up(&scene.stream);
    if (phases[i] != SYNC_RENEWAL_ASKING) loopback_hang_up(&successor);
    assert_int_equal(scene_set_up(state), 0);
  }
}

static void who_disconnects_drops_both_and_can_come_back(void **state) {
  (void)state;
  for (size_t i = 0; i < COUNT_OF(phases); i++) {
    be_in(phases[i]);
    assert_int_equal(sync_client_disconnect(scene.client), SYNC_OK);
    await_ends(phases[i]);
    scene_await_state(SYNC_DISCONNECTED);
    assert_int_equal(sync_client_answer(scene.client, NULL, 0, 0, NULL), SYNC_OK); /* too late, and nobody's */
    assert_int_equal(sync_client_state(scene.client), SYNC_DISCONNECTED);
    assert_int_equal(sync_client_connect(scene.client), SYNC_OK);
    check_begun_anew("3");
  }
}

static void who_reconnects_drops_both_and_begins_anew(void **state) {
  (void)state;
  for (size_t i = 0; i < COUNT_OF(phases); i++) {
    be_in(phases[i]);
    assert_int_equal(sync_client_reconnect(scene.client), SYNC_OK);
    await_ends(phases[i]);
    check_begun_anew("3");
  }
}

static void another_network_drops_both_and_begins_anew(void **state) {
  (void)state;
  for (size_t i = 0; i < COUNT_OF(phases); i++) {
    be_in(phases[i]);
    assert_int_equal(sync_client_network_changed(scene.client), SYNC_OK);
    await_ends(phases[i]);
    scene_await_failure(SYNC_NETWORK_CHANGED);
    check_begun_anew("3");
  }
}

static void another_question_drops_both_and_asks_it(void **state) {
  (void)state;
  for (size_t i = 0; i < COUNT_OF(phases); i++) {
    be_in(phases[i]);
    scene.options.order_id = i % 2 ? "ORDER-1" : "ORDER-2";
    assert_int_equal(sync_client_configure(scene.client, &scene.options, NULL), SYNC_OK);
    await_ends(phases[i]);
    check_begun_anew("3");
  }
}

static void options_of_ours_alone_leave_the_renewal_as_it_is(void **state) {
  (void)state;
  for (size_t i = 0; i < COUNT_OF(phases); i++) {
    be_in(phases[i]);
    scene.options.event_history_limit++;
    assert_int_equal(sync_client_configure(scene.client, &scene.options, NULL), SYNC_OK);
    assert_int_equal(renewal_phase(), phases[i]);
    if (phases[i] == SYNC_RENEWAL_ASKING) {
      assert_int_equal(sync_client_answer(scene.client, NULL, 0, 0, NULL), SYNC_OK);
      loopback_accept(&scene.server, scene.loop, &successor);
    }
    if (phases[i] != SYNC_RENEWAL_READY) renewal_respond(LOOPBACK_STREAM_HEAD EVENT(2));
    renewal_take_over(1);
    renewal_take_data("{\"n\":2}");
    loopback_hang_up(&scene.stream);
    sync_client_free(scene.client);
  }
}

/* ---- a loss ------------------------------------------------------------------------------------------------------ */

static void a_loss_ends_what_is_not_ready_and_begins_anew(void **state) {
  (void)state;
  for (size_t i = 0; phases[i] != SYNC_RENEWAL_READY; i++) {
    be_in(phases[i]);
    loopback_hang_up(&scene.stream);
    scene_await_failure(SYNC_STREAM_ENDED);
    if (phases[i] == SYNC_RENEWAL_OPENING) loopback_await_end(scene.loop, &successor);
    check_begun_anew("3");
  }
}

/* Neither a state nor a failure is told: there was a stream all the time. */
static void a_loss_with_the_new_stream_ready_is_none(void **state) {
  (void)state;
  be_in(SYNC_RENEWAL_READY);
  loopback_hang_up(&scene.stream);
  renewal_take_data("{\"n\":2}");
  assert_int_equal(scene_metrics().renewals, 1);
  assert_int_equal(scene_metrics().failures, 0);
  assert_int_equal(sync_client_state(scene.client), SYNC_CONNECTED);
  loopback_hang_up(&successor);
}

/* What had come before the loss comes before what the new stream brings. */
static void what_the_old_stream_brought_last_is_read_first(void **state) {
  (void)state;
  be_in(SYNC_RENEWAL_READY);
  scene_send(EVENT(2) EVENT(3));
  loopback_hang_up(&scene.stream);
  renewal_take_data("{\"n\":2}");
  renewal_take_data("{\"n\":3}");
  loopback_send(&successor, EVENT(3) EVENT(4));
  renewal_take_data("{\"n\":4}");
  assert_int_equal(scene_metrics().duplicates, 2);
  loopback_hang_up(&successor);
}

/* Silence is a loss too, and found while the successor waits. */
static void a_silent_stream_is_replaced_by_the_one_that_is_ready(void **state) {
  (void)state;
  be_in(SYNC_RENEWAL_READY);
  scene.client->connection.heard_at_ms -= 2 * HOUR_MS; /* as if it had been so long */
  scene.client->connection.deadline_ms = 0;
  sync_client_set_timer(scene.client);
  loopback_await_end(scene.loop, &scene.stream);
  renewal_take_data("{\"n\":2}");
  assert_int_equal(scene_metrics().renewals, 1);
  loopback_hang_up(&successor);
}

/* Half an event of the old stream is in hand, and there is no memory to begin with the new one: it is closed like the
 * old one, and nothing of it is read as if it were the rest. */
static void a_new_stream_that_cannot_be_begun_with_is_lost(void **state) {
  (void)state;
  char byte;
  scene.options.reconnect_delay_ms = scene.options.max_reconnect_delay_ms = HOUR_MS;
  renewal_open();
  scene_send_event(1);
  renewal_take_event("1");
  uint64_t bytes = scene_metrics().total_bytes;
  scene_send("data: {\"half");
  while (scene_metrics().total_bytes == bytes) assert_int_equal(sync_loop_step(scene.loop, 0, 0), SYNC_OK);
  renewal_begin("2");
  loopback_send(&successor, LOOPBACK_STREAM_HEAD "id: 2\ndata: {\"n\":2}\n\n");
  counting_alloc_refuse(&scene.memory, 1, SIZE_MAX);
  renewal_take_over(1);
  counting_alloc_allow(&scene.memory);
  for (int i = 0; i < 3; i++) assert_int_equal(sync_loop_step(scene.loop, 0, 0), SYNC_OK);
  assert_int_equal(recv(successor.socket, &byte, 1, MSG_DONTWAIT), 0);
  assert_int_equal(scene_metrics().parse_errors, 0);
  assert_int_equal(scene_metrics().total_events, 1);
  assert_int_equal(scene.client->connection.phase, SYNC_PHASE_WAITING);
  assert_int_equal(sync_client_reconnect(scene.client), SYNC_OK);
  scene_await(SYNC_ITEM_ASK);
  assert_int_equal(sync_client_answer(scene.client, NULL, 0, 0, NULL), SYNC_OK);
  loopback_hang_up(&scene.stream);
  scene_serve();
  assert_true(loopback_asked(&scene.stream, "Last-Event-ID: 1"));
  scene_send_event(2);
  scene_await_event("2");
  loopback_hang_up(&scene.stream);
}

/* Both wait to be handed on when there is no memory: the stream for room, its successor to be told that it cannot be
 * watched. The end of the first ends the second, which is next in turn. */
static void what_waits_is_given_up_together(void **state) {
  (void)state;
  char large[6000];
  (void)snprintf(large, sizeof large, "id: 3\ndata: {\"data\":\"%05000d\"}\n\n", 0);
  scene.options.queue_limit = 2;
  renewal_open();
  renewal_make_due();
  renewal_answer("2", HOUR_MS);
  scene_send_event(1);
  scene_send_event(2);
  scene_send(large);
  counting_alloc_refuse(&scene.memory, 1, 1); /* to watch the socket that is opened in this turn */
  while (!sync_exchange_is_paused(scene.client->stream->exchange))
    assert_int_equal(sync_loop_step(scene.loop, 0, 0), SYNC_OK);
  assert_true(sync_exchange_is_paused(scene.client->successor->exchange));
  renewal_take_event("1");
  renewal_take_event("2");
  counting_alloc_refuse(&scene.memory, 1, SIZE_MAX);
  assert_int_equal(sync_loop_step(scene.loop, 0, 0), SYNC_OK);
  counting_alloc_allow(&scene.memory);
  assert_null(scene.client->successor);
  scene_await(SYNC_ITEM_ASK);
  assert_int_equal(sync_client_answer(scene.client, NULL, 0, 0, NULL), SYNC_OK);
  loopback_hang_up(&scene.stream);
  close(accept(scene.server.listener, NULL, NULL)); /* the successor's, which was connected for a moment */
  scene_serve();
  assert_true(loopback_asked(&scene.stream, "Last-Event-ID: 2"));
  scene_send_event(3);
  scene_await_event("3");
  loopback_hang_up(&scene.stream);
}

/* The question of the renewal and that of the reconnect are both open: each answer goes to whoever waits. */
static void two_questions_make_one_request(void **state) {
  (void)state;
  be_in(SYNC_RENEWAL_ASKING);
  loopback_hang_up(&scene.stream);
  const sync_header late = {SPAN("X-Token"), SPAN("late")}, later = {SPAN("X-Token"), SPAN("later")};
  scene_await(SYNC_ITEM_ASK);
  assert_int_equal(sync_client_answer(scene.client, &late, 1, HOUR_MS, NULL), SYNC_OK);
  assert_int_equal(sync_client_answer(scene.client, &later, 1, HOUR_MS, NULL), SYNC_OK);
  scene_serve();
  assert_true(loopback_asked(&scene.stream, "X-Token: late"));
  scene_await_state(SYNC_CONNECTED);
  scene_send(EVENT(2));
  renewal_take_data("{\"n\":2}");
  assert_int_equal(scene_metrics().total_connections, 2);
  loopback_hang_up(&scene.stream);
}

/* ---- the answer -------------------------------------------------------------------------------------------------- */

/* Nor is it kept for a connect that was never asked about. */
static void an_answer_that_nobody_waits_for_is_forgotten(void **state) {
  (void)state;
  const sync_header late = {SPAN("X-Token"), SPAN("late")};
  be_in(SYNC_RENEWAL_ASKING);
  assert_int_equal(sync_client_disconnect(scene.client), SYNC_OK);
  loopback_await_end(scene.loop, &scene.stream);
  assert_int_equal(sync_client_answer(scene.client, &late, 1, 0, NULL), SYNC_OK);
  scene.options.ask_headers = false;
  assert_int_equal(sync_client_configure(scene.client, &scene.options, NULL), SYNC_OK);
  assert_int_equal(sync_client_connect(scene.client), SYNC_OK);
  scene_serve();
  assert_null(strstr(scene.stream.request, "X-Token"));
  loopback_hang_up(&scene.stream);
}

/* Any number is a time; the sum of it and the clock must be one too. */
static void any_time_to_live_can_be_answered(void **state) {
  (void)state;
  static const int64_t times_ms[] = {INT64_MAX, INT64_MAX / 2, INT64_MIN, -1, 0};
  scene.options.ask_headers = true;
  scene_connect();
  for (size_t i = 0; i < COUNT_OF(times_ms); i++) {
    scene_await(SYNC_ITEM_ASK);
    assert_int_equal(sync_client_answer(scene.client, NULL, 0, times_ms[i], NULL), SYNC_OK);
    scene_serve();
    scene_await_state(SYNC_CONNECTED);
    assert_int_equal(renewal_phase(), SYNC_RENEWAL_NONE);
    scene_send_event((unsigned)i);
    scene_await(SYNC_ITEM_EVENT); /* and no question before it */
    loopback_hang_up(&scene.stream);
  }
}

static void a_bad_header_is_named_and_the_answer_still_wanted(void **state) {
  (void)state;
  static const sync_header good = {SPAN("X-Token"), SPAN("good")};
  const sync_header bad[] = {good, {SPAN("X-Bad"), SPAN("secret\r\nX: y")}};
  sync_failure failure;
  be_in(SYNC_RENEWAL_ASKING);
  assert_int_equal(sync_client_answer(scene.client, bad, 2, HOUR_MS, &failure), SYNC_HEADER);
  assert_int_equal(failure.code, SYNC_HEADER);
  assert_non_null(strstr(failure.message, "X-Bad"));
  assert_null(strstr(failure.message, "secret"));
  assert_int_equal(sync_client_answer(scene.client, bad, 2, HOUR_MS, NULL), SYNC_HEADER);
  assert_int_equal(renewal_phase(), SYNC_RENEWAL_ASKING);
  assert_int_equal(sync_client_answer(scene.client, &good, 1, HOUR_MS, NULL), SYNC_OK);
  loopback_accept(&scene.server, scene.loop, &successor);
  assert_true(loopback_asked(&successor, "X-Token: good"));
  loopback_hang_up(&successor);
  loopback_hang_up(&scene.stream);
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, scene_set_up, scene_tear_down)

int main(void) {
  static const struct CMUnitTest tests[] = {
      TEST(a_client_is_closed_in_every_phase),
      TEST(a_loop_is_ended_in_every_phase),
      TEST(who_disconnects_drops_both_and_can_come_back),
      TEST(who_reconnects_drops_both_and_begins_anew),
      TEST(another_network_drops_both_and_begins_anew),
      TEST(another_question_drops_both_and_asks_it),
      TEST(options_of_ours_alone_leave_the_renewal_as_it_is),
      TEST(a_loss_ends_what_is_not_ready_and_begins_anew),
      TEST(a_loss_with_the_new_stream_ready_is_none),
      TEST(what_the_old_stream_brought_last_is_read_first),
      TEST(a_silent_stream_is_replaced_by_the_one_that_is_ready),
      TEST(a_new_stream_that_cannot_be_begun_with_is_lost),
      TEST(what_waits_is_given_up_together),
      TEST(two_questions_make_one_request),
      TEST(an_answer_that_nobody_waits_for_is_forgotten),
      TEST(any_time_to_live_can_be_answered),
      TEST(a_bad_header_is_named_and_the_answer_still_wanted),
  };
  return cmocka_run_group_tests(tests, NULL, NULL);
}
