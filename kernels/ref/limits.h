/* limits.h - what device ref can play, and the workspace that it wants. Pure functions, in the plugin and in
 * the host alike, so that a plan can be made without opening the device. */
#ifndef REF_LIMITS_H
#define REF_LIMITS_H
#include "hone/device.h"

/* 1, or 0 with a reason in why. */
int ref_can(const hone_query *query, char *why, size_t why_bytes);
size_t ref_work_bytes(const hone_query *query);
hone_status ref_limits(hone_device *device, hone_limits *out);
#endif
