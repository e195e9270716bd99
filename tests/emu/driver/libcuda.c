/* libcuda.c - no driver, but its name: cuDNN compiles the kernels of a plan only where a library libcuda.so.1 can be opened.
 * Loading a kernel succeeds and does nothing; everything else fails with CUDA_ERROR_STUB_LIBRARY, as the toolkit's stub does. */
enum { STUB = 34 };

#define FAILS(name)                                                                                          \
    int name(void);                                                                                          \
    int name(void) { return STUB; }
#define DOES_NOTHING(name)                                                                                   \
    int name(void);                                                                                          \
    int name(void) { return 0; }
#define GIVES(name)                                                                                          \
    int name(void **out);                                                                                    \
    int name(void **out) {                                                                                   \
        static int something;                                                                                \
        return *out = &something, 0;                                                                         \
    }

GIVES(cuLibraryLoadData)
GIVES(cuLibraryGetKernel)
GIVES(cuKernelGetFunction)
GIVES(cuModuleLoadData)
GIVES(cuModuleLoadDataEx)
GIVES(cuModuleGetFunction)
DOES_NOTHING(cuLibraryUnload)
DOES_NOTHING(cuModuleUnload)
DOES_NOTHING(cuKernelSetAttribute)
DOES_NOTHING(cuFuncSetAttribute)
FAILS(cuInit)
FAILS(cuDriverGetVersion)
FAILS(cuGetErrorName)
FAILS(cuGetErrorString)
FAILS(cuCtxGetCurrent)
FAILS(cuCtxGetDevice)
FAILS(cuCtxGetLimit)
FAILS(cuCtxPopCurrent)
FAILS(cuCtxPushCurrent)
FAILS(cuDeviceGet)
FAILS(cuDeviceGetAttribute)
FAILS(cuDeviceGetCount)
FAILS(cuDevicePrimaryCtxRelease)
FAILS(cuDevicePrimaryCtxReset)
FAILS(cuDevicePrimaryCtxRetain)
FAILS(cuFuncGetAttribute)
FAILS(cuKernelGetAttribute)
FAILS(cuLaunchCooperativeKernel)
FAILS(cuLaunchKernel)
FAILS(cuLaunchKernelEx)
FAILS(cuLibraryLoadFromFile)
FAILS(cuLinkAddData)
FAILS(cuLinkAddData_v2)
FAILS(cuLinkAddFile_v2)
FAILS(cuLinkComplete)
FAILS(cuLinkCreate)
FAILS(cuLinkCreate_v2)
FAILS(cuLinkDestroy)
FAILS(cuMemcpyDtoH_v2)
FAILS(cuModuleGetGlobal_v2)
FAILS(cuModuleLoadFatBinary)
FAILS(cuOccupancyMaxActiveBlocksPerMultiprocessor)
FAILS(cuOccupancyMaxPotentialClusterSize)
FAILS(cuStreamGetCtx)
FAILS(cuStreamGetGreenCtx)
FAILS(cuStreamSynchronize)
FAILS(cuTensorMapEncodeTiled)
