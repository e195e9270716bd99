/* instructions.cpp - what single instructions do: conversions, accesses of 16 bytes, ldmatrix, mma, cp.async. */
#include "machine.h"

namespace cuemu {
static float as_float(uint32_t bits) {
    float x;
    memcpy(&x, &bits, 4);
    return x;
}
static uint32_t as_bits(float x) {
    uint32_t bits;
    memcpy(&bits, &x, 4);
    return bits;
}
float bf16_value(uint16_t bits) { return as_float((uint32_t)bits << 16); }
uint16_t bf16_bits(float x) {
    const uint32_t u = as_bits(x);
    if (x != x) return 0x7fff;
    return (uint16_t)((u + 0x7fff + (u >> 16 & 1)) >> 16);
}
float half_value(uint16_t bits) {
    const uint32_t sign = (bits & 0x8000u) << 16, rest = (bits & 0x7fffu) << 13;
    if (rest >= 0x7c00u << 13) return as_float(sign | 0x7f800000u | rest);
    return as_float(sign | as_bits(as_float(rest) * 0x1p112f)); /* the exponents differ by 112; exact */
}
uint16_t half_bits(float x) {
    const uint32_t u = as_bits(x) & 0x7fffffffu;
    const uint16_t sign = (uint16_t)(as_bits(x) >> 16 & 0x8000u);
    if (u > 0x7f800000u) return 0x7fff;
    if (u >= 0x47800000u) return sign | 0x7c00;
    if (u < 0x38800000u) return (uint16_t)(sign | (as_bits(as_float(u) + 0.5f) - 0x3f000000u)); /* multiples of 2^-24 */
    return (uint16_t)(sign | ((u + 0xfff + (u >> 13 & 1) - (112u << 23)) >> 13));
}
float exp2_counted(float x) {
    if (counting) count_exp();
    return exp2f(x);
}

static inline void check_aligned(const void *p, const char *what) {
    if ((uintptr_t)p % 16) fail("%s at %p, which is no multiple of 16", what, p);
}
__attribute__((noinline)) uint4 load16(const void *p) {
    uint4 x;
    check_aligned(p, "a load of 16 bytes");
    if (counting) count_access(READ, p, 16, __builtin_return_address(0));
    memcpy(&x, p, 16);
    return x;
}
__attribute__((noinline)) void store16(void *p, uint4 x) {
    check_aligned(p, "a store of 16 bytes");
    if (counting) count_access(WRITE, p, 16, __builtin_return_address(0));
    memcpy(p, &x, 16);
}

/* A lane reads the row whose address it gives when it comes, so that a write by a lane that has not come yet, which
 * is a race, is not seen. */
__attribute__((noinline)) void ldmatrix4(uint32_t r[4], const void *row, bool transposed) {
    uint64_t mine[2];
    check_aligned(row, "ldmatrix");
    if (counting) count_ldmatrix(row, __builtin_return_address(0));
    memcpy(mine, row, 16);
    const uint16_t *all = (const uint16_t *)meet(~0u, MEET_LDMATRIX, __LINE__, mine, 2, nullptr);
    const int g = lane() >> 2, t = lane() & 3, step = WORDS * 4;
    for (int m = 0; m < 4; m++) {
        const uint16_t *matrix = all + step * 8 * m;
        const uint16_t low = transposed ? matrix[step * 2 * t + g] : matrix[step * g + 2 * t];
        const uint16_t high = transposed ? matrix[step * (2 * t + 1) + g] : matrix[step * g + 2 * t + 1];
        r[m] = low | (uint32_t)high << 16;
    }
}

typedef float v8 __attribute__((vector_size(32)));
template <float (*VALUE)(uint16_t)> NO_TSAN static void multiply(const uint64_t *words, unsigned char *out) {
    float A[16][16];
    v8 Bm[16];
    for (int l = 0; l < 32; l++) {
        const uint64_t *w = words + WORDS * l;
        const int g = l >> 2, t = (l & 3) * 2;
        for (int i = 0; i < 8; i++)
            A[g + (i >> 1 & 1) * 8][t + (i & 1) + (i >> 2) * 8] = VALUE((uint16_t)(w[i >> 2] >> 16 * (i & 3)));
        for (int i = 0; i < 4; i++) Bm[t + (i & 1) + (i >> 1) * 8][g] = VALUE((uint16_t)(w[2] >> 16 * i));
    }
    for (int r = 0; r < 16; r++) {
        v8 d = {};
        for (int k = 0; k < 16; k++) d += A[r][k] * Bm[k];
        for (int c = 0; c < 8; c += 2) {
            float *to = (float *)(out + 32 * ((r & 7) * 4 + (c >> 1))) + (r >> 3) * 2;
            to[0] = d[c], to[1] = d[c + 1];
        }
    }
    if (counting) count_mma();
}
NO_TSAN void mma16816(float d[4], const uint32_t a[4], const uint32_t b[2], float (*value)(uint16_t)) {
    const uint64_t mine[3] = {a[0] | (uint64_t)a[1] << 32, a[2] | (uint64_t)a[3] << 32, b[0] | (uint64_t)b[1] << 32};
    meet(~0u, MEET_MMA, __LINE__, mine, 3, value == half_value ? multiply<half_value> : multiply<bf16_value>);
    const float *sum = (const float *)(meet_out() + 32 * lane());
    for (int i = 0; i < 4; i++) d[i] += sum[i];
}

__attribute__((noinline)) void async_copy16(void *shared, const void *from, bool is_there) {
    check_aligned(shared, "cp.async to shared memory");
    if (is_there) check_aligned(from, "cp.async");
    if ((unsigned char *)shared < B->shared || (unsigned char *)shared + 16 > B->shared + B->shared_bytes)
        fail("cp.async to %p, which is not in shared memory", shared);
    if (counting && is_there) count_access(READ, from, 16, __builtin_return_address(0));
    if (counting) count_access(WRITE, shared, 16, __builtin_return_address(0));
    me->copies.push_back({shared, from, is_there});
}
void async_commit() { me->commits.push_back((unsigned)me->copies.size()); }
void async_wait(int newest) {
    std::vector<unsigned> &ends = me->commits;
    if ((int)ends.size() <= newest) return;
    const size_t n_groups = ends.size() - (size_t)newest;
    const unsigned n = ends[n_groups - 1];
    for (unsigned i = 0; i < n; i++) {
        const pending_copy c = me->copies[i];
        if (c.is_there) memcpy(c.to, c.from, 16);
        else memset(c.to, 0, 16);
    }
    me->copies.erase(me->copies.begin(), me->copies.begin() + n);
    ends.erase(ends.begin(), ends.begin() + (long)n_groups);
    for (unsigned &end : ends) end -= n;
}
} // namespace cuemu
