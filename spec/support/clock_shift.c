/*
 * clock_shift.c - for spec/clock_spec.lua: a wall clock that jumps an hour ahead, in the process that preloads this, as
 * soon as the file named by CLOCK_SHIFT exists. The monotonic clock stands still meanwhile, as both do to a program on
 * a machine that sleeps.
 */
#include <stdlib.h>
#include <sys/syscall.h>
#include <time.h>
#include <unistd.h>

#define SHIFT_S (60 * 60)

int clock_gettime(clockid_t clock, struct timespec *now) {
  const char *file = getenv("CLOCK_SHIFT");
  int result = (int)syscall(SYS_clock_gettime, clock, now);
  if (clock == CLOCK_REALTIME && file && access(file, F_OK) == 0) now->tv_sec += SHIFT_S;
  return result;
}
