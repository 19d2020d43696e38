/*
 * options.h - what a client is made of: defaults, checks, a copy of its own.
 */
#ifndef SYNC_OPTIONS_H
#define SYNC_OPTIONS_H

#include "alloc.h"

/* SYNC_OK, or `failure` names the option, its value and what would be right. The url is transport.c's to judge. */
sync_code sync_options_check(const sync_options *options, sync_failure *failure);

/* Whether a header can be sent: a name of RFC 9110 token characters, a value without CR, LF and NUL. */
sync_code sync_header_check(const sync_header *header, sync_failure *failure);

/* Copies everything that `from` points to; false: no memory, and `to` holds nothing. */
bool sync_options_copy(const sync_allocator *alloc, sync_options *to, const sync_options *from);
void sync_options_fini(const sync_allocator *alloc, sync_options *options);

/* A copy of headers in one block, or NULL: none, or no memory. */
sync_header *sync_headers_copy(const sync_allocator *alloc, const sync_header *headers, size_t count);

/* Whether both ask the server for the same, in the same way; if not, an open stream has to be opened anew. */
bool sync_options_same_request(const sync_options *a, const sync_options *b);

/* Whether they want the same of a journal, and of what is kept in it. */
bool sync_options_same_journal(const sync_options *a, const sync_options *b);

#endif
