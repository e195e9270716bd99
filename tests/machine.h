/* machine.h - the emulated machine of this process, for a test to tell what it should be like (kernels/emu/control.h). */
#ifndef TESTS_MACHINE_H
#define TESTS_MACHINE_H
#include <dlfcn.h>

#include "base/host.h"
#include "emu/control.h"
#include "test.h"

/* Skips the test where the device emu was not built. */
static inline cuemu_state *machine_of(void) {
    hone_err err = {0};
    if (!device_load("emu", &err)) test_skip("%s", err.text);
    void *handle = dlopen(HONE_BUILD_FOLDER "/lib/hone/libhone_emu.so", RTLD_NOW | RTLD_NOLOAD);
    cuemu_state *(*control)(void) = NULL;
    if (handle) *(void **)&control = dlsym(handle, "cuemu_control");
    CHECK(control != NULL);
    return control();
}
#endif
