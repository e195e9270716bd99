/* cmd_bench.c - hone bench step: whole training steps. hone bench OP: one op of a device beside its check
 * (bench_op.c). hone bench allreduce: sums over ranks (bench_allreduce.c). hone bench read: data files (bench_read.c). */
#include <string.h>

#include "cli/cmd.h"
#include "cli/bench_allreduce.h"
#include "cli/bench_op.h"
#include "cli/bench_read.h"
#include "base/err.h"
#include "base/file.h"
#include "base/host.h"
#include "train/bench.h"

const option bench_flags[] = {
    {"model", 0, "step: DIR, the model folder (or give --job)."},
    {"job", 0, "step: FILE, a job whose model and precision are taken."},
    {"batch", 0, "step: N sequences (default 32)."},
    {"seq", 0, "step: N tokens a sequence (default 128)."},
    {"lengths", 0, "step: FILE of sequence lengths, one a line, instead of --seq."},
    {"num_labels", 0, "step: N classes of a new head (default 2 where the folder has none)."},
    {"steps", 0, "step: N steps that are timed (default 10)."},
    {"warmup", 0, "step: N steps before them (default 2)."},
    {"trace", 0,
     "step: FILE for chrome://tracing or ui.perfetto.dev, a lane a thread; and a table by op, and the bare products' time."},
    {"dtype", 0, "NAME: fp32 (default), bf16 or fp16; bench linear: tf32."},
    {"shape", 0, "OP: SHAPE like N=4096,D=384 instead of the list's sizes."},
    {"sweep", 0,
     "OP: LETTER=FROM:TO, each case at FROM, 2 FROM, 4 FROM ... of that extent (S: of its lengths)."},
    {"shapes-from", 0, "OP: JOB whose plan's calls are timed instead of the list's cases."},
    {"bytes", 0, "allreduce: FROM:TO of fp32 elements, doubling (default 8:33554432; with --job to all its gradients)."},
    {"seconds", 0, "OP, allreduce: N milliseconds to time each case (default 200)."},
    {"gpu", 0, "OP with --device emu: NAME of the GPU whose least times are predicted (default h100)."},
    {"nvtx", 1, "GPU: name steps, or cases, on the timeline of NVIDIA's profilers."},
    {"csv", 1, "OP: rows as CSV."},
    {"md", 1, "OP: rows as Markdown."},
    {"list", 1, "OP, allreduce: names of the cases, nothing is run."},
    {"dry-run", 1, "OP, allreduce: the same."},
};
const int n_bench_flags = sizeof bench_flags / sizeof *bench_flags;

static hone_status read_lengths(bench_step_options *o, arena *a, const char *path, hone_err *err) {
    str s;
    HONE_TRY(file_read(&s, a, path, (size_t)64 << 20, HONE_EDATA, err));
    int32_t *length = ARENA_ARRAY(a, s.n + 1, int32_t);
    int64_t line = 0;
    for (size_t from = 0; from < s.n;) {
        const char *end = memchr(s.p + from, '\n', s.n - from);
        const size_t to = end ? (size_t)(end - s.p) : s.n;
        int64_t n;
        line++;
        if (to > from) {
            if (!str_to_int64((str){s.p + from, to - from}, &n) || n < 1 || n > 1 << 20)
                return hone_fail(err, HONE_EDATA, "%s: line %lld: expected a length of at least 1", path,
                                 (long long)line);
            length[o->n_lengths++] = (int32_t)n;
        }
        from = to + 1;
    }
    if (!o->n_lengths) return hone_fail(err, HONE_EDATA, "%s: no lengths", path);
    o->length = length;
    return HONE_OK;
}

static hone_status run_step_bench(const args *a, arena *m, hone_err *err) {
    bench_step_options o = {0};
    int64_t labels_wanted;
    job *j;
    const char *model = args_value(a, "model"), *file = args_value(a, "job"), *dtype = args_value(a, "dtype"),
               *lengths = args_value(a, "lengths");
    HONE_TRY(args_integer(a, "batch", 1, 1 << 20, 32, &o.batch, err));
    HONE_TRY(args_integer(a, "seq", 1, 1 << 20, 128, &o.seq, err));
    HONE_TRY(args_integer(a, "steps", 1, 1 << 20, 10, &o.steps, err));
    HONE_TRY(args_integer(a, "warmup", 0, 1 << 20, 2, &o.warmup, err));
    HONE_TRY(args_integer(a, "num_labels", 0, 1 << 20, 0, &labels_wanted, err));
    o.n_labels = (int)labels_wanted;
    o.trace = args_value(a, "trace");
    if (lengths) HONE_TRY(read_lengths(&o, m, lengths, err));
    HONE_TRY(job_of_args(&j, a, file, err));
    if (model) j->model_name_or_path = model;
    if (args_value(a, "nvtx")) j->nvtx = 1;
    hone_status status = HONE_OK;
    if (dtype) j->bf16 = !strcmp(dtype, "bf16"), j->fp16 = !strcmp(dtype, "fp16");
    if (dtype && !j->bf16 && !j->fp16 && strcmp(dtype, "fp32"))
        status = hone_fail(err, HONE_EUSAGE, "--dtype: \"%.32s\", expected fp32, bf16 or fp16", dtype);
    if (!status && !j->model_name_or_path && !(j->config_name && j->tokenizer_name))
        status = hone_fail(err, HONE_EUSAGE,
                           "hone bench step: no model, expected --model DIR, --job FILE, or config_name and "
                           "tokenizer_name for random weights");
    pool *p = pool_new((int)j->threads);
    text json_out = {0}, people = {0};
    if (!status) status = bench_step(j, p, &o, &json_out, &people, err);
    const text *out = a->json ? &json_out : &people;
    if (!status) stdout_add(out->p, out->n);
    if (!status && a->json) stdout_add("\n", 1);
    text_free(&json_out);
    text_free(&people);
    pool_free(p);
    job_free(j);
    return status;
}

hone_status cmd_bench(const args *a, hone_err *err) {
    if (a->n_words && !strcmp(a->word[0], "read")) return bench_read(a, err);
    HONE_TRY(args_words(a, 1, 1, "hone bench step|OP|allreduce|read FILE...", err));
    if (!strcmp(a->word[0], "allreduce")) return bench_allreduce(a, err);
    if (strcmp(a->word[0], "step")) return bench_op(a, err);
    arena *m = arena_new("bench");
    const hone_status status = run_step_bench(a, m, err);
    arena_free(m);
    return status;
}
