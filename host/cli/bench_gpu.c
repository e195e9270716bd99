/* bench_gpu.c - configs/devices/, and what their figures say of counted work. */
#include <stdio.h>
#include <string.h>

#include "cli/bench_gpu.h"
#include "cli/figures.h"
#include "base/err.h"

static hone_status read_figures(gpu_figures *out, arena *a, const char *name, hone_err *err) {
    const json *o;
    const char *file;
    HONE_TRY(figures_open(&o, &file, a, "devices", name, "gpu", "a100 b200 h100 h200 l4 rtx4090", err));
    snprintf(out->name, sizeof out->name, "%s", figures_name(o, file));
    const struct {
        double *to;
        const char *key;
    } figure[] = {{&out->memory_bytes, "memory_bytes"},         {&out->memory_bytes_per_s, "memory_bytes_per_s"},
                  {&out->multiprocessors, "multiprocessors"},   {&out->clock_hz, "clock_hz"},
                  {&out->flops[HONE_F32], "fp32_flops"},        {&out->flops[HONE_BF16], "bf16_flops"},
                  {&out->flops[HONE_F16], "fp16_flops"}};
    for (size_t i = 0; i < sizeof figure / sizeof *figure; i++)
        HONE_TRY(figures_number(figure[i].to, o, file, figure[i].key, err));
    return HONE_OK;
}

hone_status gpu_read(gpu_figures *out, const char *name, hone_err *err) {
    *out = (gpu_figures){.name = ""};
    arena *a = arena_new("gpu");
    const hone_status status = read_figures(out, a, name, err);
    arena_free(a);
    return status;
}

double gpu_least_seconds(const gpu_figures *g, const cases_counts *c, hone_dtype dtype, const char **binds) {
    enum { MMA_FLOPS = 4096, SECTOR_BYTES = 32, EXP_A_CYCLE = 16 };
    const double moved = (double)(c->sum.memory_read + c->sum.memory_written) * SECTOR_BYTES;
    const double counted = (double)c->sum.n_mma * MMA_FLOPS, cycles = g->multiprocessors * g->clock_hz;
    const struct {
        const char *name;
        double seconds;
    } part[] = {{"memory", (moved > 0 ? moved : c->floor_bytes) / g->memory_bytes_per_s}, /* the library's: not counted */
                {"products", (counted > c->floor_flops ? counted : c->floor_flops) / g->flops[dtype]},
                {"shared", (double)c->sum.shared_wavefronts / cycles},
                {"exp", (double)c->sum.n_exp / (EXP_A_CYCLE * cycles)}};
    int most = 0;
    for (int i = 1; i < 4; i++)
        if (part[i].seconds > part[most].seconds) most = i;
    *binds = part[most].name;
    return part[most].seconds;
}
