/*
 * sse_test.c - the event stream parser below the vectors: what the caller can rely on beside the bytes of the standard.
 *
 * Spans into the chunk, stopping and going on, limits, memory and its failure, starting anew. Each stream is fed whole,
 * byte by byte and cut in two everywhere, with a sink that stops and one that does not.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>

#include <cmocka.h>

#include "sse_transcript.h"

#define MIB  1048576u
#define WIDE MIB /* a bound that does not matter */

/* A literal's bytes, NUL included, without the one behind it. */
#define SPAN(literal) ((sync_span){literal, sizeof(literal) - 1})

/* ---- an allocator that counts and fails -------------------------------------------------------------------------- */

struct ledger {
  size_t live_bytes;
  size_t peak_bytes;
  size_t moved_bytes; /* all that resizing may have copied */
  size_t granted;     /* requests until they fail */
};

/* Kept in front of each block; as large as the strictest alignment. */
union block_size {
  size_t bytes;
  max_align_t align;
};

static void *resize_counted(void *arg, void *block, size_t bytes) {
  struct ledger *ledger = arg;
  union block_size *old = block ? (union block_size *)block - 1 : NULL;
  size_t old_bytes = old ? old->bytes : 0;
  if (bytes > 0 && ledger->granted == 0) return NULL;
  if (bytes > 0) ledger->granted--;
  ledger->live_bytes += bytes - old_bytes;
  if (ledger->live_bytes > ledger->peak_bytes) ledger->peak_bytes = ledger->live_bytes;
  ledger->moved_bytes += old_bytes;
  if (bytes == 0) {
    free(old);
    return NULL;
  }
  union block_size *grown = realloc(old, sizeof *grown + bytes);
  assert_non_null(grown);
  grown->bytes = bytes;
  return grown + 1;
}

/* ---- streams in, transcripts out --------------------------------------------------------------------------------- */

static void assert_told(const struct transcript *transcript, const char *where, sync_span expected) {
  sync_span told = sync_buffer_span(&transcript->text);
  if (told.length == expected.length && (!told.length || !memcmp(told.bytes, expected.bytes, told.length))) return;
  fail_msg("%s: told\n%.*s\nexpected\n%.*s", where, (int)told.length, told.bytes, (int)expected.length, expected.bytes);
}

static void check_cut(sync_span stream, size_t max_bytes, size_t first, size_t step, sync_span expected) {
  for (size_t stop_every = 0; stop_every <= 2; stop_every++) {
    struct sync_sse sse;
    struct transcript transcript;
    transcript_init(&transcript, stop_every);
    struct sync_sse_sink sink = transcript_sink(&transcript);
    sync_sse_init(&sse, &sync_alloc_standard, max_bytes);
    for (size_t at = 0, length = first; at < stream.length; at += length, length = step) {
      if (length > stream.length - at) length = stream.length - at;
      assert_int_equal(transcript_feed(&transcript, &sse, &sink, (sync_span){stream.bytes + at, length}), SYNC_OK);
    }
    char where[64];
    snprintf(where, sizeof where, "cut at %zu, then every %zu, stop every %zu", first, step, stop_every);
    assert_told(&transcript, where, expected);
    sync_sse_fini(&sse);
    transcript_fini(&transcript);
  }
}

/* Whatever the cuts and stops, `stream` must be told as `expected`. */
static void check_stream(sync_span stream, size_t max_bytes, sync_span expected) {
  for (size_t first = 1; first <= stream.length; first++) check_cut(stream, max_bytes, first, stream.length, expected);
  for (size_t step = 1; step <= 4; step++) check_cut(stream, max_bytes, step, step, expected);
}

/* A parser with its ledger and transcript, for tests that look at it between the chunks. */
struct bench {
  struct ledger ledger;
  sync_allocator alloc;
  struct transcript transcript;
  struct sync_sse_sink sink;
  struct sync_sse sse;
};

static void bench_init(struct bench *bench, size_t max_bytes) {
  bench->ledger = (struct ledger){.granted = SIZE_MAX};
  bench->alloc = (sync_allocator){resize_counted, &bench->ledger};
  transcript_init(&bench->transcript, 0);
  bench->sink = transcript_sink(&bench->transcript);
  sync_sse_init(&bench->sse, &bench->alloc, max_bytes);
}

static void bench_fini(struct bench *bench) {
  sync_sse_fini(&bench->sse);
  assert_int_equal(bench->ledger.live_bytes, 0);
  transcript_fini(&bench->transcript);
}

static void bench_feed(struct bench *bench, sync_span chunk) {
  assert_int_equal(transcript_feed(&bench->transcript, &bench->sse, &bench->sink, chunk), SYNC_OK);
}

/* Feeds `count` bytes `x` in chunks of `step`. */
static void bench_feed_run(struct bench *bench, size_t count, size_t step) {
  char run[1024];
  memset(run, 'x', sizeof run);
  for (; count > 0; count -= step < count ? step : count)
    bench_feed(bench, (sync_span){run, step < count ? step : count});
}

static void bench_expect(struct bench *bench, sync_span expected) {
  assert_told(&bench->transcript, "between chunks", expected);
  sync_buffer_clear(&bench->transcript.text);
}

static void assert_last_id(const struct bench *bench, sync_span expected) {
  sync_span id = sync_sse_last_id(&bench->sse);
  assert_int_equal(id.length, expected.length);
  assert_memory_equal(id.bytes, expected.bytes, id.length);
}

/* ---- what is told ------------------------------------------------------------------------------------------------ */

static void everything_is_told_in_order(void **state) {
  (void)state;
  check_stream(
      SPAN("\xEF\xBB\xBF:hi\nretry: 10\r\nid: 1\revent: stage\ndata: a\ndata:b\r\r: ping\n\n\ndata\n\nid: 2\n\n"
           "unknown: x\nretry: 5x\n\xEF\xBB\xBF"
           "data: y\nevent: t\n\ndata: c\r\n\r\nid: 3\ndata: lost"),
      WIDE,
      SPAN("comment hi\nretry 10\nmessage stage|a\nb|1\ncomment  ping\nmessage message||1\n"
           "message message|c|2\n"));
}

static void a_comment_in_a_block_keeps_the_block(void **state) {
  (void)state;
  check_stream(SPAN("id: 7\nevent: e\ndata: a\n:one\r\n:two\rdata: b\n\n"), WIDE,
               SPAN("comment one\ncomment two\nmessage e|a\nb|7\n"));
}

static void what_is_not_utf8_becomes_replacement_characters(void **state) {
  (void)state;
  check_stream(SPAN("event: t\xE2\x82\ndata: \xC0\xAF\ndata: \xF0\x9F\x93\nid: \xFF\n:\xED\xA0\x80\n\n"), WIDE,
               SPAN("comment \xEF\xBF\xBD\xEF\xBF\xBD\xEF\xBF\xBD\n"
                    "message t\xEF\xBF\xBD|\xEF\xBF\xBD\xEF\xBF\xBD\n\xEF\xBF\xBD|\xEF\xBF\xBD\n"));
}

static void nul_stays_in_data_and_type_and_spoils_an_id(void **state) {
  (void)state;
  check_stream(SPAN("id: ok\nid: n\0\nevent: t\0\ndata: d\0\ndata\0: x\n\n"), WIDE, SPAN("message t\0|d\0|ok\n"));
}

static void retry_is_clamped(void **state) {
  (void)state;
  check_stream(SPAN("retry: 86400000\nretry: 86400001\nretry: 18446744073709551617\nretry: 00\nretry:\nretry: -1\n"),
               WIDE, SPAN("retry 86400000\nretry 86400000\nretry 86400000\nretry 0\n"));
}

static void retry_counts_as_its_line_ends(void **state) {
  (void)state;
  struct bench bench;
  bench_init(&bench, WIDE);
  bench_feed(&bench, SPAN("retry: 12"));
  bench_expect(&bench, SPAN(""));
  bench_feed(&bench, SPAN("\r"));
  bench_expect(&bench, SPAN("retry 12\n"));
  bench_fini(&bench);
}

static void a_cr_at_the_end_ends_the_block_at_once(void **state) {
  (void)state;
  struct bench bench;
  bench_init(&bench, WIDE);
  bench_feed(&bench, SPAN("data: a\r"));
  bench_feed(&bench, SPAN("\n\r"));
  bench_expect(&bench, SPAN("message message|a|\n"));
  bench_feed(&bench, SPAN(""));
  bench_feed(&bench, SPAN("\ndata: b\n"));
  bench_expect(&bench, SPAN(""));
  bench_feed(&bench, SPAN("\n"));
  bench_expect(&bench, SPAN("message message|b|\n"));
  bench_fini(&bench);
}

static void a_sink_without_functions_is_fine(void **state) {
  (void)state;
  static const struct sync_sse_sink deaf;
  sync_span stream = SPAN(":c\nretry: 1\nid: 5\ndata: abcdef\n\ndata: too large\n\n");
  struct bench bench;
  bench_init(&bench, 8);
  size_t consumed;
  assert_int_equal(sync_sse_feed(&bench.sse, stream.bytes, stream.length, &deaf, &consumed), SYNC_OK);
  assert_int_equal(consumed, stream.length);
  assert_last_id(&bench, SPAN("5"));
  bench_fini(&bench);
}

/* ---- spans and stops --------------------------------------------------------------------------------------------- */

struct seen {
  struct sync_sse_message message;
  size_t count;
};

static bool see_and_stop(void *arg, const struct sync_sse_message *message) {
  struct seen *seen = arg;
  seen->message = *message;
  seen->count++;
  return false;
}

static void a_line_in_the_chunk_is_not_copied(void **state) {
  (void)state;
  static const char stream[] = "event: stage\ndata: {\"a\":1}\n\n";
  struct seen seen = {.count = 0};
  struct sync_sse_sink sink = {.message = see_and_stop, .arg = &seen};
  struct bench bench;
  bench_init(&bench, WIDE);
  size_t consumed;
  assert_int_equal(sync_sse_feed(&bench.sse, stream, sizeof stream - 1, &sink, &consumed), SYNC_OK);
  assert_ptr_equal(seen.message.type.bytes, stream + strlen("event: "));
  assert_ptr_equal(seen.message.data.bytes, stream + strlen("event: stage\ndata: "));
  assert_int_equal(bench.ledger.peak_bytes, 0);
  bench_fini(&bench);
}

static void a_stop_returns_right_behind_the_message(void **state) {
  (void)state;
  static const char stream[] = "data: a\n\ndata: b\r\n\r\n:c\ndata: d\n\n";
  static const size_t ends[] = {9, 20, 32};
  struct seen seen = {.count = 0};
  struct sync_sse_sink sink = {.message = see_and_stop, .arg = &seen};
  struct bench bench;
  bench_init(&bench, WIDE);
  size_t at = 0;
  for (size_t i = 0; i < 3; i++) {
    size_t consumed;
    assert_int_equal(sync_sse_feed(&bench.sse, stream + at, sizeof stream - 1 - at, &sink, &consumed), SYNC_OK);
    at += consumed;
    assert_int_equal(at, ends[i]);
    assert_int_equal(seen.count, i + 1);
  }
  bench_fini(&bench);
}

/* ---- limits ------------------------------------------------------------------------------------------------------ */

static void a_message_may_be_as_large_as_the_bound(void **state) {
  (void)state;
  check_stream(SPAN("data: 0123456789\n\n"), 10, SPAN("message message|0123456789|\n"));
  check_stream(SPAN("data: 0123\ndata: 56789\n\n"), 10, SPAN("message message|0123\n56789|\n"));
  check_stream(SPAN("event: 012\ndata: 3456789\n\n"), 10, SPAN("message 012|3456789|\n"));
  check_stream(SPAN("data: 3456789\nevent: 0123\nevent: 012\n\n"), 10, SPAN("too large \n"));
  check_stream(SPAN("event: 0123456789\nevent: 012\ndata: 3456789\n\n"), 10, SPAN("message 012|3456789|\n"));
}

static void a_larger_one_is_told_once_and_skipped(void **state) {
  (void)state;
  check_stream(SPAN("id: 1\n\nid: 2\ndata: 0123456789a\ndata: more\nevent: t\nid: 3\nretry: 4\n:c\n\ndata: x\n\n"), 10,
               SPAN("too large 1\nretry 4\ncomment c\nmessage message|x|3\n"));
  check_stream(SPAN("data: 0123\ndata: 56789a\r\rdata: x\n\n"), 10, SPAN("too large \nmessage message|x|\n"));
  check_stream(SPAN("event: 0123456789a\ndata\n\ndata: x\n\n"), 10, SPAN("too large \nmessage message|x|\n"));
}

static void an_id_beyond_the_bound_is_ignored(void **state) {
  (void)state;
  check_stream(SPAN("id: 1\nid: 0123456789a\nretry: 00000000001\ndata: x\n\ndata: y\n\n"), 10,
               SPAN("too large \nmessage message|y|1\n"));
}

static void comments_and_unknown_lines_do_not_count(void **state) {
  (void)state;
  check_stream(SPAN("data: x\n:0123456789a\nunknown: 0123456789\ndata0123456789\n:0123456789\n\n"), 10,
               SPAN("comment 0123456789\nmessage message|x|\n"));
}

static void small_messages_never_reach_the_bound(void **state) {
  (void)state;
  struct bench bench;
  bench_init(&bench, 16);
  for (int i = 0; i < 1000; i++) bench_feed(&bench, SPAN("id: 1\nevent: t\ndata: 01234\ndata: 6789\n\n"));
  assert_int_equal(bench.transcript.text.length, 1000 * strlen("message t|01234\n6789|1\n"));
  bench_fini(&bench);
}

static void an_endless_message_is_known_early_and_takes_no_memory(void **state) {
  (void)state;
  struct bench bench;
  bench_init(&bench, 4096);
  bench_feed(&bench, SPAN("id: 1\n\ndata: "));
  bench_feed_run(&bench, 4096, 100);
  bench_expect(&bench, SPAN(""));
  bench_feed(&bench, SPAN("x"));
  bench_expect(&bench, SPAN("too large 1\n"));
  bench_feed_run(&bench, MIB, 1024);
  bench_feed(&bench, SPAN("\ndata: "));
  bench_feed_run(&bench, MIB, 1024);
  bench_feed(&bench, SPAN("\n\ndata: x\n\n"));
  bench_expect(&bench, SPAN("message message|x|1\n"));
  assert_true(bench.ledger.peak_bytes < 4 * 4096);
  bench_fini(&bench);
}

static void a_line_nobody_wants_takes_no_memory(void **state) {
  (void)state;
  struct bench bench;
  bench_init(&bench, WIDE);
  bench.sink.comment = NULL;
  bench_feed(&bench, SPAN("data: x\n:"));
  bench_feed_run(&bench, MIB, 1024);
  bench_feed(&bench, SPAN("\nunknown: "));
  bench_feed_run(&bench, MIB, 1024);
  bench_feed(&bench, SPAN("\n\n"));
  bench_expect(&bench, SPAN("message message|x|\n"));
  assert_true(bench.ledger.peak_bytes < 4096);
  bench_fini(&bench);
}

static void the_memory_of_a_large_message_is_given_back(void **state) {
  (void)state;
  struct bench bench;
  bench_init(&bench, 2 * MIB);
  bench_feed(&bench, SPAN("id: 1\ndata: \xFF"));
  bench_feed_run(&bench, MIB, 1024);
  bench_feed(&bench, SPAN("\n"));
  assert_true(bench.ledger.live_bytes > MIB);
  bench_feed(&bench, SPAN("\n"));
  assert_true(bench.ledger.live_bytes < MIB / 4);
  bench_fini(&bench);
}

/* Whoever searches or moves what was carried over does some 10^13 steps here and never ends. */
static void a_line_byte_by_byte_costs_linear_time(void **state) {
  (void)state;
  struct bench bench;
  bench_init(&bench, 5 * MIB);
  bench_feed(&bench, SPAN("data: "));
  bench_feed_run(&bench, 5 * MIB, 1);
  bench_feed(&bench, SPAN("\n"));
  bench_feed(&bench, SPAN("\n"));
  assert_int_equal(bench.transcript.text.length, strlen("message message||\n") + 5 * MIB);
  assert_true(bench.ledger.moved_bytes < 8 * 5 * MIB);
  bench_fini(&bench);
}

/* ---- starting anew ----------------------------------------------------------------------------------------------- */

static void a_restart_forgets_the_block_and_keeps_the_id(void **state) {
  (void)state;
  static const char *const leftovers[] = {
      "data: lost", "data: lost\nevent: lost\nid: lost\n", "data: lost\nda", ":com", "\xEF\xBB", "data: x\n\r",
      "unknown: x", "data: 0123456789012345678901234567"};
  for (size_t i = 0; i < sizeof leftovers / sizeof *leftovers; i++) {
    struct bench bench;
    bench_init(&bench, 20);
    bench_feed(&bench, SPAN("id: 1\n\n"));
    bench_feed(&bench, (sync_span){leftovers[i], strlen(leftovers[i])});
    sync_buffer_clear(&bench.transcript.text);
    assert_int_equal(sync_sse_restart(&bench.sse, sync_sse_last_id(&bench.sse)), SYNC_OK);
    bench_feed(&bench, SPAN("\n\xEF\xBB\xBFx: y\ndata: a\n\n"));
    bench_expect(&bench, SPAN("message message|a|1\n"));
    bench_fini(&bench);
  }
}

static void a_restart_takes_another_id(void **state) {
  (void)state;
  struct bench bench;
  bench_init(&bench, WIDE);
  bench_feed(&bench, SPAN("id: 1\n\n"));
  assert_int_equal(sync_sse_restart(&bench.sse, SPAN("forty-two")), SYNC_OK);
  bench_feed(&bench, SPAN("\xEF\xBB\xBF"
                          "data: a\n\n"));
  bench_expect(&bench, SPAN("message message|a|forty-two\n"));
  assert_int_equal(sync_sse_restart(&bench.sse, SPAN("")), SYNC_OK);
  assert_last_id(&bench, SPAN(""));
  bench_fini(&bench);
}

static void an_id_counts_with_its_blank_line(void **state) {
  (void)state;
  struct bench bench;
  bench_init(&bench, WIDE);
  bench_feed(&bench, SPAN("id: 1\n"));
  assert_last_id(&bench, SPAN(""));
  bench_feed(&bench, SPAN("\nid: 2\n"));
  assert_last_id(&bench, SPAN("1"));
  bench_feed(&bench, SPAN("\nid\n\n"));
  assert_last_id(&bench, SPAN(""));
  bench_fini(&bench);
}

/* ---- no memory --------------------------------------------------------------------------------------------------- */

/* The ID must be that of the last message told, so that a resume gets the one that failed. */
static void assert_id_is_that_of_the_last_message(const struct bench *bench) {
  sync_span told = sync_buffer_span(&bench->transcript.text);
  size_t start = told.length;
  while (start > 0 && told.bytes[start - 1] != '|') start--;
  if (told.length == 0)
    assert_last_id(bench, SPAN(""));
  else
    assert_last_id(bench, (sync_span){told.bytes + start, told.length - 1 - start});
}

/* Feeds `stream` in pieces with `granted` requests granted, then starts anew with memory; whether that was enough. */
static bool survive(sync_span stream, size_t step, size_t granted) {
  struct bench bench;
  bench_init(&bench, WIDE);
  bench.ledger.granted = granted;
  sync_code code = SYNC_OK;
  for (size_t at = 0; at < stream.length && code == SYNC_OK; at += step) {
    size_t length = step < stream.length - at ? step : stream.length - at;
    code = transcript_feed(&bench.transcript, &bench.sse, &bench.sink, (sync_span){stream.bytes + at, length});
  }
  assert_true(code == SYNC_OK || code == SYNC_NO_MEMORY);
  assert_id_is_that_of_the_last_message(&bench);
  sync_buffer_clear(&bench.transcript.text);
  bench.ledger.granted = SIZE_MAX;
  assert_int_equal(sync_sse_restart(&bench.sse, SPAN("a seed")), SYNC_OK);
  bench_feed(&bench, SPAN("data: again\n\n"));
  bench_expect(&bench, SPAN("message message|again|a seed\n"));
  bench_fini(&bench);
  return code == SYNC_OK;
}

static void every_failed_request_is_survived(void **state) {
  (void)state;
  static const char start[] = "id: 1\nevent: \xFF\ndata: \xFF\ndata: b\n\nid: 22\ndata: ";
  static const char end[] = "\nevent: \xE2\ndata: \xC0\n\nid: 333\xFF\ndata: c\n\n";
  char stream[sizeof start + sizeof end + 2000];
  memset(stream, '\xFF', sizeof stream);
  memcpy(stream, start, sizeof start - 1);
  memcpy(stream + sizeof stream - sizeof end + 1, end, sizeof end - 1);
  static const size_t steps[] = {sizeof stream, 700, 10, 1};
  for (size_t i = 0; i < sizeof steps / sizeof *steps; i++) {
    size_t granted = 0;
    while (!survive((sync_span){stream, sizeof stream}, steps[i], granted)) granted++;
    assert_in_range(granted, 5, 100);
  }
}

static void a_failed_restart_keeps_the_id(void **state) {
  (void)state;
  char seed[2000];
  memset(seed, 'x', sizeof seed);
  struct bench bench;
  bench_init(&bench, WIDE);
  bench_feed(&bench, SPAN("id: 1\n\n"));
  bench.ledger.granted = 0;
  assert_int_equal(sync_sse_restart(&bench.sse, (sync_span){seed, sizeof seed}), SYNC_NO_MEMORY);
  assert_last_id(&bench, SPAN("1"));
  bench_fini(&bench);
}

int main(void) {
  static const struct CMUnitTest tests[] = {
      cmocka_unit_test(everything_is_told_in_order),
      cmocka_unit_test(a_comment_in_a_block_keeps_the_block),
      cmocka_unit_test(what_is_not_utf8_becomes_replacement_characters),
      cmocka_unit_test(nul_stays_in_data_and_type_and_spoils_an_id),
      cmocka_unit_test(retry_is_clamped),
      cmocka_unit_test(retry_counts_as_its_line_ends),
      cmocka_unit_test(a_cr_at_the_end_ends_the_block_at_once),
      cmocka_unit_test(a_sink_without_functions_is_fine),
      cmocka_unit_test(a_line_in_the_chunk_is_not_copied),
      cmocka_unit_test(a_stop_returns_right_behind_the_message),
      cmocka_unit_test(a_message_may_be_as_large_as_the_bound),
      cmocka_unit_test(a_larger_one_is_told_once_and_skipped),
      cmocka_unit_test(an_id_beyond_the_bound_is_ignored),
      cmocka_unit_test(comments_and_unknown_lines_do_not_count),
      cmocka_unit_test(small_messages_never_reach_the_bound),
      cmocka_unit_test(an_endless_message_is_known_early_and_takes_no_memory),
      cmocka_unit_test(a_line_nobody_wants_takes_no_memory),
      cmocka_unit_test(the_memory_of_a_large_message_is_given_back),
      cmocka_unit_test(a_line_byte_by_byte_costs_linear_time),
      cmocka_unit_test(a_restart_forgets_the_block_and_keeps_the_id),
      cmocka_unit_test(a_restart_takes_another_id),
      cmocka_unit_test(an_id_counts_with_its_blank_line),
      cmocka_unit_test(every_failed_request_is_survived),
      cmocka_unit_test(a_failed_restart_keeps_the_id),
  };
  return cmocka_run_group_tests(tests, NULL, NULL);
}
