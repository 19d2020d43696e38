/*
 * scene.h - what the tests of the engine begin with: a counted allocator, a loop, a client, a server that the test
 * plays.
 *
 * Waits between attempts are 0 or 1 ms; nothing else depends on the clock.
 */
#ifndef SCENE_H
#define SCENE_H

#include "counting_alloc.h"
#include "loopback.h"

struct scene {
  struct counting_alloc memory;
  struct loopback server;
  sync_loop *loop;
  sync_options options;
  sync_client *client;
  struct loopback_stream stream;
  sync_item item; /* taken last */
};

static struct scene scene;

static inline int scene_set_up(void **state) {
  (void)state;
  counting_alloc_init(&scene.memory);
  loopback_open(&scene.server);
  scene.loop = sync_loop_new(&scene.memory.allocator);
  scene.client = NULL;
  sync_options_init(&scene.options);
  scene.options.url = scene.server.url;
  scene.options.reconnect_delay_ms = 0;
  scene.options.max_reconnect_delay_ms = 1;
  scene.options.stream_retry_interval_ms = 1;
  scene.options.idle_timeout_ms = 60 * 60 * 1000; /* a slow machine is not a dead server */
  scene.options.connect_timeout_ms = 60 * 60 * 1000;
  return scene.loop ? 0 : -1;
}

static inline int scene_tear_down(void **state) {
  (void)state;
  sync_loop_free(scene.loop);
  loopback_close(&scene.server);
  counting_alloc_check(&scene.memory);
  return 0;
}

/* A client with a subscription to every order event. */
static inline void scene_connect(void) {
  sync_failure failure;
  scene.client = sync_client_new(scene.loop, &scene.options, &failure);
  if (!scene.client) fail_msg("%s", failure.message);
  assert_int_equal(sync_client_subscribe(scene.client, NULL), 1);
}

static inline void scene_accept(void) {
  loopback_accept(&scene.server, scene.loop, &scene.stream);
}

static inline void scene_send(const char *text) {
  loopback_send(&scene.stream, text);
}

static inline void scene_step(void) {
  assert_int_equal(sync_loop_step(scene.loop, -1, 0), SYNC_OK);
}

/* The next item: scene.item. */
static inline void scene_take(void) {
  while (!sync_client_next(scene.client, &scene.item)) scene_step();
}

/* Takes items until one of this kind has come. */
static inline void scene_await(sync_item_kind kind) {
  do {
    scene_take();
  } while (scene.item.kind != kind);
}

static inline void scene_await_state(sync_state state) {
  do {
    scene_await(SYNC_ITEM_STATE);
  } while (scene.item.to != state);
}

static inline void scene_await_failure(sync_code code) {
  scene_await(SYNC_ITEM_ERROR);
  assert_string_equal(sync_code_name(scene.item.failure->code), sync_code_name(code));
}

/* The next event has this id, and no failure comes before it. */
static inline void scene_await_event(const char *id) {
  do {
    scene_take();
    if (scene.item.kind == SYNC_ITEM_ERROR) fail_msg("%s", scene.item.failure->message);
  } while (scene.item.kind != SYNC_ITEM_EVENT);
  check_span(sync_event_text(scene.item.event, SYNC_EVENT_ID), id);
}

/* Answers the next request with an event stream. */
static inline void scene_serve(void) {
  scene_accept();
  scene_send(LOOPBACK_STREAM_HEAD);
}

/* A client whose stream is open, its items taken. */
static inline void scene_open(void) {
  scene_connect();
  scene_serve();
  scene_await_state(SYNC_CONNECTED);
}

/* An order event of the wire, of at most `capacity` bytes; gives its length. */
static inline size_t scene_write_event(char *out, size_t capacity, unsigned id) {
  int length = snprintf(out, capacity,
                        "id: %u\nevent: stage_change\ndata: {\"eventType\":\"stage_change\",\"orderID\":\"ORDER-%u\","
                        "\"data\":{\"newStage\":\"open\"}}\n\n",
                        id, id);
  assert_in_range(length, 1, capacity - 1);
  return (size_t)length;
}

static inline void scene_send_event(unsigned id) {
  char text[256];
  (void)scene_write_event(text, sizeof text, id);
  scene_send(text);
}

static inline sync_metrics scene_metrics(void) {
  sync_metrics metrics;
  sync_client_metrics(scene.client, &metrics);
  return metrics;
}

static inline sync_health scene_health(void) {
  sync_health health;
  sync_client_health(scene.client, &health);
  return health;
}

#endif
