/*
 * journal_scene.h - a journal under test, in a folder of its own, and events for it with any texts. A test includes it
 * once; its allocator counts.
 */
#ifndef JOURNAL_SCENE_H
#define JOURNAL_SCENE_H

#include "counting_alloc.h"
#include "folder.h"
#include "journal.h"
#include "span.h"
#include "spans.h"

static struct counting_alloc memory;
static struct sync_segment_pool *pool;
static struct sync_segments segments;
static struct sync_journal *journal; /* of the stream called "shop" */
static struct sync_journal_config config;
static sync_failure failure;

static inline sync_code try_open(const char *stream) {
  return sync_journal_open(&journal, &memory.allocator, &config, span_of(stream), &failure);
}

static inline void open_stream(const char *stream) {
  if (try_open(stream) != SYNC_OK) fail_msg("%s", failure.message);
}

/* As a new process would find it. */
static inline void reopen_as(const char *stream) {
  sync_journal_close(journal);
  journal = NULL;
  open_stream(stream);
}

static inline void reopen(void) {
  reopen_as("shop");
}

static inline int set_up_closed(void **state) {
  (void)state;
  counting_alloc_init(&memory);
  folder_make();
  pool = sync_segment_pool_new(&memory.allocator);
  sync_segments_init(&segments, pool);
  journal = NULL;
  config = (struct sync_journal_config){
      .path = NULL, .max_events = 1000, .max_bytes = UINT64_C(1) << 30, .max_age_ms = INT64_MAX / 4, .max_dead = 100};
  static char path[1024];
  (void)snprintf(path, sizeof path, "%s", folder_path("orders.db"));
  config.path = path;
  return 0;
}

static inline int set_up(void **state) {
  set_up_closed(state);
  open_stream("shop");
  return 0;
}

static inline int tear_down(void **state) {
  (void)state;
  sync_journal_close(journal);
  sync_segments_fini(&segments);
  sync_segment_pool_free(pool);
  counting_alloc_check(&memory);
  folder_remove();
  return 0;
}

static inline void begin(void) {
  assert_true(sync_journal_begin(journal));
}

static inline void commit(void) {
  if (sync_journal_commit(journal)) return;
  (void)sync_journal_failure(journal, &failure);
  fail_msg("%s", failure.message);
}

/* ---- events ------------------------------------------------------------------------------------------------------ */

/* What an event is made of; what is left out is empty. */
struct written {
  uint64_t seq;
  uint64_t fingerprint;
  int64_t received_at_ms;
  sync_span id, type, order_id, previous_stage, raw;
  sync_source source;
  bool acknowledged;
};

static inline sync_event *make_event(const struct written *written) {
  const struct sync_sse_message message = {.data = written->raw, .id = written->id};
  const struct sync_envelope envelope = {
      .type = written->type,
      .order_id = written->order_id,
      .previous_stage = written->previous_stage,
      .source = written->source,
      .fingerprint = written->fingerprint,
      .acknowledged = written->acknowledged,
      .whole = true,
  };
  sync_event *event = sync_event_new(&segments, &message, &envelope, written->seq, written->received_at_ms);
  assert_non_null(event);
  return event;
}

static inline bool put(const struct written *written) {
  sync_event *event = make_event(written);
  bool stored = sync_journal_put_event(journal, event);
  sync_event_release(event);
  return stored;
}

/* The events from `first` to `last`, a second apart, all alike. */
static inline void put_run(uint64_t first, uint64_t last) {
  for (uint64_t seq = first; seq <= last; seq++) {
    const struct written written = {
        .seq = seq, .received_at_ms = (int64_t)seq * 1000, .type = SPAN("status_update"), .raw = SPAN("{\"a\":1}")};
    assert_true(put(&written));
  }
}

static inline void finish_up_to(uint64_t seq) {
  struct sync_journal_stream stream = {.done_seq = seq};
  assert_true(sync_journal_write_stream(journal, &stream));
}

/* The numbers of the events of a walk that has been begun are those of `expected`, "1 2 3". */
static inline void check_walk(const char *expected) {
  char found[4096] = "";
  struct sync_journal_event event;
  enum sync_row row;
  while ((row = sync_journal_next_event(journal, &event)) == SYNC_ROW) {
    size_t length = strlen(found);
    (void)snprintf(found + length, sizeof found - length, "%s%llu", length ? " " : "", (unsigned long long)event.seq);
  }
  assert_int_equal(row, SYNC_ROW_NONE);
  assert_string_equal(found, expected);
}

static inline void check_latest(size_t limit, const char *expected) {
  sync_journal_seek_latest(journal, limit);
  check_walk(expected);
}

static inline void check_undone(const char *expected) {
  sync_journal_seek_undone(journal);
  check_walk(expected);
}

static inline void check_same_span(sync_span found, sync_span expected) {
  if (!sync_span_same(found, expected))
    fail_msg("'%.*s' is not '%.*s'", (int)found.length, found.bytes, (int)expected.length, expected.bytes);
}

#endif
