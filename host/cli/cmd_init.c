/* cmd_init.c - a job file to start from. */
#include <string.h>

#include "cli/cmd.h"
#include "base/file.h"
#include "train/job.h"

const option init_flags[] = {
    {"model", 0, "FOLDER: the model to start from."},
    {"train_file", 0, "FILE: what to train on."},
};
const int n_init_flags = sizeof init_flags / sizeof *init_flags;

static void add_member(text *t, const char *name, const char *value) {
    text_printf(t, "  \"%s\": ", name);
    text_json(t, value, strlen(value));
    text_str(t, ",\n");
}

/* Is it one of the field's choices? */
static int is_task(const char *task, const char *choices) {
    for (const char *p = choices; *p; p += strspn(p, " ")) {
        const size_t n = strcspn(p, " ");
        if (n == strlen(task) && !memcmp(p, task, n)) return 1;
        p += n;
    }
    return 0;
}

hone_status cmd_init(const args *a, hone_err *err) {
    HONE_TRY(args_words(a, 0, 2, "hone init [TASK] [FILE]", err));
    const char *task = a->n_words ? a->word[0] : "text-classification",
               *to = a->n_words > 1 ? a->word[1] : NULL;
    int n;
    const char *choices = job_fields(&n)[field_find("task")].choices;
    const int classes = !strcmp(task, "text-classification");
    if (!is_task(task, choices))
        return hone_fail(err, HONE_EUSAGE, "task: \"%.64s\", expected one of: %s", task, choices);
    const char *model = args_value(a, "model"), *train = args_value(a, "train_file");
    text t = {0};
    text_str(&t, "{\n");
    add_member(&t, "model_name_or_path", model ? model : "path/to/model");
    add_member(&t, "task", task);
    add_member(&t, "train_file", train ? train : "train.csv");
    text_str(
        &t, "  \"validation_split_percentage\": 10,\n  \"max_seq_length\": 128,\n  \"output_dir\": \"out\",\n"
            "  \"num_train_epochs\": 3,\n  \"per_device_train_batch_size\": 32,\n  \"learning_rate\": 5e-5,\n"
            "  \"warmup_ratio\": 0.1,\n  \"weight_decay\": 0.01,\n  \"eval_strategy\": \"epoch\",\n  "
            "\"save_strategy\": \"epoch\",\n"
            "  \"save_total_limit\": 2,\n  \"load_best_model_at_end\": true,\n");
    add_member(&t, "metric_for_best_model", classes ? "eval_accuracy" : "eval_loss");
    text_str(&t, "  \"logging_steps\": 50,\n  \"seed\": 42\n}\n");
    hone_status status = HONE_OK;
    if (to && file_exists(to))
        status = hone_fail(err, HONE_EUSAGE, "%s: is there already, expected a new name", to);
    else if (to) status = file_write(to, t.p, t.n, err);
    else stdout_add(t.p, t.n);
    text_free(&t);
    return status;
}
