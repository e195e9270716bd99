/* devices.h - what the tests of kernels share: devices opened by name, and every case of the list played in a
 * mode. */
#ifndef KERNELS_DEVICES_H
#define KERNELS_DEVICES_H
#include "base/host.h"
#include "cases/cases.h"

/* The device beside ref, opened with 1, 2 and 3 threads, under a sanitizer with 1; ref itself is opened
 * once. The test is skipped where the device was not built, and fails where it was built but does not
 * open. */
cases_on devices_open(const char *name);
/* The same with a memory of measurements (hone_host_v1) that answers as the test wants. */
typedef int devices_recall(void *context, const char *key, void *bytes, size_t n_bytes);
cases_on devices_open_as(const char *name, devices_recall *recall);

/* Visit the cases from op `first` to op `last` that take part in mode. A sanitizer makes them slow, and
 * what it finds does not depend on values: there, unless HONE_LONG_TESTS is set, a case is visited only if
 * it is short and pairs its type with a setting that no case of its op before it did, and then without
 * parts of its rows. */
void devices_each(hone_op first, hone_op last, cases_mode mode, cases_visit *visit, void *arg);

/* Play the cases from op `first` to op `last` in mode and fail the test with the first few that do not pass.
 */
void devices_play(const cases_on *on, hone_op first, hone_op last, cases_mode mode);
#endif
