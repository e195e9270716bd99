/* ready.cu - the ways in which a machine is not ready for hone, each with what it lacks and what to do. */
#include "ready.cuh"

#define NAME HONE_DEVICE_NAME ": "

/* What the runtime may answer when devices are counted, or one is opened for the first time. */
static const struct trouble {
    cudaError_t error;
    hone_status status;
    const char *words, *hint;
} troubles[] = {
    {cudaErrorSystemNotReady, HONE_EUSAGE, "the system is not ready to use its devices",
     "machines with NVSwitch need the service nvidia-fabricmanager, of the driver's version"},
    {cudaErrorSystemDriverMismatch, HONE_EUSAGE,
     "the driver's library and its kernel module have different versions",
     "load the new module (modprobe -r nvidia_uvm nvidia; modprobe nvidia), or restart the machine"},
    {cudaErrorDevicesUnavailable, HONE_EUSAGE,
     "the device is held by another process alone, or its compute mode forbids use",
     "nvidia-smi shows compute mode and processes; nvidia-smi -c 0 shares the device"},
    {cudaErrorMemoryAllocation, HONE_ENOFIT, "the device has no memory left to begin with",
     "nvidia-smi shows the processes that hold it"},
    {cudaErrorECCUncorrectable, HONE_ECOMM, "the device reports an uncorrectable memory error (ECC)",
     "drain this machine; nvidia-smi -q -d ECC,PAGE_RETIREMENT shows the counts"},
};

static hone_status say(cudaError_t error, hone_err *err) {
    (void)cudaGetLastError();
    for (const trouble &t : troubles)
        if (t.error == error) {
            hone_fail(err, t.status, NAME "%s (%s)", t.words, cudaGetErrorName(error));
            return hone_hint(err, "%s", t.hint);
        }
    hone_fail(err, HONE_EUSAGE, NAME "the driver does not answer as it should: %s (%s)",
              cudaGetErrorString(error), cudaGetErrorName(error));
    return hone_hint(err, "nvidia-smi tells whether driver and device work");
}

static hone_status driver_ready(int ordinal, hone_err *err) {
    int n = 0, driver = 0, built = 0;
    (void)cudaDriverGetVersion(&driver);
    (void)cudaRuntimeGetVersion(&built);
    const cudaError_t counted = cudaGetDeviceCount(&n);
    if (driver == 0) {
        hone_fail(err, HONE_EUSAGE,
                  NAME "this machine has no NVIDIA driver; expected one for CUDA %d.0 or later",
                  built / 1000);
        return hone_hint(err, "install the driver, or choose --device cpu");
    }
    if (counted == cudaErrorInsufficientDriver) {
        hone_fail(err, HONE_EUSAGE,
                  NAME "the driver supports CUDA %d.%d, hone was built with %d.%d; expected a driver for "
                       "%d.0 or later",
                  driver / 1000, driver % 1000 / 10, built / 1000, built % 1000 / 10, built / 1000);
        return hone_hint(err, "update the driver, build hone with an older toolkit, or choose --device cpu");
    }
    if (counted == cudaErrorNoDevice || (counted == cudaSuccess && n == 0)) {
        hone_fail(err, HONE_EUSAGE, NAME "the driver (CUDA %d.%d) shows no device; expected at least one",
                  driver / 1000, driver % 1000 / 10);
        return hone_hint(err, "nvidia-smi lists devices; CUDA_VISIBLE_DEVICES hides them; a container must "
                              "be given them");
    }
    if (counted != cudaSuccess) return say(counted, err);
    if (ordinal >= 0 && ordinal < n) return HONE_OK;
    hone_fail(err, HONE_EUSAGE, NAME "there is no device %d; expected 0 to %d", ordinal, n - 1);
    return hone_hint(err, "nvidia-smi lists devices; CUDA_VISIBLE_DEVICES hides them");
}

static __global__ void nothing() {}

hone_status machine_ready(cudaDeviceProp *properties, int ordinal, hone_err *err) {
    HONE_TRY(driver_ready(ordinal, err));
    cudaError_t error = cudaGetDeviceProperties(properties, ordinal);
    if (error == cudaSuccess && properties->major < 8) {
        hone_fail(err, HONE_EUSAGE, NAME "%s has compute capability %d.%d; expected 8.0 (Ampere) or later",
                  properties->name, properties->major, properties->minor);
        return hone_hint(err, "choose another device by CUDA_VISIBLE_DEVICES, or --device cpu");
    }
    /* The first that needs the device itself, and a kernel built for it. */
    cudaFuncAttributes ignored;
    if (error == cudaSuccess) error = cudaSetDevice(ordinal);
    if (error == cudaSuccess) error = cudaFuncGetAttributes(&ignored, (const void *)nothing);
    if (error == cudaSuccess) return HONE_OK;
    if (error != cudaErrorNoKernelImageForDevice && error != cudaErrorInvalidDeviceFunction)
        return say(error, err);
    (void)cudaGetLastError();
    hone_fail(err, HONE_EUSAGE, NAME "hone was not built for compute capability %d.%d of %s",
              properties->major, properties->minor, properties->name);
    return hone_hint(err, "build it with -DCMAKE_CUDA_ARCHITECTURES=%d%d", properties->major,
                     properties->minor);
}

bool is_device_lost(cudaError_t error) {
    return error == cudaErrorECCUncorrectable || error == cudaErrorNvlinkUncorrectable ||
           error == cudaErrorDevicesUnavailable || error == cudaErrorUnknown;
}
