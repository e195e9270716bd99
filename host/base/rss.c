/* rss.c - how much memory this process holds, as the kernel counts it. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <unistd.h>

#include "base/host.h"

/* VmHWM of /proc/self/status counts this program only; getrusage's figure may be that of the program before
 * exec. */
int64_t rss_peak_bytes(void) {
    char line[256];
    int64_t bytes = -1;
    FILE *f = fopen("/proc/self/status", "re");
    while (f && bytes < 0 && fgets(line, sizeof line, f))
        if (!strncmp(line, "VmHWM:", 6)) bytes = 1024 * strtoll(line + 6, NULL, 10);
    if (f) fclose(f);
    struct rusage usage;
    if (bytes < 0 && !getrusage(RUSAGE_SELF, &usage)) bytes = 1024 * (int64_t)usage.ru_maxrss;
    const int64_t now = rss_now_bytes(); /* the peak is noted late, when pages are given back */
    return bytes > now ? bytes : now;
}

int64_t rss_now_bytes(void) {
    long long total, resident = 0;
    FILE *f = fopen("/proc/self/statm", "re");
    if (f && fscanf(f, "%lld %lld", &total, &resident) != 2) resident = 0;
    if (f) fclose(f);
    return (int64_t)resident * sysconf(_SC_PAGESIZE);
}
