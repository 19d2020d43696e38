/* map_test.c - the hash table, against a plain list; growing, removing, running out of memory. */
#include "map.h"

#include <stdio.h>

#include "counting_alloc.h"
#include "spans.h"

#define KEYS 2000u

static struct counting_alloc memory;
static struct sync_map map;

static int set_up(void **state) {
  (void)state;
  counting_alloc_init(&memory);
  sync_map_init(&map, &memory.allocator);
  return 0;
}

static int tear_down(void **state) {
  (void)state;
  sync_map_fini(&map);
  counting_alloc_check(&memory);
  return 0;
}

static sync_span key_of(unsigned number, char text[32]) {
  return (sync_span){text, (size_t)snprintf(text, 32, "ORDER-%05u", number)};
}

static void an_empty_map_has_nothing_and_takes_no_memory(void **state) {
  (void)state;
  size_t cursor = 0;
  sync_span key;
  assert_null(sync_map_find(&map, SPAN("a")));
  sync_map_remove(&map, SPAN("a"));
  assert_null(sync_map_each(&map, &cursor, &key));
  assert_int_equal(memory.requests, 0);
}

static void a_new_value_is_zero_and_put_again_it_is_the_same(void **state) {
  (void)state;
  union sync_map_value *value = sync_map_put(&map, SPAN("a"));
  assert_int_equal(value->number, 0);
  value->number = 7;
  assert_int_equal(sync_map_put(&map, SPAN("a"))->number, 7);
  assert_int_equal(map.count, 1);
}

static void keys_are_bytes(void **state) {
  (void)state;
  static const sync_span keys[] = {SPAN(""),          SPAN("\0"),       SPAN("\0\0"),     SPAN("a"),
                                   SPAN("a\0"),       SPAN("\0a"),      SPAN("1234567"),  SPAN("12345678"),
                                   SPAN("123456789"), SPAN("\xff\xfe"), SPAN("1234567\0")};
  for (size_t i = 0; i < COUNT_OF(keys); i++) sync_map_put(&map, keys[i])->number = i + 1;
  assert_int_equal(map.count, COUNT_OF(keys));
  for (size_t i = 0; i < COUNT_OF(keys); i++) assert_int_equal(sync_map_find(&map, keys[i])->number, i + 1);
}

static void keys_are_copied(void **state) {
  (void)state;
  char key[] = "ORDER-1";
  sync_map_put(&map, (sync_span){key, 7})->number = 1;
  key[6] = '2';
  assert_non_null(sync_map_find(&map, SPAN("ORDER-1")));
  assert_null(sync_map_find(&map, SPAN("ORDER-2")));
}

/* What is in the map is what `present` says, by look-up and by walking. */
static void check_against(const bool present[KEYS]) {
  char text[32];
  size_t count = 0, walked = 0, cursor = 0;
  sync_span key;
  for (unsigned i = 0; i < KEYS; i++) {
    const union sync_map_value *value = sync_map_find(&map, key_of(i, text));
    assert_int_equal(value != NULL, present[i]);
    if (value) assert_int_equal(value->number, i);
    count += present[i];
  }
  for (const union sync_map_value *value; (value = sync_map_each(&map, &cursor, &key)); walked++) {
    assert_true(present[value->number]);
    check_span(key, (key_of((unsigned)value->number, text), text));
  }
  assert_int_equal(walked, count);
  assert_int_equal(map.count, count);
}

static void any_sequence_of_puts_and_removes_is_kept(void **state) {
  (void)state;
  static bool present[KEYS];
  char text[32];
  uint32_t random = 1;
  memset(present, 0, sizeof present);
  for (unsigned round = 0; round < 40 * KEYS; round++) {
    random = random * 1664525u + 1013904223u;
    unsigned number = (random >> 8) % KEYS;
    present[number] = (random >> 30) != 0;
    if (present[number])
      sync_map_put(&map, key_of(number, text))->number = number;
    else
      sync_map_remove(&map, key_of(number, text));
    if (round % KEYS == 0) check_against(present);
  }
  check_against(present);
}

static void removing_everything_leaves_room_for_everything(void **state) {
  (void)state;
  char text[32];
  for (unsigned i = 0; i < KEYS; i++) sync_map_put(&map, key_of(i, text))->number = i;
  size_t capacity = map.capacity;
  for (unsigned i = 0; i < KEYS; i++) sync_map_remove(&map, key_of(i, text));
  assert_int_equal(map.count, 0);
  for (unsigned i = 0; i < KEYS; i++) assert_null(sync_map_find(&map, key_of(i, text)));
  for (unsigned i = 0; i < KEYS; i++) assert_non_null(sync_map_put(&map, key_of(i, text)));
  assert_int_equal(map.capacity, capacity);
}

/* At every place where memory can run out: NULL, and everything that was there still is. */
static void without_memory_nothing_changes(void **state) {
  (void)state;
  char text[32];
  for (unsigned i = 0; i < 100; i++) {
    for (size_t nth = 1;; nth++) {
      counting_alloc_refuse(&memory, nth, 1);
      union sync_map_value *value = sync_map_put(&map, key_of(i, text));
      counting_alloc_allow(&memory);
      if (value) {
        value->number = i;
        break;
      }
      assert_int_equal(map.count, i);
      assert_null(sync_map_find(&map, key_of(i, text)));
    }
    for (unsigned j = 0; j <= i; j++) assert_int_equal(sync_map_find(&map, key_of(j, text))->number, j);
  }
  assert_true(memory.refused > 100);
}

static int write_id(char *out, size_t size, size_t form, unsigned number) {
  switch (form) {
  case 0: return snprintf(out, size, "WATCH-%06u", number);
  case 1: return snprintf(out, size, "ORDER-%u", number);
  case 2: return snprintf(out, size, "%u", number);
  case 3: return snprintf(out, size, "order/2026-11-22/%08u", number);
  default: return snprintf(out, size, "ORD-%06u-A", number);
  }
}

/* Ids of one shop differ in a few digits. Thrown at random, 10,000 of them would fall into about 7,500 of 16,384
 * places; a hash that leaves them in runs makes every look-up that misses walk a run. */
static void ids_that_differ_in_digits_are_spread(void **state) {
  (void)state;
  enum { FORMS = 5, PLACES = 16384, IDS = 10000 };
  for (size_t form = 0; form < FORMS; form++) {
    bool taken[PLACES] = {false};
    unsigned distinct = 0;
    for (unsigned i = 0; i < IDS; i++) {
      char id[40];
      int length = write_id(id, sizeof id, form, i);
      bool *place = &taken[sync_map_hash((sync_span){id, (size_t)length}) % PLACES];
      distinct += !*place;
      *place = true;
    }
    assert_in_range(distinct, 7200, 7800);
  }
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)

int main(void) {
  static const struct CMUnitTest tests[] = {
      TEST(an_empty_map_has_nothing_and_takes_no_memory),
      TEST(a_new_value_is_zero_and_put_again_it_is_the_same),
      TEST(keys_are_bytes),
      TEST(keys_are_copied),
      TEST(any_sequence_of_puts_and_removes_is_kept),
      TEST(removing_everything_leaves_room_for_everything),
      TEST(without_memory_nothing_changes),
      TEST(ids_that_differ_in_digits_are_spread),
  };
  return cmocka_run_group_tests(tests, NULL, NULL);
}
