/* cudnn.cpp - the real cuDNN, where it is installed, makes plans of hone's graphs for GPUs that are not there: every
 * descriptor is accepted, an engine knows the graph, its kernels compile, and the workspace is within what is planned.
 * Nothing is executed. HONE_CUDNN names the file of the library; by default libcudnn.so.9 is looked for. */
#include "emu.h"

#include "cudnn_norm_graph.cuh"
#include "cudnn_sdpa.cuh"

#include <dlfcn.h>
#include <math.h>
#include <stdlib.h>

extern "C" {
#include "cudnn_limits.h"
}

static const cudnn_library *open_real() {
#ifdef HONE_SANITIZED
    test_skip("a sanitizer would watch cuDNN, not hone");
#endif
    static cudnn_library lib;
    const char *file = getenv("HONE_CUDNN"), *missing = NULL;
    void *driver = dlopen(HONE_STAND_IN, RTLD_NOW | RTLD_GLOBAL); /* found by its name from then on */
    if (!driver) test_fail(__FILE__, __LINE__, "%s", dlerror());
    void *library = dlopen(file ? file : "libcudnn.so.9", RTLD_NOW | RTLD_GLOBAL);
    if (!library && file) test_fail(__FILE__, __LINE__, "HONE_CUDNN: %s", dlerror());
    if (!library) test_skip("there is no libcudnn.so.9; HONE_CUDNN=FILE names one");
    if (!cudnn_bind(&lib, dlsym, library, &missing)) test_fail(__FILE__, __LINE__, "no %s", missing);
    if (lib.version() < 90800)
        test_skip("cuDNN %zu plans for no other GPU; expected 9.8 or later", lib.version());
    printf("  cuDNN %zu\n", lib.version());
    return &lib;
}

/* A GPU by what its data sheet says, for cuDNN. */
static dnn::descriptor describe_gpu(const cudnn_library *lib, int capability, int processors,
                                    int shared_bytes) {
    char json[1024];
    snprintf(
        json, sizeof json,
        "{\"deviceName\":\"GPU\",\"cudaDeviceId\":0,\"deviceVer\":%d,\"driverVer\":13000,\"cudartVer\":13000,"
        "\"multiProcessorCount\":%d,\"smCountOrigin\":0,\"maxSharedMemoryPerBlockOptin\":%d,"
        "\"maxSharedMemoryPerBlock\":49152,\"oversizedSharedMemoryPerBlock\":0,"
        "\"reservedSharedMemoryPerBlock\":1024,"
        "\"maxGridSize\":[2147483647,65535,65535],\"maxBlockSize\":[1024,1024,64],\"regsPerBlock\":65536,"
        "\"maxRegistersPerSM\":65536,\"maxCtasPerSM\":32,\"maxThreadsPerBlock\":1024,\"maxThreadsPerSM\":"
        "2048,"
        "\"warpSize\":32,\"pciDeviceId\":0,\"isTccDriver\":0,\"supportCoopLaunch\":1,\"smClockRateKHz\":"
        "1980000,"
        "\"memClockRateKHz\":2619000,\"l2CacheSize\":52428800,\"totalGlobalMem\":85000000000}",
        capability, processors, shared_bytes);
    dnn::descriptor d = NULL;
    CHECK_INT(lib->make(dnn::BACKEND_DEVICEPROP_DESCRIPTOR, &d), 0);
    CHECK_INT(
        lib->set(d, dnn::ATTR_DEVICEPROP_JSON_REPRESENTATION, dnn::TYPE_CHAR, (int64_t)strlen(json), json),
        0);
    const dnn::status status = lib->finish(d);
    if (status != dnn::STATUS_SUCCESS) {
        char why[256] = "";
        lib->last_words(why, sizeof why);
        test_skip("this cuDNN wants a GPU to be described in other words: %s", why);
    }
    return d;
}

struct shape {
    hone_dtype dtype;
    int64_t B, H, K, S[2], ld;
    int left, right;
};
/* The bytes of workspace that the planner sets aside. */
static size_t planned_bytes(const shape &s, int is_backward) {
    hone_query q = {};
    q.op = is_backward ? HONE_OP_ATTENTION_BWD : HONE_OP_ATTENTION_FWD;
    hone_tensor *in = q.in + (is_backward ? 3 : 0);
    in[0].dim[0] = s.B * s.S[0], in[0].dim[1] = s.H, in[0].dim[2] = s.K, in[1].dim[0] = s.B * s.S[1],
    in[3].dim[0] = s.B;
    q.attr.attention.longest = (int32_t)(s.S[0] > s.S[1] ? s.S[0] : s.S[1]);
    return cudnn_plan_bytes(&q);
}
static int can_plan(const cudnn_library *lib, dnn::descriptor gpu, const shape &s, int is_backward,
                    std::string *why) {
    sdpa_shape x = {};
    x.is_backward = is_backward, x.type = s.dtype == HONE_BF16 ? dnn::DATA_BFLOAT16 : dnn::DATA_HALF;
    x.B = s.B, x.H = s.H, x.K = s.K, x.S[0] = s.S[0], x.S[1] = s.S[1];
    for (int64_t &ld : x.ld) ld = s.ld;
    x.alignment = 16, x.scale = 1 / sqrtf((float)s.K), x.left = s.left, x.right = s.right;
    cudnn_graph g = cudnn_graph_begin(lib);
    cudnn_plan p;
    sdpa_write(&g, x);
    const int made = cudnn_plan_make(&p, &g, NULL, gpu, planned_bytes(s, is_backward), why);
    if (made) cudnn_plan_free(&p);
    return made;
}

TEST(cudnn_itself_plans_attention_for_hopper) {
    static const shape shapes[] = {
        {HONE_BF16, 16, 12, 64, {512, 512}, 2304, -1, -1},    /* BERT-base, q k v side by side */
        {HONE_F16, 3, 4, 32, {100, 100}, 128, -1, 0},         /* causal */
        {HONE_BF16, 4, 12, 128, {1024, 1024}, 1536, 100, 20}, /* windowed */
        {HONE_BF16, 3, 2, 96, {33, 257}, 200, 5, 0},          /* cross, padded rows */
        {HONE_BF16, 300, 12, 64, {128, 128}, 2304, -1, -1},   {HONE_BF16, 2, 2, 256, {320, 320}, 512, -1, 0},
        {HONE_BF16, 48, 2, 40, {1, 300}, 80, -1, -1},
    };
    const cudnn_library *lib = open_real();
    const dnn::descriptor gpu = describe_gpu(lib, 900, 132, 232448);
    for (const shape &s : shapes)
        for (int is_backward = 0; is_backward < 2; is_backward++) {
            std::string why;
            if (!can_plan(lib, gpu, s, is_backward, &why))
                test_fail(__FILE__, __LINE__, "%s of %lld x %lld x %lld, lengths %lld and %lld: %s",
                          is_backward ? "backward" : "forward", (long long)s.B, (long long)s.H,
                          (long long)s.K, (long long)s.S[0], (long long)s.S[1], why.c_str());
        }
    (void)lib->free(gpu);
}
/* What hone refuses is what the library does not have: else the rule would be due. */
TEST(cudnn_itself_has_no_ordered_backward_for_ampere) {
    static const shape s = {HONE_BF16, 4, 12, 64, {512, 512}, 2304, -1, -1};
    const cudnn_library *lib = open_real();
    const dnn::descriptor gpu = describe_gpu(lib, 800, 108, 166912);
    std::string why;
    if (lib->version() >= 91801) CHECK(can_plan(lib, gpu, s, 0, &why)); /* packed rows, since then */
    CHECK(!can_plan(lib, gpu, s, 1, &why));
    (void)lib->free(gpu);
}

/* Norms, as a plan of a run asks for them. */
static hone_query norm_of(int64_t N, int64_t D, hone_dtype dtype, bool is_backward) {
    const auto tensor = [](int64_t n, int64_t d, int n_dims, hone_dtype type) {
        hone_tensor t = {};
        t.dim[0] = n, t.dim[1] = d, t.dim[2] = 1, t.ld = n_dims > 1 ? d : 1, t.n_dims = n_dims, t.dtype = type;
        return t;
    };
    const hone_tensor rows = tensor(N, D, 2, dtype), numbers = tensor(N, 1, 1, HONE_F32);
    hone_query q = {};
    q.op = is_backward ? HONE_OP_NORM_BWD : HONE_OP_NORM_FWD;
    q.attr.engine = HONE_ENGINE_CUDNN, q.attr.norm.kind = HONE_NORM_LAYER, q.attr.norm.eps = 1e-12;
    q.in[0] = q.out[0] = rows, q.in[4] = tensor(D, 1, 1, dtype);
    if (is_backward) {
        q.in[1] = rows, q.in[2] = q.in[3] = numbers, q.out[1] = q.out[2] = tensor(D, 1, 1, HONE_F32);
    } else {
        q.in[5] = q.in[4], q.out[1] = q.out[2] = numbers;
    }
    return q;
}
TEST(cudnn_itself_plans_norms) {
    static const struct {
        int capability, processors, shared_bytes;
    } gpus[] = {{800, 108, 166912}, {900, 132, 232448}};
    static const struct {
        hone_dtype type;
        const char *name;
    } types[] = {{HONE_F32, "fp32"}, {HONE_BF16, "bf16"}, {HONE_F16, "fp16"}};
    const cudnn_library *lib = open_real();
    int n = 0;
    for (const auto &gpu : gpus) {
        const dnn::descriptor device = describe_gpu(lib, gpu.capability, gpu.processors, gpu.shared_bytes);
        for (int i = 0; i < 3 * 2; i++) { /* seconds each: their kernels are compiled */
            const hone_query q = norm_of(8192, 768, types[i / 2].type, i % 2);
            std::string why;
            std::vector<int64_t> key;
            char refused[160];
            if (!cudnn_can(&q, refused, sizeof refused)) test_fail(__FILE__, __LINE__, "%s", refused);
            cudnn_graph g = cudnn_graph_begin(lib);
            cudnn_plan p;
            cudnn_norm_describe(&q, &g, &key);
            const int made = cudnn_plan_make(&p, &g, NULL, device, cudnn_plan_bytes(&q), &why);
            if (!made || !p.is_ordered)
                test_fail(__FILE__, __LINE__, "sm_%d, %s %s of %lld x %lld: %s", gpu.capability / 10,
                          types[i / 2].name, i % 2 ? "backward" : "forward", (long long)q.in[0].dim[0],
                          (long long)q.in[0].dim[1], made ? "adds in no fixed order" : why.c_str());
            cudnn_plan_free(&p), n++;
        }
        (void)lib->free(device);
    }
    printf("  %d plans of norms\n", n);
}
