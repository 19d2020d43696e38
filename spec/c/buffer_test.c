/* buffer_test.c - the floor that everything stands on: the allocator's shapes, and growing runs of bytes. */
#include "buffer.h"

#include <stdio.h>

#include "counting_alloc.h"
#include "error.h"
#include "spans.h"

static struct counting_alloc memory;

static int set_up(void **state) {
  (void)state;
  counting_alloc_init(&memory);
  return 0;
}

static int tear_down(void **state) {
  (void)state;
  counting_alloc_check(&memory);
  return 0;
}

/* ---- allocation -------------------------------------------------------------------------------------------------- */

static void check_allocator(const sync_allocator *alloc) {
  unsigned char *zeroed = sync_alloc_zeroed(alloc, 100);
  for (size_t i = 0; i < 100; i++) assert_int_equal(zeroed[i], 0);
  memset(zeroed, 'x', 100);
  zeroed = sync_alloc_resize(alloc, zeroed, 100000);
  for (size_t i = 0; i < 100; i++) assert_int_equal(zeroed[i], 'x');
  char *text = sync_alloc_text(alloc, SPAN("a\0b"));
  assert_memory_equal(text, "a\0b\0", 4);
  char *empty = sync_alloc_text(alloc, (sync_span){NULL, 0});
  assert_string_equal(empty, "");
  sync_alloc_free(alloc, zeroed);
  sync_alloc_free(alloc, text);
  sync_alloc_free(alloc, empty);
  sync_alloc_free(alloc, NULL);
}

static void blocks_are_zeroed_kept_and_copied(void **state) {
  (void)state;
  check_allocator(&sync_alloc_standard);
  check_allocator(&memory.allocator);
}

static void refused_requests_give_null(void **state) {
  (void)state;
  char *block = sync_alloc_text(&memory.allocator, SPAN("kept"));
  counting_alloc_refuse(&memory, 1, 3);
  assert_null(sync_alloc_zeroed(&memory.allocator, 8));
  assert_null(sync_alloc_text(&memory.allocator, SPAN("text")));
  assert_null(sync_alloc_resize(&memory.allocator, block, 1000));
  assert_string_equal(block, "kept");
  sync_alloc_free(&memory.allocator, block);
}

/* ---- buffers ----------------------------------------------------------------------------------------------------- */

static void an_empty_buffer_takes_no_memory(void **state) {
  (void)state;
  struct sync_buffer buffer;
  sync_buffer_init(&buffer, &memory.allocator);
  assert_true(sync_buffer_append(&buffer, (sync_span){NULL, 0}));
  assert_true(sync_buffer_reserve(&buffer, 0));
  assert_int_equal(sync_buffer_span(&buffer).length, 0);
  assert_int_equal(memory.requests, 0);
  sync_buffer_fini(&buffer);
}

static void appended_bytes_are_there_in_order(void **state) {
  (void)state;
  struct sync_buffer buffer;
  char piece[7];
  size_t length = 0;
  sync_buffer_init(&buffer, &memory.allocator);
  for (unsigned i = 0; i < 20000; i++) {
    sync_span span = {piece, (size_t)snprintf(piece, sizeof piece, "%u", i)};
    assert_true(sync_buffer_append(&buffer, span));
    assert_memory_equal(sync_buffer_span(&buffer).bytes + length, piece, span.length);
    length += span.length;
  }
  assert_int_equal(sync_buffer_span(&buffer).length, length);
  assert_true(memory.requests < 20); /* doubling: linear time */
  assert_true(sync_buffer_append(&buffer, SPAN("a\0b")));
  assert_memory_equal(sync_buffer_span(&buffer).bytes + length, "a\0b", 3);
  sync_buffer_fini(&buffer);
}

static void a_cleared_buffer_keeps_its_memory_and_an_ended_one_is_usable(void **state) {
  (void)state;
  struct sync_buffer buffer;
  sync_buffer_init(&buffer, &memory.allocator);
  assert_true(sync_buffer_reserve(&buffer, 1000));
  size_t requests = memory.requests;
  sync_buffer_clear(&buffer);
  for (int i = 0; i < 1000; i++) assert_true(sync_buffer_append(&buffer, SPAN("x")));
  assert_int_equal(memory.requests, requests);
  sync_buffer_fini(&buffer);
  assert_int_equal(memory.live, 0);
  assert_true(sync_buffer_append(&buffer, SPAN("y")));
  check_span(sync_buffer_span(&buffer), "y");
  sync_buffer_fini(&buffer);
}

static void without_memory_a_buffer_is_as_it_was(void **state) {
  (void)state;
  struct sync_buffer buffer;
  static const char much[5000];
  sync_buffer_init(&buffer, &memory.allocator);
  assert_true(sync_buffer_append(&buffer, SPAN("kept")));
  counting_alloc_refuse(&memory, 1, 1);
  assert_false(sync_buffer_append(&buffer, (sync_span){much, sizeof much}));
  check_span(sync_buffer_span(&buffer), "kept");
  assert_true(sync_buffer_append(&buffer, (sync_span){much, sizeof much}));
  assert_false(sync_buffer_reserve(&buffer, SIZE_MAX));
  assert_false(sync_buffer_reserve(&buffer, SIZE_MAX - 4));
  assert_int_equal(sync_buffer_span(&buffer).length, 4 + sizeof much);
  sync_buffer_fini(&buffer);
}

/* ---- errors ------------------------------------------------------------------------------------------------------ */

static bool is_code_name(const char *name) {
  for (; *name; name++)
    if (*name != '_' && (*name < 'A' || *name > 'Z')) return false;
  return true;
}

static void every_code_has_its_own_name_and_a_text(void **state) {
  (void)state;
  for (int code = 0; code < SYNC_CODE_COUNT; code++) {
    const char *name = sync_code_name((sync_code)code);
    assert_true(is_code_name(name));
    assert_true(strlen(sync_code_text((sync_code)code)) > 0);
    if (code != SYNC_OK) assert_true(strlen(sync_code_hint((sync_code)code)) > 0);
    for (int other = 0; other < code; other++) assert_string_not_equal(name, sync_code_name((sync_code)other));
  }
  assert_string_equal(sync_code_name(SYNC_CODE_COUNT), "UNKNOWN");
  assert_int_equal(sync_code_class(SYNC_CODE_COUNT), SYNC_CLASS_FATAL);
}

static void a_failure_is_cleared_and_its_message_cut(void **state) {
  (void)state;
  sync_failure failure;
  char much[1000];
  memset(&failure, 'x', sizeof failure);
  memset(much, 'm', sizeof much - 1);
  much[sizeof much - 1] = '\0';
  assert_int_equal(sync_failure_set(&failure, SYNC_DNS, "%s", much), SYNC_DNS);
  assert_int_equal(failure.code, SYNC_DNS);
  assert_int_equal(strlen(failure.message), sizeof failure.message - 1);
  assert_int_equal(failure.status, 0);
  assert_int_equal(failure.attempt, 0);
  assert_int_equal(failure.next_retry_at_ms, 0);
  assert_true(failure.retryable);
  assert_int_equal(sync_failure_set(NULL, SYNC_URL, "%d", 1), SYNC_URL);
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)

int main(void) {
  static const struct CMUnitTest tests[] = {
      TEST(blocks_are_zeroed_kept_and_copied),
      TEST(refused_requests_give_null),
      TEST(an_empty_buffer_takes_no_memory),
      TEST(appended_bytes_are_there_in_order),
      TEST(a_cleared_buffer_keeps_its_memory_and_an_ended_one_is_usable),
      TEST(without_memory_a_buffer_is_as_it_was),
      TEST(every_code_has_its_own_name_and_a_text),
      TEST(a_failure_is_cleared_and_its_message_cut),
  };
  return cmocka_run_group_tests(tests, NULL, NULL);
}
