/*
 * faulty_vfs.h - a disk that fails when a test says so: a SQLite VFS around the default one.
 *
 * It counts calls by kind and refuses the Nth and those that follow, as SQLite's own fault tests do, or has no more
 * room than a test gives it. A write that is refused has written its first half: disks tear. Time that SQLite would
 * sleep away, waiting for a lock, is not slept; a test may do something instead. It touches files only, and wherever
 * the files of this process's SQLite are opened through it: journal, keeper, client.
 *
 * Locking is passed on, so that other processes see what they would see. Memory-mapped files are not offered: every
 * write passes here.
 */
#ifndef FAULTY_VFS_H
#define FAULTY_VFS_H

#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>
#include <sqlite3.h>

/* Kinds of calls; they add up. */
enum {
  FAULTY_OPEN = 1,
  FAULTY_READ = 2,
  FAULTY_WRITE = 4,
  FAULTY_SYNC = 8,
  FAULTY_TRUNCATE = 16,
  FAULTY_DELETE = 32,
  FAULTY_CHANGES = FAULTY_OPEN | FAULTY_WRITE | FAULTY_SYNC | FAULTY_TRUNCATE | FAULTY_DELETE,
};

struct faulty_vfs {
  sqlite3_vfs vfs;
  sqlite3_vfs *real;
  struct faulty_file *files; /* that are open */
  unsigned kinds;            /* those that count */
  size_t requests;           /* calls of these kinds, so far */
  size_t refuse_from;        /* the number of the first that is refused, from 1; 0: none is */
  size_t refuse_count;       /* how many in a row */
  size_t refused;
  int result;               /* what a refused call gives: SQLITE_FULL, SQLITE_IOERR_WRITE, ... */
  int number;               /* and what errno would be */
  void (*refusing)(void);   /* called at each refusal, if not NULL */
  sqlite3_int64 room_bytes; /* all files together, as long as they are open; 0: no bound */
  bool lacks_shared_memory; /* as some file systems do: no WAL */
  void (*sleeping)(void);   /* called in place of a sleep, if not NULL */
};

struct faulty_file {
  sqlite3_file base;
  const char *path; /* NULL: a temporary file */
  struct faulty_file *next;
  sqlite3_file *real; /* behind this structure */
};

static struct faulty_vfs faulty;

/* ---- what a test says -------------------------------------------------------------------------------------------- */

/* Refuses `count` calls of `kinds`, the first of them the `nth` from now (1: the very next), with `result` and the
 * errno `number`. What was counted and refused before is forgotten. */
static inline void faulty_vfs_refuse(unsigned kinds, size_t nth, size_t count, int result, int number) {
  faulty.kinds = kinds;
  faulty.requests = faulty.refused = 0;
  faulty.refuse_from = nth;
  faulty.refuse_count = count;
  faulty.result = result;
  faulty.number = number;
}

/* The disk is whole again, and has room. */
static inline void faulty_vfs_allow(void) {
  faulty.refuse_from = faulty.kinds = 0;
  faulty.refusing = NULL;
  faulty.room_bytes = 0;
}

/* No more than this for all files that are open, together. */
static inline void faulty_vfs_limit(sqlite3_int64 room_bytes) {
  faulty.refused = 0;
  faulty.room_bytes = room_bytes;
}

/* Copies the files that are open into the folder, which has none of these names: without opening them, because closing
 * a file gives up the locks that SQLite has on it. */
static inline void faulty_vfs_save(const char *folder) {
  for (struct faulty_file *each = faulty.files; each; each = each->next) {
    if (!each->path) continue;
    char name[1024], bytes[4096];
    const char *slash = strrchr(each->path, '/');
    assert_true((size_t)snprintf(name, sizeof name, "%s%s", folder, slash) < sizeof name);
    FILE *copy = fopen(name, "wb");
    sqlite3_int64 size = 0, at = 0;
    assert_non_null(copy);
    assert_int_equal(each->real->pMethods->xFileSize(each->real, &size), SQLITE_OK);
    for (int piece; at < size; at += piece) {
      piece = size - at < (sqlite3_int64)sizeof bytes ? (int)(size - at) : (int)sizeof bytes;
      assert_int_equal(each->real->pMethods->xRead(each->real, bytes, piece, at), SQLITE_OK);
      assert_int_equal(fwrite(bytes, 1, (size_t)piece, copy), (size_t)piece);
    }
    assert_int_equal(fclose(copy), 0);
  }
}

/* ---- calls that may be refused ----------------------------------------------------------------------------------- */

/* What becomes of the next call of this kind. */
static inline int faulty_next(unsigned kind) {
  if (!(faulty.kinds & kind)) return SQLITE_OK;
  size_t number = ++faulty.requests;
  if (faulty.refuse_from == 0 || number < faulty.refuse_from) return SQLITE_OK;
  return number - faulty.refuse_from < faulty.refuse_count ? faulty.result : SQLITE_OK;
}

/* Gives the result back. */
static inline int faulty_tell(int result) {
  if (result == SQLITE_OK) return result;
  faulty.refused++;
  if (faulty.refusing) faulty.refusing();
  errno = faulty.number;
  return result;
}

static inline int faulty_ask(unsigned kind) {
  return faulty_tell(faulty_next(kind));
}

static inline sqlite3_file *faulty_real(sqlite3_file *file) {
  return ((struct faulty_file *)(void *)file)->real;
}

/* Whether `file` may be `bytes` long. */
static inline int faulty_has_room(sqlite3_file *file, sqlite3_int64 bytes) {
  sqlite3_int64 sum = 0, size = 0, own = 0;
  if (faulty.room_bytes == 0) return 1;
  for (struct faulty_file *each = faulty.files; each; each = each->next) {
    if (each->real->pMethods->xFileSize(each->real, &size) != SQLITE_OK) size = 0;
    if (&each->base == file)
      own = size;
    else
      sum += size;
  }
  return bytes <= own || sum + bytes <= faulty.room_bytes;
}

static inline int faulty_read(sqlite3_file *file, void *bytes, int count, sqlite3_int64 at) {
  int result = faulty_ask(FAULTY_READ);
  return result != SQLITE_OK ? result : faulty_real(file)->pMethods->xRead(faulty_real(file), bytes, count, at);
}

static inline int faulty_write(sqlite3_file *file, const void *bytes, int count, sqlite3_int64 at) {
  int result = faulty_next(FAULTY_WRITE);
  if (result == SQLITE_OK && !faulty_has_room(file, at + count)) result = SQLITE_FULL;
  int whole = result == SQLITE_OK ? count : count / 2;
  int written = faulty_real(file)->pMethods->xWrite(faulty_real(file), bytes, whole, at);
  return result == SQLITE_OK ? written : faulty_tell(result);
}

static inline int faulty_truncate(sqlite3_file *file, sqlite3_int64 bytes) {
  int result = faulty_ask(FAULTY_TRUNCATE);
  return result != SQLITE_OK ? result : faulty_real(file)->pMethods->xTruncate(faulty_real(file), bytes);
}

/* Is not passed on: nobody pulls the plug of the machine here, and disks take their time. */
static inline int faulty_sync(sqlite3_file *file, int flags) {
  (void)file, (void)flags;
  return faulty_ask(FAULTY_SYNC);
}

static inline int faulty_shm_map(sqlite3_file *file, int region, int size, int extend, void volatile **memory) {
  if (faulty.lacks_shared_memory) return SQLITE_IOERR_SHMMAP;
  return faulty_real(file)->pMethods->xShmMap(faulty_real(file), region, size, extend, memory);
}

/* ---- calls that are passed on ------------------------------------------------------------------------------------ */

static inline int faulty_close(sqlite3_file *file) {
  struct faulty_file **place = &faulty.files;
  while (*place && &(*place)->base != file) place = &(*place)->next;
  assert_non_null(*place);
  *place = (*place)->next;
  return faulty_real(file)->pMethods->xClose(faulty_real(file));
}

static inline int faulty_file_size(sqlite3_file *file, sqlite3_int64 *bytes) {
  return faulty_real(file)->pMethods->xFileSize(faulty_real(file), bytes);
}

static inline int faulty_lock(sqlite3_file *file, int level) {
  return faulty_real(file)->pMethods->xLock(faulty_real(file), level);
}

static inline int faulty_unlock(sqlite3_file *file, int level) {
  return faulty_real(file)->pMethods->xUnlock(faulty_real(file), level);
}

static inline int faulty_check_lock(sqlite3_file *file, int *reserved) {
  return faulty_real(file)->pMethods->xCheckReservedLock(faulty_real(file), reserved);
}

static inline int faulty_control(sqlite3_file *file, int operation, void *argument) {
  return faulty_real(file)->pMethods->xFileControl(faulty_real(file), operation, argument);
}

static inline int faulty_sector_size(sqlite3_file *file) {
  return faulty_real(file)->pMethods->xSectorSize(faulty_real(file));
}

static inline int faulty_characteristics(sqlite3_file *file) {
  return faulty_real(file)->pMethods->xDeviceCharacteristics(faulty_real(file));
}

static inline int faulty_shm_lock(sqlite3_file *file, int offset, int count, int flags) {
  return faulty_real(file)->pMethods->xShmLock(faulty_real(file), offset, count, flags);
}

static inline void faulty_shm_barrier(sqlite3_file *file) {
  faulty_real(file)->pMethods->xShmBarrier(faulty_real(file));
}

static inline int faulty_shm_unmap(sqlite3_file *file, int delete_too) {
  return faulty_real(file)->pMethods->xShmUnmap(faulty_real(file), delete_too);
}

/* ---- the VFS ----------------------------------------------------------------------------------------------------- */

static inline int faulty_open(sqlite3_vfs *vfs, const char *path, sqlite3_file *file, int flags, int *flags_out) {
  static const sqlite3_io_methods methods = {
      .iVersion = 2,
      .xClose = faulty_close,
      .xRead = faulty_read,
      .xWrite = faulty_write,
      .xTruncate = faulty_truncate,
      .xSync = faulty_sync,
      .xFileSize = faulty_file_size,
      .xLock = faulty_lock,
      .xUnlock = faulty_unlock,
      .xCheckReservedLock = faulty_check_lock,
      .xFileControl = faulty_control,
      .xSectorSize = faulty_sector_size,
      .xDeviceCharacteristics = faulty_characteristics,
      .xShmMap = faulty_shm_map,
      .xShmLock = faulty_shm_lock,
      .xShmBarrier = faulty_shm_barrier,
      .xShmUnmap = faulty_shm_unmap,
  };
  struct faulty_file *opened = (struct faulty_file *)(void *)file;
  (void)vfs;
  opened->base.pMethods = NULL; /* SQLite closes only what has methods */
  int result = faulty_ask(FAULTY_OPEN);
  if (result != SQLITE_OK) return result;
  opened->real = (sqlite3_file *)(void *)(opened + 1);
  result = faulty.real->xOpen(faulty.real, path, opened->real, flags, flags_out);
  if (result != SQLITE_OK) return result;
  opened->base.pMethods = &methods;
  opened->path = path;
  opened->next = faulty.files;
  faulty.files = opened;
  return SQLITE_OK;
}

static inline int faulty_delete(sqlite3_vfs *vfs, const char *path, int sync_folder) {
  (void)vfs;
  int result = faulty_ask(FAULTY_DELETE);
  return result != SQLITE_OK ? result : faulty.real->xDelete(faulty.real, path, sync_folder);
}

static inline int faulty_sleep(sqlite3_vfs *vfs, int microseconds) {
  (void)vfs;
  if (faulty.sleeping) faulty.sleeping();
  return microseconds;
}

/* From here on SQLite opens its files through it. All else is the real one's, whose calls do not ask which VFS they
 * were called through. */
static inline void faulty_vfs_install(void) {
  sqlite3_vfs *real = sqlite3_vfs_find(NULL);
  faulty = (struct faulty_vfs){.vfs = *real, .real = real};
  faulty.vfs.pNext = NULL;
  faulty.vfs.zName = "faulty";
  faulty.vfs.szOsFile = (int)sizeof(struct faulty_file) + real->szOsFile;
  faulty.vfs.xOpen = faulty_open;
  faulty.vfs.xDelete = faulty_delete;
  faulty.vfs.xSleep = faulty_sleep;
  assert_int_equal(sqlite3_vfs_register(&faulty.vfs, 1), SQLITE_OK);
}

/* Every file has been closed; new ones do not pass here any more. */
static inline void faulty_vfs_remove(void) {
  assert_null(faulty.files);
  assert_int_equal(sqlite3_vfs_unregister(&faulty.vfs), SQLITE_OK);
}

#endif
