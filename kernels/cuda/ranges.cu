/* ranges.cu - NVTX 3, which is a header: where a profiler is attached (it sets NVTX_INJECTION64_PATH) the first call opens its
 * library, else a call tests a pointer. A toolkit of packages may lack the header; then the device has no ranges. */
#include "ranges.cuh"

#include <stddef.h>

#if __has_include(<nvtx3/nvToolsExt.h>)
#include <nvtx3/nvToolsExt.h>

static void range(const char *name) { (void)(name ? nvtxRangePushA(name) : nvtxRangePop()); }
void (*const device_range)(const char *) = range;
#else
void (*const device_range)(const char *) = NULL;
#endif
