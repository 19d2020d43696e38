/*
 * keeper_random_test.c - random days of a client with a journal: events, repetitions, cuts, acks, effects, restarts, a
 * disk that fails at any write and is mended, and death at any write. Held against a model of what may come when:
 * everything at least once; nothing that is known to be done; a second time only as redelivered, under the same number.
 *
 * What a process did while its disk failed dies with it (docs/guarantees.md): the model counts only what has been on
 * disk, which it knows when health or a flush says that all is well.
 */
#include "keeper_scene.h"

#define SEEDS       60
#define STEPS       150
#define EVENTS_MOST 2000u

static struct fact {
  unsigned handled;
  bool saved; /* the event is on disk, as `seq` */
  uint64_t seq;
  bool done;                /* as far as this life knows */
  bool final;               /* and that is on disk */
  sync_effect effect;       /* at least, for this life */
  sync_effect saved_effect; /* at least, on disk */
  unsigned runs;
} facts[EVENTS_MOST + 1];

static unsigned sent;     /* by the server, so far */
static unsigned in_hand;  /* taken last; 0: none */
static bool answered;     /* it was acknowledged already */
static uint64_t last_seq; /* taken in this life */
static uint64_t random_state;

static unsigned roll(unsigned sides) {
  random_state = random_state * UINT64_C(6364136223846793005) + UINT64_C(1442695040888963407);
  return (unsigned)(random_state >> 33) % sides;
}

static bool is_well(void) {
  return health().journal.code == SYNC_OK;
}

/* ---- what the model learns --------------------------------------------------------------------------------------- */

/* All that this life has done is on disk. */
static void learn_all_is_saved(void) {
  for (unsigned number = 1; number <= sent; number++) {
    struct fact *fact = &facts[number];
    if (fact->done) fact->final = true;
    fact->saved_effect = fact->effect;
  }
}

static void learn_death(void) {
  for (unsigned number = 1; number <= sent; number++) {
    facts[number].done = facts[number].final;
    facts[number].effect = facts[number].saved_effect;
  }
  in_hand = 0;
}

static void flush(void) {
  if (sync_client_flush(client) == SYNC_OK) learn_all_is_saved();
}

static void learn_delivery(sync_event *event) {
  unsigned number = number_of(sync_event_text(event, SYNC_EVENT_ID));
  assert_in_range(number, 1, sent);
  struct fact *fact = &facts[number];
  assert_true(sync_event_seq(event) > last_seq);
  last_seq = sync_event_seq(event);
  if (fact->final) fail_msg("event %u comes again, and was done", number);
  if (fact->saved && !sync_event_redelivered(event) && fact->handled > 0) fail_msg("event %u is not flagged", number);
  if (fact->saved) assert_int_equal(sync_event_seq(event), fact->seq);
  fact->handled++;
  fact->saved = fact->saved || is_well();
  fact->seq = sync_event_seq(event);
  fact->done = false;
  in_hand = number;
  answered = false;
}

/* ---- what the host does ------------------------------------------------------------------------------------------ */

static void leave_event_in_hand(void) {
  if (in_hand && (!options.manual_ack || answered)) facts[in_hand].done = true;
  in_hand = 0;
}

static bool take_one(void) {
  leave_event_in_hand();
  if (!sync_client_next(client, &item)) return false;
  if (item.kind == SYNC_ITEM_EVENT) learn_delivery(item.event);
  return true;
}

static void do_turn(void) {
  step();
  for (unsigned count = roll(6); count > 0 && take_one(); count--) continue;
}

static void do_everything(void) {
  do {
    step();
    while (take_one()) continue;
    (void)sync_loop_ready(loop);
  } while (sync_loop_timeout_ms(loop) == 0);
}

static void wait_ms(int64_t ms) {
  int64_t until_ms = sync_loop_clock_ms(loop) + ms;
  while (sync_loop_clock_ms(loop) < until_ms) {
    sync_loop_play(loop, until_ms);
    do_everything();
  }
}

/* Begins the effect of the event in hand, and does it, unless it dies in between. */
static void do_effect(bool to_the_end) {
  struct fact *fact = &facts[in_hand];
  sync_effect effect;
  if (!in_hand) return;
  assert_int_equal(sync_client_effect_begin(client, fact->seq, SPAN("print"), &effect), SYNC_OK);
  if (effect < fact->effect && (is_well() || effect == SYNC_EFFECT_NEW))
    fail_msg("an effect of %u was forgotten", in_hand);
  if (effect == SYNC_EFFECT_DONE) {
    assert_true(fact->runs > 0);
    return;
  }
  fact->effect = SYNC_EFFECT_STARTED;
  if (is_well()) fact->saved_effect = fact->effect;
  if (!to_the_end) return;
  fact->runs++;
  assert_int_equal(sync_client_effect_end(client, fact->seq, SPAN("print"), true), SYNC_OK);
  fact->effect = SYNC_EFFECT_DONE;
  if (is_well()) fact->saved_effect = fact->effect;
}

static void ack_any(void) {
  unsigned number = sent ? 1 + roll(sent) : 0;
  struct fact *fact = &facts[number];
  if (!number || !fact->handled || !fact->seq) return;
  if (number != in_hand && !fact->saved && !is_well()) return; /* of another life, perhaps */
  assert_int_equal(sync_client_ack(client, fact->seq), SYNC_OK);
  if (options.manual_ack && number == in_hand) answered = true;
}

/* ---- the server -------------------------------------------------------------------------------------------------- */

static void serve(void) {
  sync_played_request request;
  static char replay[EVENTS_MOST * 128];
  while (sync_client_play_request(client, &request)) {
    size_t length = 0;
    for (unsigned number = number_of(request.last_event_id) + 1; number <= sent; number++)
      length += (size_t)snprintf(replay + length, sizeof replay - length, "%s", event_text(number));
    sync_client_play_response(client, 200, "text/event-stream", NULL, 0, (sync_span){replay, length});
    step();
  }
}

static void send_new(void) {
  for (unsigned count = roll(5); count > 0 && sent < EVENTS_MOST; count--) {
    sent++;
    (void)sync_client_play_bytes(client, span_of(event_text(sent)));
  }
}

/* The server repeats what it sent last, up to the end: ids must not go back for good. */
static void send_again(void) {
  unsigned first = sent > 6 ? sent - roll(6) : sent + 1;
  for (unsigned number = first; number <= sent; number++)
    (void)sync_client_play_bytes(client, span_of(event_text(number)));
}

static void cut(void) {
  (void)sync_client_play_end(client, SYNC_STREAM_CUT);
  do_turn();
}

/* ---- lives ------------------------------------------------------------------------------------------------------- */

/* A client that begins without its journal knows nothing of before: recovery_test.c. */
static void begin_life(void) {
  faulty_vfs_allow();
  client = sync_client_new(loop, &options, &failure);
  if (!client) fail_msg("%s", failure.message);
  assert_int_equal(sync_client_subscribe(client, NULL), 1);
  assert_true(is_well());
  last_seq = 0;
  serve();
}

static void begin_again(void) {
  flush();
  learn_death();
  end();
  begin_life();
}

static void die_now(void) {
  break_disk();
  learn_death();
  end();
  begin_life();
}

static void fail_disk(void) {
  static const int results[] = {SQLITE_FULL, SQLITE_IOERR_WRITE, SQLITE_READONLY};
  static const int numbers[] = {ENOSPC, EIO, EROFS};
  unsigned which = roll(3);
  faulty_vfs_refuse(FAULTY_CHANGES, 1 + roll(20), roll(2) ? SIZE_MAX : 1 + roll(4), results[which], numbers[which]);
}

/* From some write on nothing reaches the disk; the process does not live long after. */
static void fall_ill_and_die(void) {
  faulty_vfs_refuse(FAULTY_CHANGES, 1 + roll(12), SIZE_MAX, SQLITE_IOERR_WRITE, EIO);
  for (unsigned count = roll(6); count > 0; count--) {
    send_new();
    do_turn();
    do_effect(roll(2));
    if (roll(2)) ack_any();
  }
  die_now();
}

static void do_anything(void) {
  switch (roll(24)) {
  case 0: begin_again(); break;
  case 1: fall_ill_and_die(); break;
  case 2: die_now(); break;
  case 3: fail_disk(); break;
  case 4:
  case 5: faulty_vfs_allow(); break;
  case 6: cut(); break;
  case 7: send_again(); break;
  case 8: wait_ms(roll(5000)); break;
  case 9: flush(); break;
  case 10:
  case 11:
  case 12: ack_any(); break;
  case 13: do_effect(true); break;
  case 14: do_everything(); break;
  case 15:
  case 16:
  case 17: send_new(); break;
  default: do_turn(); break;
  }
  serve();
}

/* ---- days -------------------------------------------------------------------------------------------------------- */

/* What waits for a word gets one; what was put off is done. */
static void finish_day(void) {
  faulty_vfs_allow();
  for (int i = 0; i < 10; i++) {
    wait_ms(10000);
    serve();
    for (unsigned number = 1; options.manual_ack && number <= sent; number++)
      if (facts[number].handled) assert_int_equal(sync_client_ack(client, facts[number].seq), SYNC_OK);
  }
  do_everything();
  assert_int_equal(sync_client_flush(client), SYNC_OK);
  assert_int_equal(health().unsaved, 0);
  assert_int_equal(health().waiting_for_ack, 0);
  for (unsigned number = 1; number <= sent; number++)
    if (!facts[number].handled) fail_msg("event %u was lost", number);
}

static void check_file(void) {
  char expected[64];
  (void)snprintf(expected, sizeof expected, "%u %u 1 \n", sent, sent);
  check_sql("SELECT count(*), count(DISTINCT id), min(done OR seq <= done_seq) FROM event JOIN stream", expected);
  check_sql("SELECT count(*) FROM (SELECT id + 0 AS now, lag(id + 0) OVER (ORDER BY seq) AS before FROM event)"
            " WHERE now < before",
            "0 \n");
}

/* Each order is where its last event has left it. */
static void check_book(void) {
  begin();
  for (unsigned place = 0; place < 10 && place < sent; place++) {
    unsigned number = sent - place;
    sync_order order;
    char id[16], stage[16];
    (void)snprintf(id, sizeof id, "O%u", number % 10);
    (void)snprintf(stage, sizeof stage, "s%u", number);
    assert_true(sync_client_order(client, span_of(id), &order));
    check_span(order.stage, stage);
  }
  end();
}

static void live_day(uint64_t seed, bool manual_ack) {
  memset(facts, 0, sizeof facts);
  random_state = seed;
  sent = in_hand = 0;
  folder_empty(folder_name);
  options.manual_ack = manual_ack;
  options.queue_limit = 10 + roll(100);
  begin_life();
  for (int i = 0; i < STEPS; i++) do_anything();
  finish_day();
  end();
  check_file();
  check_book();
}

static void live_days(bool manual_ack) {
  for (uint64_t seed = 1; seed <= SEEDS; seed++) {
    live_day(seed, manual_ack);
    news[0] = '\0';
  }
}

static void random_days(void **state) {
  (void)state;
  live_days(false);
}

static void random_days_with_manual_acks(void **state) {
  (void)state;
  live_days(true);
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)

int main(void) {
  static const struct CMUnitTest tests[] = {
      TEST(random_days),
      TEST(random_days_with_manual_acks),
  };
  return cmocka_run_group_tests(tests, NULL, NULL);
}
