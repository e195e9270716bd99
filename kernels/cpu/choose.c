/* choose.c - bf16 in pairs, widened or by oneDNN, timed on one product. On AMD processors pairs are twice as fast; on Intel
 * ones whose AMX the hypervisor hides they take twice as long. */
#include "choose.h"
#include "onednn.h"

#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>

#define ROWS 512
#define COLUMNS 512
#define TRIES 5
#define CLEARLY 1.25 /* a machine that is busy just then does not decide */

static uint64_t play_once(hone_queue *queue, hone_call *c) {
    const hone_host_v1 *host = queue->device->host;
    const uint64_t from = host->clock_ns(host->context);
    queue->device->table->op[HONE_OP_LINEAR_FWD](queue, c);
    return host->clock_ns(host->context) - from;
}

static hone_tensor numbers(char *p) {
    return (hone_tensor){.p = p, .n_dims = 2, .dim = {ROWS, COLUMNS, 1}, .ld = COLUMNS, .dtype = HONE_BF16};
}

/* How products are made: in which of two ways, and the least of a few times each, by turns. */
typedef struct {
    const void *choice;
    int pairs;
    uint64_t least_ns;
} way;

/* Without memory nothing is timed: all ways are as fast. */
static void time_both(hone_device *device, way *a, way *b) {
    const size_t bytes = (size_t)ROWS * COLUMNS * sizeof(uint16_t);
    char *room = calloc(3, bytes);
    hone_queue queue = {device};
    hone_call c = {.op = HONE_OP_LINEAR_FWD};
    a->least_ns = b->least_ns = room ? UINT64_MAX : 0;
    if (!room) return;
    c.in[0] = numbers(room), c.in[1] = numbers(room + bytes), c.out[0] = numbers(room + 2 * bytes);
    for (int i = 0; i < 2 * TRIES; i++) {
        way *w = i % 2 ? b : a;
        device->pairs = w->pairs;
        c.choice = (void *)(uintptr_t)w->choice;
        const uint64_t ns = play_once(&queue, &c);
        if (ns < w->least_ns) w->least_ns = ns;
    }
    free(room);
}

static int pairs_are_faster(hone_device *device) {
    way widened = {NULL, 0, 0}, pairs = {NULL, 1, 0};
    time_both(device, &widened, &pairs);
    return (double)pairs.least_ns <= CLEARLY * (double)widened.least_ns;
}

static void choose_pairs(hone_device *device, const char *processor) {
    const hone_host_v1 *host = device->host;
    char key[160];
    unsigned char answer;
    snprintf(key, sizeof key, "cpu %s %s, bf16 products in pairs", processor, device->table->name);
    if (!host->recall(host->context, key, &answer, 1)) {
        answer = (unsigned char)pairs_are_faster(device);
        host->remember(host->context, key, &answer, 1);
    }
    device->pairs = answer != 0;
}

static void say(const hone_device *device, const char *format, ...) {
    char line[512];
    va_list list;
    va_start(list, format);
    vsnprintf(line, sizeof line, format, list);
    va_end(list);
    device->host->log(device->host->context, line);
}

/* Beside the better of our own ways, which is chosen. */
static int onednn_is_faster(hone_device *device, onednn *lib) {
    char why[256] = "no memory";
    const int pairs = device->pairs;
    way own = {NULL, pairs, 0}, other = {onednn_cut(lib, COLUMNS, COLUMNS, why, sizeof why), pairs, 0};
    if (other.choice) time_both(device, &own, &other);
    device->pairs = pairs;
    const int is_faster = (double)other.least_ns * CLEARLY < (double)own.least_ns;
    if (!other.choice) say(device, "cpu: %s", why);
    else
        say(device, "cpu: %d rows by %d x %d bf16 numbers take %.0f us, by oneDNN %.0f us", ROWS, COLUMNS,
            COLUMNS, 1e-3 * (double)own.least_ns, 1e-3 * (double)other.least_ns);
    return is_faster;
}

static void choose_onednn(hone_device *device, const char *processor) {
    const hone_host_v1 *host = device->host;
    const int has_tiles = isa_has_tiles();
    char key[160], why[512];
    int32_t version;
    snprintf(key, sizeof key, "cpu %s %s, bf16 products by oneDNN", processor, device->table->name);
    const int is_known = host->recall(host->context, key, &version, sizeof version);
    if (is_known ? version == 0 : !has_tiles) return;
    onednn *lib = onednn_open(host->n_threads, why, sizeof why);
    if (!lib) {
        say(device, "cpu: AMX is reached through oneDNN, which is not here (%s): bf16 products go without",
            why);
        return;
    }
    const int here = onednn_version(lib);
    int is_faster = is_known && version == here;
    if (!is_faster && has_tiles) {
        is_faster = onednn_is_faster(device, lib);
        version = is_faster ? here : 0;
        host->remember(host->context, key, &version, sizeof version);
    }
    if (is_faster) {
        device->onednn = lib;
        say(device, "cpu: bf16 products by oneDNN %d.%d.%d", here / 10000, here / 100 % 100, here % 100);
    } else onednn_close(lib);
}

static const onednn_product *product_of(hone_device *device, const hone_query *query) {
    const int64_t inner = query->in[1].dim[1] * query->in[1].dim[2];
    const int64_t n = query->op == HONE_OP_LINEAR_FWD ? query->in[1].dim[0] : inner;
    const int64_t k = query->op == HONE_OP_LINEAR_FWD   ? inner
                      : query->op == HONE_OP_LINEAR_BWD ? query->in[1].dim[0]
                                                        : 0;
    char why[256] = "no memory";
    const onednn_product *product = onednn_cut(device->onednn, n, k, why, sizeof why);
    if (!product) say(device, "cpu: %s; this product is made in pairs", why);
    return product;
}

void choose_product(hone_device *device, const hone_query *query, void **out) {
    const int is_product = query->op == HONE_OP_LINEAR_FWD || query->op == HONE_OP_LINEAR_BWD ||
                           query->op == HONE_OP_LINEAR_BWD_W;
    if (!is_product || !device->table->pairs || query->in[0].dtype != HONE_BF16 ||
        query->in[1].dtype != HONE_BF16)
        return;
    if (!device->is_chosen) {
        char processor[64];
        isa_processor(processor, sizeof processor);
        device->is_chosen = 1;
        choose_pairs(device, processor);
        choose_onednn(device, processor);
    }
    if (device->onednn) *out = (void *)(uintptr_t)product_of(device, query);
}
