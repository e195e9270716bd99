/* example.c - hone inside another program: train a job, open what it made, predict.
 *
 *     cc example.c -lhone -o example && ./example JOB.json MODEL "a text" ... */
#include <stdio.h>
#include <stdlib.h>

#include <hone/hone.h>

static int fail(const hone_err *err) {
    fprintf(stderr, "error: %s\n", err->text);
    if (err->hint[0]) fprintf(stderr, "hint: %s\n", err->hint);
    return hone_status_exit(err->status);
}

int main(int argc, char **argv) {
    hone_err err = {0};
    hone_model *model;
    char summary[4096];
    if (argc < 4) return fprintf(stderr, "usage: example JOB.json MODEL TEXT ...\n"), 2;
    hone_quiet();
    const char *const overrides[] = {"output_dir", argv[2]};
    if (hone_train(argv[1], overrides, 1, summary, sizeof summary, &err)) return fail(&err);
    puts(summary);

    const hone_options options = {.device = "cpu", .threads = 1};
    if (hone_model_open(&model, argv[2], &options, &err)) return fail(&err);
    const int n = argc - 3, labels = hone_model_labels(model);
    float *scores = malloc(sizeof *scores * (size_t)(n * labels));
    if (!scores) return 1;
    const hone_status status =
        hone_model_predict(model, (const char *const *)argv + 3, NULL, n, scores, &err);
    for (int i = 0; i < n && !status; i++) {
        int best = 0;
        for (int c = 1; c < labels; c++)
            if (scores[i * labels + c] > scores[i * labels + best]) best = c;
        printf("%s %.6f\n", hone_model_label(model, best), (double)scores[i * labels + best]);
    }
    free(scores);
    hone_model_close(model);
    return status ? fail(&err) : 0;
}
