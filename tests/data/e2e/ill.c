/* ill.c - a device that is another one (ILL_OF, a shared object), but for a bit of every 11th norm. */
#include <dlfcn.h>
#include <stdlib.h>

#include "hone/device.h"

hone_device_v1 hone_device_v1_table;
static hone_status (*well)(hone_queue *queue, const hone_call *call);

static hone_status sick(hone_queue *queue, const hone_call *call) {
    static int n;
    const hone_status status = well(queue, call);
    if (++n % 11 == 0) *(unsigned char *)call->out[0].p ^= 1;
    return status;
}

__attribute__((constructor)) static void begin(void) {
    void *other = dlopen(getenv("ILL_OF"), RTLD_NOW | RTLD_LOCAL);
    const hone_device_v1 *table = other ? dlsym(other, HONE_DEVICE_SYMBOL) : NULL;
    if (!table) return;
    hone_device_v1_table = *table;
    hone_device_v1_table.name = "ill";
    well = table->op[HONE_OP_NORM_FWD];
    hone_device_v1_table.op[HONE_OP_NORM_FWD] = sick;
}
