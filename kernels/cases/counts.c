/* counts.c - a case played once on the counting device. */
#include "harness.h"

enum { MAX_KERNELS = sizeof((cases_counts *)0)->kernel / sizeof(hone_emu_counts) };

static void add(hone_emu_counts *sum, const hone_emu_counts *k) {
    sum->n_launches += k->n_launches;
    sum->n_blocks += k->n_blocks;
    sum->sectors_read += k->sectors_read;
    sum->sectors_written += k->sectors_written;
    sum->bytes_read += k->bytes_read;
    sum->bytes_written += k->bytes_written;
    sum->memory_read += k->memory_read;
    sum->memory_written += k->memory_written;
    sum->memory_work += k->memory_work;
    sum->shared_requests += k->shared_requests;
    sum->shared_wavefronts += k->shared_wavefronts;
    sum->n_mma += k->n_mma;
    sum->n_exp += k->n_exp;
    sum->n_barriers += k->n_barriers;
}

int cases_counted(const cases_on *counting, const hone_emu_v1 *emu, const cases_case *k, cases_counts *out, char *why,
                  size_t why_bytes) {
    cases_values v;
    image im = {0};
    *out = (cases_counts){0};
    values_init(&v, counting, k, k->dtype);
    values_fill(&v);
    int played = image_init(&im, &v, k->dtype, counting->table, counting->device[0], why, why_bytes);
    if (played) {
        emu->begin(im.slab + im.work_at, im.work_bytes);
        played = image_play(&im, (slice){0}, why, why_bytes);
        out->n_kernels = emu->end();
    }
    for (int i = 0; played && i < out->n_kernels; i++) {
        hone_emu_counts one;
        emu->read(i, &one);
        if (!i) memcpy(out->sum.kernel, one.kernel, sizeof one.kernel);
        if (i < MAX_KERNELS) out->kernel[i] = one;
        add(&out->sum, &one);
    }
    if (played) out->floor_bytes = bytes_of(&im), out->floor_flops = flops_of(&v);
    image_deinit(&im);
    values_deinit(&v);
    return played;
}
