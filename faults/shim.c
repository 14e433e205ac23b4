/* Laid under a daemon by LD_PRELOAD: a disk that fails, a clock that jumps.
 *
 * FAULTS_EIO names a file: while it exists, fsync and fdatasync of a write-ahead log fail with EIO. The moment of the
 * first failure (CLOCK_MONOTONIC, nanoseconds) is written into the file.
 * FAULTS_CLOCK names a file of one 64-bit integer: seconds that the wall clock is ahead.
 */
#define _GNU_SOURCE
#include <dlfcn.h>
#include <errno.h>
#include <fcntl.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/time.h>
#include <time.h>
#include <unistd.h>

static int (*real_clock)(clockid_t, struct timespec *);
static int (*real_fsync)(int);
static int (*real_fdatasync)(int);
static const volatile int64_t *ahead;
static const char *eio;
static int failed;

__attribute__((constructor)) static void begin(void) {
    real_clock = dlsym(RTLD_NEXT, "clock_gettime");
    real_fsync = dlsym(RTLD_NEXT, "fsync");
    real_fdatasync = dlsym(RTLD_NEXT, "fdatasync");
    eio = getenv("FAULTS_EIO");
    const char *name = getenv("FAULTS_CLOCK");
    int file = name ? open(name, O_RDONLY) : -1;
    if (file >= 0) {
        void *mapped = mmap(NULL, sizeof(int64_t), PROT_READ, MAP_SHARED, file, 0);
        ahead = mapped == MAP_FAILED ? NULL : mapped;
        close(file);
    }
}

static int broken(int fd) {
    char link[64], path[4096];
    if (!eio || access(eio, F_OK))
        return 0;
    snprintf(link, sizeof link, "/proc/self/fd/%d", fd);
    ssize_t length = readlink(link, path, sizeof path - 1);
    if (length < 4 || memcmp(path + length - 4, "-wal", 4))
        return 0;
    if (!failed) {
        struct timespec now;
        failed = 1;
        real_clock(CLOCK_MONOTONIC, &now);
        int file = open(eio, O_WRONLY);
        dprintf(file, "%lld\n", (long long)now.tv_sec * 1000000000 + now.tv_nsec);
        close(file);
    }
    errno = EIO;
    return 1;
}

int fsync(int fd) { return broken(fd) ? -1 : real_fsync(fd); }

int fdatasync(int fd) { return broken(fd) ? -1 : real_fdatasync(fd); }

int clock_gettime(clockid_t clock, struct timespec *now) {
    int code = real_clock(clock, now);
    if (!code && ahead && (clock == CLOCK_REALTIME || clock == CLOCK_REALTIME_COARSE))
        now->tv_sec += *ahead;
    return code;
}

int gettimeofday(struct timeval *restrict now, void *restrict zone) {
    struct timespec found;
    (void)zone;
    clock_gettime(CLOCK_REALTIME, &found);
    now->tv_sec = found.tv_sec;
    now->tv_usec = found.tv_nsec / 1000;
    return 0;
}

time_t time(time_t *now) {
    struct timespec found;
    clock_gettime(CLOCK_REALTIME, &found);
    if (now)
        *now = found.tv_sec;
    return found.tv_sec;
}
