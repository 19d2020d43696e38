/*
 * plain.c - an order stream in C, without Lua: prints events as they come, then how the stream is and what is known of
 * one order.
 *
 *     plain URL ORDER-ID EVENTS      ends after so many events
 *
 * All that it uses is in ordersync/sync.h, and is called from this one thread; nothing calls back.
 */
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <ordersync/sync.h>

/* A span is not NUL-terminated: for "%.*s". */
#define TEXT(span) (int)(span).length, (span).bytes

static void print_event(const sync_event *event) {
  sync_span type = sync_event_text(event, SYNC_EVENT_TYPE);
  sync_span order_id = sync_event_text(event, SYNC_EVENT_ORDER_ID);
  sync_span data = sync_event_text(event, SYNC_EVENT_DATA);
  printf("%.*s %.*s %.*s\n", TEXT(type), TEXT(order_id), TEXT(data));
}

/* What an item says; 1 if it was an event. */
static int take(const sync_item *item) {
  switch (item->kind) {
  case SYNC_ITEM_EVENT: print_event(item->event); return 1;
  case SYNC_ITEM_STATE: printf("%s -> %s\n", sync_state_name(item->from), sync_state_name(item->to)); return 0;
  case SYNC_ITEM_ERROR:
    fprintf(stderr, "%s: %s (%s)\n", sync_code_name(item->failure->code), item->failure->message,
            sync_code_hint(item->failure->code));
    return 0;
  default: return 0; /* gaps; and what must be asked for */
  }
}

/* Waits for items and takes them, until there have been so many events. The client reconnects by itself meanwhile. */
static sync_code take_events(sync_loop *loop, sync_client *client, int events) {
  sync_item item;
  while (events > 0) {
    sync_code code = sync_loop_step(loop, -1, 0);
    if (code != SYNC_OK) return code;
    while (events > 0 && sync_client_next(client, &item)) events -= take(&item);
  }
  return SYNC_OK;
}

static void print_health(const sync_client *client) {
  sync_health health;
  sync_client_health(client, &health);
  printf("%s; %" PRIu64 " events, %" PRIu64 " reconnects, last event id %.*s\n", sync_state_name(health.state),
         health.total_events, health.total_reconnects, TEXT(health.last_event_id));
}

static void print_order(const sync_client *client, const char *order_id) {
  sync_order order;
  if (sync_client_order(client, (sync_span){order_id, strlen(order_id)}, &order))
    printf("%.*s is %.*s: %.*s\n", TEXT(order.id), TEXT(order.stage), TEXT(order.json));
  else
    printf("%s is not known\n", order_id);
}

/* The client's whole life but its end, which is the loop's. */
static sync_code watch(sync_loop *loop, const char *url, const char *order_id, int events) {
  sync_failure failure;
  sync_options options;
  sync_options_init(&options);
  options.url = url; /* the client copies every text */
  sync_client *client = sync_client_new(loop, &options, &failure);
  if (!client) return fprintf(stderr, "plain: %s\n", failure.message), failure.code;
  if (sync_client_subscribe(client, NULL) == 0) return SYNC_NO_MEMORY;
  sync_code code = take_events(loop, client, events);
  print_health(client);
  print_order(client, order_id);
  return code;
}

int main(int argc, char **argv) {
  if (argc != 4) return fprintf(stderr, "usage: %s URL ORDER-ID EVENTS\n", argv[0]), 2;
  setvbuf(stdout, NULL, _IOLBF, 0); /* a line when it happens, into a pipe as well */
  sync_loop *loop = sync_loop_new(NULL);
  sync_code code = loop ? watch(loop, argv[1], argv[2], atoi(argv[3])) : SYNC_SYSTEM;
  if (code != SYNC_OK) fprintf(stderr, "plain: %s: %s\n", sync_code_name(code), sync_code_text(code));
  sync_loop_free(loop); /* and the client with it */
  return code != SYNC_OK;
}
