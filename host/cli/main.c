/* main.c - hone COMMAND ...: finds the command, prints its help or runs it, turns its status into the exit
 * code. */
#include <stdio.h>
#include <string.h>

#include "cli/cmd.h"
#include "base/err.h"
#include "base/file.h"
#include "base/host.h"
#include "base/version.h"

typedef struct {
    const char *name, *usage, *help;
    hone_status (*run)(const args *a, hone_err *err);
    const option *option;
    const int *n_options;
    int fields; /* 1: takes --field value of the job table */
} command;

static const command commands[] = {
    {"train", "hone train JOB.json [--field value ...]", "Fine-tune a model as a job file says.", cmd_train,
     train_flags, &n_train_flags, 1},
    {"eval", "hone eval MODEL FILE [--field value ...]", "Measure a model on labelled data.", cmd_eval,
     eval_flags, &n_eval_flags, 1},
    {"predict", "hone predict MODEL FILE|- [--output F] [--logits] [--top K]",
     "Predict labels, one JSON row an input.", cmd_predict, predict_flags, &n_predict_flags, 1},
    {"generate", "hone generate MODEL [FILE|-] [--prompt TEXT ...]", "Go on with texts, one JSON row a prompt.",
     cmd_generate, generate_flags, &n_generate_flags, 1},
    {"fill-mask", "hone fill-mask MODEL [FILE|-] [--prompt TEXT] [--top K]",
     "Guess the words behind masks, one JSON row a text.", cmd_fill, fill_flags, &n_fill_flags, 1},
    {"embed", "hone embed MODEL FILE|- [--output F] [--pooling mean|cls] [--normalize]",
     "Texts to vectors, one JSON row an input, or a .npy file.", cmd_embed, embed_flags, &n_embed_flags, 1},
    {"tokenize", "hone tokenize MODEL [FILE|-]", "Text to ids and back, one JSON row a line.", cmd_tokenize,
     tokenize_flags, &n_tokenize_flags, 0},
    {"vocab", "hone vocab --type NAME --size N --output FOLDER FILE...",
     "Train a vocabulary from text files.", cmd_vocab, vocab_flags, &n_vocab_flags, 0},
    {"validate", "hone validate JOB.json [--field value ...]",
     "Read a job's data and report what is odd; nothing is trained.", cmd_validate, validate_flags,
     &n_validate_flags, 1},
    {"inspect", "hone inspect PATH", "What a model folder, run folder or checkpoint holds.", cmd_inspect,
     inspect_flags, &n_inspect_flags, 0},
    {"verify", "hone verify CHECKPOINT|RUN [--replay K] [--from STEP]",
     "Whether every byte of a checkpoint holds, and whether a run's steps have the bits it says.", cmd_verify,
     verify_flags, &n_verify_flags, 0},
    {"export", "hone export RUN|MODEL OUT | hone export --check MODEL", "Write a model folder, or judge one.",
     cmd_export, export_flags, &n_export_flags, 0},
    {"plan", "hone plan JOB.json [--steps] [--field value ...]",
     "Bytes and steps of a job before anything is allocated.", cmd_plan, plan_flags, &n_plan_flags, 1},
    {"bench", "hone bench step|OP|allreduce|read ...", "Time whole training steps, or one operation beside its check.",
     cmd_bench, bench_flags, &n_bench_flags, 1},
    {"init", "hone init [TASK] [FILE]", "Write a job file to start from.", cmd_init, init_flags,
     &n_init_flags, 0},
    {"doctor", "hone doctor [machine|devices|ranks|disk] [--burn SECONDS]",
     "What of this machine was detected, and why.", cmd_doctor, doctor_flags, &n_doctor_flags, 0},
};
enum { N_COMMANDS = sizeof commands / sizeof *commands };

static void print_overview(text *t) {
    text_printf(t, "hone %s: trains transformers. Commands:\n\n", HONE_VERSION);
    for (int i = 0; i < N_COMMANDS; i++)
        text_printf(t, "  %-9s %s\n            %s\n", commands[i].name, commands[i].help, commands[i].usage);
    text_str(t, "  launch    Run a command as several ranks of this machine, or by mpirun or srun of several.\n"
                "            hone launch -n N [--hosts A,B] [--dry-run] COMMAND ...\n");
    text_str(t,
             "\nOf every command: --json (one JSON object on stdout), --quiet, --threads N (0: all cores),\n"
             "--device auto|ref|cpu|cuda|emu, --help.   hone --version [--json]\n");
}

static void print_help(const command *c, text *t) {
    text_printf(t, "%s\n%s\n\n", c->usage, c->help);
    for (int i = 0; i < *c->n_options; i++)
        text_printf(t, "  --%-18s %s\n", c->option[i].name, c->option[i].help);
    text_str(t, "  --json --quiet --threads N --device NAME --help\n");
    if (c->fields) fields_print_help(t);
}

static void print_version(int as_json, text *t) {
    static const char *const devices[] = {"ref", "cpu", "cuda", "emu"};
    if (as_json)
        text_printf(t,
                    "{\"version\":\"%s\",\"commit\":\"%s\",\"compiler\":\"%s\",\"build_type\":\"%s\","
                    "\"instruction_sets\":[",
                    HONE_VERSION, HONE_COMMIT, HONE_COMPILER, HONE_BUILD_TYPE);
    else
        text_printf(t, "hone %s (%s), %s, %s\ninstruction sets:", HONE_VERSION, HONE_COMMIT, HONE_COMPILER,
                    HONE_BUILD_TYPE);
    const char *const sets[] = {"avx2", "fma", "avx512f", "avx512bf16"};
    const int has[] = {__builtin_cpu_supports("avx2") != 0, __builtin_cpu_supports("fma") != 0,
                       __builtin_cpu_supports("avx512f") != 0, __builtin_cpu_supports("avx512bf16") != 0};
    for (int i = 0, n = 0; i < 4; i++)
        if (has[i]) text_printf(t, as_json ? "%s\"%s\"" : "%s %s", as_json && n++ ? "," : "", sets[i]);
    text_str(t, as_json ? "],\"devices\":{" : "\n");
    for (int i = 0; i < 4; i++) {
        hone_err err = {0};
        const hone_device_v1 *d = device_try(devices[i], &err);
        if (as_json) {
            text_printf(t, "%s\"%s\":", i ? "," : "", devices[i]);
            if (d) text_str(t, "\"found\"");
            else text_json(t, err.text, strlen(err.text));
        } else if (d) text_printf(t, "device %s: found\n", devices[i]);
        else text_printf(t, "%s\n", err.text);
    }
    if (as_json) text_str(t, "}}\n");
}

static int finish(hone_status status, hone_err *err) {
    if (!status) status = stdout_flush(err);
    if (status) {
        hone_err ignored = {0};
        log_error(err);
        stdout_flush(&ignored);
    }
    return hone_status_exit(status);
}

static hone_status unknown_command(const char *name, hone_err *err) {
    const char *names[N_COMMANDS + 1];
    char safe[96];
    for (int i = 0; i < N_COMMANDS; i++) names[i] = commands[i].name;
    names[N_COMMANDS] = "launch";
    const char *near = nearest_word(name, names, N_COMMANDS + 1);
    text_escape(safe, sizeof safe, name, strlen(name));
    if (near) return hone_fail(err, HONE_EUSAGE, "%s: unknown command; did you mean \"%s\"?", safe, near);
    hone_fail(err, HONE_EUSAGE, "%s: unknown command", safe);
    return hone_hint(err, "hone --help lists them");
}

static hone_status run_command(int argc, char **argv, int *exit_code, hone_err *err) {
    text t = {0};
    hone_status status = HONE_OK;
    if (argc < 2 || !strcmp(argv[1], "--help") || !strcmp(argv[1], "-h") || !strcmp(argv[1], "help")) {
        print_overview(&t);
    } else if (!strcmp(argv[1], "--version")) {
        print_version(argc > 2 && !strcmp(argv[2], "--json"), &t);
    } else if (!strcmp(argv[1], "launch")) {
        return cmd_launch(argc - 2, argv + 2, exit_code, err);
    } else {
        const command *c = commands;
        while (c < commands + N_COMMANDS && strcmp(c->name, argv[1])) c++;
        if (c == commands + N_COMMANDS) return unknown_command(argv[1], err);
        args a;
        HONE_TRY(args_parse(&a, argc - 2, argv + 2, c->option, *c->n_options, c->fields, err));
        if (a.quiet) log_set(LOG_WARN);
        if (a.help) print_help(c, &t);
        else status = c->run(&a, err);
    }
    stdout_add(t.p, t.n);
    text_free(&t);
    return status;
}

int main(int argc, char **argv) {
    hone_err err = {0};
    int exit_code = 0; /* of the ranks of hone launch */
    const int own = finish(run_command(argc, argv, &exit_code, &err), &err);
    return own ? own : exit_code;
}
