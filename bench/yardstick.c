/*
 * yardstick.c - what the module is measured against: the same stream taken in C, with less work or none.
 *
 *   yardstick KIND MODE URL [CLIENTS]
 *
 *   KIND  read    a blocking read() loop that throws the bytes away: the machine's ceiling (burst only)
 *         frames  libcurl, and a callback that only finds event boundaries
 *         cjson   libcurl, lines put together, cJSON_Parse on each event's data, three fields looked up
 *   MODE  burst      until the stream ends
 *         latency    the paced stream: microseconds from the server's write to here
 *         reconnect  until `event: done`, however often the server cuts, with Last-Event-ID
 *         idle       CLIENTS streams that say one thing each: memory for each of them
 *
 * One line of JSON comes out; bench/run.lua holds its counts against the server's account.
 */
#include <arpa/inet.h>
#include <cjson/cJSON.h>
#include <inttypes.h>
#include <netinet/in.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <unistd.h>

#include "transport.h"
#include "wire.h"

#define READ_BYTES  65536
#define LINE_BYTES  (256 * 1024) /* the longest line: a 64 KiB event and room to spare */
#define STAMP_NAME  "\"sentNs\":\""
#define SAMPLES_MAX 1000000

enum kind { KIND_READ, KIND_FRAMES, KIND_CJSON };
enum mode { MODE_BURST, MODE_LATENCY, MODE_RECONNECT, MODE_IDLE };

/* One client's work and its result. Fields are counted as the blaster counts them: see struct bench_account. */
struct reader {
  enum kind kind;
  enum mode mode;
  const char *url;
  struct bench_transport *transport;
  struct bench_transfer *transfer;
  struct bench_account got;
  uint64_t connections;
  size_t line_bytes; /* of the line that has begun */
  char *line;        /* its bytes, when lines are wanted */
  char last_id[24];
  bool is_done;
  uint64_t *samples_ns;
  size_t sample_count;
};

/* ---- event boundaries, and nothing else -------------------------------------------------------------------------- */

static void count_boundaries(struct reader *reader, const char *bytes, size_t length) {
  const char *at = bytes, *end = bytes + length, *newline;
  while ((newline = memchr(at, '\n', (size_t)(end - at))) != NULL) {
    if (newline == at && reader->line_bytes == 0) reader->got.events++;
    reader->line_bytes = 0;
    at = newline + 1;
  }
  reader->line_bytes += (size_t)(end - at);
}

/* ---- lines ------------------------------------------------------------------------------------------------------- */

static void count_text(const cJSON *object, const char *name, uint64_t *sum, char *copy) {
  const cJSON *field = cJSON_GetObjectItemCaseSensitive(object, name);
  if (!cJSON_IsString(field)) return;
  *sum += strlen(field->valuestring);
  if (copy != NULL) snprintf(copy, sizeof((struct bench_account *)0)->last_order, "%s", field->valuestring);
}

static void take_json(struct reader *reader, const char *text, size_t length) {
  cJSON *event = cJSON_ParseWithLength(text, length);
  count_text(event, "eventType", &reader->got.fields, NULL);
  count_text(event, "orderID", &reader->got.fields, reader->got.last_order);
  count_text(cJSON_GetObjectItemCaseSensitive(event, "data"), "newStage", &reader->got.stages, NULL);
  cJSON_Delete(event);
}

static void take_stamp(struct reader *reader, const char *text, size_t length) {
  const char *stamp = memmem(text, length, STAMP_NAME, strlen(STAMP_NAME));
  if (stamp == NULL || reader->sample_count == SAMPLES_MAX) return;
  reader->samples_ns[reader->sample_count++] = bench_clock_ns() - strtoull(stamp + strlen(STAMP_NAME), NULL, 10);
}

static bool begins(const char *line, size_t length, const char *field) {
  return length >= strlen(field) && memcmp(line, field, strlen(field)) == 0;
}

static void take_line(struct reader *reader, const char *line, size_t length) {
  if (length == 0) {
    reader->got.events++;
  } else if (begins(line, length, "data: ")) {
    if (reader->kind == KIND_CJSON) take_json(reader, line + 6, length - 6);
    if (reader->mode == MODE_LATENCY) take_stamp(reader, line + 6, length - 6);
  } else if (begins(line, length, "id: ")) {
    snprintf(reader->last_id, sizeof reader->last_id, "%.*s", (int)length - 4, line + 4);
  } else if (begins(line, length, "event: done")) {
    reader->is_done = true;
  }
}

static void keep(struct reader *reader, const char *bytes, size_t length) {
  if (reader->line_bytes + length > LINE_BYTES) {
    fputs("a line is longer than any event\n", stderr);
    exit(1);
  }
  memcpy(reader->line + reader->line_bytes, bytes, length);
  reader->line_bytes += length;
}

/* A line that lies whole in the chunk is taken where it is; only one that is cut gets copied. */
static void split_lines(struct reader *reader, const char *bytes, size_t length) {
  const char *at = bytes, *end = bytes + length, *newline;
  while ((newline = memchr(at, '\n', (size_t)(end - at))) != NULL) {
    if (reader->line_bytes == 0) {
      take_line(reader, at, (size_t)(newline - at));
    } else {
      keep(reader, at, (size_t)(newline - at));
      take_line(reader, reader->line, reader->line_bytes);
      reader->line_bytes = 0;
    }
    at = newline + 1;
  }
  keep(reader, at, (size_t)(end - at));
}

/* ---- through libcurl --------------------------------------------------------------------------------------------- */

static void on_bytes(void *arg, const char *bytes, size_t length) {
  struct reader *reader = arg;
  reader->got.bytes += length;
  if (reader->kind == KIND_FRAMES && reader->mode == MODE_BURST)
    count_boundaries(reader, bytes, length);
  else
    split_lines(reader, bytes, length);
}

static void open_stream(struct reader *reader);

static void on_ended(void *arg) {
  struct reader *reader = arg;
  bench_transfer_free(reader->transfer);
  reader->transfer = NULL;
  reader->line_bytes = 0;
  if (reader->mode == MODE_RECONNECT && !reader->is_done) open_stream(reader);
}

static void open_stream(struct reader *reader) {
  const struct bench_receiver receiver = {on_bytes, on_ended, reader};
  reader->connections++;
  reader->transfer = bench_transfer_new(reader->transport, reader->url, reader->last_id, &receiver);
}

static void receive_stream(struct reader *reader) {
  open_stream(reader);
  bench_transport_run(reader->transport);
}

/* ---- through read() ---------------------------------------------------------------------------------------------- */

static int connect_to(const char *url) {
  struct sockaddr_in address = {.sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
  const char *port = strrchr(url, ':'), *path = port == NULL ? NULL : strchr(port, '/');
  if (path == NULL) exit(2);
  address.sin_port = htons((uint16_t)strtoul(port + 1, NULL, 10));
  int fd = socket(AF_INET, SOCK_STREAM, 0);
  if (fd < 0 || connect(fd, (struct sockaddr *)&address, sizeof address) != 0) exit(1);
  dprintf(fd, "GET %s HTTP/1.1\r\nHost: localhost\r\nAccept: text/event-stream\r\n\r\n", path);
  return fd;
}

static void read_stream(struct reader *reader) {
  static char buffer[READ_BYTES + 1];
  ssize_t got;
  int fd = connect_to(reader->url);
  size_t head = 0;
  while ((got = read(fd, buffer, READ_BYTES)) > 0) {
    reader->got.bytes += (uint64_t)got;
    if (head > 0) continue;
    buffer[got] = '\0';
    const char *body = strstr(buffer, "\r\n\r\n"); /* the head is small and comes in one piece */
    if (body == NULL) exit(1);
    head = (size_t)(body + 4 - buffer);
    reader->got.bytes -= head;
  }
  close(fd);
}

/* ---- what is reported -------------------------------------------------------------------------------------------- */

static int compare_ns(const void *a, const void *b) {
  uint64_t left = *(const uint64_t *)a, right = *(const uint64_t *)b;
  return (left > right) - (left < right);
}

static double percentile_us(const struct reader *reader, size_t percent) {
  if (reader->sample_count == 0) return 0;
  return (double)reader->samples_ns[(reader->sample_count - 1) * percent / 100] / 1000;
}

static uint64_t resident_bytes(void) {
  unsigned long pages = 0;
  FILE *file = fopen("/proc/self/statm", "r");
  if (file == NULL || fscanf(file, "%*u %lu", &pages) != 1) exit(1);
  fclose(file);
  return (uint64_t)pages * (uint64_t)sysconf(_SC_PAGESIZE);
}

static double processor_seconds(void) {
  struct rusage usage;
  getrusage(RUSAGE_SELF, &usage);
  return (double)(usage.ru_utime.tv_sec + usage.ru_stime.tv_sec) +
         (double)(usage.ru_utime.tv_usec + usage.ru_stime.tv_usec) / 1e6;
}

static void report(struct reader *reader, double seconds, double cpu_seconds) {
  const struct bench_account *got = &reader->got;
  /* `event: done` is no event of the account */
  uint64_t events = got->events > 0 ? got->events - 1 : 0, done = strlen("event: done\ndata: {}\n\n");
  qsort(reader->samples_ns, reader->sample_count, sizeof *reader->samples_ns, compare_ns);
  printf("{\"events\":%" PRIu64 ",\"seconds\":%.6f,\"cpu_seconds\":%.6f,\"bytes\":%" PRIu64 ",\"fields\":%" PRIu64
         ",\"stages\":%" PRIu64 ",\"last_order\":\"%s\",\"connections\":%" PRIu64
         ",\"samples\":%zu,\"p50_us\":%.1f,\"p99_us\":%.1f}\n",
         events, seconds, cpu_seconds, got->bytes - done, got->fields, got->stages, got->last_order,
         reader->connections, reader->sample_count, percentile_us(reader, 50), percentile_us(reader, 99));
}

/* ---- a thousand of them, idle ------------------------------------------------------------------------------------ */

static void on_first_words(void *arg, const char *bytes, size_t length) {
  struct reader *reader = arg;
  (void)bytes;
  (void)length;
  reader->got.events++;
  bench_transport_stop(reader->transport);
}

static void on_lost(void *arg) {
  (void)arg;
  fputs("an idle stream ended\n", stderr);
  exit(1);
}

/* Memory is counted from the second client on: the first one pays for what all share. */
static void hold_idle(struct reader *reader, uint64_t clients) {
  const struct bench_receiver receiver = {on_first_words, on_lost, reader};
  struct bench_transfer **transfers = calloc(clients, sizeof *transfers);
  if (transfers == NULL) exit(1);
  uint64_t before = 0;
  for (uint64_t i = 0; i < clients; i++) {
    transfers[i] = bench_transfer_new(reader->transport, reader->url, NULL, &receiver);
    while (reader->got.events <= i) bench_transport_run(reader->transport);
    if (i == 0) before = resident_bytes();
  }
  printf("{\"clients\":%" PRIu64 ",\"bytes_per_client\":%.0f}\n", reader->got.events,
         (double)(resident_bytes() - before) / (double)(clients - 1));
  for (uint64_t i = 0; i < clients; i++) bench_transfer_free(transfers[i]);
  free(transfers);
}

/* The place of `name` in a list that ends with NULL; ends the process when it is not there. */
static int choose(const char *name, const char *const *names) {
  for (int i = 0; names[i] != NULL; i++)
    if (strcmp(name, names[i]) == 0) return i;
  fprintf(stderr, "unknown: %s\n", name);
  exit(2);
}

int main(int argc, char **argv) {
  static const char *const kinds[] = {"read", "frames", "cjson", NULL};
  static const char *const modes[] = {"burst", "latency", "reconnect", "idle", NULL};
  if (argc < 4) {
    fputs("usage: yardstick read|frames|cjson burst|latency|reconnect|idle URL [CLIENTS]\n", stderr);
    return 2;
  }
  struct reader reader = {.kind = (enum kind)choose(argv[1], kinds), .mode = (enum mode)choose(argv[2], modes)};
  reader.url = argv[3];
  reader.line = malloc(LINE_BYTES);
  reader.samples_ns = calloc(SAMPLES_MAX, sizeof *reader.samples_ns);
  reader.transport = bench_transport_new();
  if (reader.line == NULL || reader.samples_ns == NULL) return 1;
  if (reader.mode == MODE_IDLE) {
    hold_idle(&reader, argc > 4 ? strtoull(argv[4], NULL, 10) : 1000);
  } else {
    uint64_t began_ns = bench_clock_ns();
    double began_cpu = processor_seconds();
    if (reader.kind == KIND_READ)
      read_stream(&reader);
    else
      receive_stream(&reader);
    report(&reader, (double)(bench_clock_ns() - began_ns) / 1e9, processor_seconds() - began_cpu);
  }
  bench_transport_free(reader.transport);
  free(reader.samples_ns);
  free(reader.line);
  return 0;
}
