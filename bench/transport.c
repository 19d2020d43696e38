/*
 * transport.c - see transport.h.
 */
#define _POSIX_C_SOURCE 200809L
#include "transport.h"

#include <curl/curl.h>
#include <stdio.h>
#include <stdlib.h>
#include <uv.h>

#define RECEIVE_BUFFER_BYTES 65536L

struct bench_transport {
  uv_loop_t loop;
  uv_timer_t timer;
  CURLM *multi;
  int running;
};

struct bench_transfer {
  struct bench_transport *transport;
  struct bench_receiver receiver;
  struct curl_slist *headers;
  CURL *easy;
};

struct socket_watch {
  uv_poll_t poll;
  curl_socket_t socket;
  struct bench_transport *transport;
};

static void *must(void *made, const char *what) {
  if (made != NULL) return made;
  fprintf(stderr, "%s failed\n", what);
  exit(1);
}

/* Tells the owner of each transfer that has ended. */
static void collect(struct bench_transport *transport) {
  int left;
  CURLMsg *message;
  while ((message = curl_multi_info_read(transport->multi, &left)) != NULL) {
    struct bench_transfer *transfer;
    curl_easy_getinfo(message->easy_handle, CURLINFO_PRIVATE, &transfer);
    curl_multi_remove_handle(transport->multi, transfer->easy);
    transfer->receiver.ended(transfer->receiver.arg);
  }
}

static void on_timer(uv_timer_t *timer) {
  struct bench_transport *transport = timer->data;
  curl_multi_socket_action(transport->multi, CURL_SOCKET_TIMEOUT, 0, &transport->running);
  collect(transport);
}

static int on_timer_wanted(CURLM *multi, long timeout_ms, void *arg) {
  struct bench_transport *transport = arg;
  (void)multi;
  if (timeout_ms < 0) return uv_timer_stop(&transport->timer);
  return uv_timer_start(&transport->timer, on_timer, (uint64_t)timeout_ms, 0);
}

static void on_ready(uv_poll_t *poll, int status, int events) {
  struct socket_watch *watch = poll->data;
  struct bench_transport *transport = watch->transport;
  int flags = status < 0 ? CURL_CSELECT_ERR | CURL_CSELECT_IN : 0;
  if (events & UV_READABLE) flags |= CURL_CSELECT_IN;
  if (events & UV_WRITABLE) flags |= CURL_CSELECT_OUT;
  curl_multi_socket_action(transport->multi, watch->socket, flags, &transport->running);
  collect(transport);
}

static void on_closed(uv_handle_t *handle) {
  free(handle->data);
}

static int on_socket_wanted(CURL *easy, curl_socket_t socket, int what, void *arg, void *watched) {
  struct bench_transport *transport = arg;
  struct socket_watch *watch = watched;
  (void)easy;
  if (what == CURL_POLL_REMOVE) {
    if (watch != NULL) uv_close((uv_handle_t *)&watch->poll, on_closed);
    curl_multi_assign(transport->multi, socket, NULL);
    return 0;
  }
  if (watch == NULL) {
    watch = must(calloc(1, sizeof *watch), "calloc");
    watch->socket = socket;
    watch->transport = transport;
    uv_poll_init_socket(&transport->loop, &watch->poll, socket);
    watch->poll.data = watch;
    curl_multi_assign(transport->multi, socket, watch);
  }
  int events = (what & CURL_POLL_IN ? UV_READABLE : 0) | (what & CURL_POLL_OUT ? UV_WRITABLE : 0);
  return uv_poll_start(&watch->poll, events, on_ready);
}

static size_t on_body(char *bytes, size_t size, size_t count, void *arg) {
  const struct bench_receiver *receiver = arg;
  receiver->bytes(receiver->arg, bytes, size * count);
  return size * count;
}

struct bench_transport *bench_transport_new(void) {
  struct bench_transport *transport = must(calloc(1, sizeof *transport), "calloc");
  curl_global_init(CURL_GLOBAL_ALL);
  transport->multi = must(curl_multi_init(), "curl_multi_init");
  uv_loop_init(&transport->loop);
  uv_timer_init(&transport->loop, &transport->timer);
  transport->timer.data = transport;
  curl_multi_setopt(transport->multi, CURLMOPT_SOCKETFUNCTION, on_socket_wanted);
  curl_multi_setopt(transport->multi, CURLMOPT_SOCKETDATA, transport);
  curl_multi_setopt(transport->multi, CURLMOPT_TIMERFUNCTION, on_timer_wanted);
  curl_multi_setopt(transport->multi, CURLMOPT_TIMERDATA, transport);
  return transport;
}

struct bench_transfer *bench_transfer_new(struct bench_transport *transport, const char *url, const char *last_event_id,
                                          const struct bench_receiver *receiver) {
  struct bench_transfer *transfer = must(calloc(1, sizeof *transfer), "calloc");
  transfer->transport = transport;
  transfer->receiver = *receiver;
  transfer->easy = must(curl_easy_init(), "curl_easy_init");
  transfer->headers = curl_slist_append(NULL, "Accept: text/event-stream");
  if (last_event_id != NULL && last_event_id[0] != '\0') {
    char header[64];
    snprintf(header, sizeof header, "Last-Event-ID: %s", last_event_id);
    transfer->headers = curl_slist_append(transfer->headers, header);
  }
  curl_easy_setopt(transfer->easy, CURLOPT_URL, url);
  curl_easy_setopt(transfer->easy, CURLOPT_HTTPHEADER, transfer->headers);
  curl_easy_setopt(transfer->easy, CURLOPT_NOSIGNAL, 1L);
  curl_easy_setopt(transfer->easy, CURLOPT_BUFFERSIZE, RECEIVE_BUFFER_BYTES);
  curl_easy_setopt(transfer->easy, CURLOPT_WRITEFUNCTION, on_body);
  curl_easy_setopt(transfer->easy, CURLOPT_WRITEDATA, &transfer->receiver);
  curl_easy_setopt(transfer->easy, CURLOPT_PRIVATE, transfer);
  curl_multi_add_handle(transport->multi, transfer->easy);
  return transfer;
}

void bench_transport_run(struct bench_transport *transport) {
  uv_run(&transport->loop, UV_RUN_DEFAULT);
}

void bench_transport_stop(struct bench_transport *transport) {
  uv_stop(&transport->loop);
}

void bench_transfer_free(struct bench_transfer *transfer) {
  if (transfer == NULL) return;
  curl_multi_remove_handle(transfer->transport->multi, transfer->easy); /* fine when it was removed before */
  curl_easy_cleanup(transfer->easy);
  curl_slist_free_all(transfer->headers);
  free(transfer);
}

void bench_transport_free(struct bench_transport *transport) {
  if (transport == NULL) return;
  curl_multi_cleanup(transport->multi);
  uv_close((uv_handle_t *)&transport->timer, NULL);
  uv_run(&transport->loop, UV_RUN_DEFAULT);
  uv_loop_close(&transport->loop);
  curl_global_cleanup();
  free(transport);
}
