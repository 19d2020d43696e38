/* notes_test.c - the list of what a journal does not have yet: written in order, known about, bounded. */
#include "journal_scene.h"
#include "notes.h"

static struct sync_notes notes;

static int set_up_notes(void **state) {
  int result = set_up(state);
  sync_notes_init(&notes, &memory.allocator);
  return result;
}

static int tear_down_notes(void **state) {
  sync_notes_fini(&notes);
  return tear_down(state);
}

static void add(const struct sync_note *note) {
  assert_true(sync_notes_add(&notes, note));
}

static void add_event(uint64_t seq) {
  sync_event *event = make_event(&(struct written){.seq = seq, .raw = SPAN("{}")});
  add(&(struct sync_note){.kind = SYNC_NOTE_EVENT, .event = event});
  sync_event_release(event);
}

static void add_number(enum sync_note_kind kind, uint64_t number) {
  add(&(struct sync_note){.kind = kind, .number = number});
}

static void add_effect(uint64_t seq, const char *name, sync_effect effect) {
  add(&(struct sync_note){.kind = SYNC_NOTE_EFFECT, .number = seq, .text = span_of(name), .effect = effect});
}

static void write_all(void) {
  begin();
  for (size_t i = 0; i < notes.count; i++) assert_true(sync_note_write(&notes.list[i], journal));
  commit();
}

/* The notes, "e1 d1 a1 f1": events, those done and acknowledged, effects. */
static void check_notes(const char *expected) {
  static const char letters[] = "edafbwxo";
  char found[512] = "";
  for (size_t i = 0; i < notes.count; i++) {
    const struct sync_note *note = &notes.list[i];
    uint64_t number = note->event ? sync_event_seq(note->event) : note->number;
    (void)snprintf(found + strlen(found), sizeof found - strlen(found), "%s%c%d", i ? " " : "", letters[note->kind],
                   (int)number);
  }
  assert_string_equal(found, expected);
}

/* ---- kept and written -------------------------------------------------------------------------------------------- */

static void notes_keep_their_own_texts_and_events(void **state) {
  (void)state;
  char name[] = "print";
  add_event(1);
  add(&(struct sync_note){.kind = SYNC_NOTE_EFFECT, .number = 1, .text = {name, 5}, .effect = SYNC_EFFECT_STARTED});
  memset(name, 'x', 5);
  check_same_span(notes.list[1].text, SPAN("print"));
  write_all();
  check_latest(9, "1");
}

static void each_kind_is_written(void **state) {
  (void)state;
  struct sync_journal_event stored;
  struct sync_journal_dead dead;
  struct sync_book_entry order = {.id = SPAN("A"), .json = SPAN("{}")};
  sync_effect effect;
  begin();
  assert_true(sync_journal_put_order(journal, &order));
  commit();
  for (uint64_t seq = 1; seq <= 3; seq++) add_event(seq);
  add_number(SYNC_NOTE_DONE, 2);
  add_number(SYNC_NOTE_ACKNOWLEDGED, 1);
  add_effect(3, "print", SYNC_EFFECT_DONE);
  for (int i = 0; i < 3; i++)
    add(&(struct sync_note){
        .kind = SYNC_NOTE_DEAD, .event = notes.list[i].event, .text = SPAN("no paper"), .at_ms = 5, .attempts = 7});
  add_number(SYNC_NOTE_WANT_DEAD, 2);
  add_number(SYNC_NOTE_DROP_DEAD, 1);
  add(&(struct sync_note){.kind = SYNC_NOTE_DROP_ORDER, .text = SPAN("A")});
  write_all();
  check_undone("1 3");
  sync_journal_seek_latest(journal, 9);
  assert_int_equal(sync_journal_next_event(journal, &stored), SYNC_ROW);
  assert_true(stored.acknowledged);
  sync_journal_end_events(journal);
  assert_true(sync_journal_read_effect(journal, 3, SPAN("print"), &effect));
  assert_int_equal(effect, SYNC_EFFECT_DONE);
  assert_true(sync_journal_read_dead(journal, 0, &dead));
  assert_int_equal(dead.number, 2);
  assert_true(dead.wanted);
  check_same_span(dead.problem, SPAN("no paper"));
  assert_int_equal(dead.attempts, 7);
  assert_int_equal(dead.failed_at_ms, 5);
  sync_journal_seek_orders(journal);
  assert_int_equal(sync_journal_next_order(journal, &order), SYNC_ROW_NONE);
}

static void cleared_notes_are_gone(void **state) {
  (void)state;
  for (uint64_t seq = 1; seq <= 100; seq++) add_event(seq);
  add_effect(1, "print", SYNC_EFFECT_DONE);
  sync_notes_clear(&notes);
  check_notes("");
  sync_effect effect;
  assert_false(sync_notes_effect(&notes, 1, SPAN("print"), &effect));
}

static void without_memory_nothing_is_added(void **state) {
  (void)state;
  sync_event *event = make_event(&(struct written){.seq = 1});
  const struct sync_note note = {.kind = SYNC_NOTE_DEAD, .event = event, .text = SPAN("why")};
  for (size_t nth = 1; nth <= 2; nth++) { /* the list, the text */
    counting_alloc_refuse(&memory, nth, 1);
    assert_false(sync_notes_add(&notes, &note));
    check_notes("");
  }
  counting_alloc_allow(&memory);
  assert_true(sync_notes_add(&notes, &note));
  check_notes("b1");
  sync_event_release(event);
}

/* ---- effects ----------------------------------------------------------------------------------------------------- */

static void the_last_word_on_an_effect_counts(void **state) {
  (void)state;
  sync_effect effect = SYNC_EFFECT_NEW;
  add_effect(1, "print", SYNC_EFFECT_STARTED);
  add_effect(2, "print", SYNC_EFFECT_NEW);
  add_effect(1, "print", SYNC_EFFECT_DONE);
  add_effect(1, "mail", SYNC_EFFECT_STARTED);
  add_number(SYNC_NOTE_DONE, 1);
  assert_true(sync_notes_effect(&notes, 1, SPAN("print"), &effect));
  assert_int_equal(effect, SYNC_EFFECT_DONE);
  assert_true(sync_notes_effect(&notes, 2, SPAN("print"), &effect));
  assert_int_equal(effect, SYNC_EFFECT_NEW);
  assert_true(sync_notes_effect(&notes, 1, SPAN("mail"), &effect));
  assert_int_equal(effect, SYNC_EFFECT_STARTED);
  assert_false(sync_notes_effect(&notes, 3, SPAN("print"), &effect));
  assert_false(sync_notes_effect(&notes, 1, SPAN("pay"), &effect));
}

/* ---- bounded ----------------------------------------------------------------------------------------------------- */

static void what_is_done_goes_the_oldest_first(void **state) {
  (void)state;
  for (uint64_t seq = 1; seq <= 6; seq++) add_event(seq);
  sync_notes_trim(&notes, 4, 3);
  check_notes("e4 e5 e6");
  sync_notes_trim(&notes, 4, 3);
  check_notes("e4 e5 e6");
  sync_notes_trim(&notes, 4, 0);
  check_notes("e5 e6");
}

static void with_what_is_noted_of_it(void **state) {
  (void)state;
  add_event(1);
  add_number(SYNC_NOTE_ACKNOWLEDGED, 1);
  add_event(2);
  add_number(SYNC_NOTE_DONE, 2);
  add_number(SYNC_NOTE_DONE, 3);
  sync_notes_trim(&notes, 2, 0);
  check_notes("d3");
}

static void effects_and_dead_letters_stay(void **state) {
  (void)state;
  sync_event *event = make_event(&(struct written){.seq = 1});
  add(&(struct sync_note){.kind = SYNC_NOTE_DEAD, .event = event});
  sync_event_release(event);
  add_event(1);
  add_effect(1, "print", SYNC_EFFECT_DONE);
  add_number(SYNC_NOTE_WANT_DEAD, 1);
  add_number(SYNC_NOTE_DROP_DEAD, 1);
  add(&(struct sync_note){.kind = SYNC_NOTE_DROP_ORDER, .text = SPAN("A")});
  sync_notes_trim(&notes, 9, 0);
  check_notes("b1 f1 w1 x1 o0");
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, set_up_notes, tear_down_notes)

int main(void) {
  static const struct CMUnitTest tests[] = {
      TEST(notes_keep_their_own_texts_and_events),
      TEST(each_kind_is_written),
      TEST(cleared_notes_are_gone),
      TEST(without_memory_nothing_is_added),
      TEST(the_last_word_on_an_effect_counts),
      TEST(what_is_done_goes_the_oldest_first),
      TEST(with_what_is_noted_of_it),
      TEST(effects_and_dead_letters_stay),
  };
  return cmocka_run_group_tests(tests, NULL, NULL);
}
