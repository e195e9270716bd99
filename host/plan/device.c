/* device.c - one row a device whose limits are linked in (kernels/NAME/limits.c). */
#include <string.h>

#include "plan/device.h"
#include "cpu/limits.h"
#include "cuda/limits.h"
#include "ref/limits.h"

static const hone_device_v1 linked[] = {
    {.name = "ref", .can = ref_can, .work_bytes = ref_work_bytes, .limits = ref_limits},
    {.name = "cpu", .can = cpu_can, .work_bytes = cpu_work_bytes, .limits = cpu_limits},
    {.name = "cuda",
     .can = cuda_can,
     .work_bytes = cuda_work_bytes,
     .list_bytes = cuda_list_bytes,
     .list_fill = cuda_list_fill,
     .limits = cuda_limits},
};

const hone_device_v1 *plan_device(const char *name) {
    for (size_t i = 0; i < sizeof linked / sizeof *linked; i++)
        if (!strcmp(linked[i].name, name)) return &linked[i];
    return NULL;
}
