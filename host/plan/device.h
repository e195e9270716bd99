/* device.h - devices as planning sees them: the pure half of their tables is linked into hone, so that any
 * machine plans for a GPU to the byte. */
#ifndef PLAN_DEVICE_H
#define PLAN_DEVICE_H
#include "hone/device.h"

/* A table with the pure functions only; NULL: no device of that name is linked in. */
const hone_device_v1 *plan_device(const char *name);
#endif
