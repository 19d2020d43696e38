/*
 * schema.h - the tables of a journal's file, and how a file comes by them: each version is made from the one before it.
 *
 * A file says whose it is and of which version by SQLite's own means, application_id and user_version, so that file(1)
 * and a person can tell as well (https://www.sqlite.org/pragma.html#pragma_application_id).
 */
#ifndef SYNC_SCHEMA_H
#define SYNC_SCHEMA_H

#include "database.h"

/* `steps[n]` makes version n + 1 of version n; version 0 is an empty file. What has been released is not changed any
 * more: a change is a new step. */
struct sync_schema {
  int32_t application_id;
  const char *const *steps;
  size_t count;
};

/* The journal's. docs/journal.md shows its tables. */
extern const struct sync_schema sync_journal_schema;

/* Whether the file called `path` may be opened: as soon as it is opened for writing it is changed, and one of somebody
 * else's must stay as it is. SYNC_OK, also when there is none or it cannot be read; or SYNC_JOURNAL_SCHEMA,
 * SYNC_NO_MEMORY. */
sync_code sync_schema_look(const struct sync_schema *schema, const sync_allocator *alloc, const char *path,
                           sync_failure *failure);

/* Brings the file's tables to the latest version, all at once or not at all. SYNC_OK; SYNC_JOURNAL_SCHEMA: they are of
 * a later version, or somebody else's, and the file is as it was; or what sync_database_failure() says. */
sync_code sync_schema_apply(const struct sync_schema *schema, struct sync_database *database, const char *path,
                            sync_failure *failure);

#endif
