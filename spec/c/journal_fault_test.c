/*
 * journal_fault_test.c - a journal on a disk that fails, at every call that changes a file: a transaction that has
 * failed has left nothing, in the file or in what the journal counts along, and is done when it is tried again.
 */
#include <errno.h>

#include "faulty_vfs.h"
#include "journal_scene.h"

static int set_up_disk(void **state) {
  faulty_vfs_install();
  return set_up(state);
}

static int tear_down_disk(void **state) {
  faulty_vfs_allow();
  tear_down(state);
  faulty_vfs_remove();
  return 0;
}

/* Older ones have gone with their events. */
#define EFFECTS_SHOWN 200u

/* ---- a journal as a text ----------------------------------------------------------------------------------------- */

static void add_text(struct sync_buffer *out, const char *what, uint64_t number, sync_span text) {
  char line[64];
  int length = snprintf(line, sizeof line, "%s %llu ", what, (unsigned long long)number);
  assert_true(sync_buffer_append(out, (sync_span){line, (size_t)length}));
  assert_true(sync_buffer_append(out, text));
}

static void describe(struct sync_buffer *out) {
  struct sync_journal_stream stream;
  struct sync_journal_event event;
  struct sync_book_entry order;
  struct sync_journal_dead dead;
  sync_effect effect;
  sync_buffer_clear(out);
  assert_true(sync_journal_read_stream(journal, &stream));
  add_text(out, "done", stream.done_seq, stream.last_event_id);
  add_text(out, "last", stream.last_seq, SPAN(""));
  sync_journal_seek_latest(journal, SIZE_MAX);
  while (sync_journal_next_event(journal, &event) == SYNC_ROW)
    add_text(out, "event", event.seq * 2 + event.done, event.raw);
  sync_journal_seek_orders(journal);
  while (sync_journal_next_order(journal, &order) == SYNC_ROW) add_text(out, "order", order.changed, order.json);
  for (uint64_t number = 0; sync_journal_read_dead(journal, number, &dead); number = dead.number + 1)
    add_text(out, "dead", dead.number, dead.problem);
  uint64_t first = stream.last_seq > EFFECTS_SHOWN ? stream.last_seq - EFFECTS_SHOWN : 1;
  for (uint64_t seq = first; seq <= stream.last_seq; seq++) {
    assert_true(sync_journal_read_effect(journal, seq, SPAN("print"), &effect));
    add_text(out, "effect", effect, SPAN(""));
  }
  add_text(out, "total", sync_journal_total(journal, "total_events"), SPAN(""));
}

/* ---- one of everything ------------------------------------------------------------------------------------------- */

#define BURST 16u

/* The events of round `round`, large enough for pages of their own, and what comes with them. */
static bool write_round(uint64_t round) {
  static char raw[3000];
  memset(raw, 'a' + (int)(round % 26), sizeof raw);
  bool done = sync_journal_begin(journal);
  for (uint64_t i = 1; done && i <= BURST; i++) {
    done = put(&(struct written){.seq = round * BURST + i, .raw = {raw, sizeof raw}});
    done = done && sync_journal_put_order(journal, &(struct sync_book_entry){.id = {raw + i, i},
                                                                             .json = SPAN("{\"n\":1}"),
                                                                             .changed = round * BURST + i});
    done = done && sync_journal_put_effect(journal, round * BURST + i, SPAN("print"), SYNC_EFFECT_DONE, 1);
  }
  sync_event *event = make_event(&(struct written){.seq = round * BURST + 1});
  done = done && sync_journal_put_dead(journal, event, SPAN("no paper"), 3, 4);
  sync_event_release(event);
  const struct sync_journal_stream stream = {.last_event_id = {raw, 7}, .done_seq = round * BURST + BURST / 2};
  done = done && sync_journal_put_done(journal, round * BURST + BURST) && sync_journal_write_stream(journal, &stream) &&
         sync_journal_put_total(journal, "total_events", round) && sync_journal_prune(journal, 1);
  return done && sync_journal_commit(journal);
}

/* ---- every call -------------------------------------------------------------------------------------------------- */

struct kind {
  int result;
  int number;
  sync_code code;
};

static const struct kind kinds[] = {
    {SQLITE_FULL, ENOSPC, SYNC_JOURNAL_FULL},
    {SQLITE_IOERR_WRITE, EIO, SYNC_JOURNAL_IO},
};

/* Writes a round while the `nth` call from now that changes a file fails, and all behind it. Whether the round failed.
 */
static bool fails_at(size_t nth, uint64_t round, const struct kind *kind) {
  faulty_vfs_refuse(FAULTY_CHANGES, nth, SIZE_MAX, kind->result, kind->number);
  bool written = write_round(round);
  if (!written) {
    assert_int_equal(sync_journal_failure(journal, &failure), kind->code);
    sync_journal_rollback(journal);
  }
  faulty_vfs_allow();
  return !written;
}

/* Round after round, each failing once at its first call, its second, ..., until one has no such call any more. */
static size_t fail_everywhere(const struct kind *kind) {
  struct sync_buffer before, after;
  uint64_t round = 1;
  sync_buffer_init(&before, &sync_alloc_standard);
  sync_buffer_init(&after, &sync_alloc_standard);
  assert_true(write_round(0));
  describe(&before);
  for (size_t nth = 1; fails_at(nth, round, kind); nth++, round++) {
    describe(&after);
    check_same_span(sync_buffer_span(&after), sync_buffer_span(&before));
    assert_true(write_round(round));
    describe(&before);
    reopen(); /* what is counted along is what is there */
    describe(&after);
    check_same_span(sync_buffer_span(&after), sync_buffer_span(&before));
  }
  sync_buffer_fini(&before);
  sync_buffer_fini(&after);
  return round;
}

static void a_transaction_that_fails_leaves_nothing(void **state) {
  (void)state;
  config.max_events = 3 * BURST;
  config.max_dead = 5;
  reopen();
  for (size_t i = 0; i < COUNT_OF(kinds); i++) {
    sync_journal_close(journal);
    folder_empty(folder_name);
    open_stream("shop");
    assert_in_range(fail_everywhere(&kinds[i]), 20, 2000);
  }
}

/* ---- opening ----------------------------------------------------------------------------------------------------- */

static void a_disk_that_fails_while_a_journal_is_made_leaves_none_or_one(void **state) {
  (void)state;
  for (size_t nth = 1;; nth++) {
    sync_journal_close(journal);
    journal = NULL;
    folder_empty(folder_name);
    faulty_vfs_refuse(FAULTY_CHANGES & ~(unsigned)FAULTY_OPEN, nth, SIZE_MAX, SQLITE_FULL, ENOSPC);
    sync_code code = try_open("shop");
    bool refused = faulty.refused > 0;
    faulty_vfs_allow();
    if (code == SYNC_OK && !refused) break;
    if (code != SYNC_OK) assert_int_equal(code, SYNC_JOURNAL_FULL);
    reopen();
    assert_true(write_round(0));
  }
  assert_true(write_round(0));
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, set_up_disk, tear_down_disk)

int main(void) {
  static const struct CMUnitTest tests[] = {
      TEST(a_transaction_that_fails_leaves_nothing),
      TEST(a_disk_that_fails_while_a_journal_is_made_leaves_none_or_one),
  };
  return cmocka_run_group_tests(tests, NULL, NULL);
}
