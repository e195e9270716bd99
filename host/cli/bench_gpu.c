/* bench_gpu.c - configs/devices/, and what their figures say of counted work. */
#include <stdio.h>
#include <string.h>

#include "cli/bench_gpu.h"
#include "base/err.h"
#include "base/file.h"
#include "base/host.h"
#include "base/json.h"

static hone_status figure(double *out, const json *o, const char *file, const char *key, hone_err *err) {
    const json *v = json_get(o, key);
    if (!v || v->kind != JSON_NUMBER || !(v->number > 0))
        return hone_fail(err, HONE_EUSAGE, "%s: \"%s\" is %s; expected a number above 0", file, key,
                         v ? json_kind_name(v->kind) : "missing");
    *out = v->number;
    return HONE_OK;
}

static hone_status read_figures(gpu_figures *out, arena *a, const char *file, hone_err *err) {
    str s;
    const json *o;
    HONE_TRY(file_read(&s, a, file, 1 << 16, HONE_EUSAGE, err));
    HONE_TRY(json_parse(&o, a, file, s.p, s.n, HONE_EUSAGE, err));
    const json *name = json_get(o, "name");
    snprintf(out->name, sizeof out->name, "%s", name && name->kind == JSON_STRING ? name->string.p : file);
    HONE_TRY(figure(&out->memory_bytes_per_s, o, file, "memory_bytes_per_s", err));
    HONE_TRY(figure(&out->multiprocessors, o, file, "multiprocessors", err));
    HONE_TRY(figure(&out->clock_hz, o, file, "clock_hz", err));
    HONE_TRY(figure(&out->flops[HONE_F32], o, file, "fp32_flops", err));
    HONE_TRY(figure(&out->flops[HONE_BF16], o, file, "bf16_flops", err));
    return figure(&out->flops[HONE_F16], o, file, "fp16_flops", err);
}

hone_status gpu_read(gpu_figures *out, const char *name, hone_err *err) {
    text path = {0}, file = {0};
    char shown[64];
    *out = (gpu_figures){.name = ""};
    text_printf(&file, "configs/devices/%s.json", name);
    hone_status status = HONE_OK;
    if (strchr(name, '/')) text_str(&path, name);
    else if (!program_share(&path, file.p)) {
        status = hone_fail(err, HONE_EUSAGE, "--gpu: \"%s\" has no file configs/devices/NAME.json",
                           text_escape(shown, sizeof shown, name, strlen(name)));
        hone_hint(err, "a100 b200 h100 h200 l4 rtx4090, or a file like theirs by its path");
    }
    arena *a = arena_new("gpu");
    if (!status) status = read_figures(out, a, path.p, err);
    arena_free(a);
    text_free(&path);
    text_free(&file);
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
