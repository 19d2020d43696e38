/*
 * interest_test.c - who wants which event: filters, the order of ids, what an event costs, changes while matching.
 *
 * The random test compares with the plainest way there is: look at every subscription.
 */
#include "interest.h"

#include <stdio.h>

#include "counting_alloc.h"
#include "spans.h"

static struct counting_alloc memory;
static struct sync_interest interest;
static struct sync_match match;

static int set_up(void **state) {
  (void)state;
  counting_alloc_init(&memory);
  sync_interest_init(&interest, &memory.allocator);
  match = (struct sync_match){.ids = NULL};
  return 0;
}

static int tear_down(void **state) {
  (void)state;
  sync_match_fini(&memory.allocator, &match);
  sync_interest_fini(&interest);
  counting_alloc_check(&memory);
  return 0;
}

/* A subscription to one order and one type; NULL: any. */
static uint64_t add(const char *order_id, const char *type) {
  const sync_span order = span_of(order_id ? order_id : ""), name = span_of(type ? type : "");
  const sync_filter filter = {&order, order_id != NULL, &name, type != NULL};
  uint64_t id = sync_interest_add(&interest, &filter);
  assert_true(id > 0);
  return id;
}

/* The ids that match, then 0, are `expected`; and what sync_interest_wants() says fits. */
static void check_match(const char *type, const char *order_id, const uint64_t *expected) {
  size_t count = 0;
  uint64_t only = 99;
  while (expected[count]) count++;
  assert_int_equal(sync_interest_wants(&interest, span_of(type), span_of(order_id), &only), count > 0);
  assert_int_equal(only, count == 1 ? expected[0] : 0);
  assert_true(sync_interest_match(&interest, span_of(type), span_of(order_id), &match));
  for (size_t i = 0; i <= count; i++) assert_int_equal(sync_interest_next(&interest, &match), expected[i]);
  assert_int_equal(sync_interest_next(&interest, &match), 0);
}

#define CHECK_MATCH(type, order_id, ...) check_match(type, order_id, (const uint64_t[]){__VA_ARGS__})

/* ---- filters ----------------------------------------------------------------------------------------------------- */

static void ids_count_from_one_and_come_oldest_first(void **state) {
  (void)state;
  assert_int_equal(sync_interest_add(&interest, NULL), 1);
  assert_int_equal(add("A", NULL), 2);
  assert_int_equal(add(NULL, "t"), 3);
  assert_int_equal(add("A", "t"), 4);
  assert_int_equal(add(NULL, NULL), 5);
  assert_int_equal(add("A", "u"), 6);
  CHECK_MATCH("t", "A", 1, 2, 3, 4, 5, 0);
  CHECK_MATCH("t", "B", 1, 3, 5, 0);
  CHECK_MATCH("t", "", 1, 3, 5, 0);
  CHECK_MATCH("u", "A", 1, 2, 5, 6, 0);
  CHECK_MATCH("v", "", 1, 5, 0);
}

static void with_nobody_nobody_wants_it(void **state) {
  (void)state;
  CHECK_MATCH("t", "A", 0);
  add("A", "t");
  CHECK_MATCH("t", "B", 0);
  CHECK_MATCH("u", "A", 0);
  CHECK_MATCH("T", "A", 0);
  CHECK_MATCH("t", "", 0);
}

static void lists_match_each_of_their_entries_once(void **state) {
  (void)state;
  const sync_span orders[] = {SPAN("A"), SPAN("B"), SPAN("A")}, types[] = {SPAN("t"), SPAN("u"), SPAN("t")};
  const sync_filter by_both = {orders, 3, types, 3}, by_type = {NULL, 0, types, 3};
  assert_int_equal(sync_interest_add(&interest, &by_both), 1);
  assert_int_equal(sync_interest_add(&interest, &by_type), 2);
  CHECK_MATCH("t", "A", 1, 2, 0);
  CHECK_MATCH("u", "B", 1, 2, 0);
  CHECK_MATCH("v", "B", 0);
  CHECK_MATCH("t", "C", 2, 0);
}

static void connected_and_heartbeat_must_be_named(void **state) {
  (void)state;
  assert_true(sync_interest_must_name(SPAN("connected")) && sync_interest_must_name(SPAN("heartbeat")));
  assert_false(sync_interest_must_name(SPAN("connecter")) || sync_interest_must_name(SPAN("heart")) ||
               sync_interest_must_name(SPAN("")));
  add(NULL, NULL);
  add("A", NULL);
  add(NULL, "connected");
  add("A", "heartbeat");
  CHECK_MATCH("connected", "A", 3, 0);
  CHECK_MATCH("heartbeat", "A", 4, 0);
  CHECK_MATCH("heartbeat", "", 0);
  CHECK_MATCH("message", "", 1, 0);
}

static void a_filter_is_copied(void **state) {
  (void)state;
  char order_id[] = "A", type[] = "t";
  const sync_span order = span_of(order_id), name = span_of(type);
  const sync_filter filter = {&order, 1, &name, 1};
  assert_int_equal(sync_interest_add(&interest, &filter), 1);
  order_id[0] = type[0] = 'x';
  CHECK_MATCH("t", "A", 1, 0);
}

static void empty_names_name_nothing(void **state) {
  (void)state;
  static const sync_span nothing[] = {{NULL, 0}, {NULL, 0}};
  const sync_filter filter = {nothing, 2, nothing, 2};
  assert_int_equal(sync_interest_add(&interest, &filter), 1);
  CHECK_MATCH("t", "", 0);
  sync_interest_remove(&interest, 1);
  assert_int_equal(interest.by_order.count, 0);
}

/* ---- removal ----------------------------------------------------------------------------------------------------- */

static void what_is_removed_matches_no_more_and_its_id_is_not_used_again(void **state) {
  (void)state;
  for (int i = 0; i < 5; i++) add("A", NULL);
  sync_interest_remove(&interest, 3);
  sync_interest_remove(&interest, 3);
  sync_interest_remove(&interest, 0);
  sync_interest_remove(&interest, 99);
  sync_interest_remove(&interest, 5);
  CHECK_MATCH("t", "A", 1, 2, 4, 0);
  assert_int_equal(add("A", NULL), 6);
  CHECK_MATCH("t", "A", 1, 2, 4, 6, 0);
}

static void removing_everything_gives_the_index_back(void **state) {
  (void)state;
  for (int i = 0; i < 10; i++) add(i % 2 ? "A" : NULL, i % 3 ? "t" : NULL);
  for (uint64_t id = 10; id > 0; id--) sync_interest_remove(&interest, id);
  assert_int_equal(interest.by_order.count + interest.by_type.count + interest.any.count + interest.all.count, 0);
  CHECK_MATCH("t", "A", 0);
}

static void what_is_removed_while_matching_is_not_given(void **state) {
  (void)state;
  for (int i = 0; i < 5; i++) add("A", NULL);
  assert_true(sync_interest_match(&interest, SPAN("t"), SPAN("A"), &match));
  assert_int_equal(sync_interest_next(&interest, &match), 1);
  sync_interest_remove(&interest, 1);  /* itself */
  sync_interest_remove(&interest, 2);  /* the next */
  sync_interest_remove(&interest, 5);  /* the last */
  assert_int_equal(add("A", NULL), 6); /* it came after the event */
  assert_int_equal(sync_interest_next(&interest, &match), 3);
  sync_interest_remove(&interest, 4);
  assert_int_equal(sync_interest_next(&interest, &match), 0);
}

static void a_match_of_one_is_given_once_if_it_still_stands(void **state) {
  (void)state;
  add("A", NULL);
  sync_interest_match_only(&interest, 1, &match);
  assert_int_equal(sync_interest_next(&interest, &match), 1);
  assert_int_equal(sync_interest_next(&interest, &match), 0);
  sync_interest_match_only(&interest, 1, &match);
  sync_interest_remove(&interest, 1);
  assert_int_equal(sync_interest_next(&interest, &match), 0);
  add("A", NULL);
  sync_interest_match_only(&interest, 2, &match);
  sync_match_clear(&match);
  assert_int_equal(sync_interest_next(&interest, &match), 0);
}

/* ---- cost -------------------------------------------------------------------------------------------------------- */

static size_t filed_count(const struct sync_map *map, const char *key) {
  const union sync_map_value *value = sync_map_find(map, span_of(key));
  const struct sync_subscriptions *subscriptions = value ? value->pointer : NULL;
  return subscriptions ? subscriptions->count : 0;
}

/* How many subscriptions an event looks at: the three lists of the head of interest.h. */
static size_t candidate_count(const char *type, const char *order_id) {
  return filed_count(&interest.by_order, order_id) + filed_count(&interest.by_type, type) + interest.any.count;
}

static void ten_thousand_subscriptions_cost_an_event_no_more_than_ten(void **state) {
  (void)state;
  char order_id[32];
  add(NULL, NULL);
  add(NULL, "stage_change");
  for (unsigned i = 0; i < 10000; i++) {
    (void)snprintf(order_id, sizeof order_id, "ORDER-%u", i);
    add(order_id, i % 2 ? "stage_change" : NULL);
  }
  assert_int_equal(candidate_count("stage_change", "ORDER-7777"), 3);
  assert_int_equal(candidate_count("stage_change", "nobody's"), 2);
  assert_int_equal(candidate_count("payment_update", "ORDER-1"), 2);
  CHECK_MATCH("stage_change", "ORDER-7777", 1, 2, 7780, 0);
  CHECK_MATCH("payment_update", "ORDER-7777", 1, 0);
  CHECK_MATCH("payment_update", "ORDER-7776", 1, 7779, 0);
  size_t requests = memory.requests;
  for (unsigned i = 0; i < 10000; i++) assert_true(sync_interest_match(&interest, SPAN("t"), SPAN("ORDER-5"), &match));
  assert_int_equal(memory.requests, requests); /* and no memory once the list of ids is there */
}

/* ---- against the plainest way ------------------------------------------------------------------------------------ */

#define RIVALS 200u

/* Bit i: wants the i-th name; 0: any. */
struct rival {
  bool stands;
  unsigned orders;
  unsigned types;
};

static const sync_span names[] = {SPAN("a"), SPAN("b"), SPAN("c"), SPAN("heartbeat")};

static uint32_t random_bits(void) {
  static uint32_t state = 1;
  state = state * 1664525u + 1013904223u;
  return state >> 8;
}

static size_t pick(unsigned bits, sync_span out[4]) {
  size_t count = 0;
  for (unsigned i = 0; i < 4; i++)
    if (bits >> i & 1) out[count++] = names[i];
  return count;
}

static bool rival_wants(const struct rival *rival, unsigned type, unsigned order) {
  if (!rival->stands || (rival->orders && !(rival->orders >> order & 1))) return false;
  return rival->types ? (rival->types >> type & 1) : type != 3;
}

static void check_rivals(const struct rival rivals[RIVALS + 1], uint64_t last) {
  for (unsigned type = 0; type < 4; type++)
    for (unsigned order = 0; order < 4; order++) {
      uint64_t expected[RIVALS + 1];
      size_t count = 0;
      for (uint64_t id = 1; id <= last; id++)
        if (rival_wants(&rivals[id], type, order)) expected[count++] = id;
      expected[count] = 0;
      check_match(names[type].bytes, names[order].bytes, expected);
    }
}

static void any_mixture_matches_as_looking_at_all_does(void **state) {
  (void)state;
  static struct rival rivals[RIVALS + 1];
  for (uint64_t last = 1; last <= RIVALS; last++) {
    sync_span orders[4], types[4];
    struct rival rival = {true, random_bits() & random_bits() & 15, random_bits() & random_bits() & 15};
    const sync_filter filter = {orders, pick(rival.orders, orders), types, pick(rival.types, types)};
    assert_int_equal(sync_interest_add(&interest, &filter), last);
    rivals[last] = rival;
    uint64_t gone = random_bits() % (2 * last) + 1;
    if (gone <= last) rivals[gone].stands = false;
    sync_interest_remove(&interest, gone);
    check_rivals(rivals, last);
  }
}

/* ---- memory ------------------------------------------------------------------------------------------------------ */

static void without_memory_a_subscription_is_not_made_and_others_stay(void **state) {
  (void)state;
  const sync_span orders[] = {SPAN("A"), SPAN("B")}, types[] = {SPAN("t")};
  const sync_filter filters[] = {{orders, 2, types, 1}, {NULL, 0, types, 1}, {NULL, 0, NULL, 0}};
  for (size_t i = 0; i < COUNT_OF(filters); i++) {
    for (size_t nth = 1;; nth++) {
      counting_alloc_refuse(&memory, nth, 1);
      uint64_t id = sync_interest_add(&interest, &filters[i]);
      counting_alloc_allow(&memory);
      if (id > 0) break;
      assert_int_equal(interest.all.count, i);
    }
    assert_int_equal(interest.all.count, i + 1);
  }
  CHECK_MATCH("t", "A", 1, 2, 3, 0);
  CHECK_MATCH("t", "C", 2, 3, 0);
  assert_true(memory.refused > 8);
}

static void without_memory_for_all_ids_the_oldest_are_given(void **state) {
  (void)state;
  for (int i = 0; i < 100; i++) add("A", NULL);
  counting_alloc_refuse(&memory, 2, 1);
  assert_false(sync_interest_match(&interest, SPAN("t"), SPAN("A"), &match));
  assert_in_range(match.count, 1, 99);
  for (uint64_t id = 1; id <= match.count; id++) assert_int_equal(sync_interest_next(&interest, &match), id);
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)

int main(void) {
  static const struct CMUnitTest tests[] = {
      TEST(ids_count_from_one_and_come_oldest_first),
      TEST(with_nobody_nobody_wants_it),
      TEST(lists_match_each_of_their_entries_once),
      TEST(connected_and_heartbeat_must_be_named),
      TEST(a_filter_is_copied),
      TEST(empty_names_name_nothing),
      TEST(what_is_removed_matches_no_more_and_its_id_is_not_used_again),
      TEST(removing_everything_gives_the_index_back),
      TEST(what_is_removed_while_matching_is_not_given),
      TEST(a_match_of_one_is_given_once_if_it_still_stands),
      TEST(ten_thousand_subscriptions_cost_an_event_no_more_than_ten),
      TEST(any_mixture_matches_as_looking_at_all_does),
      TEST(without_memory_a_subscription_is_not_made_and_others_stay),
      TEST(without_memory_for_all_ids_the_oldest_are_given),
  };
  return cmocka_run_group_tests(tests, NULL, NULL);
}
