/* count.cpp - what kernels ask of memory, in the device emu_count. The kernels are compiled as for ThreadSanitizer, and
 * the functions that its runtime would provide are these: every access arrives with its address, size and place in the
 * code. The n-th access of each lane by one instruction since the warp last stood together is one request of the warp:
 *   device memory  32-byte sectors that it touches; what of them passes a cache of 1 MiB, 16 ways, least recently used goes
 *   shared memory  phases of 128 bytes (8 lanes of 16 bytes, 16 of 8, 32 of 4 or less); a phase takes as many wavefronts
 *                  as the bank with the most different words in it has words */
#include "cuda_runtime.h"
#include "machine.h"

#include "hone/emu.h"

#include <algorithm>
#include <cxxabi.h>
#include <dlfcn.h>
#include <elf.h>
#include <map>
#include <stdio.h>
#include <stdlib.h>
#include <string>
#include <unordered_map>

namespace cuemu {
namespace {
struct request {
    unsigned lanes = 0; /* those that took part */
    uintptr_t at[32];
};
struct instruction { /* of one warp */
    unsigned bytes = 0;
    access kind = READ;
    bool is_shared = false, is_used = false;
    unsigned seen[32] = {}; /* by each lane, since the warp last stood together */
    std::vector<request> requests;
    size_t n_requests = 0;
};
struct key {
    const void *code;
    unsigned bytes_kind;
    bool operator==(const key &o) const { return code == o.code && bytes_kind == o.bytes_kind; }
};
struct key_hash {
    size_t operator()(const key &k) const { return (size_t)k.code * 31 + k.bytes_kind; }
};
struct warp_log {
    std::unordered_map<key, instruction, key_hash> instructions;
    std::vector<instruction *> used;
};
warp_log logs[32];
std::map<uintptr_t, uintptr_t> memory; /* device memory: begin, end */
uintptr_t found_from = 1, found_to = 0; /* the piece found last */
std::vector<hone_emu_counts> kernels;
std::unordered_map<const void *, int> number_of;
hone_emu_counts *now = nullptr; /* of the kernel that runs; NULL: not counting */
bool is_on = false;
uintptr_t work_from = 0, work_to = 0; /* the workspace */

bool is_device_memory(uintptr_t a) {
    if (a >= found_from && a < found_to) return true;
    auto after = memory.upper_bound(a);
    if (after == memory.begin() || a >= (--after)->second) return false;
    found_from = after->first, found_to = after->second;
    return true;
}
void note(unsigned number, unsigned lane, access kind, uintptr_t a, unsigned bytes, bool is_shared, const void *code) {
    warp_log &log = logs[number];
    instruction &in = log.instructions[key{code, bytes * 4 + kind * 2 + is_shared}];
    if (!in.is_used) {
        in.is_used = true, in.bytes = bytes, in.kind = kind, in.is_shared = is_shared;
        log.used.push_back(&in);
    }
    const unsigned n = in.seen[lane]++;
    if (n >= in.n_requests) {
        if (n >= in.requests.size()) in.requests.resize(n + 1);
        in.requests[n].lanes = 0;
        in.n_requests = n + 1;
    }
    in.requests[n].lanes |= 1u << lane;
    in.requests[n].at[lane] = a;
}
constexpr unsigned SETS = 2048, WAYS = 16;
struct way {
    uintptr_t sector;
    bool is_there, is_dirty;
};
way cache[SETS][WAYS]; /* most recently used first */
void pass_memory(uintptr_t sector, access kind) {
    (kind == READ ? now->memory_read : now->memory_written)++;
    now->memory_work += sector * 32 + 31 >= work_from && sector * 32 < work_to;
}
void empty_cache() {
    for (auto &set : cache)
        for (way &w : set) {
            if (now && w.is_there && w.is_dirty) pass_memory(w.sector, WRITE);
            w = way{};
        }
}
void pass_cache(uintptr_t sector, access kind) {
    way *set = cache[(sector ^ sector >> 11) % SETS], found = {sector, true, kind == WRITE};
    unsigned i = 0;
    while (i < WAYS - 1 && !(set[i].is_there && set[i].sector == sector)) i++;
    if (set[i].is_there && set[i].sector == sector) found.is_dirty |= set[i].is_dirty;
    else {
        if (kind == READ) pass_memory(sector, READ);
        if (set[i].is_there && set[i].is_dirty) pass_memory(set[i].sector, WRITE);
    }
    for (; i > 0; i--) set[i] = set[i - 1];
    set[0] = found;
}
unsigned unique(uintptr_t *x, unsigned n) {
    std::sort(x, x + n);
    return (unsigned)(std::unique(x, x + n) - x);
}
unsigned sectors_of(const request &r, unsigned bytes, access kind) {
    uintptr_t sector[96];
    unsigned n = 0;
    for (unsigned m = r.lanes; m; m &= m - 1) {
        const uintptr_t a = r.at[__builtin_ctz(m)];
        for (uintptr_t s = a / 32; s <= (a + bytes - 1) / 32 && n < 96; s++) sector[n++] = s;
    }
    n = unique(sector, n);
    for (unsigned i = 0; i < n; i++) pass_cache(sector[i], kind);
    return n;
}
/* Wavefronts of the lanes of one phase. */
unsigned wavefronts_of(const request &r, unsigned lanes, unsigned bytes) {
    uintptr_t word[160];
    unsigned n = 0, in_bank[32] = {}, most = 0;
    for (unsigned m = lanes; m; m &= m - 1) {
        const uintptr_t a = r.at[__builtin_ctz(m)];
        for (uintptr_t w = a / 4; w <= (a + bytes - 1) / 4 && n < 160; w++) word[n++] = w;
    }
    n = unique(word, n);
    for (unsigned i = 0; i < n; i++) most = std::max(most, ++in_bank[word[i] % 32]);
    return most;
}
void add(const instruction &in, const request &r) {
    const unsigned n_lanes = (unsigned)__builtin_popcount(r.lanes);
    if (!in.is_shared) {
        (in.kind == READ ? now->sectors_read : now->sectors_written) += sectors_of(r, in.bytes, in.kind);
        (in.kind == READ ? now->bytes_read : now->bytes_written) += n_lanes * in.bytes;
        return;
    }
    const unsigned width = in.bytes >= 16 ? 8 : in.bytes == 8 ? 16 : 32;
    for (unsigned first = 0; first < 32; first += width) {
        const unsigned lanes = r.lanes & (width == 32 ? ~0u : ((1u << width) - 1) << first);
        if (!lanes) continue;
        now->shared_requests++;
        now->shared_wavefronts += wavefronts_of(r, lanes, in.bytes);
    }
}
/* The mangled name of a function of this file, by its table of symbols, which holds static ones too; "": none. */
std::string find_symbol(const void *function) {
    Dl_info info;
    std::string bytes;
    if (!dladdr(function, &info)) return "";
    if (FILE *f = fopen(info.dli_fname, "rb")) {
        char part[65536];
        for (size_t n; (n = fread(part, 1, sizeof part, f)) > 0;) bytes.append(part, n);
        fclose(f);
    }
    if (bytes.size() < sizeof(Elf64_Ehdr)) return "";
    const char *file = bytes.data();
    const Elf64_Ehdr *head = (const Elf64_Ehdr *)file;
    const Elf64_Shdr *sections = (const Elf64_Shdr *)(file + head->e_shoff);
    const uintptr_t at = (uintptr_t)function - (uintptr_t)info.dli_fbase;
    for (int i = 0; i < head->e_shnum; i++) {
        if (sections[i].sh_type != SHT_SYMTAB) continue;
        const Elf64_Sym *symbols = (const Elf64_Sym *)(file + sections[i].sh_offset);
        const char *names = file + sections[sections[i].sh_link].sh_offset;
        for (size_t k = 0; k < sections[i].sh_size / sizeof *symbols; k++)
            if (ELF64_ST_TYPE(symbols[k].st_info) == STT_FUNC && symbols[k].st_value == at)
                return names + symbols[k].st_name;
    }
    return "";
}
/* "norm_fwd<bf16>": without result and arguments. */
void name_kernel(const void *kernel, char *out, size_t n) {
    const std::string symbol = find_symbol(kernel);
    int status = 0, depth = 0;
    char *whole = abi::__cxa_demangle(symbol.c_str(), nullptr, nullptr, &status);
    std::string name = whole ? whole : symbol;
    free(whole);
    for (size_t i = 0; i < name.size(); i++) {
        if (name[i] == '<') depth++;
        else if (name[i] == '>') depth--;
        else if (name[i] == '(' && depth == 0) name.resize(i);
    }
    if (!name.compare(0, 5, "void ")) name.erase(0, 5);
    snprintf(out, n, "%s", name.empty() ? "a kernel without a symbol" : name.c_str());
}
void begin(const void *work, uint64_t work_bytes) {
    now = nullptr;
    work_from = (uintptr_t)work, work_to = work_from + work_bytes;
    empty_cache();
    kernels.clear();
    number_of.clear();
    is_on = true;
}
int end() {
    empty_cache();
    is_on = false;
    now = nullptr;
    return (int)kernels.size();
}
void set_mutant(int n) { mutant = n; }
void read(int i, hone_emu_counts *out) { *out = kernels[(size_t)i]; }
void hit(void *p, unsigned bytes, access kind, const void *code) {
    count_access(kind, p, bytes, code);
}
} // namespace

void count_access(access kind, const void *p, unsigned bytes, const void *code) {
    if (!now || !B || me == &B->main) return;
    const uintptr_t a = (uintptr_t)p, shared = (uintptr_t)B->shared;
    const bool is_shared = a >= shared && a < shared + B->shared_bytes;
    if (is_shared || is_device_memory(a)) note(me->w->number, me->lane, kind, a, bytes, is_shared, code);
}
__attribute__((noinline)) void copy_counted(void *to, const void *from, unsigned bytes) {
    count_access(READ, from, bytes, __builtin_return_address(0));
    count_access(WRITE, to, bytes, __builtin_return_address(0));
    memcpy(to, from, bytes);
}
void count_ldmatrix(const void *row, const void *code) { count_access(READ, row, 16, code); }
void count_mma() {
    if (now) now->n_mma++;
}
void count_exp() {
    if (now) now->n_exp++;
}
void count_barrier() {
    if (now) now->n_barriers++;
}
void count_converged(const warp &w) {
    warp_log &log = logs[w.number];
    if (!now) return;
    for (instruction *in : log.used) {
        for (size_t i = 0; i < in->n_requests; i++)
            if (in->requests[i].lanes) add(*in, in->requests[i]);
        in->n_requests = 0;
        in->is_used = false;
        memset(in->seen, 0, sizeof in->seen);
    }
    log.used.clear();
}
void count_launch(const grid &g) {
    if (!is_on) return;
    empty_cache();
    for (warp_log &log : logs) log.instructions.clear(), log.used.clear();
    const auto found = number_of.emplace(g.kernel, (int)kernels.size());
    if (found.second) {
        kernels.emplace_back();
        name_kernel(g.kernel, kernels.back().kernel, sizeof kernels.back().kernel);
    }
    now = &kernels[(size_t)found.first->second];
    now->n_launches++;
    now->n_blocks += (uint64_t)g.blocks.x * g.blocks.y * g.blocks.z;
}
void count_memory(const void *p, size_t bytes) {
    if (bytes) memory[(uintptr_t)p] = (uintptr_t)p + bytes;
    else memory.erase((uintptr_t)p);
    found_from = 1, found_to = 0;
}
} // namespace cuemu

extern "C" __attribute__((visibility("default"))) const hone_emu_v1 hone_emu_v1_table = {
    sizeof(hone_emu_v1), sizeof(hone_emu_counts), cuemu::begin, cuemu::end, cuemu::read, cuemu::set_mutant};

/* ---- what the compiler calls ---------------------------------------------------------------------------------*/
extern "C" {
#define ACCESS(name, bytes, kind)                                                                            \
    void __tsan_##name(void *p) { cuemu::hit(p, bytes, cuemu::kind, __builtin_return_address(0)); }
#define ACCESSES(bytes)                                                                                      \
    ACCESS(read##bytes, bytes, READ)                                                                         \
    ACCESS(write##bytes, bytes, WRITE)                                                                       \
    ACCESS(unaligned_read##bytes, bytes, READ)                                                               \
    ACCESS(unaligned_write##bytes, bytes, WRITE)                                                             \
    ACCESS(volatile_read##bytes, bytes, READ)                                                                \
    ACCESS(volatile_write##bytes, bytes, WRITE)
ACCESSES(1)
ACCESSES(2)
ACCESSES(4)
ACCESSES(8)
ACCESSES(16)
void __tsan_read_range(void *p, unsigned long n) { cuemu::hit(p, (unsigned)n, cuemu::READ, __builtin_return_address(0)); }
void __tsan_write_range(void *p, unsigned long n) { cuemu::hit(p, (unsigned)n, cuemu::WRITE, __builtin_return_address(0)); }
void __tsan_init(void) {}
void __tsan_func_entry(void *) {}
void __tsan_func_exit(void) {}
void __tsan_vptr_update(void **at, void *value) { *at = value; }
void __tsan_vptr_read(void **) {}
/* Of the host's code beside the kernels. */
#define ATOMICS(bits)                                                                                        \
    uint##bits##_t __tsan_atomic##bits##_load(const volatile uint##bits##_t *p, int) {                       \
        return __atomic_load_n(p, __ATOMIC_SEQ_CST);                                                         \
    }                                                                                                        \
    void __tsan_atomic##bits##_store(volatile uint##bits##_t *p, uint##bits##_t x, int) {                    \
        __atomic_store_n(p, x, __ATOMIC_SEQ_CST);                                                            \
    }                                                                                                        \
    uint##bits##_t __tsan_atomic##bits##_fetch_add(volatile uint##bits##_t *p, uint##bits##_t x, int) {      \
        return __atomic_fetch_add(p, x, __ATOMIC_SEQ_CST);                                                   \
    }                                                                                                        \
    int __tsan_atomic##bits##_compare_exchange_strong(volatile uint##bits##_t *p, uint##bits##_t *found,     \
                                                      uint##bits##_t x, int, int) {                          \
        return __atomic_compare_exchange_n(p, found, x, false, __ATOMIC_SEQ_CST, __ATOMIC_SEQ_CST);          \
    }                                                                                                        \
    uint##bits##_t __tsan_atomic##bits##_compare_exchange_val(volatile uint##bits##_t *p, /* clang's */      \
                                                              uint##bits##_t found, uint##bits##_t x, int,   \
                                                              int) {                                         \
        __atomic_compare_exchange_n(p, &found, x, false, __ATOMIC_SEQ_CST, __ATOMIC_SEQ_CST);                \
        return found;                                                                                        \
    }
ATOMICS(8)
ATOMICS(32)
ATOMICS(64)
}
