/* error.c - the one table of codes: name, meaning, what to do, what follows. */
#include "error.h"

#include <stdarg.h>
#include <stdio.h>
#include <string.h>

struct row {
  const char *name;
  const char *text;
  const char *hint;
  sync_class error_class;
};

#define RETRY          SYNC_CLASS_RETRY
#define AUTHENTICATION SYNC_CLASS_AUTHENTICATION
#define CONFIGURATION  SYNC_CLASS_CONFIGURATION
#define FATAL          SYNC_CLASS_FATAL

static const struct row table[SYNC_CODE_COUNT] = {
    [SYNC_OK] = {"OK", "nothing is wrong", "", FATAL},
    [SYNC_NO_MEMORY] = {"NO_MEMORY", "the system gave no memory",
                        "free memory, or lower queue_limit and max_event_bytes", RETRY},
    [SYNC_FORKED] = {"FORKED", "the loop belongs to the parent process", "open clients of its own in the child", FATAL},
    [SYNC_CLOSED] = {"CLOSED", "the client is closed", "make a new one with sync.connect", FATAL},
    [SYNC_SYSTEM] = {"SYSTEM", "the operating system refused a resource", "look at the limit on open files", RETRY},
    [SYNC_URL] = {"URL", "the url cannot be used", "give a full one, such as http://127.0.0.1:8080", CONFIGURATION},
    [SYNC_OPTION] = {"OPTION", "an option has a value that cannot be used", "see docs/options.md", CONFIGURATION},
    [SYNC_HEADER] = {"HEADER", "a header cannot be sent", "take out carriage return, line feed and NUL", CONFIGURATION},
    [SYNC_DNS] = {"DNS", "the host name was not found", "check the url and this machine's name servers", RETRY},
    [SYNC_REFUSED] = {"REFUSED", "nobody accepted the connection", "check that the server runs and the port is right",
                      RETRY},
    [SYNC_CONNECT_TIMEOUT] = {"CONNECT_TIMEOUT", "no response in time",
                              "check the network, or raise connect_timeout_ms", RETRY},
    [SYNC_TLS] = {"TLS", "the TLS connection could not be made",
                  "check the server's certificate, this machine's clock and tls.ca_file", RETRY},
    [SYNC_TLS_FILE] = {"TLS_FILE", "a file of the tls options cannot be used",
                       "check that tls.ca_file, tls.cert_file and tls.key_file exist, can be read and are PEM",
                       CONFIGURATION},
    [SYNC_TLS_UNVERIFIED] = {"TLS_UNVERIFIED", "the server's certificate is not checked: anybody could be the server",
                             "take out tls.insecure_skip_verify, and name the authority in tls.ca_file", CONFIGURATION},
    [SYNC_PROXY] = {"PROXY", "the proxy did not connect us", "check proxy and its credentials", RETRY},
    [SYNC_NETWORK] = {"NETWORK", "the connection broke", "check the network between here and the server", RETRY},
    [SYNC_HTTP_STATUS] = {"HTTP_STATUS", "the server answered with a status other than 200",
                          "look at the status and at the server's log", RETRY},
    [SYNC_HTTP_AUTH] = {"HTTP_AUTH", "the server wants other credentials", "check token and headers", AUTHENTICATION},
    [SYNC_HTTP_REDIRECT] = {"HTTP_REDIRECT", "the server redirects to where this client does not go",
                            "connect to the url that it names, if you trust it", FATAL},
    [SYNC_HTTP_NO_CONTENT] = {"HTTP_NO_CONTENT", "the server asks this client to stay away (204)",
                              "call reconnect() when it should be tried again", FATAL},
    [SYNC_HTTP_PROTOCOL] = {"HTTP_PROTOCOL", "the answer is not HTTP", "check that the port speaks HTTP", RETRY},
    [SYNC_CONTENT_TYPE] = {"CONTENT_TYPE", "the answer is not an event stream",
                           "check the path; a proxy or login page may have answered", FATAL},
    [SYNC_STREAM_ENDED] = {"STREAM_ENDED", "the server ended the stream", "nothing: the client reconnects", RETRY},
    [SYNC_STREAM_CUT] = {"STREAM_CUT", "the stream broke off", "nothing: the client reconnects", RETRY},
    [SYNC_IDLE_TIMEOUT] = {"IDLE_TIMEOUT", "nothing was heard for too long: the connection counts as dead",
                           "check for a proxy that buffers, or set idle_timeout_ms", RETRY},
    [SYNC_TIGHT_LOOP] = {"TIGHT_LOOP", "the server accepts the stream and ends it at once, over and over",
                         "look at the server's log; a proxy's time limit may be too short", RETRY},
    [SYNC_SLEPT] = {"SLEPT", "this machine slept", "nothing: the client reconnects", RETRY},
    [SYNC_NETWORK_CHANGED] = {"NETWORK_CHANGED", "the host said that the network changed",
                              "nothing: the client reconnects", RETRY},
    [SYNC_EXHAUSTED] = {"EXHAUSTED", "every attempt in a row failed",
                        "look at the failures before it; reconnect() tries at once", RETRY},
    [SYNC_POLL_FAILED] = {"POLL_FAILED", "a poll brought no snapshot", "check polling.url, or the fetch function",
                          RETRY},
    [SYNC_SNAPSHOT] = {"SNAPSHOT", "the snapshot is no list of orders",
                       "have it answer a JSON array of orders, or an object with one under docs", RETRY},
    [SYNC_CIRCUIT_OPEN] = {"CIRCUIT_OPEN", "polls failed so often that they are made less often",
                           "look at the failures before it; start_polling() polls at once", RETRY},
    [SYNC_EVENT_JSON] = {"EVENT_JSON", "an event is not JSON", "fix the server, or use decode = \"none\"", FATAL},
    [SYNC_EVENT_TOO_LARGE] = {"EVENT_TOO_LARGE", "an event is larger than max_event_bytes",
                              "raise max_event_bytes, or send less", FATAL},
    [SYNC_EVENT_DECODE] = {"EVENT_DECODE", "the decode function failed", "fix the decode function", FATAL},
    [SYNC_CREDENTIALS] = {"CREDENTIALS", "the token or headers function failed", "fix the token or headers function",
                          RETRY},
    [SYNC_HANDLER] = {"HANDLER", "a handler raised an error", "fix the handler; other handlers got the event", FATAL},
    [SYNC_TIMEOUT] = {"TIMEOUT", "nothing came in the time given", "wait longer, or look at health()", RETRY},
    [SYNC_JOURNAL_FULL] = {"JOURNAL_FULL", "the disk of the journal is full",
                           "make room; journaling goes on by itself, with all that came meanwhile", RETRY},
    [SYNC_JOURNAL_READ_ONLY] = {"JOURNAL_READ_ONLY", "the journal cannot be written",
                                "give this user the right to write the file and its folder", CONFIGURATION},
    [SYNC_JOURNAL_CORRUPT] = {"JOURNAL_CORRUPT", "the journal is damaged, or no SQLite file",
                              "move the file away: a new one is made; docs/journal.md says how to rescue the old one",
                              CONFIGURATION},
    [SYNC_JOURNAL_SCHEMA] = {"JOURNAL_SCHEMA", "a later version of ordersync made the journal, or another program",
                             "update ordersync, or name another file", CONFIGURATION},
    [SYNC_JOURNAL_LOCKED] = {"JOURNAL_LOCKED", "somebody else has the journal",
                             "end the process that is named, or name another file", CONFIGURATION},
    [SYNC_JOURNAL_GONE] = {"JOURNAL_GONE", "the journal was deleted or replaced while it was open",
                           "leave the file alone; a new one has been begun", RETRY},
    [SYNC_JOURNAL_IO] = {"JOURNAL_IO", "the disk of the journal failed", "look at the disk and at the system's log",
                         RETRY},
    [SYNC_NO_JOURNAL] = {"NO_JOURNAL", "this needs a journal", "set the option persistence", CONFIGURATION},
};

static const struct row *row_of(sync_code code) {
  static const struct row unknown = {"UNKNOWN", "no such code", "", FATAL};
  return (unsigned)code < SYNC_CODE_COUNT ? &table[code] : &unknown;
}

const char *sync_code_name(sync_code code) {
  return row_of(code)->name;
}

const char *sync_code_text(sync_code code) {
  return row_of(code)->text;
}

const char *sync_code_hint(sync_code code) {
  return row_of(code)->hint;
}

sync_class sync_code_class(sync_code code) {
  return row_of(code)->error_class;
}

const char *sync_class_name(sync_class class_of_error) {
  static const char *const names[] = {"retry", "authentication", "configuration", "fatal"};
  return names[class_of_error];
}

/* The length of `text` without a last character that has been cut short. */
static size_t whole_characters(const char *text, size_t length) {
  size_t start = length;
  while (start > 0 && length - start < 3 && ((unsigned char)text[start - 1] & 0xc0) == 0x80) start--;
  if (start == 0) return length;
  unsigned char lead = (unsigned char)text[start - 1];
  size_t wanted = lead >= 0xf0 ? 4 : lead >= 0xe0 ? 3 : lead >= 0xc0 ? 2 : 1;
  return length - (start - 1) < wanted ? start - 1 : length;
}

/* What a server sent must not move a terminal's cursor, nor end in half a character. */
static void clean(char *text) {
  size_t length = whole_characters(text, strlen(text));
  text[length] = '\0';
  for (size_t i = 0; i < length; i++)
    if ((unsigned char)text[i] < ' ' || text[i] == 0x7f) text[i] = ' ';
}

static void add(sync_failure *failure, const char *format, va_list arguments) {
  size_t used = strlen(failure->message);
  (void)vsnprintf(failure->message + used, sizeof failure->message - used, format, arguments);
  clean(failure->message);
}

void sync_failure_append(sync_failure *failure, const char *format, ...) {
  va_list arguments;
  va_start(arguments, format);
  add(failure, format, arguments);
  va_end(arguments);
}

void sync_failure_class(sync_failure *failure, sync_class error_class) {
  failure->error_class = error_class;
  failure->retryable = error_class == SYNC_CLASS_RETRY;
}

sync_code sync_failure_set(sync_failure *failure, sync_code code, const char *format, ...) {
  if (!failure) return code;
  memset(failure, 0, sizeof *failure);
  failure->code = code;
  sync_failure_class(failure, sync_code_class(code));
  va_list arguments;
  va_start(arguments, format);
  add(failure, format, arguments);
  va_end(arguments);
  return code;
}
