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

/* What a task's job has of its own: a name of a file, lines, the metric that decides. */
typedef struct {
    const char *task, *train_file, *lines, *metric;
} starter;

#define HELD_OUT "  \"validation_split_percentage\": 10,\n"
#define WRITES "  \"generation\": {\"max_new_tokens\": 60, \"do_sample\": true},\n"
static const starter starters[] = {
    {"text-classification", "train.csv", HELD_OUT "  \"max_seq_length\": 128,\n", "eval_accuracy"},
    {"token-classification", "train.conll", HELD_OUT "  \"max_seq_length\": 128,\n", "eval_f1"},
    {"question-answering", "train.json", "  \"validation_file\": \"dev.json\",\n  \"max_seq_length\": 384,\n  \"doc_stride\": 128,\n", "eval_f1"},
    {"fill-mask", "train.txt", HELD_OUT "  \"max_seq_length\": 128,\n", "eval_loss"},
    {"text-generation", "train.txt", HELD_OUT "  \"max_seq_length\": 128,\n" WRITES, "eval_loss"},
    {"causal-lm", "train.txt", HELD_OUT "  \"max_seq_length\": 128,\n" WRITES, "eval_loss"},
    {"pretrain", "train.txt", "  \"validation_file\": \"validation.txt\",\n  \"max_seq_length\": 128,\n", "eval_loss"},
};

hone_status cmd_init(const args *a, hone_err *err) {
    HONE_TRY(args_words(a, 0, 2, "hone init [TASK] [FILE]", err));
    const char *task = a->n_words ? a->word[0] : "text-classification",
               *to = a->n_words > 1 ? a->word[1] : NULL;
    int n;
    const starter *k = NULL;
    for (size_t i = 0; i < sizeof starters / sizeof *starters; i++)
        if (!strcmp(task, starters[i].task)) k = &starters[i];
    if (!k)
        return hone_fail(err, HONE_EUSAGE, "task: \"%.64s\", expected one of: %s", task, job_fields(&n)[field_find("task")].choices);
    const char *model = args_value(a, "model"), *train = args_value(a, "train_file");
    text t = {0};
    text_str(&t, "{\n");
    add_member(&t, "model_name_or_path", model ? model : "path/to/model");
    add_member(&t, "task", task);
    add_member(&t, "train_file", train ? train : k->train_file);
    text_str(&t, k->lines);
    text_str(
        &t, "  \"output_dir\": \"out\",\n"
            "  \"num_train_epochs\": 3,\n  \"per_device_train_batch_size\": 32,\n  \"learning_rate\": 5e-5,\n"
            "  \"warmup_ratio\": 0.1,\n  \"weight_decay\": 0.01,\n  \"eval_strategy\": \"epoch\",\n  "
            "\"save_strategy\": \"epoch\",\n"
            "  \"save_total_limit\": 2,\n  \"load_best_model_at_end\": true,\n");
    add_member(&t, "metric_for_best_model", k->metric);
    text_str(&t, "  \"logging_steps\": 50,\n  \"seed\": 42\n}\n");
    hone_status status = HONE_OK;
    if (to && file_exists(to))
        status = hone_fail(err, HONE_EUSAGE, "%s: is there already, expected a new name", to);
    else if (to) status = file_write(to, t.p, t.n, err);
    else stdout_add(t.p, t.n);
    text_free(&t);
    return status;
}
