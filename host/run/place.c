/* place.c - small files of /sys, and dealing. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "run/place.h"
#include "base/arena.h"
#include "base/file.h"
#include "base/mem.h"

/* The text of a small file, "" if it is not there. */
static const char *text_of(arena *a, const char *sysfs, const char *path) {
    char said[4096];
    return arena_copy(a, said, file_glance(said, sizeof said, path_join(a, sysfs, path)));
}

/* Display controllers (class 0x03) of NVIDIA. */
static int is_gpu(arena *a, const char *sysfs, const char *address) {
    return !strncmp(text_of(a, sysfs, arena_print(a, "bus/pci/devices/%s/vendor", address)), "0x10de", 6) &&
           !strncmp(text_of(a, sysfs, arena_print(a, "bus/pci/devices/%s/class", address)), "0x03", 4);
}

/* Keep those that are named, in that order. CUDA stops at the first that is none. */
static void keep_visible(place_gpus *g, const char *visible) {
    const place_gpus all = *g;
    g->n = 0;
    for (const char *at = visible; *at;) {
        char *end;
        const long i = strtol(at, &end, 10);
        if (end == at || (*end && *end != ',')) {
            g->n = 0;
            return;
        }
        if (i < 0 || i >= all.n || g->n == COMM_RANKS_MAX) return;
        memcpy(g->address[g->n], all.address[i], sizeof all.address[i]);
        g->node[g->n++] = all.node[i];
        at = end + (*end == ',');
    }
}

void place_find_gpus(place_gpus *out, const char *sysfs, const char *visible) {
    arena *a = arena_new("gpus");
    const char **names;
    int n;
    hone_err ignored;
    *out = (place_gpus){0};
    if (folder_list(&names, &n, a, path_join(a, sysfs, "bus/pci/devices"), &ignored)) n = 0;
    for (int i = 0; i < n && out->n < COMM_RANKS_MAX; i++) {
        if (!is_gpu(a, sysfs, names[i])) continue;
        const char *node = text_of(a, sysfs, arena_print(a, "bus/pci/devices/%s/numa_node", names[i]));
        snprintf(out->address[out->n], sizeof out->address[0], "%.15s", names[i]);
        out->node[out->n++] = *node ? atoi(node) : -1;
    }
    if (visible) keep_visible(out, visible);
    arena_free(a);
}

typedef struct {
    int core, first; /* its number; the least number on the same physical core */
    int node;
} seat;

/* "0-3,8": mark[i] = value. */
static void mark_list(const char *list, int *mark, int value) {
    for (char *end; *list; list = end + (*end == ',')) {
        const long from = strtol(list, &end, 10);
        if (end == list) return;
        const long to = *end == '-' ? strtol(end + 1, &end, 10) : from;
        for (long i = from < 0 ? 0 : from; i <= to && i < PLACE_CORES_MAX; i++) mark[i] = value;
    }
}

static int by_physical_core(const void *p, const void *q) {
    const seat *a = p, *b = q;
    return a->first != b->first ? a->first - b->first : a->core - b->core;
}

static int read_seats(seat *out, arena *a, const char *sysfs, const int *core, int n_cores,
                      const place_gpus *g) {
    int node_of[PLACE_CORES_MAX], n = 0;
    for (int i = 0; i < PLACE_CORES_MAX; i++) node_of[i] = -1;
    for (int i = 0; i < g->n; i++) {
        if (g->node[i] < 0) continue;
        mark_list(text_of(a, sysfs, arena_print(a, "devices/system/node/node%d/cpulist", g->node[i])),
                  node_of, g->node[i]);
    }
    for (int i = 0; i < n_cores; i++) {
        if (core[i] >= PLACE_CORES_MAX) continue;
        const char *siblings = text_of(
            a, sysfs, arena_print(a, "devices/system/cpu/cpu%d/topology/thread_siblings_list", core[i]));
        out[n++] = (seat){core[i], *siblings ? atoi(siblings) : core[i], node_of[core[i]]};
    }
    qsort(out, (size_t)n, sizeof *out, by_physical_core);
    return n;
}

/* The which-th of so many shares of the seats of a node (-1: of all), at most `most` cores. */
static void deal(rank_cores *out, const seat *s, int n, int node, int which, int shares, int most) {
    int there = 0, at = 0;
    for (int i = 0; i < n; i++) there += node < 0 || s[i].node == node;
    if (!there) return;
    const int own = there / shares > 0 ? there / shares : 1, first = which * own % there;
    out->n_cores = 0;
    for (int i = 0; i < n; i++) {
        if (node >= 0 && s[i].node != node) continue;
        if (at >= first && at < first + own && out->n_cores < most) out->core[out->n_cores++] = s[i].core;
        at++;
    }
}

void place_ranks(rank_cores *out, int n, const char *sysfs, const place_gpus *gpus, const int *core,
                 int n_cores, int usable) {
    static const place_gpus none = {0};
    arena *a = arena_new("cores");
    seat *s = ARENA_ARRAY(a, PLACE_CORES_MAX, seat);
    const int gpus_count = n <= gpus->n, most = usable / n > 0 ? usable / n : 1;
    const int n_seats = read_seats(s, a, sysfs, core, n_cores, gpus_count ? gpus : &none);
    for (int r = 0; r < n; r++) {
        out[r].n_cores = 0;
        out[r].gpu = gpus_count ? r : -1;
        deal(&out[r], s, n_seats, -1, r, n, most);
        const int node = gpus_count ? gpus->node[r] : -1;
        int which = 0, shares = 0;
        for (int k = 0; node >= 0 && k < n; k++)
            which += k < r && gpus->node[k] == node, shares += gpus->node[k] == node;
        if (shares) deal(&out[r], s, n_seats, node, which, shares, most);
    }
    arena_free(a);
}
