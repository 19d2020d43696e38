/*
 * fanout.c - what a hub's terminals see: opens N event streams, has messages published, and times each one's arrival at
 * every stream. One thread, one epoll set. Prints a line of JSON. Parses nothing but what it needs: the mark of a
 * message.
 *
 *   fanout PORT STREAM_PATH PUBLISH_PATH TERMINALS MESSAGES INTERVAL_MS
 *
 * Not a client of event streams: it neither reconnects nor reads ids. The clock is CLOCK_MONOTONIC, read just before a
 * message is posted, and once for each read that brings it.
 */
#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <netinet/tcp.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

#define OPENING_MAX                                                                                                    \
  128                  /* connects under way at once: below any backlog, so none is dropped and tried again after 1 s */
#define BODY_BYTES 250 /* of a message: a whole order event, as elsewhere in the bench */
#define READ_BYTES 4096
#define MARK       "\ndata: " /* once in each message, and in no comment */

/* What is remembered of a stream between two reads. */
struct terminal {
  bool open;    /* its head has come */
  size_t match; /* so much of MARK ended the last read */
};

struct run {
  struct sockaddr_in address;
  const char *stream_path, *publish_path;
  int epoll, publisher;
  struct terminal *terminals; /* by descriptor */
  size_t count, opened, opening;
  uint64_t *samples_ns;
  size_t samples;
};

static uint64_t clock_ns(void) {
  struct timespec now;
  clock_gettime(CLOCK_MONOTONIC, &now);
  return (uint64_t)now.tv_sec * 1000000000U + (uint64_t)now.tv_nsec;
}

static void fail(const char *what) {
  fprintf(stderr, "fanout: %s: %s\n", what, strerror(errno));
  exit(1);
}

static void send_all(int fd, const char *bytes, size_t length) {
  if (send(fd, bytes, length, MSG_NOSIGNAL) != (ssize_t)length) fail("send"); /* small, into an empty buffer */
}

static int connect_to(const struct run *run) {
  int fd = socket(AF_INET, SOCK_STREAM, 0), on = 1;
  if (fd < 0) fail("socket");
  if (connect(fd, (const struct sockaddr *)&run->address, sizeof run->address)) fail("connect");
  setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &on, sizeof on);
  return fd;
}

static void open_terminal(struct run *run) {
  char request[512];
  int fd = connect_to(run);
  int length = snprintf(request, sizeof request, "GET %s HTTP/1.1\r\nHost: hub\r\nAccept: text/event-stream\r\n\r\n",
                        run->stream_path);
  struct epoll_event event = {.events = EPOLLIN, .data.fd = fd};
  run->terminals[fd] = (struct terminal){.open = false};
  send_all(fd, request, (size_t)length);
  if (fcntl(fd, F_SETFL, O_NONBLOCK) || epoll_ctl(run->epoll, EPOLL_CTL_ADD, fd, &event)) fail("epoll");
  run->opening++;
}

/* Messages that end their mark in these bytes; MARK does not overlap itself. */
static size_t count_marks(struct terminal *terminal, const char *bytes, size_t length) {
  size_t marks = 0;
  for (size_t i = 0; i < length; i++) {
    terminal->match = bytes[i] == MARK[terminal->match] ? terminal->match + 1 : bytes[i] == MARK[0];
    if (terminal->match < sizeof MARK - 1) continue;
    terminal->match = 0;
    marks++;
  }
  return marks;
}

static void read_terminal(struct run *run, int fd, uint64_t sent_ns) {
  char bytes[READ_BYTES];
  struct terminal *terminal = &run->terminals[fd];
  ssize_t length = read(fd, bytes, sizeof bytes);
  if (length <= 0) fail("a stream ended");
  if (!terminal->open) {
    if (length < 12 || memcmp(bytes + 9, "200", 3) != 0) {
      fprintf(stderr, "fanout: answered %.*s\n", (int)length, bytes);
      exit(1);
    }
    terminal->open = true;
    run->opened++;
    run->opening--;
  }
  for (size_t marks = count_marks(terminal, bytes, (size_t)length); sent_ns && marks; marks--)
    run->samples_ns[run->samples++] = clock_ns() - sent_ns;
}

static void turn(struct run *run, int timeout_ms, uint64_t sent_ns) {
  struct epoll_event events[256];
  int ready = epoll_wait(run->epoll, events, 256, timeout_ms);
  for (int i = 0; i < ready; i++) read_terminal(run, events[i].data.fd, sent_ns);
}

/* Waits, and reads what comes meanwhile: pings. */
static void rest(struct run *run, uint64_t pause_ns) {
  uint64_t until_ns = clock_ns() + pause_ns, now_ns;
  while ((now_ns = clock_ns()) < until_ns) turn(run, (int)((until_ns - now_ns) / 1000000U) + 1, 0);
}

/* Gives when the message was sent. The answer is read after the streams have it: it is no part of what is timed. */
static uint64_t post(struct run *run, size_t number) {
  char request[1024], body[BODY_BYTES + 1];
  int length = snprintf(body, sizeof body,
                        "{\"eventType\":\"stage_change\",\"orderID\":\"ORDER-%06zu\",\"data\":{\"note\":\"", number);
  memset(body + length, 'x', (size_t)(BODY_BYTES - length));
  memcpy(body + BODY_BYTES - 3, "\"}}", 3);
  length = snprintf(request, sizeof request, "POST %s HTTP/1.1\r\nHost: hub\r\nContent-Length: %d\r\n\r\n%.*s",
                    run->publish_path, BODY_BYTES, BODY_BYTES, body);
  uint64_t sent_ns = clock_ns();
  send_all(run->publisher, request, (size_t)length);
  return sent_ns;
}

static void read_answer(const struct run *run) {
  char bytes[READ_BYTES];
  ssize_t length = read(run->publisher, bytes, sizeof bytes);
  if (length >= 12 && memcmp(bytes + 9, "20", 2) == 0) return;
  fprintf(stderr, "fanout: the publisher was answered %.*s\n", (int)(length < 0 ? 0 : length), bytes);
  exit(1);
}

static int by_size(const void *left, const void *right) {
  uint64_t a = *(const uint64_t *)left, b = *(const uint64_t *)right;
  return (a > b) - (a < b);
}

static double percentile_ms(const struct run *run, double share) {
  return (double)run->samples_ns[(size_t)((double)(run->samples - 1) * share)] / 1e6;
}

static double open_all(struct run *run) {
  uint64_t begun_ns = clock_ns();
  for (size_t begun = 0; run->opened < run->count;) {
    while (begun < run->count && run->opening < OPENING_MAX) open_terminal(run), begun++;
    turn(run, -1, 0);
  }
  return (double)(clock_ns() - begun_ns) / 1e9;
}

int main(int argc, char **argv) {
  if (argc != 7)
    return fprintf(stderr, "usage: fanout PORT STREAM_PATH PUBLISH_PATH TERMINALS MESSAGES INTERVAL_MS\n"), 2;
  struct run run = {.address = {.sin_family = AF_INET, .sin_port = htons((uint16_t)atoi(argv[1]))},
                    .stream_path = argv[2],
                    .publish_path = argv[3],
                    .count = strtoul(argv[4], NULL, 10)};
  size_t messages = strtoul(argv[5], NULL, 10);
  uint64_t interval_ns = strtoul(argv[6], NULL, 10) * 1000000U;
  run.address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
  run.terminals = calloc(run.count + 64, sizeof *run.terminals);
  run.samples_ns = calloc(run.count * messages, sizeof *run.samples_ns);
  if (!run.terminals || !run.samples_ns) fail("memory");
  if ((run.epoll = epoll_create1(0)) < 0) fail("epoll");
  run.publisher = connect_to(&run);
  double seconds = open_all(&run);
  rest(&run, 1000000000U); /* what is still being set up is not a part of it */
  for (size_t number = 0; number < messages; number++) {
    uint64_t sent_ns = post(&run, number);
    while (run.samples < (number + 1) * run.count) turn(&run, -1, sent_ns);
    read_answer(&run);
    rest(&run, interval_ns);
  }
  qsort(run.samples_ns, run.samples, sizeof *run.samples_ns, by_size);
  printf("{\"terminals\":%zu,\"open_seconds\":%.3f,\"samples\":%zu,\"p50_ms\":%.2f,\"p99_ms\":%.2f,\"max_ms\":%.2f}\n",
         run.count, seconds, run.samples, percentile_ms(&run, 0.5), percentile_ms(&run, 0.99), percentile_ms(&run, 1));
  fflush(stdout);
  rest(&run, 500000000U); /* the runner looks at the hub's memory: the streams are still open */
  return 0;
}
