/* queue_test.c - what waits for the host: order, limit, who owns what. */
#include "queue.h"

#include "counting_alloc.h"
#include "error.h"
#include "records.h"

static struct counting_alloc memory;
static struct sync_segment_pool *pool;
static struct sync_segments segments;
static struct sync_queue queue;

static int set_up(void **state) {
  (void)state;
  counting_alloc_init(&memory);
  pool = sync_segment_pool_new(&memory.allocator);
  sync_segments_init(&segments, pool);
  sync_queue_init(&queue, &memory.allocator, 100);
  return pool ? 0 : -1;
}

static int tear_down(void **state) {
  (void)state;
  sync_queue_fini(&queue);
  sync_segments_fini(&segments);
  sync_segment_pool_free(pool);
  counting_alloc_check(&memory);
  return 0;
}

/* A state change that carries a number, as two states cannot: in `from`. */
static struct sync_entry numbered(unsigned number) {
  return (struct sync_entry){.kind = SYNC_ITEM_STATE, .from = (sync_state)(number % 7), .to = (sync_state)(number % 5)};
}

static void check_number(const struct sync_entry *entry, unsigned number) {
  assert_int_equal(entry->kind, SYNC_ITEM_STATE);
  assert_int_equal(entry->from, number % 7);
  assert_int_equal(entry->to, number % 5);
}

static void an_empty_queue_gives_nothing(void **state) {
  (void)state;
  struct sync_entry entry;
  assert_false(sync_queue_pop(&queue, &entry));
  assert_false(sync_queue_full(&queue));
  assert_int_equal(memory.live, 1); /* the pool */
}

/* Pushes and pops in waves of every length, so that the ring turns and grows at every place of its head. */
static void first_in_first_out_wherever_the_ring_stands(void **state) {
  (void)state;
  unsigned pushed = 0, popped = 0;
  struct sync_entry entry;
  for (unsigned wave = 1; wave < 200; wave++) {
    for (unsigned i = 0; i < wave; i++) assert_true(sync_queue_push(&queue, numbered(pushed++)));
    for (unsigned i = 0; i < wave / 2 + 1 && popped < pushed; i++) {
      assert_true(sync_queue_pop(&queue, &entry));
      check_number(&entry, popped++);
    }
    assert_int_equal(queue.count, pushed - popped);
  }
  while (sync_queue_pop(&queue, &entry)) check_number(&entry, popped++);
  assert_int_equal(popped, pushed);
}

/* The limit is for who fills it to look at; a state change is always taken. */
static void full_is_told_and_goes_away_with_a_pop(void **state) {
  (void)state;
  struct sync_entry entry;
  for (unsigned i = 0; i < 99; i++) assert_true(sync_queue_push(&queue, numbered(i)));
  assert_false(sync_queue_full(&queue));
  assert_true(sync_queue_push(&queue, numbered(99)));
  assert_true(sync_queue_full(&queue));
  assert_true(sync_queue_push(&queue, numbered(100)));
  assert_true(sync_queue_pop(&queue, &entry));
  assert_true(sync_queue_full(&queue));
  assert_true(sync_queue_pop(&queue, &entry));
  assert_false(sync_queue_full(&queue));
  assert_int_equal(queue.peak, 101);
}

static struct sync_entry failure_entry(void) {
  sync_failure *failure = sync_alloc_zeroed(&memory.allocator, sizeof *failure);
  assert_non_null(failure);
  sync_failure_set(failure, SYNC_DNS, "no such host");
  return (struct sync_entry){.kind = SYNC_ITEM_ERROR, .failure = failure};
}

static void the_queue_owns_what_waits_and_the_caller_what_was_popped(void **state) {
  (void)state;
  struct sync_entry entry;
  sync_event *event = record_new(&segments, "1", "{\"orderID\":\"ORDER-1\"}", 1);
  sync_event_retain(event);
  assert_true(sync_queue_push(&queue, (struct sync_entry){.kind = SYNC_ITEM_EVENT, .event = event}));
  assert_true(sync_queue_push(&queue, failure_entry()));
  assert_true(sync_queue_push(&queue, failure_entry()));
  sync_event_retain(event);
  assert_true(sync_queue_push(&queue, (struct sync_entry){.kind = SYNC_ITEM_COMMENT, .event = event}));
  sync_event_release(event);
  assert_true(sync_queue_pop(&queue, &entry));
  check_span(sync_event_text(entry.event, SYNC_EVENT_ORDER_ID), "ORDER-1");
  sync_entry_fini(&memory.allocator, &entry);
  assert_true(sync_queue_pop(&queue, &entry));
  assert_int_equal(entry.failure->code, SYNC_DNS);
  sync_entry_fini(&memory.allocator, &entry);
  sync_entry_fini(&memory.allocator, &entry); /* ended is ended */
  sync_queue_fini(&queue);                    /* a failure and a comment still wait */
  assert_int_equal(queue.count, 0);
  assert_int_equal(queue.limit, 100);
}

static void without_memory_the_caller_keeps_the_entry_and_the_queue_its_entries(void **state) {
  (void)state;
  struct sync_entry entry;
  unsigned pushed = 0, refused = 0;
  while (refused < 4) {
    struct sync_entry next = pushed % 2 ? failure_entry() : numbered(pushed);
    counting_alloc_refuse(&memory, 1, 1);
    bool taken = sync_queue_push(&queue, next);
    counting_alloc_allow(&memory);
    if (!taken) {
      refused++;
      assert_int_equal(queue.count, pushed);
      assert_true(sync_queue_push(&queue, next));
    }
    pushed++;
  }
  for (unsigned i = 0; i < pushed; i++) {
    assert_true(sync_queue_pop(&queue, &entry));
    if (i % 2 == 0) check_number(&entry, i);
    sync_entry_fini(&memory.allocator, &entry);
  }
  assert_false(sync_queue_pop(&queue, &entry));
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)

int main(void) {
  static const struct CMUnitTest tests[] = {
      TEST(an_empty_queue_gives_nothing),
      TEST(first_in_first_out_wherever_the_ring_stands),
      TEST(full_is_told_and_goes_away_with_a_pop),
      TEST(the_queue_owns_what_waits_and_the_caller_what_was_popped),
      TEST(without_memory_the_caller_keeps_the_entry_and_the_queue_its_entries),
  };
  return cmocka_run_group_tests(tests, NULL, NULL);
}
