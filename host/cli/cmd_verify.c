/* cmd_verify.c - hone verify: does a checkpoint hold what was written, and does a run have the bits that it says? */
#include <string.h>

#include "cli/cmd.h"
#include "base/err.h"
#include "base/file.h"
#include "train/replay.h"

const option verify_flags[] = {
    {"replay", 0,
     "K: play K steps from a checkpoint again and find the first whose bits differ from log.jsonl."},
    {"from", 0, "STEP: the checkpoint to replay from (default: the newest with K steps after it)."},
};
const int n_verify_flags = sizeof verify_flags / sizeof *verify_flags;

/* ---- files ---- */

typedef struct {
    text *out;
    int as_json, n_checkpoints, n_bad;
} verdict;

static hone_status judge(verdict *v, arena *a, const char *path, hone_err *err) {
    checkpoint_faults f = {0};
    HONE_TRY(checkpoint_check(&f, a, path, err));
    if (v->as_json) {
        text_str(v->out, v->n_checkpoints ? ",{\"checkpoint\":" : "{\"checkpoint\":");
        text_json(v->out, path, strlen(path));
        text_printf(v->out, ",\"step\":%lld,\"files\":%d,\"bytes\":%lld,\"faults\":[", (long long)f.step,
                    f.n_files, (long long)f.bytes);
        for (int i = 0; i < f.n; i++) {
            if (i) text_str(v->out, ",");
            text_json(v->out, f.line[i], strlen(f.line[i]));
        }
        text_str(v->out, "]}");
    } else if (f.n) {
        for (int i = 0; i < f.n; i++) text_printf(v->out, "%s\n", f.line[i]);
    } else
        text_printf(v->out, "%s: step %lld, %d files, %lld bytes: every hash holds\n", path,
                    (long long)f.step, f.n_files, (long long)f.bytes);
    v->n_checkpoints++;
    v->n_bad += f.n > 0;
    return HONE_OK;
}

static hone_status judge_run(verdict *v, arena *a, const char *run, hone_err *err) {
    int64_t *steps;
    int n;
    HONE_TRY(checkpoint_steps(&steps, &n, a, run, err));
    if (!n)
        return hone_fail(err, HONE_EUSAGE, "%s: no checkpoint, expected a checkpoint or a run that saved one",
                         run);
    for (int i = 0; i < n; i++) HONE_TRY(judge(v, a, checkpoint_path(a, run, steps[i]), err));
    return HONE_OK;
}

static hone_status verify_files(const args *given, arena *a, const char *path, int is_checkpoint, text *out,
                                hone_err *err) {
    verdict v = {.out = out, .as_json = given->json};
    if (v.as_json) text_str(out, "{\"checkpoints\":[");
    HONE_TRY(is_checkpoint ? judge(&v, a, path, err) : judge_run(&v, a, path, err));
    if (v.as_json) text_printf(out, "],\"valid\":%s}\n", v.n_bad ? "false" : "true");
    if (!v.n_bad) return HONE_OK;
    if (v.n_checkpoints == 1) return hone_fail(err, HONE_EDAMAGED, "%s: damaged", path);
    return hone_fail(err, HONE_EDAMAGED, "%s: %d of %d checkpoints are damaged", path, v.n_bad,
                     v.n_checkpoints);
}

/* ---- bits ---- */

static hone_status load_job(job **out, const args *given, const replay *r, const char *name, hone_err *err) {
    HONE_TRY(job_parse(out, name, r->job, err));
    job *j = *out;
    int n_fields;
    job_fields(&n_fields);
    memset(j->given, 0, (size_t)n_fields); /* all are written down, whoever gave them */
    j->device = given->device ? given->device : r->device;
    j->threads = given->threads;
    j->disable_tqdm = 1;
    j->resume_from_checkpoint = "true";
    return HONE_OK;
}

static hone_status verify_bits(const args *given, arena *a, const char *run, int64_t from_step, int64_t most,
                               text *out, hone_err *err) {
    checkpoint from;
    replay r;
    job *j;
    HONE_TRY(replay_choose(&r, &from, a, run, from_step, most, err));
    HONE_TRY(load_job(&j, given, &r, path_join(a, run, "log.jsonl"), err));
    pool *p = pool_new((int)j->threads);
    sig_install();
    const hone_status status = replay_play(&r, &from, j, p, err);
    pool_free(p);
    job_free(j);
    HONE_TRY(status);
    const long long last = (long long)(r.first + r.n - 1);
    if (given->json) {
        text_str(out, "{\"checkpoint\":");
        text_json(out, from.path, strlen(from.path));
        text_printf(out, ",\"replayed\":%lld,\"first\":%lld,\"last\":%lld,\"valid\":true}\n", (long long)r.n,
                    (long long)r.first, last);
    } else
        text_printf(out, "%s: every hash holds\nsteps %lld to %lld, played again from it: the same bits\n",
                    from.path, (long long)r.first, last);
    return HONE_OK;
}

static hone_status verify(const args *given, arena *a, text *out, hone_err *err) {
    const char *path = given->word[0], *run = path;
    int64_t most, from_step;
    HONE_TRY(args_integer(given, "replay", 1, 1 << 30, 0, &most, err));
    HONE_TRY(args_integer(given, "from", 0, INT64_MAX, -1, &from_step, err));
    if (!file_is_folder(path))
        return hone_fail(err, HONE_EUSAGE, "%s: not there, expected a checkpoint or a run's folder", path);
    const int is_run = file_exists(path_join(a, path, "log.jsonl"));
    if (!most) return verify_files(given, a, path, !is_run, out, err);
    if (!is_run) {
        const char *name = checkpoint_run(a, path, &from_step);
        if (!name)
            return hone_fail(err, HONE_EUSAGE,
                             "%s: expected checkpoint-STEP inside its run's folder, to be replayed", path);
        run = name;
    }
    return verify_bits(given, a, run, from_step, most, out, err);
}

hone_status cmd_verify(const args *given, hone_err *err) {
    HONE_TRY(args_words(given, 1, 1, "hone verify CHECKPOINT|RUN [--replay K] [--from STEP]", err));
    arena *a = arena_new("verify");
    text out = {0};
    const hone_status status = verify(given, a, &out, err);
    stdout_add(out.p, out.n);
    text_free(&out);
    arena_free(a);
    return status;
}
