/*
 * redact.h - JSON without what must not touch the disk: the values of some names, wherever they are, are replaced by
 * the text "[redacted]".
 */
#ifndef SYNC_REDACT_H
#define SYNC_REDACT_H

#include "buffer.h"

/* What stands for a value that is gone, as JSON. */
#define SYNC_REDACTED "\"[redacted]\""

struct sync_redact {
  const char *const *names; /* in plain text; the caller's */
  size_t count;
};

/* Appends `json` to `out`, without the values of the members so called; names are compared without their JSON escapes.
 * What is no JSON is appended as nothing at all: nobody knows what is in it. Without names anything is appended as it
 * is. false: no memory, and `out` is as it was. */
bool sync_redact_append(const struct sync_redact *redact, sync_span json, struct sync_buffer *out);

#endif
