// onednn.cpp - products of hone's cpu device and of oneDNN by turns on one core, timed by the CPU time of the process, for
// oneDNN may work on a thread of its own: what other programs do at the same time counts little. Built and started by scripts/compare/onednn.
//   onednn PLUGIN ROUNDS
#include <dlfcn.h>
#include <sched.h>
#include <time.h>

#include <algorithm>
#include <cmath>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <vector>

#include "oneapi/dnnl/dnnl.hpp"

#include "hone/device.h"

using dnnl::memory;

static double seconds() {
    timespec t;
    clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &t);
    return double(t.tv_sec) + 1e-9 * double(t.tv_nsec);
}

static void stay_on_one_core() {
    cpu_set_t set;
    sched_getaffinity(0, sizeof set, &set);
    for (int c = 0, seen = 0; c < CPU_SETSIZE; c++)
        if (CPU_ISSET(c, &set) && seen++) CPU_CLR(c, &set);
    sched_setaffinity(0, sizeof set, &set);
}

// ---- hone's side: the plugin, with a host that has one thread ----
static void run_items(void *, int64_t n, void (*fn)(void *, int64_t, int), void *arg) {
    for (int64_t i = 0; i < n; i++) fn(arg, i, 0);
}
static uint64_t no_clock(void *) { return 0; }
static void say(void *, const char *line) { fprintf(stderr, "%s\n", line); }
static int recall_nothing(void *, const char *, void *, size_t) { return 0; }
// That products in pairs are the faster, or that oneDNN's are, as an AMX machine would remember.
static int recall_onednn(void *, const char *key, void *bytes, size_t n) {
    const dnnl_version_t *v = dnnl_version();
    const int32_t version = v->major * 10000 + v->minor * 100 + v->patch;
    if (n == 1) *static_cast<unsigned char *>(bytes) = 1;
    else if (n == sizeof version && strstr(key, "by oneDNN")) memcpy(bytes, &version, n);
    else return 0;
    return 1;
}
static void remember_nothing(void *, const char *, const void *, size_t) {}

struct plugin {
    const hone_device_v1 *table;
    hone_device *device = nullptr;
    hone_queue *queue = nullptr;
    hone_host_v1 host{};
    explicit plugin(const char *path, int (*recall)(void *, const char *, void *, size_t)) {
        hone_err err{};
        void *library = dlopen(path, RTLD_NOW | RTLD_LOCAL);
        table = library ? static_cast<const hone_device_v1 *>(dlsym(library, "hone_device_v1_table")) : nullptr;
        host.struct_bytes = sizeof host, host.n_threads = 1, host.parallel_for = run_items, host.clock_ns = no_clock;
        host.log = say, host.recall = recall, host.remember = remember_nothing;
        if (!table || table->open(&device, &host, 0, &err) || table->queue_new(device, &queue)) {
            fprintf(stderr, "error: %s: %s\n", path, library ? err.text : dlerror());
            exit(1);
        }
    }
    hone_call prepared(hone_call call) const {
        hone_query query{};
        hone_err err{};
        query.op = call.op;
        std::copy(call.in, call.in + HONE_MAX_IN, query.in);
        std::copy(call.out, call.out + HONE_MAX_OUT, query.out);
        if (table->choose(device, &query, &call.choice, &err)) {
            fprintf(stderr, "error: %s\n", err.text);
            exit(1);
        }
        return call;
    }
};

// ---- a product: c[m,n] = a b; each operand lies along its rows, or turned ----
struct product {
    const char *model, *what;
    hone_op op;
    int64_t m, n, k;
    bool a_turned, b_turned;
};

// Rows x [N,I], weight w [O,I], gradient dy [N,O]: y = x w', dx = dy w, dw = dy' x.
static void add_layer(std::vector<product> &to, const char *model, int64_t N, int64_t I, int64_t O) {
    to.push_back({model, "forward", HONE_OP_LINEAR_FWD, N, O, I, false, true});
    to.push_back({model, "of rows", HONE_OP_LINEAR_BWD, N, I, O, false, false});
    to.push_back({model, "of weight", HONE_OP_LINEAR_BWD_W, O, I, N, true, false});
}

static hone_tensor matrix(hone_dtype type, int64_t rows, int64_t columns, void *p) {
    hone_tensor t{};
    t.p = p, t.n_dims = 2, t.dim[0] = rows, t.dim[1] = columns, t.dim[2] = 1, t.ld = columns, t.dtype = type;
    return t;
}

static memory::desc layout(int64_t rows, int64_t columns, memory::data_type type, bool turned) {
    return {{rows, columns}, type, turned ? memory::format_tag::ba : memory::format_tag::ab};
}

static dnnl::matmul::primitive_desc plan(const dnnl::engine &e, const memory::desc &a, const memory::desc &b,
                                         const memory::desc &c) {
#if DNNL_VERSION_MAJOR < 3
    return {dnnl::matmul::desc(a, b, c), e};
#else
    return {e, a, b, c};
#endif
}

static double median(std::vector<double> x) {
    std::sort(x.begin(), x.end());
    return x[x.size() / 2];
}

int main(int argc, char **argv) {
    if (argc != 3) return 2;
    stay_on_one_core();
    const plugin hone(argv[1], recall_nothing), by_blocks(argv[1], recall_onednn);
    const int rounds = std::max(1, atoi(argv[2]));
    dnnl::engine engine(dnnl::engine::kind::cpu, 0);
    dnnl::stream stream(engine);
    hone_limits limits{};
    hone.table->limits(hone.device, &limits);
    const dnnl_version_t *v = dnnl_version();
    printf("%s, one core; oneDNN %d.%d.%d; medians of %d rounds\n\n", limits.name, v->major, v->minor, v->patch, rounds);
    printf("| product | rows x columns x summed | type | hone GFLOP/s | hone, its blocks by oneDNN | oneDNN | oneDNN, right operand "
           "packed before | hone : oneDNN |\n|---|---|---|---|---|---|---|---|\n");
    std::vector<product> products;
    add_layer(products, "MiniLM", 4096, 384, 1152);
    add_layer(products, "MiniLM", 4096, 384, 384);
    add_layer(products, "MiniLM", 4096, 384, 1536);
    add_layer(products, "MiniLM", 4096, 1536, 384);
    add_layer(products, "BERT-base", 2048, 768, 768);
    add_layer(products, "BERT-base", 2048, 768, 3072);
    add_layer(products, "BERT-base", 2048, 3072, 768);
    for (int bf = 0; bf < 2; bf++) {
        double sum_hone = 0, sum_other = 0;
        const hone_dtype type = bf ? HONE_BF16 : HONE_F32;
        const auto other_type = bf ? memory::data_type::bf16 : memory::data_type::f32;
        for (const product &p : products) {
            // oneDNN's dst has the type of hone's result: weights' gradients are fp32.
            const bool wide = p.op == HONE_OP_LINEAR_BWD_W;
            const size_t size = bf ? 2 : 4, result_size = wide ? 4 : size;
            void *a, *b, *mine, *theirs;
            hone.table->slab_new(hone.device, 0, size_t(p.m * p.k) * size, &a, nullptr);
            hone.table->slab_new(hone.device, 0, size_t(p.k * p.n) * size, &b, nullptr);
            hone.table->slab_new(hone.device, 0, size_t(p.m * p.n) * result_size, &mine, nullptr);
            hone.table->slab_new(hone.device, 0, size_t(p.m * p.n) * result_size, &theirs, nullptr);
            for (void *x : {a, b})
                for (int64_t i = 0; i < (x == a ? p.m * p.k : p.k * p.n); i++) {
                    const float f = float(uint32_t(i) * 2654435761u >> 8 & 0xffff) / 65536 - 0.5f;
                    uint32_t bits;
                    memcpy(&bits, &f, 4);
                    if (bf) static_cast<uint16_t *>(x)[i] = uint16_t(bits >> 16);
                    else static_cast<float *>(x)[i] = f;
                }
            hone_call call{};
            call.op = p.op;
            call.in[0] = p.a_turned ? matrix(type, p.k, p.m, a) : matrix(type, p.m, p.k, a);
            call.in[1] = p.b_turned ? matrix(type, p.n, p.k, b) : matrix(type, p.k, p.n, b);
            call.out[0] = matrix(wide ? HONE_F32 : type, p.m, p.n, mine);
            const memory::desc a_md = layout(p.m, p.k, other_type, p.a_turned), b_md = layout(p.k, p.n, other_type, p.b_turned),
                               c_md = layout(p.m, p.n, wide ? memory::data_type::f32 : other_type, false);
            const auto plain = plan(engine, a_md, b_md, c_md);
            const auto free = plan(engine, a_md, {{p.k, p.n}, other_type, memory::format_tag::any}, c_md);
            memory a_m(a_md, engine, a), b_m(b_md, engine, b), c_m(c_md, engine, theirs), packed(free.weights_desc(), engine);
            dnnl::reorder(b_m, packed).execute(stream, b_m, packed);
            dnnl::matmul plainly(plain), freely(free);
            const hone_call block_call = by_blocks.prepared(call);
            std::vector<double> time[4];
            for (int r = -1; r < rounds; r++) { // round -1 is for warmth
                double at[5] = {seconds()};
                by_blocks.table->op[p.op](by_blocks.queue, &block_call);
                at[1] = seconds();
                hone.table->op[p.op](hone.queue, &call);
                at[2] = seconds();
                freely.execute(stream, {{DNNL_ARG_SRC, a_m}, {DNNL_ARG_WEIGHTS, packed}, {DNNL_ARG_DST, c_m}});
                stream.wait();
                at[3] = seconds();
                plainly.execute(stream, {{DNNL_ARG_SRC, a_m}, {DNNL_ARG_WEIGHTS, b_m}, {DNNL_ARG_DST, c_m}});
                stream.wait();
                at[4] = seconds();
                for (int i = 0; i < 4 && r >= 0; i++) time[i].push_back(at[i + 1] - at[i]);
            }
            for (int64_t i = 0; i < p.m * p.n; i += 97) { // both have made the same
                float x, y;
                if (wide || !bf) x = static_cast<float *>(mine)[i], y = static_cast<float *>(theirs)[i];
                else {
                    const uint32_t u = uint32_t(static_cast<uint16_t *>(mine)[i]) << 16,
                                   w = uint32_t(static_cast<uint16_t *>(theirs)[i]) << 16;
                    memcpy(&x, &u, 4), memcpy(&y, &w, 4);
                }
                if (!(std::fabs(x - y) <= (bf && !wide ? 0.02f : 1e-3f) * (1 + std::fabs(x)))) {
                    fprintf(stderr, "error: %s of %s differs: %g, %g\n", p.what, p.model, double(x), double(y));
                    return 1;
                }
            }
            const double flops = 2 * double(p.m) * double(p.n) * double(p.k), blocks_s = median(time[0]), own = median(time[1]),
                         packed_s = median(time[2]), plain_s = median(time[3]);
            sum_hone += own, sum_other += plain_s;
            char blocks[32] = "";
            if (block_call.choice) snprintf(blocks, sizeof blocks, "%.1f", flops / blocks_s * 1e-9);
            printf("| %s, %s | %lld x %lld x %lld | %s | %.1f | %s | %.1f | %.1f | %.2f |\n", p.model, p.what, (long long)p.m,
                   (long long)p.n, (long long)p.k, bf ? "bf16" : "fp32", flops / own * 1e-9, blocks, flops / plain_s * 1e-9,
                   flops / packed_s * 1e-9, plain_s / own);
            fflush(stdout);
            for (void *x : {a, b, mine, theirs}) hone.table->slab_free(hone.device, x);
        }
        printf("| all of %s | | | | | | | %.2f |\n", bf ? "bf16" : "fp32", sum_other / sum_hone);
    }
}
