/* plugin.c - the device table of ref: host memory, one queue that plays each call before it returns. */
#include "limits.h"

#include <stdlib.h>
#include <string.h>

struct hone_device {
    const hone_host_v1 *host;
};
struct hone_queue {
    hone_device *device;
};

typedef hone_status ref_entry(hone_queue *queue, const hone_call *c);
extern ref_entry *const ref_entries32[HONE_N_OPS], *const ref_entries64[HONE_N_OPS];

static hone_status fail_memory(hone_err *err, size_t bytes) {
    return hone_fail(err, HONE_ENOFIT, "ref: the system refused %zu bytes of memory", bytes);
}

static hone_status open_device(hone_device **out, const hone_host_v1 *host, int ordinal, hone_err *err) {
    if (ordinal != 0) return hone_fail(err, HONE_EUSAGE, "ref: device %d; there is only device 0", ordinal);
    *out = calloc(1, sizeof **out);
    if (!*out) return fail_memory(err, sizeof **out);
    (*out)->host = host;
    return HONE_OK;
}

static void close_device(hone_device *device) { free(device); }

static hone_status choose(hone_device *device, const hone_query *query, void **out, hone_err *err) {
    (void)device, (void)query, (void)err;
    *out = NULL;
    return HONE_OK;
}

static hone_status new_slab(hone_device *device, int pinned, size_t bytes, void **out, hone_err *err) {
    (void)device, (void)pinned;
    if (bytes > SIZE_MAX - 512) return fail_memory(err, bytes);
    const size_t whole = (bytes + 256) / 256 * 256;
    *out = aligned_alloc(256, whole);
    if (!*out) return fail_memory(err, bytes);
    memset(*out, 0, whole);
    return HONE_OK;
}

static void free_slab(hone_device *device, void *slab) {
    (void)device;
    free(slab);
}

static hone_status new_queue(hone_device *device, hone_queue **out) {
    *out = calloc(1, sizeof **out);
    if (!*out) return HONE_ENOFIT;
    (*out)->device = device;
    return HONE_OK;
}

static void free_queue(hone_queue *queue) { free(queue); }

static hone_status wait_queue(hone_queue *queue) {
    (void)queue;
    return HONE_OK;
}

static hone_status copy_bytes(hone_queue *queue, void *to, const void *from, size_t bytes) {
    (void)queue;
    if (bytes) memcpy(to, from, bytes);
    return HONE_OK;
}

static size_t list_bytes(const hone_query *query) {
    (void)query;
    return 0;
}

static void list_fill(const hone_query *query, const hone_range *q_at, const hone_range *k_at,
                      const hone_key *key, const int64_t rows[2], void *out) {
    (void)query, (void)q_at, (void)k_at, (void)key, (void)rows, (void)out;
}

/* A call is played in double if any of its operands is fp64. */
static hone_status play(hone_queue *queue, const hone_call *c) {
    int is_double = 0;
    for (int i = 0; i < HONE_MAX_IN; i++) is_double |= c->in[i].p && c->in[i].dtype == HONE_F64;
    for (int i = 0; i < HONE_MAX_OUT; i++) is_double |= c->out[i].p && c->out[i].dtype == HONE_F64;
    return (is_double ? ref_entries64 : ref_entries32)[c->op](queue, c);
}

extern const hone_device_v1 hone_device_v1_table;
__attribute__((visibility("default"))) const hone_device_v1 hone_device_v1_table = {
    .name = "ref",
    .struct_bytes = sizeof(hone_device_v1),
    .can = ref_can,
    .work_bytes = ref_work_bytes,
    .list_bytes = list_bytes,
    .list_fill = list_fill,
    .open = open_device,
    .close = close_device,
    .limits = ref_limits,
    .choose = choose,
    .slab_new = new_slab,
    .slab_free = free_slab,
    .queue_new = new_queue,
    .queue_free = free_queue,
    .queue_wait = wait_queue,
    .put = copy_bytes,
    .get = copy_bytes,
    .op = {[0 ... HONE_OP_HEAD_XENT - 1] = play, [HONE_OP_HEAD_XENT + 1 ... HONE_N_OPS - 1] = play},
};
