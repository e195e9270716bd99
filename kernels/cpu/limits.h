/* limits.h - what device cpu can play, and the workspace that it wants. Pure functions, in the plugin and in
 * the host alike, so that a plan can be made without opening the device. */
#ifndef CPU_LIMITS_H
#define CPU_LIMITS_H
#include "hone/device.h"

/* 1, or 0 with a reason in why that names op, operand and extent. */
int cpu_can(const hone_query *query, char *why, size_t why_bytes);
size_t cpu_work_bytes(const hone_query *query);
hone_status cpu_limits(hone_device *device, hone_limits *out); /* what holds of every processor */
#endif
