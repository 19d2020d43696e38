/* sse_moved_test.c - blocks that bring no message, but an id: where the stream goes on is told, however it is cut. */
#include "sse.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>

#include <cmocka.h>

#include <stdio.h>
#include <string.h>

#include "counting_alloc.h"
#include "spans.h"

static struct counting_alloc memory;
static char said[256];
static bool go_on;

static bool note(const char *what, sync_span id) {
  size_t length = strlen(said);
  (void)snprintf(said + length, sizeof said - length, "%s %.*s; ", what, (int)id.length, id.bytes);
  return go_on;
}

static bool on_message(void *arg, const struct sync_sse_message *message) {
  (void)arg;
  return note("message", message->id);
}

static bool on_moved(void *arg, sync_span id) {
  (void)arg;
  return note("moved", id);
}

/* What a stream says, fed in chunks of so many bytes. */
static void check(const char *stream, const char *expected) {
  static const struct sync_sse_sink sink = {.message = on_message, .moved = on_moved};
  for (size_t chunk = 1; chunk <= strlen(stream); chunk++) {
    struct sync_sse sse;
    size_t at = 0, length = strlen(stream), consumed;
    said[0] = '\0';
    sync_sse_init(&sse, &memory.allocator, 16);
    while (at < length) {
      size_t piece = length - at < chunk ? length - at : chunk;
      assert_int_equal(sync_sse_feed(&sse, stream + at, piece, &sink, &consumed), SYNC_OK);
      assert_in_range(consumed, 1, piece);
      at += consumed;
    }
    sync_sse_fini(&sse);
    assert_string_equal(said, expected);
  }
}

static int set_up(void **state) {
  (void)state;
  counting_alloc_init(&memory);
  go_on = true;
  return 0;
}

static int tear_down(void **state) {
  (void)state;
  counting_alloc_check(&memory);
  return 0;
}

static void an_id_alone_moves_the_stream(void **state) {
  (void)state;
  check("id: 1\ndata\n\nid: 2\n\nid: 3\ndata\n\n", "message 1; moved 2; message 3; ");
}

static void an_event_s_own_id_does_not_count_twice(void **state) {
  (void)state;
  check("id: 1\ndata: a\n\ndata: b\n\n: a comment\n\n", "message 1; message 1; ");
}

static void what_is_too_large_moves_it_too(void **state) {
  (void)state;
  check("id: 1\ndata: 01234567890123456789\n\nid: 2\ndata\n\n", "moved 1; message 2; ");
}

static void an_id_that_is_reset_moves_it_nowhere(void **state) {
  (void)state;
  check("id: 1\ndata\n\nid\n\ndata\n\n", "message 1; message ; ");
}

static void who_has_enough_is_asked_again_behind_it(void **state) {
  (void)state;
  go_on = false;
  check("id: 1\n\nid: 2\n\nid: 3\ndata\n\n", "moved 1; moved 2; message 3; ");
}

int main(void) {
  const struct CMUnitTest tests[] = {
#define TEST(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)
      TEST(an_id_alone_moves_the_stream),
      TEST(an_event_s_own_id_does_not_count_twice),
      TEST(what_is_too_large_moves_it_too),
      TEST(an_id_that_is_reset_moves_it_nowhere),
      TEST(who_has_enough_is_asked_again_behind_it),
  };
  return cmocka_run_group_tests(tests, NULL, NULL);
}
