/*
 * kill_at.c - for spec/torture: ends the process that preloads it with SIGKILL, as a power switch ends a program, at
 * the system call of a given number.
 *
 *   KILL_AT=N       the Nth call that counts; 0, or not there: none
 *   KILL_WHEN       "before" the call is made, or "after" it
 *   KILL_CALLS      "writes": calls that change a file or send to a socket; "all": those that read or wait too
 *   KILL_TALLY=F    at a normal end the file F gets how many of both there were
 *
 * It stands between the libraries and libc, so it sees what SQLite, libcurl, libuv and the module call; what libc calls
 * by itself, for io.write say, it does not see, and so does not count. Linux with 64 bits: off_t is off64_t there.
 */
#include <fcntl.h>
#include <signal.h>
#include <stdarg.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/uio.h>
#include <unistd.h>

_Static_assert(sizeof(off_t) == 8, "the calls below are those of a system with 64 bits");

static atomic_ulong writes, all;
static unsigned long kill_at;
static bool kill_after, kill_at_any;

static bool is_set_to(const char *name, const char *value) {
  const char *given = getenv(name);
  return given && strcmp(given, value) == 0;
}

__attribute__((constructor)) static void read_environment(void) {
  const char *number = getenv("KILL_AT");
  kill_after = is_set_to("KILL_WHEN", "after");
  kill_at_any = is_set_to("KILL_CALLS", "all");
  kill_at = number ? strtoul(number, NULL, 10) : 0;
}

__attribute__((destructor)) static void write_tally(void) {
  const char *path = getenv("KILL_TALLY");
  FILE *file = path ? fopen(path, "w") : NULL;
  if (!file) return;
  (void)fprintf(file, "%lu %lu\n", atomic_load(&writes), atomic_load(&all));
  (void)fclose(file);
}

static void die(void) {
  (void)syscall(SYS_kill, getpid(), SIGKILL);
}

/* Counts a call; the process dies if it is the one. Whether it is to die after it. */
static bool enter(bool is_write) {
  unsigned long number = atomic_fetch_add(&all, 1) + 1;
  if (is_write) {
    unsigned long write = atomic_fetch_add(&writes, 1) + 1;
    if (!kill_at_any) number = write;
  }
  bool due = number == kill_at && (is_write || kill_at_any);
  if (due && !kill_after) die();
  return due;
}

/* errno is the caller's: a process that goes on has not been here. */
static long leave(bool due, long result) {
  if (due) die();
  return result;
}

/* Neither pipes nor what wakes a loop: those die with the process. */
static bool is_kept(int fd) {
  struct stat file;
  return fstat(fd, &file) == 0 && (S_ISREG(file.st_mode) || S_ISSOCK(file.st_mode));
}

#define CALL(type, is_write, ...)                                                                                      \
  bool due = enter(is_write);                                                                                          \
  return (type)leave(due, syscall(__VA_ARGS__))

#define ALSO_CALLED(name) __attribute__((alias(#name)))

/* ---- files ------------------------------------------------------------------------------------------------------- */

ssize_t write(int fd, const void *bytes, size_t length) {
  CALL(ssize_t, is_kept(fd), SYS_write, fd, bytes, length);
}

ssize_t writev(int fd, const struct iovec *list, int count) {
  CALL(ssize_t, is_kept(fd), SYS_writev, fd, list, count);
}

ssize_t pwrite(int fd, const void *bytes, size_t length, off_t offset) {
  CALL(ssize_t, true, SYS_pwrite64, fd, bytes, length, offset);
}
ssize_t pwrite64(int fd, const void *bytes, size_t length, off64_t offset) ALSO_CALLED(pwrite);

int fsync(int fd) {
  CALL(int, true, SYS_fsync, fd);
}

int fdatasync(int fd) {
  CALL(int, true, SYS_fdatasync, fd);
}

int ftruncate(int fd, off_t length) {
  CALL(int, true, SYS_ftruncate, fd, length);
}
int ftruncate64(int fd, off64_t length) ALSO_CALLED(ftruncate);

int fallocate(int fd, int mode, off_t offset, off_t length) {
  CALL(int, true, SYS_fallocate, fd, mode, offset, length);
}
int fallocate64(int fd, int mode, off64_t offset, off64_t length) ALSO_CALLED(fallocate);

int fchmod(int fd, mode_t mode) {
  CALL(int, true, SYS_fchmod, fd, mode);
}

int fchown(int fd, uid_t owner, gid_t group) {
  CALL(int, true, SYS_fchown, fd, owner, group);
}

int unlink(const char *path) {
  CALL(int, true, SYS_unlinkat, AT_FDCWD, path, 0);
}

int rename(const char *from, const char *to) {
  CALL(int, true, SYS_renameat, AT_FDCWD, from, AT_FDCWD, to);
}

int mkdir(const char *path, mode_t mode) {
  CALL(int, true, SYS_mkdirat, AT_FDCWD, path, mode);
}

/* Without O_CREAT the mode is not there, and what is read in its place is not looked at. */
int open(const char *path, int flags, ...) {
  va_list rest;
  va_start(rest, flags);
  mode_t mode = flags & O_CREAT ? va_arg(rest, mode_t) : 0;
  va_end(rest);
  CALL(int, (flags & O_CREAT) != 0, SYS_openat, AT_FDCWD, path, flags, mode);
}
int open64(const char *path, int flags, ...) ALSO_CALLED(open);

/* ---- sockets ----------------------------------------------------------------------------------------------------- */

int connect(int fd, const struct sockaddr *address, socklen_t length) {
  CALL(int, true, SYS_connect, fd, address, length);
}

ssize_t send(int fd, const void *bytes, size_t length, int flags) {
  CALL(ssize_t, true, SYS_sendto, fd, bytes, length, flags, NULL, 0);
}

ssize_t sendto(int fd, const void *bytes, size_t length, int flags, const struct sockaddr *address, socklen_t size) {
  CALL(ssize_t, true, SYS_sendto, fd, bytes, length, flags, address, size);
}

ssize_t sendmsg(int fd, const struct msghdr *message, int flags) {
  CALL(ssize_t, true, SYS_sendmsg, fd, message, flags);
}

/* ---- what reads or waits ----------------------------------------------------------------------------------------- */

ssize_t read(int fd, void *bytes, size_t length) {
  CALL(ssize_t, false, SYS_read, fd, bytes, length);
}

ssize_t pread(int fd, void *bytes, size_t length, off_t offset) {
  CALL(ssize_t, false, SYS_pread64, fd, bytes, length, offset);
}
ssize_t pread64(int fd, void *bytes, size_t length, off64_t offset) ALSO_CALLED(pread);

ssize_t recv(int fd, void *bytes, size_t length, int flags) {
  CALL(ssize_t, false, SYS_recvfrom, fd, bytes, length, flags, NULL, NULL);
}

int epoll_wait(int fd, struct epoll_event *list, int count, int timeout_ms) {
  CALL(int, false, SYS_epoll_pwait, fd, list, count, timeout_ms, NULL, 0);
}

int epoll_pwait(int fd, struct epoll_event *list, int count, int timeout_ms, const sigset_t *mask) {
  CALL(int, false, SYS_epoll_pwait, fd, list, count, timeout_ms, mask, _NSIG / 8);
}
