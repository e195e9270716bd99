/* choose.c - bf16 in pairs or widened, timed on one product. On AMD processors pairs are twice as fast; on Intel ones
 * whose AMX the hypervisor hides they take twice as long. */
#include "choose.h"

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

/* The least of a few times each, by turns; without memory pairs are taken. */
static int pairs_are_faster(hone_device *device) {
    const size_t bytes = (size_t)ROWS * COLUMNS * sizeof(uint16_t);
    char *room = calloc(3, bytes);
    hone_queue queue = {device};
    hone_call c = {.op = HONE_OP_LINEAR_FWD};
    uint64_t least_ns[2] = {UINT64_MAX, UINT64_MAX};
    if (!room) return 1;
    c.in[0] = numbers(room), c.in[1] = numbers(room + bytes), c.out[0] = numbers(room + 2 * bytes);
    for (int i = 0; i < 2 * TRIES; i++) {
        device->pairs = i % 2;
        const uint64_t ns = play_once(&queue, &c);
        if (ns < least_ns[i % 2]) least_ns[i % 2] = ns;
    }
    free(room);
    return (double)least_ns[1] < CLEARLY * (double)least_ns[0];
}

void choose_pairs(hone_device *device, const hone_query *query) {
    const hone_host_v1 *host = device->host;
    const int is_product =
        query->op == HONE_OP_LINEAR_FWD || query->op == HONE_OP_LINEAR_BWD || query->op == HONE_OP_LINEAR_BWD_W;
    char processor[64], key[160];
    if (!is_product || query->in[0].dtype != HONE_BF16 || !device->table->pairs || device->is_chosen) return;
    isa_processor(processor, sizeof processor);
    snprintf(key, sizeof key, "cpu %s %s, bf16 products in pairs", processor, device->table->name);
    unsigned char answer;
    device->is_chosen = 1;
    if (host->recall(host->context, key, &answer, 1)) {
        device->pairs = answer != 0;
        return;
    }
    answer = (unsigned char)pairs_are_faster(device);
    device->pairs = answer;
    host->remember(host->context, key, &answer, 1);
}
