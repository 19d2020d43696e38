/*
 * ownership.c - one owner for one file: the kernel's record lock between processes, a list within this one.
 *
 * Closing any descriptor of a file gives up every record lock that the process has on it (fcntl(2)). So whoever asks
 * looks at the list first, by device and inode, and opens the lock file only if it is not there. The file stays when it
 * is given back: if it were deleted, two processes could lock two files of one name.
 */
#include "ownership.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "buffer.h"
#include "database.h"
#include "error.h"
#include "span.h"

/* How often a lock is asked for whose owner goes away just then. */
#define TRIES_MAX 3

struct sync_ownership {
  const sync_allocator *alloc;
  int descriptor;
  dev_t device;
  ino_t inode;
  pid_t pid; /* a forked child has a copy of the list, but not the locks */
  struct sync_ownership *next;
};

/* ---- what this process owns -------------------------------------------------------------------------------------- */

static struct sync_ownership *owned;
static pthread_mutex_t owned_mutex = PTHREAD_MUTEX_INITIALIZER;
static pthread_once_t fork_once = PTHREAD_ONCE_INIT;

static void lock_list(void) {
  (void)pthread_mutex_lock(&owned_mutex);
}

static void unlock_list(void) {
  (void)pthread_mutex_unlock(&owned_mutex);
}

/* A thread that forks waits for the others to be done with the list: a child has only that one thread, and nobody else
 * would unlock it there. */
static void watch_forks(void) {
  (void)pthread_atfork(lock_list, unlock_list, unlock_list);
}

static bool is_owned(const struct stat *file) {
  for (const struct sync_ownership *each = owned; each; each = each->next)
    if (each->device == file->st_dev && each->inode == file->st_ino && each->pid == getpid()) return true;
  return false;
}

static void unlist(const struct sync_ownership *ownership) {
  struct sync_ownership **place = &owned;
  while (*place && *place != ownership) place = &(*place)->next;
  if (*place) *place = ownership->next;
}

/* ---- the lock ---------------------------------------------------------------------------------------------------- */

static sync_code tell_errno(sync_failure *failure, const char *lock_path) {
  int number = errno;
  return sync_failure_set(failure, sync_database_code(number), "%s: %s", strerror(number), lock_path);
}

/* The kernel gives no pid of a process that this one cannot see, in another container say: then the text does. */
static sync_code tell_owner(sync_failure *failure, int descriptor, pid_t pid, const char *path) {
  char text[32] = "";
  if (pid > 0) return sync_failure_set(failure, SYNC_JOURNAL_LOCKED, "process %ld has %s", (long)pid, path);
  ssize_t length = pread(descriptor, text, sizeof text - 1, 0);
  text[length > 0 ? strspn(text, "0123456789") : 0] = '\0';
  return sync_failure_set(failure, SYNC_JOURNAL_LOCKED, "a process of another container or machine, %s there, has %s",
                          *text ? text : "unknown", path);
}

/* SYNC_OK, or who has it. */
static sync_code lock_file(int descriptor, const char *path, sync_failure *failure) {
  const struct flock whole = {.l_type = F_WRLCK, .l_whence = SEEK_SET};
  struct flock found = whole;
  for (int tries = 0; tries < TRIES_MAX; tries++) {
    if (fcntl(descriptor, F_SETLK, &whole) == 0) return SYNC_OK;
    if (errno != EACCES && errno != EAGAIN) return tell_errno(failure, path);
    found = whole;
    if (fcntl(descriptor, F_GETLK, &found) != 0) return tell_errno(failure, path);
    if (found.l_type != F_UNLCK) break;
  }
  return tell_owner(failure, descriptor, found.l_pid, path);
}

static bool write_pid(int descriptor) {
  char text[32];
  int length = snprintf(text, sizeof text, "%ld\n", (long)getpid());
  return ftruncate(descriptor, 0) == 0 && pwrite(descriptor, text, (size_t)length, 0) == length;
}

/* Locks the file, which this process does not own. */
static sync_code take_file(struct sync_ownership *ownership, const char *path, const char *lock_path,
                           sync_failure *failure) {
  struct stat file;
  ownership->descriptor = open(lock_path, O_RDWR | O_CREAT | O_CLOEXEC | O_NOFOLLOW, 0644);
  if (ownership->descriptor < 0 || fstat(ownership->descriptor, &file) != 0) return tell_errno(failure, lock_path);
  sync_code code = lock_file(ownership->descriptor, path, failure);
  if (code != SYNC_OK) return code;
  if (!write_pid(ownership->descriptor)) return tell_errno(failure, lock_path);
  ownership->device = file.st_dev;
  ownership->inode = file.st_ino;
  ownership->pid = getpid();
  return SYNC_OK;
}

static sync_code take_listed(struct sync_ownership *ownership, const char *path, const char *lock_path,
                             sync_failure *failure) {
  struct stat file;
  if (stat(lock_path, &file) == 0 && is_owned(&file))
    return sync_failure_set(failure, SYNC_JOURNAL_LOCKED, "this process (%ld) has %s already", (long)getpid(), path);
  sync_code code = take_file(ownership, path, lock_path, failure);
  if (code != SYNC_OK) return code;
  ownership->next = owned;
  owned = ownership;
  return SYNC_OK;
}

/* ---- taking and giving back -------------------------------------------------------------------------------------- */

/* PATH-lock; of a symbolic link, beside the file that it leads to, as SQLite's own files are. */
static bool name_lock(struct sync_buffer *name, const char *path) {
  char resolved[PATH_MAX];
  const char *real = realpath(path, resolved);
  return sync_buffer_append(name, sync_span_of(real ? real : path)) &&
         sync_buffer_append(name, (sync_span){"-lock", sizeof "-lock"});
}

static void close_lock(const struct sync_ownership *ownership) {
  if (ownership->descriptor >= 0) (void)close(ownership->descriptor);
}

sync_code sync_ownership_take(struct sync_ownership **ownership, const sync_allocator *alloc, const char *path,
                              sync_failure *failure) {
  sync_code code = SYNC_NO_MEMORY;
  struct sync_buffer lock_path;
  struct sync_ownership *taken = sync_alloc_zeroed(alloc, sizeof *taken);
  *ownership = NULL;
  sync_buffer_init(&lock_path, alloc);
  if (!taken || !name_lock(&lock_path, path)) {
    sync_failure_set(failure, code, "no memory for the lock of %s", path);
    goto fail;
  }
  *taken = (struct sync_ownership){.alloc = alloc, .descriptor = -1};
  (void)pthread_once(&fork_once, watch_forks);
  lock_list();
  code = take_listed(taken, path, lock_path.bytes, failure);
  if (code != SYNC_OK) close_lock(taken);
  unlock_list();
  if (code != SYNC_OK) goto fail;
  sync_buffer_fini(&lock_path);
  *ownership = taken;
  return SYNC_OK;

fail:
  sync_buffer_fini(&lock_path);
  sync_alloc_free(alloc, taken);
  return code;
}

/* The text goes first: once the file is closed it is another owner's. A child closes its descriptor, and that is all:
 * the lock and the text are its parent's. */
void sync_ownership_free(struct sync_ownership *ownership) {
  if (!ownership) return;
  lock_list();
  unlist(ownership);
  bool emptied = ownership->pid == getpid() && ftruncate(ownership->descriptor, 0) == 0;
  (void)emptied; /* a pid that stays there misleads a person at most: the kernel knows */
  close_lock(ownership);
  unlock_list();
  sync_alloc_free(ownership->alloc, ownership);
}
