/* verdict.c - what a response's head means for an event stream. */
#include "verdict.h"

#include <ctype.h>
#include <string.h>
#include <strings.h>

#include "error.h"

/* The first row that a status falls into counts. */
static const struct row {
  int first;
  int last;
  sync_code code;
  sync_class error_class;
} table[] = {
    {204, 204, SYNC_HTTP_NO_CONTENT, SYNC_CLASS_FATAL},    {401, 401, SYNC_HTTP_AUTH, SYNC_CLASS_AUTHENTICATION},
    {403, 403, SYNC_HTTP_AUTH, SYNC_CLASS_AUTHENTICATION}, {408, 408, SYNC_HTTP_STATUS, SYNC_CLASS_RETRY},
    {425, 425, SYNC_HTTP_STATUS, SYNC_CLASS_RETRY},        {429, 429, SYNC_HTTP_STATUS, SYNC_CLASS_RETRY},
    {500, 599, SYNC_HTTP_STATUS, SYNC_CLASS_RETRY},        {0, 999, SYNC_HTTP_STATUS, SYNC_CLASS_FATAL},
};

static const struct row *row_of(int status) {
  const struct row *row = table;
  while (status < row->first || status > row->last) row++;
  return row;
}

/* The type and subtype are `text/event-stream`, in any case, parameters aside. */
static bool is_event_stream(const char *content_type) {
  static const char wanted[] = "text/event-stream";
  if (!content_type || strncasecmp(content_type, wanted, sizeof wanted - 1) != 0) return false;
  const char *rest = content_type + sizeof wanted - 1;
  while (isspace((unsigned char)*rest)) rest++;
  return *rest == '\0' || *rest == ';';
}

sync_code sync_verdict(int status, const char *content_type, bool strict, sync_failure *failure) {
  if (status == 200 && is_event_stream(content_type)) return SYNC_OK;
  if (status == 200) {
    sync_failure_set(failure, SYNC_CONTENT_TYPE, "expected text/event-stream, got status 200 with %s",
                     content_type ? content_type : "no content type");
  } else {
    const struct row *row = row_of(status);
    sync_failure_set(failure, row->code, "the server answered %d", status);
    sync_failure_class(failure, strict ? SYNC_CLASS_FATAL : row->error_class);
  }
  failure->status = status;
  return failure->code;
}
