/* place.c - cores and GPUs of ranks, on made-up machines. */
#include <stdarg.h>
#include <stdlib.h>

#include "base/file.h"
#include "run/place.h"
#include "test.h"

static const char *sysfs(void) { return test_folder(); }

static void put(const char *content, const char *fmt, ...) __attribute__((format(printf, 2, 3)));
static void put(const char *content, const char *fmt, ...) {
    char path[700], name[200];
    va_list args;
    va_start(args, fmt);
    vsnprintf(name, sizeof name, fmt, args);
    va_end(args);
    snprintf(path, sizeof path, "%s/%s", sysfs(), name);
    char *slash = strrchr(path, '/');
    *slash = 0;
    CHECK_OK(folder_make(path, err));
    *slash = '/';
    CHECK_OK(file_write(path, content, strlen(content), err));
}

static void put_gpu(const char *address, const char *vendor, const char *class, const char *node) {
    put(vendor, "bus/pci/devices/%s/vendor", address);
    put(class, "bus/pci/devices/%s/class", address);
    put(node, "bus/pci/devices/%s/numa_node", address);
}

/* Two sockets of 4 physical cores with two threads each: 0-3 and 8-11, 4-7 and 12-15; four GPUs, two a socket; and what is
 * none: a network card of the same maker, another maker's display. */
static void make_server(void) {
    char pair[16];
    put("0-3,8-11\n", "devices/system/node/node0/cpulist");
    put("4-7,12-15\n", "devices/system/node/node1/cpulist");
    for (int c = 0; c < 16; c++) {
        snprintf(pair, sizeof pair, "%d,%d\n", c % 8, c % 8 + 8);
        put(pair, "devices/system/cpu/cpu%d/topology/thread_siblings_list", c);
    }
    put_gpu("0000:ab:00.0", "0x10de\n", "0x030200\n", "1\n");
    put_gpu("0000:17:00.0", "0x10de\n", "0x030200\n", "0\n");
    put_gpu("0000:1a:00.0", "0x10de\n", "0x030000\n", "0\n");
    put_gpu("0000:9c:00.0", "0x10de\n", "0x030200\n", "1\n");
    put_gpu("0000:05:00.0", "0x10de\n", "0x020000\n", "0\n");
    put_gpu("0000:02:00.0", "0x1a03\n", "0x030000\n", "0\n");
}

static const char *cores_text(const rank_cores *r) {
    static char out[256];
    out[0] = 0;
    for (int i = 0; i < r->n_cores; i++)
        snprintf(out + strlen(out), sizeof out - strlen(out), "%s%d", i ? "," : "", r->core[i]);
    return out;
}

static int all_cores(int *core, int n) {
    for (int i = 0; i < n; i++) core[i] = i;
    return n;
}

TEST(gpus_are_found_in_the_order_of_their_addresses) {
    place_gpus g;
    make_server();
    place_find_gpus(&g, sysfs(), NULL);
    CHECK_INT(g.n, 4);
    CHECK_STR(g.address[0], "0000:17:00.0");
    CHECK_STR(g.address[3], "0000:ab:00.0");
    CHECK_INT(g.node[1], 0);
    CHECK_INT(g.node[2], 1);
    place_find_gpus(&g, sysfs(), "3,0");
    CHECK_INT(g.n, 2);
    CHECK_STR(g.address[0], "0000:ab:00.0");
    CHECK_STR(g.address[1], "0000:17:00.0");
    place_find_gpus(&g, sysfs(), "1,7,2"); /* CUDA shows those before the first that is none */
    CHECK_INT(g.n, 1);
    place_find_gpus(&g, sysfs(), "GPU-8932f937-d72c-4106-c12f-20bd9faed9f6");
    CHECK_INT(g.n, 0);
    place_find_gpus(&g, sysfs(), "");
    CHECK_INT(g.n, 0);
    place_find_gpus(&g, "/nowhere", NULL);
    CHECK_INT(g.n, 0);
}

TEST(ranks_get_whole_physical_cores_of_the_node_of_their_gpu) {
    static rank_cores r[4];
    int core[16];
    place_gpus g;
    make_server();
    place_find_gpus(&g, sysfs(), NULL);
    place_ranks(r, 4, sysfs(), &g, core, all_cores(core, 16), 16);
    CHECK_STR(cores_text(&r[0]), "0,8,1,9");
    CHECK_STR(cores_text(&r[1]), "2,10,3,11");
    CHECK_STR(cores_text(&r[2]), "4,12,5,13");
    CHECK_STR(cores_text(&r[3]), "6,14,7,15");
    CHECK_INT(r[3].gpu, 3);
    place_find_gpus(&g, sysfs(), "3,2"); /* both on the second socket */
    place_ranks(r, 2, sysfs(), &g, core, all_cores(core, 16), 16);
    CHECK_STR(cores_text(&r[0]), "4,12,5,13");
    CHECK_STR(cores_text(&r[1]), "6,14,7,15");
}

TEST(a_quota_and_a_mask_bound_what_ranks_get) {
    static rank_cores r[4];
    int core[16];
    const int few[] = {1, 2, 6, 9};
    place_gpus g;
    make_server();
    place_find_gpus(&g, sysfs(), NULL);
    place_ranks(r, 4, sysfs(), &g, core, all_cores(core, 16), 8);
    CHECK_STR(cores_text(&r[1]), "2,10");
    place_ranks(r, 4, sysfs(), &g, few, 4, 4); /* node 0: 1, 9, 2; node 1: 6 alone, shared by two */
    CHECK_STR(cores_text(&r[0]), "1");
    CHECK_STR(cores_text(&r[1]), "9");
    CHECK_STR(cores_text(&r[2]), "6");
    CHECK_STR(cores_text(&r[3]), "6");
    const int first_socket[] = {0, 1}; /* nothing of node 1 may be used: all is dealt */
    place_ranks(r, 4, sysfs(), &g, first_socket, 2, 2);
    CHECK_STR(cores_text(&r[3]), "1");
}

TEST(without_gpus_all_cores_are_dealt_evenly) {
    static rank_cores r[8];
    int core[16];
    const place_gpus none = {0};
    place_gpus two = {.n = 2, .node = {0, 1}};
    place_ranks(r, 3, "/nowhere", &none, core, all_cores(core, 8), 8);
    CHECK_STR(cores_text(&r[0]), "0,1");
    CHECK_STR(cores_text(&r[2]), "4,5");
    CHECK_INT(r[0].gpu, -1);
    place_ranks(r, 8, "/nowhere", &none, core, all_cores(core, 2), 2);
    CHECK_STR(cores_text(&r[0]), "0");
    CHECK_STR(cores_text(&r[7]), "1");
    place_ranks(r, 4, "/nowhere", &two, core, all_cores(core, 8),
                8); /* more ranks than GPUs: they are not on GPUs */
    CHECK_INT(r[1].gpu, -1);
    CHECK_STR(cores_text(&r[1]), "2,3");
}
