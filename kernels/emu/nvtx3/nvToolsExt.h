/* nvToolsExt.h - the part of NVTX that kernels/cuda uses. The profiler is whoever set cuemu_state.ranged (control.h). Both
 * return the depth of nesting, as NVTX says: of the range begun, or ended; negative where none was begun. */
#ifndef EMU_NVTOOLSEXT_H
#define EMU_NVTOOLSEXT_H

int nvtxRangePushA(const char *name);
int nvtxRangePop(void);
#endif
