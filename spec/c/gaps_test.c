/* gaps_test.c - what ids mean, table by table and against a model; and what servers say. */
#include "gaps_scene.h"

/* ---- sequences of ids -------------------------------------------------------------------------------------------- */

/* `sent`: in the words of gaps_scene.h. */
struct sequence {
  const char *name;
  enum sync_gap_ids ids;
  const char *sent;
  const char *found; /* the gaps: reason, `:` and what is missing */
};

static const struct sequence sequences[] = {
    {"a step of a server that was not seen to count", SYNC_GAP_IDS_AUTO, "1..20 30..50", ""},
    {"a step when it was", SYNC_GAP_IDS_AUTO, "1..40 44", "ids:3"},
    {"one step short of it", SYNC_GAP_IDS_AUTO, "1..32 40 41", ""},
    {"exactly enough of it", SYNC_GAP_IDS_AUTO, "1..33 40 41", "ids:6"},
    {"an early step, then counting for long", SYNC_GAP_IDS_AUTO, "1 5 6..90 95", ""},
    {"an early step while the stream was away says nothing", SYNC_GAP_IDS_AUTO, "1..20 | 30..70 80", "ids:9"},
    {"steps before the break do not count with those behind it", SYNC_GAP_IDS_AUTO, "1..20 | 30..50 60", ""},
    {"a number that comes twice is no step", SYNC_GAP_IDS_AUTO, "1..20 20 20 21..40 44", "ids:3"},
    {"numbers sent again are no steps", SYNC_GAP_IDS_AUTO, "1..20 15..20 21..40 44", "ids:3"},
    {"events without id between", SYNC_GAP_IDS_AUTO, "1..20 - - 21..40 - 44", "ids:3"},
    {"a text, once", SYNC_GAP_IDS_AUTO, "1..20 start 21..90 95", ""},
    {"a text where it had counted", SYNC_GAP_IDS_AUTO, "1..40 start 50", ""},
    {"texts that the user calls dense", SYNC_GAP_IDS_DENSE, "1 start 4", "ids:2"},
    {"random ids", SYNC_GAP_IDS_AUTO, "7c9e6679-7425-40de-944b-e07fc1f90ae7 16fd2706-8baf-433b-82eb-8c7fada847da 7",
     ""},
    {"the user knows", SYNC_GAP_IDS_DENSE, "a-7 a-9", "ids:1"},
    {"the user knows that they mean nothing", SYNC_GAP_IDS_OPAQUE, "1..90 95 | b-1", ""},
    {"a hole at the begin of a stream", SYNC_GAP_IDS_AUTO, "1..40 | 43 44", "ids:2"},
    {"two holes", SYNC_GAP_IDS_DENSE, "1 3 4 8", "ids:1 ids:3"},
    {"zeros in front", SYNC_GAP_IDS_DENSE, "e-008 e-009 e-010 e-0012", "ids:1"},
    {"zeros alone", SYNC_GAP_IDS_DENSE, "000 001 002 004", "ids:1"},
    {"up to 2^64", SYNC_GAP_IDS_DENSE, "18446744073709551610 18446744073709551615", "ids:4"},
    {"round 2^64", SYNC_GAP_IDS_DENSE, "18446744073709551614 18446744073709551615 0 1 2 4", "ids:1"},
    {"beyond 2^64 nothing counts", SYNC_GAP_IDS_DENSE, "18446744073709551616 18446744073709551619", ""},
    {"beyond 2^64 where it had counted", SYNC_GAP_IDS_AUTO, "1..40 99999999999999999999 50", ""},
    {"late ones fill their hole from the front", SYNC_GAP_IDS_DENSE, "1 5 2 3", "ids:1"},
    {"from the back", SYNC_GAP_IDS_DENSE, "1 5 4 3", "ids:1"},
    {"in the middle", SYNC_GAP_IDS_DENSE, "1 7 4", "ids:2 ids:2"},
    {"in the middle, and then all of it", SYNC_GAP_IDS_DENSE, "1 7 4 2 3 5 6", "replay:0 replay:0"},
    {"all of it", SYNC_GAP_IDS_DENSE, "1 4 2 3 5", "replay:0"},
    {"what comes twice fills once", SYNC_GAP_IDS_DENSE, "1 5 2 2 2", "ids:2"},
    /* epochs */
    {"another epoch after a break", SYNC_GAP_IDS_AUTO, "x-1..40 | w-1 w-2", "epoch:0"},
    {"and a hole in that", SYNC_GAP_IDS_AUTO, "x-1..40 | w-1 w-4", "epoch:0 ids:2"},
    {"another epoch in mid-stream, from its beginning", SYNC_GAP_IDS_AUTO, "x-1..40 w-1 w-2", ""},
    {"from zero", SYNC_GAP_IDS_AUTO, "x-1..40 w-0 w-1", ""},
    {"not from its beginning", SYNC_GAP_IDS_AUTO, "x-1..40 w-2 w-3", "epoch:0"},
    {"one other prefix is enough", SYNC_GAP_IDS_AUTO, "x-1..20 w-1 x-21..90 x-95", ""},
    {"other prefixes while it is learned", SYNC_GAP_IDS_AUTO, "x-1..20 w-1..90 w-95", ""},
    {"another prefix after a break while it is learned", SYNC_GAP_IDS_AUTO, "x-1..20 | w-1..40 w-44", "ids:3"},
    {"an old number of a new epoch fills nothing", SYNC_GAP_IDS_DENSE, "x-1 x-9 | w-9 w-5", "ids:7 epoch:0"},
    {"a count that begins anew after a break", SYNC_GAP_IDS_AUTO, "1..40 | 1 2 3 5", "epoch:0 ids:1"},
    {"from zero as well", SYNC_GAP_IDS_AUTO, "1..40 | 0 1", "epoch:0"},
    {"old numbers of the old count fill nothing then", SYNC_GAP_IDS_DENSE, "1 5 6 | 1 3 2", "ids:3 epoch:0 replay:0"},
    {"an old number after a break that is not the first", SYNC_GAP_IDS_AUTO, "1..40 | 30..40 41", ""},
    {"the first number in mid-stream is one sent again", SYNC_GAP_IDS_AUTO, "1..40 1 41", ""},
    {"the first number again, alone", SYNC_GAP_IDS_DENSE, "1 | 1 2", ""},
    /* prefixes that are clocks */
    {"nchan, one a second", SYNC_GAP_IDS_AUTO, "1700000000:0 +1000 1700000001:0 +1000 1700000002:0 1700000002:1", ""},
    {"nchan, a burst, then later", SYNC_GAP_IDS_AUTO, "1700000000:0..40 +3600000 1700003600:0", ""},
    {"nchan, a burst, then later after a break", SYNC_GAP_IDS_AUTO, "1700000000:0..40 +3600000 | 1700003600:0", ""},
    {"and never again", SYNC_GAP_IDS_AUTO, "1700000000:0..40 | 1700003600:0..40 1700003600:45 | 1:0", ""},
    {"dates", SYNC_GAP_IDS_AUTO, "2026-09-30/1..40 | 2026-10-01/1", ""},
    {"a clock that goes back is none", SYNC_GAP_IDS_AUTO, "1700000000:0..40 | 1600000000:0", "epoch:0"},
    {"nor one in another shape", SYNC_GAP_IDS_AUTO, "1700000000:0..40 | 1800000000-0", "epoch:0"},
    {"nor one that loses a number", SYNC_GAP_IDS_AUTO, "1-1-1..40 | 2-1", "epoch:0"},
    {"only the first number that differs counts", SYNC_GAP_IDS_AUTO, "2026-10-1..40 | 2025-11-1", "epoch:0"},
    {"zeros in front of a clock", SYNC_GAP_IDS_AUTO, "0099:0..40 | 100:0", ""},
    {"a start time: it stood still for long", SYNC_GAP_IDS_AUTO, "1700-1..40 +120000 1700-41 | 1800-1", "epoch:0"},
    {"not for long enough", SYNC_GAP_IDS_AUTO, "1700-1..40 +119999 1700-41 | 1800-1", ""},
    {"silence is not standing still", SYNC_GAP_IDS_AUTO, "1700-1..40 +999999 | 1800-1", ""},
    {"what is sent again is not silence", SYNC_GAP_IDS_AUTO, "1700-1..40 +120000 1700-40 | 1800-1", "epoch:0"},
    {"each prefix has its own time", SYNC_GAP_IDS_AUTO, "1700-1..40 +120000 1700-41 1800-1 | 1900-1", ""},
    {"the user knows that it is none", SYNC_GAP_IDS_DENSE, "1700-1 | 1800-1", "epoch:0"},
};

static void write_found(char *out, size_t room) {
  size_t length = 0;
  out[0] = '\0';
  for (size_t i = 0; sync_gaps_get(&gaps, i); i++) {
    const struct sync_gap *gap = gap_at(i);
    const char *what = gap->cure ? sync_gap_cure_name(gap->cure) : sync_gap_reason_name(gap->reason);
    length += (size_t)snprintf(out + length, room - length, "%s%s:%llu", i ? " " : "", what,
                               (unsigned long long)gap->missing);
    assert_true(length < room);
  }
}

static void ids_mean_what_the_table_says(void **state) {
  (void)state;
  for (size_t i = 0; i < COUNT_OF(sequences); i++) {
    char found[256];
    begin_again(sequences[i].ids);
    may_replay = false;
    play(sequences[i].sent);
    write_found(found, sizeof found);
    if (strcmp(found, sequences[i].found) != 0)
      fail_msg("%s: '%s', not '%s'", sequences[i].name, found, sequences[i].found);
  }
}

static void a_filtered_stream_teaches_nothing(void **state) {
  (void)state;
  gaps.config.filtered = true;
  sync_gaps_configure(&gaps, &gaps.config, true);
  play("1..90 95");
  check_open(0);
  const struct sync_gaps_config known = {.ids = SYNC_GAP_IDS_DENSE, .filtered = true};
  sync_gaps_configure(&gaps, &known, false);
  play("1 3");
  check_open(1);
}

static void losing_the_filter_begins_the_learning(void **state) {
  (void)state;
  const struct sync_gaps_config filtered = {.filtered = true}, whole = {.filtered = false};
  sync_gaps_configure(&gaps, &filtered, false);
  play("1..90");
  sync_gaps_configure(&gaps, &whole, false);
  play("91..100 110");
  check_open(0);
}

static void another_stream_is_learned_anew_and_is_no_gap(void **state) {
  (void)state;
  play("x-1..40 x-44");
  check_open(1);
  sync_gaps_configure(&gaps, &gaps.config, true);
  reopen("");
  play("y-7 y-9");
  check_open(1);
}

static void the_same_stream_with_other_options_is_not(void **state) {
  (void)state;
  count_up("x-", 1);
  const struct sync_gaps_config config = {.can_fetch_order = true};
  sync_gaps_configure(&gaps, &config, false);
  see("x-99");
  check_open(1);
}

static void a_gap_says_when_and_where(void **state) {
  (void)state;
  begin_again(SYNC_GAP_IDS_DENSE);
  gaps.config.order_id = "ORDER-7";
  now_ms = 5000;
  see("e-3");
  now_ms = 6000;
  see("e-6");
  const struct sync_gap *gap = gap_at(0);
  check_gap(0, SYNC_GAP_IDS, SYNC_CURE_NONE, 2);
  assert_int_equal(gap->number, 1);
  assert_int_equal(gap->through, 1);
  assert_int_equal(gap->opened_at_ms, 6000);
  assert_int_equal(gap->closed_at_ms, 0);
  check_span(gap->after_id, "e-3");
  check_span(gap->before_id, "e-6");
  check_span(gap->order_id, "ORDER-7");
  check_span(gap->detail, "");
  now_ms = 7000;
  see("e-4");
  now_ms = 8000;
  see("e-5");
  check_gap(0, SYNC_GAP_IDS, SYNC_CURE_REPLAY, 0);
  assert_int_equal(gap_at(0)->closed_at_ms, 8000);
  see("e-9");
  check_span(gap_at(1)->after_id, "e-6");
}

static void long_ids_are_kept_and_endless_ones_left_out(void **state) {
  (void)state;
  static char id[SYNC_GAP_TEXT_MAX + 2];
  begin_again(SYNC_GAP_IDS_DENSE);
  for (size_t length = SYNC_GAP_TEXT_MAX; length <= SYNC_GAP_TEXT_MAX + 1; length++) {
    memset(id, 'x', length);
    id[length - 1] = '1';
    see(id);
    id[length - 1] = '3';
    see(id);
  }
  assert_int_equal(gap_at(0)->after_id.length, SYNC_GAP_TEXT_MAX);
  assert_int_equal(gap_at(1)->after_id.length, 0);
  check_gap(1, SYNC_GAP_IDS, SYNC_CURE_NONE, 1);
}

/* ---- what servers say -------------------------------------------------------------------------------------------- */

static void a_break_without_ids_is_a_gap(void **state) {
  (void)state;
  reopen("");
  check_open(0); /* nothing came before */
  see("");
  reopen("");
  check_gap(0, SYNC_GAP_NO_REPLAY, SYNC_CURE_NONE, 0);
  reopen("");
  check_open(2);
  begin_again(SYNC_GAP_IDS_DENSE);
  play("1 2");
  reopen("");
  see("9"); /* that is the same gap */
  check_open(1);
}

static void a_break_with_an_id_is_none(void **state) {
  (void)state;
  see("abc");
  reopen("abc");
  check_open(0);
}

static void what_came_in_an_earlier_life_counts(void **state) {
  (void)state;
  sync_gaps_restore_past(&gaps);
  reopen("");
  check_gap(0, SYNC_GAP_NO_REPLAY, SYNC_CURE_NONE, 0);
}

static void a_hub_says_that_its_history_does_not_reach_back(void **state) {
  (void)state;
  static const struct {
    const char *asked, *answered;
    bool gap;
  } answers[] = {
      {"urn:1", "urn:1", false},    {"urn:1", "urn:2", true},        {"urn:1", "earliest", true},
      {"earliest", "urn:2", false}, {"earliest", "earliest", false}, {" urn:1\t", "urn:1", false},
      {"urn: 1", "urn:1", true},    {"urn:1", NULL, false},          {"urn:1", "", true},
  };
  for (size_t i = 0; i < COUNT_OF(answers); i++) {
    begin_again(SYNC_GAP_IDS_AUTO);
    sync_gaps_opened(&gaps, span_of(answers[i].asked), answers[i].answered ? span_of(answers[i].answered) : NONE,
                     now_ms);
    if (sync_gaps_open_count(&gaps) != answers[i].gap) fail_msg("%s: %s", answers[i].asked, answers[i].answered);
    if (!answers[i].gap) continue;
    check_gap(0, SYNC_GAP_HUB, SYNC_CURE_NONE, 0);
    check_span(gap_at(0)->after_id, answers[i].asked);
    check_span(gap_at(0)->detail, answers[i].answered);
  }
}

static void a_header_that_was_not_asked_for_says_nothing(void **state) {
  (void)state;
  sync_gaps_opened(&gaps, span_of(""), span_of("earliest"), now_ms);
  check_open(0);
}

static void a_resync_event_is_a_gap(void **state) {
  (void)state;
  see("a");
  sync_gaps_resync(&gaps, span_of(""), span_of("too_old"), now_ms);
  check_gap(0, SYNC_GAP_RESYNC, SYNC_CURE_NONE, 0);
  check_span(gap_at(0)->after_id, "a");
  check_span(gap_at(0)->detail, "too_old");
}

static void one_break_is_one_gap(void **state) {
  (void)state;
  count_up("x-", 1);
  sync_gaps_opened(&gaps, span_of("x-33"), span_of("earliest"), now_ms);
  sync_gaps_resync(&gaps, span_of(""), span_of("too_old"), now_ms);
  sync_gaps_resync(&gaps, span_of(""), span_of("too_old"), now_ms);
  see("w-9");
  check_open(1);
  see("");
  sync_gaps_resync(&gaps, span_of(""), span_of("lagging"), now_ms); /* that is another one */
  check_open(2);
  see("w-17");
  check_open(2);
  see("w-19");
  check_open(3);
}

static void a_stream_that_opens_begins_another_break(void **state) {
  (void)state;
  see("");
  reopen("");
  reopen("");
  sync_gaps_opened(&gaps, span_of("a"), NONE, now_ms);
  sync_gaps_resync(&gaps, span_of(""), span_of(""), now_ms);
  check_open(3);
}

static void a_resync_says_where_it_goes_on(void **state) {
  (void)state;
  count_up("x-", 1);
  reopen("x-33");
  sync_gaps_resync(&gaps, span_of("x-50"), span_of("too_old"), now_ms);
  check_gap(0, SYNC_GAP_RESYNC, SYNC_CURE_NONE, 17);
  play("x-51 x-52");
  check_open(1);
  see("x-54");
  check_open(2);
  check_span(gap_at(1)->after_id, "x-52");
}

static void a_resync_is_a_place_like_an_event(void **state) {
  (void)state;
  begin_again(SYNC_GAP_IDS_DENSE);
  sync_gaps_resync(&gaps, span_of("5"), span_of(""), now_ms);
  check_gap(0, SYNC_GAP_RESYNC, SYNC_CURE_NONE, 0); /* since when is not known */
  see("8");
  check_gap(1, SYNC_GAP_IDS, SYNC_CURE_NONE, 2);
  sync_gaps_resync(&gaps, span_of("here"), span_of(""), now_ms);
  see("");
  reopen("");
  check_gap(3, SYNC_GAP_NO_REPLAY, SYNC_CURE_NONE, 0);
  check_span(gap_at(3)->after_id, "here");
  begin_again(SYNC_GAP_IDS_AUTO);
  sync_gaps_resync(&gaps, span_of(""), span_of(""), now_ms);
  reopen("");
  check_open(2);
}

static void a_resync_does_not_set_a_prefix_s_time_back(void **state) {
  (void)state;
  play("1700-1..40 +120000 1700-41");
  sync_gaps_resync(&gaps, span_of("1700-50"), span_of(""), now_ms);
  play("| 1800-1");
  check_gap(1, SYNC_GAP_EPOCH, SYNC_CURE_NONE, 0);
}

static void a_resync_may_go_back(void **state) {
  (void)state;
  begin_again(SYNC_GAP_IDS_DENSE);
  play("x-1 x-9");
  reopen("x-9");
  sync_gaps_resync(&gaps, span_of("x-2"), span_of("unknown_id"), now_ms);
  check_gap(1, SYNC_GAP_RESYNC, SYNC_CURE_NONE, 0);
  play("x-3 x-4 x-6");
  check_gap(2, SYNC_GAP_IDS, SYNC_CURE_NONE, 1);
  check_gap(0, SYNC_GAP_IDS, SYNC_CURE_NONE, 7); /* those were others */
}

static void how_much_a_resync_skips_is_known_of_servers_that_count_only(void **state) {
  (void)state;
  play("x-1..5");
  sync_gaps_resync(&gaps, span_of("x-50"), span_of(""), now_ms);
  check_gap(0, SYNC_GAP_RESYNC, SYNC_CURE_NONE, 0);
  begin_again(SYNC_GAP_IDS_DENSE);
  play("x-1..5");
  sync_gaps_resync(&gaps, span_of("w-50"), span_of(""), now_ms);
  check_gap(0, SYNC_GAP_RESYNC, SYNC_CURE_NONE, 0);
}

static void the_id_that_is_asked_for_first_is_where_the_count_begins(void **state) {
  (void)state;
  begin_again(SYNC_GAP_IDS_DENSE);
  reopen("e-50");
  see("e-53");
  check_gap(0, SYNC_GAP_IDS, SYNC_CURE_NONE, 2);
  check_span(gap_at(0)->after_id, "e-50");
  reopen("e-40"); /* behind what has come: that counts */
  see("e-54");
  check_open(1);
}

/* ---- against a model --------------------------------------------------------------------------------------------- */

#define NUMBERS 400u

struct model {
  bool has[NUMBERS + 1]; /* come */
  unsigned top;
};

static uint64_t random_state;

static unsigned random_below(unsigned limit) {
  random_state = random_state * 6364136223846793005u + 1442695040888963407u;
  return (unsigned)((random_state >> 33) % limit);
}

static unsigned model_missing(const struct model *model) {
  unsigned missing = 0;
  for (unsigned number = 1; number <= model->top; number++) missing += !model->has[number];
  return missing;
}

static uint64_t ledger_missing(void) {
  uint64_t missing = 0;
  for (size_t i = 0; sync_gaps_get(&gaps, i); i++)
    if (gap_at(i)->cure == SYNC_CURE_NONE) missing += gap_at(i)->missing;
  return missing;
}

/* Mostly the next number; now and then with a hole before it, one from before, or a break. */
static void send_something(struct model *model) {
  unsigned number = model->top + 1;
  if (random_below(8) == 0) number += random_below(7);
  if (random_below(4) == 0) number = 2 + random_below(model->top);
  if (number > NUMBERS) return;
  if (random_below(20) == 0) reopen("x-1");
  char id[16];
  snprintf(id, sizeof id, "x-%u", number);
  assert_int_equal(see(id), SYNC_GAPS_TAKE);
  model->has[number] = true;
  if (number > model->top) model->top = number;
}

static void what_is_missing_is_what_has_not_come(void **state) {
  (void)state;
  for (random_state = 1; random_state < 300; random_state++) {
    const uint64_t seed = random_state;
    struct model model = {.has = {[1] = true}, .top = 1};
    begin_again(SYNC_GAP_IDS_DENSE);
    may_replay = false;
    see("x-1");
    for (unsigned step = 0; step < 600; step++) {
      send_something(&model);
      if (ledger_missing() != model_missing(&model))
        fail_msg("seed %llu, step %u: %llu missing, not %u", (unsigned long long)seed, step,
                 (unsigned long long)ledger_missing(), model_missing(&model));
    }
    random_state = seed;
  }
}

int main(void) {
  const struct CMUnitTest tests[] = {
#define TEST(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)
      TEST(ids_mean_what_the_table_says),
      TEST(a_filtered_stream_teaches_nothing),
      TEST(losing_the_filter_begins_the_learning),
      TEST(another_stream_is_learned_anew_and_is_no_gap),
      TEST(the_same_stream_with_other_options_is_not),
      TEST(a_gap_says_when_and_where),
      TEST(long_ids_are_kept_and_endless_ones_left_out),
      TEST(a_break_without_ids_is_a_gap),
      TEST(a_break_with_an_id_is_none),
      TEST(what_came_in_an_earlier_life_counts),
      TEST(a_hub_says_that_its_history_does_not_reach_back),
      TEST(a_header_that_was_not_asked_for_says_nothing),
      TEST(a_resync_event_is_a_gap),
      TEST(one_break_is_one_gap),
      TEST(a_stream_that_opens_begins_another_break),
      TEST(a_resync_says_where_it_goes_on),
      TEST(a_resync_is_a_place_like_an_event),
      TEST(a_resync_does_not_set_a_prefix_s_time_back),
      TEST(a_resync_may_go_back),
      TEST(how_much_a_resync_skips_is_known_of_servers_that_count_only),
      TEST(the_id_that_is_asked_for_first_is_where_the_count_begins),
      TEST(what_is_missing_is_what_has_not_come),
#undef TEST
  };
  return cmocka_run_group_tests(tests, NULL, NULL);
}
