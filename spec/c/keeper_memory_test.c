/*
 * keeper_memory_test.c - the Nth request for memory is refused in a session with a journal, for every N until none is:
 * no crash, no leak, and when there is memory again nothing is lost. SQLite's own memory is not ours to refuse.
 */
#include "keeper_scene.h"

static size_t handled[32];  /* how often each event was delivered, in all lives */
static size_t repeated[32]; /* and how often of these it was redelivered */

static void count_event(sync_event *event) {
  unsigned number = number_of(sync_event_text(event, SYNC_EVENT_ID));
  if (number == 0) return;
  assert_in_range(number, 1, COUNT_OF(handled) - 1);
  handled[number]++;
  repeated[number] += sync_event_redelivered(event);
}

/* ---- the server -------------------------------------------------------------------------------------------------- */

/* How many events it has sent so far: a stream that is asked for begins behind the id that it names. */
static unsigned sent;

static void serve(void) {
  sync_played_request request;
  char replay[8192] = "";
  while (sync_client_play_request(client, &request)) {
    replay[0] = '\0';
    for (unsigned number = number_of(request.last_event_id) + 1; !request.poll && number <= sent; number++)
      strcat(replay, event_text(number));
    if (request.poll)
      sync_client_play_response(client, 200, "application/json", NULL, 0, span_of(snapshot));
    else
      sync_client_play_response(client, 200, "text/event-stream", NULL, 0, span_of(replay));
    settle();
  }
}

static void send_up_to(unsigned last) {
  while (sent < last) {
    sent++;
    (void)sync_client_play_bytes(client, span_of(event_text(sent))); /* or it is in the next replay */
  }
  settle();
}

/* ---- lives ------------------------------------------------------------------------------------------------------- */

static void begin_whatever_happens(void) {
  while (!(client = sync_client_new(loop, &options, &failure))) assert_int_equal(failure.code, SYNC_NO_MEMORY);
  while (!sync_client_subscribe(client, NULL)) continue;
  serve();
  settle();
}

static void wait_for_everything(void) {
  for (int second = 0; second < 100; second++) {
    pass(1000);
    serve();
  }
}

static void do_effect_twice(uint64_t seq) {
  sync_effect effect = SYNC_EFFECT_STARTED;
  while (sync_client_effect_begin(client, seq, SPAN("print"), &effect) != SYNC_OK) continue;
  assert_int_equal(effect, SYNC_EFFECT_NEW);
  while (sync_client_effect_end(client, seq, SPAN("print"), true) != SYNC_OK) continue;
  while (sync_client_effect_begin(client, seq, SPAN("print"), &effect) != SYNC_OK) continue;
  assert_int_equal(effect, SYNC_EFFECT_DONE);
}

/* Events, an effect, a dead letter, a held event and a restart. */
static void live(void) {
  sent = 0;
  begin_whatever_happens();
  send_up_to(4);
  do_effect_twice(1);
  while (!sync_client_history(client, 0)) { /* which an event may miss for want of memory */
    wait_for_everything();
    send_up_to(sent + 1);
  }
  while (sync_client_bury(client, sync_client_history(client, 0), SPAN("no"), 1) != SYNC_OK) continue;
  send_up_to(sent + 5);
  uint64_t none = 0;
  sync_dead_letter letter;
  (void)sync_client_next_dead(client, &none, &letter);
  while (sync_client_redeliver(client, 0) == SYNC_NO_MEMORY) continue;
  settle();
  (void)sync_client_play_end(client, SYNC_STREAM_CUT);
  wait_for_everything();
  end();
  begin_whatever_happens();
  send_up_to(sent + 5);
}

static void check_everything(void) {
  wait_for_everything();
  for (unsigned number = 1; number <= sent; number++) {
    if (!handled[number]) fail_msg("event %u was not delivered", number);
    assert_true(handled[number] - repeated[number] <= 1);
  }
  assert_int_equal(health().journal.code, SYNC_OK);
  assert_int_equal(health().unsaved, 0);
  end();
  char expected[64];
  (void)snprintf(expected, sizeof expected, "%u %u 1 \n", sent, sent);
  check_sql("SELECT count(DISTINCT id), max(id + 0), min(done OR seq <= done_seq) FROM event JOIN stream WHERE id",
            expected);
  check_sql("SELECT name, state FROM effect", "print done \n");
  check_sql("SELECT count(*) FROM dead_letter WHERE wanted", "0 \n");
}

static void live_once(size_t nth, size_t count) {
  memset(handled, 0, sizeof handled);
  memset(repeated, 0, sizeof repeated);
  sync_loop_free(loop);
  counting_alloc_check(&memory);
  folder_empty(folder_name);
  loop = sync_loop_new_played(&memory.allocator);
  assert_non_null(loop);
  counting_alloc_refuse(&memory, nth, count);
  live();
  counting_alloc_allow(&memory);
  check_everything();
}

static void survive_everywhere(size_t count) {
  size_t nth = 0, before;
  handle = count_event;
  do {
    before = memory.refused;
    live_once(++nth, count);
  } while (memory.refused > before);
  assert_true(nth > 200);
}

static void one_refusal_anywhere_loses_nothing(void **state) {
  (void)state;
  survive_everywhere(1);
}

static void nor_do_several_in_a_row(void **state) {
  (void)state;
  survive_everywhere(3);
  survive_everywhere(10);
}

static void nor_with_an_order_book_that_is_polled(void **state) {
  (void)state;
  options.poll_url = "/orders";
  snapshot = "[{\"orderID\":\"A\",\"orderStage\":\"open\"}]";
  survive_everywhere(2);
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)

int main(void) {
  static const struct CMUnitTest tests[] = {
      TEST(one_refusal_anywhere_loses_nothing),
      TEST(nor_do_several_in_a_row),
      TEST(nor_with_an_order_book_that_is_polled),
  };
  return cmocka_run_group_tests(tests, NULL, NULL);
}
