/* isa.c - which instruction sets this machine can run. */
#include "cpu.h"

#include <stdio.h>
#include <string.h>

#if defined(__x86_64__)
#include <cpuid.h>

int isa_list(const cpu_table *out[4]) {
    int n = 0;
    __builtin_cpu_init();
    const int avx2 = __builtin_cpu_supports("avx2") && __builtin_cpu_supports("fma");
    const int avx512 = avx2 && __builtin_cpu_supports("avx512f") && __builtin_cpu_supports("avx512bw") &&
                       __builtin_cpu_supports("avx512vl") && __builtin_cpu_supports("avx512dq");
    if (avx512 && __builtin_cpu_supports("avx512bf16")) out[n++] = &cpu_table_avx512bf16;
    if (avx512) out[n++] = &cpu_table_avx512;
    if (avx2) out[n++] = &cpu_table_avx2;
    out[n++] = &cpu_table_plain;
    return n;
}

int isa_has_tiles(void) {
    const unsigned int saves = 1u << 27, bf16 = 1u << 22, tile = 1u << 24, state = 3u << 17; /* XTILECFG, XTILEDATA */
    unsigned int a, b, c, d, low, high;
    if (!__get_cpuid(1, &a, &b, &c, &d) || !(c & saves)) return 0;
    if (!__get_cpuid_count(7, 0, &a, &b, &c, &d) || (d & (bf16 | tile)) != (bf16 | tile)) return 0;
    __asm__("xgetbv" : "=a"(low), "=d"(high) : "c"(0)); /* XCR0: what the system saves of a thread */
    return (low & state) == state;
}

void isa_processor(char *out, size_t out_bytes) {
    unsigned int word[12] = {0};
    char name[sizeof word + 1] = {0};
    for (unsigned int leaf = 0; leaf < 3; leaf++)
        if (!__get_cpuid(0x80000002u + leaf, word + 4 * leaf, word + 4 * leaf + 1, word + 4 * leaf + 2,
                         word + 4 * leaf + 3))
            memset(word, 0, sizeof word);
    memcpy(name, word, sizeof word);
    size_t end = strlen(name);
    while (end > 0 && name[end - 1] == ' ') name[--end] = 0;
    snprintf(out, out_bytes, "%s", name + strspn(name, " "));
}
#else
int isa_list(const cpu_table *out[4]) {
    out[0] = &cpu_table_plain;
    return 1;
}

void isa_processor(char *out, size_t out_bytes) { snprintf(out, out_bytes, "CPU"); }

int isa_has_tiles(void) { return 0; }
#endif
