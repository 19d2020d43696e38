/* recent_test.c - the window of the last events, against plain lists; and what makes two events the same. */
#include "recent.h"

#include <stdio.h>
#include <string.h>

#include "counting_alloc.h"
#include "spans.h"

static struct counting_alloc memory;
static struct sync_recent recent;

static int set_up(void **state) {
  (void)state;
  counting_alloc_init(&memory);
  sync_recent_init(&recent, &memory.allocator, 0);
  return 0;
}

static int tear_down(void **state) {
  (void)state;
  sync_recent_fini(&recent);
  counting_alloc_check(&memory);
  return 0;
}

/* Many of them want the same few places of the table, the last one among them. */
static uint64_t print_of(unsigned number) {
  return (uint64_t)number << 40 | (uint64_t)(number % 3) << 1 | (number % 2 ? 0 : 0xfffff0) | 1;
}

/* Of the prints 1 to `last`, those behind `forgotten` are known. */
static void check_known(unsigned forgotten, unsigned last) {
  for (unsigned i = 1; i <= last; i++)
    if (sync_recent_has(&recent, print_of(i)) != (i > forgotten))
      fail_msg("%u of %u, %u forgotten", i, last, forgotten);
}

/* ---- the window -------------------------------------------------------------------------------------------------- */

static void the_last_ones_are_known_and_no_others(void **state) {
  (void)state;
  static const unsigned limits[] = {1, 2, 3, 15, 16, 17, 31, 32, 33, 100};
  for (size_t i = 0; i < COUNT_OF(limits); i++) {
    sync_recent_init(&recent, &memory.allocator, limits[i]);
    for (unsigned last = 1; last <= 250; last++) {
      assert_false(sync_recent_has(&recent, print_of(last)));
      sync_recent_add(&recent, print_of(last));
      check_known(last > limits[i] ? last - limits[i] : 0, last);
    }
    sync_recent_fini(&recent);
  }
}

static void a_window_of_nothing_knows_nothing_and_takes_no_memory(void **state) {
  (void)state;
  sync_recent_add(&recent, 1);
  assert_false(sync_recent_has(&recent, 1));
  assert_false(sync_recent_take(&recent, 1));
  assert_int_equal(memory.requests, 0);
}

static void memory_is_taken_for_what_it_holds(void **state) {
  (void)state;
  sync_recent_resize(&recent, SYNC_RECENT_MAX);
  assert_int_equal(memory.requests, 0);
  for (unsigned i = 1; i <= 100; i++) sync_recent_add(&recent, print_of(i));
  assert_int_equal(recent.capacity, 128);
}

static void it_ends_at_the_largest_window(void **state) {
  (void)state;
  sync_recent_resize(&recent, SIZE_MAX);
  for (unsigned i = 1; i <= SYNC_RECENT_MAX + 2; i++) sync_recent_add(&recent, (uint64_t)i << 1 | 1);
  assert_false(sync_recent_has(&recent, 2 << 1 | 1));
  assert_true(sync_recent_has(&recent, 3 << 1 | 1));
  assert_int_equal(recent.count, SYNC_RECENT_MAX);
}

static void one_that_is_known_is_not_added_twice(void **state) {
  (void)state;
  sync_recent_resize(&recent, 2);
  sync_recent_add(&recent, print_of(1));
  sync_recent_add(&recent, print_of(2));
  for (int i = 0; i < 5; i++) sync_recent_add(&recent, print_of(2));
  check_known(0, 2);
  assert_true(sync_recent_take(&recent, print_of(2)));
  assert_false(sync_recent_has(&recent, print_of(2)));
}

static void what_is_taken_is_gone_once_and_can_come_again(void **state) {
  (void)state;
  sync_recent_resize(&recent, 4);
  assert_false(sync_recent_take(&recent, print_of(1)));
  for (unsigned i = 1; i <= 4; i++) sync_recent_add(&recent, print_of(i));
  assert_true(sync_recent_take(&recent, print_of(2)));
  assert_false(sync_recent_take(&recent, print_of(2)));
  assert_true(sync_recent_has(&recent, print_of(1)));
  sync_recent_add(&recent, print_of(2));
  for (unsigned i = 5; i <= 7; i++) sync_recent_add(&recent, print_of(i));
  assert_true(sync_recent_has(&recent, print_of(2))); /* the one that was added, not the ghost of the one taken */
  sync_recent_add(&recent, print_of(8));
  assert_false(sync_recent_has(&recent, print_of(2)));
}

/* ---- any sequence, against plain lists --------------------------------------------------------------------------- */

#define PRINTS 400u /* more than any limit used */

struct list {
  unsigned numbers[PRINTS]; /* oldest first; 0: was taken */
  size_t count;
};

/* What must be known: the last `limit` that were added, those that were taken counting. What may be: the last `limit`
 * of those that were not. Without a take they are the same. */
static struct list must, may;

static void trim(struct list *list, size_t limit) {
  size_t excess = list->count > limit ? list->count - limit : 0;
  list->count -= excess;
  memmove(list->numbers, list->numbers + excess, list->count * sizeof *list->numbers);
}

static void append(struct list *list, unsigned number, size_t limit) {
  trim(list, limit - 1);
  list->numbers[list->count++] = number;
}

static size_t place_in(const struct list *list, unsigned number) {
  size_t place = 0;
  while (place < list->count && list->numbers[place] != number) place++;
  return place;
}

static void take_from(struct list *list, unsigned number, bool leave_hole) {
  size_t place = place_in(list, number);
  if (place == list->count) return;
  if (leave_hole) {
    list->numbers[place] = 0;
    return;
  }
  list->count--;
  memmove(list->numbers + place, list->numbers + place + 1, (list->count - place) * sizeof *list->numbers);
}

static void check_against_lists(void) {
  for (unsigned number = 1; number <= PRINTS; number++) {
    bool known = sync_recent_has(&recent, print_of(number));
    if (!known && place_in(&must, number) < must.count) fail_msg("%u is not known", number);
    if (known && place_in(&may, number) == may.count) fail_msg("%u is known still", number);
  }
}

static void resize(size_t limit) {
  sync_recent_resize(&recent, limit);
  trim(&must, limit);
  trim(&may, limit);
}

static void add(unsigned number) {
  bool known = sync_recent_has(&recent, print_of(number));
  sync_recent_add(&recent, print_of(number));
  if (known || recent.limit == 0) return;
  append(&must, number, recent.limit);
  append(&may, number, recent.limit);
}

static void take(unsigned number) {
  bool known = sync_recent_has(&recent, print_of(number));
  assert_int_equal(sync_recent_take(&recent, print_of(number)), known);
  take_from(&must, number, true);
  take_from(&may, number, false);
}

static void any_sequence_is_kept(void **state) {
  (void)state;
  static const size_t limits[] = {60, 20, 300, 0, 1, 150, 7};
  uint32_t random = 1;
  must.count = may.count = 0;
  for (unsigned round = 0; round < 7000; round++) {
    random = random * 1664525u + 1013904223u;
    if (round % 500 == 0) resize(limits[round / 500 % COUNT_OF(limits)]);
    unsigned number = (random >> 8) % PRINTS + 1;
    if (random >> 30 == 0)
      take(number);
    else
      add(number);
    if (round % 7 == 0) check_against_lists();
  }
}

/* ---- memory ------------------------------------------------------------------------------------------------------ */

/* Whatever is refused: those that are known are the latest, without a hole, and there are more of them again as soon as
 * there is memory. */
static void without_memory_the_window_is_shorter(void **state) {
  (void)state;
  for (size_t nth = 1;; nth++) {
    sync_recent_init(&recent, &memory.allocator, 70);
    counting_alloc_refuse(&memory, nth, 1);
    size_t refused = memory.refused;
    for (unsigned last = 1; last <= 200; last++) {
      sync_recent_add(&recent, print_of(last));
      assert_true(recent.count + 1 >= (last < 16 ? last : 16));
      check_known(last - (unsigned)recent.count, last);
    }
    check_known(200 - 70, 200);
    sync_recent_fini(&recent);
    counting_alloc_check(&memory);
    if (memory.refused == refused) break;
  }
  assert_int_equal(memory.refused, 8); /* ring and table, for 16, 32, 64, 128 */
}

static void without_any_memory_nothing_is_known(void **state) {
  (void)state;
  sync_recent_resize(&recent, 10);
  counting_alloc_refuse(&memory, 1, SIZE_MAX);
  for (unsigned i = 1; i <= 5; i++) sync_recent_add(&recent, print_of(i));
  check_known(5, 5);
  counting_alloc_allow(&memory);
  sync_recent_add(&recent, print_of(6));
  check_known(5, 6);
}

static void a_window_that_cannot_grow_goes_on_as_it_is(void **state) {
  (void)state;
  sync_recent_resize(&recent, 100);
  for (unsigned i = 1; i <= 16; i++) sync_recent_add(&recent, print_of(i));
  counting_alloc_refuse(&memory, 1, SIZE_MAX);
  for (unsigned i = 17; i <= 60; i++) sync_recent_add(&recent, print_of(i));
  check_known(60 - 16, 60);
  counting_alloc_allow(&memory);
  for (unsigned i = 61; i <= 150; i++) sync_recent_add(&recent, print_of(i));
  check_known(150 - 100, 150);
}

/* ---- what makes two events the same ------------------------------------------------------------------------------ */

static void an_event_is_its_id_type_and_data_with_their_borders(void **state) {
  (void)state;
  static const struct {
    sync_span id, type, data;
  } events[] = {
      {SPAN(""), SPAN(""), SPAN("")},
      {SPAN("a"), SPAN(""), SPAN("")},
      {SPAN(""), SPAN("a"), SPAN("")},
      {SPAN(""), SPAN(""), SPAN("a")},
      {SPAN("ab"), SPAN("c"), SPAN("d")},
      {SPAN("a"), SPAN("bc"), SPAN("d")},
      {SPAN("a"), SPAN("b"), SPAN("cd")},
      {SPAN("abcd"), SPAN(""), SPAN("")},
      {SPAN(""), SPAN("abcd"), SPAN("")},
      {SPAN(""), SPAN(""), SPAN("abcd")},
      {SPAN("b"), SPAN("a"), SPAN("")},
      {SPAN("a"), SPAN("b"), SPAN("")},
      {SPAN("a\0"), SPAN(""), SPAN("")},
      {SPAN("\0a"), SPAN(""), SPAN("")},
      {SPAN("\0"), SPAN(""), SPAN("")},
      {SPAN(""), SPAN("\0"), SPAN("")},
      {SPAN(""), SPAN("\0\0"), SPAN("")},
      {SPAN("12345678"), SPAN(""), SPAN("")},
      {SPAN("12345678\0"), SPAN(""), SPAN("")},
      {SPAN("12345678"), SPAN("12345678"), SPAN("")},
      {SPAN("1234567812345678"), SPAN(""), SPAN("")},
  };
  sync_recent_resize(&recent, COUNT_OF(events));
  for (size_t i = 0; i < COUNT_OF(events); i++) {
    uint64_t fingerprint = sync_recent_fingerprint(events[i].id, events[i].type, events[i].data);
    assert_true(fingerprint != 0);
    if (sync_recent_has(&recent, fingerprint)) fail_msg("event %zu is the same as one before", i);
    sync_recent_add(&recent, fingerprint);
    assert_true(sync_recent_fingerprint(events[i].id, events[i].type, events[i].data) == fingerprint);
  }
}

static void bytes_are_looked_at_wherever_they_lie(void **state) {
  (void)state;
  char text[64] = {0};
  const char *const end = text + sizeof text;
  for (size_t length = 0; length < 40; length++) {
    uint64_t expected = sync_recent_fingerprint(SPAN("1"), SPAN("t"), (sync_span){text, length});
    assert_true(sync_recent_fingerprint(SPAN("1"), SPAN("t"), (sync_span){end - length, length}) == expected);
    assert_true(sync_recent_fingerprint(SPAN("1"), SPAN("t"), (sync_span){text, length + 1}) != expected);
  }
}

/* 4,096 texts of `length` digits that differ in the four at two places; a window knows each only after it was added. */
static void check_all_differ(bool in_id, size_t length, size_t first, size_t second) {
  char text[64];
  memset(text, '0', sizeof text);
  sync_recent_init(&recent, &memory.allocator, 4096);
  for (unsigned number = 0; number < 4096; number++) {
    text[first] = (char)('0' + (number & 7));
    text[first + 1] = (char)('0' + (number >> 3 & 7));
    text[second] = (char)('0' + (number >> 6 & 7));
    text[second + 1] = (char)('0' + (number >> 9 & 7));
    sync_span varied = {text, length};
    uint64_t fingerprint =
        sync_recent_fingerprint(in_id ? varied : SPAN(""), SPAN("tick"), in_id ? SPAN("{}") : varied);
    if (sync_recent_has(&recent, fingerprint)) fail_msg("%.*s is taken for another", (int)length, text);
    sync_recent_add(&recent, fingerprint);
  }
  sync_recent_fini(&recent);
}

/* The ids of a server, and the data of events without, differ in a few digits: taken for one another, an event would be
 * lost. A hash that is good enough for a table took 93 of 4,096 ids of eight digits for others. */
static void texts_that_differ_in_digits_are_never_the_same(void **state) {
  (void)state;
  for (size_t length = 4; length <= 20; length += 4)
    for (size_t first = 0; first + 4 <= length; first++)
      for (size_t second = first + 2; second + 2 <= length; second++) check_all_differ(true, length, first, second);
  check_all_differ(false, 8, 4, 6);
  check_all_differ(false, 11, 0, 9);
  check_all_differ(false, 40, 6, 38);
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)

int main(void) {
  static const struct CMUnitTest tests[] = {
      TEST(the_last_ones_are_known_and_no_others),
      TEST(a_window_of_nothing_knows_nothing_and_takes_no_memory),
      TEST(memory_is_taken_for_what_it_holds),
      TEST(it_ends_at_the_largest_window),
      TEST(one_that_is_known_is_not_added_twice),
      TEST(what_is_taken_is_gone_once_and_can_come_again),
      TEST(any_sequence_is_kept),
      TEST(without_memory_the_window_is_shorter),
      TEST(without_any_memory_nothing_is_known),
      TEST(a_window_that_cannot_grow_goes_on_as_it_is),
      TEST(an_event_is_its_id_type_and_data_with_their_borders),
      TEST(bytes_are_looked_at_wherever_they_lie),
      TEST(texts_that_differ_in_digits_are_never_the_same),
  };
  return cmocka_run_group_tests(tests, NULL, NULL);
}
