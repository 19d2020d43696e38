/*
 * keeper_scene.h - a client with a journal under test: a played loop, a real file in a folder of its own, on a disk
 * that fails when it is told to. The test is the server and the host; what the host takes is written down as `news`.
 *
 * Events are numbered by the server: event N is the status_update with the id N of order O<N modulo 10>. In the news an
 * event stands with its id, or its type if it has none, and an "r" behind it if it is redelivered; failures stand with
 * their code. A test includes it once; its allocator counts.
 */
#ifndef KEEPER_SCENE_H
#define KEEPER_SCENE_H

#include <errno.h>

#include "client.h"
#include "counting_alloc.h"
#include "faulty_vfs.h"
#include "folder.h"
#include "keeper.h"
#include "spans.h"

#define NEWS_BYTES 65536

static struct counting_alloc memory;
static sync_loop *loop;
static sync_options options;
static sync_client *client;
static sync_failure failure;
static char journal_path[1024];

static char news[NEWS_BYTES];
static sync_item item;                    /* taken last */
static void (*handle)(sync_event *event); /* what the host does with an event; NULL: nothing */

static inline int set_up(void **state) {
  (void)state;
  folder_make();
  faulty_vfs_install();
  counting_alloc_init(&memory);
  (void)snprintf(journal_path, sizeof journal_path, "%s", folder_path("orders.db"));
  loop = sync_loop_new_played(&memory.allocator);
  sync_options_init(&options);
  options.url = "http://orders.test";
  options.journal_path = journal_path;
  options.idle_timeout_ms = 24 * 60 * 60 * 1000;
  options.stream_retry_interval_ms = 24 * 60 * 60 * 1000;
  client = NULL;
  handle = NULL;
  news[0] = '\0';
  return loop ? 0 : -1;
}

static inline int tear_down(void **state) {
  (void)state;
  sync_loop_free(loop);
  counting_alloc_check(&memory);
  faulty_vfs_allow();
  faulty_vfs_remove();
  folder_remove();
  return 0;
}

/* ---- the host ---------------------------------------------------------------------------------------------------- */

static inline void tell_news(const char *format, ...) {
  size_t length = strlen(news);
  va_list arguments;
  if (length > 0) news[length++] = ' ';
  va_start(arguments, format);
  int added = vsnprintf(news + length, sizeof news - length, format, arguments);
  va_end(arguments);
  assert_in_range(added, 1, sizeof news - 1 - length);
}

static inline void tell_event(const sync_event *event) {
  sync_span name = sync_event_text(event, SYNC_EVENT_ID);
  if (name.length == 0) name = sync_event_text(event, SYNC_EVENT_TYPE);
  tell_news("%.*s%s", (int)name.length, name.bytes, sync_event_redelivered(event) ? "r" : "");
}

/* Takes an item, and writes it down if it is news; false: there is none. */
static inline bool take(void) {
  if (!sync_client_next(client, &item)) return false;
  if (item.kind == SYNC_ITEM_ERROR) tell_news("%s", sync_code_name(item.failure->code));
  if (item.kind != SYNC_ITEM_EVENT) return true;
  tell_event(item.event);
  if (handle) handle(item.event);
  return true;
}

/* Takes items up to an event. */
static inline sync_event *take_event(void) {
  do {
    if (!take()) fail_msg("no event waits");
  } while (item.kind != SYNC_ITEM_EVENT);
  return item.event;
}

static inline void step(void) {
  sync_loop_play(loop, sync_loop_clock_ms(loop));
  assert_int_equal(sync_loop_step(loop, 0, 0), SYNC_OK);
}

/* Does what is due now, and takes all there is. */
static inline void settle(void) {
  int turns = 0;
  do {
    step();
    while (take()) continue;
    (void)sync_loop_ready(loop);
    assert_in_range(++turns, 1, 10000);
  } while (sync_loop_timeout_ms(loop) == 0);
}

/* Time goes on, and all that comes is taken. */
static inline void pass(int64_t ms) {
  int64_t until_ms = sync_loop_clock_ms(loop) + ms;
  while (sync_loop_clock_ms(loop) < until_ms) {
    sync_loop_play(loop, until_ms);
    settle();
  }
}

static inline void check_news(const char *expected) {
  assert_string_equal(news, expected);
  news[0] = '\0';
}

/* How often `code` stands in the news. */
static inline size_t count_news(const char *code) {
  size_t count = 0;
  for (const char *at = news; (at = strstr(at, code)); at += strlen(code)) count++;
  return count;
}

static inline sync_health health(void) {
  sync_health now;
  sync_client_health(client, &now);
  return now;
}

static inline sync_metrics metrics(void) {
  sync_metrics now;
  sync_client_metrics(client, &now);
  return now;
}

/* ---- the server -------------------------------------------------------------------------------------------------- */

/* Answers what is asked; polls with this snapshot, or NULL: with 304. */
static const char *snapshot = "[]";

static inline void answer(void) {
  sync_played_request request;
  while (sync_client_play_request(client, &request)) {
    if (!request.poll)
      sync_client_play_response(client, 200, "text/event-stream", NULL, 0, SPAN(""));
    else if (snapshot)
      sync_client_play_response(client, 200, "application/json", NULL, 0, span_of(snapshot));
    else
      sync_client_play_response(client, 304, NULL, NULL, 0, SPAN(""));
    step();
  }
}

static inline void feed(const char *text) {
  assert_true(sync_client_play_bytes(client, span_of(text)));
}

/* An event's number, from its id; 0: it has none. */
static inline unsigned number_of(sync_span id) {
  unsigned number = 0;
  for (size_t i = 0; i < id.length; i++) number = number * 10 + (unsigned)(id.bytes[i] - '0');
  return number;
}

/* Event `number` as it stands in the stream. */
static inline const char *event_text(unsigned number) {
  static char text[256];
  (void)snprintf(
      text, sizeof text,
      "id: %u\ndata: {\"eventType\":\"status_update\",\"orderID\":\"O%u\",\"data\":{\"orderStage\":\"s%u\"}}\n\n",
      number, number % 10, number);
  return text;
}

static inline void send_event(unsigned number) {
  feed(event_text(number));
}

static inline void send_events(unsigned first, unsigned last) {
  for (unsigned number = first; number <= last; number++) send_event(number);
}

/* ---- lives ------------------------------------------------------------------------------------------------------- */

static inline sync_code try_begin(void) {
  client = sync_client_new(loop, &options, &failure);
  if (!client) return failure.code;
  assert_int_equal(sync_client_subscribe(client, NULL), 1);
  answer();
  return SYNC_OK;
}

/* A client, and its stream. Nothing is taken. */
static inline void begin(void) {
  if (try_begin() != SYNC_OK) fail_msg("%s", failure.message);
}

/* The client ends as it should. */
static inline void end(void) {
  sync_client_free(client);
  client = NULL;
}

static inline void break_disk(void) {
  faulty_vfs_refuse(FAULTY_CHANGES, 1, SIZE_MAX, SQLITE_IOERR_WRITE, EIO);
}

/* The process dies: what is not on disk now never will be. */
static inline void die(void) {
  break_disk();
  end();
  faulty_vfs_allow();
}

static inline sync_span resume_id(void) {
  sync_played_request request;
  if (!sync_client_play_request(client, &request)) fail_msg("nothing is asked");
  return request.last_event_id;
}

/* ---- the file ---------------------------------------------------------------------------------------------------- */

static inline sqlite3 *open_file(const char *path) {
  sqlite3 *file = NULL;
  assert_int_equal(sqlite3_open(path, &file), SQLITE_OK);
  return file;
}

/* As somebody else would, with the sqlite3 shell say. */
static inline void run_sql(const char *sql) {
  char *problem = NULL;
  sqlite3 *file = open_file(journal_path);
  if (sqlite3_exec(file, sql, NULL, NULL, &problem) != SQLITE_OK) fail_msg("%s", problem);
  assert_int_equal(sqlite3_close(file), SQLITE_OK);
}

/* Appends the rows of a query, a line each. */
static inline void add_rows(struct sync_buffer *out, sqlite3 *file, const char *sql) {
  sqlite3_stmt *rows = NULL;
  if (sqlite3_prepare_v2(file, sql, -1, &rows, NULL) != SQLITE_OK) fail_msg("%s", sqlite3_errmsg(file));
  while (sqlite3_step(rows) == SQLITE_ROW) {
    for (int column = 0; column < sqlite3_column_count(rows); column++) {
      const char *text = (const char *)sqlite3_column_text(rows, column);
      assert_true(sync_buffer_append(out, span_of(text ? text : "-")) && sync_buffer_append(out, SPAN(" ")));
    }
    assert_true(sync_buffer_append(out, SPAN("\n")));
  }
  assert_int_equal(sqlite3_finalize(rows), SQLITE_OK);
}

/* What a query answers, NUL-terminated, of whatever is committed now. Free it. */
static inline char *ask_file(const char *path, const char *const *queries, size_t count) {
  struct sync_buffer out;
  sqlite3 *file = open_file(path);
  sync_buffer_init(&out, &sync_alloc_standard);
  for (size_t i = 0; i < count; i++) add_rows(&out, file, queries[i]);
  assert_true(sync_buffer_append(&out, (sync_span){"", 1}));
  assert_int_equal(sqlite3_close(file), SQLITE_OK);
  return out.bytes;
}

static inline void check_sql(const char *sql, const char *expected) {
  char *found = ask_file(journal_path, &sql, 1);
  assert_string_equal(found, expected);
  free(found);
}

/* All that a journal says but times. Events are counted: two files say the same if they say it of the same events,
 * whatever their numbers. */
#define RANK(seq) "(SELECT count(*) FROM event AS e WHERE e.seq <= " seq ")"

static inline char *describe_file(const char *path) {
  static const char *const queries[] = {
      "SELECT 'stream', last_event_id, loaded, " RANK("done_seq") " FROM stream",
      "SELECT 'event', id, type, order_id, previous_stage, source, raw, done OR seq <= done_seq, acknowledged FROM "
      "event"
      " JOIN stream ON number = stream ORDER BY seq",
      "SELECT 'effect', " RANK("seq") ", name, state FROM effect ORDER BY seq, name",
      "SELECT 'order', id, source, silent, json FROM orders ORDER BY changed",
      "SELECT 'dead', number, " RANK("seq") ", id, problem, attempts, wanted FROM dead_letter ORDER BY number",
  };
  return ask_file(path, queries, COUNT_OF(queries));
}

#endif
