/*
 * ownership.h - one owner for one file: a second client, of another process or of this one, is refused, and told who
 * has it.
 *
 * The lock is a POSIX record lock (fcntl) on a file beside the journal, PATH-lock, which also has the owner's pid as
 * text: it goes with its process however that ends, a forked child does not inherit it, and the kernel says whose it
 * is. Such locks do not exclude the same process, so that keeps a list of its own.
 */
#ifndef SYNC_OWNERSHIP_H
#define SYNC_OWNERSHIP_H

#include "alloc.h"

struct sync_ownership;

/* Takes the file called `path`. SYNC_OK; SYNC_JOURNAL_LOCKED: somebody has it, `failure` says which process;
 * SYNC_NO_MEMORY, SYNC_JOURNAL_READ_ONLY, SYNC_JOURNAL_FULL, SYNC_JOURNAL_IO. */
sync_code sync_ownership_take(struct sync_ownership **ownership, const sync_allocator *alloc, const char *path,
                              sync_failure *failure);

/* Gives it back. NULL is fine. */
void sync_ownership_free(struct sync_ownership *ownership);

#endif
