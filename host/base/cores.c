/* cores.c - how many cores this process may use: the affinity mask, cut by the quota of its control groups.
 */
#include <sched.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "base/host.h"

static int count_affinity(void) {
    cpu_set_t sets[16]; /* 16,384 processors */
    CPU_ZERO_S(sizeof sets, sets);
    if (sched_getaffinity(0, sizeof sets, sets)) return 1;
    const int n = CPU_COUNT_S(sizeof sets, sets);
    return n > 0 ? n : 1;
}

/* Whole cores of the quota in folder's cpu.max ("150000 100000" or "max 100000"), at least 1; `most` if there
 * is none. */
static int read_quota(const char *folder, int most) {
    char path[4200], line[64] = "";
    snprintf(path, sizeof path, "%s/cpu.max", folder);
    FILE *f = fopen(path, "re");
    if (f && !fgets(line, sizeof line, f)) line[0] = 0;
    if (f) fclose(f);
    long long quota, period;
    if (sscanf(line, "%lld %lld", &quota, &period) != 2 || quota <= 0 || period <= 0) return most;
    const long long cores = quota / period;
    return cores < 1 ? 1 : cores < most ? (int)cores : most;
}

int machine_cores(void) {
    const long n = sysconf(_SC_NPROCESSORS_ONLN);
    return n > 0 ? (int)n : 1;
}

/* The group of this process and all above it: each may have a quota. */
int pool_cores(void) {
    static const char root[] = "/sys/fs/cgroup";
    char line[4096], folder[sizeof root + sizeof line];
    int cores = count_affinity();
    FILE *f = fopen("/proc/self/cgroup", "re");
    while (f && fgets(line, sizeof line, f)) {
        if (strncmp(line, "0::", 3)) continue; /* version 2 has one line, number 0 */
        line[strcspn(line, "\n")] = 0;
        snprintf(folder, sizeof folder, "%s%s", root, line + 3);
        while (strlen(folder) >= sizeof root - 1) {
            cores = read_quota(folder, cores);
            char *slash = strrchr(folder, '/');
            if (!slash) break;
            *slash = 0;
        }
    }
    if (f) fclose(f);
    return cores;
}
