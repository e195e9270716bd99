/* plugin.c - the device table of cpu: host memory, one queue that plays each call before it returns, on the
 * threads of the host. The ordinals of this device are the instruction sets that the machine can run: 0 is
 * the best, the last is plain C. */
#include "choose.h"
#include "limits.h"
#include "onednn.h"

#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>

#define HUGE_PAGE_BYTES ((size_t)2 << 20)

static hone_status fail(hone_err *err, hone_status status, const char *format, ...) {
    if (err) {
        va_list list;
        va_start(list, format);
        *err = (hone_err){.status = status};
        vsnprintf(err->text, sizeof err->text, format, list);
        va_end(list);
    }
    return status;
}

static void *new_memory(size_t bytes, size_t aligned) {
    void *p = NULL;
    return bytes > SIZE_MAX / 2 || posix_memalign(&p, aligned, bytes ? bytes : 1) ? NULL : p;
}

static int is_large(size_t bytes) { return bytes >= HUGE_PAGE_BYTES; }

/* In huge pages where the system has them: operands of products lie rows apart. */
static void *new_pages(size_t bytes) {
    void *p = new_memory(bytes, is_large(bytes) ? HUGE_PAGE_BYTES : 256);
#ifdef MADV_HUGEPAGE
    if (p && is_large(bytes))
        (void)madvise(p, bytes / HUGE_PAGE_BYTES * HUGE_PAGE_BYTES, MADV_HUGEPAGE); /* only a wish */
#endif
    return p;
}

static hone_status open_device(hone_device **out, const hone_host_v1 *host, int ordinal, hone_err *err) {
    const cpu_table *tables[4];
    const int n_tables = isa_list(tables);
    if (ordinal < 0 || ordinal >= n_tables)
        return fail(err, HONE_EUSAGE,
                    "cpu: device %d; there are devices 0 to %d, one for each instruction set", ordinal,
                    n_tables - 1);
    const size_t scratch_bytes = (size_t)host->n_threads * CPU_SCRATCH_BYTES;
    hone_device *device = calloc(1, sizeof *device);
    if (device) device->scratch = new_pages(scratch_bytes);
    if (!device || !device->scratch) {
        free(device);
        return fail(err, HONE_ENOFIT, "cpu: the system refused %zu bytes of memory", scratch_bytes);
    }
    device->host = host;
    device->table = tables[ordinal];
    device->pairs = device->table->pairs;
    *out = device;
    return HONE_OK;
}

static void close_device(hone_device *device) {
    if (!device) return;
    onednn_close(device->onednn);
    free(device->scratch);
    free(device);
}

static hone_status tell_limits(hone_device *device, hone_limits *out) {
    char processor[64];
    cpu_limits(device, out);
    if (!device) return HONE_OK;
    isa_processor(processor, sizeof processor);
    const char *more = device->onednn ? ", oneDNN" : device->table->pairs && isa_has_tiles() ? ", AMX" : "";
    snprintf(out->name, sizeof out->name, "%s, %s%s", processor, device->table->name, more);
    return HONE_OK;
}

/* Products of bf16 numbers alone: how they are made. */
static hone_status choose(hone_device *device, const hone_query *query, void **out, hone_err *err) {
    (void)err;
    *out = NULL;
    choose_product(device, query, out);
    return HONE_OK;
}

static hone_status new_slab(hone_device *device, int pinned, size_t bytes, void **out, hone_err *err) {
    (void)device, (void)pinned;
    *out = new_pages(bytes);
    if (!*out) return fail(err, HONE_ENOFIT, "cpu: the system refused %zu bytes of memory", bytes);
    memset(*out, 0, bytes);
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

static hone_status play(hone_queue *queue, const hone_call *c) {
    return queue->device->table->op[c->op](queue, c);
}

extern const hone_device_v1 hone_device_v1_table;
__attribute__((visibility("default"))) const hone_device_v1 hone_device_v1_table = {
    .name = "cpu",
    .struct_bytes = sizeof(hone_device_v1),
    .can = cpu_can,
    .work_bytes = cpu_work_bytes,
    .list_bytes = list_bytes,
    .list_fill = list_fill,
    .open = open_device,
    .close = close_device,
    .limits = tell_limits,
    .choose = choose,
    .slab_new = new_slab,
    .slab_free = free_slab,
    .queue_new = new_queue,
    .queue_free = free_queue,
    .queue_wait = wait_queue,
    .put = copy_bytes,
    .get = copy_bytes,
    .op =
        {
#define XX(name, line, rule) [HONE_OP_##name] = HONE_OP_##name == HONE_OP_HEAD_XENT ? NULL : play,
            HONE_OP_MAP(XX)
#undef XX
        },
};
