/* clock.c - the one door to the time. */
#include <stdio.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include "base/host.h"

static uint64_t read_clock(clockid_t which) {
    struct timespec t;
    clock_gettime(which, &t);
    return (uint64_t)t.tv_sec * 1000000000u + (uint64_t)t.tv_nsec;
}

uint64_t clock_ns(void) { return read_clock(CLOCK_MONOTONIC); }

uint64_t clock_thread_ns(void) { return read_clock(CLOCK_THREAD_CPUTIME_ID); }

/* The kernel's note of when this process began: field 22 of its stat line, in ticks since boot. What comes
 * before main (loading libraries) counts, as it does for who waits. */
double clock_process_seconds(void) {
    char line[1024];
    unsigned long long start = 0;
    FILE *f = fopen("/proc/self/stat", "re");
    const size_t n = f ? fread(line, 1, sizeof line - 1, f) : 0;
    if (f) fclose(f);
    line[n] = 0;
    const char *p = strrchr(line, ')'); /* the name before it may hold anything */
    if (!p ||
        sscanf(p + 1, " %*c %*d %*d %*d %*d %*d %*u %*u %*u %*u %*u %*u %*u %*d %*d %*d %*d %*d %*d %llu",
               &start) != 1)
        return (double)read_clock(CLOCK_PROCESS_CPUTIME_ID) * 1e-9;
    const double seconds =
        (double)read_clock(CLOCK_BOOTTIME) * 1e-9 - (double)start / (double)sysconf(_SC_CLK_TCK);
    return seconds > 0 ? seconds : 0;
}

double clock_wall_seconds(void) { return (double)read_clock(CLOCK_REALTIME) * 1e-9; }

void clock_text(char out[32]) {
    const time_t now = (time_t)(read_clock(CLOCK_REALTIME) / 1000000000u);
    struct tm parts;
    gmtime_r(&now, &parts);
    strftime(out, 32, "%Y-%m-%dT%H:%M:%SZ", &parts);
}
