/*
 * journal_book_test.c - the order book on disk: ten thousand orders that change, are confirmed, deleted, made again and
 * thrown out, written bit by bit as a client does. A book made of the file is the one that the client had, to whoever
 * looks at it, and judges the news that follow as that one does.
 */
#include "book.h"
#include "journal_scene.h"

#define ORDERS 10000u

static struct sync_order_names names;
static struct sync_book book;
static struct sync_buffer dropped; /* ids of 6 bytes */
static uint32_t random_state;

static unsigned below(unsigned limit) {
  random_state = random_state * 1664525u + 1013904223u;
  return (random_state >> 8) % limit;
}

/* ---- news -------------------------------------------------------------------------------------------------------- */

static const char *const stages[] = {"initiated", "op\\u0065n", "billed", "paid"};

/* Writes an order, or a part of it, with some of what tells its age; half of them say little, and that again and again:
 * the order is so still. */
static sync_span write_news(char *out, size_t size, const char *id, bool whole) {
  size_t length = 0;
  length += (size_t)snprintf(out, size, "{\"n\":%u", below(2));
  if (whole) length += (size_t)snprintf(out + length, size - length, ",\"orderID\":\"%s\"", id);
  if (below(2)) return (sync_span){out, length + (size_t)snprintf(out + length, size - length, "}")};
  if (below(2)) length += (size_t)snprintf(out + length, size - length, ",\"orderStage\":\"%s\"", stages[below(4)]);
  if (below(3) == 0) length += (size_t)snprintf(out + length, size - length, ",\"version\":%u", below(50));
  if (below(3) == 0) length += (size_t)snprintf(out + length, size - length, ",\"updatedAt\":%u", 1 + below(5000));
  length += (size_t)snprintf(out + length, size - length, ",\"m%u\":\"%u\"}", below(8), below(3));
  return (sync_span){out, length};
}

/* One piece of news for each of `books`, which must have the same outcome. */
static void offer(struct sync_book *const *books, size_t count, unsigned orders) {
  char id[16], json[256];
  struct sync_book_effect effect;
  (void)snprintf(id, sizeof id, "A%05u", below(orders));
  struct sync_change change = {.order_id = {id, 6}, .whole = below(3) == 0, .deleted = below(12) == 0};
  change.patch = write_news(json, sizeof json, id, change.whole);
  change.at_ms = below(2) ? 1000 * (1 + (int64_t)below(5000)) : 0;
  change.as_of_ms = (int64_t)below(100000);
  change.source = (sync_source)below(3);
  change.silent = below(9) == 0;
  bool asked_earlier = below(2);
  for (size_t i = 0; i < count; i++) {
    change.mark = sync_book_mark(books[i]) - asked_earlier;
    enum sync_book_outcome outcome = sync_book_apply(books[i], &change, &effect);
    static enum sync_book_outcome first;
    static unsigned parts;
    if (i == 0) first = outcome, parts = effect.changed;
    assert_int_equal(outcome, first);
    assert_int_equal(effect.changed, parts);
  }
}

/* ---- on disk ----------------------------------------------------------------------------------------------------- */

static void note_dropped(void *arg, sync_span id) {
  assert_null(arg);
  assert_int_equal(id.length, 6);
  assert_true(sync_buffer_append(&dropped, id));
}

/* What has changed since `*mark`, as a client writes it: what was thrown out first. */
static void write_changes(uint64_t *mark) {
  sync_order_place place = {.begun = false};
  struct sync_book_entry entry;
  begin();
  for (size_t at = 0; at < dropped.length; at += 6)
    assert_true(sync_journal_drop_order(journal, (sync_span){dropped.bytes + at, 6}));
  while (sync_book_each_changed(&book, *mark, &place, &entry)) assert_true(sync_journal_put_order(journal, &entry));
  commit();
  sync_buffer_clear(&dropped);
  *mark = sync_book_mark(&book);
}

static void read_book(struct sync_book *out) {
  struct sync_book_entry entry;
  enum sync_row row;
  sync_book_init(out, &memory.allocator, &names, SYNC_BOOK_ORDERS, SYNC_BOOK_BYTES);
  sync_journal_seek_orders(journal);
  while ((row = sync_journal_next_order(journal, &entry)) == SYNC_ROW) assert_true(sync_book_restore(out, &entry));
  assert_int_equal(row, SYNC_ROW_NONE);
  assert_int_equal(out->refused, 0);
}

/* ---- compared ---------------------------------------------------------------------------------------------------- */

static void check_same_order(const sync_order *a, const sync_order *b) {
  check_same_span(a->id, b->id);
  check_same_span(a->json, b->json);
  check_same_span(a->stage, b->stage);
  check_same_span(a->payment, b->payment);
  check_same_span(a->status, b->status);
  assert_int_equal(a->updated_ms, b->updated_ms);
  assert_int_equal(a->source, b->source);
  assert_int_equal(a->silent, b->silent);
}

/* All that walks and look-ups show, but for when an order was confirmed last. */
static void check_same_books(const struct sync_book *a, const struct sync_book *b) {
  sync_order_place place_a = {.begun = false}, place_b = {.begun = false};
  sync_order order_a, order_b, found;
  assert_int_equal(sync_book_count(a), sync_book_count(b));
  assert_int_equal(a->tombstones, b->tombstones);
  while (sync_book_each(a, &place_a, &order_a)) {
    assert_true(sync_book_each(b, &place_b, &order_b));
    check_same_order(&order_a, &order_b);
    assert_true(sync_book_get(b, order_a.id, &found));
    check_same_order(&order_a, &found);
    assert_in_range(order_b.as_of_ms, 0, order_a.as_of_ms);
  }
  assert_false(sync_book_each(b, &place_b, &order_b));
}

static void play(unsigned news, unsigned each, size_t limit) {
  static struct sync_book restored;
  struct sync_book *const both[] = {&book, &restored};
  struct sync_book *const one[] = {&book};
  uint64_t mark = 0;
  random_state = 5;
  sync_order_names_init(&names);
  sync_buffer_init(&dropped, &memory.allocator);
  sync_book_init(&book, &memory.allocator, &names, limit, SYNC_BOOK_BYTES);
  sync_book_watch(&book, note_dropped, NULL);
  for (unsigned i = 0; i < news; i++) {
    offer(one, 1, ORDERS);
    if (i % each == 0) write_changes(&mark);
  }
  write_changes(&mark);
  reopen();
  read_book(&restored);
  check_same_books(&book, &restored);
  sync_book_set_limits(&book, SYNC_BOOK_ORDERS, SYNC_BOOK_BYTES);
  for (unsigned i = 0; i < news / 2; i++) offer(both, 2, ORDERS);
  check_same_books(&book, &restored);
  sync_book_fini(&restored);
  sync_book_fini(&book);
  sync_buffer_fini(&dropped);
}

static void ten_thousand_orders_come_back_and_go_on(void **state) {
  (void)state;
  play(8 * ORDERS, 997, SYNC_BOOK_ORDERS);
}

static void a_book_that_throws_out_has_no_more_on_disk(void **state) {
  (void)state;
  play(4 * ORDERS, 500, 3000);
}

/* ---- single entries ---------------------------------------------------------------------------------------------- */

static void put_order(const struct sync_book_entry *entry) {
  begin();
  assert_true(sync_journal_put_order(journal, entry));
  commit();
  reopen();
}

static void check_stamp(const struct sync_stamp *found, const struct sync_stamp *stamp) {
  assert_true(sync_stamp_same(found, stamp));
}

static void check_entry(const struct sync_book_entry *found, const struct sync_book_entry *entry) {
  check_same_span(found->id, entry->id);
  check_same_span(found->json, entry->json);
  assert_int_equal(found->changed, entry->changed);
  check_stamp(&found->whole, &entry->whole);
  check_stamp(&found->last, &entry->last);
  assert_int_equal(found->later, entry->later);
  assert_int_equal(found->as_of_ms, entry->as_of_ms);
  assert_int_equal(found->source, entry->source);
  assert_int_equal(found->silent, entry->silent);
}

static void an_entry_comes_back_to_the_byte(void **state) {
  (void)state;
  static const struct sync_book_entry entries[] = {
      {.id = {"a\0b", 3},
       .json = {"{\"a\":\"\xe2\x82\xac\"}", 11},
       .changed = 1,
       .whole = {SYNC_STAMP_NO_NUMBER, 0, 0},
       .last = {INT64_MAX, 1, INT64_MAX},
       .later = UINT64_MAX,
       .as_of_ms = -5,
       .source = SYNC_SOURCE_BACKFILL,
       .silent = true},
      {.id = {"T", 1}, .changed = 2, .whole = {0, 0, 7}, .last = {-1, 0, 7}},
      {.id = {"\xc3\xa4", 2}, .json = {"{}", 2}, .changed = (UINT64_C(1) << 53) + 1, .source = SYNC_SOURCE_POLL},
  };
  struct sync_book_entry found;
  for (size_t i = COUNT_OF(entries); i-- > 0;) put_order(&entries[i]);
  sync_journal_seek_orders(journal);
  for (size_t i = 0; i < COUNT_OF(entries); i++) {
    assert_int_equal(sync_journal_next_order(journal, &found), SYNC_ROW);
    check_entry(&found, &entries[i]);
  }
  assert_int_equal(sync_journal_next_order(journal, &found), SYNC_ROW_NONE);
}

static void an_order_is_replaced_dropped_and_one_of_its_stream(void **state) {
  (void)state;
  struct sync_book_entry found;
  put_order(&(struct sync_book_entry){.id = SPAN("A"), .json = SPAN("{\"n\":1}"), .changed = 1});
  put_order(&(struct sync_book_entry){.id = SPAN("A"), .json = SPAN("{\"n\":2}"), .changed = 2});
  put_order(&(struct sync_book_entry){.id = SPAN("B"), .json = SPAN("{}"), .changed = 3});
  reopen_as("other shop");
  begin();
  assert_true(sync_journal_drop_order(journal, SPAN("A")));
  commit();
  sync_journal_seek_orders(journal);
  assert_int_equal(sync_journal_next_order(journal, &found), SYNC_ROW_NONE);
  reopen();
  begin();
  assert_true(sync_journal_drop_order(journal, SPAN("B")));
  commit();
  sync_journal_seek_orders(journal);
  assert_int_equal(sync_journal_next_order(journal, &found), SYNC_ROW);
  check_span(found.json, "{\"n\":2}");
  sync_journal_end_orders(journal);
  sync_journal_seek_orders(journal);
  assert_int_equal(sync_journal_next_order(journal, &found), SYNC_ROW);
  assert_int_equal(sync_journal_next_order(journal, &found), SYNC_ROW_NONE);
}

static void an_order_is_redacted(void **state) {
  (void)state;
  static const char *const redacted[] = {"phone"};
  struct sync_book_entry found;
  config.redact = redacted;
  config.redact_count = 1;
  reopen();
  put_order(&(struct sync_book_entry){
      .id = SPAN("A"), .json = SPAN("{\"orderID\":\"A\",\"who\":{\"phone\":4}}"), .changed = 1});
  sync_journal_seek_orders(journal);
  assert_int_equal(sync_journal_next_order(journal, &found), SYNC_ROW);
  check_span(found.json, "{\"orderID\":\"A\",\"who\":{\"phone\":\"[redacted]\"}}");
  sync_journal_end_orders(journal);
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)

int main(void) {
  static const struct CMUnitTest tests[] = {
      TEST(ten_thousand_orders_come_back_and_go_on),
      TEST(a_book_that_throws_out_has_no_more_on_disk),
      TEST(an_entry_comes_back_to_the_byte),
      TEST(an_order_is_replaced_dropped_and_one_of_its_stream),
      TEST(an_order_is_redacted),
  };
  return cmocka_run_group_tests(tests, NULL, NULL);
}
