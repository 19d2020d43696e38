/*
 * utf8.h - UTF-8 as the WHATWG Encoding standard decodes it: what is not well-formed becomes U+FFFD.
 *
 * One replacement character for each maximal subpart (Unicode, section 3.9, table 3-7 and "U+FFFD substitution of
 * maximal subparts"). Nothing about BOMs: those belong to the event stream.
 */
#ifndef SYNC_UTF8_H
#define SYNC_UTF8_H

#include <stdbool.h>

#include "buffer.h"

/* Whether `text` is well-formed UTF-8. Plain ASCII is told quickly. */
bool sync_utf8_valid(sync_span text);

/* Appends `text`, each maximal subpart of what is not well-formed replaced by U+FFFD (so at most three times as long).
 * false: no memory, and `out` may hold a part of it. */
bool sync_utf8_append(struct sync_buffer *out, sync_span text);

#endif
