/* control.h - what a test may ask of the emulated machine: the states of a machine that is not ready, and libraries that
 * behave otherwise. Beside its table libhone_emu.so exports cuemu_control, for tests to find by name. */
#ifndef EMU_CONTROL_H
#define EMU_CONTROL_H

typedef struct {
    /* the machine */
    int driver_version; /* 13000: CUDA 13.0; 0: no driver */
    int runtime_version;
    int n_devices;
    int count_error;        /* cudaError_t of cudaGetDeviceCount; 0: none */
    int set_error;          /* of cudaSetDevice */
    int image_error;        /* of cudaFuncGetAttributes: 209 is "no kernel image" */
    int major, minor;       /* compute capability */
    int work_error;         /* what waiting for work reports, and every call after it; 0: none */
    long long memory_bytes; /* of the device: cudaMalloc refuses more */
    int shared_bytes;       /* that a block may have: 227 KB as on sm_90, 99 KB as on sm_86, 89 and 120 */
    void (*ranged)(const char *name,
                   int depth); /* told of NVTX ranges; name NULL: the one of that depth ends */
    /* the library of products */
    int n_algorithms; /* that sum in one sequence; at least 1 */
    int first_algorithm; /* the number of the first of them: each sums in an order of its own */
    int tells_rows;   /* 1: the first of them sums in an order that depends on the columns of D */
    int gelu_is_erf;
    int has_no_bias, has_no_bgradb; /* 1: it refuses these epilogues */
    int n_products;                 /* counted: products given to it */
    /* cuDNN */
    int cudnn_version;       /* 91900: cuDNN 9.19.0; 0: the machine has none */
    int cudnn_knows_nothing; /* 1: no engine plays any graph */
    int n_cudnn;             /* counted: plans executed */
    /* NCCL */
    int nccl_version; /* 22800: 2.28 */
} cuemu_state;

#ifdef __cplusplus
extern "C"
#endif
    cuemu_state *
    cuemu_control(void);
#endif
